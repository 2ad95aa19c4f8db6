"""Kernels as hashable rows: what the cost functions need to know, and nothing of where it came from.

Equal rows cost the same, so a program keeps one row and a count; a network of a hundred layers has some twenty rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hwsim.dtypes import DType
from hwsim.graph import Graph, Node
from hwsim.ops.core import tuple_of
from hwsim.ops.dense import attended_frac, conv_padding
from hwsim.ops.pointwise import norm_row
from hwsim.targets.gpu.fusion import category


class GemmRow(NamedTuple):
    """A (batched) matrix product with its epilogue."""

    m: int
    n: int
    k: int
    batch: int
    dtype: str
    """Format of the arithmetic."""
    a_b: float
    """Bytes of the left operand, as stored (broadcast batches once)."""
    b_b: float
    """Bytes of the right operand, as stored."""
    c_b: float
    """Bytes written."""
    epilogue_b: float
    """Bytes that a fused epilogue reads."""


class ConvRow(NamedTuple):
    """A convolution with its epilogue."""

    batch: int
    in_channels: int
    out_channels: int
    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool
    dtype: str
    epilogue_b: float


class AttentionRow(NamedTuple):
    """A fused attention kernel."""

    batch: int
    query_heads: int
    kv_heads: int
    query_len: int
    key_len: int
    head_dim: int
    value_dim: int
    attended: float
    """Share of the pairs that the mask leaves."""
    bias_b: float
    dtype: str
    kv_bits: int


class StreamRow(NamedTuple):
    """A kernel that mostly moves data."""

    style: str
    """stream (point-wise), reduce (rows), gather, scan or sort."""
    read_b: float
    written_b: float
    ops: float
    special: float
    row: int
    """Elements of one reduction, 1 where there is none."""
    row_count: int
    dtype: str


Row = GemmRow | ConvRow | AttentionRow | StreamRow


def arithmetic(*formats: DType) -> str:
    """The format that a product of operands in these formats is computed in: the widest floating one, else the widest.

    A weight-only format (int4 weights, fp16 activations) is expanded to that of the activations before the product.
    """
    floating = [f for f in formats if f.is_float]
    return max(floating or formats, key=lambda f: f.bits).name


def gemm_row(graph: Graph, node: Node, *, written_b: float, epilogue_b: float) -> GemmRow:
    """Row of a `linear` or `matmul` node."""
    x, w = (graph.tensors[name] for name in node.inputs[:2])
    out = graph.tensors[node.outputs[0]]
    bias_b = sum(graph.tensors[name].bytes for name in node.inputs[2:])
    fmt = arithmetic(x.dtype, w.dtype)
    if node.kind == "linear":
        m, k, n, batch = math.prod(x.shape[:-1]), x.shape[-1], w.shape[0], 1
    else:
        k = x.shape[-2] if node.attrs["transpose_a"] else x.shape[-1]
        m, n, batch = _matmul_sizes(out.shape, w.shape)
    return GemmRow(m, n, k, batch, fmt, x.bytes, w.bytes, written_b, epilogue_b + bias_b)


def _matmul_sizes(out: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, int, int]:
    """(m, n, batch); leading axes are rows where the right operand is one matrix."""
    if math.prod(right[:-2]) == 1:
        return math.prod(out[:-1]), out[-1], 1
    return out[-2], out[-1], math.prod(out[:-2])


def conv_row(graph: Graph, node: Node, *, epilogue_b: float) -> ConvRow:
    """Row of a `conv` node. A transposed convolution is the forward one of its output, seen from the other side."""
    x, w = (graph.tensors[name] for name in node.inputs[:2])
    out = graph.tensors[node.outputs[0]]
    dims = len(x.shape) - 2
    transposed = node.attrs["transposed"]
    source, sink = (out, x) if transposed else (x, out)
    pads = tuple(max(p) for p in conv_padding(node.attrs["padding"], dims))
    return ConvRow(
        source.shape[0],
        source.shape[1],
        sink.shape[1],
        source.shape[2:],
        w.shape[2:],
        tuple_of(node.attrs["stride"], dims),
        pads,
        tuple_of(node.attrs["dilation"], dims),
        node.attrs["groups"],
        transposed,
        arithmetic(x.dtype, w.dtype),
        epilogue_b,
    )


def attention_row(graph: Graph, node: Node) -> AttentionRow:
    """Row of an `attention` node."""
    q, k, v = (graph.tensors[name] for name in node.inputs[:3])
    keys = k.shape[2] + node.attrs["kv_len"]
    bias = sum(graph.tensors[name].bytes for name in node.inputs[3:])
    attended = attended_frac(q.shape[2], keys, causal=node.attrs["causal"], window=node.attrs["window"])
    return AttentionRow(
        q.shape[0], q.shape[1], k.shape[1], q.shape[2], keys, q.shape[3], v.shape[3], attended, bias, q.dtype.name, k.dtype.bits
    )


def recurrent_rows(graph: Graph, node: Node) -> list[GemmRow]:
    """An LSTM or GRU layer (cuDNN): one product for all inputs, then one small product a time step."""
    x, w, r = (graph.tensors[name] for name in node.inputs[:3])
    batch, length, _ = x.shape
    fmt = arithmetic(x.dtype, w.dtype)
    gate_b = batch * w.shape[0] * x.dtype.bytes
    first = GemmRow(batch * length, w.shape[0], w.shape[1], 1, fmt, x.bytes, w.bytes, gate_b * length, 0.0)
    step = GemmRow(batch, r.shape[0], r.shape[1], 1, fmt, batch * r.shape[1] * x.dtype.bytes, r.bytes, gate_b, gate_b)
    return [first, *[step] * length]


def memory_rows(graph: Graph, node: Node) -> list[GemmRow]:
    """A Legendre memory sample by sample: one product with the states of all signals each."""
    x, a = (graph.tensors[name] for name in node.inputs[:2])
    batch, signals, samples = x.shape
    rows, size, fmt = batch * signals, node.attrs["size"], arithmetic(x.dtype, a.dtype)
    state_b = rows * size * x.dtype.bytes
    step = GemmRow(rows, size, size, 1, fmt, state_b, a.bytes, state_b, state_b)
    return [step] * samples


def stream_row(graph: Graph, nodes: list[Node], works: list, *, read_b: float, written_b: float) -> StreamRow:
    """Row of everything else: point-wise and reduction groups, copies, gathers, sorts, scans."""
    row, count = 1, 1
    for node in nodes:
        size = reduction_row(graph, node)
        if size > row:
            row, count = size, graph.tensors[node.inputs[0]].size // size
    fmt = graph.tensors[(nodes[0].outputs or nodes[0].inputs)[0]].dtype.name
    ops, special = (float(sum(getattr(w, a) for w in works)) for a in ("ops", "special"))
    return StreamRow(_style(nodes), read_b, written_b, ops, special, row, count, fmt)


_STYLES = {
    "embedding": "gather",
    "gather": "gather",
    "scatter": "gather",
    "grid_sample": "gather",
    "sort": "sort",
    "topk": "sort",
    "selective_scan": "scan",
    "ssd": "scan",
    "lmu_memory": "scan",
    "cumulative": "scan",
}


def _style(nodes: list[Node]) -> str:
    styles = {_STYLES[n.kind] for n in nodes if n.kind in _STYLES}
    if styles:
        return sorted(styles)[0]
    return "reduce" if any(category(n) == "reduction" for n in nodes) else "stream"


def reduction_row(graph: Graph, node: Node) -> int:
    """Elements that one reduction of the node spans; 1 for a point-wise node."""
    shape: tuple[int, ...] = graph.tensors[node.inputs[0]].shape if node.inputs else ()
    if node.kind == "softmax":
        return list(shape)[node.attrs["axis"]]
    if node.kind == "norm":
        return 1 if node.attrs["fn"] == "batch" else max(1, norm_row(shape, node.attrs))
    if node.kind == "reduce":
        out = graph.tensors[node.outputs[0]].size
        return max(1, math.prod(shape) // max(1, out))
    return 1
