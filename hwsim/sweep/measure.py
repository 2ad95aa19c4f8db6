"""Metrics of points from a cost: one array function for single chunks and for traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.cost import Cost

OVER = "over."
"""Prefix of the tests that say which limit a point exceeds: `over.memory`, `over.lut`."""


def measured(cost: Cost, *, batch: int = 1) -> dict[str, Array]:
    """Metrics by name, SI, each of shape `()` or `(points,)`.

    `latency_s`, `interval_s`, `energy_j`, `power_w`, `throughput_per_s`, `memory_b`, `fits`, resources in lower case, what the family adds
    (`Cost.extra`), and `over.<what>` for every limit.
    """
    energy, interval = cost.energy_j.total, cost.interval_s
    found: dict[str, Array] = {"latency_s": cost.latency_s, "interval_s": interval, "energy_j": energy, "memory_b": cost.memory.total_b}
    found["power_w"] = _ratio(energy, interval)
    found["throughput_per_s"] = _ratio(float(batch), interval)
    over = {f"{OVER}memory": cost.memory.total_b > cost.memory.capacity_b}
    for name, item in cost.resources.items():
        found[name.lower()] = item.used
        over[f"{OVER}{name.lower()}"] = item.used > item.available
    over |= {f"{OVER}{name}": exceeded for name, exceeded in cost.limits.items()}
    found |= {name: value for name, value in cost.extra.items() if name not in found}
    return {**found, **over, "fits": ~_any(over)}


def _any(tests: Mapping[str, Array]) -> Any:
    import numpy as np

    found: Any = np.asarray(False)
    for test in tests.values():
        found = found | (np.asarray(test) if isinstance(test, bool) else test)
    return found


def _ratio(above: Array, below: Array) -> Array:
    """`above / below`, 0 where there is nothing below."""
    xp = namespace(above, below)
    with _quiet():
        return xp.where(below > 0, above / xp.where(below > 0, below, 1.0), 0.0)


def _quiet() -> Any:
    import numpy as np

    return np.errstate(all="ignore")
