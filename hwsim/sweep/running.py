"""From a plan to its answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hwsim.sweep import simple
from hwsim.sweep.plan import Plan
from hwsim.sweep.result import Result


def execute(
    plan: Plan,
    *,
    backend: str = "numpy",
    processes: int = 1,
    out: Path | None = None,
    everything: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a plan."""
    raw = simple.run(plan.space, objectives=plan.objectives, constraints=plan.constraints, progress=progress)
    return Result(plan, raw)
