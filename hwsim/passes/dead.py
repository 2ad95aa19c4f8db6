"""Nodes whose results nobody uses."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph import Graph


@dataclass(frozen=True)
class DropDead:
    """Removes what does not reach an output; parameters stay, they are stored all the same."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph without dead nodes and their tensors."""
        live, kept = set(graph.outputs), []
        for node in reversed(graph.nodes):
            if any(name in live for name in node.outputs):
                kept.append(node)
                live.update(node.inputs)
        made = {name for node in kept for name in node.outputs}
        tensors = {n: t for n, t in graph.tensors.items() if t.role != "activation" or n in made}
        return graph.replace(nodes=tuple(reversed(kept)), tensors=tensors)
