"""Recipes of data sets: where the rows come from, under which licence, what each column is, how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from hwsim import yaml12
from hwsim.datasets.tables import WORK, unit_of
from hwsim.errors import InputError
from hwsim.units import parse

ROWS, APART, RECIPE, CARD = "rows.parquet", "apart.parquet", "recipe.yaml", "card.md"
"""Files of a data set; `apart` holds the rows that the check refused, with the reason."""

FILE_ADAPTERS = ("csv", "wa-hls4ml")
"""Adapters that read any file of their kind, so that its address may stand in a recipe."""

_Frac = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Constant(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One value for every row."""

    value: str | int | float


Value = str | Constant
"""A column by name; a text with columns in braces (`"timm:{model}"`); or `{value: ...}`."""


class Measure(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A metric: a column and the unit of its numbers."""

    column: str
    unit: str = ""
    """With prefix (`ms`, `uJ`); empty: a plain count."""


class Columns(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What the columns of a table are."""

    graph: Value
    device: Value
    metrics: dict[str, Measure]
    mapping: dict[str, Value] = {}
    protocol: dict[str, Value] = {}
    fact: dict[str, Value] = {}
    group: Value | None = None
    split: Value | None = None
    flop: Value | None = None


class Splits(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Parts drawn by a hash, so that equal values always fall into one part."""

    by: str
    """Column whose values stay together: group, graph, device."""
    test: _Frac = 0.2
    validation: _Frac = 0.0


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Where the numbers come from."""

    text: str
    files: tuple[str, ...] = ()
    """Under the data folder (`HWSIM_DATA`), with `*`."""
    sha256: str = ""
    """Of those files, in the order of their names; or of the file at `url`."""
    url: str = ""
    """Public address of the one file instead; fetched on request only."""


class Recipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A data set before its rows."""

    name: str
    summary: str
    licence: str
    source: Source
    adapter: str | None = None
    """Reader of the source (`hwsim.datasets.adapters`)."""
    generator: str | None = None
    """Command that makes the rows, where a tool labels them."""
    rows: str = ROWS
    columns: Columns | None = None
    """Of rows (or of a source) that are a plain CSV table."""
    splits: Splits | None = None
    protocol: tuple[str, ...] = ()
    """Protocol columns that every row must have."""
    made: dict[str, Any] = {}
    """How a generator was run: seeds, counts, tools."""


def read_recipe(path: str | Path) -> Recipe:
    """The recipe of a data set.

    Raises:
        InputError: the file cannot be read, or a field is unknown, missing or wrong.
    """
    found = _decoded(path, Recipe)
    if (found.adapter is None) == (found.generator is None):
        raise InputError(f"{path}: expected either `adapter:` (who reads the source) or `generator:` (the command that makes the rows)")
    if found.columns is not None:
        check_units(found.columns, where=str(path))
    if found.adapter == "csv" and (found.columns is None or len(found.source.files) + bool(found.source.url) != 1):
        raise InputError(f"{path}: the adapter 'csv' needs `columns:` and one file in `source: files:` or `source: url:`")
    if found.source.url:
        _check_address(found, where=str(path))
    return found


def _check_address(recipe: Recipe, *, where: str) -> None:
    if recipe.source.files or not recipe.source.sha256:
        raise InputError(f"{where}: `source: url:` needs `sha256:`, and no `files:` beside it")
    if recipe.adapter not in FILE_ADAPTERS:
        raise InputError(f"{where}: `source: url:` with the adapter {recipe.adapter!r}; expected one of {', '.join(FILE_ADAPTERS)}")


def read_columns(path: str | Path) -> Columns:
    """A mapping file: what the columns of one's own table are.

    Raises:
        InputError: the file cannot be read, a field is unknown, missing or wrong, or a unit is not that of its metric.
    """
    found = _decoded(path, Columns)
    check_units(found, where=str(path))
    return found


def _decoded(path: str | Path, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(yaml12.load(Path(path)), kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}. Fields: {', '.join(kind.__struct_fields__)}") from None


def check_units(columns: Columns, *, where: str) -> None:
    """Refuse metrics that do not exist, and units that are not theirs.

    Raises:
        InputError: says which.
    """
    if not columns.metrics:
        raise InputError(f"{where}: `metrics:` is empty; expected at least one, such as latency_s: {{column: time, unit: ms}}")
    for name, measure in columns.metrics.items():
        if unit_of(name) is None or name == WORK:
            hint = "expected a name with its SI unit, such as latency_s, energy_j, power_w, lut"
            raise InputError(f"{where}: metrics: unknown {name!r}; {hint}")
        scale_of(name, measure.unit, where=f"{where}: metrics: {name}")


def scale_of(metric: str, unit: str, *, where: str) -> float:
    """Factor from `unit` to the unit of the metric.

    >>> scale_of("latency_s", "ms", where="map.yaml")
    0.001

    Raises:
        InputError: another dimension, or none where one is needed.
    """
    expected = unit_of(metric) or "1"
    if unit in ("", "1") and expected == "1":
        return 1.0
    if not unit or unit == "1":
        raise InputError(f"{where}: no unit; expected one of {expected}, such as m{expected} or {expected}")
    try:
        return parse(f"1 {unit}", expected)
    except InputError:
        raise InputError(f"{where}: the unit is {unit!r}; expected one of {expected}, such as m{expected} or {expected}") from None
