"""Pictures of an estimate on a 4f bench: what each layer spends on passes, conversion and electronics, and energy against precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from hwsim.estimate import Estimate, Layer
from hwsim.report import svg
from hwsim.report.cards import legend
from hwsim.sweep import evaluate
from hwsim.targets.optical.precision import bits_of
from hwsim.units import format_si

MOST_LAYERS = 40
TIME_PARTS = {"compute": "frames of the bench", "conversion": "camera readout beyond them", "host": "electronics"}
ENERGY_PARTS = {"compute": "light", "conversion": "conversion", "static": "static", "host": "electronics"}
BITS = tuple(range(3, 13))
LIGHT = tuple(10.0 ** (k / 4) for k in range(-12, 13))
"""Factors of the laser's power."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 430, 70, 70, 16, 52


def pictures(target: Any, e: Estimate) -> Sequence[tuple[str, str, str]]:
    """Title, drawing and remark of each picture that has something to show."""
    drawn = [
        ("time by layer and cause", time_bars(e), "Passes through the bench, readout and electronics follow each other. Hover for counts."),
        ("energy by layer and cause", energy_bars(e), "Light: laser and detectors. Conversion: patterns written, camera values converted."),
        ("energy against precision", pareto(target, e), PARETO_NOTE),
    ]
    return [item for item in drawn if item[1]]


def _shown(e: Estimate, amount: Any) -> list[Layer]:
    """The layers with the largest amounts, in their order."""
    kept = {layer.name for layer in sorted(e.layers, key=lambda layer: -amount(layer))[:MOST_LAYERS] if amount(layer) > 0}
    return [layer for layer in e.layers if layer.name in kept]


def time_bars(e: Estimate) -> str:
    """A bar a layer: frames, readout, electronics."""
    rows = []
    for layer in _shown(e, lambda layer: layer.latency_s):
        tip = [layer.name, *(f"{TIME_PARTS[k]} {format_si(v, 's')}" for k, v in layer.parts_s.items() if v > 0 and k in TIME_PARTS)]
        rows.append(
            svg.Bar(layer.name, layer.parts_s, layer.latency_s, format_si(layer.latency_s, "s"), "\n".join([*tip, *_counts(layer)]))
        )
    return legend(TIME_PARTS) + svg.bars(rows) if rows else ""


def energy_bars(e: Estimate) -> str:
    """A bar a layer: light, conversion, static, electronics."""
    keys = {"compute": "optics_j", "conversion": "conversion_j", "static": "static_j", "host": "electronics_j"}
    rows = []
    for layer in _shown(e, lambda layer: layer.energy_j):
        parts = {part: layer.extra[key] for part, key in keys.items()}
        tip = [layer.name, *(f"{ENERGY_PARTS[k]} {format_si(v, 'J')}" for k, v in parts.items() if v > 0), *_counts(layer)]
        rows.append(svg.Bar(layer.name, parts, layer.energy_j, format_si(layer.energy_j, "J"), "\n".join(tip)))
    return legend(ENERGY_PARTS) + svg.bars(rows, unit="J") if rows else ""


def _counts(layer: Layer) -> Iterator[str]:
    if layer.resources.get("frames"):
        yield f"{layer.resources['frames']:,.0f} frames, {layer.extra['convolutions']:,.0f} convolutions"
        yield f"{layer.extra['tiles']:,.0f} tiles a frame, {layer.extra['masks']:,.0f} masks"


@dataclass(frozen=True)
class Trade:
    """Points of the trade of energy against precision."""

    bits: np.ndarray
    light: np.ndarray
    energy_j: np.ndarray
    effective_bits: np.ndarray
    front: np.ndarray
    """Whether no other point has as many effective bits for less energy."""


def trade(target: Any, e: Estimate) -> Trade:
    """Energy of light and conversion, and the worst layer's effective bits, over bits of the converters and the laser's power."""
    bits, light = (a.ravel() for a in np.meshgrid(np.array(BITS, dtype=float), np.array(LIGHT), indexing="ij"))
    vary = {"input_bits": bits, "mask_bits": bits, "camera_bits": bits, "laser_w": light * float(e.device.laser_w)}
    anyway = float(e.cost.energy_j.static + e.cost.energy_j.host)
    energy = evaluate(target, e.program, device=e.device, mapping=e.mapping, vary=vary).energy_j - anyway
    found = bits_of(e.program, device=e.device, mapping=e.mapping, vary=vary)
    some = found > 0
    return Trade(bits[some], light[some], energy[some], found[some], _front(energy[some], found[some]))


def _front(energy: np.ndarray, bits: np.ndarray) -> np.ndarray:
    order = np.lexsort((-bits, energy))
    best = np.maximum.accumulate(bits[order])
    front = np.zeros(len(bits), dtype=bool)
    front[order] = bits[order] > np.concatenate([[-np.inf], best[:-1]])
    return front


PARETO_NOTE = (
    "Worst layer's effective bits by the error model, over light and conversion; what flows anyway and electronics do not depend on them. "
    "A line: one bit depth of modulator, mask and camera, the laser's power varied by a factor of a million. Large dots: no other point is "
    "as precise for less. Points without any bit are left out."
)


def pareto(target: Any, e: Estimate) -> str:
    """Energy against effective bits; empty where there is no light to trade or no convolution."""
    if float(e.device.laser_w) == 0 or "effective_bits" not in e.cost.extra:
        return ""
    found = trade(target, e)
    if not found.bits.size:
        return ""
    parts_j = e.cost.energy_j
    here = (float(parts_j.compute + parts_j.overhead + parts_j.conversion), float(e.cost.extra["effective_bits"]))
    energies, depths = np.append(found.energy_j, here[0]), np.append(found.effective_bits, here[1])
    low, high = np.floor(np.log10(energies.min()) * 2) / 2, np.ceil(np.log10(energies.max()) * 2) / 2
    bottom, top = min(0.0, np.floor(depths.min())), np.ceil(depths.max())

    def place(energy: float, depth: float) -> tuple[float, float]:
        x = LEFT + (np.log10(energy) - low) / max(high - low, 0.5) * (WIDTH - LEFT - RIGHT)
        return float(x), float(HEIGHT - BOTTOM - (depth - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM))

    parts = [*_axes(place, low, high, bottom, top), *_lines(found, place), *_dots(found, place)]
    x, y = place(*here)
    parts += [f'<circle class="dot f-memory" cx="{x:.1f}" cy="{y:.1f}" r="7" data-tip="{_tip("this bench", *here)}"/>']
    parts += [svg.text(x + 11, y + 16, "this bench", "start", "name")]
    return svg.drawing(WIDTH, HEIGHT, parts, "energy against effective bits")


def _axes(place: Any, low: float, high: float, bottom: float, top: float) -> Iterable[str]:
    for half in range(int(2 * low), int(2 * high) + 1):
        value = 10.0 ** (half / 2)
        x, y = place(value, bottom)
        yield svg.line(x, TOP, x, y, "grid")
        yield svg.text(x, y + 18, format_si(value, "J", digits=2), "middle")
    for depth in range(int(bottom), int(top) + 1):
        x, y = place(10.0**low, depth)
        yield svg.line(x, y, WIDTH - RIGHT, y, "grid")
        yield svg.text(x - 8, y + 4, f"{depth}", "end")
    yield svg.text(
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "light and conversion of an inference; upwards: effective bits of the worst layer", "middle"
    )


def _lines(found: Trade, place: Any) -> Iterable[str]:
    last = np.inf
    for depth in BITS:
        chosen = found.bits == depth
        points = [place(a, b) for a, b in zip(found.energy_j[chosen], found.effective_bits[chosen], strict=True)]
        if points:
            yield f'<polyline class="roof" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
        if points and abs(points[-1][1] - last) > 12:
            last = points[-1][1]
            yield svg.text(points[-1][0] + 6, last + 4, f"{depth} bits", "start")


def _dots(found: Trade, place: Any) -> Iterable[str]:
    for i in np.argsort(found.front, kind="stable"):
        x, y = place(found.energy_j[i], found.effective_bits[i])
        kind, radius = ("f-compute", 5.0) if found.front[i] else ("f-other", 2.0)
        tip = _tip(f"{found.bits[i]:.0f} bits, laser x {found.light[i]:.3g}", found.energy_j[i], found.effective_bits[i])
        yield f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}" data-tip="{tip}"/>'


def _tip(head: str, energy: Any, depth: Any) -> str:
    return escape(f"{head}\n{format_si(float(energy), 'J')}, {depth:.2f} effective bits")
