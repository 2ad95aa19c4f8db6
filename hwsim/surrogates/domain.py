"""How far a network lies from those that a surrogate was trained on: a score from its rows alone.

A network is the mean of its rows' features weighted by cost, their spread, and their plain mean; the score is the distance to the nearest
network of training, on axes along which those networks vary alike. Features that no network varies in (device, mapping) are left out: who
trusts a surrogate asks for them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

KEPT = 4000
"""Most networks that are kept to measure from."""
QUANTILE = 0.95
"""Share of left-out networks of known kinds that are to count as known."""
PARTS = 5
"""Parts that the networks are dealt into to find the limit."""
RIDGE = 0.01
"""Variance added to every axis before they are made alike."""


@dataclass(frozen=True)
class Domain:
    """Networks of training, to measure others from; plain arrays."""

    chosen: np.ndarray
    """Features that are looked at, shape `(looked,)`, int64."""
    mean: np.ndarray
    """Of each such feature over all rows, shape `(looked,)`."""
    scale: np.ndarray
    """Standard deviation, shape `(looked,)`."""
    center: np.ndarray
    """Mean network, shape `(3 looked,)`."""
    whiten: np.ndarray
    """To axes of like variance, shape `(3 looked, axes)`."""
    known: np.ndarray
    """Networks on these axes, shape `(kept, axes)`."""
    limit: np.ndarray
    """Greatest score that counts as known, shape `(1,)`."""

    @classmethod
    def fit(cls, graphs: Any, *, together: str = "model", seed: int = 0) -> Domain:
        """From networks of training: anything with `features`, `cost`, `start` and `labels`.

        Args:
            together: label whose values are left out as one to find the limit; each network on its own where the labels lack it.
        """
        weight = shares(graphs.cost, graphs.start)
        chosen = _varying(graphs.features, graphs.start)
        rows = graphs.features[:, chosen].astype(float)
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        summary = _summary((rows - mean) / scale, weight, graphs.start)
        names = graphs.labels[together] if together in graphs.labels else np.arange(len(summary)).astype(str)
        center, whiten = _axes(summary)
        known = _spread_out((summary - center) @ whiten)
        return cls(chosen, mean, scale, center, whiten, known, np.array([_limit(summary, _parts(names, seed))]))

    def score(self, features: np.ndarray, cost: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Distance of each network to the nearest one of training, shape `(networks,)`; each its own, whatever its neighbours.

        Args:
            features: of all rows, shape `(rows, features)`.
            cost: closed form of each row times its count, shape `(rows,)` or `(rows, metrics)`.
            start: first row of each network, and the end; shape `(networks + 1,)`.
        """
        rows = (features[:, self.chosen] - self.mean) / self.scale
        summary = _summary(rows, shares(cost, start), start)
        return np.array([self._distance(one) for one in summary])

    def _distance(self, summary: np.ndarray) -> float:
        away = self.known - (summary - self.center) @ self.whiten
        return float(np.sqrt(np.min(np.einsum("ij,ij->i", away, away))))

    def arrays(self, prefix: str = "domain") -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        return {f"{prefix}.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str = "domain") -> Domain | None:
        """From what `arrays` gave; None where nothing of that name was kept."""
        if f"{prefix}.known" not in arrays:
            return None
        held = cls(**{field.name: np.asarray(arrays[f"{prefix}.{field.name}"]) for field in fields(cls)})
        return replace(held, **{name: np.asarray(getattr(held, name), dtype=np.float64) for name in _REAL})


_REAL = ("mean", "scale", "center", "whiten", "known", "limit")


def shares(cost: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Share of each row in the cost of its network, the mean over metrics, shape `(rows,)`; all alike where nothing costs anything."""
    wide = np.asarray(cost, dtype=float).reshape(len(cost), -1) + 1e-30
    total = np.add.reduceat(wide, start[:-1], axis=0)
    return np.mean(wide / np.repeat(total, np.diff(start), axis=0), axis=1)


def _varying(features: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Features that differ between rows of at least one network; all of them where networks have one row each."""
    first = np.repeat(features[start[:-1]], np.diff(start), axis=0)
    found = np.flatnonzero(np.any(np.abs(features - first) > 1e-6, axis=0))
    return found if len(found) else np.arange(features.shape[1])


def _summary(rows: np.ndarray, weight: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Weighted mean, weighted spread and plain mean of the rows of each network, shape `(networks, 3 features)`."""
    heavy = weight[:, None]
    mean = np.add.reduceat(heavy * rows, start[:-1], axis=0)
    square = np.add.reduceat(heavy * rows**2, start[:-1], axis=0)
    plain = np.add.reduceat(rows, start[:-1], axis=0) / np.diff(start)[:, None]
    return np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0.0)), plain], axis=1)


def _axes(summary: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(center, matrix to axes of like variance) of networks; with a ridge, so that what hardly varies is not blown up."""
    center, scale = summary.mean(axis=0), summary.std(axis=0) + 1e-3
    alike = (summary - center) / scale
    values, vectors = np.linalg.eigh(alike.T @ alike / len(alike) + RIDGE * np.eye(alike.shape[1]))
    return center, vectors / np.sqrt(values) / scale[:, None]


def _parts(names: np.ndarray, seed: int) -> np.ndarray:
    known, where = np.unique(names, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(known)) % PARTS)[where]


def _limit(summary: np.ndarray, part: np.ndarray) -> float:
    """Score below which that share of the networks lies whose model training did not see; no limit where there is only one model."""
    scores = [_left_out(summary, part == i) for i in range(PARTS) if (part == i).any() and (part != i).any()]
    return float(np.quantile(np.concatenate(scores), QUANTILE)) if scores else np.inf


def _left_out(summary: np.ndarray, held: np.ndarray) -> np.ndarray:
    center, whiten = _axes(summary[~held])
    known, asked = ((summary[part] - center) @ whiten for part in (~held, held))
    return nearest(asked, _spread_out(known))


def nearest(asked: np.ndarray, known: np.ndarray, chunk: int = 512) -> np.ndarray:
    """Distance of each point to the nearest of those that are known, shape `(points,)`."""
    norm, found = np.sum(known**2, axis=1), []
    for i in range(0, len(asked), chunk):
        some = asked[i : i + chunk]
        square = np.sum(some**2, axis=1)[:, None] + norm - 2 * some @ known.T
        found.append(np.sqrt(np.maximum(square.min(axis=1), 0.0)))
    return np.concatenate(found)


def _spread_out(points: np.ndarray, most: int = KEPT) -> np.ndarray:
    """At most so many points, each farthest from those before, so that every point has one nearby."""
    if len(points) <= most:
        return points
    single = points.astype(np.float32)
    norm = np.sum(single**2, axis=1)
    kept, away = [0], np.full(len(points), np.inf, dtype=np.float32)
    while len(kept) < most:
        away = np.minimum(away, norm - 2 * single @ single[kept[-1]] + norm[kept[-1]])
        kept.append(int(np.argmax(away)))
    return points[kept]
