"""Points of the unit cube by their index: any of them at any time, in any order, without the ones before."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra

_GOLDEN = 0x9E3779B97F4A7C15
SOBOL_BITS = 30
"""Bits of a Sobol coordinate: at most 2^30 points."""


def unit_columns(sampling: str, blocks: np.ndarray, index: np.ndarray, *, dimensions: int, samples: int, seed: int) -> list[np.ndarray]:
    """Coordinates in [0, 1) of the points `index` of their blocks, one array a dimension.

    Args:
        blocks: block of each point; every block has a sample of its own.
        index: place in its block, below `samples`.
    """
    draw = {"random": _random, "lhs": _latin, "sobol": _sobol}[sampling]
    found = np.empty((dimensions, len(index)))
    for block in np.unique(blocks):
        here = blocks == block
        found[:, here] = draw(index[here].astype(np.uint64), dimensions=dimensions, samples=samples, seed=seed, block=int(block))
    return list(found)


def _random(index: np.ndarray, *, dimensions: int, samples: int, seed: int, block: int) -> np.ndarray:
    return np.stack([_unit(index, _key(seed, block, d)) for d in range(dimensions)])


def _latin(index: np.ndarray, *, dimensions: int, samples: int, seed: int, block: int) -> np.ndarray:
    rows = [
        (_permuted(index, samples, _key(seed, block, 2 * d)) + _unit(index, _key(seed, block, 2 * d + 1))) / samples
        for d in range(dimensions)
    ]
    return np.minimum(np.stack(rows), np.nextafter(1.0, 0.0))


def _sobol(index: np.ndarray, *, dimensions: int, samples: int, seed: int, block: int) -> np.ndarray:
    """The scrambled sequence of `scipy.stats.qmc.Sobol`, addressed by Gray code."""
    bits = max(1, int(samples - 1).bit_length())
    shift, vectors = _directions(dimensions, _key(seed, block, 0) >> 1, bits)
    gray = index ^ (index >> np.uint64(1))
    found = np.repeat(shift[:, None], len(index), axis=1)
    for bit in range(bits):
        found ^= vectors[:, bit, None] * ((gray >> np.uint64(bit)) & np.uint64(1))
    return found * 2.0**-SOBOL_BITS


@lru_cache(maxsize=64)
def _directions(dimensions: int, seed: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """First point, shape `(dimensions,)`, and direction numbers, `(dimensions, bits)`, of a scrambled Sobol sequence."""
    if bits > SOBOL_BITS:
        raise InputError(f"a Sobol sample has at most {2**SOBOL_BITS:,} points a block; take a random or a Latin hypercube sample (lhs)")
    sequence = _sequence(dimensions, seed)
    points = [_whole(sequence.random(1)[0])]
    for bit in range(bits):  # the point before index 2^(bit+1) has a Gray code of this bit alone
        sequence.fast_forward(2 ** (bit + 1) - 1 - sequence.num_generated)
        points.append(_whole(sequence.random(1)[0]))
    shift = points[0]
    return shift, np.stack([p ^ shift for p in points[1:]], axis=1)


def _sequence(dimensions: int, seed: int) -> Any:
    try:
        from scipy.stats import qmc
    except ImportError:
        raise MissingExtra("scipy", "sweep") from None
    return qmc.Sobol(dimensions, scramble=True, bits=SOBOL_BITS, rng=np.random.default_rng(seed))


def _whole(point: np.ndarray) -> np.ndarray:
    return np.rint(point * 2.0**SOBOL_BITS).astype(np.uint64)


def _key(*parts: int) -> int:
    """64 bits that depend on all of `parts`."""
    state = 0
    for part in parts:
        state = _mix_int(state ^ (part & 0xFFFFFFFFFFFFFFFF))
    return state


def _mix_int(value: int) -> int:
    return int(_mixed(np.array([value], dtype=np.uint64), _GOLDEN)[0])


def _mixed(index: np.ndarray, key: int) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at counter `index` of the stream `key`."""
    z = index * np.uint64(_GOLDEN) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _unit(index: np.ndarray, key: int) -> np.ndarray:
    return (_mixed(index, key) >> np.uint64(11)) * 2.0**-53


def _permuted(index: np.ndarray, count: int, key: int) -> np.ndarray:
    """A permutation of 0 to count - 1: a Feistel network of four rounds over the next power of four, walked until it is back inside."""
    half = np.uint64(max(1, ((int(count) - 1).bit_length() + 1) // 2))
    found = _feistel(index, half, key)
    while len(outside := np.flatnonzero(found >= count)):
        found[outside] = _feistel(found[outside], half, key)
    return found


def _feistel(values: np.ndarray, half: np.uint64, key: int) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for turn in range(4):
        left, right = right, left ^ (_mixed(right, (key + turn * 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF) & mask)
    return (left << half) | right
