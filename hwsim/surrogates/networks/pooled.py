"""Kinds that learn a network's cost from a summary of its rows, and the transformer among them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks.batch import Batch
from hwsim.surrogates.networks.factored import Scaled
from hwsim.surrogates.networks.recipes import Pooled


class PooledNetwork(Scaled):
    """Labels are logarithms with mean 0 and deviation 1; a subclass gives a summary of each network to its head."""

    center: torch.Tensor
    spread: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    recipe: Pooled

    def __init__(self, recipe: Pooled, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        for name, value in (("center", 0.0), ("spread", 1.0), ("low", -math.inf), ("high", math.inf)):
            self.register_buffer(name, torch.full((len(metrics),), value))

    def adopt(self, graphs: Graphs) -> None:
        """Take scales of features and range of labels from a training set."""
        super().adopt(graphs)
        with np.errstate(divide="ignore"):
            labels = np.log(graphs.measured + self.offset.numpy())
        for m in range(len(self.metrics)):
            known = labels[np.isfinite(labels[:, m]), m]
            if len(known):
                self.center[m], self.spread[m] = float(known.mean()), float(max(known.std(), 1e-3))
                self.low[m], self.high[m] = float(known.min()), float(known.max())

    def summary(self, batch: Batch) -> torch.Tensor:
        """What the head sees, and its answer, shape `(networks, metrics)`."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logarithm of each network's cost and offset, shape `(networks, metrics)`."""
        found = self.center + self.spread * self.summary(batch)
        return found if self.training or not self.recipe.bounded else torch.minimum(torch.maximum(found, self.low), self.high)


def head(inputs: int, width: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two layers from a summary to the metrics."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, outputs))


class RowTransformer(PooledNetwork):
    """Rows as tokens in the order of their distance from the input, read out at a token of its own."""

    needs = "places"

    def __init__(self, recipe: Pooled, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        width = recipe.width
        self.embed, self.first = nn.Linear(len(feature_names), width), nn.Parameter(0.02 * torch.randn(width))
        layer = nn.TransformerEncoderLayer(width, recipe.heads, 2 * width, recipe.dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, recipe.depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = head(width, width, len(metrics), recipe.dropout)

    def summary(self, batch: Batch) -> torch.Tensor:
        """What the head says of the token of its own, shape `(networks, metrics)`."""
        size = batch.start.diff()
        order = torch.argsort(batch.owner * (int(size.max()) + 1) + batch.extra[:, 0].long(), stable=True)
        at = torch.arange(len(order), device=order.device) - batch.start[:-1][batch.owner]
        rows = self.embed(self.scaled(batch))[order] + _waves(at, self.recipe.width)
        tokens = rows.new_zeros(len(size), int(size.max()) + 1, self.recipe.width)
        tokens[:, 0] = self.first
        tokens[batch.owner, at + 1] = rows
        empty = torch.arange(tokens.shape[1], device=order.device) > size[:, None]
        return self.head(self.encoder(tokens, src_key_padding_mask=empty)[:, 0])


def _waves(place: torch.Tensor, width: int) -> torch.Tensor:
    """Sines and cosines of a place, shape `(rows, width)`; Vaswani et al. 2017, Attention Is All You Need, 3.5."""
    rate = torch.exp(torch.arange(0, width, 2, device=place.device) * (-math.log(10_000.0) / width))
    angle = place[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]
