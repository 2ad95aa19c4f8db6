"""What the templates share: the columns of every row, the hardware they come to, and linear forms with fitted coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from hwsim.arrays import Array, floats
from hwsim.targets.fpga.layers import HlsLayer

WIRES = ("Reshape", "Flatten")
"""hls4ml's classes that are no hardware."""
Constants = Mapping[str, float]
Features = Mapping[str, Array]


@dataclass(frozen=True)
class Base:
    """Columns that every template has, shape `(rows,)` each."""

    in_bits: Array
    """Width of an input number."""
    out_bits: Array
    """Width of an output number."""
    in_channels: Array
    """Numbers that arrive together: channels of a pixel when streaming, all inputs in io_parallel."""
    out_channels: Array
    in_positions: Array
    """Pixels that arrive one after the other, 1 in io_parallel and for vectors."""
    out_positions: Array
    inputs: Array
    """Elements of the whole input."""
    outputs: Array
    """Elements of the whole output."""
    stream: Array
    """1 with io_stream, 0 with io_parallel."""
    buffered: Array
    """1 where a FIFO stands behind the layer when streaming, 0 where its output is only wires."""
    reuse_requested: Array
    """Reuse factor that was asked for; 0 where there is none."""
    repeat: Array
    """Times an inference that the instance works one after the other: steps of a recurrent layer."""
    first: Array
    """1 where the network's input arrives, 0 inside the network."""


@dataclass(frozen=True)
class Hardware:
    """What the rows of one table come to, shape `(rows,)` or `(points, rows)` each."""

    latency_cycles: Array
    latency_min_cycles: Array
    interval_cycles: Array
    multipliers: Array
    reuse_factor: Array
    dsp: Array
    lut: Array
    ff: Array
    bram18: Array
    uram: Array

    @property
    def resources(self) -> Mapping[str, Array]:
        """Used resources by the names of reports."""
        return {"LUT": self.lut, "FF": self.ff, "DSP": self.dsp, "BRAM18": self.bram18, "URAM": self.uram}


def joined(parts: Sequence[Hardware]) -> Hardware:
    """The rows of several tables one after the other along the last axis."""
    columns = {}
    for f in fields(Hardware):
        values = [floats(getattr(part, f.name)) for part in parts]
        lead = np.broadcast_shapes(*(v.shape[:-1] for v in values))
        columns[f.name] = np.concatenate([np.broadcast_to(v, (*lead, v.shape[-1])) for v in values] if lead else values, axis=-1)
    return Hardware(**columns)


def base_columns(layers: Sequence[HlsLayer], *, io_stream: bool) -> dict[str, Array]:
    """The columns of `Base` for these layers."""
    rows = [_base(layer, io_stream=io_stream) for layer in layers]
    return {f.name: np.array([row[f.name] for row in rows], dtype=float) for f in fields(Base)}


def _base(layer: HlsLayer, *, io_stream: bool) -> dict[str, float]:
    positions = [prod(shape[:-1]) if io_stream else 1 for shape in (layer.in_shape, layer.out_shape)]
    sizes = [prod(layer.in_shape), prod(layer.out_shape)]
    data = layer.precision.get("input", layer.result)
    return {
        "in_bits": data.width,
        "out_bits": layer.result.width,
        "in_channels": sizes[0] / max(1, positions[0]),
        "out_channels": sizes[1] / max(1, positions[1]),
        "in_positions": positions[0],
        "out_positions": positions[1],
        "inputs": sizes[0],
        "outputs": sizes[1],
        "stream": float(io_stream),
        "buffered": float(layer.kind not in WIRES),
        "reuse_requested": layer.reuse_requested if "weight" in layer.precision else 0.0,
        "repeat": layer.repeat,
        "first": float(not layer.inputs),
    }


def column(layers: Sequence[HlsLayer], get: Callable[[HlsLayer], Any]) -> Array:
    """One column of numbers."""
    return np.array([float(get(layer)) for layer in layers])


def linear(constants: Constants, name: str, features: Features) -> Array:
    """Sum of coefficient times feature; a coefficient `<name>.<feature>` that was not fitted counts as 0."""
    return sum((constants.get(f"{name}.{key}", 0.0) * value for key, value in features.items()), start=np.float64(0.0))


def block_rams(width: Array, depth: Array) -> Array:
    """Fewest 18 Kb blocks that hold words of `width` bits, in the best of their shapes (36 x 512 to 1 x 16384; UG573)."""
    counts = [np.ceil(width / w) * np.ceil(depth / d) for w, d in BLOCK_SHAPES]
    return reduce(np.minimum, counts)


BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width and depth of an 18 Kb block."""


def pow2ceil(value: Array) -> Array:
    """The next power of two, at least 1."""
    return 2.0 ** np.ceil(np.log2(np.maximum(value, 1.0)))


def log2ceil(value: Array) -> Array:
    """Whole bits to address `value` things."""
    return np.ceil(np.log2(np.maximum(value, 1.0)))
