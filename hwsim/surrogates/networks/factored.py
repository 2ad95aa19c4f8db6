"""Kinds that learn factors: cost = readout over rows of closed form x exp(g), g a network that starts at zero."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from hwsim.errors import UnknownName
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.mlp import Mlp
from hwsim.surrogates.networks import LIMIT
from hwsim.surrogates.networks.batch import Batch
from hwsim.surrogates.networks.calibration import kind_factors
from hwsim.surrogates.networks.recipes import Factored, NetworkRecipe


class Scaled(nn.Module):
    """What all kinds share: features with mean 0 and deviation 1, metrics with their readout."""

    needs = ""
    """What of `batch.NEEDS` it wants of each row."""
    mean: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor
    penalty: torch.Tensor | float = 0.0
    """What the last call adds to the loss."""

    def __init__(
        self, recipe: NetworkRecipe, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.recipe, self.feature_names, self.metrics, self.readout = recipe, feature_names, metrics, readout
        self.register_buffer("mean", torch.zeros(len(feature_names)))
        self.register_buffer("scale", torch.ones(len(feature_names)))
        self.register_buffer("offset", torch.tensor([offset(name) for name in metrics]), persistent=False)

    def adopt(self, graphs: Graphs) -> None:
        """Take scales from a training set; a feature that is not seen gets a scale so large that it says nothing."""
        mean, scale = standardised(graphs.features, self.feature_names, self.recipe.hidden_features)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def scaled(self, batch: Batch) -> torch.Tensor:
        """Features as the network sees them, shape `(rows, features)`."""
        return torch.addcmul(-self.mean / self.scale, batch.x, 1.0 / self.scale)


def standardised(features: np.ndarray, names: tuple[str, ...], hidden: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(mean, scale) of each feature; one that is not seen gets a scale so large that it says nothing.

    Raises:
        UnknownName: a hidden feature that does not exist.
    """
    for name in hidden:
        if name not in names:
            raise UnknownName("feature", name, names)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    varied = scale > 1e-5 * np.maximum(np.abs(mean), 1e-3)  # less is the rounding of a constant
    seen = np.array([name not in hidden for name in names]) & varied
    return mean, np.where(seen, scale, 1e12)


class FactoredNetwork(Scaled):
    """Factors to the closed form; a subclass says what g is."""

    kind_factor: torch.Tensor
    grain: torch.Tensor
    recipe: Factored

    def __init__(self, recipe: Factored, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        self.kinds = [feature_names.index(name) for name in recipe.calibrate if name in feature_names]
        self.register_buffer("kind_factor", torch.zeros(len(recipe.calibrate) + 1, len(metrics)))
        self.register_buffer("grain", recipe.grain * self.offset, persistent=False)

    def adopt(self, graphs: Graphs) -> None:
        """Take scales and factors of kinds from a training set."""
        super().adopt(graphs)
        if self.recipe.calibrate:
            self.kind_factor.copy_(torch.from_numpy(kind_factors(graphs, self.recipe.calibrate)))

    def learned(self, batch: Batch) -> torch.Tensor:
        """g of each row and metric, shape `(rows, metrics)`."""
        raise NotImplementedError

    def factors(self, batch: Batch) -> torch.Tensor:
        """Logarithm of what each row takes over its closed form, shape `(rows, metrics)`."""
        return self._total_factor(batch, self.learned(batch))

    def _total_factor(self, batch: Batch, g: torch.Tensor) -> torch.Tensor:
        bounded = g.clamp(-LIMIT, LIMIT)
        if not self.recipe.calibrate:
            return bounded
        flags = torch.cat([batch.x[:, self.kinds] > 0.5, torch.ones_like(batch.x[:, :1], dtype=torch.bool)], dim=1)
        return bounded + self.kind_factor[flags.to(torch.uint8).argmax(dim=1)]

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logarithm of each network's cost and offset, shape `(networks, metrics)`."""
        g = self.learned(batch)
        self.penalty = self.recipe.shrinkage * (g**2).mean()
        rows = (batch.cost + self.grain) * torch.exp(self._total_factor(batch, g))
        shape = (len(batch), rows.shape[1])
        if "max" not in self.readout:
            total = rows.new_zeros(shape).index_add_(0, batch.owner, rows)
        else:
            index = batch.owner[:, None]
            columns = [
                rows.new_zeros(shape[0], 1).index_add_(0, batch.owner, column)
                if how == "sum"
                else rows.new_zeros(shape[0], 1).scatter_reduce(0, index, column, "amax", include_self=True)
                for how, column in zip(self.readout, rows.split(1, dim=1), strict=True)
            ]
            total = torch.cat(columns, dim=1)
        return torch.log(total + batch.rest + self.offset)


class Additive(FactoredNetwork):
    """g from a row's own features."""

    def __init__(self, recipe: Factored, *, feature_names: tuple[str, ...], metrics: tuple[str, ...], readout: tuple[str, ...]) -> None:
        super().__init__(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
        layers: list[nn.Module] = []
        for a, b in pairwise([len(feature_names), *[recipe.width] * recipe.depth]):
            layers += [nn.Linear(a, b), nn.SiLU(), *([nn.Dropout(recipe.dropout)] if recipe.dropout else [])]
        self.net = nn.Sequential(*layers, zero(recipe.width, len(metrics)))

    def learned(self, batch: Batch) -> torch.Tensor:
        """g of each row and metric, shape `(rows, metrics)`."""
        return self.net(self.scaled(batch))

    def mlp(self) -> Mlp:
        """As plain arrays, for one metric."""
        layers = tuple((m.weight.detach().double().numpy(), m.bias.detach().double().numpy()) for m in self.net if isinstance(m, nn.Linear))
        return Mlp(self.mean.double().numpy(), self.scale.double().numpy(), layers)


def zero(inputs: int, outputs: int) -> nn.Linear:
    """A layer that says 0 until it is trained."""
    last = nn.Linear(inputs, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return last
