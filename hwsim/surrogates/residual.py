"""Residual surrogates: the closed form of a whole network times a factor that a few measurements taught, by a shrunken linear model.

log((measured + o) / (closed form + o)) = w . z, o = 1 for counts and 0 else; z: what the rows of the network look like on average, each
weighted by its share of the closed form. Without evidence for more the factor is one number, and near 1 where even that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hwsim.cost import Cost, Program
from hwsim.estimate import Interval
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset, range_name, value_of, values_of
from hwsim.surrogates.programs import of_program
from hwsim.surrogates.ridge import Ridge
from hwsim.surrogates.store import Stored
from hwsim.surrogates.trained import check_family, target_of, trusted

KIND = "residual"
SCORE = "surrogate_inside"
"""In `Cost.extra`: in-domain score of the metric that lies farthest out."""


def summary(graphs: Graphs, metric: str) -> np.ndarray:
    """What networks look like to a metric, shape `(N, F + 2)`: mean features by share of the closed form, its log, log of the rows."""
    cost = np.maximum(graphs.cost[:, graphs.metrics.index(metric)], 0.0)
    total = np.add.reduceat(cost, graphs.start[:-1])
    even = 1.0 / graphs.sizes
    share = np.where(total[graphs.owner] > 0, cost / np.maximum(total, 1e-300)[graphs.owner], even[graphs.owner])
    mean = np.add.reduceat(graphs.features.astype(float) * share[:, None], graphs.start[:-1], axis=0)
    size = np.log(total + (offset(metric) or 1e-12))
    return np.concatenate([mean, size[:, None], np.log(graphs.sizes)[:, None]], axis=1)


def summary_names(features: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the columns of `summary`."""
    return (*features, "closed_form", "rows")


@dataclass(frozen=True)
class ResidualSurrogate:
    """A trained residual surrogate; answers as the cost function of its family does."""

    stored: Stored
    columns: ClassVar[bool] = True
    """Whether it takes columns of points, as cost functions do."""

    @cached_property
    def models(self) -> dict[str, Ridge]:
        """Model of each metric."""
        return {metric: Ridge.of(self.stored.weights, metric) for metric in self.stored.config["metrics"]}

    def target(self) -> Any:
        """The family, if it still computes the features that this was trained on.

        Raises:
            InputError: it does not.
        """
        return target_of(self.stored)

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries `surrogate_inside`, the least in-domain score of its metrics.

        Raises:
            InputError: a program of another family.
        """
        check_family(self.stored, program)
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        closed, graphs = target.cost(program, **given), of_program(target, program, **given)
        wanted, inside = self.answers(graphs, {name: values_of(closed, name) for name in self.models})
        cost = scaled(target, program, closed, graphs, wanted, **given)
        least = np.min(np.stack(list(inside.values())), axis=0)
        return Cost(**{**vars(cost), "extra": {**cost.extra, SCORE: least if np.ndim(closed.latency_s) else least[0]}})

    def answers(self, graphs: Graphs, closed: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(values, in-domain scores) of networks by metric, shape `(N,)`; what is nothing in closed form stays nothing."""
        value, inside = {}, {}
        for metric, model in self.models.items():
            z, o = summary(graphs, metric), offset(metric)
            inside[metric] = model.inside(z)
            found = np.maximum((closed[metric] + o) * np.exp(model(z)) - o, 0.0)
            value[metric] = np.where(closed[metric] > 0, found, 0.0)
        return value, inside

    def known(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> bool:
        """Whether a prediction lies where the surrogate was trained: device, mapping, and how the network looks."""
        enough = float(cost.extra[SCORE]) >= float(self.stored.config["trusted"]["inside"])
        return enough and trusted(self.stored, program, device=device, mapping=mapping)

    def intervals(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> dict[str, Interval]:
        """Ranges from the errors on networks that training left out, by the names of an estimate; none outside of training."""
        if not self.known(program, cost, device=device, mapping=mapping):
            return {}
        return ranges(self.stored, cost)

    @property
    def unranged(self) -> str:
        """Why it never gives a range; empty where it may."""
        if any(table["intervals"]["all"]["low_ratio"] is not None for table in self.stored.metrics["metrics"].values()):
            return ""
        return f"was trained on {self.stored.metrics['networks']} network(s), too few for a range; 9 or more give one"


def ranges(stored: Stored, cost: Cost) -> dict[str, Interval]:
    """Ranges of a cost by the errors that each metric left on networks left out, by the names of an estimate."""
    found: dict[str, Interval] = {}
    for metric, table in stored.metrics["metrics"].items():
        entry = table["intervals"]["all"]
        if entry["low_ratio"] is not None and range_name(metric) not in found:
            found[range_name(metric)] = _range(stored, metric, cost, entry)
    return found


def _range(stored: Stored, metric: str, cost: Cost, entry: Mapping[str, Any]) -> Interval:
    value, o = value_of(cost, metric), offset(metric)
    seconds = float(cost.latency_s) / max(value, 1e-300) if metric == "cycles" else 1.0
    ratios = min(entry["low_ratio"], 1.0), max(entry["high_ratio"], 1.0)
    low, high = (max((value + o) * ratio - o, 0.0) * seconds for ratio in ratios)
    level = float(stored.metrics["metrics"][metric]["intervals"]["level"])
    return Interval(low, high, level, f"{stored.metrics['suite']}/all", entry["median_ape"])


def scaled(
    target: Any, program: Program, closed: Cost, graphs: Graphs, wanted: Mapping[str, np.ndarray], *, device: Any, mapping: Any
) -> Cost:
    """Cost of a program whose metrics come to these values, every row by one factor, never below what physics allows it.

    Args:
        wanted: by metric, shape `(points,)`; of one where nothing varies.
    """
    given: dict[str, Any] = {"device": device, "mapping": mapping}
    shape = (*np.shape(closed.latency_s), program.row_count)
    if hasattr(target, "surrogate_metrics"):
        rows = {}
        for at, metric in enumerate(graphs.metrics):
            if metric in wanted:
                rest = graphs.rest[:, at]
                made = graphs.closed_form[:, at] - rest
                factor = np.where(made > 0, np.maximum(wanted[metric] - rest, 0.0) / np.where(made > 0, made, 1.0), 1.0)
                rows[metric] = np.broadcast_to(factor[:, None] if len(shape) == 2 else factor, shape)
        return target.cost_with(program, row_factor=rows, **given)
    alone = target.cost_with(program, row_factor=np.ones(program.row_count), **given)
    each = np.asarray(closed.row_latency_s)
    busy = np.sum(each * np.concatenate([np.asarray(table.count) for table in program.tables]), axis=-1, keepdims=True)
    total = wanted["latency_s"][:, None] if len(shape) == 2 else wanted["latency_s"]
    return target.cost_with(program, row_factor=each / np.asarray(alone.row_latency_s) * total / busy, **given)
