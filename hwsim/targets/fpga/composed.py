"""Layers of the source that are several nodes of a graph: EinsumDense, Dot, MultiHeadAttention; what only moves axes is no layer there."""

from __future__ import annotations

from math import prod

from hwsim.graph import Node
from hwsim.targets.fpga.translate import Translator, Value, formats

COMPOSED = ("EinsumDense", "QEinsumDense", "Dot", "MultiHeadAttention")


def helper(t: Translator, node: Node) -> bool:
    """Whether a node only serves such a layer (`<layer>:rows`, `<layer>:bias`); it is then part of that layer."""
    name = node.name.rpartition(":")[0]
    if t.graph.attrs.get("layer_classes", {}).get(name) not in COMPOSED:
        return False
    data = next(i for i in node.inputs if t.is_data(i))
    t.rename(node, Value(t.laid_out(data).tensor, tuple(range(len(t.shape(node.outputs[0]))))))
    return True


def _result(t: Translator, node: Node) -> tuple[tuple[int, ...], bool]:
    """Shape after all nodes that serve the layer, and whether one of them adds a bias."""
    parts = [n for n in t.graph.nodes if n.name.startswith(f"{node.name}:")]
    last = parts[-1] if parts and parts[-1].name.rpartition(":")[2] in ("out", "order", "bias", "flat") else node
    return t.shape(last.outputs[0]), any(n.name == f"{node.name}:bias" for n in parts)


def einsum_dense(t: Translator, node: Node) -> None:
    """A product of one tensor with a stored one along any axes (experimental in hls4ml, io_parallel only)."""
    shape, _ = _result(t, node)
    data, weight = node.inputs[:2]
    stored = t.graph.tensors[weight].shape
    value = t.laid_out(data)
    weights: dict[str, str] = dict(zip(("weight", "bias"), node.inputs[1:], strict=False))
    facts = {"n_in": stored[-1], "n_out": stored[-2], "operation": "einsum", "weights": weights, "quantised": formats(t, weights)}
    t.add(node, "EinsumDense", [value], shape=shape, axes=tuple(range(len(t.shape(node.outputs[0])))), **facts)


def dot(t: Translator, node: Node) -> None:
    """The inner product of two vectors."""
    a, b = (t.laid_out(i) for i in node.inputs)
    count = prod(t.design.shape_of(a.tensor))
    t.add(node, "Dot", [a, b], shape=(1,), n_in=count, n_out=1, operation="dot1d", axes=tuple(range(len(t.shape(node.outputs[0])))))
