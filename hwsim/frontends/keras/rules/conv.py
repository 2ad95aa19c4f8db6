"""Convolutions: plain, depthwise, separable, transposed, and those of QKeras that carry a batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.frontends.keras.context import Call, Value
from hwsim.frontends.keras.rules.common import bias, finished, is_first, same_padding, sizes, spatial, weight_format
from hwsim.frontends.keras.weights import Entry, Role

EPSILON = 1e-3
"""Keras' default of a batch normalisation."""


def dims_of(c: Call) -> int:
    """Spatial dimensions, from the class name or the input."""
    return next((n for n in (1, 2, 3) if f"{n}D" in c.layer.class_name), len(c.x.shape) - 2)


def window(c: Call, x: Value, kernel: tuple[int, ...]) -> dict[str, Any]:
    """Stride, dilation and padding of a convolution over `x`.

    Raises:
        InputError: a padding that does not exist.
    """
    dims = len(kernel)
    stride, dilation = sizes(c, "strides", dims), sizes(c, "dilation_rate", dims)
    space = x.shape[1:-1] if not is_first(c) else x.shape[2:]
    mode = str(c.get("padding", "valid")).lower()
    if mode not in ("same", "valid", "causal"):
        raise InputError(f"{c.where}: padding {mode!r}; expected same, valid or causal")
    pads: Any = {"same": same_padding(space, kernel, stride, dilation), "valid": ((0, 0),) * dims}.get(mode)
    if mode == "causal":
        pads = tuple((d * (k - 1), 0) for k, d in zip(kernel, dilation, strict=True))
    return {"stride": stride, "dilation": dilation, "padding": pads}


def channels(c: Call, x: Value) -> int:
    """Channels of `x` as this layer reads it."""
    return x.shape[1] if is_first(c) else x.shape[-1]


def outermost(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """(*kernel, in, out) -> (out, in, *kernel) for `count` dimensions."""
    return lambda array: np.transpose(array, (count + 1, count, *range(count)))


def _checked(c: Call, x: Value, kernel: tuple[int, ...]) -> Value:
    if len(x.shape) != len(kernel) + 2:
        raise InputError(f"{c.where}: it slides over {len(kernel)} dimension(s), but its input has the shape {x.shape}")
    return spatial(c, x)


def _conv(c: Call) -> Value:
    kernel = sizes(c, "kernel_size", dims_of(c))
    x = _checked(c, c.x, kernel)
    groups, filters = int(c.get("groups", 1)), int(c.need("filters"))
    inner = channels(c, x) // groups
    shape, stored = (filters, inner, *kernel), (*kernel, inner, filters)
    folded = "Batchnorm" in c.layer.class_name
    weight = c.weight("kernel", shape, Role(("kernel",), 0), stored=stored, change=outermost(len(kernel)), dtype=weight_format(c, "kernel"))
    extra = bias(c, filters, position=1)
    if folded:
        extra = extra or [c.weight("bias", (filters,), None, dtype=weight_format(c, "bias"))]
        _fold(c, weight, extra[0], channel_axis=0)
    return finished(c, c.emit("conv", [x, weight, *extra], groups=groups, **window(c, x, kernel)))


def _depthwise(c: Call) -> Value:
    kernel = sizes(c, "kernel_size", dims_of(c))
    x = _checked(c, c.x, kernel)
    value = _by_channel(c, x, kernel, bias_position=1)
    return finished(c, value)


def _by_channel(c: Call, x: Value, kernel: tuple[int, ...], *, bias_position: int | None, suffix: str = "") -> Value:
    """A convolution of every channel alone, `depth_multiplier` filters each."""
    count, dims = channels(c, x), len(kernel)
    multiplier = int(c.get("depth_multiplier", 1))
    weight = c.weight(
        "depthwise_kernel",
        (count * multiplier, 1, *kernel),
        Role(("depthwise_kernel", "kernel"), 0),
        stored=(*kernel, count, multiplier),
        change=lambda array: np.transpose(array, (dims, dims + 1, *range(dims))),
        dtype=weight_format(c, "depthwise"),
    )
    extra = [] if bias_position is None else bias(c, count * multiplier, position=bias_position)
    if "Batchnorm" in c.layer.class_name:
        extra = extra or [c.weight("bias", (count * multiplier,), None, dtype=weight_format(c, "bias"))]
        _fold(c, weight, extra[0], channel_axis=0)
    return c.emit("conv", [x, weight, *extra], suffix=suffix, groups=count, **window(c, x, kernel))


def _separable(c: Call) -> Value:
    kernel = sizes(c, "kernel_size", dims_of(c))
    x = _checked(c, c.x, kernel)
    value = _by_channel(c, x, kernel, bias_position=None, suffix="_depthwise")
    inner, filters, ones = channels(c, value), int(c.need("filters")), (1,) * len(kernel)
    weight = c.weight(
        "pointwise_kernel",
        (filters, inner, *ones),
        Role(("pointwise_kernel",), 1),
        stored=(*ones, inner, filters),
        change=outermost(len(kernel)),
        dtype=weight_format(c, "pointwise"),
    )
    value = c.emit("conv", [value, weight, *bias(c, filters, position=2)], suffix="_pointwise")
    return finished(c, value)


def _transposed(c: Call) -> Value:
    kernel = sizes(c, "kernel_size", dims_of(c))
    dims = len(kernel)
    x = _checked(c, c.x, kernel)
    inner, filters = channels(c, x), int(c.need("filters"))
    weight = c.weight(
        "kernel",
        (inner, filters, *kernel),
        Role(("kernel",), 0),
        stored=(*kernel, filters, inner),
        change=lambda array: np.transpose(array, (dims + 1, dims, *range(dims))),
        dtype=weight_format(c, "kernel"),
    )
    value = c.emit("conv", [x, weight, *bias(c, filters, position=1)], transposed=True, **_upsampled(c, kernel))
    return finished(c, value)


def _upsampled(c: Call, kernel: tuple[int, ...]) -> dict[str, Any]:
    """Stride, dilation and padding of a transposed convolution whose output is input x stride (same), or the rest of the window more."""
    stride, dilation = sizes(c, "strides", len(kernel)), sizes(c, "dilation_rate", len(kernel))
    given = c.get("output_padding")
    pads, outs = [], []
    for i, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        reach = d * (k - 1) + 1
        beyond = reach - s if str(c.get("padding", "valid")).lower() == "same" else min(reach - s, 0)
        outs.append(max(-beyond, 0) if given is None else sizes(c, "output_padding", len(kernel))[i])
        total = max(beyond, 0)
        pads.append((total // 2, total - total // 2))
    return {"stride": stride, "dilation": dilation, "padding": tuple(pads), "output_padding": tuple(outs)}


def folded_scale(c: Call) -> tuple[Callable[[], np.ndarray], dict[str, Entry]] | None:
    """gamma / sqrt(variance + epsilon) of the batch normalisation inside of a layer, and its arrays, where the file has them."""
    find = c.importer.weights.find
    found = {n: e for n in ("gamma", "beta", "moving_mean", "moving_variance") if (e := find(c.path, Role((n,), -1))) is not None}
    if not {"moving_mean", "moving_variance"} <= set(found):
        return None
    epsilon = float(c.get("epsilon", EPSILON))

    def scale() -> np.ndarray:
        gamma = found["gamma"].read() if "gamma" in found else 1.0
        return np.asarray(gamma / np.sqrt(found["moving_variance"].read() + epsilon))

    return scale, found


def _fold(c: Call, weight: str, shift: str, *, channel_axis: int) -> None:
    """Put the batch normalisation of a layer into the values of its kernel and bias."""
    known, makers = folded_scale(c), c.importer.makers
    if known is None or weight not in makers:
        makers.pop(weight, None)
        return
    (scale, found), raw, raw_bias = known, makers[weight], makers.get(shift)

    def kernel() -> np.ndarray:
        array = raw()
        return array * scale().reshape([-1 if i == channel_axis else 1 for i in range(array.ndim)])

    def moved() -> np.ndarray:
        beta = found["beta"].read() if "beta" in found else 0.0
        start = raw_bias() if raw_bias else 0.0
        return np.asarray((start - found["moving_mean"].read()) * scale() + beta)

    makers[weight], makers[shift] = kernel, moved


RULES = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "QConv1D", "QConv2D", "QConv2DBatchnorm"), _conv),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D", "QDepthwiseConv2D", "QDepthwiseConv1D", "QDepthwiseConv2DBatchnorm"), _depthwise
    ),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D", "QSeparableConv1D", "QSeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "QConv2DTranspose"), _transposed),
}
