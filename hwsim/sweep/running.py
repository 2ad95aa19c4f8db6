"""From a plan to its answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.sweep.plan import Plan
from hwsim.sweep.result import Result

KEPT = 100
"""Length of the lists of best points that are kept at least, so that more can be asked for afterwards."""


def execute(
    plan: Plan,
    *,
    backend: str = "numpy",
    processes: int = 1,
    scheduler: Any = None,
    shard: tuple[int, int] | None = None,
    out: Path | str | None = None,
    keep: str = "best",
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Result:
    """Run a plan; arguments as for `hwsim.sweep.run.run`, which raises the errors, too."""
    from hwsim.sweep.run import run

    given = {"backend": backend, "processes": processes, "scheduler": scheduler, "shard": shard, "out": out, "keep": keep, "resume": resume}
    ranked = () if plan.best.metric in {o.metric for o in plan.objectives} else (plan.best,)
    raw = run(
        plan.space,
        objectives=plan.objectives,
        constraints=plan.constraints,
        ranked=ranked,
        top=max(plan.top, KEPT),
        progress=progress,
        **given,
        **options,
    )
    return Result(plan, raw)
