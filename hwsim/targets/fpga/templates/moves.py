"""Pooling, and what only moves data: padding, up-sampling, clones, repacks, concatenation, transposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware, base_columns, column, linear

POOLING = frozenset({"Pooling1D", "Pooling2D", "GlobalPooling1D", "GlobalPooling2D"})
MOVES = frozenset(
    {
        "ZeroPadding1D",
        "ZeroPadding2D",
        "Resize",
        "Clone",
        "Repack",
        "Broadcast",
        "Concatenate",
        "Transpose",
        "Reshape",
        "Flatten",
        "Cropping1D",
        "Cropping2D",
    }
)
KINDS = POOLING | MOVES
FORMS = ("max_pool", "average_pool", "pad", "copy", "wires")
"""Comparison or sum of a window, borders around an image, a word copied, nothing but wires."""
COPIES = ("Clone", "Repack", "Resize", "Broadcast", "Concatenate", "Transpose", "Cropping1D", "Cropping2D")


@dataclass(frozen=True)
class MoveColumns(Base):
    """Windows and copies."""

    form: Array
    """Index into `FORMS`."""
    window: Array
    """Elements of a pooling window."""
    rows_kept: Array
    """Lines that a streaming window keeps."""
    line: Array
    """Pixels of a line."""
    encoded: Array
    """1 with the encoded implementation."""


def form_of(layer: HlsLayer) -> str:
    """Which of `FORMS` a layer is."""
    if layer.kind in POOLING:
        return "average_pool" if layer.operation == "average" else "max_pool"
    if layer.kind.startswith("ZeroPadding"):
        return "pad"
    return "copy" if layer.kind in COPIES else "wires"


def columns(layers: Sequence[HlsLayer], *, io_stream: bool) -> MoveColumns:
    """Columns of these layers."""
    return MoveColumns(
        **base_columns(layers, io_stream=io_stream),
        form=column(layers, lambda x: FORMS.index(form_of(x))),
        window=column(
            layers, lambda x: int(np.prod(x.kernel, dtype=int)) if x.kernel else max(1, int(np.prod(x.in_shape[:-1], dtype=int)))
        ),
        rows_kept=column(layers, lambda x: x.kernel[0] - 1 if len(x.kernel) == 2 else 0),
        line=column(layers, lambda x: x.in_shape[1] if len(x.in_shape) == 3 else 1),
        encoded=column(layers, lambda x: x.implementation == "encoded"),
    )


def features(c: MoveColumns) -> dict[str, Array]:
    """Bits that LUT and FF are linear in."""
    bits = c.out_channels * c.out_bits
    pools = c.form <= 1
    return {
        "one": np.ones_like(bits),
        "element_bits": bits,
        "window_bits": bits * np.where(pools, c.window, 0.0),
        "parallel_bits": np.where(pools, c.in_channels * c.in_bits, 0.0) * (1 - c.stream),
        "encoded_bits": bits * c.stream * c.encoded * pools,
        "line_bits": c.stream * bits * c.rows_kept * np.ceil(c.line / 32),
    }


def hardware(c: MoveColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    """Cycles and resources of the rows."""
    found, zero = features(c), np.zeros_like(c.form)
    lut = ff = zero
    for i, name in enumerate(FORMS):
        mask = (c.form == i) & ((c.stream > 0) | (i <= 1))
        if np.any(mask):
            lut = lut + mask * linear(constants, f"{name}.lut", found)
            ff = ff + mask * linear(constants, f"{name}.ff", found)
    passed = np.where(c.form <= 1, c.in_positions, np.maximum(c.out_positions, c.in_positions))
    streams = (c.stream > 0) & (passed > 1) & (c.form < FORMS.index("wires"))
    beat = np.where(c.form == FORMS.index("pad"), 1.0, 1.0)
    latency = np.where(streams, passed * beat + np.where(c.form == FORMS.index("pad"), 3.0, 3.0), 0.0)
    return Hardware(
        latency_cycles=latency,
        latency_min_cycles=latency,
        interval_cycles=np.where(streams, latency, 1.0),
        multipliers=zero,
        reuse_factor=np.ones_like(zero),
        dsp=zero,
        lut=lut,
        ff=ff,
        bram18=zero,
        uram=zero,
    )
