"""A design while it is being built: layers that may still change, in order, wired by tensor names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hwsim.graph import Graph
from hwsim.targets.fpga.config import HlsConfig
from hwsim.targets.fpga.infer import NO_BIAS
from hwsim.targets.fpga.precision import FixedPoint

_MATRIX = ("result", "accum", "weight", "bias")
_RECURRENT = ("result", "accum", "weight", "bias", "recurrent_weight", "recurrent_bias")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "Dense": _MATRIX,
    "EinsumDense": _MATRIX,
    **dict.fromkeys(("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "PointwiseConv1D", "PointwiseConv2D"), _MATRIX),
    **dict.fromkeys(("Pooling1D", "Pooling2D", "GlobalPooling1D", "GlobalPooling2D", "Softmax", "Dot", "Einsum"), ("result", "accum")),
    **dict.fromkeys(("BatchNormalization", "ApplyAlpha"), ("result", "scale", "bias")),
    "LayerNormalization": ("result", "accum", "scale", "bias"),
    **dict.fromkeys(("ParametrizedActivation", "PReLU"), ("result", "param")),
    "Embedding": ("result", "embeddings"),
    "SimpleRNN": _RECURRENT[:-1],
    **dict.fromkeys(("LSTM", "GRU"), _RECURRENT),
    "Bidirectional": ("result", "accum", *(f"{d}_{v}" for d in ("forward", "backward") for v in _RECURRENT[2:])),
}
"""Variables of a class whose formats the configuration gives, in hls4ml's words; every other class has `result`."""
FOLLOWING = ("Transpose", "Resize", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D")
"""Classes whose result takes the format of their input, whatever the configuration says."""
_TABLE = FixedPoint(18, 8)
_SOFT = FixedPoint(18, 8, rounding="RND", saturation="SAT")
TABLES: Mapping[str, Mapping[str, FixedPoint]] = {
    **{k: {"table": _TABLE} for k in ("Activation", "ParametrizedActivation", "HardActivation", "PReLU", "TernaryTanh")},
    "Softmax": {"table": _TABLE, "exp_table": _SOFT, "inv_table": _SOFT, "inv_inp": _SOFT},
    **{k: {"table": _TABLE} for k in ("SimpleRNN", "LSTM", "GRU", "Bidirectional")},
    "LayerNormalization": {"table": FixedPoint(8, 5, signed=False, rounding="RND_CONV", saturation="SAT")},
}
"""Formats of tables, which only a field of their own (`TableT`, `exp_table_t`) changes."""
FIXED: Mapping[str, Mapping[str, FixedPoint]] = {
    "HardActivation": {"slope": FixedPoint(16, 0, signed=False), "shift": FixedPoint(2, 0, signed=False)},
}
TABLE_SIZES = {"LayerNormalization": 4096}


@dataclass
class Draft:
    """A layer that hls4ml's passes may still change. Shapes are channels last and without the batch."""

    name: str
    kind: str
    inputs: list[str]
    shape: tuple[int, ...]
    outputs: list[str] = field(default_factory=list)
    in_shape: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()
    path: str = ""
    n_in: int = 0
    n_out: int = 0
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    groups: int = 1
    operation: str = ""
    parameter: float = 0.0
    """Slope or threshold of a parametrised activation."""
    use_bias: bool = True
    source_bias: bool = True
    """Whether the source of the network has a bias; `use_bias` may come from a fusion."""
    return_sequences: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    """Variable to the tensor of the graph that holds it."""
    quantised: Mapping[str, FixedPoint] = field(default_factory=dict)
    """Formats that the source of the network fixes, by variable."""
    types: dict[str, FixedPoint | None] = field(default_factory=dict)
    """Format of every variable; None: still to be inferred."""
    strategy: str = "latency"
    implementation: str = ""
    reuse_requested: int = 1
    reuse_factor: int = 1
    recurrent_reuse_factor: int = 1
    parallelization_factor: int = 1
    table_size: int = 1024

    def __post_init__(self) -> None:
        self.outputs = self.outputs or [self.name]
        self.source_bias = self.use_bias

    @property
    def result(self) -> FixedPoint | None:
        """Format of the output, None while it is open."""
        return self.types.get("result")

    @property
    def positions(self) -> int:
        """Outputs a channel."""
        return prod(self.shape[:-1])


class Design:
    """Layers by name, in hls4ml's order, and the tensors that the design gives out."""

    def __init__(self, graph: Graph, config: HlsConfig, *, io_type: str, backend: str, strict: bool = True) -> None:
        self.graph, self.config, self.io_type, self.backend, self.strict = graph, config, io_type, backend, strict
        self.layers: dict[str, Draft] = {}
        self.outputs: list[str] = []
        self.aliases: dict[str, str] = {}
        """Derived layers (halves of a separable convolution) to the layer whose settings they take."""
        self.seen: list[str] = []
        """Names of all layers that there ever were, for checks of the configuration."""

    @property
    def streaming(self) -> bool:
        """Whether data flow as streams."""
        return self.io_type == "io_stream"

    def add(self, draft: Draft, *, after: str | None = None) -> Draft:
        """Append a layer, or put it behind another; its formats are declared by the configuration."""
        self.declare(draft)
        self.seen.append(draft.name)
        if after is None:
            self.layers[draft.name] = draft
        else:
            self.layers = {k: v for name, old in self.layers.items() for k, v in _with(name, old, draft, after)}
        return draft

    def declare(self, draft: Draft) -> None:
        """Formats of all variables of a layer as the configuration and the source give them."""
        names = VARIABLES.get(draft.kind, ("result",))
        draft.types = {v: self._declared(draft, v) for v in names}
        if not draft.use_bias and "bias" in draft.types and self.graph.attrs.get("frontend") != "onnx":
            draft.types["bias"] = NO_BIAS  # of ONNX files hls4ml stores zeros instead, in the configured format
        for variable, default in TABLES.get(draft.kind, {}).items():
            draft.types[variable] = self._table(draft, variable, default)
        draft.types.update(FIXED.get(draft.kind, {}))
        size = self.config.attribute(draft.name, draft.kind, "table_size", TABLE_SIZES.get(draft.kind, 1024))
        draft.table_size = int(size)

    def _declared(self, draft: Draft, variable: str) -> FixedPoint | None:
        follows = variable == "result" and draft.kind in FOLLOWING
        if variable in draft.quantised and (follows or not self.config.explicit(draft.name, variable)):
            return draft.quantised[variable]
        if follows:
            return self.type_of(draft.inputs[0])
        return self.config.precision(draft.name, draft.kind, variable)

    def _table(self, draft: Draft, variable: str, default: FixedPoint) -> FixedPoint:
        from hwsim.targets.fpga.precision import parse

        text = self.config.attribute(draft.name, draft.kind, f"{variable}_t")
        return default if text in (None, "auto") else parse(text)

    def maker(self, tensor: str) -> Draft:
        """The layer that gives out a tensor."""
        if tensor in self.layers and tensor in self.layers[tensor].outputs:
            return self.layers[tensor]
        return next(d for d in self.layers.values() if tensor in d.outputs)

    def type_of(self, tensor: str) -> FixedPoint | None:
        """Format of a tensor, None while it is open."""
        return self.maker(tensor).result

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.maker(tensor).shape

    def readers(self, tensor: str) -> list[Draft]:
        """Layers that read a tensor, once for each time."""
        return [d for d in self.layers.values() for i in d.inputs if i == tensor]

    def remove(self, draft: Draft) -> None:
        """Take out a layer with one input: its readers read that input."""
        source = draft.inputs[0]
        for reader in self.layers.values():
            reader.inputs = [source if i in draft.outputs else i for i in reader.inputs]
        self.outputs = [source if o in draft.outputs else o for o in self.outputs]
        maker = self.maker(source)
        maker.nodes = (*maker.nodes, *(n for n in draft.nodes if n not in maker.nodes))
        del self.layers[draft.name]

    def replace(self, old: Draft, *new: Draft) -> None:
        """Put a chain of layers in the place of one; the last takes over its output."""
        for draft in new:
            self.declare(draft)
            self.seen.append(draft.name)
        self.layers = {
            k: v for name, d in self.layers.items() for k, v in ([(n.name, n) for n in new] if name == old.name else [(name, d)])
        }
        renamed = dict(zip(old.outputs, new[-1].outputs, strict=True))
        for reader in self.layers.values():
            reader.inputs = [renamed.get(i, i) for i in reader.inputs]
        self.outputs = [renamed.get(o, o) for o in self.outputs]


def _with(name: str, old: Draft, new: Draft, after: str) -> list[tuple[str, Draft]]:
    return [(name, old), (new.name, new)] if name == after else [(name, old)]


Pass = Callable[[Design], bool]
"""A rewrite: does one change and says whether it did."""


def apply(design: Design, passes: Sequence[Pass]) -> None:
    """Run the passes to their common fixed point; after every change the first one goes again."""
    while any(step(design) for step in passes):
        pass


def first(design: Design, matches: Callable[[Design, Draft], Any], kinds: Iterable[str] | None = None) -> Draft | None:
    """The first layer (of these classes) that matches."""
    allowed = None if kinds is None else frozenset(kinds)
    return next((d for d in design.layers.values() if (allowed is None or d.kind in allowed) and matches(design, d)), None)
