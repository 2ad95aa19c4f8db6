"""A small sweep that several test files run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.sweep import work
from hwsim.sweep.build import space
from hwsim.sweep.constraints import Objective, constraints
from hwsim.sweep.run import Sweep, run


def swept(out: Path | None, *, keep: str = "best", slow: float = 0.0, **options: Any) -> Sweep:
    """24,000 points in 24 ranges."""
    made = space(
        "jet_tagger",
        "xcu250",
        vary={"mapping.reuse_factor[fc1]": "1:20:1", "mapping.reuse_factor[fc2]": "1:30:1", "clock_period": "2 ns..10 ns x40"},
        mapping={"strategy": "resource"},
    )
    if slow:
        done = work.Worker.__call__

        def waiting(self: work.Worker, task: work.Task) -> Any:
            time.sleep(slow)
            return done(self, task)

        work.Worker.__call__ = waiting  # type: ignore[method-assign]
    where = constraints("fits and latency < 200 ns", known={"fits": "bool", "latency_s": "s"})
    given = {
        "objectives": [Objective("latency_s"), Objective("lut")],
        "constraints": where,
        "histograms": ("latency_s",),
        "task_points": 1000,
    }
    return run(made, **given, out=out, keep=keep, **options)  # type: ignore[arg-type]


def same(a: Sweep, b: Sweep) -> None:
    """All that was reduced is the same, bit for bit."""
    assert a.counts == b.counts
    assert np.array_equal(a.state.front.index, b.state.front.index)
    assert np.array_equal(a.state.front.values, b.state.front.values)
    for name, top in a.state.tops.items():
        assert np.array_equal(top.index, b.state.tops[name].index)
        assert np.array_equal(top.values, b.state.tops[name].values)
    assert a.state.histograms == b.state.histograms
    assert {k: v.tolist() for k, v in a.state.examples.items()} == {k: v.tolist() for k, v in b.state.examples.items()}


class Dying:
    """Does ranges, but kills its own process over the first few of them."""

    def __init__(self, marks: Path, times: int) -> None:
        self.marks, self.times = marks, times

    def __call__(self, job: work.Job, task: work.Task) -> Any:
        for number in range(self.times):
            try:
                (self.marks / str(number)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return work.do(job, task)
