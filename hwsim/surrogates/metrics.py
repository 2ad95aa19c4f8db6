"""Metrics of data sets in a `Cost`, and how predictions of them are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwsim.accuracy import error_row
from hwsim.cost import Cost
from hwsim.errors import UnknownName

RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18", "uram": "URAM"}
"""Metric to the resource of a `Cost`."""
_VALUES: Mapping[str, Callable[[Cost], Any]] = {
    "latency_s": lambda cost: cost.latency_s,
    "interval_s": lambda cost: cost.interval_s,
    "energy_j": lambda cost: cost.energy_j.total,
    "power_w": lambda cost: cost.energy_j.total / cost.interval_s,
    "memory_b": lambda cost: cost.memory.total_b,
    "cycles": lambda cost: cost.extra["latency_cycles"],
    "interval_cycles": lambda cost: cost.extra["interval_cycles"],
    **{metric: (lambda cost, name=name: cost.resources[name].used) for metric, name in RESOURCES.items()},
}


def value_of(cost: Cost, metric: str) -> float:
    """What the cost of a single point says of a metric of data sets.

    Raises:
        UnknownName: it says nothing of it.
    """
    return float(values_of(cost, metric))


def values_of(cost: Cost, metric: str) -> np.ndarray:
    """The same for all points, shape `()` or `(points,)`.

    Raises:
        UnknownName: it says nothing of it.
    """
    if metric not in _VALUES:
        raise UnknownName("metric", metric, _VALUES)
    try:
        return np.asarray(_VALUES[metric](cost), dtype=float)
    except KeyError:
        raise UnknownName("metric of this family", metric, [name for name in _VALUES if _says(cost, name)]) from None


def _says(cost: Cost, metric: str) -> bool:
    try:
        _VALUES[metric](cost)
    except KeyError:
        return False
    return True


def range_name(metric: str) -> str:
    """Name of the range of a metric in an estimate.

    >>> range_name("lut"), range_name("cycles"), range_name("energy_j")
    ('LUT', 'latency', 'energy')
    """
    return RESOURCES.get(metric) or {"cycles": "latency", "interval_cycles": "interval"}.get(metric) or metric.rpartition("_")[0]


def offset(metric: str) -> float:
    """Added to both sides before a ratio is taken: 1 for counts, where zero is a number like others, else 0.

    >>> offset("lut"), offset("latency_s")
    (1.0, 0.0)
    """
    from hwsim.datasets.tables import unit_of

    return 1.0 if unit_of(metric) == "1" else 0.0


def scores(
    metric: str,
    measured: np.ndarray,
    found: np.ndarray,
    closed: np.ndarray,
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> dict[str, Any]:
    """Errors of predictions, shape `(rows,)` each, in one unit; shares, not percentages. Relative errors leave out rows that measure 0.

    Args:
        metric: counts take one more in the denominator of SMAPE, as wa-hls4ml has it.
        closed: the closed form beside it.
        low: of ranges, not a number where there is none.
        high: likewise.
    """
    row = error_row("", measured, found, closed)
    told: dict[str, Any] = {
        "n": len(measured),
        "median_ape": row.median / 100,
        "mean_ape": row.mean / 100,
        "p90_ape": row.p90 / 100,
        "bias": row.bias / 100,
        "smape": float(np.mean(2 * np.abs(measured - found) / (np.abs(measured) + np.abs(found) + offset(metric)))),
        "r2": row.r2,
        "spearman": row.spearman,
        "closed_form_median_ape": row.roofline_median / 100,
    }
    if low is not None and high is not None:
        ranged = np.isfinite(low) & np.isfinite(high)
        inside = (measured >= low) & (measured <= high)
        told |= {"ranged": int(ranged.sum()), "covered": float(np.mean(inside[ranged])) if ranged.any() else None}
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 5) if np.isfinite(value) else None
