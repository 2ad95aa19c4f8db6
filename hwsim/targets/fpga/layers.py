"""HlsLayer: one template instance of an hls4ml-style design, with everything that its closed forms need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwsim.targets.fpga.precision import FixedPoint


@dataclass(frozen=True, slots=True)
class WeightStatistics:
    """What the values of a weight tensor look like in the fixed-point format of the layer."""

    zeros_frac: float = 0.0
    """Share of weights that are zero after quantisation."""
    digits: float | None = None
    """Mean non-zero signed digits (canonical signed digit form) of a weight, zeros counted as 0; None where values are unknown."""
    heavy_frac: float | None = None
    """Share of weights with three or more signed digits, which take a DSP; None where values are unknown."""
    known: bool = False
    """Whether real values stood behind it."""


@dataclass(frozen=True, slots=True)
class HlsLayer:
    """One layer as hls4ml builds it. Shapes are without the batch, channels last."""

    name: str
    """hls4ml's name, unique in the design."""
    kind: str
    """hls4ml's class: Dense, Conv1D, Conv2D, PointwiseConv2D, DepthwiseConv2D, Activation, Softmax, Pooling2D, Merge, Clone ..."""
    inputs: tuple[str, ...] = ()
    """Names of the layers that feed it."""
    nodes: tuple[str, ...] = ()
    """Graph nodes that it does, anchor first; empty for what hls4ml inserts (Clone, Repack)."""
    path: str = ""
    in_shape: tuple[int, ...] = ()
    out_shape: tuple[int, ...] = ()
    n_in: int = 0
    """Rows of the matrix-vector product: inputs of a Dense, kernel size x channels (of a group) of a convolution."""
    n_out: int = 0
    """Columns of it: neurons, filters."""
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    """(top, bottom, left, right) or (left, right)."""
    groups: int = 1
    operation: str = ""
    """Activation function, pooling or merge operation: relu, leaky_relu, sigmoid, max, average, add, mul ..."""
    implementation: str = ""
    """Of a softmax: stable, latency, argmax, legacy; of a convolution: linebuffer, encoded."""
    strategy: str = "latency"
    """latency, resource, unrolled, distributed_arithmetic; lower case."""
    reuse_requested: int = 1
    reuse_factor: int = 1
    """The effective one: hls4ml's nearest valid value."""
    recurrent_reuse_factor: int = 1
    """Of the product with the state of a recurrent layer."""
    parallelization_factor: int = 1
    table_size: int = 1024
    use_bias: bool = True
    return_sequences: bool = False
    repeat: int = 1
    """Times that the instance works in one inference beside its pixels: the steps of a recurrent layer."""
    static: bool = True
    """Of a recurrent layer."""
    precision: Mapping[str, FixedPoint] = field(default_factory=dict)
    """Formats by hls4ml's names: result, weight, bias, accum, table, exp_table, inv_table, scale, recurrent_weight ..."""
    weights: WeightStatistics = WeightStatistics()

    @property
    def result(self) -> FixedPoint:
        """Format of the output."""
        return self.precision["result"]
