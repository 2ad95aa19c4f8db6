"""Additive surrogates: the closed form of every row times a learned factor, summed by the target as ever."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from hwsim import plugins
from hwsim.cost import Cost, Program
from hwsim.errors import InputError
from hwsim.estimate import Interval
from hwsim.surrogates.mlp import Mlp, spread
from hwsim.surrogates.store import Stored


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

    @property
    def name(self) -> str:
        """As on the shelf."""
        return self.stored.name

    @property
    def family(self) -> str:
        """The family that it speaks for."""
        return self.stored.config["family"]

    @cached_property
    def members(self) -> tuple[Mlp, ...]:
        """Networks whose answers are averaged."""
        return tuple(Mlp.of(self.stored.weights, f"member{i}") for i in range(int(self.stored.config["members"])))

    def target(self) -> Any:
        """The family, if it still computes the features that this was trained on.

        Raises:
            InputError: it does not.
        """
        target: Any = plugins.load("hwsim.targets", self.family)
        expected = tuple(self.stored.config["features"])
        if tuple(getattr(target, "feature_names", ())) != expected:
            raise InputError(f"surrogate {self.name!r} was trained on other features of the family {self.family!r}; train it anew")
        return target

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries `surrogate_spread`, the disagreement of the members, and `surrogate_outside`.

        Raises:
            InputError: a program of another family.
        """
        if program.family != self.family:
            raise InputError(f"surrogate {self.name!r} speaks for {self.family}; this is a program of the family {program.family!r}")
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        features = target.row_features(program, **given)
        limit = float(self.stored.config["limit"])
        factor, uncertain = spread(self.members, features)
        cost = target.cost_with(program, row_factor=np.exp(np.clip(factor, -limit, limit)), **given)
        counts = np.concatenate([np.asarray(table.count) for table in program.tables])
        share = cost.row_latency_s * counts
        share = share / np.sum(share, axis=-1, keepdims=True)
        low, high = (np.asarray(self.stored.config["range"][side]) for side in ("low", "high"))
        outside = np.any((features < low) | (features > high), axis=-1)
        extra = {"surrogate_spread": np.sum(share * uncertain, axis=-1), "surrogate_outside": np.sum(share * outside, axis=-1)}
        return Cost(**{**vars(cost), "extra": {**cost.extra, **extra}})

    def known(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> bool:
        """Whether a prediction lies where the surrogate was trained: kind of network, rows' features, members' agreement, mapping."""
        trusted = self.stored.config["trusted"]
        chosen = all(str(getattr(mapping, name)) in values for name, values in trusted["mapping"].items())
        board = not {str(getattr(device, "name", "")), f"vendor:{getattr(device, 'vendor', '')}"}.isdisjoint(trusted["devices"])
        calm = float(np.max(cost.extra["surrogate_spread"])) <= float(trusted["spread"])
        kind = not any(name in program.graph.attrs for name in trusted.get("graph_without", ()))
        return kind and chosen and board and calm and float(np.max(cost.extra["surrogate_outside"])) <= float(trusted["outside"])

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
        if domain is None:
            return None
        entry, value = held[domain], float(cost.latency_s)
        label = f"{self.stored.metrics['suite']}/{domain}"
        return Interval(value * entry["low_ratio"], value * entry["high_ratio"], held["level"], label, entry["median_ape"])
