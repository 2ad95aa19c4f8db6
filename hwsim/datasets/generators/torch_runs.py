"""The build of measured runs: a line a run, appended as it is made; a build that was killed goes on where it stopped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

from hwsim.datasets.fpga_yosys.build import Progress, Table
from hwsim.datasets.generators import measure
from hwsim.datasets.generators.folder import describe
from hwsim.datasets.generators.networks import Run
from hwsim.errors import InputError

TABLE = "rows.csv"
COLUMNS = (
    "graph", "device", "group", "mapping.dtype", "mapping.layout", "protocol.tool", "protocol.version", "protocol.runtime",
    "protocol.batch", "protocol.threads", "protocol.processor", "protocol.capability", "protocol.cuda", "protocol.warm_up",
    "protocol.repeats", "flop", "latency_s", "latency_p10_s", "latency_p90_s", "power_w", "energy_j", "fact.parameters",
)  # fmt: skip
KEY = ("graph", "protocol.batch", "mapping.dtype", "protocol.threads", "mapping.layout")
"""Columns that `Run.key` fills."""
FAILURES = (*KEY, "reason")


def build(
    listed: Iterable[Run], *, out: Path, workers: int = 1, device: str = "cpu", stream: TextIO = sys.stderr,
    worker: Callable[[Run], dict[str, Any]] | None = None,
) -> tuple[int, int]:  # fmt: skip
    """Measure all runs that `out` does not hold yet; returns how many were made and how many failed.

    Args:
        listed: networks and how each is run.
        out: folder of `rows.csv`, `failures.csv`, `recipe.yaml`, `card.md`.
        workers: runs at once, each on cores of its own.
        device: cpu or cuda.
        stream: for progress.
        worker: what measures one run.

    Raises:
        InputError: a table of another version stands there, or more workers than cores.
    """
    table, failures = Table(out / TABLE, COLUMNS), Table(out / "failures.csv", FAILURES)
    describe(out, f"torch-{device}")
    known = {tuple(r[c] or "0" for c in KEY) for r in [*table.rows(), *failures.rows()]}
    waiting = [run for run in listed if run.key not in known]
    progress = Progress(len(waiting), stream, start_s=time.monotonic(), what="runs")
    for run, result in _results(waiting, worker or partial(measure.row, device=device), workers):
        try:
            table.append(result())
        except measure.RunFailed as error:
            progress.failed += 1
            failures.append({**dict(zip(KEY, run.key, strict=True)), "reason": str(error)})
        progress.tell(run.graph)
    return progress.done - progress.failed, progress.failed


def _results(waiting: Sequence[Run], worker: Callable[[Run], Any], workers: int) -> Iterator[tuple[Run, Callable[[], Any]]]:
    """Each run with a call that returns its row or raises."""
    if workers == 1:
        yield from ((run, partial(worker, run)) for run in waiting)
        return
    context = get_context("spawn")
    groups = context.Queue()
    for group in shares(measure.cores(), workers):
        groups.put(group)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_pin, initargs=(groups,)) as pool:
        running = {pool.submit(worker, run): run for run in waiting}
        try:
            for future in as_completed(running):
                yield running[future], future.result
        finally:
            for future in running:
                future.cancel()


def shares(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Cores of each worker.

    Raises:
        InputError: fewer cores than workers.

    >>> shares((0, 1, 2, 3, 4), 2)
    [(0, 1), (2, 3)]
    """
    if workers > len(cores):
        raise InputError(f"{workers} jobs on {len(cores)} core(s); expected at most one a core, since runs that share one slow each other")
    each = len(cores) // workers
    return [tuple(cores[i * each : (i + 1) * each]) for i in range(workers)]


def _pin(groups: Any) -> None:
    group = groups.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, group)
