"""From a recipe to a corrected surrogate on the shelf: judged with closed forms that did not see what is asked, then trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from hwsim.errors import UnknownName
from hwsim.surrogates.corrected import KIND
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training import corrected, fpga
from hwsim.surrogates.training.left_out import folds
from hwsim.surrogates.training.outcomes import Outcome, described, ranges
from hwsim.surrogates.training.residual import card, tables

Tell = Callable[[str], None]
SETS = {"fpga-dense1": "dense1", "fpga-dense2": "dense2"}
"""Training sets of recipes: names of `hwsim.surrogates.training.fpga.training_set`."""
INSIDE = 0.5
"""In-domain score from which a range is given: nineteen of twenty networks of left-out architectures have it."""


def train(recipe: Any, *, tell: Tell | None = None) -> tuple[Stored, list[Outcome]]:
    """Judge on architectures left out, then train on everything over the closed form of the shelf.

    Raises:
        UnknownName: a training set that has no designs to fit closed forms without, or a label that it does not have.
        DataMissing: the reports are not there.
    """
    if recipe.data not in SETS:
        raise UnknownName("training set of corrected surrogates:", recipe.data, SETS)
    given = fpga.training_set(SETS[recipe.data])
    data = fpga.graphs(given.designs)
    for name in (recipe.left_out.by, *recipe.groups):
        if name not in data.labels:
            raise UnknownName("label of the training set", name, data.labels)
    groups = data.labels[recipe.left_out.by]
    found, closed = judged(given, folds(groups, count=recipe.left_out.folds), recipe, tell=tell)
    columns, models, choices = corrected.fit(data, groups, recipe=recipe.model, seed=recipe.seeds[0])
    outcomes = [_outcome(data, recipe, metric, found, closed) for metric in models]
    weights = {"columns": columns.astype(np.int32), **corrected.nearby(data, groups).arrays()}
    for metric, model in models.items():
        weights |= model.arrays(metric)
    metrics = {
        "suite": f"{recipe.data}, each {recipe.left_out.by} left out in {recipe.left_out.folds} parts",
        "networks": len(data),
        "left_out": 0,
        "metrics": {o.metric: tables(o, np.full(len(o.networks), "all")) for o in outcomes},
    }
    return Stored(recipe.name, _config(recipe, data, choices), weights, metrics, card(recipe, metrics, 0)), outcomes


def judged(given: fpga.TrainingSet, parts: np.ndarray, recipe: Any, *, tell: Tell | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(prediction, closed form) of every design, shape `(designs, metrics)`, neither having seen its part."""
    found = closed = np.zeros((0, 0))
    for part in np.unique(parts):
        out = parts == part
        data = fpga.graphs(given.designs, given.constants(frozenset(given.architectures[out])))
        if not len(found):
            found, closed = (np.empty(data.measured.shape) for _ in range(2))
        columns, models, choices = corrected.fit(
            data.take(np.flatnonzero(~out)), given.architectures[~out], recipe=recipe.model, seed=recipe.seeds[0]
        )
        asked = data.take(np.flatnonzero(out))
        found[out], closed[out] = corrected.predict(asked, columns, models), asked.closed_form
        if tell:
            tell(f"part {part}: {int(out.sum())} designs; " + ", ".join(f"{m}: {c}" for m, c in choices.items()))
    return found, closed


def _outcome(data: Graphs, recipe: Any, metric: str, found: np.ndarray, closed: np.ndarray) -> Outcome:
    from hwsim.surrogates.training.run import groups_of

    at = data.metrics.index(metric)
    kept = np.flatnonzero(np.isfinite(data.measured[:, at]))
    measured, mean = data.measured[kept, at], found[kept, at]
    told = described(data, kept, groups_of(recipe, data))
    return Outcome(metric, measured, mean, closed[kept, at], *ranges(metric, measured, mean), kept, **told)


def _config(recipe: Any, data: Graphs, choices: dict[str, str]) -> dict[str, Any]:
    return {
        "family": recipe.family,
        "kind": KIND,
        "auto": recipe.auto,
        "metrics": list(choices),
        "choices": choices,
        "features": list(data.feature_names),
        "trusted": {
            "mapping": dict(recipe.trusted.mapping),
            "devices": list(recipe.trusted.devices) or sorted(set(data.labels["device"].tolist())),
            "graph_without": list(recipe.trusted.graph_without),
            "inside": INSIDE,
        },
        "recipe": msgspec.to_builtins(recipe),
    }
