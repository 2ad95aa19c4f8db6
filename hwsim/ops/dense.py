"""Matrix products, convolutions and attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import GraphError
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, broadcast, register, streamed, total_b, tuple_of


def _linear_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    x, weight = shapes[:2]
    if len(weight) != 2 or not x or x[-1] != weight[1]:
        raise GraphError(f"linear: input {x} does not match weight {weight}; expected (..., in) and (out, in)")
    return ((*x[:-1], weight[0]),)


def _linear_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    bias = outputs[0].size if len(inputs) > 2 else 0
    return streamed(inputs, outputs, macs=outputs[0].size * inputs[1].shape[1], ops=bias)


register(Op("linear", _linear_shapes, _linear_work, inputs=(2, 3), summary="y = x W^T + b; operands x (..., in), W (out, in), b (out)"))


def _matmul_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    a, b = (_swapped(s, flag) for s, flag in zip(shapes, (attrs["transpose_a"], attrs["transpose_b"]), strict=True))
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise GraphError(f"matmul: operands {shapes[0]} and {shapes[1]} have no common inner size")
    return ((*broadcast([a[:-2], b[:-2]]), a[-2], b[-1]),)


def _swapped(shape: Shape, flag: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if flag and len(shape) >= 2 else shape


def _matmul_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs, macs=outputs[0].size * _swapped(inputs[0].shape, attrs["transpose_a"])[-1])


register(
    Op(
        "matmul",
        _matmul_shapes,
        _matmul_work,
        {"transpose_a": False, "transpose_b": False},
        inputs=(2, 2),
        summary="batched product of two tensors with broadcasting; operands (..., m, k), (..., k, n)",
    )
)


def conv_geometry(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    """Output shape of a (transposed) convolution; operands x (N, C, *spatial), W (O, C/g, *k) or, transposed, (C, O/g, *k)."""
    x, weight = shapes[:2]
    dims = len(x) - 2
    if dims < 1 or len(weight) != len(x):
        raise GraphError(f"conv: input {x} and weight {weight}; expected (N, C, *spatial) and (O, C/groups, *kernel)")
    groups, kernel = attrs["groups"], weight[2:]
    expected = x[1] if attrs["transposed"] else x[1] // groups
    if (weight[0] if attrs["transposed"] else weight[1]) != expected or x[1] % groups:
        raise GraphError(f"conv: input {x} has {x[1]} channels, weight {weight} with groups={groups} does not match")
    stride, dilation = (tuple_of(attrs[a], dims) for a in ("stride", "dilation"))
    pads = conv_padding(attrs["padding"], dims)
    if attrs["transposed"]:
        extra = tuple_of(attrs["output_padding"], dims)
        spatial = tuple(
            (i - 1) * s - sum(p) + d * (k - 1) + e + 1
            for i, s, p, d, k, e in zip(x[2:], stride, pads, dilation, kernel, extra, strict=True)
        )
        return ((x[0], weight[1] * groups, *_positive(spatial, x, weight)),)
    spatial = tuple((i + sum(p) - d * (k - 1) - 1) // s + 1 for i, s, p, d, k in zip(x[2:], stride, pads, dilation, kernel, strict=True))
    return ((x[0], weight[0], *_positive(spatial, x, weight)),)


def conv_padding(padding: int | Sequence, dims: int) -> tuple[tuple[int, int], ...]:
    """Padding as (before, after) pairs a spatial dimension; accepts p, (p, ...) and ((b, a), ...)."""
    items = (padding,) * dims if isinstance(padding, int) else tuple(padding)
    if len(items) != dims:
        raise GraphError(f"padding {padding!r}; expected {dims} value(s)")
    return tuple((p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in items)


def _positive(spatial: Shape, x: Shape, weight: Shape) -> Shape:
    if any(s < 1 for s in spatial):
        raise GraphError(f"the window {weight[2:]} does not fit into the input {x}")
    return spatial


def _conv_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    weight, out = inputs[1].shape, outputs[0]
    taps = math.prod(weight[1:])
    macs = inputs[0].size * taps if attrs["transposed"] else out.size * taps
    return streamed(inputs, outputs, macs=macs, ops=out.size if len(inputs) > 2 else 0)


register(
    Op(
        "conv",
        conv_geometry,
        _conv_work,
        {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "transposed": False, "output_padding": 0},
        inputs=(2, 3),
        summary="1-, 2- or 3-dimensional convolution, grouped, depthwise, dilated or transposed",
    )
)


def _attention_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    q, k, v = shapes[:3]
    if not all(len(s) == 4 for s in (q, k, v)):
        raise GraphError(f"attention: operands {q}, {k}, {v}; expected (batch, heads, length, size) each")
    if q[-1] != k[-1] or k[2] != v[2] or k[1] != v[1] or q[1] % k[1] or k[0] != q[0] or v[0] != q[0]:
        raise GraphError(f"attention: query {q}, key {k} and value {v} do not belong together")
    return ((*q[:3], v[-1]),)


def key_length(inputs: Sequence[Operand], attrs: Attrs) -> int:
    """Keys that a query may see, cached ones included."""
    return inputs[1].shape[2] + attrs["kv_len"]


def attended_frac(query_len: int, key_len: int, *, causal: bool, window: int | None) -> float:
    """Share of the (query, key) pairs left by a causal mask and a sliding window, queries at the end of the keys.

    `window` counts keys before the query, itself included; without `causal` the window is two-sided.
    """
    if not causal and window is None:
        return 1.0
    first = key_len - query_len
    if not causal:
        return min(1.0, (2 * (window or key_len) - 1) / key_len)
    width = min(window or key_len, key_len)
    short = max(0, min(query_len, width - 1 - first))
    seen = short * first + short * (short + 1) // 2 + (query_len - short) * width
    return min(1.0, seen / (query_len * key_len))


def _attention_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    q, k, v = inputs[:3]
    keys = key_length(inputs, attrs)
    pairs = math.prod(q.shape[:3]) * keys
    cached = k.shape[0] * k.shape[1] * (k.shape[3] + v.shape[3]) * k.dtype.bits / 8
    return Work(
        macs=pairs * (q.shape[3] + v.shape[3]),
        ops=4 * pairs + (pairs if len(inputs) > 3 else 0),
        special=pairs,
        read_b=total_b(inputs) + cached * attrs["kv_len"],
        written_b=total_b(outputs),
        state_b=cached * keys if attrs["cached"] or attrs["kv_len"] else 0.0,
    )


register(
    Op(
        "attention",
        _attention_shapes,
        _attention_work,
        {"causal": False, "window": None, "kv_len": 0, "cached": False},
        inputs=(3, 4),
        stateful=True,
        summary="softmax(q k^T + bias) v in one node; q (B, Hq, L, D), k and v (B, Hkv, S, D), bias broadcast to (B, Hq, L, S); "
        "`kv_len` more keys stand in a cache",
    )
)
__all__ = ["REQUIRED", "attended_frac", "conv_geometry", "conv_padding", "key_length"]
