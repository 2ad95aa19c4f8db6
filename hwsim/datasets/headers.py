"""Tables whose header says what their columns are: `model, batch, dtype, runtime, latency (ms)`."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from hwsim.datasets.recipe import Columns, Constant, Measure, Value
from hwsim.datasets.tables import COUNTS, PREFIXES, TEXT, is_metric, unit_of
from hwsim.errors import InputError
from hwsim.units import parse

GRAPH = ("graph", "model", "network")
"""Names of the column of networks."""
METRICS = {"latency": "latency_s", "time": "latency_s", "energy": "energy_j", "power": "power_w", "memory": "memory_b"}
"""What stands before a unit to its metric; counts stand without (`lut`)."""
PROTOCOL = ("batch", "stage", "tool", "version", "image_size", "seq_len")
"""Columns that are neither metrics nor mapping options and still say how a row was measured."""
_UNIT = re.compile(r"\s*([a-z_]+)\s*[(\[]\s*([^)\]]+?)\s*[)\]]\s*", re.IGNORECASE)


def columns_of(path: str | Path, *, options: Sequence[str] = (), device: str | None = None) -> Columns | None:
    """What the columns of a CSV table are, by their names; None where they are those of the schema already, or the table is none.

    Args:
        path: of the table; the first line names the columns, a metric with its unit: `latency (ms)`, `energy (uJ)`, `lut`.
        options: mapping options of the family.
        device: of every row, where the table has no column `device`.

    Raises:
        InputError: no column of networks or metrics, a unit of something else, or no device.
    """
    file = Path(path)
    if file.suffix.lower() != ".csv" or not file.is_file():
        return None
    with file.open(encoding="utf-8-sig", newline="") as text:
        header = next(csv.reader(text), [])
    if device is None and _schema(header):
        return None
    graph = next((name for name in GRAPH if name in header), None)
    if graph is None:
        raise InputError(f"{path}: found the columns {_listed(header)}; expected one of networks: {', '.join(GRAPH)}")
    metrics = dict(found for name in header if (found := _metric(name, path)))
    if not metrics:
        raise InputError(f"{path}: found the columns {_listed(header)}; expected a metric with its unit, such as 'latency (ms)' or 'lut'")
    if device is None and "device" not in header:
        raise InputError(f"{path}: found no column 'device'; say what was measured on: --on NAME or --on FILE.yaml")
    where: Value = "device" if device is None else Constant(value=device)
    mapping: dict[str, Value] = {n.removeprefix("mapping."): n for n in header if n.startswith("mapping.") or n in options}
    protocol: dict[str, Value] = {n.removeprefix("protocol."): n for n in header if n.startswith("protocol.") or n in PROTOCOL}
    protocol = {name: value for name, value in protocol.items() if name not in mapping}
    return Columns(graph=graph, device=where, metrics=metrics, mapping=mapping, protocol=protocol)


def _schema(header: Sequence[str]) -> bool:
    return "graph" in header and "device" in header and all(n in TEXT or n.startswith(PREFIXES) or unit_of(n) for n in header)


def _metric(name: str, path: str | Path) -> tuple[str, Measure] | None:
    """A metric, and its column; None for other columns."""
    if name in COUNTS or is_metric(name):
        return name, Measure(column=name, unit="" if name in COUNTS else unit_of(name) or "")
    found = _UNIT.fullmatch(name)
    if found is None:
        return None
    metric = METRICS.get(found[1].lower())
    if metric is None:
        raise InputError(f"{path}: column {name!r}: expected one of {', '.join(f'{key} (UNIT)' for key in METRICS)}")
    unit = unit_of(metric) or ""
    try:
        parse(f"1 {found[2]}", unit)
    except InputError:
        raise InputError(f"{path}: column {name!r}: found the unit {found[2]!r}; expected one like {_EXAMPLES[unit]}") from None
    return metric, Measure(column=name, unit=found[2])


_EXAMPLES = {"s": "ms", "J": "mJ", "W": "W", "B": "MB"}


def _listed(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header)) or "none"
