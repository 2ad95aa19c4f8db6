"""Activations by look-up table, softmax, and embeddings: memory read by an index.

A block RAM has two ports, so a table serves two elements at a time in io_parallel; every further pair has a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware, base_columns, column, linear, log2ceil

KINDS = frozenset({"Softmax", "Embedding", "UnaryLUT"})
"""hls4ml's classes, and activations that `pointwise` does not do in logic."""
FORMS = ("function", "softmax", "argmax", "embedding")
BLOCK_BITS = 18432.0
LUTRAM_BITS = 1024
"""Largest table that stays in LUTs."""


@dataclass(frozen=True)
class TableColumns(Base):
    """Elements that are looked up."""

    form: Array
    """Index into `FORMS`."""
    table_bits: Array
    """Bits of one table."""
    tables: Array
    """Kinds of tables: one of a function, exponential and inverse of a softmax."""


def columns(layers: Sequence[HlsLayer], *, io_stream: bool) -> TableColumns:
    """Columns of these layers."""
    return TableColumns(
        **base_columns(layers, io_stream=io_stream),
        form=column(layers, lambda x: FORMS.index(_form(x))),
        table_bits=column(layers, _table_bits),
        tables=column(layers, lambda x: 2 if x.kind == "Softmax" else 1),
    )


def _form(layer: HlsLayer) -> str:
    if layer.kind == "Softmax":
        return "argmax" if layer.implementation == "argmax" else "softmax"
    return "embedding" if layer.kind == "Embedding" else "function"


def _table_bits(layer: HlsLayer) -> float:
    if layer.kind == "Embedding":
        return layer.n_in * layer.n_out * layer.precision.get("weight", layer.result).width
    formats = [layer.precision[k] for k in ("table", "exp_table", "inv_table") if k in layer.precision]
    return layer.table_size * max((f.width for f in formats), default=18)


def hardware(c: TableColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    """Cycles and resources of the rows."""
    n, zero = c.out_channels, np.zeros_like(c.form)
    softmax, argmax = c.form == 1, c.form == 2
    vitis = mapping.backend.startswith("Vitis")
    blocks = np.where(c.table_bits > LUTRAM_BITS, np.ceil(c.table_bits / BLOCK_BITS), 0.0)
    ports = np.ceil(n / 2)
    bram = np.where(softmax, blocks * np.where(c.stream > 0, 2 + np.ceil(n / 5), np.where(vitis, n, ports + 1)), blocks * ports)
    dsp = np.where(softmax, n, 0.0) * (mapping.multiplier != "fabric")
    found = features(c, fabric=mapping.multiplier == "fabric")
    lut = ff = zero
    for i, name in enumerate(FORMS):
        mask = c.form == i
        if np.any(mask):
            lut = lut + mask * linear(constants, f"table_{name}.lut", found)
            ff = ff + mask * linear(constants, f"table_{name}.ff", found)
    depth = latency(c, budget_ns=mapping.budget_s * 1e9, vitis=vitis)
    streams = c.out_positions > 1
    total = np.where(streams, c.out_positions + depth, depth)
    return Hardware(
        latency_cycles=total,
        latency_min_cycles=total,
        interval_cycles=np.where(streams, c.out_positions + 1, 1.0),
        multipliers=dsp,
        reuse_factor=np.ones_like(dsp),
        dsp=dsp,
        lut=lut,
        ff=ff,
        bram18=np.where(argmax, 0.0, bram),
        uram=zero,
    )


def features(c: TableColumns, *, fabric: bool) -> dict[str, Array]:
    """Bits that LUT and FF are linear in."""
    bits = c.out_channels * c.out_bits
    softmax = np.asarray(c.form == FORMS.index("softmax"), dtype=float)
    return {
        "one": softmax,
        "stream": softmax * c.stream,
        "element_bits": bits,
        "tree_bits": bits * log2ceil(c.out_channels),
        "stream_bits": bits * c.stream,
        "fabric_bits": bits * softmax * fabric,
    }


def latency(c: TableColumns, *, budget_ns: Array, vitis: bool) -> Array:
    """Cycles of one pixel: index and read, and for a softmax the tree to the largest, the sum, the inverse and the product."""
    levels = log2ceil(c.out_channels)
    level = 4.375 / budget_ns if vitis else 0.5
    tree = np.floor(levels * level * 2)
    return np.where(c.form == 1, 5.0 + tree, np.where(c.form == 2, 1.0 + np.floor(levels * level), 3.0 if vitis else 2.0))
