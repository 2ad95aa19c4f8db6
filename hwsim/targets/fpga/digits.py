"""Signed digits of constants: what a multiplication by a weight costs in fabric, and when a tool takes a DSP for it.

A constant multiply is a sum of shifted inputs, one adder less than the non-zero digits of the constant in canonical signed digit form
(Avizienis 1961). HLS tools keep constants of up to two digits in fabric and take a DSP from three on; that rule and Glorot-uniform weights
reproduce the DSP counts of published latency-strategy networks (docs/accuracy/fpga-mlp.md).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hwsim.arrays import Array

HEAVY_DIGITS = 3
"""Digits from which a constant multiply takes a DSP."""
_LARGEST = 1 << 16


def signed_digits(integers: Array) -> Array:
    """Non-zero digits of the canonical signed digit form of whole numbers.

    >>> signed_digits(np.array([0, 1, 3, 7, 11, 85])).tolist()
    [0, 1, 2, 2, 3, 4]
    """
    n = np.abs(np.asarray(integers, dtype=np.int64))
    return np.bitwise_count((n ^ (3 * n))).astype(np.int64)


@cache
def _uniform() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulative counts over 0..N of heavy constants, of digits, and of digits of light ones."""
    digits = signed_digits(np.arange(_LARGEST))
    heavy = digits >= HEAVY_DIGITS
    return np.cumsum(heavy), np.cumsum(digits), np.cumsum(np.where(heavy, 0, digits))


def uniform_statistics(limit: Array) -> tuple[Array, Array, Array]:
    """Share of zeros, mean digits and share of heavy constants of whole numbers that are uniform in -limit..limit.

    Args:
        limit: largest magnitude in units of the last place; may be below one.
    """
    whole = np.clip(np.floor(limit), 0, _LARGEST - 1).astype(int)
    heavy, digits, _ = _uniform()
    span = np.maximum(2 * limit, 1.0)
    zeros = np.clip(1.0 / (2.0 * np.maximum(limit, 0.5)), 0.0, 1.0)
    return zeros, 2 * digits[whole] / span, 2 * heavy[whole] / span


def glorot_limit(n_in: Array, n_out: Array, width: Array, integer: Array) -> Array:
    """Largest weight of a Glorot-uniform layer in units of the last place of a fixed-point format, inside its range."""
    scale = 2.0 ** (width - integer)
    return np.minimum(np.sqrt(6.0 / (n_in + n_out)) * scale, 2.0 ** (width - 1))
