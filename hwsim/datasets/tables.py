"""The one schema of measured rows: which columns there are, their types and units."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.errors import InputError, UnknownName

NEEDED = ("graph", "device")
"""Text that every row has: a network (name that `load` reads, file or id) and what it ran on."""
TEXT = (*NEEDED, "group", "split")
"""Text columns of their own; rows of one `group` (family, architecture, shape) belong into one split."""
WORK = "flop"
"""Arithmetic of the row, the whole batch, where it is known; from it comes the physical bound."""
PREFIXES = ("mapping.", "protocol.", "fact.")
"""Columns that a set names itself: mapping options, protocol (tool, version, precision, layout, batch), other facts."""
UNITS = {"_s": "s", "_j": "J", "_w": "W", "_hz": "Hz", "_b": "B", "_frac": "1", "_count": "1"}
"""Ending of a metric to its unit."""
COUNTS = ("lut", "ff", "dsp", "bram18", "uram", "lutram", "cycles", "interval_cycles", "feasible")
"""Metrics without ending; bram18 counts blocks of 18 Kb, feasible is 0 or 1."""
POSITIVE = ("_s", "_j", "_w", "_hz")
"""Endings of metrics that are above zero."""


def unit_of(metric: str) -> str | None:
    """Unit of a metric by its name; None where the name is none of a metric.

    >>> unit_of("latency_s"), unit_of("lut"), unit_of("latency_ms")
    ('s', '1', None)
    """
    if metric in COUNTS:
        return "1"
    return next((unit for ending, unit in UNITS.items() if metric.endswith(ending) and len(metric) > len(ending)), None)


def is_metric(column: str) -> bool:
    """Whether a column holds labels."""
    return column != WORK and not column.startswith(PREFIXES) and column not in TEXT and unit_of(column) is not None


def check_names(names: Iterable[str], *, where: str) -> None:
    """Refuse a table with two columns of one name.

    Raises:
        InputError: says which.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{where}: two columns are called {name!r}; rename one of them")
        seen.add(name)


def check_columns(names: Iterable[str], *, where: str) -> None:
    """Refuse a table whose columns are not of the schema.

    Raises:
        InputError: graph, device or every metric is missing.
        UnknownName: a column that the schema does not have.
    """
    names = list(names)
    for name in NEEDED:
        if name not in names:
            raise InputError(f"{where}: no column {name!r}; found {', '.join(names)}. Name your columns in a mapping file (--map)")
    for name in names:
        if name not in (*TEXT, WORK) and not name.startswith(PREFIXES) and unit_of(name) is None:
            known = (*TEXT, WORK, *COUNTS, "latency_s", "energy_j", "power_w", "memory_b", "clock_hz", *(p + "NAME" for p in PREFIXES))
            raise UnknownName(f"column in {where}:", name, known)
    if not any(is_metric(name) for name in names):
        raise InputError(f"{where}: no metric; expected a column such as latency_s, energy_j, power_w or lut")
