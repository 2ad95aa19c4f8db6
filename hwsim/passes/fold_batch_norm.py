"""Batch normalisation folded into the convolution or product before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.graph import Graph, Node, Tensor


@dataclass(frozen=True)
class FoldBatchNorm:
    """What deployment does before a network is compiled: scale and shift become part of weights and bias."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without the batch norms that follow a convolution or linear layer of their own."""
        renamed: dict[str, str] = {}
        tensors, nodes = dict(graph.tensors), list(graph.nodes)
        position = {node.name: i for i, node in enumerate(nodes)}
        for node in graph.nodes:
            before = self._foldable(graph, node)
            if before is None:
                continue
            index = position[before.name]
            nodes[index] = _with_bias(nodes[index], tensors)
            renamed[node.outputs[0]] = before.outputs[0]
        kept = [replace(n, inputs=tuple(renamed.get(i, i) for i in n.inputs)) for n in nodes if n.outputs[0] not in renamed]
        return _without_unused(graph, kept, tensors, tuple(renamed.get(o, o) for o in graph.outputs))

    @staticmethod
    def _foldable(graph: Graph, node: Node) -> Node | None:
        if node.kind != "norm" or node.attrs["fn"] != "batch":
            return None
        before = graph.producer.get(node.inputs[0])
        if before is None or before.kind not in ("conv", "linear") or node.inputs[0] in graph.outputs:
            return None
        return before if graph.consumers[node.inputs[0]] == (node,) else None


def _with_bias(node: Node, tensors: dict[str, Tensor]) -> Node:
    inputs = list(node.inputs)
    if len(inputs) > 2:
        return node
    weight = tensors[inputs[1]]
    out = list(tensors[node.outputs[0]].shape)[1 if node.kind == "conv" else -1]
    bias = Tensor(f"{weight.name}:bias", (out,), weight.dtype, "weight")
    tensors[bias.name] = bias
    return replace(node, inputs=(*inputs, bias.name))


def _without_unused(graph: Graph, nodes: list[Node], tensors: dict[str, Tensor], outputs: tuple[str, ...]) -> Graph:
    used = {n for node in nodes for n in (*node.inputs, *node.outputs)} | set(outputs) | set(graph.inputs)
    before = {n for node in graph.nodes for n in node.inputs}
    kept = {n: t for n, t in tensors.items() if n in used or (t.role == "weight" and n not in before)}
    return graph.replace(nodes=tuple(nodes), tensors=kept, outputs=outputs)
