"""Many design points through the cost functions of a single estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Cost, Program, Target
from hwsim.errors import InputError

CHUNK_POINTS = 1024
"""Points at a time, so that the working set stays in the cache."""


@dataclass(frozen=True)
class Points:
    """Totals of every point, shape `(points,)` each."""

    latency_s: Array
    energy_j: Array
    memory_b: Array
    resources: Mapping[str, Array]
    """Used, by name; empty where the family has none."""


def evaluate(
    target: Target, program: Program, *, device: Any, mapping: Any, vary: Mapping[str, np.ndarray], chunk: int = CHUNK_POINTS
) -> Points:
    """Costs of one program at many design points.

    Args:
        device: the device that all points start from.
        mapping: the mapping that all points start from.
        vary: values of device fields in SI units, and of mapping fields as `mapping.<field>`; arrays of one length `points`, or
            `(points, layers)` where a family takes a value a layer (FPGA: `mapping.reuse_factor`).
        chunk: points at a time.

    Raises:
        InputError: columns of different length, or none.
    """
    lengths = {len(column) for column in vary.values()}
    if len(lengths) != 1:
        raise InputError(f"columns of length {sorted(lengths)} to vary; expected one common length")
    count = lengths.pop()
    found = _traced(target, program, device=device, mapping=mapping, vary=vary) if count >= WORTH_TRACING else None
    if found is None:
        parts = (range(start, min(start + chunk, count)) for start in range(0, count, chunk))
        rows = [_plain(target, program, device=device, mapping=mapping, vary=vary, part=part) for part in parts]
        found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    resources = {name.removeprefix(USED): values for name, values in found.items() if name.startswith(USED)}
    return Points(found["latency"], found["energy"], found["memory"], resources)


def totals(cost: Cost) -> dict[str, Array]:
    """What is kept of a cost."""
    used = {f"{USED}{name}": item.used for name, item in cost.resources.items()}
    return {"latency": cost.latency_s, "energy": cost.energy_j.total, "memory": cost.memory.total_b, **used}


def _plain(target: Target, program: Program, *, vary: Mapping[str, np.ndarray], part: range, **base: Any) -> dict[str, np.ndarray]:
    """The cost function on columns of some points."""
    from hwsim.sweep.trace import cost_of

    columns = {name: _column(values[part.start : part.stop]) for name, values in vary.items()}
    found = totals(cost_of(target, program, columns=columns, **base))
    return {name: np.broadcast_to(np.reshape(v, -1) if np.ndim(v) else v, (len(part),)) for name, v in found.items()}


def _traced(target: Target, program: Program, *, vary: Mapping[str, np.ndarray], **base: Any) -> dict[str, np.ndarray] | None:
    """All points through the cost function as an expression graph; None where it cannot be traced."""
    from hwsim.sweep.backend_numpy import NumpyKernel
    from hwsim.sweep.rewrite import rewritten
    from hwsim.sweep.trace import NotTraceable, trace

    wide = {name: _column(values) for name, values in vary.items()}
    fields = {name: name if v.shape[1] == 1 else tuple(f"{name}#{i}" for i in range(v.shape[1])) for name, v in wide.items()}
    try:
        made = trace(target, program, fields=fields, measure=totals, **base)
    except NotTraceable:
        return None
    columns = {name if v.shape[1] == 1 else f"{name}#{i}": v[None, :, i] for name, v in wide.items() for i in range(v.shape[1])}
    found = NumpyKernel(rewritten(made.graph, made.outputs)).chunked(columns)
    return {name: values[0] for name, values in found.items()}


WORTH_TRACING = 20_000
"""Points below which the cost function on columns is as fast."""
USED = "used "


def _column(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values[:, None] if values.ndim == 1 else values
