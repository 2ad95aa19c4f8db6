"""Time of (batched) matrix products: waves of tiles over the SMs, operands through the L2, DRAM, fixed cost.

One thread block computes a tile of the output and walks over k. A step of k costs what is longer, the multiply-adds of the
tile or the feed of its operands from the L2; where there are fewer tiles than SMs, k is split. The tile is the fastest of a
small menu, as a library's heuristic would pick. Wave quantisation: NVIDIA, Matrix Multiplication Background User's Guide;
split over k: Osama et al. 2023, Stream-K, arXiv:2301.03598.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.targets.gpu.kernels.common import KernelTime, l2_miss_b

TENSOR_TILES = ((256, 128), (128, 256), (128, 128), (64, 128), (128, 64), (64, 64), (64, 32), (32, 64))
"""(rows, columns) of thread blocks on tensor units."""
VECTOR_TILES = ((128, 128), (128, 64), (64, 128), (64, 64), (64, 32), (32, 64), (32, 32))
"""(rows, columns) of thread blocks on vector units."""
SHORTEST_SPLIT = 128
"""Steps of k that a part of a split product has at least."""


@dataclass(frozen=True)
class GemmConstants:
    """Constants of the model, shared by all devices; the shelf holds the fitted values (`targets/gpu/fitted/gemm.yaml`)."""

    fixed_s: float = 2.2e-6
    """Launch and fixed cost of a kernel."""
    tensor_frac: float = 0.9
    """Share of the tensor units' peak that a full tile reaches."""
    vector_frac: float = 0.85
    """Share of the vector units' peak that a full tile reaches."""
    feed_frac: float = 1.0
    """Operand feed of an SM, in units of the L2's bytes a clock."""
    prologue_clk: float = 3000.0
    """Clocks of a wave that are not multiply-adds: filling and draining the pipeline."""
    prologue_k: float = 300.0
    """Length of k that pays half of `prologue_clk`."""
    smooth_frac: float = 0.4
    """Share of a partly filled last wave that is not lost."""
    split_frac: float = 0.7
    """Share of the idle SMs that splitting k puts to work."""
    dram_frac: float = 0.84
    """Share of the DRAM bandwidth that long streams reach."""
    ramp_s: float = 3e-6
    """Time that a stream takes to reach it."""
    ramp_b: float = 4e6
    """Stream that pays half of `ramp_s`."""
    l2_frac: float = 0.6
    """Share of the L2 bandwidth that is reached."""
    resident_frac: float = 0.2
    """Share of the L2 that keeps operands from one run to the next."""
    write_frac: float = 0.5
    """Share of the L2 that keeps results which are not yet written back."""
    vector_prologue_clk: float = 3000.0
    """The same as `prologue_clk`, on vector units."""
    vector_op_j: float = 15e-12
    """Energy of one fp32 vector operation in a 16 nm process."""
    node_exponent: float = 1.0
    """Power of the process node that this energy goes with."""
    power_share: float = 1.4
    """Energy of an operation where none was measured, in units of the power limit over the fp16 peak of the datasheet."""
    op_j: Mapping[str, float] = field(default_factory=dict)
    """Energy of one fp16 tensor operation by architecture, where it was measured."""


@dataclass(frozen=True)
class GemmColumns:
    """What a product costs on any device; arrays of shape `(kernels,)`, `tiles` one such array a tile of the menu."""

    k: Array
    flop: Array
    batch_tiles: tuple[Array, ...]
    """Thread blocks, on tensor tiles and then on vector tiles."""
    read_b: Array
    """Bytes of both operands and what an epilogue reads."""
    written_b: Array
    """Bytes of the result."""
    element_b: Array
    """Bytes of one operand element on its way to the units (mean of both operands)."""
    rates: tuple[tuple[str, Array], ...]
    """Format of the arithmetic, and a mask of the kernels in it."""
    warm_l2: Array
    """Share of the operands that may still be in the L2."""


def gemm_columns(
    *,
    m: Array,
    n: Array,
    k: Array,
    batch: Array,
    dtypes: tuple[str, ...],
    read_b: Array,
    written_b: Array,
    element_b: Array,
    warm_l2: Array = 0.0,
) -> GemmColumns:
    """Columns of products `(batch, m, k) x (batch, k, n)`; `dtypes` names the format of each kernel."""
    import numpy as np

    xp = namespace(m)
    one = m * 0.0 + 1.0
    tiles = tuple(xp.ceil(m / tm) * xp.ceil(n / tn) * batch for tm, tn in (*TENSOR_TILES, *VECTOR_TILES))
    names = np.asarray(dtypes)
    masks = tuple((str(name), xp.asarray((names == name).astype(float))) for name in sorted(set(dtypes)))
    padded_k = xp.maximum(k, 16.0 * one)
    return GemmColumns(padded_k, 2.0 * m * n * k * batch, tiles, read_b * one, written_b * one, element_b * one, masks, warm_l2 * one)


def gemm_time(columns: GemmColumns, *, device: Any, constants: GemmConstants) -> KernelTime:
    """Time of each product on each device point, `(kernels,)` or `(points, kernels)`.

    The clock falls where the arithmetic would take more than the power limit, by the energy of an operation (`device_op_j`).
    """
    xp = namespace(columns.k, device.sm_count)
    compute = sum(mask * _compute_s(xp, columns, name, device=device, constants=constants) for name, mask in columns.rates)
    warm_b = device.l2_b * columns.warm_l2
    dram_b = l2_miss_b(xp, columns.read_b, capacity_b=constants.resident_frac * warm_b)
    dram_b = dram_b + l2_miss_b(xp, columns.written_b, capacity_b=constants.write_frac * warm_b)
    l2_b_per_s = constants.l2_frac * device.l2_b_per_clk * device.sm_count * device.clock_hz
    ramp = constants.ramp_s * dram_b / (dram_b + constants.ramp_b)
    memory = xp.maximum(ramp + dram_b / (constants.dram_frac * device.dram_b_per_s), (columns.read_b + columns.written_b) / l2_b_per_s)
    return KernelTime(compute, memory, constants.fixed_s, columns.flop, dram_b)


def _compute_s(xp: Any, columns: GemmColumns, name: str, *, device: Any, constants: GemmConstants) -> Array:
    tensor = device.uses_tensor(name)
    menu = TENSOR_TILES if tensor else VECTOR_TILES
    blocks = columns.batch_tiles[: len(TENSOR_TILES)] if tensor else columns.batch_tiles[len(TENSOR_TILES) :]
    share = constants.tensor_frac if tensor else constants.vector_frac
    rate, feed = device.op_per_clk(name) * share, device.l2_b_per_clk * constants.feed_frac
    prologue = (constants.prologue_clk if tensor else constants.vector_prologue_clk) * columns.k / (columns.k + constants.prologue_k)
    best = None
    for (tm, tn), count in zip(menu, blocks, strict=True):
        step = xp.maximum(2.0 * tm * tn / rate, (tm + tn) * columns.element_b / feed)
        clocks = _wave_clk(xp, columns, count, step, prologue, device=device, constants=constants)
        best = clocks if best is None else xp.minimum(best, clocks)
    return xp.maximum(best / device.clock_hz, columns.flop / power_capped_flop_per_s(name, device=device, constants=constants))


def _wave_clk(xp: Any, columns: GemmColumns, count: Array, step: Array, prologue: Array, *, device: Any, constants: GemmConstants) -> Array:
    """Clocks of all waves: a full tile a wave, or a share of k where SMs would stand idle."""
    waves = count / device.sm_count
    smooth = constants.smooth_frac
    quantised = smooth * xp.maximum(waves, 1.0 + 0.0 * waves) + (1.0 - smooth) * xp.ceil(waves)
    spare = xp.maximum(constants.split_frac * device.sm_count / count, 1.0 + 0.0 * waves)
    parts = xp.minimum(spare, xp.maximum(columns.k / SHORTEST_SPLIT, 1.0 + 0.0 * columns.k))
    return quantised * (columns.k * step / parts + prologue)


def power_capped_flop_per_s(name: str, *, device: Any, constants: GemmConstants) -> Array:
    """Arithmetic rate that the power limit sustains; above it the clock falls."""
    from hwsim.targets.gpu.power import op_energy_j, vector_energy_j

    if device.uses_tensor(name):
        return device.power_limit_w / op_energy_j(name, device=device, op_j=constants.op_j, share=constants.power_share)
    energy = vector_energy_j(name, device=device, at_16nm_j=constants.vector_op_j, exponent=constants.node_exponent)
    return device.power_limit_w / energy
