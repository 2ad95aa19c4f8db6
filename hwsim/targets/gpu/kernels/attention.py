"""Time of fused attention kernels: prefill over tiles of queries, decode over a split cache, grouped heads packed.

A thread block owns a tile of packed query rows (the query heads that share keys stand together) and walks over the keys. A
key costs the two products on the tensor units and the exponentials on the special-function units; the walk is split over
thread blocks where there are fewer of them than SMs. Dao et al. 2022 and 2023, FlashAttention, arXiv:2205.14135 and
arXiv:2307.08691; split walks: Flash-Decoding (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.targets.gpu.kernels.common import KernelTime, l2_miss_b

TILE_ROWS = 128
"""Query rows of a thread block."""
DECODE_ROWS = 16
"""Query rows of a thread block where each sequence has one query."""
SHORTEST_SPLIT = 128
"""Keys that a part of a split walk has at least."""


@dataclass(frozen=True)
class AttentionConstants:
    """Constants shared by all devices; the shelf holds the fitted values (`targets/gpu/fitted/attention.yaml`)."""

    prefill_s: float = 6e-6
    """Fixed cost of a kernel with several queries a sequence."""
    decode_s: float = 5e-6
    """Fixed cost of a kernel with one query a sequence."""
    tensor_frac: float = 0.7
    """Share of the tensor units' peak in the two products."""
    special_frac: float = 0.5
    """Share of the exponentials that the products do not hide."""
    key_clk: float = 2.0
    """Clocks a key that depend on no work: synchronisation, maxima, rescaling."""
    prologue_clk: float = 3000.0
    """Clocks of a wave before the first and after the last key."""
    smooth_frac: float = 0.5
    """Share of a partly filled last wave that is not lost."""
    split_frac: float = 0.5
    """Share of the idle SMs that splitting the keys puts to work."""
    dram_frac: float = 0.8
    """Share of the DRAM bandwidth that is reached."""
    ramp_s: float = 2e-6
    """Time that a stream takes to reach it."""
    l2_frac: float = 0.5
    """Share of the L2 bandwidth that is reached."""
    resident_frac: float = 0.3
    """Share of the L2 that keeps operands from one run to the next."""


@dataclass(frozen=True)
class AttentionColumns:
    """What an attention kernel costs on any device; arrays of shape `(kernels,)`."""

    blocks: Array
    """Thread blocks."""
    rows: Array
    """Query rows of a full thread block."""
    keys: Array
    """Keys that a thread block walks over, on average (masks and windows taken off)."""
    width: Array
    """Sum of the sizes of a key and a value."""
    decode: Array
    """1 where there is one query a sequence, else 0."""
    flop: Array
    io_b: Array
    """Bytes of queries, keys, values, bias and output, each once."""
    walked_b: Array
    """Bytes of keys and values that all thread blocks read."""
    rates: tuple[tuple[str, Array], ...]
    """Format of the arithmetic, and a mask of the kernels in it."""
    warm_l2: Array


def attention_columns(
    *,
    batch: Array,
    query_heads: Array,
    kv_heads: Array,
    query_len: Array,
    key_len: Array,
    head_dim: Array,
    value_dim: Array,
    attended_frac: Array,
    element_b: Array,
    kv_b: Array,
    bias_b: Array,
    dtypes: tuple[str, ...],
    warm_l2: Array = 0.0,
) -> AttentionColumns:
    """Columns of attention kernels; `attended_frac` is the share of the pairs that masks leave, `kv_b` bytes of a cached element."""
    import numpy as np

    xp = namespace(batch)
    one = batch * 0.0 + 1.0
    packed = query_heads / kv_heads * query_len
    single = xp.where(query_len == 1, one, 0.0 * one)
    rows = xp.minimum(xp.ceil(packed / 16.0) * 16.0, DECODE_ROWS * single + TILE_ROWS * (1.0 - single))
    blocks = batch * kv_heads * xp.ceil(packed / rows)
    keys, width = key_len * attended_frac, head_dim + value_dim
    cache_b = batch * kv_heads * xp.minimum(key_len, keys * xp.maximum(query_len, one)) * width * kv_b
    names = np.asarray(dtypes)
    masks = tuple((str(name), xp.asarray((names == name).astype(float))) for name in sorted(set(dtypes)))
    return AttentionColumns(
        blocks=blocks,
        rows=rows,
        keys=keys,
        width=width,
        decode=single,
        flop=2.0 * batch * query_heads * query_len * keys * width,
        io_b=batch * query_heads * query_len * width * element_b + cache_b + bias_b,
        walked_b=blocks * keys * width * kv_b,
        rates=masks,
        warm_l2=warm_l2 * one,
    )


def attention_time(columns: AttentionColumns, *, device: Any, constants: AttentionConstants) -> KernelTime:
    """Time of each kernel on each device point, `(kernels,)` or `(points, kernels)`."""
    xp = namespace(columns.keys, device.sm_count)
    c = constants
    rate = sum(mask * device.op_per_clk(name) for name, mask in columns.rates)
    step = (
        2.0 * columns.rows * columns.width / (c.tensor_frac * rate) + c.special_frac * columns.rows / device.special_op_per_clk + c.key_clk
    )
    waves = columns.blocks / device.sm_count
    one = 1.0 + 0.0 * waves
    quantised = c.smooth_frac * xp.maximum(waves, one) + (1.0 - c.smooth_frac) * xp.ceil(waves)
    parts = xp.minimum(xp.maximum(c.split_frac / waves, one), xp.maximum(columns.keys / SHORTEST_SPLIT, 1.0 + 0.0 * columns.keys))
    compute = quantised * (columns.keys * step / parts + c.prologue_clk) / device.clock_hz
    dram_b = l2_miss_b(xp, columns.io_b, capacity_b=c.resident_frac * device.l2_b * columns.warm_l2)
    l2_b_per_s = c.l2_frac * device.l2_b_per_clk * device.sm_count * device.clock_hz
    stream = c.ramp_s * dram_b / (dram_b + 1e5) + dram_b / (c.dram_frac * device.dram_b_per_s)
    memory = xp.maximum(stream, columns.walked_b / l2_b_per_s)
    overhead = columns.decode * c.decode_s + (1.0 - columns.decode) * c.prefill_s
    return KernelTime(compute, memory, overhead, columns.flop, dram_b)
