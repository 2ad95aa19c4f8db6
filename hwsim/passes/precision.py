"""Other number formats for the same network."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.dtypes import dtype
from hwsim.graph import Graph, Tensor

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
        return graph.retyped({n: fmt for n, t in graph.tensors.items() if _castable(t) and (fmt := stored if n in narrow else flowing)})


def _product_weights(graph: Graph) -> frozenset[str]:
    """Matrices and kernels, not biases."""
    names = (n for node in graph.nodes if node.kind in PRODUCTS for n in node.inputs)
    return frozenset(n for n in names if graph.tensors[n].role == "weight" and len(graph.tensors[n].shape) > 1)


def _castable(tensor: Tensor) -> bool:
    return tensor.dtype.is_float and not tensor.dtype.name.startswith("complex")
