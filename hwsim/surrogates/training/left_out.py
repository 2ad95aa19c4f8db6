"""Predictions of networks that training did not see, and what is known from their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks import build
from hwsim.surrogates.networks.recipes import NetworkRecipe
from hwsim.surrogates.training.fidelity import Before


def folds(names: np.ndarray, *, count: int, seed: int = 0) -> np.ndarray:
    """Fold of each network, all of one name together; every name is a fold of its own where `count` is 0."""
    known = sorted(set(names.tolist()))
    order = known if count == 0 else np.random.default_rng(seed).permutation(known).tolist()
    where = {name: i if count == 0 else i % count for i, name in enumerate(order)}
    return np.array([where[name] for name in names.tolist()])


@dataclass(frozen=True)
class Loop:
    """How training runs are run; see `hwsim.surrogates.training.loop.fit`."""

    folder: Path | None = None
    """Each run has a folder of its own in it."""
    resume: bool = True
    devices: int = 1
    tell: Callable[[str], None] | None = None
    before: Before | None = None
    """Cheap labels that networks learn first."""

    def begun(self, recipe: NetworkRecipe, kept: Graphs, *, unseen: np.ndarray, seed: int, name: str) -> Any:
        """An untrained network, or one that has learned cheap labels but for the names that must stay unseen."""
        if self.before is None:
            return build(recipe, kept, seed=seed)
        return self.before.begun(recipe, kept, unseen=unseen, seed=seed, fit=self.fit, name=name)

    def fit(self, model: Any, graphs: Graphs, *, recipe: NetworkRecipe, seed: int, validation: Graphs | None, name: str) -> Any:
        """One run; a line for each epoch only where it is kept in a folder."""
        from hwsim.surrogates.training.loop import fit

        where = None if self.folder is None else self.folder / name
        said = self.tell if where else None
        options: dict[str, Any] = {"folder": where, "resume": self.resume, "devices": self.devices, "tell": said}
        return fit(model, graphs, recipe=recipe, seed=seed, validation=validation, **options).model


def left_out(
    data: Graphs, fold: np.ndarray, recipe: NetworkRecipe, *, by: np.ndarray, seeds: Sequence[int], loop: Loop
) -> tuple[np.ndarray, np.ndarray]:
    """(costs, spread of their logarithms) of every network, shape `(networks, metrics)`, each from members trained on the other folds.

    Args:
        data: the training set.
        fold: of each network, shape `(networks,)`.
        recipe: of the members.
        by: names of which all of one are watched by patience together, shape `(networks,)`.
        seeds: one a member.
        loop: how they are trained.
    """
    from hwsim.surrogates.networks import answers

    mean, spread = np.full(data.measured.shape, np.nan), np.full(data.measured.shape, np.nan)
    for held in sorted(set(fold.tolist())):
        others, inside = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        given: dict[str, Any] = {"by": by[others], "unseen": np.unique(by[inside]), "seeds": seeds, "loop": loop}
        members = ensemble(data.take(others), recipe, name=f"without-{held}", **given)
        mean[inside], spread[inside] = answers(members, data.take(inside))
        if loop.tell:
            with np.errstate(divide="ignore", invalid="ignore"):
                error = np.nanmedian(np.abs(mean[inside] / data.measured[inside] - 1), axis=0)
            told = ", ".join(f"{name} {100 * e:.1f} %" for name, e in zip(data.metrics, error, strict=True))
            loop.tell(f"fold {held}: {len(inside)} networks, median error {told}")
    return mean, spread


def ensemble(
    data: Graphs,
    recipe: NetworkRecipe,
    *,
    seeds: Sequence[int],
    by: np.ndarray | None = None,
    loop: Loop | None = None,
    name: str = "all",
    unseen: Any = (),
) -> tuple[Any, ...]:
    """One member a seed, trained; the groups that patience watches (of `by`, or single networks) differ from seed to seed.

    Names that are `unseen` are not learned from cheap labels, either.
    """
    members, chosen, names = [], loop or Loop(), np.arange(len(data)) if by is None else by
    for seed in seeds:
        watched = _watched(names, recipe, seed)
        kept, held = data.take(np.flatnonzero(~watched)), data.take(np.flatnonzero(watched)) if watched.any() else None
        called, hidden = f"{name}-seed-{seed}", np.array([*unseen, *np.unique(names[watched])]).astype(str)
        model = chosen.begun(recipe, kept, unseen=hidden, seed=seed, name=called)
        members.append(chosen.fit(model, kept, recipe=recipe, seed=seed, validation=held, name=called))
    return tuple(members)


def _watched(by: np.ndarray, recipe: NetworkRecipe, seed: int) -> np.ndarray:
    """Networks of a share of the names, of one or more, but not of all; of a share of the networks where there is one name."""
    known = sorted(set(by.tolist()))
    if not recipe.patience:
        return np.zeros(len(by), dtype=bool)
    if len(known) == 1 < len(by):
        return _watched(np.arange(len(by)), recipe, seed)
    chosen = np.random.default_rng(seed).permutation(known)[: min(max(1, round(recipe.validation * len(known))), len(known) - 1)]
    return np.isin(by, chosen)


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
