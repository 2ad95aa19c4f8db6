"""Boosted trees on operators: how they are trained, and how they are judged on layers, shapes and devices that they did not see."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from hwsim.surrogates.training.operators import Base, Measured, fitted
from hwsim.surrogates.trees import Trees, exported
from hwsim.targets.gpu.operator_features import DEVICE

Positive = Annotated[int, msgspec.Meta(ge=1)]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""From features, logarithms of measured over closed form and weights to what predicts these logarithms."""


class TreesRecipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="trees"):
    """How boosted trees are trained (scikit-learn's HistGradientBoostingRegressor on the absolute error of the logarithm)."""

    trees: Positive = 300
    leaves: Annotated[int, msgspec.Meta(ge=2, le=1024)] = 63
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.12
    least_rows: Positive = 10
    """Rows that a leaf has at least."""
    features_frac: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    """Share of the features that a split may choose from."""
    rows: Positive = 40000
    """Most measurements of a device and operator that are used, drawn at random."""
    relative: bool = False
    """Whether errors count relative to what was measured, as tables state them, and not to what is predicted: where readings scatter,
    the lower ones weigh more."""


ABROAD = TreesRecipe(trees=150, leaves=15, learning_rate=0.06, least_rows=40, rows=15000)
"""For devices that were not measured: fewer and smaller trees, which see no quantities of the device."""


def regressor(recipe: TreesRecipe, *, seed: int = 0) -> Any:
    """An unfitted one of scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    whole: Any = False
    return HistGradientBoostingRegressor(
        loss="absolute_error",
        early_stopping=whole,
        max_iter=recipe.trees,
        max_leaf_nodes=recipe.leaves,
        learning_rate=recipe.learning_rate,
        min_samples_leaf=recipe.least_rows,
        max_features=recipe.features_frac,
        random_state=seed,
    )


def boosted(recipe: TreesRecipe, *, seed: int = 0) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Trees]:
    """Trains trees."""

    def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Trees:
        counted = weight * np.exp(-y) if recipe.relative else weight
        return exported(regressor(recipe, seed=seed).fit(x, y, sample_weight=counted))

    return fit


def extra_trees(seed: int = 0) -> Fit:
    """A forest of extremely random trees, to compare with."""
    from sklearn.ensemble import ExtraTreesRegressor

    return lambda x, y, weight: ExtraTreesRegressor(30, random_state=seed, min_samples_leaf=2).fit(x, y, sample_weight=weight).predict


def light_gbm(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """LightGBM with as many trees and leaves as ours, to compare with; needs the package `lightgbm`."""
    lightgbm: Any = importlib.import_module("lightgbm")
    given = {"n_estimators": 300, "num_leaves": 63, "learning_rate": 0.12, "objective": "l1", "colsample_bynode": 0.3, "verbose": -1}
    return lightgbm.LGBMRegressor(**given, n_jobs=1, random_state=0).fit(x, y, sample_weight=weight).predict


def residuals(kernels: Measured, base: Base) -> np.ndarray:
    """Logarithm of measured over closed form."""
    return np.log(kernels.measured / base.predict(kernels))


def at_home(kernels: Measured, base: Base, fit: Fit) -> Callable[[np.ndarray], np.ndarray]:
    """What learns one device."""
    return fit(base.features(kernels), residuals(kernels, base), np.ones(len(kernels)))


def abroad(kernels: Sequence[Measured], base: Base, fit: Fit) -> Callable[[np.ndarray], np.ndarray]:
    """What learns from several devices for others: each weighs the same, and the device's quantities are hidden."""
    x = np.concatenate([hidden(base.features(m)) for m in kernels])
    weight = np.concatenate([np.full(len(m), 1e4 / len(m)) for m in kernels])
    return fit(x, np.concatenate([residuals(m, base) for m in kernels]), weight)


def hidden(features: np.ndarray) -> np.ndarray:
    """Features without what the device is."""
    found = features.copy()
    found[..., -len(DEVICE) :] = 0.0
    return found


def unseen(kernels: Sequence[Measured], *, by: str, seed: int, share: float = 0.2) -> Iterator[tuple[list[Measured], list[Measured]]]:
    """(training part, left-out part) of all devices: whole layers (`layer`), single shapes (`shape`), or each device in turn (`device`)."""
    if by == "device":
        for name in [m.device.name for m in kernels]:
            yield [m for m in kernels if m.device.name != name], [m for m in kernels if m.device.name == name]
        return
    draw, known, rest = np.random.default_rng(seed), [], []
    for m in kernels:
        if by == "layer":
            layers = np.unique(m.layer)
            out = np.isin(m.layer, draw.choice(layers, max(1, round(share * len(layers))), replace=False))
        else:
            out = draw.random(len(m)) < share
        known.append(m.take(np.flatnonzero(~out)))
        rest.append(m.take(np.flatnonzero(out)))
    yield known, rest


def judged(
    kernels: Sequence[Measured], *, by: str, seed: int, fit: Fit, base: Callable[[Sequence[Measured]], Base] = fitted
) -> Iterator[tuple[Measured, np.ndarray, np.ndarray]]:
    """(left-out kernels of a device, closed form, prediction); neither the closed form's constants nor the trees saw them."""
    for known, rest in unseen(kernels, by=by, seed=seed):
        form = base(known)
        elsewhere = abroad(known, form, fit) if by == "device" else None
        for i, held in enumerate(rest):
            seen = form.features(held)
            closed = form.predict(held)
            learned = elsewhere(hidden(seen)) if elsewhere else at_home(known[i], form, fit)(seen)
            yield held, closed, closed * np.exp(learned)
