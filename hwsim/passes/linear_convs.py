"""Arithmetic of convolutions without anything between them: two in a row, or side by side, are one.

A kernel is an array (outputs, inputs, *taps) of all groups, a bias an array (outputs,); cross-correlations as in PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Values = Any
"""A numpy array, or None where the numbers are unknown."""


@dataclass(frozen=True)
class Conv:
    """A convolution of stride, padding and dilation alike on all sides; `kernel` and `bias` hold numbers where they are known."""

    inputs: int
    outputs: int
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int = 1
    has_bias: bool = False
    kernel: Values = None
    """Shape (outputs, inputs / groups, *taps)."""
    bias: Values = None

    @property
    def point(self) -> bool:
        """Whether it sees one pixel and no border."""
        return math.prod(self.taps) == 1 and not any(self.padding)

    @property
    def dense(self) -> Values:
        """The kernel without groups, (outputs, inputs, *taps), in double precision."""
        if self.kernel is None:
            return None
        per_in, per_out = self.inputs // self.groups, self.outputs // self.groups
        full = np.zeros((self.outputs, self.inputs, *self.taps))
        for g in range(self.groups):
            full[g * per_out : (g + 1) * per_out, g * per_in : (g + 1) * per_in] = self.kernel[g * per_out : (g + 1) * per_out]
        return full

    @property
    def shift(self) -> Values:
        """The bias, zero where there is none."""
        return np.zeros(self.outputs) if not self.has_bias else (None if self.bias is None else np.asarray(self.bias, dtype=float))


def scaled(conv: Conv, scale: Values, shift: Values) -> Conv:
    """A batch norm behind a convolution: outputs times `scale` plus `shift`; both None where the numbers are unknown."""
    if conv.kernel is None or scale is None or conv.shift is None:
        return replace(conv, has_bias=True, kernel=None, bias=None)
    kernel = conv.kernel * np.reshape(scale, (-1,) + (1,) * (len(conv.taps) + 1))
    return replace(conv, has_bias=True, kernel=kernel, bias=conv.shift * scale + shift)


def chained(first: Conv, second: Conv, *, pad_with_bias: bool) -> Conv | None:
    """`second` of `first` as one convolution; None where there is none, or none that is exact at the borders.

    Padding between the two is exact behind a 1x1 convolution that adds nothing, or if the border holds what it adds (`pad_with_bias`).
    """
    if any(second.padding) and not (first.point and (not first.has_bias or pad_with_bias)):
        return None
    if any(s > 1 for s in first.stride) and math.prod(second.taps) > 1:
        return None
    depthwise = first.groups == first.inputs == first.outputs == second.groups == second.inputs == second.outputs
    taps = tuple(a + b - 1 for a, b in zip(first.taps, second.taps, strict=True))
    made = Conv(
        first.inputs,
        second.outputs,
        taps,
        tuple(a * b for a, b in zip(first.stride, second.stride, strict=True)),
        tuple(a + b for a, b in zip(first.padding, second.padding, strict=True)),
        first.inputs if depthwise else 1,
        first.has_bias or second.has_bias,
    )
    before, after = first.dense, second.dense
    if before is None or after is None or first.shift is None or second.shift is None:
        return made
    kernel = _composed(before, after, taps)
    bias = np.einsum("om,m->o", after.reshape(*after.shape[:2], -1).sum(-1), first.shift) + second.shift
    return replace(made, kernel=_grouped(kernel, made), bias=bias if made.has_bias else None)


def _composed(before: Values, after: Values, taps: tuple[int, ...]) -> Values:
    """K[t] = sum over s of after[s] before[t - s]."""
    kernel = np.zeros((after.shape[0], before.shape[1], *taps))
    for at in np.ndindex(*after.shape[2:]):
        window = tuple(slice(a, a + n) for a, n in zip(at, before.shape[2:], strict=True))
        kernel[(slice(None), slice(None), *window)] += np.tensordot(after[(slice(None), slice(None), *at)], before, axes=(1, 0))
    return kernel


def _grouped(kernel: Values, conv: Conv) -> Values:
    if conv.groups == 1:
        return kernel
    per_in, per_out = conv.inputs // conv.groups, conv.outputs // conv.groups
    return np.concatenate([kernel[g * per_out : (g + 1) * per_out, g * per_in : (g + 1) * per_in] for g in range(conv.groups)])


def summed(first: Conv, second: Conv) -> Conv | None:
    """Both of the same input, added, as one convolution; None unless strides agree and the smaller kernel sits inside the larger."""
    large, small = (first, second) if math.prod(first.taps) >= math.prod(second.taps) else (second, first)
    margins = [p - q for p, q in zip(large.padding, small.padding, strict=True)]
    inside = all(m >= 0 and m + n <= k for m, n, k in zip(margins, small.taps, large.taps, strict=True))
    if first.stride != second.stride or first.outputs != second.outputs or first.inputs != second.inputs or not inside:
        return None
    groups = math.gcd(first.groups, second.groups)
    made = replace(large, groups=groups, has_bias=first.has_bias or second.has_bias, kernel=None, bias=None)
    wide, narrow = large.dense, small.dense
    if wide is None or narrow is None or first.shift is None or second.shift is None:
        return made
    kernel = wide.copy()
    window = tuple(slice(m, m + n) for m, n in zip(margins, small.taps, strict=True))
    kernel[(slice(None), slice(None), *window)] += narrow
    return replace(made, kernel=_grouped(kernel, made), bias=first.shift + second.shift if made.has_bias else None)
