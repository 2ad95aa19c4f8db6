"""Terminal tables (rich) that are not about one estimate, and what all tables share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hwsim.report import text
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate
    from hwsim.quantities import Quantity
    from hwsim.validation import Report

_STYLES = {"compute": "green", "memory": "magenta", "overhead": "yellow", "launch": "yellow", "host": "yellow"}


def style_of(bound: str) -> str:
    """Colour of what binds."""
    return _STYLES.get(bound.partition(" ")[0], "blue")


def plain_table(*headings: str, right: Sequence[int] = (), tight: bool = False) -> Table:
    """A table with a rule under its headings; `right` are the columns set flush right; `tight`: one space between columns."""
    padding = (0, 0) if tight else (0, 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False, header_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if i in right else "left", no_wrap=i in right)
    return table


class PathText:
    """A module path that loses its beginning, not its end, where the column is narrow."""

    least = 16

    def __init__(self, path: str) -> None:
        self.path = path

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(self.least, len(self.path)), len(self.path))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield Text(self.path if len(self.path) <= width else f"…{self.path[1 - width :]}")


def grid(*, gap: int = 2) -> Table:
    """Two columns, label and value, without rules."""
    table = Table.grid(padding=(0, gap))
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def listing(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> Table:
    """Rows of texts, taken literally."""
    table = plain_table(*headings, right=right)
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    return table


def quantity_tables(heading: str, quantities: Mapping[str, Quantity]) -> list[Any]:
    """Every number with its status and the number of its source, and the sources below."""
    sources = {source: f"[{i}]" for i, source in enumerate(dict.fromkeys(map(text.source_of, quantities.values())), start=1)}
    table = plain_table(heading, "Value", "Range", "Status", "Source", right=(1, 2))
    for name, q in quantities.items():
        cells = (name, text.value_of(q), text.range_of(q), q.status, sources[text.source_of(q)])
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    notes = grid(gap=1)
    for source, mark in sources.items():
        notes.add_row(Text(mark, style="dim"), Text(source, style="dim"))
    return [table, Text(), notes]


def error_table(report: Report) -> Table:
    """Statistics of one validation: overall and by group, or by source and group where rows count different things."""
    from hwsim.accuracy import COLUMNS, cells

    headings = [COLUMNS[c][1] for c in report.suite.columns]
    table = listing((report.suite.name, *headings), [], right=range(1, len(headings) + 1))
    for row in (report.overall, *report.by_group) if report.overall else report.by_both:
        table.add_row(*map(Text, (row.group, *cells(row, report.suite.columns))), style="bold" if row is report.overall else "")
    return table


def comparison_table(estimates: Sequence[Estimate]) -> Table:
    """A row a device, totals as columns; `vs 1st` is latency relative to the first, `Per s` samples a second."""
    headings = ("Device", "Latency", "vs 1st", "Per s", "Energy", "Power", "Memory", "Binds", "Fits")
    table = plain_table(*headings, right=range(1, 7), tight=True)
    for column in table.columns[-2:]:
        column.no_wrap = True
    for e in estimates:
        style = "red" if text.misfits(e) else ""
        table.add_row(*(Text(cell, style=style, overflow="fold") for cell in _comparison_cells(e, estimates[0])))
    return table


def _comparison_cells(e: Estimate, first: Estimate) -> list[str]:
    return [
        e.target,
        format_si(e.latency_s, "s"),
        text.ratio(e.latency_s, first.latency_s),
        text.rate(e.throughput_per_s),
        format_si(e.energy_j, "J"),
        format_si(e.power_w, "W"),
        text.memory(e),
        next(iter(e.bound_share()), "-"),
        "no" if text.misfits(e) else "yes",
    ]


def comparison_renderable(estimates: Sequence[Estimate]) -> list[Any]:
    """What `hwsim compare` prints."""
    first = estimates[0]
    title = Text.assemble((first.model, "bold"), f"; {text.shape(first)}; {text.mapping(first)}".rstrip("; "))
    parts: list[Any] = [title, Text(), comparison_table(estimates)]
    if any(e.decode is not None for e in estimates):
        parts += [Text(), Text("Decode, one token"), comparison_table([e.decode for e in estimates if e.decode is not None])]
    notes = [f"{e.target}: {text.verdict(e)}" for e in estimates if text.misfits(e)]
    notes += [f"warning: {e.target}: {line}" for e in estimates for line in e.warnings]
    validated = [e.target for e in estimates if e.latency_interval.validated]
    notes.append(f"latency has a 90 % interval on: {', '.join(validated)}" if validated else "latency: not validated")
    return [*parts, Text(), *(Text(n, style="red" if "does not fit" in n else "dim") for n in notes)]
