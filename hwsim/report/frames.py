"""Estimates as pandas data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import MissingExtra

if TYPE_CHECKING:
    import pandas

    from hwsim.estimate import Estimate, Layer


def layers_frame(estimate: Estimate) -> pandas.DataFrame:
    """A row a kernel in schedule order; parts of the time as columns `<part>_s`.

    Raises:
        MissingExtra: pandas is not installed.
    """
    return _pandas().DataFrame([_row(layer) for layer in estimate.layers])


def comparison_frame(estimates: Sequence[Estimate]) -> pandas.DataFrame:
    """A row an estimate: totals, memory, verdict.

    Raises:
        MissingExtra: pandas is not installed.
    """
    return _pandas().DataFrame([_totals(e) for e in estimates])


def _row(layer: Layer) -> dict[str, Any]:
    plain = {name: getattr(layer, name) for name in layer.__slots__ if name not in ("parts_s", "nodes")}
    return {**plain, "nodes": ", ".join(layer.nodes), **{f"{name}_s": value for name, value in layer.parts_s.items()}}


def _totals(e: Estimate) -> dict[str, Any]:
    return {
        "model": e.model,
        "target": e.target,
        "batch": e.batch,
        "phase": e.phase,
        "latency_s": e.latency_s,
        "throughput_per_s": e.throughput_per_s,
        "energy_j": e.energy_j,
        "power_w": e.power_w,
        "memory_b": float(e.memory.total_b),
        "capacity_b": float(e.memory.capacity_b),
        "fits": e.fits,
    }


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtra("pandas", "data") from None
    return pandas
