"""Who does the ranges of a sweep: this process, several processes, or a Dask cluster. What fails is done again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from hwsim.errors import HwsimError, MissingExtra
from hwsim.sweep.reduce import State
from hwsim.sweep.work import Job, Task, do

ATTEMPTS = 4
"""Times that a range is tried when workers die over it."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Thread counts that are one in every worker: two threads of one library on one core wait for each other."""


class SweepFailed(HwsimError):
    """Workers died over the same range again and again."""


def done(job: Job, tasks: Iterable[Task], *, processes: int = 1, scheduler: Any = None) -> Iterator[tuple[Task, State]]:
    """Every range with what it left, in the order in which they end.

    Raises:
        SweepFailed: workers died over one range `ATTEMPTS` times.
    """
    if scheduler is not None:
        return _on_dask(job, list(tasks), scheduler)
    return _in_processes(job, list(tasks), processes) if processes > 1 else ((task, do(job, task)) for task in tasks)


def _in_processes(job: Job, tasks: list[Task], processes: int) -> Iterator[tuple[Task, State]]:
    left, tries = {task.number: task for task in tasks}, dict.fromkeys((task.number for task in tasks), 0)
    while left:
        with _pinned(), ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for number, state in _through(pool, job, left, tries, ahead=2 * processes):
                yield left.pop(number), state


def _through(
    pool: ProcessPoolExecutor, job: Job, left: dict[int, Task], tries: dict[int, int], *, ahead: int
) -> Iterator[tuple[int, State]]:
    """What a pool gets done before it breaks; ranges that were running then count as tried."""
    waiting, running = iter(list(left)), dict[Future[State], int]()
    try:
        while True:
            while len(running) < ahead and (number := next(waiting, None)) is not None:
                running[pool.submit(do, job, left[number])] = number
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running[future], future.result()
                del running[future]
    except BrokenProcessPool:
        for number in running.values():
            tries[number] += 1
        worst = max(running.values(), key=lambda n: tries[n], default=None)
        if worst is not None and tries[worst] >= ATTEMPTS:
            raise SweepFailed(f"workers died {ATTEMPTS} times over range {worst}; memory may be short: take fewer --processes") from None


@contextmanager
def _pinned() -> Iterator[None]:
    """One thread for every library of the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _on_dask(job: Job, tasks: list[Task], scheduler: Any) -> Iterator[tuple[Task, State]]:
    """On a cluster: `scheduler` is its address (`tcp://...`) or a `distributed.Client`."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise MissingExtra("distributed", "dask") from None
    client = Client(scheduler) if isinstance(scheduler, str) else scheduler
    try:
        futures = {client.submit(do, job, task, pure=False, retries=ATTEMPTS - 1): task for task in tasks}
        for future in as_completed(list(futures)):
            state: Any = future.result()
            yield futures.pop(future), state
            future.release()
    finally:
        if client is not scheduler:
            client.close()
