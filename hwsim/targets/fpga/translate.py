"""Graph -> layers as hls4ml's converters hand them to its passes: one rule an operator, layouts turned to channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hwsim.errors import InputError, UnsupportedOp
from hwsim.graph import Graph, Node
from hwsim.targets.fpga.config import Settings
from hwsim.targets.fpga.draft import Design, Draft
from hwsim.targets.fpga.precision import FixedPoint, parse


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph as the design knows it."""

    tensor: str
    axes: tuple[int, ...]
    """Axis of the design's tensor for every axis of the graph's, both without the batch."""

    @property
    def plain(self) -> bool:
        """Whether both have the same axes in the same order."""
        return self.axes == tuple(range(len(self.axes)))


class NotPossibleError(Exception):
    """An operator that hls4ml has no layer for; the text says why, and what to do."""


def image_axes(rank: int) -> tuple[int, ...]:
    """Axes of a channels-first tensor in a channels-last one: (C, H, W) -> (2, 0, 1)."""
    return (rank - 1, *range(rank - 1))


@dataclass
class Translator:
    """One run over one graph."""

    graph: Graph
    design: Design
    values: dict[str, Value] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def run(self) -> None:
        """Fill the design.

        Raises:
            UnsupportedOp: operators that hls4ml has no layer for; lists them with the remedy.
        """
        from hwsim.targets.fpga.composed import helper

        for name in self.graph.inputs:
            self._input(name)
            self._pass_through(name)
        for node in self.graph.nodes:
            try:
                if not helper(self, node):
                    _rule(node)(self, node)
            except NotPossibleError as error:
                self.missing.append((node.name, f"{node.kind} ({error})"))
                self._stand_in(node)
            if node.name in self.graph.attrs.get("scaled", ()):
                self._rescale(node)
            for output in node.outputs:
                self._pass_through(output)
        if self.missing:
            raise UnsupportedOp(self.missing, where=f"{self.graph.name} on an FPGA through hls4ml")
        self.design.outputs = list(dict.fromkeys(self.values[name].tensor for name in self.graph.outputs))

    def _pass_through(self, tensor: str) -> None:
        """Layers of the source that do nothing (Dropout): linear activations, which stay where they change a format."""
        for name, passed in self.graph.attrs.get("dropped", {}).items():
            if passed == tensor and name not in self.design.layers:
                value = self.values[tensor]
                shape = self.design.shape_of(value.tensor)
                facts = {"in_shape": shape, "operation": "linear", "n_in": prod(shape), "n_out": prod(shape)}
                self.values[tensor] = Value(self.design.add(Draft(name, "Activation", [value.tensor], shape, **facts)).name, value.axes)

    def _rescale(self, node: Node) -> None:
        """A quantiser with a scale of its own: its weights become plain numbers, and a layer behind applies scale and bias."""
        value = self.values[node.outputs[0]]
        before = self.design.maker(value.tensor)
        if before.kind not in ("Dense", "Conv1D", "Conv2D"):
            return
        count, name = prod(before.shape), f"{node.name}_alpha"
        self.design.config = self.design.config.with_layer(name, Settings((("default", "auto"),)))
        facts = {"in_shape": before.shape, "n_in": count, "n_out": count, "path": node.path}
        alpha = self.design.add(Draft(name, "ApplyAlpha", [value.tensor], before.shape, **facts))
        self.values[node.outputs[0]] = Value(alpha.name, value.axes)

    def _stand_in(self, node: Node) -> None:
        """Something for the readers of a node that could not be translated, so that all such nodes are found in one go."""
        for output in node.outputs:
            shape = self.graph.tensors[output].shape[1:]
            name = f"{node.name}:{output}"
            self.design.layers[name] = Draft(name, "Unsupported", [], shape, types={"result": self.design.config.default})
            self.values[output] = Value(name, tuple(range(len(shape))))

    def _input(self, name: str) -> None:
        shape = self.graph.tensors[name].shape[1:]
        axes = image_axes(len(shape)) if len(shape) > 1 and is_image(self.graph, name) else tuple(range(len(shape)))
        laid, plain = self.laid(shape, axes), tuple(range(len(shape)))
        turned = axes != plain and self.design.config.model.fields.get("channels_last_conversion") == "full"
        if turned and (self.design.streaming or prod(shape[:1]) > 1):
            self.design.add(Draft(name, "Input", [], shape, in_shape=shape, quantised=self.quantised(name, "result")))
            transpose = Draft(f"transpose_input_for_{name}", "Transpose", [name], laid, in_shape=shape)
            self.values[name] = Value(self.design.add(transpose).name, axes)
            return
        self.design.add(Draft(name, "Input", [], laid, in_shape=laid, quantised=self.quantised(name, "result")))
        self.values[name] = Value(name, axes)

    def source_class(self, node: Node) -> str:
        """Class of the layer that a node came from, where the front end tells (`layer_classes`)."""
        return str(self.graph.attrs.get("layer_classes", {}).get(node.name, ""))

    def laid(self, shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
        """A shape of the graph in the order of the design."""
        return tuple(shape[axes.index(i)] for i in range(len(axes)))

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Shape in the graph without the batch."""
        return self.graph.tensors[tensor].shape[1:]

    def quantised(self, tensor: str, variable: str) -> dict[str, FixedPoint]:
        """The format that the source gave a tensor, if any."""
        fmt = self.graph.tensors[tensor].dtype
        return {variable: parse(fmt.name)} if fmt.family == "fixed" else {}

    def is_data(self, tensor: str) -> bool:
        """Whether a tensor flows, rather than being stored."""
        return tensor in self.values

    def add(self, node: Node, kind: str, inputs: Sequence[Value], *, axes: tuple[int, ...] | None = None, **facts: Any) -> Draft:
        """A layer for a node, and its result by name."""
        output = node.outputs[0]
        shape = self.shape(output)
        axes = tuple(range(len(shape))) if axes is None else axes
        laid = facts.pop("shape", None) or self.laid(shape, axes)
        quantised = {**facts.pop("quantised", {}), **self.quantised(output, "result")}
        facts = {"in_shape": self.design.shape_of(inputs[0].tensor) if inputs else laid, "name": node.name, "nodes": (node.name,), **facts}
        draft = self.design.add(
            Draft(kind=kind, inputs=[v.tensor for v in inputs], shape=laid, path=node.path, quantised=quantised, **facts)
        )
        self.values[output] = Value(draft.outputs[0], axes)
        return draft

    def value(self, tensor: str, axes: tuple[int, ...] | None = None) -> Value:
        """A tensor with these axes (by default as it is), transposed where it has others."""
        value = self.laid_out(tensor)
        return value if axes is None or value.axes == axes else self._transposed(tensor, value, axes)

    def laid_out(self, tensor: str) -> Value:
        """A tensor as it is, whatever its axes."""
        if tensor not in self.values:
            raise NotPossibleError(f"reads the stored tensor {tensor!r} as data; hls4ml has none. Compute with it before, or leave it out")
        return self.values[tensor]

    def plain(self, tensor: str) -> Value:
        """A tensor in the order of the graph."""
        return self.value(tensor, tuple(range(len(self.shape(tensor)))))

    def image(self, tensor: str) -> Value:
        """A channels-first tensor in channels last."""
        return self.value(tensor, image_axes(len(self.shape(tensor))))

    def _transposed(self, tensor: str, value: Value, axes: tuple[int, ...]) -> Value:
        """A Transpose layer that brings the axes of the graph to where `axes` wants them."""
        producer = self.graph.producer.get(tensor)
        name = producer.name if producer is not None and producer.kind == "transpose" else f"transpose_{tensor.replace(':', '_')}"
        while name in self.design.layers:
            name += "_t"
        source = self.design.shape_of(value.tensor)
        perm = tuple(value.axes[axes.index(i)] for i in range(len(axes)))
        shape = tuple(source[p] for p in perm)
        nodes = (producer.name,) if producer is not None and producer.kind == "transpose" else ()
        draft = self.design.add(Draft(name, "Transpose", [value.tensor], shape, in_shape=source, nodes=nodes, operation=str(perm)))
        self.values[tensor] = Value(draft.name, axes)
        return self.values[tensor]

    def rename(self, node: Node, value: Value) -> None:
        """The result of a node is a tensor that there is already."""
        self.values[node.outputs[0]] = value
        maker = self.design.maker(value.tensor)
        if node.name not in maker.nodes and maker.kind != "Input":
            maker.nodes = (*maker.nodes, node.name)


Rule = Callable[[Translator, Node], None]
RULES: dict[str, Rule] = {}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register the translation of operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, function))
        return function

    return register


def _rule(node: Node) -> Rule:
    from hwsim.targets.fpga import translate_dense, translate_layout, translate_pointwise, translate_sequence  # noqa: F401 - register rules

    return RULES.get(node.kind, _unknown)


@rule("unsupported")
def _left_out(t: Translator, node: Node) -> None:
    """A node that was left out on request: what it gives out comes from outside of the design."""
    for output in node.outputs:
        name, shape = (node.name if len(node.outputs) == 1 else output), t.shape(output)
        t.design.add(Draft(name, "Input", [], shape, in_shape=shape))
        t.values[output] = Value(name, tuple(range(len(shape))))


def _unknown(t: Translator, node: Node) -> None:
    raise NotPossibleError("hls4ml has no layer for it; replace it in the network, or run this part elsewhere")


_THROUGH = ("activation", "elementwise", "cast", "quantize", "dequantize", "pad", "copy", "concat")


def is_image(graph: Graph, tensor: str) -> bool:
    """Whether the first reader that cares takes a tensor as channels first."""
    for node in graph.consumers.get(tensor, ()):
        if node.kind in ("conv", "pool", "resize") or (node.kind == "norm" and node.attrs["fn"] == "batch"):
            return node.inputs[0] == tensor
        if node.kind in _THROUGH and is_image(graph, node.outputs[0]):
            return True
    return False


def spatial(values: Any, dims: int) -> tuple[int, ...]:
    """An attribute as one number a dimension."""
    return (values,) * dims if isinstance(values, int) else tuple(values)


def flat_pads(pads: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """((top, bottom), (left, right)) in one row."""
    return tuple(int(p) for pair in pads for p in pair)


def stored(t: Translator, node: Node) -> Mapping[str, str]:
    """Weights of a product by hls4ml's names."""
    names: dict[str, str] = dict(zip(("weight", "bias"), node.inputs[1:], strict=False))
    if any(t.is_data(n) for n in names.values()):
        raise NotPossibleError("its weights are computed by the network; hls4ml takes stored ones")
    return names


def formats(t: Translator, weights: Mapping[str, str]) -> dict[str, FixedPoint]:
    """Formats that the source gave stored tensors, by variable."""
    return {v: f for variable, tensor in weights.items() for v, f in t.quantised(tensor, variable).items()}


def size(shape: Sequence[int]) -> int:
    """Elements."""
    return prod(shape)


__all__ = [
    "RULES",
    "InputError",
    "NotPossibleError",
    "Rule",
    "Translator",
    "Value",
    "flat_pads",
    "formats",
    "rule",
    "size",
    "spatial",
    "stored",
]
