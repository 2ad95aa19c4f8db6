"""Estimates as terminal tables (rich)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hwsim.report import conventions, text
from hwsim.report.family import highlights, instance_tables
from hwsim.report.fold import Block, View, default_view, fold, slowest
from hwsim.report.tables import PathText, grid, listing, plain_table, quantity_tables, style_of
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Interval

BAR_WIDTH = 7
MEMORY_BAR_WIDTH = 20
TOP = 25


def estimate_renderable(estimate: Estimate, *, depth: int | None = None, top: int = TOP, quiet: bool = False) -> Any:
    """What `hwsim estimate` prints.

    Args:
        depth: parts of the module path that a row of the layer table keeps; by default what gives 25 rows or fewer
            (`default_view`).
        top: rows of the layer table, the slowest ones.
        quiet: totals and warnings only.
    """
    parts = [header(estimate), Text(), totals(estimate)]
    if not quiet:
        parts += [Text(), *layer_tables(estimate, depth=depth, top=top), *instance_tables(estimate, top=top), *_sources(estimate)]
    parts += [*_conventions(estimate), *_warnings(estimate)]
    if not quiet:
        parts += [Text(), Text("More: --depth 1, --top 5, --json, --html report.html, --trace trace.json", style="dim")]
    return Group(*parts)


def _conventions(estimate: Estimate) -> list[Any]:
    """A table of its own: energies by conventions are none of the device."""
    if not (counted := estimate.conventions):
        return []
    table = listing(conventions.HEADS, conventions.rows(counted), right=conventions.RIGHT)
    notes = [
        Text(line, style="dim")
        for line in (conventions.NOTE, conventions.assumed(counted), *conventions.sources(c.convention for c in counted))
        if line
    ]
    return [Text(), Text(conventions.TITLE, style="bold"), table, *notes]


def header(estimate: Estimate) -> Text:
    """Model, device, batch, mapping, method."""
    line = Text.assemble((estimate.model, "bold"), " on ", (estimate.target, "bold"))
    words = [text.shape(estimate), text.mapping(estimate), estimate.method]
    return line.append("\n" + "; ".join(w for w in words if w), style="dim")


def totals(estimate: Estimate) -> Table:
    """Latency, throughput, energy, memory, verdict, what binds."""
    table = grid()
    for label, value, style in _total_rows(estimate):
        table.add_row(Text(label, style="cyan"), Text(value, style=style))
    return table


def _total_rows(e: Estimate) -> Iterator[tuple[str, str, str]]:
    yield _latency_label(e), _with_interval(e.latency_s, "s", e.latency_interval), "bold"
    if e.decode is not None:
        yield "Time per output token", _with_interval(e.decode.latency_s, "s", e.decode.latency_interval), "bold"
    for label, words in highlights(e).items():
        yield label, words, ""
    yield "Throughput", text.throughput(e), ""
    if e.decode is not None:
        yield "Decode throughput", text.throughput(e.decode), ""
    yield from _energy_rows(e)
    yield from _memory_rows(e)
    yield "Verdict", text.verdict(e), "bold red" if text.misfits(e) else "bold green"
    yield "Binds", _shares(e), ""
    if e.decode is not None:
        yield "Decode binds", _shares(e.decode), ""
    if e.coverage_frac < 1:
        yield "Coverage", f"{text.percent(e.coverage_frac)} of the nodes; without a rule: {_left_out(e)}", "bold yellow"


def _latency_label(e: Estimate) -> str:
    if e.phase == "prefill":
        return "Time to first token"
    return "Time per output token" if e.phase == "decode" else "Latency"


def _with_interval(value: float, unit: str, interval: Interval) -> str:
    return f"{format_si(value, unit)}   {text.interval(interval, unit)}"


def _energy_rows(e: Estimate) -> Iterator[tuple[str, str, str]]:
    yield "Energy", _with_interval(e.energy_j, "J", e.energy_interval), ""
    if e.decode is not None:
        yield "Energy per output token", _with_interval(e.decode.energy_j, "J", e.decode.energy_interval), ""
    yield "Mean power", format_si(e.power_w, "W"), ""


def _memory_rows(e: Estimate) -> Iterator[tuple[str, str, str]]:
    fullest = max((x for x in (e, e.decode) if x is not None), key=lambda x: float(x.memory.total_b))
    frac, memory = text.used_frac(fullest), fullest.memory
    total = format_si(float(memory.total_b), "B")
    if frac is None:
        yield "Memory", total, ""
    else:
        bar = text.bar(frac, MEMORY_BAR_WIDTH).ljust(MEMORY_BAR_WIDTH, "░")
        yield "Memory", f"{total} of {format_si(float(memory.capacity_b), 'B')}  {bar} {text.percent(frac)}", ""
    named = {"weights": memory.weights_b, "activations": memory.activations_b, "state": memory.state_b, "reserved": memory.reserved_b}
    yield "", ", ".join(f"{name} {format_si(float(b), 'B')}" for name, b in named.items() if float(b) > 0), "dim"
    for name in text.resources(e):
        yield name, text.resource(e, name), ""


def _shares(e: Estimate) -> str:
    return ", ".join(f"{name} {text.percent(frac)}" for name, frac in e.bound_share().items()) or "nothing"


def _left_out(e: Estimate) -> str:
    kinds = dict.fromkeys(str(n.attrs.get("operator", "?")) for n in e.program.graph.unsupported)
    return ", ".join(kinds)


def layer_tables(estimate: Estimate, *, depth: int | None = None, top: int = TOP) -> list[Any]:
    """Blocks of layers in schedule order under a line that says how they are folded; bars are relative to the slowest."""
    view = default_view(estimate.layers) if depth is None else View(depth)
    blocks, others = slowest(fold(estimate.layers, view), top=top)
    table = plain_table("Path", "Time", "Share", "", "Energy", "MACs", "Bytes", "Bound", right=(1, 2, 4, 5, 6), tight=True)
    total = sum(layer.latency_s for layer in estimate.layers) or 1.0
    longest = max((block.latency_s for block in blocks), default=0.0) or 1.0
    for block in blocks:
        table.add_row(*_cells(block, total, longest))
    if others is not None:
        table.add_row(*_cells(others, total, longest), style="dim")
    return [Text(f"Layers at {view.words}", style="bold"), table]


def _cells(block: Block, total_s: float, longest_s: float) -> list[Any]:
    style, bar = style_of(block.bound), text.bar(block.latency_s / longest_s, BAR_WIDTH)
    plain = [format_si(block.latency_s, "s"), text.percent(block.latency_s / total_s)]
    counts = [format_si(block.energy_j, "J"), text.count(block.macs), format_si(block.bytes_b, "B")]
    return [PathText(block.name), *map(Text, plain), Text(bar, style=style), *map(Text, counts), Text(block.bound, style=style)]


def _sources(estimate: Estimate) -> list[Any]:
    return [Text(), *quantity_tables("Constants that matter", estimate.facts)] if estimate.facts else []


def _warnings(estimate: Estimate) -> list[Any]:
    found = dict.fromkeys([*estimate.warnings, *(estimate.decode.warnings if estimate.decode else ())])
    return [Text(), *(Text(f"warning: {line}", style="yellow") for line in found)] if found else []
