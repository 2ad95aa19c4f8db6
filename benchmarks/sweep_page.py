"""The page of the sweep benchmark from its results: tables, and two plots as SVG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 380, 70, 50
COLOURS = {"numpy": "#1f6feb", "native": "#d1242f", "torch": "#bf8700", "jax": "#1a7f37"}
HEAD = """# Speed of sweeps

CPU seconds of all processes on one core (AMD EPYC with AVX-512, two cores shared with other work), one thread, double precision, medians.
Rerun: `python benchmarks/sweep.py gpu fpga scale layers billion memory processes peers --write docs`.

A *point* is one design: a network on a device with its own quantities or its own mapping. `numpy` runs the traced cost function in chunks
that fit the cache, `native` compiles it to C++ with one point a vector lane, `torch` and `jax` hand it to `torch.compile` and `jax.jit`
(here on the CPU; no GPU was there). *Grid* takes all combinations of the axes, of which the engine computes what depends on some axes only
once for these; *random* draws every axis anew at every point, so that nothing can be shared. *Sweep* is the grid with everything around it:
conditions, counts, the best points, the exact Pareto front, set-up and compilation.
"""


def page(store: Mapping[str, Any], folder: Path) -> None:
    """Writes `benchmarks-sweep.md` and its plots."""
    parts = [HEAD, *(write(store[name], folder) for name, write in SECTIONS.items() if name in store)]
    (folder / "benchmarks-sweep.md").write_text("\n".join(parts), encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column to the left."""
    lines = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)]), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def millions(rate: float) -> str:
    """Points a second in millions."""
    return f"{rate / 1e6:.2f} M" if rate < 1e7 else f"{rate / 1e6:.1f} M"


def _rates(found: Mapping[str, Any]) -> str:
    rows = [("the cost function on chunks of columns", "", millions(found["plain"]), "", "")]
    for backend in (b for b in COLOURS if b in found):
        made = found[backend]
        rows.append(
            (
                f"`{backend}`",
                millions(made["grid"]["rate"]),
                millions(made["random"]["rate"]),
                millions(made["sweep"]),
                f"{made['grid']['set_up_s']:.1f} s",
            )
        )
    return table(("points a CPU second", "grid", "random", "sweep", "set-up"), rows)


def gpu(found: Mapping[str, Any], folder: Path) -> str:
    """ResNet-50."""
    said = f"{found['points']:,} GPUs that differ in SMs, clock, bandwidth and power limit; {found['rows']} different kernels"
    bars = "Bars: 1 M with numpy, 10 M with the best compiled backend."
    return f"## ResNet-50 on the full GPU model\n\nBatch 8, fp16, TensorRT; {said}; latency and energy. {bars}\n\n{_rates(found)}"


def fpga(found: Mapping[str, Any], folder: Path) -> str:
    """The MLP."""
    said = f"{found['points']:,} choices in the grid; latency, LUTs and DSPs. Bar: 5 M"
    return f"## Five-layer MLP on an FPGA, a reuse factor for every layer\n\nResource strategy; {said}.\n\n{_rates(found)}"


def scale(found: Mapping[str, Any], folder: Path) -> str:
    """Cost over points."""
    lines = {name: [(n, 1e9 * s / n) for n, s in rows] for name, rows in found.items()}
    plot(folder / "benchmarks-sweep-points.svg", lines, "points of the sweep", "CPU ns a point", log=(True, True))
    most = max(rows[-1][0] for rows in found.values())
    head = ("CPU ns a point", *(f"1e{k}" for k in range(3, round(math.log10(most)) + 1)))
    names = {n: f"`{n.partition(',')[0]}`{', points alone' if ',' in n else ''}" for n in lines}
    rows = [(names[n], *(f"{v:,.0f}" for _, v in line)) for n, line in lines.items()]
    rows = [(*row, *[""] * (len(head) - len(row))) for row in rows]
    text = (
        "Random points, ResNet-50 as above. Whole sweeps have loading, tracing and compiling before their first point, which shows up to\n"
        "some 1e5 points (fewer than 200,000 are left to numpy, fewer than 5,000 to the cost function itself). The points alone, once all\n"
        "is set up, cost the same from 1e4 on, and more at 1e3, where they do not fill a chunk."
    )
    return f"## Cost a point over the number of points\n\n{text}\n\n![plot](benchmarks-sweep-points.svg)\n\n{table(head, rows)}"


def layers(found: Mapping[str, Any], folder: Path) -> str:
    """Cost over layers."""
    lines = {name: [(n, 1e9 * s) for n, s in made["mlp"]] for name, made in found.items()}
    plot(folder / "benchmarks-sweep-layers.svg", lines, "layers of the MLP", "CPU ns a point", log=(False, False))
    rows = [(f"`{name}`, MLP", *(f"{1e9 * s:,.0f}" for _, s in made["mlp"])) for name, made in found.items()]
    head = ("CPU ns a point", *(f"{n} layers" for n, _ in next(iter(found.values()))["mlp"]))
    cnn = next(iter(found.values()))["cnn"]
    more = [(f"`{name}`", *(f"{1e9 * s:,.0f}" for _, _, s in made["cnn"])) for name, made in found.items()]
    text = "Random points; the reuse factor of every layer of an MLP on an FPGA is an axis of its own.\n\n"
    text += "![plot](benchmarks-sweep-layers.svg)\n\n"
    return f"## Cost a point over the layers\n\n{text}{table(head, rows)}\nGPU, networks by their different kernels:\n\n" + table(
        ("CPU ns a point", *(f"{model} ({rows_})" for model, rows_, _ in cnn)), more
    )


def billion(found: Mapping[str, Any], folder: Path) -> str:
    """The large sweep."""
    rate = found["points"] / found["cpu_s"] / 1e6
    return (
        f"## A billion points\n\n{found['points']:,} GPUs x ResNet-50, `native`, exact front of latency and power: "
        f"{found['cpu_s']:,.0f} CPU seconds ({rate:.1f} M points a CPU second), {found['wall_s']:,.0f} s on the clock of the busy machine, "
        f"{found['memory_gib']:.2f} GiB at the peak (bar 2 GiB), {found['front']:,} points on the front.\n"
    )


def memory(found: Mapping[str, Any], folder: Path) -> str:
    """Memory over points."""
    return "## Memory\n\n" + table(("points", "GiB at the peak"), [(f"{n:,.0f}", f"{m:.3f}") for n, m in found["rows"]])


def processes(found: Mapping[str, Any], folder: Path) -> str:
    """One and two processes."""
    rows, points = found["rows"], found["points"]
    wall = {n: statistics.median(r[0] for r in values) for n, values in rows.items()}
    cpu = {n: statistics.median(r[1] for r in values) for n, values in rows.items()}
    made = [(n, f"{wall[n]:.1f} s", f"{cpu[n]:.1f} s", millions(points / wall[n])) for n in rows]
    best = max(a[0] / b[0] for a, b in zip(rows["1"], rows["2"], strict=True))
    return (
        f"## Processes\n\n{points:,} points, `numpy`, start of the processes included.\n\n"
        f"{table(('processes', 'on the clock', 'CPU', 'points a second on the clock'), made)}\n"
        f"Two processes were {wall['1'] / wall['2']:.2f} times as fast as one (median; the best of three pairs {best:.2f}) on two cores "
        f"with a load of {found['load']:.1f} from other work, and took {cpu['2'] / cpu['1']:.2f} times the CPU seconds: on cores of "
        f"their own {2 * cpu['1'] / cpu['2']:.2f} times as fast.\n"
    )


def peers(found: Mapping[str, Any], folder: Path) -> str:
    """Other tools."""
    rows = [(name, f"{rate:,.0f}" if rate > 100 else f"{rate:.3g}") for name, rate in found.items()]
    return (
        f"## Beside other tools\n\nResNet-18, design points a CPU second, on the same machine (SCALE-Sim in a run of its own).\n\n"
        f"{table(('tool', 'points a CPU second'), rows)}\n"
        "What they do is not the same. ZigZag searches loop orders and memory allocation of every layer (one search a design point, "
        "its `tpu_like` accelerator and mapping); SCALE-Sim simulates the demand of a systolic array cycle by cycle (32 x 32, weight "
        "stationary). Both find out what hwsim's closed forms of GPU kernels take from constants fitted to measurements, and both "
        "describe accelerators that hwsim has no model for. A rate says how many designs can be looked at, not how well.\n"
    )


SECTIONS = {
    **{
        "gpu": gpu,
        "fpga": fpga,
        "scale": scale,
        "layers": layers,
        "billion": billion,
        "memory": memory,
        "processes": processes,
        "peers": peers,
    }
}


def plot(path: Path, lines: Mapping[str, Sequence[tuple[float, float]]], x_name: str, y_name: str, *, log: tuple[bool, bool]) -> None:
    """Lines with points as SVG."""
    values = [p for line in lines.values() for p in line]
    scales = [_scale([p[i] for p in values], log=log[i]) for i in range(2)]
    spans = ((LEFT, WIDTH - 20), (HEIGHT - BOTTOM, 20))

    def at(value: float, axis: int) -> float:
        low, high = scales[axis][0], scales[axis][1]
        share = (math.log10(value / low) / math.log10(high / low)) if log[axis] else (value - low) / (high - low)
        return spans[axis][0] + share * (spans[axis][1] - spans[axis][0])

    body = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for tick in scales[0][2]:
        body.append(f'<line x1="{at(tick, 0):.1f}" x2="{at(tick, 0):.1f}" y1="20" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        body.append(f'<text x="{at(tick, 0):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_said(tick)}</text>')
    for tick in scales[1][2]:
        body.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{at(tick, 1):.1f}" y2="{at(tick, 1):.1f}" stroke="#ddd"/>')
        body.append(f'<text x="{LEFT - 8}" y="{at(tick, 1) + 4:.1f}" text-anchor="end">{_said(tick)}</text>')
    for place, (name, line) in enumerate(lines.items()):
        colour = COLOURS.get(name.partition(",")[0], "#555")
        dash = ' stroke-dasharray="5 4"' if "," in name else ""
        points = " ".join(f"{at(x, 0):.1f},{at(y, 1):.1f}" for x, y in line)
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        body += [f'<circle cx="{at(x, 0):.1f}" cy="{at(y, 1):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        body.append(f'<text x="{WIDTH - 30}" y="{40 + 18 * place}" text-anchor="end" fill="{colour}">{name}</text>')
    body.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{x_name}</text>')
    body.append(f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{y_name}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    path.write_text("\n".join([head, *body, "</svg>\n"]), encoding="utf-8")


def _scale(values: Sequence[float], *, log: bool) -> tuple[float, float, list[float]]:
    """(low, high, ticks) around some values."""
    if log:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return 10.0**low, 10.0**high, [10.0**k for k in range(low, high + 1)]
    step = 10 ** math.floor(math.log10(max(values)))
    step = next(s for s in (step / 5, step / 2, step) if max(values) / s <= 8)
    high = math.ceil(max(values) / step) * step
    return 0.0, high, [step * k for k in range(round(high / step) + 1)]


def _said(value: float) -> str:
    return f"{value:,.0f}" if value < 1e4 else f"1e{round(math.log10(value))}"
