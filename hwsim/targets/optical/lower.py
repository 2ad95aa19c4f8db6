"""From a graph to passes through a 4f bench, and what is left to the electronics beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Kernel, Memory, Program, Table
from hwsim.errors import InputError
from hwsim.graph import Graph, Node
from hwsim.ops.core import tuple_of
from hwsim.passes.fold_batch_norm import FoldBatchNorm
from hwsim.targets.optical.mapping import OpticalMapping


@dataclass(frozen=True)
class PassColumns:
    """Convolutions as the bench sees them, shape `(rows,)` each."""

    image_x: Array
    """Columns of the image on the modulator; a transposed convolution shows its image with zeros between the pixels."""
    image_y: Array
    kernel_x: Array
    """Columns that the kernel spans, dilation included."""
    kernel_y: Array
    results_x: Array
    """Columns of the result before a stride drops some."""
    results_y: Array
    taps: Array
    """Values of a kernel."""
    out_x: Array
    """Columns of the result that the camera keeps: strides drop the rest."""
    out_y: Array
    images: Array
    """Images under one kernel: the batch, times the channels where all of them share it."""
    inner: Array
    """Input channels that are summed."""
    outer: Array
    """Output channels."""
    groups: Array
    bias: Array
    """1 where a bias is added."""
    data: Array
    """1 where the kernel is computed by the network, so that its Fourier transform is too."""
    value_b: Array
    """Bytes of a value in the memory of the co-processor."""


@dataclass(frozen=True)
class ElectronicColumns:
    """What the co-processor does alone, shape `(rows,)` each."""

    ops: Array
    """Operations; a multiply-accumulate is two."""
    moved_b: Array
    """Bytes read and written."""


def lower(graph: Graph, device: Any, mapping: OpticalMapping) -> Program:
    """Passes and electronics of a network; batch norms behind a convolution are folded into it.

    Raises:
        InputError: a kernel is larger than the aperture and must not be split.
    """
    folded = rewritten(graph, mapping)
    if any(n.kind == "norm" and n.attrs["fn"] == "batch" for n in folded.nodes):
        folded = FoldBatchNorm()(folded)
    optical = [n for n in folded.nodes if n.kind == "conv" and is_optical(folded, n, mapping)]
    taken = {n.name for n in optical}
    rest = [n for n in folded.nodes if n.name not in taken and n.op.category != "view" and n.kind != "unsupported" and _works(folded, n)]
    passes, names = [_pass_row(folded, n) for n in optical], tuple(PassColumns.__dataclass_fields__)
    columns = PassColumns(**{name: np.array([row[name] for row in passes], dtype=float) for name in names})
    if not mapping.split_kernels:
        _check_kernels(optical, columns, device)
    works = [folded.work_of(n) for n in rest]
    alone = ElectronicColumns(
        np.array([2 * w.macs + w.ops + w.special for w in works], dtype=float),
        np.array([w.read_b + w.written_b for w in works], dtype=float),
    )
    tables = (Table("pass", columns, np.ones(len(optical))), Table("electronics", alone, np.ones(len(rest))))
    return Program("optical", folded, tables, _kernels(folded, optical, rest), Memory(weights_b=folded.weight_b))


def rewritten(graph: Graph, mapping: OpticalMapping) -> Graph:
    """The graph with its linear layers as the mapping wants them."""
    if mapping.linear == "electronics":
        return graph
    from hwsim.passes.share_convolutions import ShareConvolutions

    return ShareConvolutions(padding=mapping.linear)(graph)


def is_optical(graph: Graph, node: Node, mapping: OpticalMapping) -> bool:
    """Whether a convolution goes through the bench: one or two dimensions, and not kept in electronics."""
    return len(graph.tensors[node.inputs[0]].shape) in (3, 4) and not mapping.keeps(node.path or node.name)


def _works(graph: Graph, node: Node) -> bool:
    work = graph.work_of(node)
    return bool(work.macs or work.ops or work.special or work.read_b or work.written_b)


def _kernels(graph: Graph, optical: Sequence[Node], rest: Sequence[Node]) -> tuple[Kernel, ...]:
    """In the order of the graph."""
    row = {n.name: i for i, n in enumerate([*optical, *rest])}
    return tuple(Kernel(n.name, n.path, n.kind, (n.name,), row[n.name]) for n in graph.nodes if n.name in row)


def _check_kernels(nodes: Sequence[Node], columns: PassColumns, device: Any) -> None:
    x, y = device.capabilities or (np.inf, np.inf)
    for i in map(int, np.flatnonzero((columns.kernel_x > x) | (columns.kernel_y > y))):
        raise InputError(
            f"{nodes[i].path or nodes[i].name}: a kernel of {columns.kernel_x[i]:g} x {columns.kernel_y[i]:g} pixels is larger than the "
            f"aperture of {device.name}, {x:g} x {y:g}; allow it to be split (split_kernels=true), or take a larger bench"
        )


def _pass_row(graph: Graph, node: Node) -> dict[str, float]:
    x, weight, out = (graph.tensors[t] for t in (node.inputs[0], node.inputs[1], node.outputs[0]))
    dims = len(x.shape) - 2
    stride, dilation = (tuple_of(node.attrs[a], dims) for a in ("stride", "dilation"))
    wide = node.attrs["transposed"]
    image = [(m - 1) * s + 1 if wide else m for m, s in zip(x.shape[2:], stride, strict=True)]
    kernel = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    groups = node.attrs["groups"]
    shared = groups > 1 and _is_shared(graph, node.inputs[1]) and out.shape[1] == x.shape[1] == groups
    channels = groups if shared else 1
    results = [o if wide else (o - 1) * s + 1 for o, s in zip(out.shape[2:], stride, strict=True)]
    sides = {"image": image, "kernel": kernel, "results": results, "out": list(out.shape[2:])}
    found = {f"{name}_{axis}": float(v) for name, s in sides.items() for axis, v in zip("yx", [*([1] * (2 - dims)), *s], strict=True)}
    return found | {
        "taps": float(math.prod(weight.shape[2:])),
        "images": float(x.shape[0] * channels),
        "inner": x.shape[1] / groups,
        "outer": out.shape[1] / channels,
        "groups": groups / channels,
        "bias": float(len(node.inputs) > 2),
        "data": float(max(kernel) > 1 and not _is_stored(graph, node.inputs[1])),
        "value_b": out.dtype.bits / 8,
    }


def _is_stored(graph: Graph, tensor: str) -> bool:
    """Whether a kernel is known before the network runs."""
    node = graph.producer.get(tensor)
    if node is None:
        return graph.tensors[tensor].role in ("weight", "constant")
    return _only_moves(node) and _is_stored(graph, node.inputs[0])


def _only_moves(node: Node) -> bool:
    """Whether the values of a result are those of the operand, in another place or format."""
    return node.op.category == "view" or node.kind in ("tile", "copy", "cast", "transpose")


def _is_shared(graph: Graph, tensor: str) -> bool:
    """Whether all channels of a depthwise convolution see one kernel: it is expanded from one."""
    node = graph.producer.get(tensor)
    if node is None or not _only_moves(node):
        return False
    if (
        node.kind in ("expand", "tile")
        and graph.tensors[node.inputs[0]].size * graph.tensors[tensor].shape[0] == graph.tensors[tensor].size
    ):
        return True
    return _is_shared(graph, node.inputs[0])
