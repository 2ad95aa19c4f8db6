"""Predictions of networks that training did not see, and what is known from their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import Mlp
from hwsim.surrogates.networks.recipes import AdditiveRecipe
from hwsim.surrogates.training.additive import predicted, train


def folds(names: np.ndarray, *, count: int, seed: int = 0) -> np.ndarray:
    """Fold of each network, all of one name together; every name is a fold of its own where `count` is 0."""
    known = sorted(set(names.tolist()))
    order = known if count == 0 else np.random.default_rng(seed).permutation(known).tolist()
    where = {name: i if count == 0 else i % count for i, name in enumerate(order)}
    return np.array([where[name] for name in names.tolist()])


def left_out(
    data: Graphs,
    fold: np.ndarray,
    recipe: AdditiveRecipe,
    *,
    names: tuple[str, ...],
    seeds: Sequence[int],
    progress: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, spread of their logarithm) of every network, each from members trained on the other folds."""
    mean, spread = np.zeros(len(data)), np.zeros(len(data))
    for held in sorted(set(fold.tolist())):
        members = ensemble(data.take(np.flatnonzero(fold != held)), recipe, names=names, seeds=seeds)
        inside = np.flatnonzero(fold == held)
        mean[inside], spread[inside] = predicted(members, data.take(inside))
        if progress:
            error = np.abs(np.exp(mean[inside]) / data.measured[inside, 0] - 1)
            progress(f"fold {held}: {len(inside)} networks, median error {100 * np.median(error):.1f} %")
    return np.exp(mean), spread


def ensemble(data: Graphs, recipe: AdditiveRecipe, *, names: tuple[str, ...], seeds: Sequence[int]) -> tuple[Mlp, ...]:
    """One member a seed."""
    return tuple(train(data, recipe, names=names, seed=seed) for seed in seeds)


def error_table(measured: np.ndarray, found: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Percentage errors and conformal ranges of all rows and of each group."""
    table: dict[str, Any] = {"level": LEVEL}
    for name in ("all", *sorted(set(groups.tolist()))):
        kept = np.full(len(measured), True) if name == "all" else groups == name
        error = np.abs(found[kept] / measured[kept] - 1)
        low, high = conformal_ratios(measured[kept] / found[kept])
        table[name] = {
            "n": int(kept.sum()),
            "median_ape": round(float(np.median(error)), 4),
            "mean_ape": round(float(np.mean(error)), 4),
            "p90_ape": round(float(np.quantile(error, 0.9)), 4),
            "low_ratio": None if np.isnan(low) else round(low, 4),
            "high_ratio": None if np.isnan(high) else round(high, 4),
        }
    return table
