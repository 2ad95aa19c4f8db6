"""Training of residual surrogates: for tens to hundreds of networks, in seconds and without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.residual import KIND, summary
from hwsim.surrogates.ridge import fit, judged
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training.left_out import error_table, folds
from hwsim.surrogates.training.lowered import Lowered, from_dataset
from hwsim.surrogates.training.outcomes import Outcome, described, ranges

Tell = Callable[[str], None]
FEWEST = 3
"""Networks that a metric needs to be learned at all."""
INSIDE = 0.2
"""In-domain score from which a range is given: twice the leverage that nine of ten training rows stay within."""


class ResidualRecipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="residual"):
    """How a residual surrogate is trained."""

    penalty: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Of the squares of standardised weights; by default what left-out groups choose."""


def outcomes(data: Lowered, parts: np.ndarray, recipe: ResidualRecipe, *, groups: np.ndarray, tell: Tell | None = None) -> list[Outcome]:
    """Each metric judged on parts that are left out in turn.

    Args:
        parts: part of each network, shape `(networks,)`.
        groups: of each network, for tables, shape `(networks,)`.
    """
    found = []
    for at, metric in enumerate(data.graphs.metrics):
        kept = np.flatnonzero(np.isfinite(data.graphs.measured[:, at]))
        if len(kept) < FEWEST:
            if tell:
                tell(f"{metric}: measured of {len(kept)} network(s); {FEWEST} or more can be learned from")
            continue
        x, y, closed = _rows(data, metric, kept)
        o = offset(metric)
        labels = judged(x, y, groups=parts[kept], penalty=recipe.penalty).found
        mean = np.where(np.isfinite(labels), np.maximum((closed + o) * np.exp(labels) - o, 0.0), closed)
        mean = np.where(closed > 0, mean, 0.0)
        measured = data.graphs.measured[kept, at]
        found.append(Outcome(metric, measured, mean, closed, *ranges(metric, measured, mean), kept, **described(data.graphs, kept, groups)))
        if tell:
            told = found[-1].scores()
            tell(f"{metric}: {len(kept)} networks, median error {_percent(told['median_ape'])}, {_closed(told)}")
    return found


def _rows(data: Lowered, metric: str, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, labels, closed form) of the networks that were measured."""
    at, o = data.graphs.metrics.index(metric), offset(metric)
    measured, closed = data.graphs.measured[kept, at], data.closed[kept, at]
    tiny = 1e-300 if o == 0 else 0.0
    labels = np.log(np.maximum(measured + o, tiny) / np.maximum(closed + o, tiny))
    return summary(data.graphs, metric)[kept], labels, closed


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _closed(told: dict[str, Any]) -> str:
    return f"closed form {_percent(told['closed_form_median_ape'])}"


def load(recipe: Any, *, tell: Tell | None = None) -> Lowered:
    """The data set of a recipe, or a file of `Graphs`, which has no closed form but the sum of its rows.

    Raises:
        InputError: no such file, or nothing in it can be used.
    """
    if not str(recipe.data).endswith(".safetensors"):
        return from_dataset(recipe.data, family=recipe.family, tell=tell)
    graphs = Graphs.read(recipe.data)
    return Lowered(graphs, np.arange(len(graphs)), graphs.closed_form)


def train(recipe: Any, data: Lowered, *, tell: Tell | None = None) -> tuple[Stored, list[Outcome]]:
    """Judge on parts left out, then train on everything.

    Raises:
        UnknownName: a label of the recipe that the data do not have.
    """
    from hwsim.surrogates.training.run import groups_of

    parts = folds(label_of(data, recipe.left_out.by), count=recipe.left_out.folds)
    if recipe.metrics:
        at = [data.graphs.metrics.index(name) for name in data.graphs.only(recipe.metrics).metrics]
        data = replace(data, graphs=data.graphs.only(recipe.metrics), closed=data.closed[:, at])
    groups = groups_of(recipe, data.graphs)
    found = outcomes(data, parts, recipe.model, groups=groups, tell=tell)
    weights: dict[str, np.ndarray] = {}
    for outcome in found:
        x, y, _ = _rows(data, outcome.metric, outcome.networks)
        model = fit(x, y, groups=parts[outcome.networks], penalty=recipe.model.penalty)
        weights |= model.arrays(outcome.metric)
    weights |= seen(data.graphs)
    metrics = {
        "suite": f"{recipe.data}, each {recipe.left_out.by} left out"
        + (f" in {recipe.left_out.folds} parts" if recipe.left_out.folds else ""),
        "networks": len(data.graphs),
        "left_out": len(data.left_out),
        "metrics": {o.metric: tables(o, groups[o.networks]) for o in found},
    }
    config = _config(recipe, data, [o.metric for o in found])
    return Stored(recipe.name, config, weights, metrics, card(recipe, metrics, len(data.left_out))), found


def seen(graphs: Graphs) -> dict[str, np.ndarray]:
    """Keys of the networks of training, for a store; `hwsim surrogates evaluate` warns where it meets one of them."""
    keys = sorted(set(graphs.labels["key"].tolist())) if "key" in graphs.labels else []
    return {SEEN: np.array([int(key, 16) for key in keys], dtype=np.int64)} if keys else {}


SEEN = "seen"
"""Array of these keys."""


def label_of(data: Lowered, name: str) -> np.ndarray:
    """A label of the networks.

    Raises:
        UnknownName: there is none.
    """
    from hwsim.errors import UnknownName

    if name not in data.graphs.labels:
        raise UnknownName("label of the training set", name, data.graphs.labels)
    return data.graphs.labels[name]


def tables(outcome: Outcome, groups: np.ndarray) -> dict[str, Any]:
    """Errors and ranges of all networks and of each group, before and after training, and scores, for `metrics.json`."""
    o = offset(outcome.metric)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = error_table(outcome.measured + o, np.maximum(outcome.found + o, 1e-300), groups)
        before = error_table(outcome.measured + o, np.maximum(outcome.closed + o, 1e-300), groups)
    return {
        "intervals": table,
        "untrained": {name: row for name, row in before.items() if name != "level"},
        "scores": outcome.scores(),
    }


def _config(recipe: Any, data: Lowered, metrics: list[str]) -> dict[str, Any]:
    seen = sorted(set(data.graphs.labels["device"].tolist()))
    return {
        "family": recipe.family,
        "kind": KIND,
        "auto": recipe.auto,
        "metrics": metrics,
        "features": list(data.graphs.feature_names),
        "trusted": {
            "mapping": dict(recipe.trusted.mapping),
            "devices": list(recipe.trusted.devices) or seen,
            "graph_without": list(recipe.trusted.graph_without),
            "inside": INSIDE,
        },
        "recipe": msgspec.to_builtins(recipe),
    }


def card(recipe: Any, metrics: dict[str, Any], left_out: int) -> str:
    """What was trained on what, and how far off it is, as Markdown."""
    without = f"; {left_out:,} row(s) could not be used" if left_out else ""
    lines = [
        f"# {recipe.name}",
        "",
        recipe.summary,
        "",
        f"Trained on {metrics['networks']:,} networks ({recipe.data}{without}); judged with {metrics['suite'].rpartition(', ')[2]}.",
        "Absolute percentage errors; *closed form*: before training; *held*: share of networks within the 90 % range from the errors of "
        "the others. Fewer than 9 networks give no range.",
        "",
        "| | n | median | mean | p90 | R2 | held | closed form median |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for metric, tables in metrics["metrics"].items():
        told = tables["scores"]
        numbers = (told["median_ape"], told["mean_ape"], told["p90_ape"])
        cells = [_cell(v) for v in numbers] + ["-" if told["r2"] is None else f"{told['r2']:.3f}", _cell(told["covered"])]
        lines.append(f"| {metric} | {told['n']:,} | {' | '.join(cells)} | {_cell(told['closed_form_median_ape'])} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
