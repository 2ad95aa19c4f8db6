"""Surrogates that learned from graphs of rows: additive networks, message passing, transformers; one class answers for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from hwsim.cost import Cost, Program
from hwsim.errors import InputError
from hwsim.estimate import Interval
from hwsim.surrogates import networks
from hwsim.surrogates.domain import Domain
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks.recipes import AnyNetwork, Factored
from hwsim.surrogates.programs import of_program
from hwsim.surrogates.residual import ranges, scaled
from hwsim.surrogates.store import Stored
from hwsim.surrogates.trained import check_family, target_of, trusted
from hwsim.surrogates.tuning import Correction, TunableRows

KIND = "graph"


@dataclass(frozen=True)
class GraphSurrogate:
    """Trained networks over graphs; answers as the cost function of its family does, or for many graphs at once."""

    stored: Stored

    @cached_property
    def recipe(self) -> AnyNetwork:
        """How the members are built.

        Raises:
            InputError: written by another version.
        """
        try:
            return msgspec.convert(self.stored.config["model"], AnyNetwork)
        except msgspec.ValidationError as error:
            raise InputError(f"surrogate {self.stored.name!r}: model: {error}; train it anew with this version of hwsim") from None

    @cached_property
    def members(self) -> tuple[Any, ...]:
        """Networks whose answers are averaged."""
        config = self.stored.config
        names = {"feature_names": config["features"], "metrics": config["metrics"], "readout": config["readout"]}
        return tuple(networks.restored(self.recipe, self._weights(f"member{i}."), **names) for i in range(int(config["members"])))

    def _weights(self, prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): value for name, value in self.stored.weights.items() if name.startswith(prefix)}

    @cached_property
    def domain(self) -> Domain | None:
        """Networks of training, to measure others from; None where none were kept."""
        return Domain.of(self.stored.weights)

    def target(self) -> Any:
        """The family, if it still computes the features that this was trained on.

        Raises:
            InputError: it does not.
        """
        return target_of(self.stored)

    def predict_graphs(self, graphs: Graphs) -> np.ndarray:
        """Costs in the metrics' units, shape `(networks, metrics)`; each network for itself, whatever is asked beside it.

        Raises:
            InputError: graphs with other features or metrics.
        """
        for name, key in (("feature_names", "features"), ("metrics", "metrics")):
            if getattr(graphs, name) != tuple(self.stored.config[key]):
                expected = ", ".join(self.stored.config[key])
                raise InputError(f"surrogate {self.stored.name!r} was trained on other {key}; expected {expected}")
        if self.correction is None:
            return networks.predicted(self.members, graphs)
        rows = self.rows(graphs)
        found = rows.graphs.total(np.maximum(rows.graphs.cost * np.exp(rows.factor + self.correction(graphs.features)), graphs.floor))
        return np.maximum(found, graphs.least)

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries `surrogate_spread`, the disagreement of the members, and `surrogate_distance`.

        Rows of networks that learn factors take theirs; pooled costs are shared out over the rows as the closed form has them.

        Raises:
            InputError: a program of another family, or several points at once.
        """
        check_family(self.stored, program)
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        graphs = of_program(target, program, metrics=self.stored.config["metrics"], **given)
        found, spread = self._answered(graphs)
        if isinstance(self.recipe, Factored):
            cost = _of_rows(target, program, graphs, found, **given)
        else:
            wanted = dict(zip(graphs.metrics, found[0].tolist(), strict=True))
            cost = scaled(target, program, target.cost(program, **given), graphs, wanted, **given)
        limits = np.maximum(np.asarray(self.stored.config["trusted"]["spread"], dtype=float), 1e-9)
        extra = {"surrogate_spread": np.asarray(np.max(spread / limits))}
        if self.domain is not None:
            extra["surrogate_distance"] = self.domain.score(graphs.features, graphs.cost, graphs.start)[0]
        return Cost(**{**vars(cost), "extra": {**cost.extra, **extra}})

    def _answered(self, graphs: Graphs) -> tuple[np.ndarray, np.ndarray]:
        """(costs of the rows, or of the network where they are pooled; spread of the members' logarithms, shape `(metrics,)`)."""
        if not isinstance(self.recipe, Factored):
            found, spread = networks.answers(self.members, graphs)
            return found, spread[0]
        found = self.rows(graphs)
        shift = 0.0 if self.correction is None else self.correction(graphs.features)
        return np.maximum(found.graphs.cost * np.exp(found.factor + shift), graphs.floor), found.spread[0]

    @cached_property
    def correction(self) -> Correction | None:
        """What measurements of another device added; None where it was not tuned."""
        return Correction.of(self.stored.weights)

    def rows(self, graphs: Graphs) -> TunableRows:
        """What the members say of each row, before any tuning.

        Raises:
            InputError: they do not learn factors of rows.
        """
        if not isinstance(self.recipe, Factored):
            raise InputError(f"surrogate {self.stored.name!r} is no sum over rows")
        at = [self.stored.config["metrics"].index(name) for name in graphs.metrics]
        factors = networks.factors_of(self.members, graphs)[..., at]
        grain = self.recipe.grain * np.array([offset(name) for name in graphs.metrics])
        shown = replace(graphs, cost=graphs.cost + grain)
        cost = shown.cost * np.exp(factors.mean(axis=0))
        share = cost / np.maximum(np.add.reduceat(cost, graphs.start[:-1]), 1e-300)[graphs.owner]
        spread = np.add.reduceat(share * factors.std(axis=0), graphs.start[:-1])
        mean, scale = (getattr(self.members[0], name).numpy().astype(float) for name in ("mean", "scale"))
        return TunableRows(shown, factors.mean(axis=0), spread, mean, scale)

    def known(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> bool:
        """Whether a prediction lies where the surrogate was trained: device, mapping, its rows, members' agreement."""
        near = self.domain is None or float(cost.extra["surrogate_distance"]) <= float(self.domain.limit[0])
        agree = float(cost.extra["surrogate_spread"]) <= 1.0
        return near and agree and trusted(self.stored, program, device=device, mapping=mapping)

    def intervals(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> dict[str, Interval]:
        """Ranges from the errors on networks that training left out, by the names of an estimate; none outside of training."""
        return ranges(self.stored, cost) if self.known(program, cost, device=device, mapping=mapping) else {}


def _of_rows(target: Any, program: Program, graphs: Graphs, rows: np.ndarray, *, device: Any, mapping: Any) -> Cost:
    """Cost of a program whose rows come to these values, shape `(rows, metrics)`."""
    given: dict[str, Any] = {"device": device, "mapping": mapping}
    if hasattr(target, "cost_of_rows"):
        return target.cost_of_rows(program, rows=dict(zip(graphs.metrics, rows.T, strict=True)), **given)
    return target.cost_with(program, row_factor=rows[:, 0] / graphs.cost[:, 0], **given)
