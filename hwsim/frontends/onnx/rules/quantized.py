"""Integer arithmetic: QDQ pairs, QLinear* and *Integer operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hwsim.frontends.onnx.context import Call
from hwsim.frontends.onnx.rules.dense import is_stored, product, window
from hwsim.frontends.onnx.values import DTYPES, Value


def _scales(c: Call, *indices: int) -> list[str]:
    """Scales and zero points of more than one element; single numbers are part of the function."""
    return [c.constant(c[i]) for i in indices if c.has(i) and c[i].size > 1]


def _quantize(c: Call) -> Value:
    code = c.attr("output_dtype", 0)
    to = DTYPES[code] if code else (c[2].dtype.name if c.has(2) else "uint8")
    return c.emit("quantize", [c[0], *_scales(c, 1, 2)], to=to, axis=c.attr("axis", 1), block=c.attr("block_size") or None, dtype=to)


def _dequantize(c: Call) -> Value:
    """Floats that remember the integers they come from; a stored weight stays an integer tensor."""
    x, to = c[0], c[1].dtype
    if is_stored(x):
        return Value(x.shape, to, quantized=x)
    return replace(c.emit("dequantize", [x, *_scales(c, 1, 2)], axis=c.attr("axis", 1), to=to.name, dtype=to), quantized=x)


def _dynamic_quantize(c: Call) -> list[Value]:
    scale = c.emit("reduce", [c[0]], fn="max")
    zero = c.emit("reduce", [c[0]], fn="min", dtype="uint8")
    return [c.emit("quantize", [c[0]], to="uint8", dtype="uint8"), scale, zero]


def _matmul_integer(c: Call) -> Value:
    return product(c, c[0], c[1], dtype="int32")


def _linear_matmul(c: Call) -> Value:
    return product(c, c[0], c[3], dtype=c[7].dtype if c.has(7) else c[0].dtype)


def _conv(c: Call, weight: Value, *, extra: list[str], dtype: Any) -> Value:
    kernel = list(c.attr("kernel_shape", weight.shape[2:]))
    return c.emit("conv", [c[0], c.weight(weight), *extra], groups=c.attr("group", 1), dtype=dtype, **window(c, c[0].shape, kernel))


def _linear_conv(c: Call) -> Value:
    extra = [c.weight(c[8])] if c.has(8) else []
    return _conv(c, c[3], extra=extra, dtype=c[7].dtype if c.has(7) else c[0].dtype)


RULES: dict[str, Callable[[Call], Any]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "MatMulInteger": _matmul_integer,
    "QLinearMatMul": _linear_matmul,
    "ConvInteger": lambda c: _conv(c, c[1], extra=[], dtype="int32"),
    "QLinearConv": _linear_conv,
}
