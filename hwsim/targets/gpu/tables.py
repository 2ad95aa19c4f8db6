"""Unique kernel rows as struct-of-array tables, one table a kernel kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.cost import Table
from hwsim.dtypes import dtype
from hwsim.targets.gpu.device import arithmetic_class
from hwsim.targets.gpu.kernels.attention import AttentionColumns, attention_columns
from hwsim.targets.gpu.kernels.conv_columns import ConvColumns, conv_columns
from hwsim.targets.gpu.kernels.gemm import GemmColumns, gemm_columns
from hwsim.targets.gpu.kernels.streaming import StreamingColumns
from hwsim.targets.gpu.mapping import GpuMapping
from hwsim.targets.gpu.rows import AttentionRow, ConvRow, GemmRow, Row, StreamRow


def build_tables(counts: Mapping[Row, int], *, mapping: GpuMapping) -> tuple[tuple[Table, ...], dict[Row, int]]:
    """Tables of the rows in `counts`, and the position of every row among all of them."""
    tables, position = [], {}
    for kind, (row_type, columns_of) in BUILDERS.items():
        rows = [row for row in counts if isinstance(row, row_type)]
        if rows:
            position.update({row: len(position) + i for i, row in enumerate(rows)})
            tables.append(Table(kind, columns_of(rows, mapping), np.array([float(counts[row]) for row in rows]), tuple(rows)))
    return tuple(tables), position


def _numbers(rows: Sequence[Any], *names: str) -> dict[str, np.ndarray]:
    return {name: np.array([float(getattr(row, name)) for row in rows]) for name in names}


def _classes(rows: Sequence[Any]) -> tuple[str, ...]:
    return tuple(arithmetic_class(row.dtype) for row in rows)


def gemm_table(rows: Sequence[GemmRow], mapping: GpuMapping) -> GemmColumns:
    """Columns of matrix products."""
    size = _numbers(rows, "m", "n", "k", "batch")
    moved = _numbers(rows, "a_b", "b_b", "c_b", "epilogue_b")
    wide = np.array([dtype(row.dtype).bytes for row in rows])
    return gemm_columns(
        **size,
        dtypes=_classes(rows),
        read_b=moved["a_b"] + moved["b_b"] + moved["epilogue_b"],
        written_b=moved["c_b"],
        element_b=wide,
        warm_l2=mapping.warm_l2,
    )


def conv_table(rows: Sequence[ConvRow], mapping: GpuMapping) -> ConvColumns:
    """Columns of convolutions; those of fewer spatial dimensions than the widest get dimensions of size 1."""
    dims = max(len(row.input_size) for row in rows)
    sizes = {key: _spatial(rows, key, dims, fill) for key, fill in _SPATIAL.items()}
    return conv_columns(
        **_numbers(rows, "batch", "in_channels", "out_channels", "groups", "epilogue_b"),
        **sizes,
        dtype=_classes(rows),
        channels_last=float(mapping.layout == "nhwc"),
        eager=float(mapping.runtime != "tensorrt"),
        call="queued",
        warm_l2_frac=mapping.warm_l2,
    )


_SPATIAL = {"input_size": 1, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}


def _spatial(rows: Sequence[ConvRow], key: str, dims: int, fill: int) -> list[np.ndarray]:
    padded = [(*(fill,) * (dims - len(getattr(row, key))), *getattr(row, key)) for row in rows]
    return [np.array(column, dtype=float) for column in zip(*padded, strict=True)]


def attention_table(rows: Sequence[AttentionRow], mapping: GpuMapping) -> AttentionColumns:
    """Columns of attention kernels."""
    return attention_columns(
        **_numbers(rows, "batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim", "value_dim", "bias_b"),
        attended_frac=np.array([row.attended for row in rows]),
        element_b=np.array([dtype(row.dtype).bytes for row in rows]),
        kv_b=np.array([row.kv_bits / 8 for row in rows]),
        dtypes=_classes(rows),
        warm_l2=mapping.warm_l2,
    )


def stream_table(rows: Sequence[StreamRow], mapping: GpuMapping) -> StreamingColumns:
    """Columns of data-moving kernels."""

    def flag(*styles: str) -> np.ndarray:
        return np.array([float(row.style in styles) for row in rows])

    numbers = _numbers(rows, "read_b", "written_b", "ops", "special")
    warm = np.full(len(rows), mapping.warm_l2)
    return StreamingColumns(**numbers, reduces=flag("reduce"), gathers=flag("gather"), sorts=flag("sort"), warm_l2=warm)


BUILDERS: Mapping[str, tuple[type, Callable[..., Any]]] = {
    "gemm": (GemmRow, gemm_table),
    "conv": (ConvRow, conv_table),
    "attention": (AttentionRow, attention_table),
    "stream": (StreamRow, stream_table),
}
