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


def constant_ranges(target: Target, program: Program, *, device: Any, mapping: Any) -> dict[str, ConstantRange]:
    """Ranges of `latency` and `energy` from the low and high ends that the device's sources state.

    Which end of a constant lowers a metric is found with all others at their nominal values; both corners are then evaluated. They
    are exact where the metric is monotone in every constant. Constants without a range, and those that the caller gave, stay.

    Args:
        target: a family whose cost function takes columns of every quantity.

    Returns:
        Nothing where no constant has a range.
    """
    ends = _ends(device)
    if not ends:
        return {}
    names, count = list(ends), 2 * len(ends)
    alone = {name: np.full((count, 1), float(getattr(device, name))) for name in names}
    for i, name in enumerate(names):
        alone[name][2 * i : 2 * i + 2, 0] = ends[name]
    moved = _metrics(target.cost(program, device=replace(device, **alone), mapping=mapping), count)
    nominal = _metrics(target.cost(program, device=device, mapping=mapping), 1)
    return {
        metric: _range(target, program, device, mapping, ends, metric, values.reshape(-1, 2), float(nominal[metric][0]))
        for metric, values in moved.items()
    }


def _ends(device: Any) -> dict[str, tuple[float, float]]:
    """Low and high of the constants that have both or one of them."""
    found = {}
    for name, q in device.sources.items():
        value = getattr(device, name, None)
        if q.status != "given" and isinstance(value, int | float) and not (q.low is None and q.high is None):
            found[name] = (float(value) if q.low is None else q.low, float(value) if q.high is None else q.high)
    return {name: pair for name, pair in found.items() if pair[0] < pair[1]}


def _metrics(cost: Cost, count: int) -> dict[str, np.ndarray]:
    pairs = {"latency": cost.latency_s, "energy": cost.energy_j.total}
    return {name: np.broadcast_to(np.asarray(value, dtype=float).reshape(-1), (count,)) for name, value in pairs.items()}


def _range(
    target: Target,
    program: Program,
    device: Any,
    mapping: Any,
    ends: Mapping[str, tuple[float, float]],
    metric: str,
    moved: np.ndarray,
    nominal: float,
) -> ConstantRange:
    """Both corners of a metric; `moved`: its values with each constant alone at its low and at its high end."""
    raises = moved[:, 1] >= moved[:, 0]
    corners = {
        name: np.array([[low if up else high], [high if up else low]]) for (name, (low, high)), up in zip(ends.items(), raises, strict=True)
    }
    values = _metrics(target.cost(program, device=replace(device, **corners), mapping=mapping), 2)[metric]
    spans = np.abs(moved[:, 1] - moved[:, 0])
    order = [i for i in np.argsort(-spans) if spans[i] > 1e-9 * abs(nominal)]
    return ConstantRange(float(min(values[0], nominal)), float(max(values[1], nominal)), tuple(list(ends)[i] for i in order))


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
