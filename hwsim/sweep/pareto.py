"""Exact Pareto fronts of streams of points: chunks are thinned by the front so far, and fronts merge in any order to the same result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SEEDS = 1024
"""Points of the first chunk that make a first front."""
GUARDS, SAMPLE = 24, 512
"""Points of the front that every point is compared with first, and points of a chunk that they are chosen by."""


@dataclass
class Front:
    """The points that no other one beats: as good in all objectives and better in one. Of equal points the one with the lowest index.

    >>> f = Front(2)
    >>> f.add(np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 4.0]]), np.array([10, 11, 12]))
    >>> f.index.tolist()
    [10, 11]
    """

    objectives: int
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    """Shape `(objectives, points)`, less is better, in order of the first."""
    index: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    guards: np.ndarray | None = field(default=None, repr=False)
    guarded: int = field(default=0, repr=False)
    """Points of the front when the guards were chosen."""

    def __post_init__(self) -> None:
        if self.values.size == 0:
            self.values = np.empty((self.objectives, 0))

    def candidates(self, values: np.ndarray) -> np.ndarray:
        """Places of the points that no guard of the front beats; `values` is `(objectives, points)`."""
        places = np.arange(values.shape[1])
        if not self.values.shape[1]:
            return places
        left = values
        for guard in self._guarding(values).T:
            alive = np.flatnonzero(_not_worse(left, guard))
            if len(alive) < left.shape[1]:
                left, places = np.take(left, alive, axis=1), places[alive]
            if len(places) < 64:
                break
        return places[self._not_below(left)] if self.objectives == 2 else places

    def _guarding(self, values: np.ndarray) -> np.ndarray:
        """The points of the front that together beat most of a sample of the chunk; chosen anew where the front has changed."""
        count = self.values.shape[1]
        if self.guards is None or abs(count - self.guarded) > 0.1 * count:
            sample = values[:, np.linspace(0, values.shape[1] - 1, min(SAMPLE, values.shape[1])).astype(np.int64)]
            some = self.values[:, np.linspace(0, count - 1, min(count, 4 * SAMPLE)).astype(np.int64)]
            beats = np.all(some[:, None, :] <= sample[:, :, None], axis=0)
            chosen = []
            while len(chosen) < GUARDS and len(beats):
                best = int(np.argmax(beats.sum(axis=0)))
                if not beats[:, best].any():
                    break
                chosen.append(best)
                beats = beats[~beats[:, best]]
            self.guards, self.guarded = some[:, chosen], count
        return self.guards

    def _not_below(self, values: np.ndarray) -> np.ndarray:
        """Where no point of a front of two objectives is better; exact, equal points stay."""
        at = np.searchsorted(self.values[0], values[0], side="right") - 1
        first, second = self.values[:, np.maximum(at, 0)]
        return (at < 0) | (second > values[1]) | ((second == values[1]) & (first == values[0]))

    def take(self, values: np.ndarray, index: Callable[[np.ndarray], np.ndarray]) -> None:
        """Takes a chunk in, thinned first; `index` gives the indices of places."""
        if not self.values.shape[1] and values.shape[1] > 4 * SEEDS:
            seeds = np.linspace(0, values.shape[1] - 1, SEEDS).astype(np.int64)
            self.add(values[:, seeds], index(seeds))
        places = self.candidates(values)
        self.add(values[:, places], index(places))

    def add(self, values: np.ndarray, index: np.ndarray) -> None:
        """Takes points in; `values` is `(objectives, points)`."""
        if not values.shape[1]:
            return
        both, indices = np.concatenate([self.values, values], axis=1), np.concatenate([self.index, index])
        kept = front_places(both, indices)
        self.values, self.index = both[:, kept], indices[kept]

    def merge(self, other: Front) -> None:
        """Takes the points of another front in."""
        self.add(other.values, other.index)


def _not_worse(values: np.ndarray, guard: np.ndarray) -> np.ndarray:
    """Where a point is better than the guard somewhere, or equal to it everywhere (equal points are told apart later)."""
    better = values[0] < guard[0]
    equal = values[0] == guard[0]
    for row, limit in zip(values[1:], guard[1:], strict=True):
        better |= row < limit
        equal &= row == limit
    return better | equal


def front_places(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Places of the front among points, in order of the objectives.

    Args:
        values: shape `(objectives, points)`, less is better.
        index: tells equal points apart.
    """
    order = np.lexsort((index, *values[::-1]))
    ordered = values[:, order]
    return order[_sorted_front(ordered)]


def _sorted_front(values: np.ndarray) -> np.ndarray:
    """Places of the front among points in lexicographic order; a later point never beats an earlier one."""
    if len(values) == 1:
        return np.arange(min(1, values.shape[1]))
    if len(values) == 2:
        lowest = np.minimum.accumulate(values[1])
        return np.flatnonzero(np.concatenate([[True], values[1, 1:] < lowest[:-1]])) if values.shape[1] else np.arange(0)
    return _many(values)


BLOCK = 2048


def _many(values: np.ndarray) -> np.ndarray:
    """Three and more objectives: block after block against the front so far, then within the block."""
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, values.shape[1], BLOCK):
        places = np.arange(start, min(start + BLOCK, values.shape[1]))
        places = places[~_beaten(values[1:, places], values[1:, kept])]
        kept = np.concatenate([kept, places[_peeled(values[1:, places])]])
    return kept


def _beaten(values: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Where some point of the front is as good in all rows."""
    found = np.zeros(values.shape[1], dtype=bool)
    for start in range(0, front.shape[1], BLOCK):
        left = np.flatnonzero(~found)
        part = front[:, start : start + BLOCK]
        tests = np.ones((part.shape[1], len(left)), dtype=bool)
        for row, limits in zip(values, part, strict=True):
            tests &= limits[:, None] <= row[left]
        found[left] = tests.any(axis=0)
    return found


def _peeled(values: np.ndarray) -> np.ndarray:
    """Places of the front in sorted order within one block: the first one stays and takes away what it beats, and so on."""
    kept, left = [], np.arange(values.shape[1])
    while len(left):
        first = left[0]
        kept.append(int(first))
        rest = left[1:]
        worse = np.ones(len(rest), dtype=bool)
        for row in values:
            worse &= row[rest] >= row[first]
        left = rest[~worse]
    return np.array(kept, dtype=np.int64)


def significant(values: np.ndarray) -> np.ndarray:
    """Values rounded to 42 bits, about 12 digits: what differs by rounding only is equal, whoever computed it."""
    scaled = values * _SPLITTER
    return scaled - (scaled - values)


_SPLITTER = float((1 << 11) + 1)
