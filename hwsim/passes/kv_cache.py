"""One decode step: attention over a cache."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.errors import InputError
from hwsim.graph import Graph, Node


@dataclass(frozen=True)
class WithKvCache:
    """Self-attention nodes see `kv_len` cached tokens besides those of the call."""

    kv_len: int = 1024
    """Tokens in the cache."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph with the cache; recurrent states need nothing.

        Raises:
            InputError: a negative length.
        """
        if self.kv_len < 0:
            raise InputError(f"kv_len {self.kv_len}; expected 0 or more")
        nodes = tuple(self._cached(node) if self._attends_itself(graph, node) else node for node in graph.nodes)
        return graph.replace(nodes=nodes, attrs={**graph.attrs, "kv_len": self.kv_len})

    def _cached(self, node: Node) -> Node:
        window = node.attrs["window"]
        kept = self.kv_len if window is None else min(self.kv_len, window - 1)
        inputs = node.inputs[:3]
        return replace(node, inputs=inputs, attrs={**node.attrs, "kv_len": kept, "cached": True, "causal": True})

    @staticmethod
    def _attends_itself(graph: Graph, node: Node) -> bool:
        if node.kind != "attention":
            return False
        queries, keys = (graph.tensors[name].shape[2] for name in node.inputs[:2])
        return queries == keys
