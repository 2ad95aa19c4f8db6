"""Plain CSV tables, with a mapping of their columns to the schema."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwsim.datasets.recipe import Columns, Constant, Value, scale_of
from hwsim.datasets.store import arrow
from hwsim.datasets.tables import TEXT, WORK, check_columns, check_names, is_metric
from hwsim.errors import InputError, UnknownName

Unread = dict[tuple[int, str], str]
_BRACES = re.compile(r"\{([^{}]+)\}")
_GAPS = ("", "-")
"""Cells that say: not measured."""


def read_csv(path: Path, columns: Columns | None) -> tuple[dict[str, Any], Unread]:
    """Columns of the schema, and the cells that should be numbers and are none.

    Raises:
        InputError: not a table, or it lacks columns.
        UnknownName: a column of the mapping that the table does not have.
    """
    cells = _cells(path)
    unread: Unread = {}
    if columns is None:
        check_columns(cells, where=str(path))
        return {key: _counts(value, path) if key == WORK else _own(key, value, unread) for key, value in cells.items()}, unread
    made = {key: _value(v, cells, path) for key, v in _values(columns).items()}
    made = {key: value if key in TEXT else _guessed(value) for key, value in made.items()}
    if columns.flop is not None:
        made[WORK] = _counts(_value(columns.flop, cells, path), path)
    for name, measure in columns.metrics.items():
        scale = scale_of(name, measure.unit, where=f"{path}: {name}")
        made[name] = _numbers(_named(measure.column, cells, path), name, scale, unread)
    return made, unread


def _values(columns: Columns) -> dict[str, Value]:
    """Everything but numbers with units."""
    own = {"graph": columns.graph, "device": columns.device, "group": columns.group, "split": columns.split}
    prefixed = {f"{kind}.{key}": value for kind in ("mapping", "protocol", "fact") for key, value in getattr(columns, kind).items()}
    return {key: value for key, value in {**own, **prefixed}.items() if value is not None}


def _cells(path: Path) -> dict[str, np.ndarray]:
    """All cells as texts, by column."""
    import csv
    import gzip
    import zlib

    from pyarrow import csv as tables

    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(cast("Iterable[str]", file)), [])
        options = tables.ConvertOptions(column_types=dict.fromkeys(names, arrow().string()), strings_can_be_null=False, null_values=[])
        table = tables.read_csv(str(path), convert_options=options, read_options=tables.ReadOptions(use_threads=False))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (arrow().ArrowInvalid, UnicodeDecodeError, OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"{path}: not a CSV table ({str(error)[:120]})") from None
    check_names(table.column_names, where=str(path))
    if not table.num_rows:
        raise InputError(f"{path}: no rows below the names of the columns")
    return {key: table[key].cast(arrow().string()).to_numpy().astype(object) for key in table.column_names}


def _named(column: str, cells: dict[str, np.ndarray], path: Path) -> np.ndarray:
    if column not in cells:
        raise UnknownName(f"column in {path}:", column, cells)
    return cells[column]


def _value(value: Value, cells: dict[str, np.ndarray], path: Path) -> Any:
    rows = len(next(iter(cells.values())))
    if isinstance(value, Constant):
        return np.full(rows, value.value, dtype=object)
    parts = _BRACES.split(value)
    if len(parts) == 1:
        return _named(value, cells, path)
    pieces = [_named(part, cells, path) if i % 2 else np.full(rows, part, dtype=object) for i, part in enumerate(parts)]
    return np.array(["".join(row) for row in zip(*pieces, strict=True)], dtype=object)


def _guessed(values: np.ndarray) -> Any:
    """Numbers where every cell that says something is one, else text."""
    try:
        numbers = [None if v in _GAPS else float(v) for v in values]
    except ValueError:
        return values
    known = [n for n in numbers if n is not None]
    if known and all(n == n and abs(n) < 2**53 and n == int(n) for n in known):
        return [None if n is None else int(n) for n in numbers]
    return numbers if known else [None if v in _GAPS else str(v) for v in values]


def _own(key: str, values: np.ndarray, unread: Unread) -> Any:
    if key in TEXT:
        return values
    return _numbers(values, key, 1.0, unread) if is_metric(key) else _guessed(values)


def _counts(values: np.ndarray, path: Path) -> list[float | None]:
    """Arithmetic of each row: no label, so a cell that is no number is refused at once."""
    unread: Unread = {}
    found = _numbers(values, WORK, 1.0, unread)
    for (row, _), text in unread.items():
        raise InputError(f"{path}, row {row + 1}, column {WORK}: found {text!r}; expected a number of operations, or nothing")
    return found


def _numbers(values: np.ndarray, key: str, scale: float, unread: Unread) -> list[float | None]:
    found: list[float | None] = []
    for row, text in enumerate(values):
        text = str(text).strip()
        try:
            found.append(None if text in _GAPS else float(text) * scale)
        except ValueError:
            unread[row, key] = text
            found.append(float("nan"))
    return found
