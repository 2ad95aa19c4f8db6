"""What a sweep found, for people: points with their axes and metrics, as objects, tables and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import InputError, MissingExtra
from hwsim.sweep.constraints import Objective, objectives
from hwsim.sweep.plan import Plan

if TYPE_CHECKING:
    from hwsim.estimate import Estimate
    from hwsim.sweep.sensitivity import Indices
    from hwsim.sweep.space import Space


@dataclass(frozen=True)
class DesignPoint:
    """One design."""

    index: int
    """Its number in the space."""
    axes: Mapping[str, Any]
    """Values by axis, SI."""
    metrics: Mapping[str, Any]
    """Values by metric, SI."""
    space: Space

    def estimate(self) -> Estimate:
        """The whole estimate: layers, what binds them, intervals."""
        from hwsim.sweep.pointwise import estimate

        return estimate(self.space, self.axes)

    def __repr__(self) -> str:
        axes = ", ".join(f"{n}={v!r}" for n, v in self.axes.items())
        return f"DesignPoint({self.index}: {axes}; latency_s={self.metrics.get('latency_s', float('nan')):.4g})"


@dataclass(frozen=True)
class Designs:
    """Points, in order; `len`, iteration, `[i]`."""

    space: Space
    index: np.ndarray
    """Numbers in the space, `(points,)`."""
    metrics: Mapping[str, np.ndarray]
    """`(points,)` each, SI."""
    drawn: Mapping[str, np.ndarray] | None = None
    """Values of the axes of points that have no number in the space (of a search), `(points,)` each."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, place: int) -> DesignPoint:
        picked = range(len(self))[place]
        return DesignPoint(
            int(self.index[picked]),
            {n: _whole(_plain(v[picked])) for n, v in self.axes.items()},
            {n: _plain(v[picked]) for n, v in self.metrics.items()},
            self.space,
        )

    def __iter__(self) -> Iterator[DesignPoint]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def axes(self) -> Mapping[str, np.ndarray]:
        """Values of the axes, `(points,)` each."""
        return self.space.at(self.index) if self.drawn is None else self.drawn

    def of(self, chosen: Any) -> Designs:
        """Some of them, by slice, mask or places."""
        drawn = None if self.drawn is None else {n: v[chosen] for n, v in self.drawn.items()}
        return Designs(self.space, self.index[chosen], {n: v[chosen] for n, v in self.metrics.items()}, drawn)

    def to_pandas(self) -> Any:
        """A pandas DataFrame: axes, then metrics, in SI; its index is the number of the point.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "sweep") from None
        return pandas.DataFrame({**self.axes, **self.metrics}, index=pandas.Index(self.index, name="point"))


@dataclass(frozen=True)
class Result:
    """What a sweep found."""

    plan: Plan
    raw: Any
    """What the engine gave back: counts, top lists, front, histograms."""

    @property
    def space(self) -> Space:
        """All points."""
        return self.plan.space

    @property
    def counts(self) -> Any:
        """Points in all, kept, infeasible by reason, not a number."""
        return self.raw.counts

    def best(self, metric: str | None = None) -> DesignPoint:
        """The best point by a metric; by default by the one that the sweep was asked for.

        Raises:
            InputError: no point satisfies the conditions.
        """
        from hwsim.report.sweep_text import none_left

        found = self.top(metric, 1)
        if not len(found):
            raise InputError(none_left(self))
        return found[0]

    def top(self, metric: str | None = None, k: int | None = None) -> Designs:
        """The best points by a metric, best first."""
        wanted = self._objective(metric)
        return self._designs(self.raw.top(wanted.metric, k or self.plan.top, maximise=wanted.maximise))

    def pareto(self) -> Designs:
        """Points that no other one beats in all objectives."""
        return self._designs(self.raw.pareto())

    def cloud(self, count: int) -> tuple[Designs, int]:
        """Up to `count` points drawn evenly, of them those that satisfy the conditions, and how many do not."""
        from hwsim.sweep.pointwise import Evaluator, spread

        index = spread(self.space, count, most_blocks=128)
        return kept(self.plan, index, Evaluator(self.space).at(index))

    def _objective(self, metric: str | None) -> Objective:
        return self.plan.best if metric is None else objectives(metric, known=self.plan.known)[0]

    def _designs(self, kept: Any) -> Designs:
        return Designs(self.space, np.asarray(kept.index), {n: np.asarray(v) for n, v in kept.metrics.items()})

    def sensitivity(self, *metrics: str, samples: int = 256) -> tuple[Indices, ...]:
        """Sobol indices of metrics over the whole space, by default of the objectives (`hwsim.sweep.sensitivity.sobol`)."""
        from hwsim.sweep.sensitivity import sobol

        names = [self._objective(m).metric for m in metrics] or [o.metric for o in self.plan.objectives]
        return sobol(self.space, names, samples=samples)

    def __repr__(self) -> str:
        found = self.top(k=1)
        best = f"; best {found[0]!r}" if len(found) else ""
        return f"<sweep of {self.counts.points:,} points, {self.counts.kept:,} kept, {len(self.raw.pareto()):,} on the front{best}>"

    def to_pandas(self) -> Any:
        """The points of the front as a pandas DataFrame."""
        return self.pareto().to_pandas()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `hwsim sweep --json`."""
        from hwsim.report.sweep_text import document

        return document(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """A self-contained page with interactive plots; written to `path` where one is given.

        Raises:
            MissingExtra: plotly is not installed.
        """
        from hwsim.report.sweep_html import sweep_html

        page = sweep_html(self)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page


def kept(plan: Plan, index: np.ndarray, columns: Mapping[str, np.ndarray]) -> tuple[Designs, int]:
    """Points that satisfy the conditions of a plan, and how many do not.

    Args:
        columns: axes and metrics, `(points,)` each.
    """
    good = np.isfinite(columns[plan.best.metric])
    for c in plan.constraints:
        good = good & c.mask(columns)
    axes = {a.name for a in plan.space.axes}
    metrics = {n: v[good] for n, v in columns.items() if n not in axes}
    return Designs(plan.space, index[good], metrics, {n: columns[n][good] for n in axes}), int(np.sum(~good))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else value
