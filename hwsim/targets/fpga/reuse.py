"""Reuse factors that a layer can take, and the nearest of them to what was asked for: one at a time, and for millions of points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hwsim.arrays import taken, whole
from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga.layers import HlsLayer

STRATEGIES = ("latency", "resource", "unrolled", "distributed_arithmetic")
RESTRICTED = ("resource", "unrolled", "distributed_arithmetic")
"""Strategies under which only some factors work; under `latency` every factor is taken as it is."""


@lru_cache(maxsize=65536)
def valid_reuse_factors(n_in: int, n_out: int, *, strategy: str = "resource") -> tuple[int, ...]:
    """Factors that a product of `n_in` inputs by `n_out` outputs can take, in rising order; empty where every factor works.

    A factor below `n_in` must divide it; one from `n_in` on must be `n_in` times a divisor of `n_out` (hls4ml's rule:
    the multiplier count is then a whole number of columns, or of rows). `unrolled` cannot use the largest.

    >>> valid_reuse_factors(16, 6)
    (1, 2, 4, 8, 16, 32, 48, 96)
    >>> valid_reuse_factors(16, 6, strategy="latency")
    ()

    Raises:
        UnknownName: no such strategy.
        InputError: a size below 1.
    """
    if strategy not in STRATEGIES:
        raise UnknownName("strategy", strategy, STRATEGIES)
    if n_in < 1 or n_out < 1:
        raise InputError(f"reuse factors of a product of {n_in} inputs and {n_out} outputs; expected at least 1 of each")
    if strategy == "latency":
        return ()
    if strategy == "distributed_arithmetic":
        return (1,)
    factors = (*divisors(n_in), *(n_in * d for d in divisors(n_out)[1:]))
    return factors[:-1] or factors if strategy == "unrolled" else factors


@lru_cache(maxsize=65536)
def divisors(number: int) -> tuple[int, ...]:
    """All divisors of `number`, rising.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return (*small, *(number // d for d in reversed(small) if d * d != number))


def nearest_reuse_factor(valid: Sequence[int], requested: int) -> int:
    """The valid factor nearest to `requested`, the lower of two that are equally near; `requested` itself where `valid` is empty.

    >>> nearest_reuse_factor((1, 2, 4, 8), 3), nearest_reuse_factor((1, 2, 4, 8), 1000)
    (2, 8)
    """
    if not valid:
        return requested
    at = bisect_left(valid, requested)
    if at in (0, len(valid)):
        return valid[min(at, len(valid) - 1)]
    below, above = valid[at - 1], valid[at]
    return above if above - requested < requested - below else below


PRODUCTS = ("Dense", "Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D", "DepthwiseConv1D", "DepthwiseConv2D", "LSTM", "GRU")
"""Classes whose reuse factor hls4ml moves to a valid one; all others take any."""


def product_size(kind: str, n_in: int, n_out: int, *, groups: int = 1) -> tuple[int, int]:
    """Rows and columns from which hls4ml derives the valid factors of a layer; (0, 0) where it takes any factor.

    A depthwise convolution counts as a full one here, as in hls4ml.

    Args:
        kind: hls4ml's class.
        n_in: rows of the product of one group.
        n_out: columns of all groups.
        groups: groups of the convolution.
    """
    return (n_in * groups, n_out) if kind in PRODUCTS else (0, 0)


def layer_factors(layer: HlsLayer) -> tuple[int, ...]:
    """Factors that a layer can take; empty where every factor works."""
    n_in, n_out = product_size(layer.kind, layer.n_in, layer.n_out, groups=layer.groups)
    return valid_reuse_factors(n_in, n_out, strategy=layer.strategy) if n_in and n_out else ()


@lru_cache(maxsize=4096)
def partition_factors(positions: int) -> tuple[int, ...]:
    """Parallelisation factors of a convolution with `positions` outputs a channel: the divisors."""
    return divisors(positions)


_SPAN = 1 << 40
"""Distance between the keys of two layers; larger than any reuse factor."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidFactors:
    """The valid factors of several layers in one sorted array, so that any number of requests resolves with one search."""

    keys: np.ndarray
    """`layer * 2**40 + factor`, sorted; one entry a valid factor."""
    first: np.ndarray
    """Index of the first key of every layer."""
    last: np.ndarray
    """Index of the last key of every layer."""
    free: np.ndarray
    """Whether the layer takes every factor."""

    @classmethod
    def of(cls, valid: Sequence[Sequence[int]]) -> ValidFactors:
        """The table of `valid[i]`, the factors of layer i; empty: every factor."""
        sizes = np.array([max(1, len(v)) for v in valid], dtype=np.int64)
        layers = np.repeat(np.arange(len(valid), dtype=np.int64), sizes)
        factors = np.array([f for v in valid for f in (v or (1,))], dtype=np.int64)
        ends = np.cumsum(sizes)
        return cls(layers * _SPAN + factors, ends - sizes, ends - 1, np.array([not v for v in valid], dtype=bool))

    @property
    def layers(self) -> int:
        """Layers in the table."""
        return len(self.first)

    def nearest(self, requested: Any) -> np.ndarray:
        """Effective factors; see `nearest_valid`."""
        return nearest_valid(self, requested)


def nearest_valid(table: ValidFactors, requested: Any) -> np.ndarray:
    """Effective reuse factors, shape (points, layers).

    Args:
        table: valid factors of the layers.
        requested: whole numbers of shape (points, layers), (points, 1), (layers,) or a single one.

    >>> nearest_valid(ValidFactors.of([(1, 2, 4), ()]), [[3], [9]]).tolist()
    [[2, 3], [4, 9]]
    """
    asked = np.maximum(whole(requested), 1)
    asked = np.broadcast_to(asked, np.broadcast_shapes(asked.shape, (table.layers,)))
    base = np.arange(table.layers, dtype=np.int64) * _SPAN
    at = np.searchsorted(table.keys, base + np.minimum(asked, _SPAN - 1))
    above = taken(table.keys, np.clip(at, table.first, table.last)) - base
    below = taken(table.keys, np.clip(at - 1, table.first, table.last)) - base
    nearest = np.where(np.abs(above - asked) < np.abs(asked - below), above, below)
    return np.where(table.free, asked, nearest)
