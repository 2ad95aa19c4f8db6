"""Element by element in logic: ReLU and its kin, batch normalisation, scaling, merging.

One unit an element in io_parallel, one a channel when streaming; DSP slices where a tensor is multiplied (batch normalisation, leaky
slopes, products), logic in proportion to the bits elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array, floats
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware, base_columns, column, linear

KINDS = frozenset({"Activation", "ParametrizedActivation", "PReLU", "HardActivation", "BatchNormalization", "ApplyAlpha", "Merge", "Dot"})
"""hls4ml's classes, apart from activations that need a table."""
LOGIC = (
    "relu",
    "relu6",
    "threshold_relu",
    "thresholded_relu",
    "thresholdedrelu",
    "binary_tanh",
    "ternary_tanh",
    "binarytanh",
    "ternarytanh",
    "linear",
)
"""Activations that compare only."""
SCALED = ("leaky_relu", "leakyrelu", "prelu", "hard_sigmoid", "hard_tanh", "parametrized")
"""Activations with one product by a slope."""
FORMS = ("logic", "slope", "scale", "add", "multiply")
"""What an element costs: a comparison, a product by a constant, a product by a stored number, a sum, a product of two tensors."""


@dataclass(frozen=True)
class PointwiseColumns(Base):
    """Elements that are worked on one by one."""

    form: Array
    """Index into `FORMS`."""
    operands: Array
    weight_bits: Array
    rounds: Array
    """1 where the output rounds or saturates."""


def form_of(layer: HlsLayer) -> str:
    """Which of `FORMS` a layer is."""
    if layer.kind in ("BatchNormalization", "ApplyAlpha"):
        return "scale"
    if layer.kind in ("Merge", "Dot"):
        return "multiply" if layer.operation in ("multiply", "mul", "dot", "dot1d") else "add"
    if layer.operation in LOGIC:
        return "logic"
    return "slope" if layer.operation in SCALED or layer.kind in ("PReLU", "HardActivation", "ParametrizedActivation") else "logic"


def columns(layers: Sequence[HlsLayer], *, io_stream: bool) -> PointwiseColumns:
    """Columns of these layers."""
    return PointwiseColumns(
        **base_columns(layers, io_stream=io_stream),
        form=column(layers, lambda x: FORMS.index(form_of(x))),
        operands=column(layers, lambda x: max(1, len(x.inputs))),
        weight_bits=column(layers, lambda x: x.precision["scale"].width if "scale" in x.precision else x.result.width),
        rounds=column(layers, lambda x: (x.result.rounding, x.result.saturation) != ("TRN", "WRAP")),
    )


def features(c: PointwiseColumns, *, tight: Array) -> dict[str, Array]:
    """Bits that LUT and FF are linear in."""
    bits = c.out_channels * np.maximum(c.in_bits, c.out_bits)
    return {
        "one": np.ones_like(bits),
        "stream": c.stream,
        "element_bits": bits,
        "rounded_bits": bits * c.rounds,
        "registered_bits": bits * tight * c.rounds,
        "stream_bits": bits * c.stream,
        "operand_bits": bits * (c.operands - 1),
    }


def hardware(c: PointwiseColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    """Cycles and resources of the rows."""
    tight = floats(mapping.budget_s < TIGHT_S)
    found, zero = features(c, tight=tight), np.zeros_like(c.form)
    lut = ff = zero
    for i, name in enumerate(FORMS):
        mask = c.form == i
        if np.any(mask):
            lut = lut + mask * linear(constants, f"pointwise_{name}.lut", found)
            ff = ff + mask * linear(constants, f"pointwise_{name}.ff", found)
    multiplies = (
        (c.form == FORMS.index("scale")) | (c.form == FORMS.index("multiply")) | ((c.form == FORMS.index("slope")) & (c.stream > 0))
    )
    width = np.minimum(c.in_bits, c.weight_bits)
    dsp = np.where(multiplies & (width > NARROW_BITS), c.out_channels, 0.0)
    if mapping.multiplier == "fabric":
        dsp = zero
    depth = np.where(multiplies, 1.0, 0.0) + tight * c.rounds
    streams = c.out_positions > 1
    latency = np.where(streams, c.out_positions + 2 + depth, depth)
    return Hardware(
        latency_cycles=latency,
        latency_min_cycles=latency,
        interval_cycles=np.where(streams, c.out_positions + 1, 1.0),
        multipliers=np.where(multiplies, c.out_channels, 0.0),
        reuse_factor=np.ones_like(dsp),
        dsp=dsp,
        lut=lut,
        ff=ff,
        bram18=zero,
        uram=zero,
    )


TIGHT_S = 4e-9
"""Time budget of a cycle below which Vitis HLS registers a comparison that rounds and saturates (5 ns less 27 %, argykokk's reports)."""
NARROW_BITS = 9
"""Widest operand of a variable product that stays in fabric."""
