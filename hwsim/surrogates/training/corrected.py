"""Training of corrected surrogates: which correction a metric gets is chosen by architectures left out inside the training part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from hwsim.surrogates.corrected import Correction, Nearby, Smooth, summary
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.training.left_out import folds
from hwsim.surrogates.trees import Trees, exported_forest

Model = Trees | Smooth
INNER = 3
"""Parts that the training architectures are dealt into to choose."""
DULL = 1e-2
"""Scale of a column that training never varied: a difference of one is a hundred away."""
WORTH = 0.85
"""Share of the closed form's loss that a correction must stay below to be taken."""
WAVES = 512
"""Fourier features of a smooth correction."""
CLUSTER = 6
"""Networks that a cluster of the in-domain score stands for, on average."""
SMALL_TREES = 2
"""Networks that a leaf has at least."""


class CorrectedRecipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="corrected"):
    """How a corrected surrogate is trained."""

    choices: tuple[str, ...] = ("none", "forest-ratio", "forest-difference", "smooth-ratio", "smoother-ratio")
    """Corrections to choose from, a metric at a time (see `CHOICES`)."""
    trees: int = 40


def columns_of(z: np.ndarray) -> np.ndarray:
    """Columns of summaries that vary, each of several that are alike once."""
    varied = np.flatnonzero(np.ptp(z, axis=0) > 1e-6)
    _, first = np.unique(z[:, varied].round(4), axis=1, return_index=True)
    return varied[np.sort(first)]


def forest(z: np.ndarray, y: np.ndarray, *, trees: int, seed: int) -> Trees:
    """Extremely random trees."""
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(trees, max_features=0.5, min_samples_leaf=SMALL_TREES, random_state=seed, n_jobs=1)
    return exported_forest(model.fit(z, y))


def smooth(z: np.ndarray, y: np.ndarray, *, width: float, ridge: float, seed: int) -> Smooth:
    """Ridge regression on Fourier features; `width` over the number of columns is the factor of the squared distance in the kernel."""
    draw = np.random.default_rng(seed)
    mean, scale = z.mean(axis=0).astype(float), z.std(axis=0).astype(float) + 1e-9
    direction = draw.normal(size=(z.shape[1], WAVES)) * np.sqrt(2.0 * width / z.shape[1])
    bare = Smooth(mean, scale, direction, draw.uniform(0.0, 2.0 * np.pi, WAVES), np.zeros(WAVES))
    waves = bare.waves(z)
    return replace(bare, weight=waves.T @ np.linalg.solve(waves @ waves.T + ridge * np.eye(len(z)), y))


CHOICES: Mapping[str, tuple[str, Callable[..., Model] | None]] = {
    "none": ("none", None),
    "forest-ratio": ("ratio", lambda z, y, recipe, seed: forest(z, y, trees=recipe.trees, seed=seed)),
    "forest-difference": ("difference", lambda z, y, recipe, seed: forest(z, y, trees=recipe.trees, seed=seed)),
    "smooth-ratio": ("ratio", lambda z, y, recipe, seed: smooth(z, y, width=0.14, ridge=0.03, seed=seed)),
    "smoother-ratio": ("ratio", lambda z, y, recipe, seed: smooth(z, y, width=0.04, ridge=0.003, seed=seed)),
}
"""Corrections by name: how they go with the closed form, and what learns them."""


def fit_one(name: str, z: np.ndarray, closed: np.ndarray, measured: np.ndarray, *, recipe: CorrectedRecipe, seed: int) -> Correction:
    """One correction of one metric."""
    form, learn = CHOICES[name]
    if learn is None:
        return Correction(form, None, 0.0, 0.0)
    y = np.log1p(measured) - np.log1p(closed) if form == "ratio" else measured - closed
    return Correction(form, learn(z, y, recipe, seed), float(y.min()), float(y.max()))


def loss(measured: np.ndarray, found: np.ndarray) -> float:
    """What a choice is judged by: SMAPE as a share, and the unexplained share of the variance."""
    smape = float(np.mean(2 * np.abs(measured - found) / (np.abs(measured) + np.abs(found) + 1)))
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return smape + (float(np.sum((measured - found) ** 2)) / spread if spread > 0 else 0.0)


def chosen(
    z: np.ndarray, closed: np.ndarray, measured: np.ndarray, groups: np.ndarray, *, recipe: CorrectedRecipe, seed: int
) -> tuple[str, Correction]:
    """The correction of one metric that does best on groups left out, trained on everything given; none where none does better."""
    parts = folds(groups, count=INNER, seed=seed)
    losses = {}
    for name in recipe.choices:
        found = np.empty(len(z))
        for part in range(INNER):
            out = parts == part
            model = fit_one(name, z[~out], closed[~out], measured[~out], recipe=recipe, seed=seed)
            found[out] = model(z[out], closed[out])
        losses[name] = loss(measured, found)
    best = min(losses, key=lambda name: losses[name])
    best = "none" if losses[best] > WORTH * losses.get("none", np.inf) else best
    return best, fit_one(best, z, closed, measured, recipe=recipe, seed=seed)


def fit(
    graphs: Graphs, groups: np.ndarray, *, recipe: CorrectedRecipe, seed: int = 0
) -> tuple[np.ndarray, dict[str, Correction], dict[str, str]]:
    """(columns of the summary, correction of each metric that was measured, its choice), from networks of these groups."""
    z = summary(graphs)
    columns, found, names = columns_of(z), {}, {}
    for at, metric in enumerate(graphs.metrics):
        kept = np.flatnonzero(np.isfinite(graphs.measured[:, at]))
        if len(kept) and len(set(groups[kept].tolist())) >= INNER:
            given = (z[kept][:, columns], graphs.closed_form[kept, at], graphs.measured[kept, at], groups[kept])
            names[metric], found[metric] = chosen(*given, recipe=recipe, seed=seed)
    return columns, found, names


def predict(graphs: Graphs, columns: np.ndarray, found: Mapping[str, Correction]) -> np.ndarray:
    """Values of networks, shape `(N, M)`; metrics that were not learned keep their closed form."""
    z, closed = summary(graphs)[:, columns], graphs.closed_form
    return np.stack([found[m](z, closed[:, i]) if m in found else closed[:, i] for i, m in enumerate(graphs.metrics)], axis=1)


def nearby(graphs: Graphs, groups: np.ndarray, *, seed: int = 0, count: int = 5) -> Nearby:
    """Distances from the networks of training; the limit comes from groups left out."""
    z = summary(graphs).astype(float)
    parts, away = folds(groups, count=count, seed=seed), []
    for part in np.unique(parts):
        model = _nearby(z[parts != part])
        away.append(model.distance(z[parts == part]))
    limit = float(np.quantile(np.concatenate(away), 0.95))
    return _nearby(z, limit)


def _nearby(z: np.ndarray, limit: float = 1.0) -> Nearby:
    mean, scale = z.mean(axis=0), z.std(axis=0)
    scale = np.where(scale > 1e-6, np.maximum(scale, DULL), DULL)
    points = _clusters(((z - mean) / scale).round(4))
    return Nearby(mean, scale, points, np.array([limit]))


def _clusters(points: np.ndarray) -> np.ndarray:
    """Means of clusters, shape `(clusters, columns)`: none of the networks itself is kept."""
    from sklearn.cluster import KMeans

    count = max(1, min(len(np.unique(points, axis=0)), len(points) // CLUSTER))
    options: dict[str, Any] = {"n_init": 2, "random_state": 0}
    return KMeans(count, **options).fit(points).cluster_centers_
