"""Formats of variables that a configuration leaves `auto`: wide enough that nothing overflows or is rounded, as hls4ml infers them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.targets.fpga.precision import FixedPoint

if TYPE_CHECKING:
    from hwsim.targets.fpga.config import HlsConfig
    from hwsim.targets.fpga.draft import Draft

NO_BIAS = FixedPoint(1, 1, signed=False)
"""What hls4ml stores for a bias that is not there."""


def product_sum(data: FixedPoint, weight: FixedPoint, bias: FixedPoint, *, n_ops: int, maximum: FixedPoint | None) -> FixedPoint:
    """Sum of `n_ops` products and a bias: no bit is lost, up to `maximum`."""
    growth = math.ceil(math.log2(n_ops))
    product = FixedPoint(weight.width + data.width + growth, weight.integer + data.integer + growth, weight.signed or data.signed)
    return limited(total(product, bias), maximum)


def scaled(data: FixedPoint, scale: FixedPoint, bias: FixedPoint, *, maximum: FixedPoint | None) -> FixedPoint:
    """data * scale + bias."""
    product = FixedPoint(data.width + scale.width, data.integer + scale.integer, data.signed or scale.signed)
    return limited(total(product, bias), maximum)


def total(a: FixedPoint, b: FixedPoint) -> FixedPoint:
    """a + b: one integer bit more than the wider, one more again where only one of them is signed."""
    integer = max(a.integer + (b.signed and not a.signed), b.integer + (a.signed and not b.signed)) + 1
    return FixedPoint(integer + max(a.fractional, b.fractional), integer, a.signed or b.signed)


def limited(found: FixedPoint, maximum: FixedPoint | None) -> FixedPoint:
    """`found` with at most the width and the integer bits of `maximum`."""
    if maximum is None:
        return found
    return FixedPoint(min(found.width, maximum.width), min(found.integer, maximum.integer), found.signed, found.rounding, found.saturation)


def union(a: FixedPoint, b: FixedPoint) -> FixedPoint:
    """A format that holds either."""
    if a == b:
        return a
    signed = a.signed or b.signed
    integer = max(x.integer + (signed and not x.signed) for x in (a, b))
    return FixedPoint(integer + max(a.fractional, b.fractional), integer, signed)


def concatenated(a: FixedPoint, b: FixedPoint, *, maximum: FixedPoint | None) -> FixedPoint:
    """A format that holds either, with the modes of the first that is not plain."""
    if a == b:
        return a
    held = limited(union(a, b), maximum)
    rounding = a.rounding if a.rounding != "TRN" else b.rounding
    saturation = a.saturation if a.saturation != "WRAP" else b.saturation
    return FixedPoint(held.width, held.integer, held.signed, rounding, saturation)


def merged(operation: str, a: FixedPoint, b: FixedPoint, *, maximum: FixedPoint | None) -> FixedPoint:
    """Result of a merge of two tensors."""
    if operation in ("maximum", "minimum"):
        return union(a, b)
    if operation == "multiply":
        return limited(FixedPoint(a.width + b.width, a.integer + b.integer, a.signed or b.signed), maximum)
    summed = total(a, b)
    return limited(FixedPoint(summed.width, summed.integer, summed.signed or operation == "subtract"), maximum)


def dotted(a: FixedPoint, b: FixedPoint, *, n_ops: int, maximum: FixedPoint | None) -> FixedPoint:
    """Sum of `n_ops` products of two tensors."""
    growth = math.ceil(math.log2(n_ops))
    return limited(FixedPoint(a.width + b.width + growth, a.integer + b.integer + growth, a.signed or b.signed), maximum)


def averaged(data: FixedPoint, *, taps: int) -> FixedPoint:
    """Accumulator of a mean over `taps` numbers: bits for the sum, and as many again for the division."""
    growth = math.ceil(math.log2(taps))
    return FixedPoint(data.width + 2 * growth, data.integer + growth, data.signed)


def constant(value: float, *, most: int = 8) -> FixedPoint:
    """The narrowest format of a constant, at most `most` bits and a sign; the constant is cut below that.

    >>> str(constant(0.25)), str(constant(0.3)), str(constant(0))
    ('ap_ufixed<1,-1>', 'ap_ufixed<8,-1>', 'ap_ufixed<1,1>')
    """
    if value == 0:
        return NO_BIAS
    fraction = next((f for f in range(-31, 32) if float(value * 2.0**f).is_integer()), 32)
    integer = math.ceil(np.log2(max(value + 2.0**-fraction, -value)))
    signed = value < 0
    return FixedPoint(min(signed + integer + fraction, signed + most), signed + integer, signed)


Rule = Callable[["Draft", Sequence[FixedPoint], "HlsConfig"], None]


def infer(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    """Fill in every format of `draft` that is still open, given those of its inputs."""
    if rule := _RULES.get(draft.kind):
        rule(draft, inputs, config)
    for variable, known in draft.types.items():
        if known is None:
            draft.types[variable] = config.default


def _open(draft: Draft, variable: str, found: FixedPoint) -> None:
    if variable in draft.types and draft.types[variable] is None:
        draft.types[variable] = found


def _product(n_ops: Callable[[Draft], int]) -> Rule:
    def rule(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
        for variable in ("weight", "bias"):
            _open(draft, variable, draft.quantised.get(variable, config.default))
        formats = (draft.types[v] or config.default for v in ("weight", "bias"))
        found = product_sum(inputs[0], *formats, n_ops=n_ops(draft), maximum=config.maximum)
        _open(draft, "accum", found)
        _open(draft, "result", found)

    return rule


def _scaled(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    for variable in ("scale", "bias"):
        _open(draft, variable, config.default)
    scale, bias = (draft.types[v] or config.default for v in ("scale", "bias"))
    _open(draft, "result", scaled(inputs[0], scale, bias, maximum=config.maximum))


def _pooling(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "accum", inputs[0] if draft.operation == "max" else averaged(inputs[0], taps=math.prod(draft.kernel)))
    _open(draft, "result", inputs[0])


def _matching(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "result", inputs[0])


def _merge(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "result", merged(draft.operation, inputs[0], inputs[1], maximum=config.maximum))


def _concatenate(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "result", concatenated(inputs[0], inputs[1], maximum=config.maximum))


def _dot(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "result", dotted(inputs[0], inputs[1], n_ops=draft.n_in, maximum=config.maximum))


def _parametrised(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "param", inputs[0] if draft.operation == "thresholded_relu" else constant(draft.parameter))


def _prelu(draft: Draft, inputs: Sequence[FixedPoint], config: HlsConfig) -> None:
    _open(draft, "param", inputs[0])


_RULES: dict[str, Rule] = {
    "Dense": _product(lambda d: d.n_in),
    **dict.fromkeys(("Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D"), _product(lambda d: d.n_in)),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _product(lambda d: math.prod(d.kernel))),
    **dict.fromkeys(("BatchNormalization", "ApplyAlpha", "LayerNormalization"), _scaled),
    **dict.fromkeys(("Pooling1D", "Pooling2D"), _pooling),
    **dict.fromkeys(("Clone", "Reshape", "Resize", "Transpose", "ZeroPadding1D", "ZeroPadding2D"), _matching),
    "Merge": _merge,
    "Concatenate": _concatenate,
    "Dot": _dot,
    "ParametrizedActivation": _parametrised,
    "PReLU": _prelu,
}
