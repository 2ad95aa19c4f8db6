"""What boosted trees see of operators: parts of the closed form, waves and their filling, alignment, work over peak, bytes over bandwidth.

Operators are seen as they were measured, in bf16 and with operands warm in the L2. Everything but logarithms of sizes and times is a ratio,
so that a device which was not seen still looks like one that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.cost import Table
from hwsim.targets.gpu.constants import GpuConstants
from hwsim.targets.gpu.device import arithmetic_class
from hwsim.targets.gpu.kernels.attention import AttentionColumns, AttentionConstants, attention_columns, attention_time
from hwsim.targets.gpu.kernels.common import KernelTime
from hwsim.targets.gpu.kernels.gemm import GemmColumns, GemmConstants, gemm_columns, gemm_time

FORMAT, ELEMENT_B = "bf16", 2.0
"""Format that the operators were measured in, and its bytes."""
TILES = ((256, 128), (128, 256), (128, 128), (64, 64), (16, 128))
"""(rows, columns) of thread blocks whose waves over the SMs are looked at."""
ROW_TILES, COLUMN_TILES, DEPTHS = (8, 16, 64, 128, 256), (64, 128, 256), (64, 128)
"""Sizes of a tile along m, n and k whose filling is looked at."""
QUERY_TILES = (16, 64, 128)
"""The same along the packed queries of an attention kernel."""
PARTS = ("latency", "compute", "memory", "overhead", "work", "bytes", "l2_use", "l2_read")
DEVICE = ("intensity", "sm_rate", "sm_count", "op_energy", "clock", "l2_per_sm")
"""Quantities of the device, as logarithms; the last features of each kind."""
GEMM_NAMES = (
    *PARTS,
    *("m", "n", "k", "batch", "aspect", "square"),
    *(f"{name}_{m}x{n}" for m, n in TILES for name in ("waves", "filling")),
    *(f"m_{size}" for size in ROW_TILES),
    *(f"n_{size}" for size in COLUMN_TILES),
    *(f"k_{size}" for size in DEPTHS),
    *("weights", "weights_l2", "weights_quarter", "weights_twelfth", "left_l2"),
    *DEVICE,
)
"""Features of a matrix product, in order."""
ATTENTION_NAMES = (
    *PARTS,
    *("batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim", "attended", "kv_b", "packed"),
    *(f"{name}_{rows}" for rows in QUERY_TILES for name in ("waves", "filling")),
    *("walk", "tokens", "prefill", "causal"),
    *DEVICE,
)
"""Features of an attention kernel, in order."""


def products(*, m: Any, n: Any, k: Any, batch: Any) -> GemmColumns:
    """Columns of matrix products as they were measured."""
    read_b, written_b = (ELEMENT_B * batch * size for size in (m * k + k * n, m * n))
    return gemm_columns(
        m=m, n=n, k=k, batch=batch, dtypes=(FORMAT,) * len(m), read_b=read_b, written_b=written_b, element_b=ELEMENT_B, warm_l2=1.0
    )


def attentions(**sizes: Any) -> AttentionColumns:
    """Columns of attention kernels as they were measured; for `sizes` see `attention_features`."""
    given: dict[str, Any] = {"value_dim": sizes["head_dim"], "element_b": ELEMENT_B, "bias_b": 0.0, "warm_l2": 1.0}
    return attention_columns(**sizes, **given, dtypes=(FORMAT,) * len(sizes["batch"]))


def gemm_features(*, m: Any, n: Any, k: Any, batch: Any, device: Any, constants: GemmConstants) -> np.ndarray:
    """Features of products, shape `(kernels, features)` or `(points, kernels, features)` in the order of `GEMM_NAMES`, as float32."""
    columns = products(m=m, n=n, k=k, batch=batch)
    found = _parts(gemm_time(columns, device=device, constants=constants), columns.read_b, columns.written_b, device)
    found += [np.log2(m), np.log2(n), np.log2(k), np.log2(batch), np.log(m / n), np.log(k / np.sqrt(m * n))]
    for rows, wide in TILES:
        found += _waves(np.ceil(m / rows) * np.ceil(n / wide) * batch, device)
    found += [_filling(m, size) for size in ROW_TILES] + [_filling(n, size) for size in COLUMN_TILES]
    found += [_filling(k, size) for size in DEPTHS]
    return _stacked([*found, *_operands(ELEMENT_B * batch * n * k, ELEMENT_B * batch * m * k, device)], device)


def _operands(right_b: Any, left_b: Any, device: Any) -> list[Any]:
    """Operands against the L2: what is just a multiple of its slices' share stays where a little less does not."""
    shares = [part * right_b / device.l2_b for part in (4.0, 12.0)]
    return [np.log(right_b), np.log(right_b / device.l2_b), *(x - np.round(x) for x in shares), np.log(left_b / device.l2_b)]


def attention_features(
    *,
    batch: Any,
    query_heads: Any,
    kv_heads: Any,
    query_len: Any,
    key_len: Any,
    head_dim: Any,
    attended_frac: Any,
    kv_b: Any,
    device: Any,
    constants: AttentionConstants,
) -> np.ndarray:
    """Features of attention kernels, shapes as in `gemm_features`, in the order of `ATTENTION_NAMES`, as float32.

    Args:
        attended_frac: share of the pairs of a query and a key that masks leave.
        kv_b: bytes of an element of the keys and values.
    """
    sizes = (batch, query_heads, kv_heads, query_len, key_len, head_dim)
    names = ("batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim")
    columns = attentions(**dict(zip(names, sizes, strict=True)), attended_frac=attended_frac, kv_b=kv_b)
    found = _parts(attention_time(columns, device=device, constants=constants), columns.io_b, columns.walked_b, device)
    packed = query_heads / kv_heads * query_len
    found += [*(np.log2(x) for x in sizes), np.log(attended_frac), np.log2(kv_b), np.log2(packed)]
    for rows in QUERY_TILES:
        found += _waves(batch * kv_heads * np.ceil(packed / rows), device)
    several, masked = query_len > 1, attended_frac < 1
    return _stacked([*found, np.log2(key_len * attended_frac), np.log2(batch * query_len), several * 1.0, masked * 1.0], device)


def _parts(time: KernelTime, read_b: Any, written_b: Any, device: Any) -> list[Any]:
    whole, moved_b = time.latency_s, read_b + written_b
    shares = [np.log(np.maximum(part / whole, 1e-6)) for part in (time.compute_s, time.memory_s, time.overhead_s)]
    ideal = [np.log(time.flop / device.peak_op_per_s(FORMAT) / whole), np.log(moved_b / device.dram_b_per_s / whole)]
    return [np.log(whole * 1e6), *shares, *ideal, np.log(moved_b / device.l2_b), np.log(read_b / device.l2_b)]


def _waves(blocks: Any, device: Any) -> list[Any]:
    waves = blocks / device.sm_count
    return [np.log(waves), waves / np.ceil(waves)]


def _filling(size: Any, tile: int) -> Any:
    return size / (np.ceil(size / tile) * tile)


def _stacked(found: list[Any], device: Any) -> np.ndarray:
    peak, sms = device.peak_op_per_s(FORMAT), device.sm_count
    chip = (
        peak / device.dram_b_per_s,
        peak / sms / 1e12,
        sms,
        peak / device.power_limit_w / 1e12,
        device.clock_hz / 1e9,
        device.l2_b / sms,
    )
    return np.stack(np.broadcast_arrays(*found, *(np.log(value) for value in chip)), axis=-1).astype(np.float32)


NAMES: Mapping[str, tuple[str, ...]] = {"gemm": GEMM_NAMES, "attention": ATTENTION_NAMES}
"""Features by kind of table."""


def table_features(table: Table, *, device: Any, constants: GpuConstants) -> tuple[np.ndarray, np.ndarray] | None:
    """(features, which kernels are of a kind that was measured); None for tables of other kinds.

    Measured were single products and attention kernels in formats of 16 bits, without an additive bias.
    """
    if table.kind not in NAMES:
        return None
    kept = np.array([arithmetic_class(row.dtype) in ("bf16", "fp16") for row in table.rows])
    if table.kind == "gemm":
        sizes = _columns(table, "m", "n", "k", "batch")
        return gemm_features(**sizes, device=device, constants=constants.gemm), kept & (sizes["batch"] == 1)
    sizes = _columns(table, "batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim")
    share, kv_b = (np.array([get(row) for row in table.rows]) for get in (lambda row: row.attended, lambda row: row.kv_bits / 8))
    plain = np.array([row.bias_b == 0 and row.value_dim == row.head_dim for row in table.rows])
    return attention_features(**sizes, attended_frac=share, kv_b=kv_b, device=device, constants=constants.attention), kept & plain


def _columns(table: Table, *names: str) -> dict[str, np.ndarray]:
    return {name: np.array([float(getattr(row, name)) for row in table.rows]) for name in names}
