"""Rows into a file: CSV, JSON or Parquet by its ending."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwsim.datasets.hls_reports.row import COLUMNS, Row
from hwsim.datasets.locate import pandas
from hwsim.errors import InputError

ENDINGS = (".csv", ".json", ".parquet")


def plain(row: Row) -> dict[str, Any]:
    """A row as plain data."""
    return asdict(row)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write `rows`; in tables the configuration is JSON text.

    Raises:
        InputError: another ending, or the file cannot be written.
        MissingExtra: Parquet without pandas.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{str(path)!r} ends in {ending!r}; expected {', '.join(ENDINGS)}")
    try:
        if ending == ".parquet":
            pandas().DataFrame([_flat(row) for row in rows], columns=list(COLUMNS)).to_parquet(path)
        else:
            path.write_text(_csv(rows) if ending == ".csv" else json.dumps([plain(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _flat(row: Row) -> dict[str, Any]:
    return {**plain(row), "config": json.dumps(row.config, sort_keys=True) if row.config else ""}


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_flat(row) for row in rows)
    return text.getvalue()
