"""Additive surrogates: the closed form of every row times a learned factor, summed by the target as ever."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from hwsim.cost import Cost, Program
from hwsim.estimate import Interval
from hwsim.surrogates.domain import Domain
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import Mlp, spread
from hwsim.surrogates.store import Stored
from hwsim.surrogates.trained import check_family, ranged, target_of, trusted
from hwsim.surrogates.tuning import Correction, TunableRows


class Additive(Protocol):
    """What a family offers to additive surrogates."""

    feature_names: tuple[str, ...]

    def row_features(self, program: Program, *, device: Any, mapping: Any) -> np.ndarray:
        """Features of every row, shape `(rows, features)` or `(points, rows, features)`."""
        ...

    def cost_with(self, program: Program, *, device: Any, mapping: Any, row_factor: Any) -> Cost:
        """Cost of a program whose rows take a learned multiple of their closed form."""
        ...


@dataclass(frozen=True)
class AdditiveSurrogate:
    """A trained additive surrogate; answers as the cost function of its family does."""

    stored: Stored
    columns: ClassVar[bool] = True
    """Whether it takes columns of points, as cost functions do."""

    @cached_property
    def members(self) -> tuple[Mlp, ...]:
        """Networks whose answers are averaged."""
        return tuple(Mlp.of(self.stored.weights, f"member{i}") for i in range(int(self.stored.config["members"])))

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

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries what `known` asks.

        That is `surrogate_spread`, the disagreement of the members, `surrogate_outside`, the share of the time in rows out of range, and
        for single points `surrogate_distance`, how far the network is from those of training.

        Raises:
            InputError: a program of another family.
        """
        check_family(self.stored, program)
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        features = target.row_features(program, **given)
        factor, uncertain = self._factors(features)
        learned = np.exp(factor if self.correction is None else factor + self.correction(features)[..., 0])
        cost = target.cost_with(program, row_factor=learned, **given)
        counts = np.concatenate([np.asarray(table.count) for table in program.tables])
        share = cost.row_latency_s * counts
        share = share / np.sum(share, axis=-1, keepdims=True)
        low, high = (np.asarray(self.stored.config["range"][side]) for side in ("low", "high"))
        outside = np.any((features < low) | (features > high), axis=-1)
        extra = {"surrogate_spread": np.sum(share * uncertain, axis=-1), "surrogate_outside": np.sum(share * outside, axis=-1)}
        if self.domain is not None and features.ndim == 2:
            before = np.asarray(cost.row_latency_s / learned * counts)
            extra["surrogate_distance"] = self.domain.score(features, before, np.array([0, len(features)]))[0]
        return Cost(**{**vars(cost), "extra": {**cost.extra, **extra}})

    def _factors(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logarithm of each row's factor, disagreement of the members)."""
        limit = float(self.stored.config["limit"])
        factor, uncertain = spread(self.members, features)
        return np.clip(factor, -limit, limit), uncertain

    @cached_property
    def correction(self) -> Correction | None:
        """What measurements of another device added; None where it was not tuned."""
        return Correction.of(self.stored.weights)

    def rows(self, graphs: Graphs) -> TunableRows:
        """What the members say of each row, before any tuning."""
        factor, uncertain = self._factors(graphs.features.astype(float))
        share, first = graphs.cost[:, 0] * np.exp(factor), graphs.start[:-1]
        spread = np.add.reduceat(share * uncertain, first) / np.add.reduceat(share, first)
        return TunableRows(graphs, factor[:, None], spread[:, None], self.members[0].mean, self.members[0].scale)

    def known(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> bool:
        """Whether a prediction lies where the surrogate was trained: kind of network, its rows, members' agreement, device, mapping."""
        if not trusted(self.stored, program, device=device, mapping=mapping):
            return False
        limits = self.stored.config["trusted"]
        if self.domain is not None and not float(cost.extra.get("surrogate_distance", 0.0)) <= float(self.domain.limit[0]):
            return False
        return all(float(np.max(cost.extra[f"surrogate_{name}"])) <= float(limits[name]) for name in ("spread", "outside"))

    def interval(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> Interval | None:
        """Range of the latency from the errors on what training left out; None outside what it knows."""
        if not self.known(program, cost, device=device, mapping=mapping):
            return None
        held = self.stored.metrics["intervals"]
        domain = next(
            (
                name
                for name in (f"{device.name}/{getattr(mapping, 'runtime', '')}", getattr(mapping, "runtime", ""), "all")
                if held.get(name, {}).get("low_ratio")
            ),
            None,
        )
        return None if domain is None else ranged(self.stored, domain, float(cost.latency_s))
