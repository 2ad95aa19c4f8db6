"""What the uncertainty of a device's constants makes of an estimate: its totals with every constant at its low or high end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.cost import Cost, Program, Target


@dataclass(frozen=True)
class ConstantRange:
    """A metric with all constants at the ends that lower it, and at those that raise it."""

    low: float
    high: float
    fields: tuple[str, ...]
    """Constants that move it when they alone go from end to end, the one that moves it most first."""


ROUNDS = 5
"""How often the ends are looked over at most."""


def constant_ranges(target: Target, program: Program, *, device: Any, mapping: Any) -> dict[str, ConstantRange]:
    """Ranges of `latency` and `energy` from the low and high ends that the device's sources state.

    Corners are found by moving one constant at a time to the end that lowers (raises) the metric, all at once, until none moves any
    more: exact where the metric is monotone in every constant. Constants without a range, and those that the caller gave, stay.

    Args:
        target: a family whose cost function takes columns of every quantity.

    Returns:
        Nothing where no constant has a range.
    """
    ends = _ends(device)
    if not ends:
        return {}
    search = _Search(target, program, device, mapping, ends)
    return {metric: search.range(metric) for metric in ("latency", "energy")}


class _Search:
    """Corners of one program on one device."""

    def __init__(self, target: Target, program: Program, device: Any, mapping: Any, ends: Mapping[str, tuple[float, float]]) -> None:
        self.target, self.program, self.device, self.mapping, self.ends = target, program, device, mapping, ends
        self.nominal = np.array([float(getattr(device, name)) for name in ends])

    def range(self, metric: str) -> ConstantRange:
        """Both corners, and the constants by their effect alone."""
        moved = self.alone(metric, self.nominal)
        spans = np.abs(moved[:, 1] - moved[:, 0])
        scale = abs(float(self.at(metric, self.nominal[None, :])[0]))
        order = [i for i in np.argsort(-spans) if spans[i] > 1e-9 * scale]
        return ConstantRange(self.corner(metric, -1.0), self.corner(metric, 1.0), tuple(list(self.ends)[i] for i in order))

    def corner(self, metric: str, sign: float) -> float:
        """The largest value, times `sign`."""
        values, pairs = self.nominal, np.array(list(self.ends.values()))
        for _ in range(ROUNDS):
            here = sign * self.at(metric, values[None, :])[0]
            moved = sign * self.alone(metric, values)
            best = np.take_along_axis(pairs, moved.argmax(axis=1)[:, None], axis=1)[:, 0]
            following = np.where(moved.max(axis=1) > here + 1e-12 * abs(here), best, values)
            if np.array_equal(following, values):
                break
            values = following
        return float(self.at(metric, values[None, :])[0])

    def alone(self, metric: str, values: np.ndarray) -> np.ndarray:
        """The metric with each constant at its low and at its high end, the others at `values`; shape `(constants, 2)`."""
        points = np.repeat(values[None, :], 2 * len(values), axis=0)
        for i, pair in enumerate(self.ends.values()):
            points[2 * i : 2 * i + 2, i] = pair
        return self.at(metric, points).reshape(-1, 2)

    def at(self, metric: str, points: np.ndarray) -> np.ndarray:
        """The metric at points of the constants, shape `(points, constants)`."""
        device = replace(self.device, **{name: points[:, i : i + 1] for i, name in enumerate(self.ends)})
        cost = self.target.cost(self.program, device=device, mapping=self.mapping)
        return np.broadcast_to(_metric(cost, metric), (len(points),))


def _metric(cost: Cost, metric: str) -> np.ndarray:
    return np.asarray(cost.latency_s if metric == "latency" else cost.energy_j.total, dtype=float).reshape(-1)


def _ends(device: Any) -> dict[str, tuple[float, float]]:
    """Low and high of the constants that have both or one of them."""
    found = {}
    for name, q in device.sources.items():
        value = getattr(device, name, None)
        if q.status != "given" and isinstance(value, int | float) and not (q.low is None and q.high is None):
            found[name] = (float(value) if q.low is None else q.low, float(value) if q.high is None else q.high)
    return {name: pair for name, pair in found.items() if pair[0] < pair[1]}


def words(ranges: Mapping[str, ConstantRange]) -> dict[str, str]:
    """Lines for a report: the range of each metric, and the constants that matter most to it."""
    from hwsim.units import format_si

    units = {"latency": "s", "energy": "J"}
    return {
        f"{metric.capitalize()} range": (
            f"{format_si(r.low, units[metric])} to {format_si(r.high, units[metric])}, "
            f"with the constants at their low and high ends; most by {' and '.join(r.fields[:2])}"
        )
        for metric, r in ranges.items()
        if r.high > r.low
    }
