"""A sweep as one page that needs no network: the front, parallel coordinates, what matters, and the best points."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import HwsimError, MissingExtra
from hwsim.report.html import page, plain_table
from hwsim.report.sweep_text import columns_of, count_lines, heading, metric_text, model_words, short, space_words, value_text, varying
from hwsim.sweep.constraints import unit_of

if TYPE_CHECKING:
    from hwsim.search.result import Searched
    from hwsim.sweep.plan import Plan
    from hwsim.sweep.result import Designs, Result

CLOUD = 2500
"""Points that are drawn beside the front."""
MOST_FRONT = 1500
MOST_ROWS = 50


def sweep_html(result: Result | Searched) -> str:
    """The whole page; plotly's own script is part of it, which makes it about 5 MB.

    Raises:
        MissingExtra: plotly is not installed.
    """
    plan = result.plan
    front = result.pareto().of(slice(0, MOST_FRONT))
    cloud, failed = result.cloud(CLOUD)
    data = {**_plot_data(plan, front, cloud), "sobol": _sobol(plan), "swings": _swings(result)}
    body = [
        f'<h1>{escape(model_words(plan))}</h1><p class="sub">{escape(space_words(plan))}</p>',
        _cards(result),
        _section("Pareto front", _front_controls(), _front_note(plan, len(cloud), failed)),
        _section(
            "Parallel coordinates", '<div id="parallel" class="plot"></div>', "Drag along an axis to keep a range; drag a name to move it."
        ),
        _section("What matters over the whole space", '<div id="sobol" class="plot"></div>', _SOBOL_NOTE) if data["sobol"] else "",
        _section("What matters at the best point", '<div id="swings" class="plot"></div>', _SWING_NOTE) if data["swings"] else "",
        _section(f"Best by {plan.best.text}", _table(plan, result.top())),
        _section(f"Front in {', '.join(o.text for o in plan.objectives)}", _table(plan, front)) if len(plan.objectives) > 1 else "",
        f"<script>{_plotly()}</script>",
        f'<script id="sweep" type="application/json">{_json(data)}</script>',
        f"<style>{_asset('sweep.css')}</style><script>{_asset('sweep.js')}</script>",
    ]
    return page(f"{model_words(plan)}: sweep", body)


_SOBOL_NOTE = (
    "Sobol indices: the share of a metric's variance that an axis explains alone (solid), and together with others (pale), "
    "every axis uniform over its values."
)
_SWING_NOTE = "One axis at a time over its range, the others at the best point; conditions are not applied."


def _asset(name: str) -> str:
    return resources.files("hwsim.report").joinpath("assets", name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError:
        raise MissingExtra("plotly", "plots") from None


def _json(data: Any) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("</", "<\\/")


def _section(title: str, inner: str, note: str = "") -> str:
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<h2>{escape(title)}</h2><div class="panel">{inner}{remark}</div>'


def _cards(result: Result | Searched) -> str:
    plan, counts = result.plan, result.counts
    best = result.best()
    metric = plan.best.metric
    ruled = ", ".join(line.strip() for line in count_lines(result)[1:]) or "all satisfy every condition"
    where = "; ".join(f"{short(a.name)} {value_text(best.axes[a.name], a)}" for a in varying(plan))
    cards = [
        ("Points", f"{counts.points:,}", f"{counts.kept:,} kept; {ruled}"),
        (
            f"Best {_label(metric).lower() if unit_of(metric) else _label(metric)}",
            metric_text(metric, float(best.metrics[metric])),
            f"point {best.index}: {where}",
        ),
        ("On the front", f"{len(result.pareto()):,}", ", ".join(o.text for o in plan.objectives)),
    ]
    inner = "".join(
        f'<div class="card{" wide" * (i == 1)}"><div class="label">{escape(a)}</div><div class="value">{escape(b)}</div>'
        f'<div class="more">{escape(c)}</div></div>'
        for i, (a, b, c) in enumerate(cards)
    )
    return f'<div class="cards">{inner}</div>'


def _front_controls() -> str:
    select = '<label>{0} <select id="{1}"></select></label>'
    picks = "".join(select.format(*p) for p in (("x", "pick-x"), ("y", "pick-y"), ("colour", "pick-colour")))
    logs = '<label><input type="checkbox" id="log-x"> log x</label><label><input type="checkbox" id="log-y"> log y</label>'
    return f'<div class="picks">{picks}{logs}</div><div id="front" class="plot tall"></div>'


def _front_note(plan: Plan, drawn: int, failed: int) -> str:
    if plan.search:
        return f"Large dots: the front. Small dots: {drawn:,} designs that were tried; {failed:,} fail a condition. Hover for the design."
    whole = "all" if plan.space.count <= drawn + failed else f"{drawn + failed:,} drawn at random"
    words = f"Large dots: the front. Small dots: {whole} of {plan.space.count:,} points"
    return f"{words}, less {failed:,} that fail a condition. Hover for the design."


def _plot_data(plan: Plan, front: Designs, cloud: Designs) -> dict[str, Any]:
    objectives = [o.metric for o in plan.objectives]
    seen = {n: np.concatenate([front.metrics[n], cloud.metrics.get(n, np.array([]))]) for n in front.metrics}
    names = [n for n, v in seen.items() if plan.known.get(n) != "bool" and np.all(np.isfinite(v)) and (np.ptp(v) > 0 or n in objectives)]
    names = [*objectives, *(n for n in names if n not in objectives)]
    others = [n for n in ("energy_j", "memory_b", "latency_s") if n not in objectives and n in names]
    return {
        "metrics": {n: {"label": _label(n), "unit": unit_of(n).replace("1/s", "/s").replace("bool", "")} for n in names},
        "axes": {a.name: {"label": short(a.name), "unit": a.unit, "log": bool(getattr(a.values, "log", False))} for a in varying(plan)},
        "x": objectives[0],
        "y": objectives[1] if len(objectives) > 1 else others[0] if others else objectives[0],
        "objectives": objectives,
        "maximise": [o.metric for o in plan.objectives if o.maximise],
        "front": _points(plan, front, names),
        "cloud": _points(plan, cloud, names),
    }


def _points(plan: Plan, designs: Designs, names: Sequence[str]) -> dict[str, Any]:
    axes, metrics = designs.axes, designs.metrics
    columns = {n: [_number(v) for v in metrics[n].tolist()] for n in names}
    chosen = {a.name: [value_text(v, a) if not isinstance(v, int | float) else v for v in axes[a.name].tolist()] for a in varying(plan)}
    return {"metrics": columns, "axes": chosen, "hover": list(_hovers(plan, designs.index, axes, metrics))}


def _label(metric: str) -> str:
    return "Throughput" if metric == "throughput_per_s" else heading(metric)


def _number(value: Any) -> float | None:
    """Seven digits do for a plot."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def _hovers(plan: Plan, index: np.ndarray, axes: Any, metrics: Any) -> Iterable[str]:
    shown = columns_of(plan)
    for i, number in enumerate(index):
        design = [f"{escape(short(a.name))}: <b>{escape(value_text(_item(axes[a.name][i]), a))}</b>" for a in varying(plan)]
        costs = [f"{escape(heading(n))}: {escape(metric_text(n, float(metrics[n][i])))}" for n in shown]
        yield "<br>".join([f"point {int(number)}", *design, *costs])


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _sobol(plan: Plan) -> list[dict[str, Any]]:
    from hwsim.sweep.sensitivity import sobol

    names = [n for n in dict.fromkeys(o.metric for o in (*plan.objectives, plan.best)) if n not in plan.extra]
    try:
        found = sobol(plan.space, names)
    except (HwsimError, ValueError):
        return []
    return [
        {"label": _label(i.metric), "axes": [short(a) for a in i.axes], "first": _shares(i.first), "total": _shares(i.total)} for i in found
    ]


def _shares(values: np.ndarray) -> list[float]:
    return [round(float(np.clip(np.nan_to_num(v), 0, 1)), 4) for v in values]


def _swings(result: Result | Searched) -> dict[str, Any]:
    from hwsim.sweep.sensitivity import swings

    plan, best = result.plan, result.best()
    metric = plan.best.metric
    axes = {a.name: a for a in plan.space.axes}
    rows = []
    for s in swings(plan.space, best.axes, metric):
        places = [int(np.nanargmin(s.metric)), int(np.nanargmax(s.metric))]
        ends = [value_text(_item(s.values[p]), axes[s.axis]) for p in places]
        rows.append({"axis": short(s.axis), "low": _number(s.low), "high": _number(s.high), "ends": ends})
    unit = unit_of(metric)
    return {"label": _label(metric), "unit": unit, "base": _number(float(best.metrics[metric])), "rows": rows} if rows else {}


def _table(plan: Plan, designs: Designs) -> str:
    axes, names = varying(plan), columns_of(plan)
    rows = [
        [str(d.index), *(value_text(d.axes[a.name], a) for a in axes), *(metric_text(n, float(d.metrics[n])) for n in names)]
        for d in designs.of(slice(0, MOST_ROWS))
    ]
    more = f'<p class="note">The first {MOST_ROWS} of {len(designs):,}.</p>' if len(designs) > MOST_ROWS else ""
    return plain_table(("Point", *(short(a.name) for a in axes), *(heading(n) for n in names)), rows) + more
