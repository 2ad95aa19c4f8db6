"""Scalar functions of one or several tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwsim.frontends.onnx.context import Call
from hwsim.frontends.onnx.values import DTYPES, Value
from hwsim.ops.core import broadcast

_ACTIVATIONS = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "ThresholdedRelu": "threshold",
    "Shrink": "threshold",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "Erf": "erf",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Neg": "neg",
    "Abs": "abs",
    "Sign": "sign",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Atan": "atan",
    "Asin": "atan",
    "Acos": "atan",
    "Asinh": "log1p",
    "Acosh": "log1p",
    "Atanh": "log1p",
    "BitwiseNot": "bitwise",
}
_ELEMENTWISE = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Mod": "mod",
    "Max": "maximum",
    "Min": "minimum",
    "Sum": "add",
    "Mean": "add",
    "Where": "where",
    "BitShift": "bitwise",
    "BitwiseAnd": "bitwise",
    "BitwiseOr": "bitwise",
    "BitwiseXor": "bitwise",
}
_TESTS = {
    "Equal": "equal",
    "Less": "less",
    "LessOrEqual": "less",
    "Greater": "greater",
    "GreaterOrEqual": "greater",
    "And": "and",
    "Or": "or",
    "Xor": "xor",
}
_TRAINED_SCALARS = ("scale", "temperature", "gamma", "alpha", "beta", "weight", "bias")
"""Ends of the names of single numbers that are trained, where no module path tells."""
_MOST = 8
"""Operands of one elementwise node."""


def _activation(fn: str) -> Callable[[Call], Value]:
    return lambda c: c.emit("activation", [c[0]], fn=fn)


def _test(fn: str) -> Callable[[Call], Value]:
    return lambda c: c.emit("activation", [c[0]], fn=fn, dtype="bool")


def _elementwise(fn: str, *, to: str | None = None) -> Callable[[Call], Value]:
    return lambda c: combined(c, [v for v in c.inputs if v is not None], fn, dtype=to)


def combined(c: Call, values: Sequence[Value], fn: str, *, dtype: Any = None) -> Value:
    """A scalar function with broadcasting; constants of one element become part of the function."""
    if dtype is None:
        dtype = values[-1].dtype
    shape = broadcast([v.shape for v in values])
    flowing = [v for v in values if not _scalar(c, v)] or list(values[:1])
    kept = flowing if broadcast([v.shape for v in flowing]) == shape else list(values)
    while len(kept) > _MOST:
        kept = [c.emit("elementwise", kept[:_MOST], fn=fn, dtype=dtype), *kept[_MOST:]]
    return c.emit("elementwise", kept, fn=fn, dtype=dtype)


def _scalar(c: Call, value: Value) -> bool:
    """Whether a value is a number that is known, and not a trained one."""
    if value.size != 1 or value.tensor is not None or value.quantized is not None:
        return False
    name = value.stored or ""
    return value.array is not None or ("." not in name and not name.endswith(_TRAINED_SCALARS)) or c.importer.stored.index_like(value)


def _power(c: Call) -> Value:
    exponent = c.importer.numbers(c[1]) if c[1].size == 1 else None
    named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", -0.5: "rsqrt"}
    fn = named.get(float(np.ravel(exponent)[0])) if exponent is not None and exponent.dtype.kind != "c" else None
    if fn and broadcast([c[0].shape, c[1].shape]) == c[0].shape:
        return c.emit("activation", [c[0]], fn=fn)
    return combined(c, [c[0], c[1]], "pow", dtype=c[0].dtype)


def _clip(c: Call) -> Value:
    low, high = (c.importer.numbers(c[i]) if c.has(i) and c[i].size == 1 else None for i in (1, 2))
    bounds = [None if v is None else float(np.ravel(v)[0]) for v in (low, high)]
    fn = {(0.0, 6.0): "relu6", (0.0, None): "relu"}.get((bounds[0], bounds[1]), "clip")
    return c.emit("activation", [c[0]], fn=fn)


def _gelu(c: Call) -> Value:
    return c.emit("activation", [c[0]], fn="gelu_tanh" if c.attr("approximate", "none") == "tanh" else "gelu")


def _prelu(c: Call) -> Value:
    slope = c.weight(c[1]) if c[1].tensor is None else c[1]
    return c.emit("activation", [c[0], slope], fn="prelu")


def _cast(c: Call) -> Value:
    to = DTYPES[c.attr("to", 0)]
    return cast(c, c[0], to)


def cast(c: Call, x: Value, to: str) -> Value:
    """`x` in another format; stored floats keep the format they are stored in."""
    if x.dtype.name == to:
        return x
    stored = x.tensor is None and x.items is None
    if stored and x.real and (x.stored or x.quantized):
        return x
    return c.emit("cast", [x], to=to, dtype=to)


RULES: dict[str, Callable[[Call], Any]] = {
    **{name: _activation(fn) for name, fn in _ACTIVATIONS.items()},
    **{name: _elementwise(fn) for name, fn in _ELEMENTWISE.items()},
    **{name: _elementwise(fn, to="bool") for name, fn in _TESTS.items()},
    "Not": _test("not"),
    "IsNaN": _test("isnan"),
    "IsInf": _test("isnan"),
    "Pow": _power,
    "Clip": _clip,
    "Gelu": _gelu,
    "PRelu": _prelu,
    "Cast": _cast,
    "CastLike": lambda c: cast(c, c[0], c[1].dtype.name),
}
