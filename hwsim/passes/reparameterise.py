"""Branches and rows of convolutions without a nonlinearity between them -> the one convolution that is deployed."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, cast

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from hwsim.ops.core import tuple_of
from hwsim.ops.dense import conv_padding
from hwsim.passes.linear_convs import Conv, chained, scaled, summed


@dataclass(frozen=True)
class Reparameterise:
    """Merges convolutions that follow each other (RepConv: 1x1, depthwise 3x3, 1x1; SepConv: depthwise, 1x1), batch norms into the
    convolution before or behind them, and parallel branches of one input (RepVGG: 3x3, 1x1 and a norm of the input), with their
    numbers where the graph has them.

    This is how BICLab counts Spike-driven Transformer V2: what is trained as three small convolutions runs as one 3x3 convolution.
    """

    pad_with_bias: bool | None = None
    """Whether the border between two convolutions holds what the first one adds (its bias, a norm), as BICLab's code pads it, and not
    zeros; a merge across zeros would be wrong there. None: yes where the graph has no numbers."""
    epsilon: float = 1e-5
    """What batch norms add to the variance."""
    chains: bool = True
    """Whether convolutions that follow each other are merged, too; many deploy each on its own (RepVGG, MobileOne, FastViT)."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph with one convolution for each such group; the same values up to rounding."""
        biased = not graph.values if self.pad_with_bias is None else self.pad_with_bias
        return _Merger(graph, pad_with_bias=biased, epsilon=self.epsilon, chains=self.chains).run()


@dataclass(frozen=True)
class _Group:
    """Convolutions that are one so far; `node` is the last node, which makes the output."""

    node: Node
    source: str
    conv: Conv
    paths: tuple[str, ...]
    """Of the convolutions."""
    parts: int = 1
    """Nodes that went in."""


class _Merger:
    def __init__(self, graph: Graph, *, pad_with_bias: bool, epsilon: float, chains: bool) -> None:
        self.graph, self.pad_with_bias, self.epsilon, self.chains = graph, pad_with_bias, epsilon, chains
        self.groups: dict[str, _Group] = {}
        self.order: list[Node | str] = []

    def run(self) -> Graph:
        for node in self.graph.nodes:
            group = self._group(node)
            if group is None:
                self.order.append(node)
            else:
                self.groups[node.outputs[0]] = group
                self.order.append(node.outputs[0])
        return self._written() if any(g.parts > 1 for g in self.groups.values()) else self.graph

    def _group(self, node: Node) -> _Group | None:
        """What `node` is part of: a new group, a longer one, or none."""
        if node.kind == "norm" and node.attrs["fn"] == "batch" and (before := self._taken(node.inputs[0])):
            return replace(before, node=node, conv=scaled(before.conv, *self._affine(node)), parts=before.parts + 1)
        if node.kind == "conv" and (conv := self._conv(node)):
            return self._behind(node, conv) or _Group(node, node.inputs[0], conv, (node.path,))
        if node.kind == "elementwise" and node.attrs["fn"] == "add":
            return self._beside(node) if len(node.inputs) == 2 else self._moved(node) if len(node.inputs) == 1 else None
        return None

    def _moved(self, node: Node) -> _Group | None:
        """A group and a number that is not kept (sums that start from 0), where no numbers are asked for."""
        before = self._taken(node.inputs[0]) if node.inputs and not self.graph.values else None
        return before and replace(before, node=node, conv=replace(before.conv, has_bias=True, bias=None), parts=before.parts + 1)

    def _behind(self, node: Node, conv: Conv) -> _Group | None:
        before = self._branch(node.inputs[0]) if self.chains else None
        made = chained(before.conv, conv, pad_with_bias=self.pad_with_bias) if before else None
        if before is None or made is None:
            return None
        self._drop(node.inputs[0])
        return _Group(node, before.source, made, (*before.paths, node.path), before.parts + 1)

    def _beside(self, node: Node) -> _Group | None:
        left, right = (self._branch(name) for name in node.inputs)
        if left is None or right is None or left.source != right.source or node.inputs[0] == node.inputs[1]:
            return None
        made = summed(left.conv, right.conv) if left.paths or right.paths else None
        if made is None:
            return None
        for name in node.inputs:
            self._drop(name)
        return _Group(node, left.source, made, (*left.paths, *right.paths), left.parts + right.parts + 1)

    def _branch(self, name: str) -> _Group | None:
        """A group, or a batch norm of its own as a 1x1 convolution."""
        if not self._only_reader(name):
            return None
        node = self.graph.producer.get(name)
        if name in self.groups or node is None or node.kind != "norm" or node.attrs["fn"] != "batch":
            return self.groups.get(name)
        width, dims = (shape := self.graph.tensors[name].shape)[1], len(shape) - 2
        ones = np.ones((width, 1, *(1,) * dims))
        same = Conv(width, width, (1,) * dims, (1,) * dims, (0,) * dims, width, kernel=ones)
        return _Group(node, node.inputs[0], scaled(same, *self._affine(node)), ())

    def _taken(self, name: str) -> _Group | None:
        """The group that makes `name`, removed, if one node alone reads it."""
        if name not in self.groups or not self._only_reader(name):
            return None
        found = self.groups[name]
        self._drop(name)
        return found

    def _drop(self, name: str) -> None:
        entry: Node | str = name if name in self.groups else self.graph.producer[name]
        self.groups.pop(name, None)
        self.order.remove(entry)

    def _only_reader(self, name: str) -> bool:
        return len(self.graph.consumers.get(name, ())) == 1 and name not in self.graph.outputs

    def _conv(self, node: Node) -> Conv | None:
        """A convolution as numbers; None where it is transposed, dilated, quantised, or pads unevenly."""
        weight = self.graph.tensors[node.inputs[1]]
        dims = len(weight.shape) - 2
        pads = conv_padding(node.attrs["padding"], dims)
        constant = all(
            self.graph.tensors[t].role in ("weight", "constant") and self.graph.tensors[t].dtype.is_float for t in node.inputs[1:]
        )
        if node.attrs["transposed"] or not constant or any(a != b for a, b in pads) or max(tuple_of(node.attrs["dilation"], dims)) > 1:
            return None
        return Conv(
            self.graph.tensors[node.inputs[0]].shape[1],
            weight.shape[0],
            weight.shape[2:],
            tuple_of(node.attrs["stride"], dims),
            tuple(a for a, _ in pads),
            node.attrs["groups"],
            len(node.inputs) > 2,
            self._values(node.inputs[1]),
            self._values(node.inputs[2]) if len(node.inputs) > 2 else None,
        )

    def _affine(self, node: Node) -> tuple[Any, Any]:
        """Scale and shift of a batch norm at inference; None where numbers are unknown."""
        found = [self._values(name) for name in node.inputs[1:]]
        if len(found) != 4 or any(v is None for v in found):
            return None, None
        scale, shift, mean, variance = found
        factor = scale / np.sqrt(variance + self.epsilon)
        return factor, shift - mean * factor

    def _values(self, name: str) -> Any:
        return np.asarray(self.graph.values[name], dtype=float) if name in self.graph.values else None

    def _written(self) -> Graph:
        tensors, values = dict(self.graph.tensors), {}
        nodes: list[Node] = []
        for entry in self.order:
            if isinstance(entry, Node):
                nodes.append(entry)
            elif (group := self.groups[entry]).parts == 1:
                nodes.append(group.node)
            else:
                nodes.append(self._node(group, tensors, values))
        return self.graph.replace(
            nodes=tuple(nodes), tensors=self._used(nodes, tensors), values=ChainMap(values, cast(dict, self.graph.values))
        )

    def _node(self, group: _Group, tensors: dict[str, Tensor], values: dict[str, Any]) -> Node:
        conv, path = group.conv, self._path(group)
        weight = Tensor(f"{path}.weight:merged", (conv.outputs, conv.inputs // conv.groups, *conv.taps), self._dtype(group), "weight")
        parts = [(weight, conv.kernel)]
        if conv.has_bias:
            parts.append((Tensor(f"{path}.bias:merged", (conv.outputs,), weight.dtype, "weight"), conv.bias))
        for tensor, numbers in parts:
            tensors[tensor.name] = tensor
            if numbers is not None:
                values[tensor.name] = np.asarray(numbers, dtype=np.float32)
        inputs = (group.source, *(t.name for t, _ in parts))
        sizes = {
            "stride": conv.stride,
            "padding": conv.padding,
            "groups": conv.groups,
            "dilation": 1,
            "transposed": False,
            "output_padding": 0,
        }
        return Node(group.node.name, "conv", inputs, group.node.outputs, sizes, path)

    def _dtype(self, group: _Group) -> Any:
        path = group.paths[0]
        first = next(n for n in self.graph.nodes if n.path == path and n.kind == "conv")
        return self.graph.tensors[first.inputs[1]].dtype

    def _path(self, group: _Group) -> str:
        """The module around the convolutions if it holds nothing else, else the first of them."""
        around = _common([p.split(".") for p in group.paths])
        inside = [n.path for n in self.graph.nodes if n.kind == "conv" and f"{n.path}.".startswith(f"{around}.")]
        return around if around and set(inside) == set(group.paths) else group.paths[0]

    def _used(self, nodes: list[Node], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors that nodes still use; parameters that nobody ever read stay."""
        used = {n for node in nodes for n in (*node.inputs, *node.outputs)} | set(self.graph.inputs) | set(self.graph.outputs)
        return {
            n: t
            for n, t in tensors.items()
            if n in used or (t.role == "weight" and n not in self.graph.consumers and n in self.graph.tensors)
        }


def _common(names: list[list[str]]) -> str:
    """The leading parts that all have."""
    return ".".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*names, strict=False)))
