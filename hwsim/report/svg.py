"""Plots as SVG text: the roofline and bars. Colours are classes of assets/report.css."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from hwsim.units import format_si

_COLOURED = ("compute", "memory", "overhead", "conversion", "static", "host")
_ALIASES = {
    "launch": "overhead",
    "bandwidth": "memory",
    "dram": "memory",
    "latency": "overhead",
    "frames": "compute",
    "electronics": "host",
}


def colour(name: str) -> str:
    """The class that colours a part or a bound."""
    first = name.partition(" ")[0]
    first = _ALIASES.get(first, first)
    return f"f-{first if first in _COLOURED else 'other'}"


@dataclass(frozen=True, slots=True)
class Point:
    """A kernel in the roofline plot."""

    intensity: float
    """FLOP a byte."""
    flop_per_s: float
    bound: str
    share_frac: float
    """Share of the time; the dot's area."""
    tip: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart."""

    label: str
    parts: Mapping[str, float]
    """Stacked from the left."""
    mark: float
    """A tick."""
    value: str
    tip: str


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis over whole decades."""

    low: int
    high: int
    start_px: float
    end_px: float

    @classmethod
    def over(cls, values: Sequence[float], start_px: float, end_px: float) -> _Axis:
        low = math.floor(math.log10(min(values)) - 0.05)
        return cls(low, max(low + 1, math.ceil(math.log10(max(values)) + 0.05)), start_px, end_px)

    def px(self, value: float) -> float:
        frac = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start_px + frac * (self.end_px - self.start_px)

    @property
    def decades(self) -> Iterable[float]:
        step = max(1, (self.high - self.low) // 8)
        return [10.0**k for k in range(self.low, self.high + 1, step)]

    @property
    def ends(self) -> tuple[float, float]:
        return 10.0**self.low, 10.0**self.high


WIDTH, HEIGHT = 1000, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 22, 14, 48


def roofline(points: Sequence[Point], roofs: Mapping[str, float]) -> str:
    """Achieved FLOP/s over operational intensity, with the roofs of the device where they are known.

    Args:
        roofs: `compute` in FLOP/s and `memory` in B/s, or empty.

    Source: Williams, Waterman, Patterson, Roofline, CACM 52(4), 2009.
    """
    if not points:
        return ""
    xs, ys = [p.intensity for p in points], [p.flop_per_s for p in points]
    if roofs:
        xs, ys = [*xs, roofs["compute"] / roofs["memory"]], [*ys, roofs["compute"]]
    x, y = _Axis.over(xs, _LEFT, WIDTH - _RIGHT), _Axis.over(ys, HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(x, y), *(_roofs(x, y, roofs) if roofs else []), *(_dot(p, x, y) for p in points)]
    return drawing(WIDTH, HEIGHT, parts, "roofline plot")


def drawing(width: float, height: float, parts: Iterable[str], label: str) -> str:
    """A drawing of `parts`."""
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _grid(x: _Axis, y: _Axis) -> Iterable[str]:
    for value in x.decades:
        yield line(x.px(value), y.start_px, x.px(value), y.end_px, "grid")
        yield text(x.px(value), HEIGHT - _BOTTOM + 18, f"{value:g}", "middle")
    for value in y.decades:
        yield line(x.start_px, y.px(value), x.end_px, y.px(value), "grid")
        yield text(_LEFT - 8, y.px(value) + 4, format_si(value, "FLOP/s", digits=1), "end")
    yield text((x.start_px + x.end_px) / 2, HEIGHT - 8, "operational intensity (FLOP per byte)", "middle")


def _roofs(x: _Axis, y: _Axis, roofs: Mapping[str, float]) -> Iterable[str]:
    compute, memory = roofs["compute"], roofs["memory"]
    start = max(x.ends[0], y.ends[0] / memory)
    corners = [(start, start * memory), (compute / memory, compute), (x.ends[1], compute)]
    yield f'<polyline class="roof" points="{" ".join(f"{x.px(a):.1f},{y.px(b):.1f}" for a, b in corners)}"/>'
    yield text(x.end_px - 4, y.px(compute) - 13, f"compute {format_si(compute, 'FLOP/s')}", "end", "name")
    middle = math.sqrt(start * compute / memory)
    yield text(x.px(middle) - 8, y.px(middle * memory) - 6, f"memory {format_si(memory, 'B/s')}", "end", "name")


def _dot(p: Point, x: _Axis, y: _Axis) -> str:
    radius = 3.5 + 22 * math.sqrt(min(p.share_frac, 0.25))
    place = f'cx="{x.px(p.intensity):.1f}" cy="{y.px(p.flop_per_s):.1f}" r="{radius:.1f}"'
    return f'<circle class="dot {colour(p.bound)}" {place} data-tip="{escape(p.tip)}"/>'


_ROW, _NAME = 22, 230


def bars(rows: Sequence[Bar], *, unit: str = "s") -> str:
    """Horizontal stacked bars with a tick each, all on one linear scale."""
    if not rows:
        return ""
    most = max(max(sum(r.parts.values()), r.mark) for r in rows) or 1.0
    scale = (WIDTH - _NAME - 90) / most
    parts = [part for i, row in enumerate(rows) for part in _bar(row, 4 + i * _ROW, scale)]
    return drawing(WIDTH, 8 + _ROW * len(rows), parts, f"bars in {unit}")


def _bar(row: Bar, top: float, scale: float) -> Iterable[str]:
    yield f'<g data-tip="{escape(row.tip)}"><rect x="0" y="{top}" width="{WIDTH}" height="{_ROW}" fill="transparent"/>'
    yield text(_NAME - 8, top + 15, _short(row.label), "end", "name")
    left = float(_NAME)
    for name, value in row.parts.items():
        yield f'<rect class="bar {colour(name)}" x="{left:.1f}" y="{top + 4}" width="{value * scale:.1f}" height="{_ROW - 8}"/>'
        left += value * scale
    mark = _NAME + row.mark * scale
    yield line(mark, top + 2, mark, top + _ROW - 2, "tick")
    yield text(max(left, mark) + 7, top + 15, row.value, "start") + "</g>"


def _short(label: str, most: int = 34) -> str:
    return label if len(label) <= most else f"…{label[1 - most :]}"


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    """A piece of text."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
