"""Plots of trained surrogates as SVG text: predicted over measured, and losses by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from hwsim.report import svg
from hwsim.units import format_si

WIDTH, HEIGHT = 560, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 14, 12, 44
MOST = 1500
"""Points that are drawn; of more, these are drawn at random."""


@dataclass(frozen=True)
class Parity:
    """What one plot shows, shape `(points,)` each."""

    measured: np.ndarray
    found: np.ndarray
    closed: np.ndarray
    tips: Sequence[str]
    unit: str
    """`1` of counts, which may be zero."""
    band: tuple[float, float] | None = None
    """Least and greatest measured over predicted that a range allows."""


@dataclass(frozen=True)
class _Scale:
    """Decades of `value + shift` from one end of an axis to the other."""

    low: float
    high: float
    start_px: float
    end_px: float
    shift: float

    def px(self, value: float) -> float:
        at = math.log10(max(value + self.shift, 1e-300))
        return self.start_px + (min(max(at, self.low), self.high) - self.low) / (self.high - self.low) * (self.end_px - self.start_px)

    def ticks(self) -> Iterable[float]:
        """Whole decades, or more of each where there are few."""
        first, last = math.floor(self.low), math.ceil(self.high)
        span = self.high - self.low
        steps = (1.0,) if span > 2.2 else (1.0, 2.0, 5.0) if span > 1.0 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
        every = max(1, (last - first) // 7)
        values = [m * 10.0**k for k in range(first, last + 1, every) for m in steps]
        zero = [0.0] if self.shift and self.low <= 0 else []
        return [*zero, *(v for v in values if self.low <= math.log10(v + self.shift) <= self.high)]


def parity(shown: Parity) -> str:
    """Predicted over measured on logarithmic axes, with the band of the range and the closed form as rings."""
    count = len(shown.measured)
    kept = np.arange(count) if count <= MOST else np.sort(np.random.default_rng(0).choice(count, MOST, replace=False))
    shift = 1.0 if shown.unit == "1" else 0.0
    x, y = _scales([shown.measured[kept], shown.found[kept], shown.closed[kept]], shift)
    parts = [*_frame(x, y, shown.unit), *_band(x, y, shown.band), svg.line(x.start_px, y.start_px, x.end_px, y.end_px, "even")]
    parts += [_ring(x.px(shown.measured[i]), y.px(shown.closed[i])) for i in kept]
    parts += [_dot(x.px(shown.measured[i]), y.px(shown.found[i]), shown.tips[i]) for i in kept.tolist()]
    return svg.drawing(WIDTH, HEIGHT, parts, "predicted over measured")


def _scales(values: Sequence[np.ndarray], shift: float) -> tuple[_Scale, _Scale]:
    """Both axes over the same values."""
    whole = np.concatenate(values)
    whole = np.log10(np.maximum(whole[np.isfinite(whole) & (whole + shift > 0)] + shift, 1e-300))
    low, high = (float(whole.min()), float(whole.max())) if len(whole) else (0.0, 1.0)
    room = max(0.04 * (high - low), 0.03)
    ends = (low - room if low > 0 or not shift else low, high + room)
    return _Scale(*ends, _LEFT, WIDTH - _RIGHT, shift), _Scale(*ends, HEIGHT - _BOTTOM, _TOP, shift)


def _frame(x: _Scale, y: _Scale, unit: str) -> Iterable[str]:
    for value in x.ticks():
        yield svg.line(x.px(value), y.start_px, x.px(value), y.end_px, "grid")
        yield svg.text(x.px(value), HEIGHT - _BOTTOM + 17, amount(value, unit), "middle")
        yield svg.line(x.start_px, y.px(value), x.end_px, y.px(value), "grid")
        yield svg.text(_LEFT - 7, y.px(value) + 4, amount(value, unit), "end")
    yield svg.text((x.start_px + x.end_px) / 2, HEIGHT - 6, "measured", "middle")
    middle = (y.start_px + y.end_px) / 2
    yield f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">predicted</text>'


def amount(value: float, unit: str) -> str:
    """A value with its unit, short.

    >>> amount(0.002, "s"), amount(15000.0, "1"), amount(0.0, "1")
    ('2 ms', '15 k', '0')
    """
    return "0" if value == 0 else format_si(value, "" if unit == "1" else unit, digits=2).replace(".0", "")


def exact(value: float, unit: str) -> str:
    """A value with its unit, for tips."""
    return f"{value:,.0f}" if unit == "1" else format_si(value, unit)


def _band(x: _Scale, y: _Scale, band: tuple[float, float] | None) -> Iterable[str]:
    """Predictions whose range holds the measured value: measured over predicted within the band."""
    if band is None or not all(math.isfinite(end) and end > 0 for end in band):
        return
    low, high = (math.log10(end) for end in band)
    at = [x.low, x.high]
    upper = [(v, v - low) for v in at]
    lower = [(v, v - high) for v in reversed(at)]
    corners = [(x.start_px + (a - x.low) / (x.high - x.low) * (x.end_px - x.start_px), _along(y, b)) for a, b in (*upper, *lower)]
    inner = f'width="{WIDTH - _LEFT - _RIGHT}" height="{HEIGHT - _TOP - _BOTTOM}"'
    clip = f'<clipPath id="frame"><rect x="{_LEFT}" y="{_TOP}" {inner}/></clipPath>'
    yield f'{clip}<polygon class="band" clip-path="url(#frame)" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}"/>'


def _along(y: _Scale, at: float) -> float:
    return y.start_px + (at - y.low) / (y.high - y.low) * (y.end_px - y.start_px)


def _ring(x: float, y: float) -> str:
    return f'<circle class="before" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'


def _dot(x: float, y: float, tip: str) -> str:
    return f'<circle class="dot f-compute" cx="{x:.1f}" cy="{y:.1f}" r="3.4" data-tip="{escape(tip)}"/>'


def curves(series: Mapping[str, Sequence[Mapping[str, float]]], *, most: int = 6) -> str:
    """Loss by epoch on a logarithmic axis: training as a line, validation dashed.

    Args:
        series: entries of a log by name of the run; each has `epoch`, `loss` and, where it was watched, `validation`.
        most: runs that get a colour; of more, the colours repeat.
    """
    losses = [e[k] for entries in series.values() for e in entries for k in ("loss", "validation") if e.get(k, 0) > 0]
    if not losses:
        return ""
    low, high = math.log10(min(losses)), math.log10(max(losses))
    room = max(0.04 * (high - low), 0.03)
    y = _Scale(low - room, high + room, HEIGHT - _BOTTOM, _TOP, 0.0)
    last = max(max(e["epoch"] for e in entries) for entries in series.values() if entries)
    width = 2 * WIDTH
    span = max(last, 1)

    def px(epoch: float) -> float:
        return _LEFT + epoch / span * (width - _LEFT - _RIGHT)

    parts = []
    for value in y.ticks():
        parts += [
            svg.line(_LEFT, y.px(value), width - _RIGHT, y.px(value), "grid"),
            svg.text(_LEFT - 7, y.px(value) + 4, f"{value:g}", "end"),
        ]
    for epoch in range(0, int(span) + 1, max(1, int(span) // 10)):
        parts.append(svg.text(px(epoch), HEIGHT - _BOTTOM + 17, f"{epoch + 1}", "middle"))
    parts.append(svg.text(width / 2, HEIGHT - 6, "epoch", "middle"))
    for i, (name, entries) in enumerate(series.items()):
        parts += [_curve(name, entries, key, f"curve c{i % most}{kind}", px, y) for key, kind in (("loss", ""), ("validation", " held"))]
    return svg.drawing(width, HEIGHT, parts, "loss by epoch")


def _curve(name: str, entries: Sequence[Mapping[str, float]], key: str, kind: str, px: Callable[[float], float], y: _Scale) -> str:
    points = [(e["epoch"], e[key]) for e in entries if e.get(key, 0) > 0]
    if not points:
        return ""
    drawn = " ".join(f"{px(epoch):.1f},{y.px(value):.1f}" for epoch, value in points)
    tip = f"{name}\n{key} {points[-1][1]:.4g} after epoch {points[-1][0] + 1:g}"
    return f'<polyline class="{kind}" points="{drawn}" data-tip="{escape(tip)}"/>'
