"""A sweep from its space to what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import HwsimError, InputError, MissingExtra, UnknownName
from hwsim.sweep.blocks import Preparing
from hwsim.sweep.constraints import Constraint, Objective
from hwsim.sweep.engine import BACKENDS, plain_metrics
from hwsim.sweep.kept import Counts, Kept
from hwsim.sweep.measure import OVER
from hwsim.sweep.parallel import done
from hwsim.sweep.reduce import Asked, State
from hwsim.sweep.space import Space
from hwsim.sweep.store import Journal, Part, check_disk, joined, parquet, table
from hwsim.sweep.work import KEEPS, TASK_POINTS, Job, Task, about, units_of, worker_of


@dataclass(frozen=True)
class Sweep:
    """What a sweep found; points are their global indices, all else follows from them."""

    space: Space
    asked: Asked
    state: State
    path: Path | None = None
    """The Parquet file, where one was asked for and everything is done."""
    notes: tuple[str, ...] = ()
    """What the user should know about how it was done."""
    complete: bool = True
    """Whether all ranges are in it; not after `shard`."""
    _known: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Of the front."""
        return self.asked.objectives

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Conditions."""
        return self.asked.constraints

    @cached_property
    def counts(self) -> Counts:
        """What became of the points; `infeasible` holds those whose program cannot be made, too, by what was wrong."""
        return Counts(self.state.points, self.state.kept, {**self.state.infeasible, **self.state.refused}, self.state.nan)

    def best(self, metric: str | None = None) -> Kept:
        """The best point by a metric, by default by the first that was asked for; empty where no point is feasible."""
        return self.top(metric or self.asked.lists[0].metric, 1)

    def top(self, metric: str, k: int | None = None, *, maximise: bool | None = None) -> Kept:
        """The best points by a metric, best first.

        Raises:
            UnknownName: no list was kept of this metric.
            InputError: more points than were kept, or the other sense.
        """
        if metric not in self.state.tops:
            raise UnknownName("metric with a list of the best points", metric, self.state.tops)
        if maximise is not None and maximise != self._objective(metric).maximise:
            raise InputError(f"the list of {metric} was kept {'least' if maximise else 'most'} first; ask for it when the sweep starts")
        found = self.state.tops[metric]
        if k is not None and k > found.size and self.state.kept > found.size:
            raise InputError(f"the best {k} by {metric} of a sweep that kept {found.size}; ask for them when the sweep starts (top)")
        return self.kept(found.index[:k])

    def _objective(self, metric: str) -> Objective:
        return next(o for o in self.asked.lists if o.metric == metric)

    def pareto(self) -> Kept:
        """Points that no other one beats in all objectives, in order of the first."""
        return self.kept(self.state.front.index)

    def histogram(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """(edges, counts) of a metric of the feasible points, in bins of equal ratio.

        Raises:
            UnknownName: it was not asked for.
        """
        if metric not in self.state.histograms:
            raise UnknownName("metric with a histogram", metric, self.state.histograms)
        return self.state.histograms[metric].table()

    def bad(self, reason: str) -> np.ndarray:
        """Global indices of points that are infeasible for a reason (or `not a number`), up to 100, the lowest.

        Raises:
            UnknownName: no point is.
        """
        if reason not in self.state.examples:
            raise UnknownName("reason", reason, self.state.examples)
        return self.state.examples[reason]

    def kept(self, index: np.ndarray) -> Kept:
        """Points with all metrics, from their indices."""
        return metrics_at(self.space, np.asarray(index, dtype=np.int64))

    def to_pandas(self) -> Any:
        """Front and lists of the best points as a pandas DataFrame: axes, then metrics, in SI.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "data") from None
        points = self.kept(self.state.survivors)
        return pandas.DataFrame({**self.space.at(points.index), **points.metrics}, index=pandas.Index(points.index, name="point"))


def metrics_at(space: Space, index: np.ndarray) -> Kept:
    """All metrics of any points, by the cost function itself; what a family does not have is not a number."""
    preparing, size = Preparing(), space.inner_count
    parts: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
    blocks = index // max(size, 1)
    for number in np.unique(blocks):
        places = np.flatnonzero(blocks == number)
        outer = space.block(int(number))
        try:
            block = preparing(outer)
        except HwsimError:
            continue
        for at in range(0, len(places), 1024):
            some = places[at : at + 1024]
            axes = {a.name for a in outer.inner.axes}
            columns = {n: np.asarray(v, dtype=np.float64) for n, v in space.at(index[some]).items() if n in axes}
            found = plain_metrics(block, columns)
            parts.append((some, {n: np.broadcast_to(v, (len(some),)) for n, v in found.items() if not n.startswith(OVER)}))
    names = list(dict.fromkeys(n for _, found in parts for n in found))
    columns = {n: np.full(len(index), np.nan) for n in names}
    for places, found in parts:
        for name, values in found.items():
            columns[name][places] = values
    return Kept(index, {n: v > 0.5 if n == "fits" and not np.isnan(v).any() else v for n, v in columns.items()})


def run(
    space: Space,
    *,
    objectives: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    ranked: Sequence[Objective] = (),
    top: int = 100,
    histograms: Sequence[str] = (),
    backend: str = "numpy",
    processes: int = 1,
    scheduler: Any = None,
    shard: tuple[int, int] | None = None,
    out: Path | str | None = None,
    keep: str = "best",
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
    task_points: int = TASK_POINTS,
) -> Sweep:
    """Costs every point of a space and keeps what is asked for.

    Args:
        objectives: of the Pareto front; each has a list of the best points, too.
        ranked: more metrics with such a list.
        top: length of the lists.
        histograms: metrics with a histogram of the feasible points.
        backend: numpy, native (C++ compiled on the spot), torch or jax.
        processes: local processes, one thread each.
        scheduler: address of a Dask cluster, or a `distributed.Client`.
        shard: `(i, n)`, 1-based: every n-th range only; the last run, without it, puts all together.
        out: a Parquet file; beside it a journal stands until all is done, so that a sweep that was killed goes on where it was.
        keep: what goes to the file: `best` (front and lists), `feasible`, or `all` points with whether they are feasible.
        resume: False forgets what a journal holds.
        progress: called with (points done, points in all).
        task_points: points of a range.

    Raises:
        InputError: a wrong option, a file of another sweep, or a disk that is too small for the points.
        UnknownName: a backend or metric that does not exist.
        SweepFailed: workers died over one range again and again.
    """
    _checked(backend=backend, keep=keep, shard=shard, processes=processes, out=out)
    asked = Asked(tuple(objectives), tuple(constraints), tuple(ranked), top, tuple(histograms))
    path = Path(out).absolute() if out else None
    job = Job.of(space, asked, backend=backend, keep=keep, out=path, task_points=task_points)
    if path:
        parquet()
        if keep != "best":
            check_disk(path, rows=space.count, columns=len(space.axes) + 12)
    return _Driver(job, progress).run(processes=processes, scheduler=scheduler, shard=shard, resume=resume)


def _checked(*, backend: str, keep: str, shard: tuple[int, int] | None, processes: int, out: Any) -> None:
    for what, value, known in (("backend", backend, BACKENDS), ("choice of points to keep", keep, KEEPS)):
        if value not in known:
            raise UnknownName(what, value, known)
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard {shard[0]}/{shard[1]}; expected i/n with i from 1 to n")
    if processes < 1:
        raise InputError(f"{processes} processes; expected 1 or more")
    if (shard is not None or keep != "best") and not out:
        raise InputError(f"{'a shard' if shard else f'keep={keep!r}'} needs a file for its points (out)")


@dataclass
class _Driver:
    """Hands out ranges, takes states in."""

    job: Job
    progress: Callable[[int, int], None] | None

    def run(self, *, processes: int, scheduler: Any, shard: tuple[int, int] | None, resume: bool) -> Sweep:
        job, total = self.job, State.of(self.job.asked)
        journal = Journal(job.out) if job.out else None
        if journal:
            journal.open(job.key, resume=resume)
        left, count, points = list[Task](), 0, 0
        for task in job.tasks():
            count += 1
            before = journal.state(task.number, job.asked) if journal else None
            if before is not None:
                total.merge(before)
                points += before.points
            elif shard is None or task.number % shard[1] == shard[0] - 1:
                left.append(task)
        merged = count - len(left) if shard is None else None
        for task, state in done(job, left, processes=processes, scheduler=scheduler):
            if journal and not journal.has(task.number):
                journal.save(task.number, state)
            total.merge(state)
            points += state.points
            if self.progress:
                self.progress(points, job.space.count)
        complete = merged is not None or points == job.space.count
        path = self._written(total, count, journal) if complete and journal else None
        notes = tuple(worker_of(job).notes) if processes == 1 and scheduler is None else ()
        return Sweep(job.space, job.asked, total, path, notes, complete)

    def _written(self, state: State, count: int, journal: Journal) -> Path | None:
        job = self.job
        assert job.out is not None
        if job.keep == "best":
            points = metrics_at(job.space, state.survivors)
            columns: Mapping[str, np.ndarray] = {
                "point": points.index,
                **job.space.at(points.index),
                **points.metrics,
                "front": np.isin(points.index, state.front.index),
            }
            with Part(job.out) as part:
                part.add(table(columns, units=units_of(job.space, columns), about=self._about()))
        else:
            expected = state.kept if job.keep == "feasible" else state.points - sum(state.refused.values())
            joined([journal.points(number) for number in range(count)], job.out, expected=expected)
        journal.close()
        return job.out

    def _about(self) -> dict[str, str]:
        for number in range(self.job.space.outer_count):
            try:
                return about(self.job, Preparing()(self.job.space.block(number)))
            except HwsimError:
                continue
        return {}
