"""Estimates as self-contained HTML: no network, light and dark, a few lines of script for tips and sorting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from hwsim.report import conventions, svg, text
from hwsim.report.cards import cards, legend
from hwsim.report.family import pictures
from hwsim.report.fold import MOST_ROWS, Block, default_view, fold, slowest
from hwsim.report.pipeline import instance_table, resource_bars, timeline
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Layer


def estimate_html(estimate: Estimate) -> str:
    """The whole page of one estimate."""
    title = f"{estimate.model} on {estimate.target}"
    body = [_heading(estimate), cards(estimate), _warnings(estimate), *_phases(estimate), _conventions(estimate), _sources(estimate)]
    return page(title, body)


def estimate_fragment(estimate: Estimate) -> str:
    """Cards and bars for a notebook, without script."""
    return f'<style>{_asset("report.css")}</style><div class="hwsim">{_heading(estimate)}{cards(estimate)}{_bars(estimate)}</div>'


def comparison_html(estimates: Sequence[Estimate]) -> str:
    """The page of one network on several devices."""
    first = estimates[0]
    heading = (
        f'<h1>{escape(first.model)}</h1><p class="sub">{escape("; ".join(filter(None, (text.shape(first), text.mapping(first)))))}</p>'
    )
    latency = _device_bars([_latency_bar(e) for e in estimates], "s")
    energy = _device_bars([_energy_bar(e) for e in estimates], "J")
    decode = _device_bars([_latency_bar(e.decode) for e in estimates if e.decode is not None], "s")
    body = [
        heading,
        _section("Totals", _totals(estimates)),
        _section("Latency", latency, "Colours: what binds the kernels."),
        _section("Time per output token", decode, "Colours: what binds the kernels."),
        _section("Energy", energy),
        *(_warnings(e) for e in estimates),
    ]
    return page(f"{first.model}: comparison", body)


def page(title: str, body: Iterable[str]) -> str:
    """A page around `body`."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
    style, script = f"<style>{_asset('report.css')}</style>", f"<script>{_asset('report.js')}</script>"
    inner = "\n".join(part for part in body if part)
    start = f'<!doctype html>\n<html lang="en"><head>{head}{style}</head><body class="hwsim">\n'
    return f'{start}{inner}\n<div id="tip"></div>{script}</body></html>\n'


def _asset(name: str) -> str:
    return resources.files("hwsim.report").joinpath("assets", name).read_text(encoding="utf-8")


def _heading(e: Estimate) -> str:
    words = "; ".join(filter(None, (text.shape(e), text.mapping(e), e.method)))
    return f'<h1>{escape(e.model)} on {escape(e.target)}</h1><p class="sub">{escape(words)}</p>'


def _warnings(e: Estimate) -> str:
    return "".join(f'<p class="warning">{escape(e.target)}: {escape(line)}</p>' for line in e.warnings)


def _section(title: str, inner: str, note: str = "") -> str:
    if not inner:
        return ""
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<h2>{escape(title)}</h2><div class="panel">{inner}{remark}</div>'


def _phases(estimate: Estimate) -> Iterable[str]:
    steps = [("", estimate)] if estimate.decode is None else [("prefill: ", estimate), ("decode: ", estimate.decode)]
    for label, e in steps:
        yield _section(f"{label}roofline".capitalize(), _roofline(e), "Area of a dot: share of the time. Colour: what binds the kernel.")
        yield _section(f"{label}time by block".capitalize(), _bars(e), _BAR_NOTE)
        for title, drawing, note in pictures(e):
            yield _section(f"{label}{title}".capitalize(), drawing, note)
        yield _section(f"{label}resources by layer".capitalize(), resource_bars(e), "Segments: layers. Hover for counts.")
        yield _section(
            f"{label}pipeline".capitalize(),
            timeline(e) if e.cost.row_resources else "",
            "Cycles of a layer; pale: it waits for what streams in.",
        )
        yield _section(f"{label}instances".capitalize(), instance_table(e))
        yield _section(f"{label}kernels".capitalize(), layer_table(e.layers))


def _roofline(e: Estimate) -> str:
    if e.cost.row_resources and not roofs(e):
        return ""  # instances of their own share no roof
    points = [p for p in (_point(layer, e.latency_s) for layer in e.layers) if p is not None]
    drawn = svg.roofline(points, roofs(e))
    return legend(dict.fromkeys(p.bound for p in points)) + drawn if drawn else ""


def roofs(e: Estimate) -> Mapping[str, float]:
    """Peaks of the device, `compute` in FLOP/s and `memory` in B/s, where its family tells them (`Target.roofs`)."""
    from hwsim import plugins

    if e.program.family not in plugins.available("hwsim.targets"):
        return {}
    told = getattr(plugins.load("hwsim.targets", e.program.family), "roofs", None)
    found = {} if told is None else {name: float(value) for name, value in told(e.device, e.mapping).items()}
    return found if found.get("compute", 0) > 0 and found.get("memory", 0) > 0 else {}


def _point(layer: Layer, total_s: float) -> svg.Point | None:
    flop, moved = 2.0 * layer.macs + layer.ops, layer.read_b + layer.written_b
    if not (flop > 0 and moved > 0 and layer.latency_s > 0):
        return None
    share = layer.latency_s / total_s if total_s else 0.0
    lines = (
        layer.path or layer.name,
        f"{layer.kind}: {format_si(layer.latency_s, 's')}, {text.percent(share)}",
        f"{format_si(flop / layer.latency_s, 'FLOP/s')} at {flop / moved:.3g} FLOP/B",
        f"binds: {layer.bound}",
    )
    return svg.Point(flop / moved, flop / layer.latency_s, layer.bound, share, "\n".join(lines))


def _bars(e: Estimate) -> str:
    blocks, others = slowest(fold(e.layers, default_view(e.layers)), top=MOST_ROWS)
    rows = [_bar(block) for block in [*blocks, *([others] if others else [])]]
    return legend(dict.fromkeys(name for row in rows for name in row.parts)) + svg.bars(rows) if rows else ""


def _bar(block: Block) -> svg.Bar:
    parts: dict[str, float] = {}
    for layer in block.layers:
        for name, value in layer.parts_s.items():
            parts[name] = parts.get(name, 0.0) + value
    shown = {name: value for name, value in parts.items() if value > 0}
    time = format_si(block.latency_s, "s")
    tip = [block.name, f"takes {time}", *(f"{name} {format_si(value, 's')}" for name, value in shown.items())]
    return svg.Bar(block.name, shown, block.latency_s, time, "\n".join(tip))


_BAR_NOTE = "Colours: demand on each unit, which may overlap. Tick: time that it takes. Star: repeated blocks together."
_HEADS = ("#", "Kernel", "Kind", "Time", "Share", "Energy", "MACs", "Bytes", "FLOP/B", "Binds")


def layer_table(layers: Sequence[Layer]) -> str:
    """All kernels; a click on a heading sorts."""
    total = sum(layer.latency_s for layer in layers) or 1.0
    head = "".join(f'<th class="sort{_num(h)}">{h}</th>' for h in _HEADS)
    rows = "".join(_layer_row(i, layer, total) for i, layer in enumerate(layers, start=1))
    search = '<input type="search" placeholder="Filter kernels" aria-label="Filter kernels">'
    return f'{search}<table class="layers"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _num(heading: str) -> str:
    return "" if heading in ("Kernel", "Kind", "Binds") else " num"


def _layer_row(position: int, layer: Layer, total_s: float) -> str:
    moved, frac = layer.read_b + layer.written_b, layer.latency_s / total_s
    intensity = (2 * layer.macs + layer.ops) / moved if moved else 0.0
    cells = (
        (position, str(position)),
        (layer.latency_s, format_si(layer.latency_s, "s")),
        (frac, text.percent(frac)),
        (layer.energy_j, format_si(layer.energy_j, "J")),
        (layer.macs, text.count(layer.macs)),
        (moved, format_si(moved, "B")),
        (intensity, f"{intensity:,.0f}" if intensity >= 100 else f"{intensity:.3g}"),
    )
    first, *others = (f'<td class="num" data-v="{value:.6g}">{escape(shown)}</td>' for value, shown in cells)
    where = f'<td class="path">{escape(layer.path or layer.name)}</td><td>{escape(layer.kind)}</td>'
    return f"<tr>{first}{where}{''.join(others)}<td>{escape(layer.bound)}</td></tr>"


def _conventions(e: Estimate) -> str:
    """A section of its own: energies by conventions are none of the device."""
    if not e.conventions:
        return ""
    heads, found = (*conventions.HEADS, "Source"), zip(conventions.rows(e.conventions), e.conventions, strict=True)
    table = plain_table(heads, [(*row, c.convention.source) for row, c in found])
    return _section(conventions.TITLE, table, " ".join(filter(None, (conventions.NOTE, conventions.assumed(e.conventions)))))


def _sources(e: Estimate) -> str:
    rows = [(name, text.quantity(q), q.status, text.source_of(q)) for name, q in e.facts.items()]
    return _section("Constants that matter", plain_table(("Quantity", "Value", "Status", "Source"), rows)) if rows else ""


def plain_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _totals(estimates: Sequence[Estimate]) -> str:
    heads = ("Device", "Latency", "90 % range", "vs first", "Samples/s", "Energy", "Mean power", "Memory", "Binds", "Verdict")
    return plain_table(heads, [_totals_row(e, estimates[0]) for e in estimates])


def _totals_row(e: Estimate, first: Estimate) -> list[str]:
    return [
        e.target,
        format_si(e.latency_s, "s"),
        text.interval(e.latency_interval, "s"),
        text.ratio(e.latency_s, first.latency_s),
        text.rate(e.throughput_per_s),
        format_si(e.energy_j, "J"),
        format_si(e.power_w, "W"),
        text.memory(e),
        next(iter(e.bound_share()), "-"),
        text.verdict(e),
    ]


def _device_bars(rows: Sequence[svg.Bar], unit: str) -> str:
    return legend(dict.fromkeys(name for row in rows for name in row.parts)) + svg.bars(rows, unit=unit) if rows else ""


def _latency_bar(e: Estimate) -> svg.Bar:
    """The latency, split by what binds the kernels."""
    shown = format_si(e.latency_s, "s")
    shares = {name: frac * e.latency_s for name, frac in e.bound_share().items()}
    return svg.Bar(e.target, shares, e.latency_s, shown, _tip(e.target, shown, shares, "s"))


def _energy_bar(e: Estimate) -> svg.Bar:
    """The energy by its parts."""
    shown = format_si(e.energy_j, "J")
    parts = {name: float(value) for name, value in e.cost.energy_j.items() if float(value) > 0}
    return svg.Bar(e.target, parts, e.energy_j, shown, _tip(e.target, shown, parts, "J"))


def _tip(name: str, total: str, parts: Mapping[str, float], unit: str) -> str:
    return "\n".join([name, total, *(f"{part} {format_si(value, unit)}" for part, value in parts.items())])
