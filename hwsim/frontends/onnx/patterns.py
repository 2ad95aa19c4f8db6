"""Operators that exporters write out in parts -> one node each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwsim.graph import Graph, Node
from hwsim.ops import Shape
from hwsim.passes.fold_attention import FoldAttention
from hwsim.passes.rewrite import Rewriter, lonely

_GATES = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}
_HALVES = frozenset({"mul", "div"})


def fold(graph: Graph) -> Graph:
    """The graph with bias additions, GELU, SiLU, layer and RMS norms and attention in one node each."""
    for match in (_bias, _gate, _gelu, _norm, _scaled_norm, _shifted_norm):
        graph = FoldPattern(match)(graph)
    return FoldAttention()(graph)


@dataclass(frozen=True)
class Found:
    """What stands in the place of a node."""

    kind: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any]


Match = Callable[["View", Node], "Found | None"]


@dataclass(frozen=True)
class FoldPattern:
    """Replaces every node for which `match` finds something."""

    match: Match

    def __call__(self, graph: Graph) -> Graph:
        """The graph with what matched replaced."""
        rewriter, view = Rewriter(graph), View(graph)
        for node in graph.nodes:
            if found := self.match(view, node):
                with rewriter.replacing(node):
                    rewriter.emit(found.kind, found.inputs, output=node.outputs[0], **found.attrs)
        return rewriter.finish()


@dataclass(frozen=True)
class View:
    """Questions that patterns ask a graph."""

    graph: Graph

    def maker(self, name: str) -> Node | None:
        """The node that makes `name`."""
        return self.graph.producer.get(name)

    def fn(self, node: Node | None) -> str:
        """Scalar function or reduction of a node."""
        return "" if node is None or node.kind not in ("activation", "elementwise", "reduce") else str(node.attrs["fn"])

    def alone(self, name: str) -> bool:
        """Whether one node at most reads what the maker of `name` makes."""
        node = self.maker(name)
        return node is not None and lonely(self.graph, node)

    def shape(self, name: str) -> Shape:
        """Shape of a tensor."""
        return self.graph.tensors[name].shape

    def weight(self, name: str) -> bool:
        """Whether a tensor is stored in the model (or a view of one)."""
        node = self.maker(name)
        role = self.graph.tensors[name].role
        return role in ("weight", "constant") or (node is not None and node.kind == "reshape" and self.weight(node.inputs[0]))

    def unscaled(self, name: str) -> str:
        """What `name` is a multiple of by a number (`name` itself otherwise)."""
        node = self.maker(name)
        while node is not None and len(node.inputs) == 1 and self.fn(node) in _HALVES | {"add"} and lonely(self.graph, node):
            name, node = node.inputs[0], self.maker(node.inputs[0])
        return name


def _bias(view: View, node: Node) -> Found | None:
    """linear + add of a vector -> linear with bias."""
    if view.fn(node) != "add" or len(node.inputs) != 2:
        return None
    for product, vector in (node.inputs, node.inputs[::-1]):
        made = view.maker(product)
        fits = made is not None and made.kind == "linear" and len(made.inputs) == 2 and view.alone(product)
        if fits and made and view.weight(vector) and view.shape(vector) == (view.shape(made.inputs[1])[0],):
            return Found("linear", (*made.inputs, vector), {})
    return None


def _gate(view: View, node: Node) -> Found | None:
    """x sigmoid(x) -> silu, x hard_sigmoid(x) -> hard_swish, x tanh(softplus(x)) -> mish."""
    if view.fn(node) != "mul" or len(node.inputs) != 2:
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        made = view.maker(gate)
        if made is None or len(made.inputs) != 1 or not view.alone(gate):
            continue
        if view.fn(made) in _GATES and made.inputs[0] == x:
            return Found("activation", (x,), {"fn": _GATES[view.fn(made)]})
        inner = view.maker(made.inputs[0])
        if view.fn(made) == "tanh" and view.fn(inner) == "softplus" and inner and inner.inputs == (x,):
            return Found("activation", (x,), {"fn": "mish"})
    return None


def _gelu(view: View, node: Node) -> Found | None:
    """x (1 + erf(x / sqrt 2)) / 2, and its tanh form (arXiv 1606.08415), the half in any place."""
    if view.fn(node) != "mul":
        return None
    if len(node.inputs) == 1:
        inner = view.maker(node.inputs[0])
        product = inner if inner and view.fn(inner) == "mul" and len(inner.inputs) == 2 and view.alone(node.inputs[0]) else None
        return _gelu_product(view, product, halved=True) if product else None
    return _gelu_product(view, node, halved=False)


def _gelu_product(view: View, node: Node, *, halved: bool) -> Found | None:
    for one, other in (node.inputs, node.inputs[::-1]):
        x, gate = view.unscaled(one), view.maker(view.unscaled(other))
        halves = halved + (x != one) + _scales(view, other)
        if halves != 1 or gate is None or view.fn(gate) not in ("erf", "tanh") or not lonely(view.graph, gate):
            continue
        source = view.unscaled(gate.inputs[0])
        if view.fn(gate) == "erf" and source == x:
            return Found("activation", (x,), {"fn": "gelu"})
        if view.fn(gate) == "tanh" and _cubic(view, source, x):
            return Found("activation", (x,), {"fn": "gelu_tanh"})
    return None


def _scales(view: View, name: str) -> int:
    """1 if the last thing done to `name` is a multiplication by a number."""
    node = view.maker(name)
    return int(node is not None and len(node.inputs) == 1 and view.fn(node) in _HALVES)


def _cubic(view: View, name: str, x: str) -> bool:
    """Whether `name` is x + c x^3."""
    node = view.maker(name)
    if node is None or view.fn(node) != "add" or x not in node.inputs or len(node.inputs) != 2:
        return False
    power = view.maker(view.unscaled(next((n for n in node.inputs if n != x), x)))
    return power is not None and view.fn(power) in ("pow", "mul") and x in (*power.inputs, *_inner(view, power))


def _inner(view: View, node: Node) -> tuple[str, ...]:
    """Operands of the makers of the operands of `node`."""
    return tuple(name for n in node.inputs if (maker := view.maker(n)) for name in maker.inputs)


def _norm(view: View, node: Node) -> Found | None:
    """(x - mean) / sqrt(mean((x - mean)^2) + e) -> layer norm; without the mean -> RMS norm (arXiv 1910.07467)."""
    if view.fn(node) not in _HALVES or len(node.inputs) != 2:
        return None
    for x, scale in (node.inputs, node.inputs[::-1]):
        if (mean := _root_mean_square(view, scale, x, divides=view.fn(node) == "div")) is None:
            continue
        axes = mean.attrs["axes"] or tuple(range(len(view.shape(x))))
        source = _centred(view, x, axes)
        return Found("norm", (source or x,), {"fn": "layer" if source else "rms", "axes": axes})
    return None


def _root_mean_square(view: View, name: str, x: str, *, divides: bool) -> Node | None:
    """The mean of squares of `x` behind `name`, if `name` is its root (or reciprocal root)."""
    functions, maker = [], view.maker(name)
    while (
        maker and view.fn(maker) in ("sqrt", "rsqrt", "reciprocal", "div", "cast") and len(maker.inputs) == 1 and lonely(view.graph, maker)
    ):
        functions.append(view.fn(maker).replace("div", "reciprocal"))
        maker = view.maker(maker.inputs[0])
    if functions not in ([["sqrt"]] if divides else [["rsqrt"], ["reciprocal", "sqrt"]]) or maker is None:
        return None
    mean = view.maker(view.unscaled(maker.outputs[0]))
    if mean is None or view.fn(mean) != "mean" or not mean.attrs["keepdims"] or not lonely(view.graph, mean):
        return None
    return mean if _squares(view, mean.inputs[0], x) else None


def _squares(view: View, name: str, x: str) -> bool:
    node = view.maker(name)
    if node is None or not lonely(view.graph, node):
        return False
    return (view.fn(node) == "square" and node.inputs == (x,)) or (view.fn(node) == "mul" and node.inputs == (x, x))


def _centred(view: View, name: str, axes: object) -> str | None:
    """x, if `name` is x - mean(x)."""
    node = view.maker(name)
    if node is None or view.fn(node) != "sub" or len(node.inputs) != 2:
        return None
    mean = view.maker(node.inputs[1])
    same = mean is not None and view.fn(mean) == "mean" and mean.inputs == (node.inputs[0],) and mean.attrs["axes"] == axes
    return node.inputs[0] if same else None


def _scaled_norm(view: View, node: Node) -> Found | None:
    """norm times a stored vector -> norm with scale."""
    return _with_operand(view, node, "mul", operands=1)


def _shifted_norm(view: View, node: Node) -> Found | None:
    """Scaled layer norm plus a stored vector -> layer norm with scale and shift."""
    return _with_operand(view, node, "add", operands=2)


def _with_operand(view: View, node: Node, fn: str, *, operands: int) -> Found | None:
    if view.fn(node) != fn or len(node.inputs) != 2:
        return None
    for x, vector in (node.inputs, node.inputs[::-1]):
        made = view.maker(x)
        if made is None or made.kind != "norm" or len(made.inputs) != operands or not view.alone(x) or not view.weight(vector):
            continue
        if made.attrs["fn"] in (("layer", "rms") if fn == "mul" else ("layer",)) and view.shape(x) == view.shape(node.outputs[0]):
            return Found("norm", (*made.inputs, vector), dict(made.attrs))
    return None
