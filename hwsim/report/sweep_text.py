"""Sweeps for people and for programs: what became of the points, the best ones, the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from hwsim.report.tables import plain_table
from hwsim.sweep.axes import Axis, Choices
from hwsim.sweep.constraints import shown, unit_of
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.search.result import Searched
    from hwsim.sweep.plan import Plan
    from hwsim.sweep.result import Designs, Result

LEADING = ("latency_s", "energy_j", "memory_b")
"""Metrics that a table shows beside the objectives."""
HEADINGS = {"latency_s": "Latency", "interval_s": "Interval", "energy_j": "Energy", "power_w": "Power", "memory_b": "Memory"}
MOST_ROWS = 20


def heading(name: str) -> str:
    """A metric or an axis as the heading of a column."""
    if name in HEADINGS:
        return HEADINGS[name]
    if name == "throughput_per_s":
        return "Per s"
    return short(name) if "." in name else name.upper() if len(name) < 7 and not unit_of(name) else name


def short(axis: str) -> str:
    """The name of an axis without its group, where that is plain: `sm_count`."""
    return axis.partition(".")[2] or axis


def value_text(value: Any, axis: Axis) -> str:
    """A value of an axis for people."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return format_si(value, axis.unit) if axis.unit else f"{value:.6g}"


def metric_text(name: str, value: float) -> str:
    """A value of a metric for people."""
    if isinstance(value, float) and not math.isfinite(value):
        return "-"
    unit = unit_of(name)
    return format_si(value) if unit == "1/s" else shown(name, value)


def columns_of(plan: Plan) -> list[str]:
    """Metrics that a table of points shows: the objectives first."""
    names = [o.metric for o in (*plan.objectives, plan.best)]
    return [n for n in dict.fromkeys([*names, *LEADING]) if n in plan.known][: max(4, len(set(names)))]


def varying(plan: Plan) -> list[Axis]:
    """Axes of more than one value."""
    return [a for a in plan.space.axes if len(a.values) != 1]


def records(designs: Designs) -> list[dict[str, Any]]:
    """Points as plain mappings: `index`, `axes`, `metrics`; what is not finite is None."""
    return [
        {"index": d.index, "axes": {n: _plain(v) for n, v in d.axes.items()}, "metrics": {n: _plain(v) for n, v in d.metrics.items()}}
        for d in designs
    ]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | list | type(None)) else list(value) if isinstance(value, tuple) else str(value)


def points_table(plan: Plan, designs: Designs, *, most: int = MOST_ROWS) -> Any:
    """A row a point."""
    axes, names = varying(plan), columns_of(plan)
    first = len(axes) + 1
    table = plain_table(
        "#", *(short(a.name).replace("[", "\n[") for a in axes), *(heading(n) for n in names), right=range(first, first + len(names))
    )
    for d in designs.of(slice(0, most)):
        cells = [value_text(d.axes[a.name], a) for a in axes]
        cells += [metric_text(n, float(d.metrics[n])) for n in names]
        table.add_row(f"{d.index}", *(Text(c, overflow="fold") for c in cells))
    return table


MOST_REASONS = 5


def count_lines(sweep: Result | Searched) -> list[str]:
    """What became of the points, in sentences."""
    counts = sweep.counts
    lines = [f"{counts.points:,} points, {counts.kept:,} of them satisfy every condition"]
    for text, failed in _conditions(sweep).items():
        if failed:
            lines.append(f"  {failed:,} fail {text!r} ({_share(failed, counts.points)})")
            parts = {t.removeprefix(f"{text}: "): n for t, n in counts.infeasible.items() if t.startswith(f"{text}: ")}
            lines += [f"    {n:,} over the limit of {what}" for what, n in parts.items()]
    refused = refusals(sweep)
    if refused:
        lines.append(f"  {sum(refused.values()):,} cannot be built ({_share(sum(refused.values()), counts.points)})")
        lines += [f"    {n:,}: {reason}" for reason, n in list(refused.items())[:MOST_REASONS]]
        lines += [f"    and {len(refused) - MOST_REASONS:,} more reasons"] if len(refused) > MOST_REASONS else []
    return [*lines, *([f"  {counts.nan:,} are not a number"] if counts.nan else [])]


def _conditions(sweep: Result | Searched) -> dict[str, int]:
    """Points that fail each condition."""
    return {c.text: sweep.counts.infeasible.get(c.text, 0) for c in sweep.plan.constraints}


def refusals(sweep: Result | Searched) -> dict[str, int]:
    """Points whose network or program cannot be made, by reason, most first."""
    texts = _conditions(sweep)
    found = {t: n for t, n in sweep.counts.infeasible.items() if t not in texts and t.partition(": ")[0] not in texts}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %" if whole else "-"


def none_left(sweep: Result | Searched) -> str:
    """Why there is nothing to show."""
    counts, refused = sweep.counts, refusals(sweep)
    killers = sorted(_conditions(sweep).items(), key=lambda item: -item[1])
    words = [f"{text!r} rules out {failed:,}" for text, failed in killers if failed]
    words += [f"{sum(refused.values()):,} cannot be built ({next(iter(refused))})"] if refused else []
    words += [f"{counts.nan:,} are not a number"] if counts.nan else []
    return f"no point of {counts.points:,} satisfies every condition: {', '.join(words)}; relax one of them, or widen an axis"


def summary(sweep: Result | Searched) -> list[Any]:
    """What `hwsim sweep` prints."""
    plan = sweep.plan
    title = Text.assemble((model_words(plan), "bold"), f"; {space_words(plan)}")
    parts: list[Any] = [title, *(Text(line, style="dim") for line in count_lines(sweep)), Text()]
    parts += [Text(f"Best by {plan.best.text}"), points_table(plan, sweep.top())]
    if len(plan.objectives) > 1:
        front = sweep.pareto()
        said = f"Pareto front in {', '.join(o.text for o in plan.objectives)}: {len(front):,} points"
        parts += [Text(), Text(said + (f", the first {MOST_ROWS}" if len(front) > MOST_ROWS else "")), points_table(plan, front)]
    return parts


def model_words(plan: Plan) -> str:
    """Networks and devices."""
    lists = {a.name: a.values.items for a in plan.space.axes if a.name in ("model", "device") and isinstance(a.values, Choices)}
    words = [_some(lists.get(n, (getattr(plan.space.base, n),))) for n in ("model", "device")]
    return " on ".join(words)


def _some(items: Sequence[Any]) -> str:
    names = [v if isinstance(v, str) else getattr(v, "name", None) or getattr(v, "__name__", type(v).__name__) for v in items]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def space_words(plan: Plan) -> str:
    """How many points of which axes."""
    if plan.search:
        return f"search over {', '.join(short(a.name) for a in varying(plan))}"
    sizes = [f"{len(a.values) or 'range'} {short(a.name)}" for a in varying(plan)]
    how = "grid" if plan.space.sampling == "grid" else f"{plan.space.sampling} sample, seed {plan.space.seed}"
    return f"{how} over {' x '.join(sizes)}" if sizes else how


def document(sweep: Result | Searched) -> dict[str, Any]:
    """The JSON of a sweep; SI units, by the names of metrics and axes."""
    from hwsim import __version__

    plan = sweep.plan
    return {
        "hwsim": __version__,
        "model": model_words(plan).partition(" on ")[0],
        "axes": [{"name": a.name, "unit": a.unit, "values": len(a.values) or None} for a in plan.space.axes],
        "sampling": "search" if plan.search else plan.space.sampling,
        "seed": plan.space.seed,
        "counts": {
            "points": sweep.counts.points,
            "kept": sweep.counts.kept,
            "infeasible": dict(sweep.counts.infeasible),
            "nan": sweep.counts.nan,
        },
        "best_by": plan.best.text,
        "top": records(sweep.top()),
        "objectives": [o.text for o in plan.objectives],
        "pareto": records(sweep.pareto()),
        "warnings": list(plan.warnings),
    }
