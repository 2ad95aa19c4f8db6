"""Surrogates of single operators: boosted trees that correct the closed form of the kernels that they know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hwsim import plugins
from hwsim.cost import Cost, Program
from hwsim.errors import InputError
from hwsim.estimate import Interval
from hwsim.surrogates.store import Stored
from hwsim.surrogates.trained import check_family, ranged, trusted
from hwsim.surrogates.trees import Trees

ELSEWHERE = "elsewhere"
"""In place of a device: the trees for devices that were not measured."""


@dataclass(frozen=True)
class OperatorSurrogate:
    """Trained trees, one set an operator and device; what they do not know keeps its closed form."""

    stored: Stored
    columns: ClassVar[bool] = True
    """Whether it takes columns of points, as cost functions do."""

    @cached_property
    def models(self) -> dict[tuple[str, str], Trees]:
        """Trees by operator and device."""
        pairs = [(kind, device) for kind, devices in self.stored.config["models"].items() for device in (*devices, ELSEWHERE)]
        return {pair: Trees.of(self.stored.weights, "/".join(pair)) for pair in pairs}

    def target(self) -> Any:
        """The family, if it still computes the features that this was trained on.

        Raises:
            InputError: it does not.
        """
        family = self.stored.config["family"]
        target: Any = plugins.load("hwsim.targets", family)
        now = getattr(target, "operator_names", {})
        for kind, names in self.stored.config["features"].items():
            if tuple(now.get(kind, ())) != tuple(names):
                raise InputError(f"surrogate {self.stored.name!r} was trained on other features of {kind} in {family!r}; train it anew")
        return target

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program; `extra` carries `surrogate_share`, the share of the time in kernels that it knows, within its ranges.

        Raises:
            InputError: a program of another family.
        """
        check_family(self.stored, program)
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        target = self.target()
        alone = target.cost_with(program, row_factor=np.ones(program.row_count), **given)
        plain = np.asarray(target.cost(program, **given).row_latency_s) / np.asarray(alone.row_latency_s)
        factor, inside = self._factors(target, program, plain, device)
        cost = target.cost_with(program, row_factor=factor, **given)
        time = np.asarray(cost.row_latency_s) * np.concatenate([np.asarray(table.count) for table in program.tables])
        share = np.sum(time * inside, axis=-1) / np.sum(time, axis=-1)
        return Cost(**{**vars(cost), "extra": {**cost.extra, "surrogate_share": share}})

    def _factors(self, target: Any, program: Program, plain: np.ndarray, device: Any) -> tuple[np.ndarray, np.ndarray]:
        """(factor of every row over its kernel alone, which rows lie where training was), shape `(rows,)` or `(points, rows)`."""
        factor, inside = plain.copy(), np.zeros(plain.shape)
        limit, first = float(self.stored.config["limit"]), 0
        for table in program.tables:
            rows = slice(first, first + len(table.rows))
            first = rows.stop
            found = target.operator_features(table, device=device) if table.kind in self.stored.config["models"] else None
            if found is None:
                continue
            features, known = found
            learned = np.exp(np.clip(self._model(table.kind, device)(features), -limit, limit))
            factor[..., rows] = np.where(known, learned, factor[..., rows])
            inside[..., rows] = known & self._ranged(table.kind, features)
        return factor, inside

    def _model(self, kind: str, device: Any) -> Any:
        own = self.models.get((kind, str(getattr(device, "name", ""))))
        if own is not None:
            return own
        hidden = int(self.stored.config["hidden"])

        def elsewhere(features: np.ndarray) -> np.ndarray:
            seen = features.copy()
            seen[..., -hidden:] = 0.0
            return self.models[kind, ELSEWHERE](seen)

        return elsewhere

    def _ranged(self, kind: str, features: np.ndarray) -> np.ndarray:
        held, names = self.stored.config["range"][kind], list(self.stored.config["features"][kind])
        chosen = features[..., [names.index(name) for name in held]]
        low, high = np.array(list(held.values()), dtype=float).T
        return np.all((chosen >= low - 1e-5) & (chosen <= high + 1e-5), axis=-1)

    def known(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> bool:
        """Whether nearly all of the time is in kernels that it knows, within their ranges, on a device that was measured."""
        enough = float(np.min(cost.extra["surrogate_share"])) >= float(self.stored.config["trusted"]["share"])
        return enough and trusted(self.stored, program, device=device, mapping=mapping)

    def interval(self, program: Program, cost: Cost, *, device: Any, mapping: Any) -> Interval | None:
        """Range of the latency from the errors on layers that training left out, the widest of the operators asked; None outside."""
        if not self.known(program, cost, device=device, mapping=mapping):
            return None
        held = self.stored.metrics["intervals"]
        domains = [f"{table.kind}/{device.name}" for table in program.tables if f"{table.kind}/{device.name}" in held]
        if not domains:
            return None
        widest = max(domains, key=lambda name: held[name]["high_ratio"] / held[name]["low_ratio"])
        return ranged(self.stored, widest, float(cost.latency_s))
