"""Validation of measured rows: what is wrong, in which row and column, and the rows kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.bounds import floor_s
from hwsim.datasets.sources import SUSPECT
from hwsim.datasets.store import Dataset, arrow, coded, read
from hwsim.datasets.tables import NEEDED, POSITIVE
from hwsim.errors import InputError
from hwsim.units import format_si

Tell = Callable[[str], None]
SHARES = ("_frac", "feasible")
NOT_SUSPECT = ("", "0", "false", "no", "-")
"""Texts in `fact.suspect` that say nothing against a row."""
PROBLEM = "fact.problem"
"""Column that says why a row was kept apart."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one column."""

    column: str
    rows: np.ndarray
    """Numbers of the rows, from 0."""
    said: tuple[str, ...]
    """What was found and what was expected, of each row."""


@dataclass(frozen=True)
class Checked:
    """A data set with what is wrong with it."""

    data: Dataset
    findings: tuple[Finding, ...]
    bounded: int
    """Rows whose physical bound is known."""

    @cached_property
    def bad(self) -> np.ndarray:
        """Rows with a fault, shape `(rows,)`."""
        found = np.zeros(len(self.data), dtype=bool)
        for finding in self.findings:
            found[finding.rows] = True
        return found

    @property
    def rows(self) -> Dataset:
        """The rows without a fault."""
        return self.data.take(~self.bad)

    @property
    def apart(self) -> Dataset:
        """The rows with one, and the column `fact.problem` that says why."""
        reasons: dict[int, list[str]] = {}
        for finding in self.findings:
            for row, said in zip(finding.rows.tolist(), finding.said, strict=True):
                reasons.setdefault(row, []).append(f"{finding.column}: {said}")
        chosen = self.data.take(self.bad)
        table = chosen.table.drop_columns([PROBLEM] if PROBLEM in chosen.columns else [])
        texts = arrow().array(["; ".join(reasons[row]) for row in np.flatnonzero(self.bad).tolist()], type=arrow().string())
        return Dataset(chosen.name, table.append_column(PROBLEM, texts), chosen.where, chosen.recipe)

    def lines(self, *, most: int | None = None) -> Iterator[str]:
        """One line a fault, with file, row (the first is 1) and column; at most so many of a kind."""
        for finding in self.findings:
            for row, said in list(zip(finding.rows.tolist(), finding.said, strict=True))[:most]:
                yield f"{self.data.where or self.data.name}, row {row + 1}, column {finding.column}: {said}"
            if most is not None and len(finding.rows) > most:
                yield f"  ... and {len(finding.rows) - most:,} more rows like the last"


def load(source: str | Path, *, columns: Any = None) -> Checked:
    """Read and check a data set (see `hwsim.datasets.store.read`); take `.rows` for the rows that are sound.

    Raises:
        InputError: as `read`.
    """
    return check(read(source, columns=columns))


def check(data: Dataset, *, bounds: bool = True, tell: Tell = lambda line: None) -> Checked:
    """Look at every row.

    Args:
        bounds: compare times with the physical bound, which may load networks.

    Raises:
        InputError: a protocol column that the recipe asks for is missing.
    """
    recipe = data.recipe
    for name in recipe.protocol if recipe else ():
        if f"protocol.{name}" not in data.columns:
            raise InputError(f"{data.where}: no column 'protocol.{name}', which the recipe of {data.name} asks for")
    findings = [*_texts(data), *_labels(data), *_values(data), *_across(data)]
    floor = floor_s(data, tell=tell) if bounds and "latency_s" in data.metrics else np.full(len(data), np.nan)
    findings += _bound(data, floor)
    return Checked(data, tuple(f for f in findings if len(f.rows)), int(np.sum(~np.isnan(floor))))


def _finding(column: str, mask: np.ndarray, said: Callable[[int], str]) -> Finding:
    rows = np.flatnonzero(mask)
    return Finding(column, rows, tuple(said(int(row)) for row in rows))


def _texts(data: Dataset) -> Iterator[Finding]:
    for name in NEEDED:
        yield _finding(name, data.text(name) == "", lambda row: "is empty; expected a name")
    for name in data.recipe.protocol if data.recipe else ():
        yield _finding(f"protocol.{name}", data.missing(f"protocol.{name}"), lambda row: "is empty; the recipe asks for it")
    if SUSPECT in data.columns:
        reasons = data.text(SUSPECT)
        marked = ~np.isin(np.char.lower(reasons.astype(str)), NOT_SUSPECT)
        yield _finding(SUSPECT, marked, lambda row: f"the source is known to be wrong here: {reasons[row]}")


def _labels(data: Dataset) -> Iterator[Finding]:
    none = np.ones(len(data), dtype=bool)
    for name in data.metrics:
        gaps = data.missing(name)
        none &= gaps
        yield _finding(name, np.isnan(data.numbers(name)) & ~gaps, lambda row, name=name: _not_a_number(data, row, name))
    yield _finding("/".join(data.metrics), none, lambda row: "every metric is empty; expected a label")


def _not_a_number(data: Dataset, row: int, name: str) -> str:
    return f"found {data.unread.get((row, name), 'NaN')!r}; expected a number, or nothing where it was not measured"


def _values(data: Dataset) -> Iterator[Finding]:
    for name, unit in data.metrics.items():
        values = data.numbers(name)
        least = "more than 0" if name.endswith(POSITIVE) else "0 or more"
        wrong = (values < 0) | (values == 0 if name.endswith(POSITIVE) else False) | np.isinf(values)
        plain = unit.replace("1", "")
        yield _finding(name, wrong, lambda row, v=values, u=plain, n=least: f"found {v[row]:g} {u}".rstrip() + f"; expected {n}")
        if name.endswith(SHARES):
            yield _finding(name, values > 1, lambda row, v=values: f"found {v[row]:g}; expected at most 1")


def _across(data: Dataset) -> Iterator[Finding]:
    """Rows that stand in another split too: same graph, device, mapping and protocol."""
    if "split" not in data.columns:
        return
    splits = data.text("split")
    names = [c for c in data.columns if c in NEEDED or c.startswith(("mapping.", "protocol."))]
    code = np.zeros(len(data), dtype=np.int64)
    for name in names:
        values, codes = coded(data.table[name])
        code = np.unique(code * len(values) + codes, return_inverse=True)[1]
    part = coded(splits)[1]
    order = np.lexsort((np.arange(len(data)), code))
    first = np.empty(len(data), dtype=np.int64)
    starts = np.r_[True, code[order][1:] != code[order][:-1]] if len(data) else np.empty(0, dtype=bool)
    first[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1] if len(data) else 0
    twice = part != part[first] if len(data) else np.empty(0, dtype=bool)
    yield _finding(
        "split",
        twice,
        lambda row: (
            f"found {splits[row]!r}; the same graph, device, mapping and protocol stand in row {first[row] + 1} of {splits[first[row]]!r}"
        ),
    )


def _bound(data: Dataset, floor: np.ndarray) -> list[Finding]:
    if "latency_s" not in data.metrics:
        return []
    values = data.numbers("latency_s")
    known = ~np.isnan(floor) & (values > 0)
    return [
        _finding(
            "latency_s",
            known & (values < np.where(known, floor, 0.0)),
            lambda row: (
                f"found {format_si(values[row], 's')}; the arithmetic alone takes {format_si(floor[row], 's')} at the device's peak"
            ),
        )
    ]
