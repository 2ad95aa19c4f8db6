"""What trees, ROMs and multipliers take in Yosys: counts that the circuits of stage `yosys` share."""

from __future__ import annotations

import numpy as np

from hwsim.arrays import Array


def levels(count: Array) -> Array:
    """Depth of a binary tree over `count` leaves."""
    return np.ceil(np.log2(np.maximum(count, 1)))


def tree_bits(leaves: Array, bits: Array, limit: Array) -> tuple[Array, Array]:
    """Register bits and LUTs of a registered tree of `leaves` numbers of `bits` bits, one bit wider a level up to `limit`.

    A number that is left over in a level is handed on in its own width.
    """
    shape = np.broadcast_shapes(np.shape(leaves), np.shape(bits), np.shape(limit))
    registers = adders = np.zeros(shape)
    left, last = np.broadcast_to(np.asarray(leaves, dtype=float), shape), np.minimum(bits, limit)
    for level in range(1, int(np.max(levels(leaves), initial=0)) + 1):
        width, pairs, odd = np.minimum(bits + level, limit), np.floor(left / 2), left % 2 > 0
        registers = registers + np.where(left > 1, pairs * width + odd * last, 0.0)
        adders = adders + pairs * np.minimum(bits + level - 1, limit)
        last, left = np.where(odd, last, width), np.ceil(left / 2)
    return registers, adders


def expected_rom(bits: Array, words: Array) -> tuple[Array, Array]:
    """`rom_bits` and `rom_columns` of a ROM of `words` random words of `bits` bits."""
    patterns = 2.0 ** np.minimum(words, 50)
    distinct = np.where(words < 30, -patterns * np.expm1(bits * np.log1p(-1 / patterns)), bits)
    return bits * (1 - 2 / patterns), distinct * (1 - 2 / patterns)


def multiplier_luts(a_bits: Array, b_bits: Array) -> Array:
    """LUTs of a signed multiplier outside DSP blocks; fitted to 24 multipliers of 4 to 8 by 2 to 8 bits, synthesised alone (within 6)."""
    small = np.minimum(a_bits, b_bits)
    return np.maximum(2.621 * a_bits * b_bits - 3.085 * (a_bits + b_bits) + 1.343 * small + 2.63, a_bits)


def dsp_tiles(a_bits: Array, b_bits: Array, *, long_side: Array) -> Array:
    """DSP blocks of a signed product: of `long_side` by 18 bits, and one bit less a side for every further one.

    `long_side` is 27 on UltraScale+ and 25 on the 7 series; as found in 15 products of 18 to 36 bits.
    """
    longer, shorter = np.maximum(a_bits, b_bits), np.minimum(a_bits, b_bits)
    more = [np.ceil(np.maximum(bits - side, 0) / (side - 1)) for bits, side in ((longer, long_side), (shorter, 18))]
    return (1 + more[0]) * (1 + more[1])


BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Bits and words of an 18 Kb block with one port to read and one to write (UG573, UG473)."""


def block_rams(bits: Array, words: Array) -> Array:
    """18 Kb blocks of a memory in the shape that takes fewest."""
    counts = [np.ceil(bits / width) * np.ceil(words / depth) for width, depth in BLOCK_SHAPES]
    return np.min(np.stack(np.broadcast_arrays(*counts)), axis=0)
