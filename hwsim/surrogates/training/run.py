"""From a recipe to a surrogate on the shelf: train on parts to judge it, then on everything."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hwsim import plugins
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.domain import Domain
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks import LIMIT
from hwsim.surrogates.networks.recipes import AdditiveRecipe, AnyNetwork, NetworkRecipe
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training import cache, fidelity, residual
from hwsim.surrogates.training.corrected import CorrectedRecipe
from hwsim.surrogates.training.left_out import Loop, ensemble, error_table, folds, left_out
from hwsim.surrogates.training.lowered import from_dataset, lines
from hwsim.surrogates.training.outcomes import Outcome, described, ranges
from hwsim.surrogates.training.recipe import DATA, Recipe, is_dataset, plain
from hwsim.surrogates.training.residual import ResidualRecipe

Tell = Callable[[str], None]


def load(recipe: Recipe, *, tell: Tell | None = None) -> Graphs:
    """The training set of a recipe; one that takes minutes to make is kept in the cache (`HWSIM_CACHE`, else `~/.cache/hwsim`).

    Raises:
        DataMissing: the measurements are not there.
        InputError: no such file.
    """
    if recipe.data not in DATA:
        if is_dataset(recipe.data):
            return _of_dataset(recipe, tell)
        if not Path(recipe.data).is_file():
            raise InputError(f"no training data {recipe.data!r}; expected a .safetensors file or one of {', '.join(DATA)}")
        return Graphs.read(recipe.data)

    def make() -> tuple[Graphs, Sequence[str]]:
        module, _, name = DATA[recipe.data].partition(":")
        say = tell or (lambda line: None)
        return getattr(importlib.import_module(module), name)(progress=lambda i, n: say(f"{recipe.data}: {i} of {n}")), ()

    return cache.kept(recipe.data, _features_key(recipe), make, tell=tell)


def _of_dataset(recipe: Recipe, tell: Tell | None) -> Graphs:
    """Networks of a data set that was built or is a file; lowered once."""
    from hwsim.datasets.store import read

    data = read(recipe.data)

    def make() -> tuple[Graphs, Sequence[str]]:
        found = from_dataset(recipe.data, family=recipe.family, tell=tell)
        return found.graphs, lines(data, found.left_out)

    file = Path(data.where)
    if not file.is_file() or len(data) < CACHED:
        return make()[0]
    named = data.text("graph") if "graph" in data.columns else ()
    return cache.kept(data.name, cache.dataset_key(file, named, family=recipe.family), make, tell=tell)


CACHED = 200
"""Rows from which a data set is worth a file in the cache."""


def _features_key(recipe: Recipe) -> str:
    """Changes with the features of the family and the constants of its closed form, so that no stale cache is read."""
    import hashlib

    from hwsim import shelf

    files = sorted((shelf.checkout("targets") / recipe.family / "fitted").glob("*.yaml"))
    text = "".join(_names(recipe)) + "".join(p.read_text(encoding="utf-8") for p in files if p.stem != "validation")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _names(recipe: Recipe) -> tuple[str, ...]:
    names = getattr(plugins.load("hwsim.targets", recipe.family), "feature_names", None)
    if names is None:
        raise InputError(f"the family {recipe.family!r} offers no features to surrogates")
    return tuple(names)


def judged(recipe: Recipe, data: Graphs, *, loop: Loop) -> tuple[np.ndarray, np.ndarray]:
    """(prediction, spread of its logarithm) of every network, shape `(networks, metrics)`, from members that did not see its part.

    Raises:
        UnknownName: a label of the recipe that the data do not have, or a feature that does not exist.
    """
    for name in (recipe.left_out.by, *recipe.groups):
        if name not in data.labels:
            raise UnknownName("label of the training set", name, data.labels)
    model = _network(recipe)
    for name in model.hidden_features:
        if name not in data.feature_names:
            raise UnknownName("feature", name, data.feature_names)
    by = data.labels[recipe.left_out.by]
    parts = folds(by, count=recipe.left_out.folds)
    return left_out(data, parts, model, by=by, seeds=recipe.seeds, loop=loop)


def _network(recipe: Recipe) -> AnyNetwork:
    if not isinstance(recipe.model, NetworkRecipe):
        raise InputError(f"recipe {recipe.name!r} trains {recipe.model.__class__.__name__}; expected a network over rows")
    return recipe.model


def groups_of(recipe: Recipe, data: Graphs) -> np.ndarray:
    """Group of each network, the labels of the recipe joined by `/`."""
    return np.array(["/".join(parts) for parts in zip(*(data.labels[name].tolist() for name in recipe.groups), strict=True)])


def train(
    recipe: Recipe,
    *,
    data: Graphs | None = None,
    tell: Tell | None = None,
    outcomes: list[Outcome] | None = None,
    folder: Path | None = None,
    resume: bool = True,
    devices: int = 1,
) -> Stored:
    """Judge on parts left out, then train on everything.

    Args:
        recipe: what is trained.
        data: the training set; by default the recipe's.
        tell: told how far it is.
        outcomes: takes what was judged, by metric.
        folder: for checkpoints and logs of networks.
        resume: whether runs in the folder are taken up.
        devices: processes that train a network together.
    """
    if isinstance(recipe.model, ResidualRecipe):
        stored, judgements = residual.train(recipe, residual.load(recipe, tell=tell), tell=tell)
        _told(outcomes, judgements)
        return stored
    if isinstance(recipe.model, CorrectedRecipe):
        from hwsim.surrogates.training import corrected_run

        stored, judgements = corrected_run.train(recipe, tell=tell)
        _told(outcomes, judgements)
        return stored
    if not isinstance(recipe.model, NetworkRecipe):
        from hwsim.surrogates.training import operator_run

        return operator_run.train(recipe, tell=tell)
    given = _chosen(recipe, data if data is not None else load(recipe, tell=tell))
    loop = Loop(folder, resume, devices, tell, _before(recipe, given, tell))
    found, spread = judged(recipe, given, loop=loop)
    groups = groups_of(recipe, given)
    judgements = [_outcome(given, found, metric, groups) for metric in given.metrics]
    _told(outcomes, judgements)
    members = ensemble(given, recipe.model, by=given.labels[recipe.left_out.by], seeds=recipe.seeds, loop=loop)
    if not isinstance(recipe.model, AdditiveRecipe) or len(given.metrics) > 1 or recipe.model.calibrate or recipe.model.grain:
        from hwsim.surrogates.training import graph_run

        made = graph_run.stored(recipe, given, members, judgements, spread, groups)
        return replace(made, weights={**made.weights, **residual.seen(given)})
    weights = {key: value for i, member in enumerate(members) for key, value in member.mlp().arrays(f"member{i}").items()}
    weights |= Domain.fit(given).arrays()
    weights |= residual.seen(given)
    untrained = error_table(given.measured[:, 0], given.closed_form[:, 0], groups)
    metrics = {
        "suite": suite_of(recipe),
        "networks": len(given),
        "intervals": error_table(given.measured[:, 0], found[:, 0], groups),
        "untrained": {name: row for name, row in untrained.items() if name != "level"},
    }
    return Stored(recipe.name, _config(recipe, given, spread[:, 0], len(members)), weights, metrics, _card(recipe, metrics))


def _before(recipe: Recipe, given: Graphs, tell: Tell | None) -> fidelity.Before | None:
    """Cheap labels of the recipe."""
    if recipe.cheap is None:
        return None
    found = load(msgspec.structs.replace(recipe, data=recipe.cheap.data), tell=tell) if recipe.cheap.data else given
    return fidelity.before(recipe.cheap, found, given, by=recipe.left_out.by)


def suite_of(recipe: Recipe) -> str:
    """What was judged on what, in words."""
    parts = f" in {recipe.left_out.folds} parts" if recipe.left_out.folds else ""
    return f"{recipe.data}, each {recipe.left_out.by} left out{parts}"


def _chosen(recipe: Recipe, data: Graphs) -> Graphs:
    """The metrics that the recipe learns, and networks of which any was measured."""
    given = data.only(recipe.metrics) if recipe.metrics else data
    known = np.isfinite(given.measured).any(axis=1)
    return given if known.all() else given.take(np.flatnonzero(known))


def _outcome(data: Graphs, found: np.ndarray, metric: str, groups: np.ndarray) -> Outcome:
    at = data.metrics.index(metric)
    kept = np.flatnonzero(np.isfinite(data.measured[:, at]))
    measured, said = data.measured[kept, at], found[kept, at]
    told = described(data, kept, groups)
    return Outcome(metric, measured, said, data.closed_form[kept, at], *ranges(metric, measured, said), kept, **told)


def _told(outcomes: list[Outcome] | None, found: Sequence[Outcome]) -> None:
    if outcomes is not None:
        outcomes += found


def _config(recipe: Recipe, data: Graphs, spread: np.ndarray, members: int) -> dict[str, Any]:
    hidden = np.array([name in _network(recipe).hidden_features for name in data.feature_names])
    low, high = data.features.min(axis=0).astype(float), data.features.max(axis=0).astype(float)
    slack = 0.02 * (high - low) + 1e-6
    seen = sorted(set(data.labels["device"].tolist()))
    return {
        "family": recipe.family,
        "auto": recipe.auto,
        "members": members,
        "limit": LIMIT,
        "features": list(data.feature_names),
        "range": {
            "low": np.where(hidden, -1e12, low - slack).round(6).tolist(),
            "high": np.where(hidden, 1e12, high + slack).round(6).tolist(),
        },
        "trusted": {
            "mapping": dict(recipe.trusted.mapping),
            "devices": list(recipe.trusted.devices) or seen,
            "graph_without": list(recipe.trusted.graph_without),
            "spread": round(float(np.quantile(spread, 0.99)), 6),
            "outside": 0.02,
        },
        "recipe": plain(recipe),
    }


def _card(recipe: Recipe, metrics: dict[str, Any]) -> str:
    lines = [
        f"# {recipe.name}",
        "",
        recipe.summary,
        "",
        f"Trained on {metrics['networks']:,} measurements ({recipe.data}); judged with {metrics['suite'].partition(', ')[2]}.",
        "Absolute percentage errors; *untrained*: the sum of single kernels that training starts from.",
        "",
        "| | n | median | mean | p90 | untrained median |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in metrics["intervals"].items():
        if name != "level":
            errors = (100 * row["median_ape"], 100 * row["mean_ape"], 100 * row["p90_ape"], 100 * metrics["untrained"][name]["median_ape"])
            lines.append(f"| {name} | {row['n']:,} | " + " | ".join(f"{e:.1f}" for e in errors) + " |")
    return "\n".join(lines) + "\n"
