"""Operators that exporters write out in parts -> one node each."""

from __future__ import annotations

from hwsim.graph import Graph
from hwsim.passes.fold_attention import FoldAttention


def fold(graph: Graph) -> Graph:
    """The graph with bias additions, GELU, SiLU, layer and RMS norms and attention in one node each."""
    return FoldAttention()(graph)
