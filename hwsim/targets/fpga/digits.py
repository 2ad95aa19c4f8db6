"""Signed digits of constants: what a multiplication by a weight costs in fabric, and when a tool takes a DSP for it.

A constant multiply is a sum of shifted inputs, one adder less than the non-zero digits of the constant in canonical signed digit form
(Avizienis 1961). HLS tools keep constants of up to two digits in fabric and take a DSP from three on; that rule and Glorot-uniform weights
reproduce the DSP counts of published latency-strategy networks (docs/accuracy/fpga-mlp.md).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hwsim.arrays import Array, taken

HEAVY_DIGITS, HEAVY_LEAST = 3, 16
"""Digits from which a constant multiply takes a DSP, and the smallest such constant (11 and 13 stay in fabric)."""
_LARGEST = 1 << 16


def signed_digits(integers: Array) -> Array:
    """Non-zero digits of the canonical signed digit form of whole numbers.

    >>> signed_digits(np.array([0, 1, 3, 7, 11, 85])).tolist()
    [0, 1, 2, 2, 3, 4]
    """
    n = np.abs(np.asarray(integers, dtype=np.int64))
    return np.bitwise_count(n ^ (3 * n)).astype(np.int64)


def is_heavy(integers: Array) -> Array:
    """Whether a tool takes a DSP for the product by each of these whole numbers."""
    return (signed_digits(integers) >= HEAVY_DIGITS) & (np.abs(integers) >= HEAVY_LEAST)


@cache
def _uniform() -> tuple[np.ndarray, np.ndarray]:
    """Cumulative counts over 0..N of heavy constants and of digits."""
    integers = np.arange(_LARGEST)
    return np.cumsum(is_heavy(integers)), np.cumsum(signed_digits(integers))


def uniform_statistics(limit: Array) -> tuple[Array, Array, Array]:
    """Share of zeros, mean digits and share of heavy constants of whole numbers that are uniform in -limit..limit.

    Args:
        limit: largest magnitude in units of the last place; may be below one.
    """
    whole = np.clip(np.floor(limit), 0, _LARGEST - 1).astype(int)
    heavy, digits = _uniform()
    span = np.maximum(2 * limit, 1.0)
    return np.minimum(1.0 / span, 1.0), 2 * taken(digits, whole) / span, 2 * taken(heavy, whole) / span


@cache
def _normal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean digits and share of heavy constants of normally distributed whole numbers, over the logarithm of their deviation."""
    deviations = np.geomspace(0.05, _LARGEST / 8, 160)
    integers = np.arange(_LARGEST)
    digits, heavy = signed_digits(integers), is_heavy(integers)
    share = np.exp(-0.5 * (integers / deviations[:, None]) ** 2)
    share[:, 1:] *= 2
    share /= share.sum(axis=1, keepdims=True)
    return np.log(deviations), share @ digits, share @ heavy


def trained_statistics(limit: Array, zeros_frac: Array) -> tuple[Array, Array]:
    """Mean digits and share of heavy constants of trained weights of which only the zeros are known.

    Those that are not zero are taken for normal, with `TRAINED_WIDTH` times the deviation of the Glorot-uniform start.
    """
    at, digits, heavy = _normal()
    spread = np.log(np.maximum(limit, 0.1) * (TRAINED_WIDTH / np.sqrt(3.0)))
    kept = 1 - zeros_frac
    return np.interp(spread, at, digits) * kept, np.interp(spread, at, heavy) * kept


TRAINED_WIDTH = 1.4
"""Deviation of trained weights over that of a Glorot-uniform start; fitted to the DSP counts of four published networks."""


def glorot_limit(n_in: Array, n_out: Array, width: Array, integer: Array) -> Array:
    """Largest weight of a Glorot-uniform layer in units of the last place of a fixed-point format, inside its range."""
    scale = 2.0 ** (width - integer)
    return np.minimum(np.sqrt(6.0 / (n_in + n_out)) * scale, 2.0 ** (width - 1))
