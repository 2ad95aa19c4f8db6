"""Chrome trace events: kernels along time, for chrome://tracing and ui.perfetto.dev."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Layer

PID = 1


def estimate_trace(estimate: Estimate) -> dict[str, Any]:
    """A trace-event object: a track a phase, a complete event (`ph: X`, microseconds) a kernel in schedule order.

    Format: Trace Event Format, Google, 2016.
    """
    phases = [e for e in (estimate, estimate.decode) if e is not None]
    events = [_named("process_name", 0, f"{estimate.model} on {estimate.target}")]
    for track, phase in enumerate(phases, start=1):
        events.append(_named("thread_name", track, phase.phase or "inference"))
        events.extend(_kernels(phase, track))
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"model": estimate.model, "target": estimate.target}}


def _named(what: str, track: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": PID, "tid": track, "args": {"name": name}}


def _kernels(estimate: Estimate, track: int) -> Iterator[dict[str, Any]]:
    start_s = 0.0
    for layer in estimate.layers:
        yield _event(layer, start_s, track)
        start_s += layer.latency_s


def _event(layer: Layer, start_s: float, track: int) -> dict[str, Any]:
    return {
        "name": layer.name,
        "cat": layer.kind,
        "ph": "X",
        "pid": PID,
        "tid": track,
        "ts": start_s * 1e6,
        "dur": layer.latency_s * 1e6,
        "args": {
            "path": layer.path,
            "bound": layer.bound,
            "macs": layer.macs,
            "read_b": layer.read_b,
            "written_b": layer.written_b,
            "energy_j": layer.energy_j,
        },
    }
