"""What weights look like once they are fixed-point numbers: zeros, and signed digits that a multiplication by a constant costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.graph import Graph
from hwsim.targets.fpga.digits import is_heavy, signed_digits
from hwsim.targets.fpga.layers import WeightStatistics
from hwsim.targets.fpga.precision import FixedPoint

MOST_BITS = 62
"""Widest format whose digits are counted; wider ones are clipped to it."""


def statistics(graph: Graph, tensor: str | None, precision: FixedPoint | None) -> WeightStatistics:
    """Zeros and digits of a weight tensor in `precision`: from its values where the graph has them, else from its density."""
    if tensor is None or tensor not in graph.tensors:
        return WeightStatistics()
    if tensor in graph.values and precision is not None:
        return of_values(graph.values[tensor], precision)
    return WeightStatistics(zeros_frac=1.0 - graph.tensors[tensor].density)


def of_values(values: Any, precision: FixedPoint) -> WeightStatistics:
    """Zeros and digits of `values` in `precision`.

    >>> from hwsim.targets.fpga.precision import parse
    >>> of_values([0.5, 0.0, 0.75, 0.01], parse("ap_fixed<6,2>"))
    WeightStatistics(zeros_frac=0.5, digits=0.75, heavy_frac=0.0, known=True)
    """
    raw = quantise(values, precision)
    if raw.size == 0:
        return WeightStatistics(digits=0.0, heavy_frac=0.0, known=True)
    shares = (float(np.mean(of)) for of in (raw == 0, signed_digits(raw), is_heavy(raw)))
    return WeightStatistics(*shares, known=True)


def quantise(values: Any, precision: FixedPoint) -> np.ndarray:
    """`values` as whole numbers of the last place of `precision`, rounded and wrapped or saturated as it says."""
    bits = min(precision.width, MOST_BITS)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = _rounded(np.asarray(values, dtype=np.float64) * 2.0**precision.fractional, precision.rounding)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if precision.signed else (0, (1 << bits) - 1)
    if precision.saturation == "WRAP":
        span = float(1 << bits)
        return (np.mod(np.nan_to_num(scaled, posinf=0.0, neginf=0.0) - low, span) + low).astype(np.int64)
    if precision.saturation == "SAT_ZERO":
        return np.where((scaled < low) | (scaled > high), 0.0, scaled).astype(np.int64)
    floor = -high if precision.saturation == "SAT_SYM" and precision.signed else low
    return np.clip(np.nan_to_num(scaled), floor, high).astype(np.int64)


def _rounded(scaled: np.ndarray, mode: str) -> np.ndarray:
    if mode == "TRN":
        return np.floor(scaled)
    if mode == "TRN_ZERO":
        return np.trunc(scaled)
    if mode == "RND_CONV":
        return np.rint(scaled)
    if mode == "RND_MIN_INF":
        return np.ceil(scaled - 0.5)
    if mode == "RND":
        return np.floor(scaled + 0.5)
    magnitude = np.abs(scaled)
    up = np.floor(magnitude + 0.5) if mode == "RND_INF" else np.ceil(magnitude - 0.5)
    return np.sign(scaled) * up
