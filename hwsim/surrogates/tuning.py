"""Taking an additive surrogate to a device of which a few networks were measured: members stay, a linear function of features joins them.

log(factor of a row) = g(features) + w . (1, standardised features). The prior of w is normal around zero: an offset of the device, a bias
of each kind of row, a slope along every other feature. How wide each is, and how noisy measurements are, is weighed by how well networks
that are left out are predicted; the noise has heavy tails, so that a network whose kernels are off by far moves little.

Sources: Bayesian linear regression, Bishop 2006, Pattern Recognition and Machine Learning, chapter 3; Student's t by reweighting: Lange,
Little and Taylor 1989, JASA 84(408); weights by left-out densities: Yao et al. 2018, Bayesian Analysis 13(3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import lgamma

import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset

OFFSET = (0.1, 0.4)
"""Standard deviation of the offset of a device, in logarithms, to choose from."""
KINDS = (0.0, 0.05)
"""The same of the bias of a kind of row (features that are 0 or 1)."""
SLOPES = (0.0, 0.01, 0.03)
"""The same along every other feature, in its standard deviations."""
NOISE = (0.02, 0.04, 0.08, 0.16)
"""Scale of the logarithm of a measurement over what a sum of rows can say."""
FREEDOM = 2.0
"""Degrees of freedom of Student's t."""
SIMPLE = 4.0
"""Log density that biases of kinds, and slopes, must win each before they count."""
STEPS = 3
"""Linearisations of the logarithm of a sum."""
REWEIGHTED = 6


@dataclass(frozen=True)
class TunableRows:
    """What the members of a surrogate say of the rows of networks."""

    graphs: Graphs
    """With the closed forms that factors multiply."""
    factor: np.ndarray
    """Logarithm of the factor of each row, shape `(rows, metrics)`."""
    spread: np.ndarray
    """Disagreement of the members on each network, shape `(networks, metrics)`."""
    mean: np.ndarray
    scale: np.ndarray
    """Of the features in training, shape `(features,)` each; 1e6 and more of one that is not seen."""


@dataclass(frozen=True)
class Correction:
    """What is added to the logarithm of the factor of every row."""

    mean: np.ndarray
    """Shape `(features,)`."""
    scale: np.ndarray
    """Shape `(features,)`; a feature that says nothing has infinity."""
    weights: np.ndarray
    """The offset first, shape `(metrics, features + 1)`."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Shape `(..., metrics)` for features of shape `(..., features)`; each row's own, whatever its neighbours."""
        return self.design(features) @ self.weights.T

    def design(self, features: np.ndarray) -> np.ndarray:
        """A one, then the standardised features."""
        z = (np.asarray(features, dtype=float) - self.mean) / self.scale
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        return {f"tuned.{name}": getattr(self, name) for name in ("mean", "scale", "weights")}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Correction | None:
        """From what `arrays` gave; None where a surrogate was not tuned."""
        if "tuned.weights" not in arrays:
            return None
        return cls(*(np.asarray(arrays[f"tuned.{name}"], dtype=float) for name in ("mean", "scale", "weights")))


def tuned(graphs: Graphs, factor: np.ndarray, *, mean: np.ndarray, scale: np.ndarray, groups: np.ndarray | None = None) -> Correction:
    """The correction that a few measured networks teach.

    Args:
        graphs: the networks; metrics that were not measured are not a number.
        factor: logarithm of each row's factor by the members, shape `(rows, metrics)`.
        mean: of the features where the members were trained, shape `(features,)`.
        scale: standard deviation likewise; 1e6 and more for a feature that says nothing.
        groups: of each network; those of a group are left out together. By default each is its own.
    """
    says = (np.ptp(graphs.features, axis=0) > 0) & (scale < 1e6)
    blank = Correction(mean, np.where(says, scale, np.inf), np.zeros((len(graphs.metrics), len(mean) + 1)))
    z, binary = blank.design(graphs.features), np.all((graphs.features == 0) | (graphs.features == 1), axis=0) & says
    role = np.concatenate([[0], np.where(binary, 1, np.where(says, 2, 3))])
    names = np.arange(len(graphs)) if groups is None else np.unique(groups, return_inverse=True)[1]
    weights = [_metric(graphs, at, factor[:, at], z, role, names) for at in range(len(graphs.metrics))]
    return Correction(blank.mean, blank.scale, np.stack(weights))


def log_totals(graphs: Graphs, factor: np.ndarray) -> np.ndarray:
    """Logarithm of each network's cost (plus one for counts), shape `(networks, metrics)`, from logarithms of factors of its rows."""
    cost = np.maximum(graphs.cost * np.exp(factor), graphs.floor)
    return np.log(np.maximum(graphs.total(cost), graphs.least) + [offset(name) for name in graphs.metrics])


def _metric(graphs: Graphs, at: int, factor: np.ndarray, z: np.ndarray, role: np.ndarray, names: np.ndarray) -> np.ndarray:
    o, weights = offset(graphs.metrics[at]), np.zeros(z.shape[1])
    measured = graphs.measured[:, at] + o
    kept = np.isfinite(measured) & (measured > 0)
    if not kept.any():
        return weights
    for _ in range(STEPS):
        total, slope = _linearised(graphs, at, factor + z @ weights, z)
        kept &= np.isfinite(total)
        label = np.log(measured[kept]) - total[kept] + slope[kept] @ weights
        weights = _weighed(slope[kept], label, role, names[kept])
    return weights


def _linearised(graphs: Graphs, at: int, factor: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(logarithm of the networks' cost, its gradient by the weights)."""
    o, first = offset(graphs.metrics[at]), graphs.start[:-1]
    learned, floor, least = graphs.cost[:, at] * np.exp(factor), graphs.floor[:, at], graphs.least[:, at]
    cost = np.maximum(learned, floor)
    moved = np.where(learned >= floor, cost, 0.0)
    if graphs.readout[at] == "max":
        made = np.maximum.reduceat(cost, first)
        moved = np.where(cost == made[graphs.owner], moved, 0.0)
    else:
        made = np.add.reduceat(cost, first)
    total = made + graphs.rest[:, at]
    moved = np.where((total >= least)[graphs.owner], moved, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.maximum(total, least) + o
        return np.log(whole), np.add.reduceat(moved[:, None] * z, first) / np.where(whole > 0, whole, 1.0)[:, None]


def _weighed(x: np.ndarray, y: np.ndarray, role: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Mean of the weights over all choices, by the density of what is left out."""
    found = [_fitted(x, y, widths[role], noise, names) for widths, noise in _choices()]
    score = np.array([s for s, _ in found]) - [SIMPLE * np.count_nonzero(widths[1:]) for widths, _ in _choices()]
    share = np.exp(score - score.max())
    return (share / share.sum()) @ np.stack([w for _, w in found])


def _choices() -> Iterator[tuple[np.ndarray, float]]:
    """(standard deviation of offset, kinds, slopes and silent features; noise)."""
    for first, kinds, slopes, noise in product(OFFSET, KINDS, SLOPES, NOISE):
        yield np.array([first, kinds, slopes, 0.0]), noise


def _fitted(x: np.ndarray, y: np.ndarray, width: np.ndarray, noise: float, names: np.ndarray) -> tuple[float, np.ndarray]:
    """(log density of left-out groups, weights) under one choice."""
    used = np.flatnonzero(width)
    design = x[:, used] * width[used]
    weight, mean, residual, reach = np.ones(len(y)), np.zeros(len(used)), y, np.zeros((len(y), len(y)))
    for _ in range(REWEIGHTED):
        inverse = np.linalg.inv(design.T @ (design * weight[:, None]) / noise**2 + np.eye(len(used)))
        mean = inverse @ (design.T @ (weight * y)) / noise**2
        residual, reach = y - design @ mean, design @ inverse @ design.T
        weight = (FREEDOM + 1) / (FREEDOM + (residual**2 + np.diag(reach)) / noise**2)
    found = np.zeros(x.shape[1])
    found[used] = mean * width[used]
    return _left_out(residual, reach, weight, noise, names), found


def _left_out(residual: np.ndarray, reach: np.ndarray, weight: np.ndarray, noise: float, names: np.ndarray) -> float:
    """Log density of every measurement given those of other groups, from one fit."""
    hat = np.where(names[:, None] == names, reach * weight / noise**2, 0.0)
    away = np.linalg.inv((1 + 1e-9) * np.eye(len(names)) - hat)
    variance = np.maximum(np.sum(away * np.where(names[:, None] == names, reach, 0.0), axis=1), 0.0) + noise**2
    share = (away @ residual) ** 2 / variance / FREEDOM
    constant = lgamma((FREEDOM + 1) / 2) - lgamma(FREEDOM / 2) - 0.5 * np.log(FREEDOM * np.pi)
    return float(np.sum(constant - 0.5 * np.log(variance) - (FREEDOM + 1) / 2 * np.log1p(share)))
