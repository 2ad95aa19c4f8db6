"""Formats of QONNX quantisers, and their merging into the layers before them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.dtypes import DType, dtype
from hwsim.graph import Graph, Node, Tensor

_ROUNDING = {"ROUND": "AP_RND_CONV", "HALF_EVEN": "AP_RND_CONV", "FLOOR": "AP_TRN", "ROUND_TO_ZERO": "AP_TRN_ZERO", "DOWN": "AP_TRN_ZERO"}
_OWNERS = frozenset({"linear", "conv", "activation", "softmax"})
"""Kinds whose result may take the format of the quantiser after them."""


@dataclass(frozen=True, slots=True)
class Quantizer:
    """Whole numbers of `bits` bits, times a scale."""

    bits: int
    signed: bool
    narrow: bool
    rounding: str
    scale: Any
    zero: Any

    @property
    def shift(self) -> int | None:
        """log2 of the scale, if it is one power of two and the zero point is zero."""
        scales = np.unique(self.scale)
        mantissa, exponent = np.frexp(float(scales[0]))
        exact = scales.size == 1 and mantissa == 0.5 and not np.any(self.zero)
        return int(exponent) - 1 if exact else None

    def format(self, *, weight: bool) -> DType:
        """Its number format; that of weights needs no rounding any more, they are what they are."""
        modes = "" if weight else f",{self.rounding},{'AP_SAT_SYM' if self.narrow else 'AP_SAT'}"
        sign = "" if self.signed else "u"
        return dtype(f"ap_{sign}fixed<{self.bits},{self.bits + (self.shift or 0)}{modes}>")


def rounding_of(name: str) -> str | None:
    """HLS' name of a rounding mode of QONNX; None where there is none."""
    return _ROUNDING.get(name.upper())


def merged(graph: Graph, *, scaled: Collection[str] = ()) -> Graph:
    """The graph with the format of a quantiser put on the layer before it, where nobody else reads that layer.

    Args:
        scaled: tensors whose scale is more than a binary point; their quantisers stay.
    """
    quantizers = [n for n in graph.nodes if is_quantizer(graph, n) and n.outputs[0] not in scaled]
    found = {node.name: maker for node in quantizers if (maker := _owner(graph, node)) is not None}
    if not found:
        return graph
    renamed = {found[n.name].name: n for n in quantizers if n.name in found}
    nodes = tuple(_with_format(node, renamed) for node in graph.nodes if node.name not in found)
    gone = {maker.outputs[0] for maker in found.values()}
    tensors: dict[str, Tensor] = {name: t for name, t in graph.tensors.items() if name not in gone}
    return graph.replace(nodes=nodes, tensors=tensors)


def _with_format(node: Node, renamed: dict[str, Node]) -> Node:
    return replace(node, outputs=(renamed[node.name].outputs[0],)) if node.name in renamed else node


def _owner(graph: Graph, node: Node) -> Node | None:
    """The layer that may take over the format of a quantiser."""
    maker = graph.producer.get(node.inputs[0])
    if maker is None or (maker.kind not in _OWNERS and maker.attrs.get("fn") != "batch") or is_quantizer(graph, maker):
        return None
    alone = len(graph.consumers.get(node.inputs[0], ())) == 1 and node.inputs[0] not in graph.outputs
    return maker if alone and len(maker.outputs) == 1 else None


def is_quantizer(graph: Graph, node: Node) -> bool:
    """Whether a node only changes the number format to a fixed-point one."""
    return node.kind == "activation" and node.attrs["fn"] == "identity" and graph.tensors[node.outputs[0]].dtype.family == "fixed"
