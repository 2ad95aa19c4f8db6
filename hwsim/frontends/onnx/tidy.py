"""Removes what no output needs, and replaces what does not depend on the input or on weights."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph import GraphBuilder, Node


def tidy(builder: GraphBuilder, outputs: Sequence[str]) -> None:
    """Drop dead nodes and unused stored tensors; masks and tables that a model computes become one `generate` node each."""
    builder.nodes = _alive(_generated(builder, outputs), outputs)
    used = {name for node in builder.nodes for name in (*node.inputs, *node.outputs)} | set(outputs)
    builder.tensors = {name: t for name, t in builder.tensors.items() if name in used or t.role == "input"}


def _generated(builder: GraphBuilder, outputs: Sequence[str]) -> list[Node]:
    """Nodes, with those that depend on nothing but constants replaced where something else reads them."""
    dynamic = {name for name, t in builder.tensors.items() if t.role in ("input", "weight")}
    for node in builder.nodes:
        if dynamic.intersection(node.inputs) or node.kind == "unsupported" or node.attrs.get("fn") == "random":
            dynamic.update(node.outputs)
    read = {name for node in builder.nodes if dynamic.intersection(node.outputs) for name in node.inputs} | set(outputs)
    result: list[Node] = []
    for node in builder.nodes:
        if dynamic.intersection(node.outputs):
            result.append(node)
        else:
            result += [_generate(builder, node, name) for name in node.outputs if name in read]
    return result


def _generate(builder: GraphBuilder, node: Node, name: str) -> Node:
    if node.kind == "generate" and not node.inputs:
        return node
    attrs = {"shape": builder.tensors[name].shape, "fn": "table"}
    return Node(node.name if name == node.outputs[0] else f"{node.name}:{name}", "generate", (), (name,), attrs, node.path)


def _alive(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    read, alive = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            alive.append(node)
    return alive[::-1]
