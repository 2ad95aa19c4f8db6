"""Many design points through the cost functions of a single estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Program, Target
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
    count, parts = lengths.pop(), []
    for start in range(0, count, chunk):
        columns = {name: _column(values[start : start + chunk]) for name, values in vary.items()}
        own = {name.removeprefix(MAPPING): v for name, v in columns.items() if name.startswith(MAPPING)}
        changed = replace(device, **{name: v for name, v in columns.items() if not name.startswith(MAPPING)})
        cost = target.cost(program, device=changed, mapping=replace(mapping, **own) if own else mapping)
        used = {name: item.used for name, item in cost.resources.items()}
        parts.append(
            ({"latency": cost.latency_s, "energy": cost.energy_j.total, "memory": cost.memory.total_b}, used, min(chunk, count - start))
        )
    rows = [size for _, _, size in parts]
    totals = {name: _filled([t[name] for t, _, _ in parts], rows) for name in ("latency", "energy", "memory")}
    resources = {name: _filled([used[name] for _, used, _ in parts], rows) for name in parts[0][1]}
    return Points(totals["latency"], totals["energy"], totals["memory"], resources)


MAPPING = "mapping."
"""Prefix of what varies in the mapping."""


def _column(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values[:, None] if values.ndim == 1 else values


def _filled(values: Any, rows: list[int]) -> np.ndarray:
    return np.concatenate([np.broadcast_to(np.reshape(v, -1) if np.ndim(v) else v, (n,)) for v, n in zip(values, rows, strict=True)])
