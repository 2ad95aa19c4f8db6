"""The work of a sweep in ranges that can run anywhere, in any order, any number of times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import HwsimError
from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.constraints import unit_of
from hwsim.sweep.engine import Engine, Layout, Points, fast_axes
from hwsim.sweep.measure import OVER
from hwsim.sweep.reduce import Asked, State
from hwsim.sweep.space import Space
from hwsim.sweep.store import Journal, Part, table, target_hash

TASK_POINTS = 1 << 22
"""Points of a range: seconds of work."""
CHUNK_POINTS = 1 << 17
"""Points that are reduced at a time."""
KEEPS = ("best", "feasible", "all")
"""Points that go to disk: front and lists of the best; those that satisfy the conditions; every point with its state."""


@dataclass(frozen=True)
class Task:
    """Units `start` to `stop - 1` of block `first`, or whole blocks `first` to `last - 1`."""

    number: int
    first: int
    last: int
    start: int
    stop: int


@dataclass(frozen=True)
class Job:
    """A sweep as workers need it."""

    space: Space
    asked: Asked
    fast: tuple[str, ...] = ()
    backend: str = "numpy"
    keep: str = "best"
    out: Path | None = None
    task_points: int = TASK_POINTS

    @classmethod
    def of(cls, space: Space, asked: Asked, **options: Any) -> Job:
        """A job with its fast axes chosen by the first block that can be made."""
        job = cls(space, asked, **options)
        for number in range(min(space.outer_count, 16)):
            try:
                return replace(job, fast=fast_axes(Preparing()(space.block(number)), asked.metrics))
            except HwsimError:
                continue
        return job

    @cached_property
    def key(self) -> str:
        """Fingerprint of all that the result depends on."""
        from hwsim import __version__

        parts = [__version__, _text(self.space), repr(self.asked), *map(repr, (self.fast, self.keep, self.task_points))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def tasks(self) -> Iterator[Task]:
        """All ranges, in the order of their points."""
        blocks, count = self.space.outer_count, self.space.inner_count
        if count >= self.task_points:
            layout = Layout(self.space.block(0).inner, self.fast)
            step = max(1, self.task_points // layout.unit_points)
            spans = [(b, b + 1, at, min(at + step, layout.units)) for b in range(blocks) for at in range(0, layout.units, step)]
        else:
            step = max(1, min(self.task_points // max(count, 1), -(-blocks // 16)))
            spans = [(b, min(b + step, blocks), 0, -1) for b in range(0, blocks, step)]
        return (Task(number, *span) for number, span in enumerate(spans))


def _text(space: Space) -> str:
    """A space in words that are the same in another process."""
    base = space.base
    model = base.model if isinstance(base.model, str) else _digest(base.model)
    device = base.device if isinstance(base.device, str) else repr(base.device)
    axes = [(a.name, _values_text(a.values), a.outer) for a in space.axes]
    return json.dumps([model, device, repr((base.load, base.mapping, base.set)), axes, space.sampling, space.samples, space.seed])


def _digest(model: Any) -> str:
    from hwsim.graph import Graph

    if isinstance(model, Graph):
        from hwsim.store import dumps

        return hashlib.sha256(dumps(model)).hexdigest()
    return f"{getattr(model, '__module__', '')}.{getattr(model, '__qualname__', type(model).__name__)}"


def _values_text(values: Any) -> str:
    items = getattr(values, "items", None)
    if isinstance(items, tuple):
        return repr([v if isinstance(v, str | int | float) else _digest(v) for v in items])
    return repr(values)


@dataclass
class Worker:
    """Runs ranges of one job; keeps what the next range can use."""

    job: Job
    preparing: Preparing = field(default_factory=Preparing)
    ready: dict[int, Engine] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wanted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Metrics that have to be computed, by family."""

    def __call__(self, task: Task) -> State:
        """What is kept of a range; with a journal on disk the range is marked as done there."""
        job, state = self.job, State.of(self.job.asked)
        journal = Journal(job.out) if job.out else None
        with Part(journal.points(task.number) if journal and job.keep != "best" else Path("none")) as part:
            for block in range(task.first, task.last):
                self._block(block, task, state, part)
        if journal and journal.folder.exists():
            journal.save(task.number, state)
        return state

    def _block(self, number: int, task: Task, state: State, part: Part) -> None:
        job, outer = self.job, self.job.space.block(number)
        try:
            engine = self._engine(number)
        except HwsimError as error:
            if task.start == 0:
                state.refuse(str(error), outer.start, outer.stop)
            return
        stop = engine.layout.units if task.stop < 0 else task.stop
        step = max(1, CHUNK_POINTS // engine.layout.unit_points)
        for at in range(task.start, stop, step):
            points = engine(at, min(at + step, stop))
            if missing := [name for name in job.asked.metrics if name not in points.values]:
                if task.start == 0:
                    state.refuse(f"the {engine.block.target.family} family has no {missing[0]}", outer.start, outer.stop)
                return
            places = state.add(points)
            if job.keep != "best" and job.out:
                self._keep(engine.block, points, places, part)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Metrics of all families among the devices, in the order of a file."""
        names: dict[str, None] = {}
        for number in _first_of_each_device(self.job.space):
            with suppress(HwsimError):
                names |= dict.fromkeys(needed(self.job.asked, self.preparing(self.job.space.block(number)), ALL))
        return tuple(n for n in names if not n.startswith(OVER))

    def _engine(self, number: int) -> Engine:
        if number not in self.ready:
            self.ready.clear()
            block = self.preparing(self.job.space.block(number))
            family = block.target.family
            if family not in self.wanted:
                self.wanted[family] = needed(self.job.asked, block, None if self.job.keep == "best" else ALL)
            self.ready[number] = Engine(block, wanted=self.wanted[family], fast=self.job.fast, backend=self.job.backend)
            if (note := self.ready[number].note) and note not in self.notes:
                self.notes.append(note)
        return self.ready[number]

    def _keep(self, block: Block, points: Points, places: np.ndarray | None, part: Part) -> None:
        chosen = np.arange(len(points)) if places is None or self.job.keep == "all" else places
        index = points.index(chosen)
        columns: dict[str, np.ndarray] = {"point": index, **self.job.space.at(index)}
        columns |= {n: points.values[n][chosen] if n in points.values else np.full(len(chosen), np.nan) for n in self.columns}
        if self.job.keep == "all":
            feasible = np.zeros(len(points), dtype=bool)
            feasible[slice(None) if places is None else places] = True
            columns["feasible"] = feasible
        part.add(table(columns, units=units_of(self.job.space, columns), about=about(self.job, block)))


def _first_of_each_device(space: Space) -> list[int]:
    """Blocks that between them have every device."""
    found: dict[str, int] = {}
    for number in range(min(space.outer_count, 10_000)):
        found.setdefault(str(space.block(number).base.device), number)
    return list(found.values())


ALL = "all"


def needed(asked: Asked, block: Block, everything: str | None = None) -> tuple[str, ...]:
    """Metrics that have to be computed at every point of a block."""
    names = set(asked.metrics)
    if everything or any("fits" in c.names for c in asked.constraints):
        from hwsim.sweep.engine import plain_metrics

        inner = block.outer.inner
        known = plain_metrics(block, {n: np.asarray(v, dtype=float) for n, v in inner.columns(0, 1).items()} if inner.axes else {})
        names |= set(known) if everything else {name for name in known if name.startswith(OVER)}
        return tuple(name for name in known if name in names)
    return asked.metrics


def units_of(space: Space, columns: Mapping[str, Any]) -> dict[str, str]:
    """Unit of each column that has one."""
    axes = {a.name: a.unit for a in space.axes}
    return {name: axes.get(name) or unit_of(name) for name in columns}


def about(job: Job, block: Block) -> dict[str, str]:
    """What stands in the metadata of a file."""
    from hwsim import __version__

    return {
        "hwsim.version": __version__,
        "hwsim.target": target_hash(block.target, block.device),
        "hwsim.device": str(block.device.name),
        "hwsim.family": block.target.family,
        "hwsim.sweep": _text(job.space),
        "hwsim.objectives": ",".join(o.text for o in job.asked.objectives),
        "hwsim.constraints": " and ".join(c.text for c in job.asked.constraints),
    }


_WORKERS: dict[str, Worker] = {}


def worker_of(job: Job) -> Worker:
    """The worker of this process for a job."""
    model = job.space.base.model
    live = id(model) if callable(model) else ""  # a function may have been written anew under its name
    key = f"{job.key} {job.backend} {job.out} {live}"  # the same points may go elsewhere, or be costed by another backend
    if key not in _WORKERS:
        _WORKERS.clear()
        _WORKERS[key] = Worker(job)
    return _WORKERS[key]


def do(job: Job, task: Task) -> State:
    """One range, in any process."""
    return worker_of(job)(task)
