"""Element-wise functions, normalisation, reductions, softmax, quantisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import GraphError, UnknownName
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, axis_of, broadcast, register, streamed

FUNCTIONS: dict[str, tuple[int, int]] = {
    # name: (simple operations, transcendental evaluations) an element
    **dict.fromkeys(("add", "sub", "mul", "maximum", "minimum", "neg", "abs", "relu", "sign", "floor", "ceil", "round"), (1, 0)),
    **dict.fromkeys(("equal", "less", "greater", "and", "or", "not", "xor", "where", "identity", "cast", "bitwise", "isnan"), (1, 0)),
    **dict.fromkeys(("relu6", "clip", "leaky_relu", "prelu", "threshold", "hard_tanh", "square", "mod", "average"), (2, 0)),
    **dict.fromkeys(("hard_sigmoid", "hard_swish"), (4, 0)),
    **dict.fromkeys(("exp", "log", "sqrt", "rsqrt", "reciprocal"), (2, 1)),
    **dict.fromkeys(("sin", "cos", "div", "expm1", "log1p"), (8, 1)),
    **dict.fromkeys(("sigmoid", "silu", "elu", "selu", "celu", "softsign"), (6, 2)),
    **dict.fromkeys(("tanh", "atan", "tan", "sinh", "cosh", "softplus", "log_sigmoid"), (12, 2)),
    **dict.fromkeys(("erf", "gelu", "gelu_tanh", "mish"), (20, 2)),
    "pow": (30, 2),
}
"""Cost of scalar functions in fp32: instructions of the usual library implementations, to the nearest handful."""


def function_cost(name: str) -> tuple[int, int]:
    """(simple, special) operations an element of the scalar function `name`."""
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise UnknownName("scalar function", name, FUNCTIONS) from None


def _pointwise_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    function_cost(attrs["fn"])
    return (broadcast(shapes),)


def _pointwise_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    simple, special = function_cost(attrs["fn"])
    size = outputs[0].size
    return streamed(inputs, outputs, ops=simple * size, special=special * size)


register(Op("activation", _pointwise_shapes, _pointwise_work, {"fn": REQUIRED}, "pointwise", (1, 2), "scalar function of one tensor"))
register(Op("elementwise", _pointwise_shapes, _pointwise_work, {"fn": REQUIRED}, "pointwise", (1, 8), "scalar function with broadcasting"))


def _same(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return (shapes[0],)


def _cast_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs, ops=outputs[0].size)


register(Op("cast", _same, _cast_work, {"to": None}, "pointwise", (1, 1), "change of number format"))


def _quantise_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs, ops=3 * outputs[0].size)


_SCALE = {"axis": None, "block": None}
register(Op("quantize", _same, _quantise_work, {**_SCALE, "to": REQUIRED}, "pointwise", (1, 3), "x / scale + zero, rounded and clipped"))
register(Op("dequantize", _same, _quantise_work, {**_SCALE, "to": "fp32"}, "pointwise", (1, 3), "(x - zero) * scale"))

NORMS = ("layer", "rms", "batch", "group", "instance", "l2", "local_response")


def _norm_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["fn"] not in NORMS:
        raise UnknownName("normalisation", attrs["fn"], NORMS)
    return (shapes[0],)


def _norm_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    size = outputs[0].size
    if attrs["fn"] == "batch":
        return streamed(inputs, outputs, ops=2 * size)
    per_element = {"rms": 4, "l2": 3, "local_response": 2 + attrs["size"]}.get(attrs["fn"], 7)
    return streamed(inputs, outputs, ops=per_element * size, special=size // max(1, norm_row(inputs[0].shape, attrs)))


def norm_row(shape: Shape, attrs: Attrs) -> int:
    """Elements that share one mean and variance."""
    if attrs["fn"] == "group":
        return math.prod(shape[1:]) // attrs["groups"]
    if attrs["fn"] in ("instance", "batch"):
        return math.prod(shape[2:])
    return math.prod(shape[axis_of(a, len(shape))] for a in attrs["axes"])


register(
    Op(
        "norm",
        _norm_shapes,
        _norm_work,
        {"fn": "layer", "axes": (-1,), "groups": 1, "size": 5},
        "reduction",
        (1, 5),
        "layer, rms, batch, group, instance, l2 or local_response normalisation; operands x, scale, shift, mean, variance",
    )
)


def _softmax_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    size = outputs[0].size
    return streamed(inputs, outputs, ops=4 * size, special=size)


register(Op("softmax", _same, _softmax_work, {"axis": -1, "log": False}, "reduction", (1, 1), "softmax along an axis"))
register(Op("cumulative", _same, _cast_work, {"axis": -1, "fn": "sum"}, "reduction", (1, 1), "running sum or product along an axis"))

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "std", "norm", "logsumexp", "argmax", "argmin", "any", "all")


def _reduce_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["fn"] not in REDUCTIONS:
        raise UnknownName("reduction", attrs["fn"], REDUCTIONS)
    shape = shapes[0]
    axes = range(len(shape)) if attrs["axes"] is None else attrs["axes"]
    gone = {axis_of(a, len(shape)) for a in axes}
    if attrs["keepdims"]:
        return (tuple(1 if i in gone else s for i, s in enumerate(shape)),)
    return (tuple(s for i, s in enumerate(shape) if i not in gone),)


def _reduce_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    factor = {"var": 4, "std": 4, "norm": 2, "logsumexp": 3}.get(attrs["fn"], 1)
    special = inputs[0].size if attrs["fn"] == "logsumexp" else 0
    return streamed(inputs, outputs, ops=factor * inputs[0].size, special=special)


register(
    Op(
        "reduce",
        _reduce_shapes,
        _reduce_work,
        {"fn": "sum", "axes": None, "keepdims": False},
        "reduction",
        (1, 1),
        "sum, mean, max ... over axes",
    )
)


def _pool_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    from hwsim.ops.core import tuple_of
    from hwsim.ops.dense import conv_padding

    x = shapes[0]
    dims = len(x) - 2
    if attrs["output_size"] is not None:
        return ((*x[:2], *tuple_of(attrs["output_size"], dims)),)
    kernel, dilation = tuple_of(attrs["kernel"], dims), tuple_of(attrs["dilation"], dims)
    stride = kernel if attrs["stride"] is None else tuple_of(attrs["stride"], dims)
    pads = conv_padding(attrs["padding"], dims)
    spatial = [_pooled(*item, ceil=attrs["ceil"]) for item in zip(x[2:], kernel, stride, pads, dilation, strict=True)]
    if any(s < 1 for s in spatial):
        raise GraphError(f"the pooling window {kernel} does not fit into the input {x}")
    return ((*x[:2], *spatial),)


def _pooled(size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, *, ceil: bool) -> int:
    span = size + sum(pad) - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil else span // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= size + pad[0] else count


def _pool_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    x, out = inputs[0], outputs[0]
    if attrs["output_size"] is not None:
        return streamed(inputs, outputs, ops=x.size)
    taps = attrs["kernel"] ** (len(x.shape) - 2) if isinstance(attrs["kernel"], int) else math.prod(attrs["kernel"])
    return streamed(inputs, outputs, ops=out.size * taps)


register(
    Op(
        "pool",
        _pool_shapes,
        _pool_work,
        {"fn": "max", "kernel": 1, "stride": None, "padding": 0, "dilation": 1, "ceil": False, "output_size": None},
        "reduction",
        (1, 1),
        "max, avg or lp pooling; adaptive (and global) where `output_size` is given",
    )
)


def _resize_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    from hwsim.ops.core import tuple_of

    return ((*shapes[0][:2], *tuple_of(attrs["size"], len(shapes[0]) - 2)),)


def _resize_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    taps = {"nearest": 0, "linear": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}[attrs["mode"]]
    return streamed(inputs, outputs, ops=2 * taps * outputs[0].size)


register(
    Op("resize", _resize_shapes, _resize_work, {"size": REQUIRED, "mode": "nearest"}, "pointwise", (1, 1), "spatial resampling to `size`")
)
