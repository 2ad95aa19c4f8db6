"""Other number formats for the same network."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.dtypes import dtype
from hwsim.graph import Graph

PRODUCTS = frozenset({"linear", "conv", "matmul", "embedding", "recurrent"})
"""Kinds whose weights may have a format of their own."""


@dataclass(frozen=True)
class CastPrecision:
    """Every floating tensor in one format; integers, masks and complex numbers stay as they are."""

    activations: str | None = None
    """Format of activations, inputs and constants, and of weights unless `weights` says otherwise; None keeps the graph's own."""
    weights: str | None = None
    """Format of the weights of products, convolutions and embeddings (weight-only quantisation)."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph in the new formats; same nodes, same shapes."""
        flowing = None if self.activations is None else dtype(self.activations)
        stored = None if self.weights is None else dtype(self.weights)
        narrow = _product_weights(graph) if stored else frozenset()
        castable = {fmt for fmt in {t.dtype for t in graph.tensors.values()} if fmt.is_float and not fmt.name.startswith("complex")}
        formats = ((n, stored if n in narrow else flowing) for n, t in graph.tensors.items() if t.dtype in castable)
        return graph.retyped({name: fmt for name, fmt in formats if fmt is not None})


def _product_weights(graph: Graph) -> frozenset[str]:
    """Matrices and kernels, not biases."""
    names = (n for node in graph.nodes if node.kind in PRODUCTS for n in node.inputs)
    return frozenset(n for n in names if graph.tensors[n].role == "weight" and len(graph.tensors[n].shape) > 1)
