"""From a graph to the operators that an NPU's compiler makes of it: fused groups with what each unit has to do for them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Kernel, Memory, Program, Table
from hwsim.graph import Graph, Node
from hwsim.passes.fold_batch_norm import FoldBatchNorm
from hwsim.schedule import peak_live_b
from hwsim.targets.gpu.fusion import Fuser, Group
from hwsim.targets.gpu.runtimes import Runtime
from hwsim.targets.npu.mapping import NpuMapping

LANES = 32
"""Channels that the matrix unit takes at once; others are filled up."""
HABITS = Runtime("npu", "everything point by point runs with the operator before it", True, True, True, False, True, 0.0)
"""What the compiler fuses."""
MATRIX = frozenset({"conv", "linear", "matmul", "attention"})
KINDS = ("conv", "volume", "grouped", "depthwise", "linear", "matmul", "attention", "pointwise", "reduction", "layout")
"""Kinds of rows, by the operator that a group is named after; `volume`: convolutions in three dimensions; `pointwise`: also what is left,
such as resampling."""


@dataclass(frozen=True)
class NpuColumns:
    """What a row asks of the units, shape `(rows,)` each; values, not bytes: formats are the mapping's."""

    macs: Array
    """Multiply-accumulates of the matrix unit."""
    padded_macs: Array
    """The same with channels filled up to `LANES`."""
    vector_macs: Array
    """Multiply-accumulates of the vector unit: depthwise convolutions."""
    weights: Array
    """Stored values that are read."""
    read: Array
    """Activations read from other rows."""
    written: Array
    """Activations written for other rows, and scores of attention."""
    ops: Array
    """Operations of the vector unit, value by value."""
    special: Array
    """Transcendental ones among its work."""
    moved: Array
    """Values put into another order: transpositions, gathers."""
    joined: Array
    """Values put side by side: concatenations."""
    nodes: Array
    """Nodes of the graph in the group."""
    window: Array
    """Taps of a convolution's kernel, 1 elsewhere."""
    pixels: Array
    """Positions of the result: rows of a product."""
    inner: Array
    """Values that are summed for one result of a product, 1 elsewhere."""
    outer: Array
    """Channels of the result."""
    stride: Array
    """Product of a convolution's strides, 1 elsewhere."""
    kind: Array
    """Place in `KINDS`."""


def lower(graph: Graph, mapping: NpuMapping) -> Program:
    """Rows of a network; equal ones stand in one row with a count. Does not depend on the device."""
    folded = FoldBatchNorm()(graph) if any(n.kind == "norm" and n.attrs["fn"] == "batch" for n in graph.nodes) else graph
    fuser = Fuser(folded, HABITS, channels_last=True)
    groups = fuser.run()
    flows = _flows(folded, fuser, groups)
    rows = [_row(folded, g, flow) for g, flow in zip(groups, flows, strict=True)]
    counts = Counter(rows)
    place = {row: i for i, row in enumerate(counts)}
    names = [f.name for f in fields(NpuColumns)]
    columns = NpuColumns(**{name: np.array([row[i] for row in counts], dtype=float) for i, name in enumerate(names)})
    kernels = tuple(_kernel(g, place[row]) for g, row in zip(groups, rows, strict=True))
    table = Table("operator", columns, np.array(list(counts.values()), dtype=float))
    return Program("npu", folded, (table,), kernels, _memory(folded, fuser, flows, mapping))


def _kernel(group: Group, row: int) -> Kernel:
    anchor = group.anchor
    return Kernel(anchor.name, anchor.path, anchor.kind, (anchor.name, *(n.name for n in group.nodes if n is not anchor)), row)


Flow = tuple[dict[str, int], tuple[str, ...]]
"""Values read of each storage from outside, and storage that others read later."""


def _flows(graph: Graph, fuser: Fuser, groups: Sequence[Group]) -> list[Flow]:
    """What each group reads and writes."""
    found, used = [], {fuser.storage(name) for name in graph.outputs}
    for i, group in enumerate(groups):
        reads: dict[str, int] = {}
        for name in dict.fromkeys(name for node in group.nodes for name in node.inputs):
            store = fuser.storage(name)
            if fuser.owner.get(store) != i:
                reads[store] = min(graph.tensors[store].size, reads.get(store, 0) + graph.tensors[name].size)
        used.update(reads)
        found.append(reads)
    return [(reads, tuple(n for node in g.nodes for n in node.outputs if n in used)) for g, reads in zip(groups, found, strict=True)]


def _row(graph: Graph, group: Group, flow: Flow) -> tuple[float, ...]:
    anchor, tensors, (reads, writes) = group.anchor, graph.tensors, flow
    works = [graph.work_of(n) for n in group.nodes]
    looked_up = anchor.kind in ("embedding", "gather")
    flowing, stored = (sum(v for n, v in reads.items() if (tensors[n].role in ROLES) == wanted) for wanted in (False, True))
    macs, padded, vector, kind, inner, outer = _products(graph, anchor)
    scores = sum(w.special for w in works) if anchor.kind == "attention" else 0
    out, image = tensors[anchor.outputs[0]], anchor.kind == "conv"
    window = math.prod(tensors[anchor.inputs[1]].shape[2:]) if image else 1
    stride = _stride(anchor, len(out.shape) - 2) if image else 1
    moved, joined = (
        sum(tensors[o].size for n in group.nodes if n.op.category == "layout" and (n.kind == "concat") == wanted for o in n.outputs)
        for wanted in (False, True)
    )
    written = sum(tensors[n].size for n in writes) + scores
    sums = [sum(getattr(w, name) for w in works) for name in ("ops", "special")]
    sizes = (window, max(1.0, out.size / max(1.0, outer)), inner, outer, stride, KINDS.index(kind))
    found = (macs, padded, vector, 0 if looked_up else stored, flowing, written, *sums, moved, joined, len(group.nodes), *sizes)
    return tuple(map(float, found))


ROLES = ("weight", "constant")
"""Of tensors that are stored."""


def _stride(node: Node, dims: int) -> int:
    stride = node.attrs["stride"]
    return math.prod(stride) if isinstance(stride, list | tuple) else int(stride) ** dims


def _products(graph: Graph, node: Node) -> tuple[float, float, float, str, float, float]:
    """(macs of the matrix unit, with channels filled up, macs of the vector unit, kind of the row, values summed a result, channels)."""
    macs, out = float(graph.work_of(node).macs), graph.tensors[node.outputs[0]]
    shape = graph.tensors[node.inputs[0]].shape if node.inputs else ()
    if node.kind == "conv":
        return _convolution(graph, node, macs)
    if node.kind in ("linear", "matmul") and shape:
        inner, outer = macs / max(1, out.size), float(out.shape[-1]) if out.shape else 1.0
        return macs, macs * _filled(inner) * _filled(outer), 0.0, node.kind, inner, outer
    if node.kind == "attention":
        length, size = graph.tensors[node.inputs[1]].shape[-2], graph.tensors[node.inputs[0]].shape[-1]
        return macs, macs * _filled(size) * _filled(length), 0.0, "attention", float(size), float(length)
    category = node.op.category
    kind = category if category in ("reduction", "layout") else "pointwise"
    return macs, macs, 0.0, kind, 1.0, float(out.shape[1]) if len(out.shape) > 1 else 1.0


def _convolution(graph: Graph, node: Node, macs: float) -> tuple[float, float, float, str, float, float]:
    x, out, groups = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape, int(node.attrs["groups"])
    inner, outer = x[1] / groups, out[1] / groups
    if groups > 1 and inner == 1:
        return 0.0, 0.0, macs, "depthwise", inner, float(out[1])
    padded = macs * _filled(inner) * _filled(outer)
    kind = "grouped" if groups > 1 else "volume" if len(x) == 5 else "conv"
    return macs, padded, 0.0, kind, inner, float(out[1])


def _filled(channels: float) -> float:
    """Filled up over given."""
    return math.ceil(channels / LANES) * LANES / max(1.0, channels)


def _memory(graph: Graph, fuser: Fuser, flows: Sequence[Flow], mapping: NpuMapping) -> Memory:
    values = {name: t.size * mapping.activation_b for name, t in graph.tensors.items()}
    roots = {n: b for n, b in values.items() if n not in fuser.root and graph.tensors[n].role in ("input", "activation")}
    kept = {fuser.storage(name) for name in graph.outputs}
    stored = sum(t.size for t in graph.tensors.values() if t.role in ROLES)
    return Memory(weights_b=stored * mapping.weight_b, activations_b=peak_live_b(flows, roots, kept), state_b=graph.state_b)
