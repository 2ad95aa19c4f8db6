"""Corrected surrogates: the closed form of a whole network, and what left-out networks show it to miss, metric by metric.

value = (closed form + 1) exp(h(z)) - 1, or closed form + h(z); h: a forest, a smooth kernel, or nothing where nothing helps; z: the rows of
the network in brief. h stays within what training has shown, and counts are whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hwsim.cost import Cost, Program
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import values_of
from hwsim.surrogates.programs import of_program
from hwsim.surrogates.residual import SCORE, ResidualSurrogate
from hwsim.surrogates.trained import check_family
from hwsim.surrogates.trees import Trees

KIND = "corrected"
FORMS = ("none", "ratio", "difference")
"""How a correction goes with the closed form."""


def summary(graphs: Graphs) -> np.ndarray:
    """Rows of networks in brief, float32, shape `(N, 5 F + M + 1)`.

    First row, last row, greatest, least and sum of every feature, logarithms of the closed form, number of rows.
    """
    x, first = graphs.features.astype(np.float32), graphs.start[:-1]
    parts = [x[first], x[graphs.start[1:] - 1], *(how.reduceat(x, first, axis=0) for how in (np.maximum, np.minimum, np.add))]
    return np.concatenate([*parts, np.log1p(graphs.closed_form), graphs.sizes[:, None]], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Smooth:
    """Ridge regression on random Fourier features of a Gaussian kernel (Rahimi and Recht 2007): nothing of single networks is kept."""

    mean: np.ndarray
    """Shape `(features,)`."""
    scale: np.ndarray
    direction: np.ndarray
    """Frequencies, shape `(features, waves)`."""
    phase: np.ndarray
    """Shape `(waves,)`."""
    weight: np.ndarray
    """Shape `(waves,)`."""

    def waves(self, features: np.ndarray) -> np.ndarray:
        """Shape `(N, waves)`, of unit square each network on average."""
        z = (np.asarray(features, dtype=float) - self.mean) / self.scale
        return np.sqrt(2.0 / len(self.phase)) * np.cos(np.stack([one @ self.direction for one in z]) + self.phase)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Answers of shape `(N,)`; each its own, whatever its neighbours."""
        return np.sum(self.waves(features) * self.weight, axis=1)


@dataclass(frozen=True)
class Correction:
    """What is learned of one metric."""

    form: str
    """One of `FORMS`."""
    model: Trees | Smooth | None
    low: float
    """Least correction of training; answers stay within."""
    high: float

    def __call__(self, z: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """Whole numbers, shape `(N,)`, for networks in brief and their closed form."""
        if self.model is None or self.form == "none":
            return closed
        change = np.clip(self.model(z), self.low, self.high)
        return np.maximum(np.round((closed + 1) * np.exp(change) - 1 if self.form == "ratio" else closed + change), 0.0)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        found = {f"{prefix}.form": np.array([FORMS.index(self.form)]), f"{prefix}.bounds": np.array([self.low, self.high])}
        if isinstance(self.model, Trees):
            found |= self.model.arrays(f"{prefix}.trees")
        elif isinstance(self.model, Smooth):
            found |= {f"{prefix}.smooth.{f.name}": getattr(self.model, f.name) for f in fields(Smooth)}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Correction:
        """From what `arrays` gave."""
        low, high = (float(v) for v in arrays[f"{prefix}.bounds"])
        model: Trees | Smooth | None = None
        if f"{prefix}.trees.root" in arrays:
            model = Trees.of(arrays, f"{prefix}.trees")
        elif f"{prefix}.smooth.weight" in arrays:
            model = Smooth(**{f.name: np.asarray(arrays[f"{prefix}.smooth.{f.name}"], dtype=float) for f in fields(Smooth)})
        return cls(FORMS[int(arrays[f"{prefix}.form"][0])], model, low, high)


@dataclass(frozen=True)
class Nearby:
    """How far a network is from the nearest cluster of those of training."""

    mean: np.ndarray
    scale: np.ndarray
    """Small where training never varied, so that what is new there is far away."""
    points: np.ndarray
    """Means of clusters, shape `(clusters, columns)`."""
    limit: np.ndarray
    """Distance within which nineteen of twenty networks of left-out architectures lie, shape `(1,)`."""

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Root mean square over the columns, shape `(N,)`, for summaries of shape `(N, columns)`."""
        at = (np.asarray(z, dtype=float) - self.mean) / self.scale
        return np.array([np.sqrt(np.min(np.mean((self.points - one) ** 2, axis=1))) for one in at])

    def inside(self, z: np.ndarray) -> np.ndarray:
        """In-domain score, shape `(N,)`: 1 among the networks of training, 0.5 at their edge, towards 0 far away."""
        return 1.0 / (1.0 + (self.distance(z) / max(float(self.limit[0]), 1e-12)) ** 2)

    def arrays(self, prefix: str = "nearby") -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        return {f"{prefix}.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str = "nearby") -> Nearby:
        """From what `arrays` gave."""
        return cls(**{f.name: np.asarray(arrays[f"{prefix}.{f.name}"], dtype=float) for f in fields(cls)})


@dataclass(frozen=True)
class CorrectedSurrogate(ResidualSurrogate):
    """A trained corrected surrogate; answers as the cost function of its family does."""

    columns: ClassVar[bool] = False
    """Whether it takes columns of points."""

    @cached_property
    def corrections(self) -> dict[str, Correction]:
        """Correction of each metric."""
        return {metric: Correction.of(self.stored.weights, metric) for metric in self.stored.config["metrics"]}

    @cached_property
    def nearby(self) -> Nearby:
        """The networks of training."""
        return Nearby.of(self.stored.weights)

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries `surrogate_inside`, its in-domain score.

        Raises:
            InputError: a program of another family.
        """
        check_family(self.stored, program)
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        closed, graphs = target.cost(program, **given), of_program(target, program, **given)
        wanted, inside = self.answers(graphs, {name: values_of(closed, name) for name in self.corrections})
        rows = {metric: _spread(graphs, metric, float(value[0])) for metric, value in wanted.items()}
        cost = target.cost_of_rows(program, rows=rows, **given)
        return Cost(**{**vars(cost), "extra": {**cost.extra, SCORE: np.min(np.stack(list(inside.values())), axis=0)[0]}})

    def answers(self, graphs: Graphs, closed: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(values, in-domain scores) of networks by metric, shape `(N,)`; the closed form stands in the graphs already."""
        found, inside = self.predict_graphs(graphs), np.asarray(self.nearby.inside(summary(graphs)))
        return {metric: found[:, i] for i, metric in enumerate(self.corrections)}, dict.fromkeys(self.corrections, inside)

    def predict_graphs(self, graphs: Graphs) -> np.ndarray:
        """Values of many networks, shape `(N, metrics)`, in the order of the metrics that were learned."""
        z, closed = summary(graphs), graphs.closed_form
        columns = np.asarray(self.stored.weights["columns"])
        found = [model(z[:, columns], closed[:, graphs.metrics.index(m)]) for m, model in self.corrections.items()]
        return np.stack(found, axis=1)


def _spread(graphs: Graphs, metric: str, total: float) -> np.ndarray:
    """Rows of one network that come to a total: in proportion to the closed form, evenly where that has nothing."""
    at = graphs.metrics.index(metric)
    cost, rest = graphs.cost[:, at], float(graphs.rest[0, at])
    made = float(graphs.closed_form[0, at]) - rest
    left = max(total - rest, 0.0)
    if made > 0:
        return cost * (left / made)
    return np.full(len(cost), left if graphs.readout[at] == "max" else left / len(cost))
