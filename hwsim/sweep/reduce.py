"""What is kept of millions of points: counts, best ones, Pareto front, histograms, examples of bad points.

A `State` takes in chunks and other states; the result does not depend on their order or on how the points were cut up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwsim.sweep.constraints import Constraint, Objective
from hwsim.sweep.engine import Points
from hwsim.sweep.measure import OVER
from hwsim.sweep.pareto import Front, significant

EXAMPLES = 100
"""Bad points that are kept a reason, those with the lowest indices."""
BINS_AN_OCTAVE = 8
_SHIFT = 52 - 3
NOT_A_NUMBER = "not a number"


@dataclass(frozen=True)
class Asked:
    """What a sweep keeps."""

    objectives: tuple[Objective, ...]
    """Of the front; none: no front."""
    constraints: tuple[Constraint, ...] = ()
    ranked: tuple[Objective, ...] = ()
    """More metrics with a list of the best points."""
    top: int = 100
    """Length of the lists."""
    histograms: tuple[str, ...] = ()
    """Metrics with a histogram."""

    @property
    def lists(self) -> tuple[Objective, ...]:
        """Objectives that have a list of the best points."""
        return tuple({o.metric: o for o in (*self.ranked, *self.objectives)}.values())

    @property
    def metrics(self) -> tuple[str, ...]:
        """What has to be computed at every point (axes left out)."""
        named = [o.metric for o in self.lists] + [n for c in self.constraints for n in c.names] + list(self.histograms)
        return tuple(dict.fromkeys(["latency_s", *(n for n in named if "." not in n or n.startswith(OVER))]))


@dataclass
class Top:
    """The points with the smallest values; of equal ones those with the lowest index."""

    size: int
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    index: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def add(self, values: np.ndarray, index: np.ndarray | Callable[[np.ndarray], np.ndarray]) -> None:
        """Takes points in; `index` gives the indices of places, or holds them."""
        places = np.arange(len(values)) if len(self.values) < self.size else np.flatnonzero(values <= self.values[-1])
        if len(places) > 8 * self.size:
            limit = np.partition(values[places], self.size)[self.size]
            places = places[values[places] <= limit]
        if not len(places):
            return
        found = index[places] if isinstance(index, np.ndarray) else index(places)
        both, indices = np.concatenate([self.values, values[places]]), np.concatenate([self.index, found])
        order = np.lexsort((indices, both))[: self.size]
        self.values, self.index = both[order], indices[order]


@dataclass
class Histogram:
    """Counts in bins of equal ratio, `BINS_AN_OCTAVE` to a factor of two; zeros and negative values apart."""

    counts: dict[int, int] = field(default_factory=dict)
    rest: int = 0

    def add(self, values: np.ndarray) -> None:
        """Takes finite values in."""
        bins = values.view(np.int64) >> _SHIFT
        if len(bins) and bins.min() <= 0:
            positive = values > 0
            self.rest += int(np.sum(~positive))
            bins = bins[positive]
        if len(bins):
            low = int(bins.min())
            counts = np.bincount(bins - low)
            for place in np.flatnonzero(counts):
                self.counts[low + int(place)] = self.counts.get(low + int(place), 0) + int(counts[place])

    def merge(self, other: Histogram) -> None:
        """Takes the counts of another one in."""
        self.rest += other.rest
        for place, count in other.counts.items():
            self.counts[place] = self.counts.get(place, 0) + count

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """(edges, counts) of the bins from the lowest to the highest that is not empty."""
        if not self.counts:
            return np.zeros(1), np.zeros(0, dtype=np.int64)
        low, high = min(self.counts), max(self.counts)
        edges = (np.arange(low, high + 2, dtype=np.int64) << _SHIFT).view(np.float64)
        return edges, np.array([self.counts.get(place, 0) for place in range(low, high + 1)], dtype=np.int64)


@dataclass
class State:
    """Everything that is kept of some points."""

    asked: Asked
    points: int = 0
    kept: int = 0
    nan: int = 0
    infeasible: dict[str, int] = field(default_factory=dict)
    """Points that fail each condition, by its text, and of `fits` by what is exceeded; one may fail several."""
    refused: dict[str, int] = field(default_factory=dict)
    """Points of programs that cannot be made, by reason."""
    examples: dict[str, np.ndarray] = field(default_factory=dict)
    """Global indices of bad points by reason."""
    tops: dict[str, Top] = field(default_factory=dict)
    front: Front = field(default_factory=lambda: Front(1))
    histograms: dict[str, Histogram] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: Asked) -> State:
        """Nothing yet."""
        tops = {o.metric: Top(asked.top) for o in asked.lists}
        counts = {c.text: 0 for c in asked.constraints}
        histograms = {name: Histogram() for name in asked.histograms}
        return cls(asked, infeasible=counts, tops=tops, front=Front(max(len(asked.objectives), 1)), histograms=histograms)

    def add(self, points: Points) -> np.ndarray | None:
        """Takes a chunk in; returns the places of the feasible points, None for all of them."""
        self.points += len(points)
        good = self._finite(points)
        good = self._feasible(points, good)
        places = None if good is None else np.flatnonzero(good)
        self.kept += len(points) if places is None else len(places)
        if places is None or len(places):
            self._reduce(points, places)
        return places

    def _finite(self, points: Points) -> np.ndarray | None:
        """Where all is a number; None where it is everywhere."""
        total = sum(_sum(points.values[name]) for name in self.asked.metrics if name in points.values)
        if np.isfinite(total):
            return None
        good = np.ones(len(points), dtype=bool)
        for name in self.asked.metrics:
            if name in points.values:
                good &= np.isfinite(points.values[name])
        if good.all():
            return None
        self.nan += int(np.sum(~good))
        self._example(NOT_A_NUMBER, points, ~good)
        return good

    def _feasible(self, points: Points, good: np.ndarray | None) -> np.ndarray | None:
        for constraint in self.asked.constraints:
            holds = np.asarray(constraint.mask({name: points.column(name) for name in constraint.names}))
            if holds.all():
                continue
            fails = ~np.broadcast_to(holds, (len(points),))
            fails = fails if good is None or not self.nan else fails & self._numbers(points)
            self.infeasible[constraint.text] += int(np.count_nonzero(fails))
            self._example(constraint.text, points, fails)
            if "fits" in constraint.names:
                self._limits(points, fails)
            good = ~fails if good is None else good & ~fails
        return good

    def _numbers(self, points: Points) -> np.ndarray:
        return np.all([np.isfinite(points.values[name]) for name in self.asked.metrics if name in points.values], axis=0)

    def _limits(self, points: Points, fails: np.ndarray) -> None:
        """Which limits the points exceed that do not fit."""
        for name, test in points.values.items():
            if name.startswith(OVER):
                count = int(np.count_nonzero(test & fails))
                if count:
                    text = f"fits: {name.removeprefix(OVER)}"
                    self.infeasible[text] = self.infeasible.get(text, 0) + count

    def _example(self, reason: str, points: Points, mask: np.ndarray) -> None:
        known = self.examples.get(reason, np.empty(0, dtype=np.int64))
        limit = known[-1] if len(known) == EXAMPLES else None
        if limit is not None and points.base.min() > limit:
            return
        places = np.flatnonzero(mask)
        found = points.index(places)
        self.examples[reason] = np.sort(np.concatenate([known, found]))[:EXAMPLES]

    def _reduce(self, points: Points, places: np.ndarray | None) -> None:
        def index(at: np.ndarray) -> np.ndarray:
            return points.index(at if places is None else places[at])

        columns = {}
        for objective in self.asked.lists:
            values = points.column(objective.metric)
            values = values if places is None else values[places]
            columns[objective.metric] = significant(-values if objective.maximise else values)
            self.tops[objective.metric].add(columns[objective.metric], index)
        if self.asked.objectives:
            self.front.take(np.stack([columns[o.metric] for o in self.asked.objectives]), index)
        for name, histogram in self.histograms.items():
            values = points.values[name]
            histogram.add(np.ascontiguousarray(values if places is None else values[places], dtype=np.float64))

    def refuse(self, reason: str, start: int, stop: int) -> None:
        """Counts the points of a block whose program cannot be made."""
        self.points += stop - start
        self.refused[reason] = self.refused.get(reason, 0) + stop - start
        known = self.examples.get(reason, np.empty(0, dtype=np.int64))
        self.examples[reason] = np.sort(np.concatenate([known, np.arange(start, min(stop, start + EXAMPLES))]))[:EXAMPLES]

    def merge(self, other: State) -> None:
        """Takes another state in."""
        self.points, self.kept, self.nan = self.points + other.points, self.kept + other.kept, self.nan + other.nan
        for mine, theirs in ((self.infeasible, other.infeasible), (self.refused, other.refused)):
            for reason, count in theirs.items():
                mine[reason] = mine.get(reason, 0) + count
        for reason, index in other.examples.items():
            self.examples[reason] = np.sort(np.concatenate([self.examples.get(reason, index[:0]), index]))[:EXAMPLES]
        for name, top in other.tops.items():
            self.tops[name].add(top.values, top.index)
        self.front.merge(other.front)
        for name, histogram in other.histograms.items():
            self.histograms[name].merge(histogram)

    @property
    def survivors(self) -> np.ndarray:
        """Global indices of all points that are kept, rising."""
        return np.unique(np.concatenate([self.front.index, *(t.index for t in self.tops.values())]))


def merged(states: Sequence[State], asked: Asked) -> State:
    """One state of many."""
    total = State.of(asked)
    for state in states:
        total.merge(state)
    return total


def _sum(values: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(np.sum(values))
