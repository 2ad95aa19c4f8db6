"""Time of kernels that mostly move data: point-wise, reductions, copies, gathers, sorts, scans.

Bytes at the bandwidth that a stream of their size reaches, from the L2 or from DRAM, or operations on the vector and
special-function units, whichever is longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.targets.gpu.kernels.common import KernelTime, l2_miss_b

SECTOR_B = 32.0
"""DRAM and L2 move at least this much at a time."""


@dataclass(frozen=True)
class StreamingConstants:
    """Constants shared by all devices; the shelf holds the fitted values (`targets/gpu/fitted/streaming.yaml`)."""

    fixed_s: float = 2.5e-6
    """Launch and fixed cost of a kernel."""
    dram_frac: float = 0.85
    """Share of the DRAM bandwidth that long streams reach."""
    ramp_s: float = 2e-6
    """Time that a stream takes to reach it."""
    l2_frac: float = 0.5
    """Share of the L2 bandwidth that is reached."""
    resident_frac: float = 0.5
    """Share of the L2 that keeps a tensor from one kernel to the next."""
    vector_frac: float = 0.3
    """Share of the vector units' peak, one operation counted as half a fused multiply-add."""
    special_frac: float = 0.3
    """Share of the special-function units' peak."""
    pass_frac: float = 0.5
    """Traffic that a reduction adds, as a share of its bytes (a second pass that the L2 serves in part)."""
    gather_frac: float = 0.5
    """Share of the bandwidth that indexed access reaches."""
    sort_pass_count: float = 8.0
    """Passes over keys and indices of a sort."""


@dataclass(frozen=True)
class StreamingColumns:
    """What a data-moving kernel costs on any device; arrays of shape `(kernels,)`."""

    read_b: Array
    written_b: Array
    ops: Array
    special: Array
    reduces: Array
    """1 for softmax, norms and reductions, else 0."""
    gathers: Array
    """1 for indexed access, else 0."""
    sorts: Array
    """1 for sorts and top-k, else 0."""
    warm_l2: Array


def streaming_time(columns: StreamingColumns, *, device: Any, constants: StreamingConstants) -> KernelTime:
    """Time of each kernel on each device point, `(kernels,)` or `(points, kernels)`."""
    xp, c = namespace(columns.read_b, device.sm_count), constants
    moved = columns.read_b + columns.written_b
    factor = 1.0 + c.pass_frac * columns.reduces + (1.0 / c.gather_frac - 1.0) * columns.gathers + (c.sort_pass_count - 1.0) * columns.sorts
    traffic = moved * factor
    dram_b = l2_miss_b(xp, traffic, capacity_b=c.resident_frac * device.l2_b * columns.warm_l2)
    lanes = device.sm_count * device.clock_hz
    dram_s = c.ramp_s * dram_b / (dram_b + 1e5) + dram_b / (c.dram_frac * device.dram_b_per_s)
    memory = xp.maximum(dram_s, traffic / (c.l2_frac * device.l2_b_per_clk * lanes))
    vector_s = columns.ops / (0.5 * c.vector_frac * device.fp32_flop_per_clk * lanes)
    special_s = columns.special / (c.special_frac * device.special_op_per_clk * lanes)
    fixed = c.fixed_s * (1.0 + 0.0 * moved) * (1.0 + (0.5 * c.sort_pass_count - 1.0) * columns.sorts)
    return KernelTime(vector_s + special_s, memory, fixed, columns.ops + columns.special, dram_b)
