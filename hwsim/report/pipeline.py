"""Pictures of a pipeline of instances: stacked resources against the capacity, and when each instance works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from hwsim.report import svg, text
from hwsim.report.family import instance_cell, instance_columns, instance_words
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Layer

HUES = 12
"""Colours of layers before they repeat."""
_LEFT, _RIGHT, _ROW = 120, 150, 30
_MARKS = (0.001, 0.01, 0.1, 0.25, 1.0)
"""Shares of the part that a scale may end at; beyond the whole part it goes on."""


def resource_bars(e: Estimate) -> str:
    """A bar a resource, a segment a layer, in shares of the capacity; what exceeds it runs over the mark at 100 %."""
    names = [n for n in text.resources(e) if n in e.cost.row_resources and _share(e, n) > 0]
    if not names:
        return ""
    most = max(_share(e, n) for n in names)
    mark = next((m for m in _MARKS if most <= m), 1.0)
    scale = (svg.WIDTH - _LEFT - _RIGHT) / max(most, mark)
    parts = [part for i, name in enumerate(names) for part in _stack(e, name, 6 + i * _ROW, scale)]
    full, height = _LEFT + mark * scale, 10 + _ROW * len(names)
    parts += [svg.line(full, 2, full, height, "tick"), svg.text(full, height + 14, f"{text.percent(mark)} of the part", "middle")]
    return _legend(e.layers) + svg.drawing(svg.WIDTH, height + 20, parts, "resources by layer")


def _share(e: Estimate, name: str) -> float:
    item = e.cost.resources[name]
    return float(item.used) / float(item.available) if float(item.available) > 0 else 0.0


def _stack(e: Estimate, name: str, top: float, scale: float) -> Iterator[str]:
    yield svg.text(_LEFT - 8, top + 17, name, "end", "name")
    left, available = float(_LEFT), float(e.cost.resources[name].available) or 1.0
    for i, layer in enumerate(e.layers):
        used = layer.resources.get(name, 0.0)
        width = used / available * scale
        tip = escape(f"{layer.name} ({layer.kind})\n{name} {used:,.0f}, {text.percent(used / available)} of the part")
        if used > 0:
            yield f'<rect class="bar l{i % HUES}" x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 10}" data-tip="{tip}"/>'
        left += width
    words = f"{float(e.cost.resources[name].used):,.0f}, {text.percent(_share(e, name))}"
    yield svg.text(max(left, _LEFT) + 7, top + 17, words, "start")


def timeline(e: Estimate) -> str:
    """When each instance works on one inference, from its first input to its last output."""
    spans = [span for span in _spans(e) if span[2] > span[1]]
    if not spans:
        return ""
    total = max(end for _, _, end in spans)
    scale = (svg.WIDTH - 230 - 110) / total
    parts = [part for i, (layer, start, end) in enumerate(spans) for part in _span(e, layer, start, end, 4 + i * 22, scale)]
    return svg.drawing(svg.WIDTH, 10 + 22 * len(spans), parts, "timeline in cycles")


def _spans(e: Estimate) -> Iterator[tuple[Layer, float, float]]:
    """Layer, first and last cycle: one after the other; what streams works on until the slowest layer before it is done."""
    at = 0.0
    for layer in e.layers:
        cycles = layer.extra.get("cycles", 0.0)
        start = 0.0 if layer.extra.get("streams") else at
        at = max(at, start + cycles)
        yield layer, start, at if cycles else start


def _span(e: Estimate, layer: Layer, start: float, end: float, top: float, scale: float) -> Iterator[str]:
    hue, cycles = e.layers.index(layer) % HUES, layer.extra.get("cycles", 0.0)
    interval = f"interval {layer.extra.get('interval_cycles', 0):,.0f} cycles"
    tip = escape(f"{layer.name} ({layer.kind})\n{cycles:,.0f} cycles, {format_si(layer.latency_s, 's')}\n{interval}")
    yield svg.text(222, top + 15, layer.name, "end", "name")
    for first, kind in ((start, "waits"), (end - cycles, "")):
        width = max((end - first) * scale, 1.5)
        place = f'x="{230 + first * scale:.1f}" y="{top + 4}" width="{width:.1f}" height="14"'
        yield f'<rect class="bar l{hue} {kind}" {place} data-tip="{tip}"/>'
    yield svg.text(236 + end * scale, top + 15, f"{cycles:,.0f}", "start")


def _legend(layers: Sequence[Layer]) -> str:
    items = "".join(
        f'<span><i class="l{i % HUES}"></i>{escape(layer.name)}</span>' for i, layer in enumerate(layers) if any(layer.resources.values())
    )
    return f'<div class="legend">{items}</div>'


def instance_table(e: Estimate) -> str:
    """All instances with the family's columns; a click on a heading sorts."""
    columns = instance_columns(e)
    if not columns:
        return ""
    head = "".join(
        f'<th class="sort{" num" if i > 1 else ""}">{escape(h)}</th>' for i, h in enumerate(("Layer", "Kind", *columns.values()))
    )
    words = {key: instance_words(e, key) for key in columns}
    rows = "".join(_row(layer, words) for layer in e.layers)
    return f'<table class="layers"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(layer: Layer, words: Mapping[str, Sequence[str]]) -> str:
    values = {key: layer.resources.get(key, layer.extra.get(key, 0.0)) for key in words}
    cells = "".join(f'<td class="num" data-v="{v:.6g}">{instance_cell(layer, key, words[key])}</td>' for key, v in values.items())
    return f'<tr><td class="path">{escape(layer.name)}</td><td>{escape(layer.kind)}</td>{cells}</tr>'
