"""Ridge regression for few rows: the shrinkage is chosen by whole groups left out, and the simplest choice within its error wins.

Sources: Hoerl and Kennard 1970, Technometrics 12(1); leave-out residuals from the hat matrix: Hastie, Tibshirani and Friedman 2009,
chapter 7.10; one standard error: Breiman et al. 1984, Classification and Regression Trees, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

CHOICES = (np.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Penalties to choose from, strongest first; the first leaves the mean alone."""
FREE = 1e-3
"""Penalty of the constant, rows that it is worth."""
DOMAIN = 10.0
"""Penalty by which distances from the training rows are measured, whatever the model uses of the features."""
FOLDS = 20
"""Most parts that groups are dealt into to judge."""


@dataclass(frozen=True)
class Ridge:
    """A linear model of standardised features."""

    mean: np.ndarray
    """Shape `(features,)`."""
    scale: np.ndarray
    """Shape `(features,)`; a feature that never varied has infinity and says nothing."""
    weights: np.ndarray
    """The constant first, shape `(features + 1,)`."""
    inverse: np.ndarray
    """(X'X + DOMAIN)^-1 of the standardised design, shape `(features + 1, features + 1)`."""
    penalty: float
    reach: float
    """Leverage that nine of ten training rows stay within when their group is left out."""
    low: float
    high: float
    """Least and greatest label of training; answers stay within."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Labels of rows, shape `(...)` for features of shape `(..., features)`; each row's own, whatever its neighbours."""
        return np.clip(np.sum(self._design(features) * self.weights, axis=-1), self.low, self.high)

    def leverage(self, features: np.ndarray) -> np.ndarray:
        """How far rows lie from the training rows, x' (X'X + DOMAIN)^-1 x, shape `(...)`."""
        x = self._design(features)
        return np.einsum("...i,ij,...j->...", x, self.inverse, x)

    def inside(self, features: np.ndarray) -> np.ndarray:
        """In-domain score, shape `(...)`: 1 among the training rows, 0.5 at their edge, towards 0 far away."""
        return 1.0 / (1.0 + (self.leverage(features) / max(self.reach, 1e-12)) ** 2)

    def _design(self, features: np.ndarray) -> np.ndarray:
        z = (np.asarray(features, dtype=float) - self.mean) / self.scale
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        numbers = np.array([self.penalty, self.reach, self.low, self.high])
        held = {"mean": self.mean, "scale": self.scale, "weights": self.weights, "inverse": self.inverse, "numbers": numbers}
        return {f"{prefix}.{name}": value for name, value in held.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Ridge:
        """From what `arrays` gave."""
        names = ("mean", "scale", "weights", "inverse")
        held = {name: np.asarray(arrays[f"{prefix}.{name}"], dtype=np.float64) for name in names}
        return cls(**held, **dict(zip(("penalty", "reach", "low", "high"), map(float, arrays[f"{prefix}.numbers"]), strict=True)))


@dataclass(frozen=True)
class Judged:
    """What groups that were left out show."""

    found: np.ndarray
    """Labels predicted without the group of the row, shape `(rows,)`."""
    leverage: np.ndarray
    """Of each row before the others, shape `(rows,)`."""


def fit(features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray | None = None, penalty: float | None = None) -> Ridge:
    """A model of rows; its constant is such that as many training rows lie above as below.

    Args:
        features: shape `(rows, features)`.
        labels: shape `(rows,)`.
        groups: rows that stay together when the penalty is chosen; by default each row on its own.
        penalty: instead of the one that left-out groups choose; infinity leaves the mean of the labels.
    """
    x, y = np.asarray(features, dtype=float), np.asarray(labels, dtype=float)
    names = np.arange(len(y)) if groups is None else np.asarray(groups)
    parts = _singles(names) or _parts(names)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-6 * np.maximum(np.abs(mean), 1e-3), scale, np.inf)
    design = np.concatenate([np.ones((len(y), 1)), (x - mean) / scale], axis=1)
    chosen = _chosen(design, y, parts) if penalty is None else float(penalty)
    weights = _inverse(design, chosen) @ (design.T @ y)
    weights[0] += np.median(y - design @ weights)
    leverage = _left_out(design, y, parts, DOMAIN).leverage
    reach = float(np.quantile(leverage, 0.9)) if len(y) > 1 else 1.0
    return Ridge(mean, scale, weights, _inverse(design, DOMAIN), chosen, reach, float(y.min()), float(y.max()))


def judged(features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray | None = None, penalty: float | None = None) -> Judged:
    """Predictions of rows whose groups were left out of everything, the choice of the penalty included."""
    x, y = np.asarray(features, dtype=float), np.asarray(labels, dtype=float)
    names = np.arange(len(y)) if groups is None else np.asarray(groups)
    found, leverage = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for held in _parts(names):
        rest = np.setdiff1d(np.arange(len(y)), held)
        if len(rest):
            model = fit(x[rest], y[rest], groups=names[rest], penalty=penalty)
            found[held], leverage[held] = model(x[held]), model.leverage(x[held])
    return Judged(found, leverage)


def _singles(groups: np.ndarray) -> list[np.ndarray]:
    """Each row on its own, where it is; else nothing."""
    return list(np.arange(len(groups))[:, None]) if len(set(groups.tolist())) == len(groups) else []


def _parts(groups: np.ndarray) -> list[np.ndarray]:
    """Rows of each part that is left out at once."""
    names, code = np.unique(groups, return_inverse=True)
    dealt = np.random.default_rng(0).permutation(len(names)) % FOLDS if len(names) > FOLDS else np.arange(len(names))
    part = dealt[np.ravel(code)]
    return [np.flatnonzero(part == k) for k in range(int(part.max(initial=-1)) + 1)]


def _inverse(design: np.ndarray, penalty: float) -> np.ndarray:
    kept = np.r_[True, np.any(design[:, 1:] != 0, axis=0) & np.isfinite(penalty)]
    found = np.zeros((design.shape[1], design.shape[1]))
    x = design[:, kept]
    rest = np.full(x.shape[1] - 1, penalty if x.shape[1] > 1 else 0.0)
    found[np.ix_(kept, kept)] = np.linalg.inv(x.T @ x + np.diag(np.r_[FREE, rest]))
    return found


def _left_out(design: np.ndarray, labels: np.ndarray, parts: list[np.ndarray], penalty: float) -> Judged:
    """As if each part had been left out, from one fit: residual (1 - H)^-1 r of the part."""
    inverse = _inverse(design, penalty)
    residual = labels - design @ (inverse @ (design.T @ labels))
    if len(parts) == len(labels):
        own = np.einsum("ij,jk,ik->i", design, inverse, design)
        return Judged(labels - residual / (1 + 1e-9 - own), own / (1 + 1e-9 - own))
    found, leverage = np.empty(len(labels)), np.empty(len(labels))
    for rows in parts:
        hat = design[rows] @ inverse @ design[rows].T
        away = np.linalg.inv((1 + 1e-9) * np.eye(len(rows)) - hat)
        found[rows] = labels[rows] - away @ residual[rows]
        leverage[rows] = np.diag(away @ hat)
    return Judged(found, leverage)


def _chosen(design: np.ndarray, labels: np.ndarray, parts: list[np.ndarray]) -> float:
    """The strongest penalty whose error is within one standard error of the least."""
    if len(parts) < 3:
        return CHOICES[0]
    errors = np.array([[np.mean(e[rows]) for rows in parts] for e in _errors(design, labels, parts)])
    mean = errors.mean(axis=1)
    best = int(np.argmin(mean))
    difference = errors - errors[best]
    allowed = difference.std(axis=1, ddof=1) / np.sqrt(len(parts))
    return CHOICES[int(np.flatnonzero(difference.mean(axis=1) <= allowed)[0])]


def _errors(design: np.ndarray, labels: np.ndarray, parts: list[np.ndarray]) -> list[np.ndarray]:
    return [np.abs(_left_out(design, labels, parts, penalty).found - labels) for penalty in CHOICES]
