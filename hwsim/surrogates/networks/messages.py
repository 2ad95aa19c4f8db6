"""Kinds that pass messages along the edges between rows, with the layers of torch_geometric."""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, GINConv, GPSConv, SAGEConv, global_add_pool, global_max_pool, global_mean_pool

from hwsim.surrogates.networks.batch import Batch
from hwsim.surrogates.networks.encodings import EIGENVECTORS, STEPS
from hwsim.surrogates.networks.factored import FactoredNetwork, zero
from hwsim.surrogates.networks.pooled import PooledNetwork, head
from hwsim.surrogates.networks.recipes import Factored, Pooled


class AdditiveGnn(FactoredNetwork):
    """g from a row and the rows around it: mean of messages along edges and of those against them (GraphSAGE, Hamilton et al. 2017)."""

    def __init__(self, recipe: Factored, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        width, layers = recipe.width, range(recipe.depth)
        self.embed = nn.Linear(len(feature_names), width)
        self.along = nn.ModuleList(SAGEConv(width, width) for _ in layers)
        self.against = nn.ModuleList(SAGEConv(width, width, root_weight=False, bias=False) for _ in layers)
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in layers)
        self.drop, self.last = nn.Dropout(recipe.dropout), zero(width, len(metrics))

    def learned(self, batch: Batch) -> torch.Tensor:
        """g of each row and metric, shape `(rows, metrics)`."""
        x, back = nn.functional.silu(self.embed(self.scaled(batch))), batch.edges.flip(0)
        for along, against, norm in zip(self.along, self.against, self.norm, strict=True):
            seen = norm(x)
            x = x + self.drop(nn.functional.silu(along(seen, batch.edges) + against(seen, back)))
        return self.last(x)


class PooledGnn(PooledNetwork):
    """Mean, sum and maximum of the rows after some layers of messages along and against edges; a subclass gives the layers."""

    extra = 0
    """Columns that a row has beside its features."""

    def __init__(self, recipe: Pooled, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        self.embed = nn.Linear(len(feature_names) + self.extra, recipe.width)
        self.layers = nn.ModuleList(self.layer(recipe) for _ in range(recipe.depth))
        self.drop, self.head = nn.Dropout(recipe.dropout), head(3 * recipe.width, recipe.width, len(metrics), recipe.dropout)

    def layer(self, recipe: Pooled) -> nn.Module:
        """One layer of messages."""
        raise NotImplementedError

    def step(self, layer: nn.Module, x: torch.Tensor, edges: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Rows after a layer."""
        return x + self.drop(nn.functional.silu(layer(x, edges)))

    def summary(self, batch: Batch) -> torch.Tensor:
        """What the head says of the pooled rows, shape `(networks, metrics)`."""
        edges = torch.cat([batch.edges, batch.edges.flip(0)], dim=1)
        x = nn.functional.silu(self.embed(torch.cat([self.scaled(batch), batch.extra], dim=1)))
        for layer in self.layers:
            x = self.step(layer, x, edges, batch)
        pools = (global_mean_pool, global_add_pool, global_max_pool)
        return self.head(torch.cat([pool(x, batch.owner, size=len(batch)) for pool in pools], dim=1))


def _two_layers(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))


class Gin(PooledGnn):
    """Graph isomorphism network (Xu et al. 2019)."""

    def layer(self, recipe: Pooled) -> nn.Module:
        """Sum of messages through two layers."""
        return GINConv(_two_layers(recipe.width), train_eps=True)


class Gatv2(PooledGnn):
    """Graph attention (Brody et al. 2022)."""

    def layer(self, recipe: Pooled) -> nn.Module:
        """Attention over neighbours."""
        return GATv2Conv(recipe.width, recipe.width // recipe.heads, heads=recipe.heads)


class Gps(PooledGnn):
    """Graph transformer with structural encodings: messages beside attention over all rows (Rampasek et al. 2022)."""

    needs = "structure"
    extra = EIGENVECTORS + STEPS + 2

    def layer(self, recipe: Pooled) -> nn.Module:
        """GIN beside attention, each row normalised by itself."""
        inner = GINConv(_two_layers(recipe.width), train_eps=True)
        return GPSConv(recipe.width, inner, heads=recipe.heads, dropout=recipe.dropout, norm="layer_norm", norm_kwargs={"mode": "node"})

    def step(self, layer: nn.Module, x: torch.Tensor, edges: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Rows after a layer, which has its own shortcuts."""
        return layer(x, edges, batch.owner)
