"""What is done to every graph after conversion: hand-written attention folded, causal attention marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.graph import Graph, Node
from hwsim.passes.fold_attention import FoldAttention


def tidy(graph: Graph, module: Any) -> Graph:
    """Folded, marked, and without nodes that lead nowhere."""
    graph = FoldAttention()(graph)
    nodes = tuple(_marked(graph, node, module) if node.kind == "attention" else node for node in graph.nodes)
    return live(graph.replace(nodes=nodes))


def _marked(graph: Graph, node: Node, module: Any) -> Node:
    """A causal self-attention keeps its keys and values; its mask, if it is no more than causal, is not an operand.

    Modules of transformers say whether they are causal (`is_causal`) and how far they see (`sliding_window`); in a language
    model with a head, those that say nothing are causal.
    """
    owner = _owner(module, node.path)
    declared = getattr(owner, "is_causal", True if _generates(module) else None)
    flagged = bool(node.attrs["causal"])
    if not _same_length(graph, node) or not (declared or (flagged and declared is None)):
        return node
    attrs = {**node.attrs, "causal": True, "cached": True, "window": _window(owner)}
    masked = len(node.inputs) > 3 and graph.tensors[node.inputs[3]].shape[-3:-2] in ((1,), ())
    return replace(node, attrs=attrs, inputs=node.inputs[:3] if masked and declared else node.inputs)


def _generates(module: Any) -> bool:
    return type(module).__name__.endswith(("ForCausalLM", "LMHeadModel"))


def _window(owner: Any) -> int | None:
    config = getattr(owner, "config", None)
    window = getattr(owner, "sliding_window", getattr(config, "sliding_window", None))
    return window if isinstance(window, int) else None


def _same_length(graph: Graph, node: Node) -> bool:
    return graph.tensors[node.inputs[0]].shape[2] == graph.tensors[node.inputs[1]].shape[2]


def _owner(module: Any, path: str) -> Any:
    """The nearest module around `path` that knows about causality."""
    found = None
    for part in path.split(".") if path else ():
        module = getattr(module, part, None)
        if module is None:
            return found
        found = module if hasattr(module, "is_causal") else found
    return found


def live(graph: Graph) -> Graph:
    """`graph` without nodes whose results nobody reads, and without constants that only they read."""
    read, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            kept.append(node)
    made = {name for node in kept for name in node.outputs}
    tensors = {n: t for n, t in graph.tensors.items() if n in made or n in read or t.role in ("input", "weight")}
    return graph.replace(nodes=tuple(reversed(kept)), tensors=tensors)
