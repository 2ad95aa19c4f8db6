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


def evaluate(
    target: Target, program: Program, *, device: Any, mapping: Any, vary: Mapping[str, np.ndarray], chunk: int = CHUNK_POINTS
) -> Points:
    """Costs of one program on many devices.

    Args:
        device: the device that all points start from.
        vary: values of device fields in SI units, arrays of one length `points`.
        chunk: points at a time.

    Raises:
        InputError: columns of different length, or none.
    """
    lengths = {len(column) for column in vary.values()}
    if len(lengths) != 1:
        raise InputError(f"columns of length {sorted(lengths)} to vary; expected one common length")
    count, parts = lengths.pop(), []
    for start in range(0, count, chunk):
        columns = {name: np.asarray(column[start : start + chunk])[:, None] for name, column in vary.items()}
        cost = target.cost(program, device=replace(device, **columns), mapping=mapping)
        parts.append((cost.latency_s, cost.energy_j.total, cost.memory.total_b))
    latency, energy, memory = zip(*parts, strict=True)
    rows = [np.shape(part)[0] for part in latency]
    return Points(np.concatenate(latency), _filled(energy, rows), _filled(memory, rows))


def _filled(values: Any, rows: list[int]) -> np.ndarray:
    return np.concatenate([np.broadcast_to(np.reshape(v, -1) if np.ndim(v) else v, (n,)) for v, n in zip(values, rows, strict=True)])
