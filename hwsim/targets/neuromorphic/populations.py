"""Populations of neurons: which connections end in one, who feeds whom, and their shape as an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from hwsim.arrays import Array
from hwsim.graph import Graph, Node
from hwsim.ops.core import tuple_of


class Reach:
    """The populations that rows end in, and the rows that they feed through wires."""

    def __init__(self, graph: Graph, rows: Sequence[tuple[Node, Node]], wires: frozenset[str]) -> None:
        """Rows as (connection, node that holds its population): neurons, or the connection itself where its sums are read out."""
        self.graph, self.wires = graph, wires
        self.nodes, self.ends = [node for node, _ in rows], [end for _, end in rows]
        self._origins: dict[str, frozenset[str]] = {}

    @cached_property
    def _firsts(self) -> Mapping[str, int]:
        return {end.name: i for i, end in reversed(list(enumerate(self.ends)))}

    def first(self, row: int) -> int:
        """The row that counts the neurons which this row ends in."""
        return self._firsts[self.ends[row].name]

    def feeds(self) -> Array:
        """Rows by rows: 1 where the population of the second feeds the connection of the first."""
        matrix = np.zeros((len(self.nodes), len(self.nodes)))
        for i, node in enumerate(self.nodes):
            for name in frozenset().union(*(self._from(t) for t in node.inputs)):
                matrix[i, self._firsts[name]] = 1.0
        return matrix

    def _from(self, tensor: str) -> frozenset[str]:
        """Names of the populations that a tensor comes from."""
        if tensor not in self._origins:
            node = self.graph.producer.get(tensor)
            if node is None:
                self._origins[tensor] = frozenset()
            elif node.name in self._firsts:
                self._origins[tensor] = frozenset({node.name})
            else:
                self._origins[tensor] = frozenset().union(*(self._from(t) for t in node.inputs)) if node.kind in self.wires else frozenset()
        return self._origins[tensor]


def geometry(graph: Graph, node: Node, end: Node) -> dict[str, float]:
    """Shape of a population as an image of channels, and of the window through which a connection sees the image before."""
    shape = graph.tensors[end.outputs[0]].shape
    plain = {"width": 1.0, "height": 1.0, "channels": float(math.prod(shape[1:])), "groups": 1.0, "depth": 0.0, "image": 0.0}
    window = dict.fromkeys(("kernel_width", "kernel_height", "stride_width", "stride_height"), 0.0)
    if node.kind == "conv":
        return _window(graph, node, shape)
    if node.kind == "neuron" and len(shape) == 4:
        return {**plain, **window, **_image(shape), "image": 1.0}
    positions = math.prod(graph.tensors[node.outputs[0]].shape[1:-1])
    if node.kind == "linear" and positions > 1:
        ones = dict.fromkeys(window, 1.0)
        depth = float(graph.tensors[node.inputs[0]].shape[-1])
        return {**plain, **ones, "width": float(positions), "channels": plain["channels"] / positions, "depth": depth, "image": 1.0}
    return {**plain, **window}


def _image(shape: Sequence[int]) -> dict[str, float]:
    """(N, C, *spatial) as width, height and channels; what lies before the last dimension counts as height."""
    return {"width": float(shape[-1]), "height": float(math.prod(shape[2:-1])), "channels": float(shape[1])}


def _window(graph: Graph, node: Node, end: Sequence[int]) -> dict[str, float]:
    """A convolution; pooling between it and its neurons widens window and stride."""
    made, weight = graph.tensors[node.outputs[0]].shape, graph.tensors[node.inputs[1]].shape
    channels = float(made[1])
    shape = end if len(end) == len(made) and end[1] == made[1] else made
    dims = len(made) - 2
    stride = tuple_of(node.attrs["stride"], dims)
    pooled = [max(1.0, m / e) for m, e in zip(made[2:], shape[2:], strict=True)]
    kernels = [k + (p - 1.0) * s for k, p, s in zip(weight[2:], pooled, stride, strict=True)]
    strides = [p * s for p, s in zip(pooled, stride, strict=True)]
    return {
        **_image(shape),
        "channels": channels,
        "kernel_width": kernels[-1],
        "kernel_height": math.prod(kernels[:-1]),
        "stride_width": strides[-1],
        "stride_height": math.prod(strides[:-1]),
        "groups": float(node.attrs["groups"]),
        "depth": float(weight[1]),
        "image": 1.0,
    }


def totals(table: Mapping[str, Array]) -> dict[str, Array]:
    """What the populations need in all rows that end in them, the same in each of those rows."""
    shared = (table["kernel_width"] > 0).astype(float)
    dense = (1.0 - shared) * (1.0 - table["products"])
    same = (table["population"][:, None] == table["population"][None, :]).astype(float)
    parts = {
        "neurons": table["neurons"],
        "sources": dense * table["sources"],
        "synapses": dense * table["synapses"],
        "weights": shared * table["weights"],
        "lists": shared * table["fan_in"],
        "depth": shared * table["depth"],
    }
    return {f"population_{name}": values @ same for name, values in parts.items()}
