"""What learned methods see of the kernels of a GPU program: their sizes, the parts of the closed form, the mapping and the device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Table
from hwsim.targets.gpu.constants import GpuConstants
from hwsim.targets.gpu.cost import kernel_time
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.mapping import GpuMapping
from hwsim.targets.gpu.rows import AttentionRow, ConvRow, GemmRow, Row

SIZES = ("row_count", "column_count", "depth", "group_count", "window", "stride", "position_count", "epilogue_b")
"""Sizes of a kernel, whatever its kind: a product's m, n, k and batch; a convolution's as the product it stands for, with its window."""
PLAIN_ROWS = 512
"""Rows that a kernel without a reduction is said to have, whatever the batch; any number would do, but the one of training."""
KINDS = ("gemm", "conv", "attention", "stream")
STYLES = ("reduce", "gather", "scan", "sort")
"""Styles of data-moving kernels beside plain streams."""
DEVICE = ("peak", "bandwidth", "sm_count", "clock", "intensity")
"""Quantities of the device, as logarithms."""
MAPPING = ("compiled", "amp_fp16", "amp_bf16", "plain_bf16", "channels_last", "torch_1", "torch_2_1", "torch_2_4")
PARTS = ("latency", "balance", "fixed_share", "flop", "dram_b")
NAMES = (*SIZES, *KINDS, *STYLES, *PARTS, *MAPPING, *DEVICE)
"""All features, in order."""


def _sizes(row: Row) -> tuple[float, ...]:
    if isinstance(row, ConvRow):
        positions, window, stride = (float(math.prod(x)) for x in (row.input_size, row.kernel_size, row.stride))
        depth = row.in_channels / row.groups * window
        return row.batch * positions / stride, row.out_channels, depth, row.groups, window, stride, positions, row.epilogue_b
    if isinstance(row, GemmRow):
        return row.m, row.n, row.k, row.batch, 1, 1, 1, row.epilogue_b
    if isinstance(row, AttentionRow):
        return row.query_len, row.key_len, row.head_dim, row.batch * row.query_heads, row.value_dim, 1, 1, row.bias_b
    rows = row.row_count if row.row > 1 else PLAIN_ROWS
    return row.read_b + 1, row.written_b + 1, row.ops + 1, row.special + 1, row.row, rows, 1, 0


def features(tables: Sequence[Table], *, device: GpuDevice, mapping: GpuMapping, constants: GpuConstants) -> np.ndarray:
    """Features of every row, shape `(rows, features)` or `(points, rows, features)`, in the order of `NAMES`."""
    parts = [_table(table, device=device, mapping=mapping, constants=constants) for table in tables]
    wide = max((p.shape[:-2] for p in parts), key=len)
    return np.concatenate([np.broadcast_to(p, (*wide, *p.shape[-2:])) for p in parts], axis=-2)


def _table(table: Table, *, device: GpuDevice, mapping: GpuMapping, constants: GpuConstants) -> np.ndarray:
    raw = list(np.log(np.clip(np.array([_sizes(row) for row in table.rows], dtype=float).T, 1e-9, None)).clip(-1, 40))
    kind = [float(table.kind == name) for name in KINDS]
    style = [np.array([float(getattr(row, "style", None) == name) for row in table.rows]) for name in STYLES]
    found = [*raw, *kind, *style, *_parts(table, device, constants), *_mapping(mapping), *_device(device)]
    return np.stack(np.broadcast_arrays(*found), axis=-1)


def _parts(table: Table, device: GpuDevice, constants: GpuConstants) -> list[Array]:
    time = kernel_time(table, device=device, constants=constants)
    balance = np.log((time.compute_s + 1e-9) / (time.memory_s + 1e-9)).clip(-8, 8)
    fixed = np.log(time.latency_s / np.maximum(time.overhead_s, 1e-9))
    return [np.log(time.latency_s * 1e6), balance, fixed, np.log(time.flop + 1), np.log(time.dram_b + 1)]


def _mapping(mapping: GpuMapping) -> list[float]:
    return [
        float(mapping.runtime == "compile"),
        float(mapping.dtype in ("amp", "amp_fp16")),
        float(mapping.dtype == "amp_bf16"),
        float(mapping.dtype in ("bf16", "fp16")),
        float(mapping.layout == "nhwc"),
        *(float(mapping.torch == version) for version in ("1.13", "2.1", "2.4")),
    ]


def _device(device: GpuDevice) -> list[Array]:
    peak, bandwidth = device.peak_op_per_s("fp16"), device.dram_b_per_s
    values = (peak / 1e14, bandwidth / 1e12, device.sm_count / 100, device.clock_hz / 1e9, peak / bandwidth / 100)
    return [np.log(value) for value in values]
