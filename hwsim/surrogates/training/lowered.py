"""Rows of a data set as graphs to train on: each network loaded, lowered with its device and mapping, and described row by row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hwsim import api, plugins
from hwsim.cost import Program
from hwsim.datasets.loading import MODULE, Loader, architecture, rows_by_family
from hwsim.datasets.store import Dataset
from hwsim.errors import HwsimError, InputError, UnknownName
from hwsim.graph import Graph
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.metrics import value_of
from hwsim.surrogates.programs import metrics_of, of_program

Tell = Callable[[str], None]
LABELS = ("device", "group", "split", "mapping.", "protocol.")
"""Columns that become labels; `mapping.` and `protocol.` are left off their names, and long texts are left out."""
LONGEST = 60
"""Characters of a label."""
UNKEPT = ("hls_config", "precision")
"""Choices of a mapping that make no groups."""
FAULTS = (HwsimError, OSError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError)
"""What a file or name that is not a network may raise."""


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be lowered."""

    row: int
    """From 0."""
    column: str
    reason: str


@dataclass(frozen=True)
class Lowered:
    """Networks of a data set, and the rows that are none."""

    graphs: Graphs
    rows: np.ndarray
    """Row of each network, from 0, shape `(networks,)`."""
    closed: np.ndarray
    """What the family's own cost function says of each network, shape `(networks, metrics)`."""
    left_out: tuple[LeftOut, ...] = ()


def graphs_of(
    data: Dataset, *, family: str | None = None, metrics: Sequence[str] = (), progress: Tell = lambda line: None, most: int = 5
) -> Graphs:
    """Networks of a data set; rows that cannot be lowered are told with file, row (the first is 1), column and reason.

    Args:
        family: of the devices; by default that of most rows.
        metrics: by default all that the family can predict and the data set measures.
        progress: told how far it is, and what was left out.
        most: lines of one reason.

    Raises:
        InputError: no row can be lowered, or no metric fits.
        UnknownName: no such metric or family.
    """
    found = lowered(data, family=family, metrics=metrics, progress=progress)
    for line in lines(data, found.left_out, most=most):
        progress(line)
    return found.graphs


def from_dataset(source: str, *, family: str | None = None, columns: Any = None, tell: Tell | None = None) -> Lowered:
    """Networks of the data set of that name, folder or file; faulty rows and those that cannot be lowered are told.

    Args:
        columns: what the columns of a CSV table are (`hwsim.datasets.recipe.Columns`), where they are not named as in the schema.

    Raises:
        InputError: no such file, or nothing in it can be used.
        UnknownName: no data set of that name.
        DataMissing: its rows have not been built.
    """
    from hwsim.datasets.check import check
    from hwsim.datasets.store import read

    say = tell or (lambda line: None)
    checked = check(read(source, columns=columns), bounds=False)
    for line in checked.lines(most=5):
        say(line)
    if checked.bad.all():
        raise InputError("\n".join([f"{_where(checked.data)}: no sound row of {len(checked.data):,}", *checked.lines(most=5)]))
    found = lowered(checked.data, family=family, progress=say, faulty=checked.bad)
    for line in lines(checked.data, found.left_out):
        say(line)
    return found


def lowered(
    data: Dataset,
    *,
    family: str | None = None,
    metrics: Sequence[str] = (),
    progress: Tell = lambda line: None,
    faulty: np.ndarray | None = None,
) -> Lowered:
    """As `graphs_of`, with what was left out.

    Args:
        faulty: rows that are passed over, shape `(rows,)`.

    Raises:
        InputError: no row can be lowered, or no metric fits.
    """
    target: Any = plugins.load("hwsim.targets", family or family_of(data))
    chosen = _metrics(data, target, metrics)
    loader, values = Loader(data, target), np.stack([data.numbers(name) for name in chosen], axis=1)
    parts: list[Graphs] = []
    closed: list[np.ndarray] = []
    rows: list[int] = []
    left: list[LeftOut] = []
    said = time.monotonic()
    for row in range(len(data)) if faulty is None else np.flatnonzero(~faulty).tolist():
        if time.monotonic() - said > 5:
            said = time.monotonic()
            progress(f"{data.name}: row {row:,} of {len(data):,}, {len(left):,} left out")
        found = _row(loader, row, values[row], chosen)
        if isinstance(found, LeftOut):
            left.append(found)
        else:
            parts.append(found[0])
            closed.append(found[1])
            rows.append(row)
    if not parts:
        raise InputError(
            "\n".join([f"{_where(data)}: none of {len(data):,} row(s) can be lowered for {target.family}", *lines(data, left)])
        )
    return Lowered(_labelled(concatenated(parts), data, np.array(rows)), np.array(rows), np.stack(closed), tuple(left))


def family_of(data: Dataset) -> str:
    """The family of most devices of a data set.

    Raises:
        InputError: nobody knows its devices.
    """
    found = rows_by_family(data)
    if not found:
        names = ", ".join(sorted(set(data.text("device").astype(str).tolist()))[:5])
        raise InputError(
            f"{_where(data)}, column device: found {names}; expected devices that `hwsim targets list` knows, or a device file"
        )
    return max(found, key=lambda name: found[name])


def lines(data: Dataset, left_out: Sequence[LeftOut], *, most: int = 5) -> list[str]:
    """Rows that were left out as lines with file, row, column and reason; at most so many of one reason."""
    kinds: Counter[str] = Counter()
    found = []
    for fault in left_out:
        kind = f"{fault.column}:{fault.reason.split(repr(_cell(data, fault)))[0]}"
        kinds[kind] += 1
        if kinds[kind] <= most:
            found.append(f"{_where(data)}, row {fault.row + 1}, column {fault.column}: {fault.reason}")
    more = sum(max(0, count - most) for count in kinds.values())
    return [*found, f"  ... and {more:,} more rows for the same reasons"] if more else found


def _cell(data: Dataset, fault: LeftOut) -> str:
    return str(data.table[fault.column][fault.row].as_py()) if fault.column in data.columns else ""


def _where(data: Dataset) -> str:
    return data.where or data.name


def _metrics(data: Dataset, target: Any, asked: Sequence[str]) -> tuple[str, ...]:
    offered = metrics_of(target)
    for name in asked:
        if name not in offered:
            raise UnknownName(f"metric that surrogates of {target.family} predict:", name, offered)
        if name not in data.metrics:
            raise UnknownName(f"metric of {data.name}:", name, data.metrics)
    found = tuple(asked) or tuple(name for name in offered if name in data.metrics)
    if not found:
        raise InputError(f"{_where(data)}: found the metrics {', '.join(data.metrics)}; expected one of {', '.join(offered)}")
    return found


def _row(loader: Loader, row: int, measured: np.ndarray, metrics: tuple[str, ...]) -> tuple[Graphs, np.ndarray] | LeftOut:
    """(graphs with one network, its closed form) of a row."""
    if (fault := unusable(measured, metrics, row)) is not None:
        return fault
    asked = question(loader, row)
    if isinstance(asked, LeftOut):
        return asked
    given: dict[str, Any] = {"device": asked.device, "mapping": asked.mapping}
    try:
        found = of_program(loader.target, asked.program, metrics=metrics, **given)
        cost = loader.target.cost(asked.program, **given)
        closed = np.array([value_of(cost, name) for name in metrics])
    except FAULTS as error:
        return LeftOut(row, "graph", said(error))
    return replace(found, measured=measured[None, :], labels={name: np.array([text]) for name, text in asked.labels().items()}), closed


def unusable(measured: np.ndarray, metrics: Sequence[str], row: int) -> LeftOut | None:
    """Why nothing can be learned from the labels of a row."""
    if np.all(np.isnan(measured)):
        return LeftOut(row, "/".join(metrics), "nothing was measured")
    for name, value in zip(metrics, measured.tolist(), strict=True):
        if value < 0 or np.isinf(value):
            return LeftOut(row, name, f"found {value:g}; expected a number that is not below 0")
    return None


@dataclass(frozen=True)
class Question:
    """What a row speaks of, ready for cost functions and surrogates."""

    program: Program
    device: Any
    mapping: Any

    def labels(self) -> dict[str, str]:
        """Architecture, key, and the choices of the mapping that are short texts."""
        mapping, graph = self.mapping, self.program.graph
        chosen = {f.name: str(getattr(mapping, f.name)) for f in fields(mapping) if isinstance(getattr(mapping, f.name), str)}
        kind = architecture(graph)
        kept = {name: text for name, text in chosen.items() if len(text) <= LONGEST and name not in UNKEPT}
        return {**kept, "architecture": kind, "key": key_of(kind, graph, self.device, mapping)}


def question(loader: Loader, row: int) -> Question | LeftOut:
    """Device, mapping and program of a row, or why there are none."""
    if loader.module(row):
        return LeftOut(row, MODULE, "a module of a design, not a network")
    at = "device"
    try:
        device = loader.device(row)
        at = "graph"
        graph = loader.graph(row)
        at = "mapping"
        mapping = loader.mapping(row, graph)
        at = "graph"
        return Question(api.lowered(loader.target, graph, device=device, mapping=mapping), device, mapping)
    except FAULTS as error:
        return LeftOut(row, at, said(error))


def said(error: BaseException) -> str:
    """The first line of an error, with its kind where it is none of ours."""
    first = str(error).partition("\n")[0]
    return first if isinstance(error, HwsimError) else f"{type(error).__name__}: {first}"


def key_of(kind: str, graph: Graph, device: Any, mapping: Any) -> str:
    """A short text of what was measured: architecture, batch, device and mapping; surrogates keep those of their training."""
    import hashlib

    chosen = [(f.name, getattr(mapping, f.name)) for f in fields(mapping) if getattr(mapping, f.name) != f.default]
    said = f"{kind}|{graph.attrs.get('batch')}|{getattr(device, 'name', '')}|{chosen}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _labelled(graphs: Graphs, data: Dataset, rows: np.ndarray) -> Graphs:
    """With the texts of the rows as labels, and `row`, the number of the row (the first is 1)."""
    labels = dict(graphs.labels)
    for column in data.columns:
        name = column.removeprefix("mapping.").removeprefix("protocol.")
        if column.startswith(LABELS) and name not in labels:
            texts = data.text(column)[rows].astype(str)
            if max(map(len, texts.tolist()), default=0) <= LONGEST:
                labels[name] = texts
    labels["graph"] = np.array([text[-LONGEST:] for text in data.text("graph")[rows].astype(str).tolist()])
    labels["row"] = (rows + 1).astype(str)
    return replace(graphs, labels=labels)
