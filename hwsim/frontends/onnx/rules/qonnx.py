"""Quantisers of QONNX: they become number formats of the tensors that they quantise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.dtypes import DType, dtype
from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.quantizers import Quantizer, rounding_of
from hwsim.frontends.onnx.reading import QUANTIZED_DOMAINS
from hwsim.frontends.onnx.rules.dense import is_stored
from hwsim.frontends.onnx.values import Value

_FLOATS = {(4, 3): "fp8_e4m3", (5, 2): "fp8_e5m2", (2, 1): "fp4_e2m1", (5, 10): "fp16", (8, 7): "bf16"}
"""Formats by (exponent bits, mantissa bits)."""


def _shaped(c: Call, index: int) -> Any:
    """Numbers of an operand in its own shape.

    Raises:
        Unsupported: they depend on the input.
    """
    array = c.importer.numbers(c[index])
    if array is None:
        raise Unsupported(f"operand {index} depends on the data")
    return np.asarray(array, dtype=float)


def _whole(c: Call, index: int) -> int:
    numbers = np.unique(_shaped(c, index))
    if numbers.size != 1 or not 1 <= numbers[0] <= 64:
        raise Unsupported(f"{numbers.tolist()} bits; one width of 1 to 64 is known")
    return int(np.ceil(numbers[0]))


def _quantizer(c: Call, *, bits: int, scale: Any, default: str = "ROUND") -> Quantizer:
    mode = rounding_of(str(c.attr("rounding_mode", default)))
    if mode is None:
        raise Unsupported(f"rounding mode {c.attr('rounding_mode')!r}")
    if not np.all(scale > 0):
        raise Unsupported("a scale that is not positive")
    return Quantizer(bits, bool(c.attr("signed", 1)), bool(c.attr("narrow", 0)), mode, scale, _shaped(c, 2))


def _quant(c: Call) -> Value:
    return _applied(c, _quantizer(c, bits=_whole(c, 3), scale=_shaped(c, 1)))


def _trunc(c: Call) -> Value:
    """The lower bits of the operand cut off; the scale grows with each."""
    before, after = _whole(c, 3), _whole(c, 4)
    return _applied(c, _quantizer(c, bits=after, scale=_shaped(c, 1) * 2.0 ** max(0, before - after), default="FLOOR"))


def _applied(c: Call, q: Quantizer) -> Value:
    x, exact = c[0], q.shift is not None
    if is_stored(x):
        step = () if exact else (("scale", (q.scale, q.zero)),)
        return replace(x, dtype=q.format(weight=True), steps=(*x.steps, *step))
    made = _formatted(c, x, q.format(weight=False))
    if not exact and made.tensor:
        c.importer.origins.scales[made.tensor] = (q.scale, q.zero)
    return made


def _formatted(c: Call, x: Value, fmt: DType) -> Value:
    """`x` in another format: a node that may be merged into the layer before it."""
    tensor = c.importer.builder.add("activation", [c.importer.tensor(x, path=c.path)], path=c.path, fn="identity", dtype=fmt)
    return c.importer.value_of(tensor)


def _bipolar(c: Call) -> Value:
    """-scale or +scale: one bit."""
    scale = _shaped(c, 1)
    x, fmt = c[0], dtype("ap_uint<1>")
    unit = bool(np.all(scale == 1.0))
    if is_stored(x):
        return replace(x, dtype=fmt, steps=x.steps if unit else (*x.steps, ("scale", (scale, np.zeros(())))))
    made = _formatted(c, x, fmt)
    if not unit and made.tensor:
        c.importer.origins.scales[made.tensor] = (scale, np.zeros(()))
    return made


def _float(c: Call) -> Value:
    sizes = (_whole(c, 2), _whole(c, 3))
    if sizes not in _FLOATS:
        raise Unsupported(f"{sizes[0]} exponent and {sizes[1]} mantissa bits")
    fmt = dtype(_FLOATS[sizes])
    if is_stored(c[0]):
        return replace(c[0], dtype=fmt)
    return c.emit("cast", [c[0]], to=fmt.name, dtype=fmt)


_OPERATORS: dict[str, Callable[[Call], Value]] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "FloatQuant": _float,
}
RULES = {f"{domain}::{name}": rule for domain in QUANTIZED_DOMAINS for name, rule in _OPERATORS.items()}
