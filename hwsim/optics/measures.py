"""How far a result is from the exact one."""

from __future__ import annotations

import math

from hwsim.arrays import Array, as_array, namespace

UNIFORM_STEPS = 12**0.5
"""Full scale of a quantiser over the rms error of one step."""


def relative_rms(found: Array, expected: Array) -> float:
    """Rms of the difference over rms of the expected values; 0 where both vanish."""
    xp = namespace(found, expected)
    scale = float(xp.sqrt(xp.mean(expected**2)))
    error = float(xp.sqrt(xp.mean((found - expected) ** 2)))
    return error / scale if scale > 0 else (0.0 if error == 0 else math.inf)


def effective_bits(error: Array) -> Array:
    """Bits of the quantiser that leaves this relative error: -log2(sqrt(12) e).

    >>> round(float(effective_bits(0.04044120854154628)), 4)
    2.8355
    """
    xp = namespace(error)
    return -xp.log2(UNIFORM_STEPS * as_array(xp, error))


def snr_db(error: Array) -> Array:
    """Ratio of signal to error, decibels."""
    xp = namespace(error)
    return -20 * xp.log10(as_array(xp, error))
