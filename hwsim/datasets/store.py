"""Data sets: typed columns with units, read from and written to Parquet, found on the shelf by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.datasets.recipe import RECIPE, Columns, Recipe, Splits, read_recipe
from hwsim.datasets.tables import TEXT, WORK, check_columns, check_names, is_metric, unit_of
from hwsim.errors import DataMissing, InputError, MissingExtra, UnknownName

_OWN_METADATA = b"hwsim.dataset"


def arrow() -> Any:
    """The pyarrow module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow", "data") from None
    return pyarrow


@dataclass(frozen=True)
class Dataset:
    """Measured rows."""

    name: str
    table: Any
    """A `pyarrow.Table`: text, whole numbers and float64; a metric that was not measured is null."""
    where: str = ""
    """File that it was read from, for messages."""
    recipe: Recipe | None = None
    unread: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Texts of cells that should be numbers and are none, by row and column."""

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(self.table.column_names)

    @cached_property
    def metrics(self) -> dict[str, str]:
        """Metrics and their units."""
        return {name: unit_of(name) or "" for name in self.columns if is_metric(name)}

    def numbers(self, column: str) -> np.ndarray:
        """A column of numbers as float64, NaN where it is null, shape `(rows,)`.

        Raises:
            UnknownName: no such column.
        """
        return self._column(column).to_pandas().to_numpy(dtype=float, na_value=np.nan)

    def text(self, column: str) -> np.ndarray:
        """A column as text, empty where it is null, shape `(rows,)`.

        Raises:
            UnknownName: no such column.
        """
        found = self._column(column)
        return found.cast(arrow().string()).fill_null("").to_numpy(zero_copy_only=False).astype(object)

    def missing(self, column: str) -> np.ndarray:
        """Rows where a column is null, shape `(rows,)`."""
        return self._column(column).is_null().to_numpy(zero_copy_only=False).astype(bool)

    def _column(self, column: str) -> Any:
        if column not in self.columns:
            raise UnknownName(f"column of {self.name}:", column, self.columns)
        return self.table[column].combine_chunks()

    def take(self, rows: np.ndarray) -> Dataset:
        """Only these rows (numbers, or a mask)."""
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(self, table=self.table.take(arrow().array(chosen)), unread={})

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(sorted(set(self.text("split")) - {""})) if "split" in self.columns else ()

    def split(self, name: str) -> Dataset:
        """The rows of one split.

        Raises:
            UnknownName: no such split.
        """
        if name not in self.splits:
            raise UnknownName(f"split of {self.name}:", name, self.splits)
        return self.take(self.text("split") == name)

    def to_pandas(self) -> Any:
        """A pandas frame with the same columns."""
        return self.table.to_pandas()

    def write(self, path: str | Path) -> None:
        """Write Parquet with the unit of every metric in its metadata.

        Raises:
            InputError: the file cannot be written.
        """
        from pyarrow import parquet

        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(self.table.replace_schema_metadata({_OWN_METADATA: self.name.encode()}), str(path), compression="zstd")
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def dataset(columns: Mapping[str, Any], *, name: str, where: str = "", recipe: Recipe | None = None, unread: Any = None) -> Dataset:
    """A data set of columns (arrays, sequences, or single values for all rows), typed; columns without any value are left out.

    Raises:
        InputError: a needed column is missing, or one is of the wrong type.
        UnknownName: a column that the schema does not have.
    """
    check_columns(columns, where=where or name)
    rows = max(len(v) for v in columns.values() if not isinstance(v, str | int | float))
    made = {key: _typed(key, value, rows, where or name) for key, value in columns.items()}
    made = {key: value for key, value in made.items() if value.null_count < rows or key in TEXT[:2] or not rows}
    return Dataset(name, arrow().table(list(made.values()), schema=_schema(made)), where, recipe, unread or {})


def _schema(columns: Mapping[str, Any]) -> Any:
    pa = arrow()
    units = {key: {"unit": unit_of(key) or ""} if is_metric(key) else None for key in columns}
    return pa.schema([pa.field(key, value.type, metadata=units[key]) for key, value in columns.items()])


def _typed(key: str, value: Any, rows: int, where: str) -> Any:
    pa = arrow()
    if isinstance(value, str | int | float):
        value = np.full(rows, value, dtype=object if isinstance(value, str) else None)
    try:
        found = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value, from_pandas=not is_metric(key))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InputError(f"{where}: the column {key!r} holds values of several types, or beyond 64 bits ({str(error)[:100]})") from None
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    kind = pa.string() if key in TEXT else pa.float64() if is_metric(key) or key == WORK else _kind(found.type)
    try:
        return found.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        expected = "text" if kind == pa.string() else "numbers"
        raise InputError(f"{where}: the column {key!r} holds {found.type}; expected {expected}") from None


def _kind(found: Any) -> Any:
    """Type of a column that a set names itself."""
    pa = arrow()
    if pa.types.is_integer(found):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(found) else pa.bool_() if pa.types.is_boolean(found) else pa.string()


def read(source: str | Path, *, columns: Columns | None = None) -> Dataset:
    """A data set: the name of one on the shelf, a folder of one, a Parquet file of this schema, or a CSV table.

    Args:
        columns: what the columns of a CSV table are; else they must be named as in the schema.

    Raises:
        InputError: no such file, or not of the schema.
        UnknownName: no data set of that name.
        DataMissing: its rows have not been built.
    """
    path = Path(source)
    if path.is_file():
        return _read_file(path, name=path.stem, columns=columns)
    if is_csv(path) or path.suffix.lower() == ".parquet":
        raise InputError(f"no file {str(source)!r}; expected a .parquet or .csv table, or a name from `hwsim datasets list`")
    folder = folder_of(source)
    recipe = read_recipe(folder / RECIPE)
    rows = folder / recipe.rows
    if not rows.is_file():
        raise DataMissing(f"{recipe.name}: no rows at {str(rows)!r}; build them: hwsim datasets build {recipe.name} --out {recipe.name}")
    return replace(_read_file(rows, name=recipe.name, columns=recipe.columns, recipe=recipe), recipe=recipe)


def folder_of(name: str | Path) -> Path:
    """Folder of a data set: a path to one that was built, else one of the shelf by name.

    Raises:
        UnknownName: no data set of that name.
        InputError: a folder without a recipe.
    """
    if (Path(name) / RECIPE).is_file():
        return Path(name)
    known = folders()
    if str(name) in known:
        return known[str(name)]
    if Path(name).is_dir():
        raise InputError(f"no {RECIPE} in {str(name)!r}; expected the folder of a data set, such as `hwsim datasets build` writes")
    raise UnknownName("data set", str(name), known)


def is_csv(path: Path) -> bool:
    """Whether a file is a plain table by its name, packed ones included."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


def _read_file(path: Path, *, name: str, columns: Columns | None, recipe: Recipe | None = None) -> Dataset:
    if is_csv(path):
        from hwsim.datasets import mapped

        made, unread = mapped.read_csv(path, columns)
        if recipe is not None and recipe.splits is not None:
            made = with_splits(made, recipe.splits)
        return dataset(made, name=name, where=str(path), unread=unread)
    if path.suffix.lower() != ".parquet":
        raise InputError(f"{str(path)!r} ends in {path.suffix!r}; expected .parquet or .csv")
    return _read_parquet(path, name)


def _read_parquet(path: Path, name: str) -> Dataset:
    from pyarrow import parquet

    try:
        table = parquet.read_table(str(path))
        table.validate(full=True)
    except (arrow().ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file ({str(error).partition(':')[0][:80]})") from None
    check_names(table.column_names, where=str(path))
    for column in table.schema:
        unit = unit_of(column.name) if is_metric(column.name) else None
        found = (column.metadata or {}).get(b"unit", (unit or "").encode()).decode()
        if unit is not None and found != unit:
            raise InputError(f"{path}, column {column.name}: the unit in its metadata is {found!r}; expected {unit!r}")
    return dataset({key: table[key] for key in table.column_names}, name=name, where=str(path))


def folders() -> dict[str, Path]:
    """Data sets on the shelf by name."""
    found: dict[str, Path] = {}
    for top in shelf.folders("datasets"):
        for path in sorted(top.iterdir()):
            if (path / RECIPE).is_file():
                found.setdefault(path.name, path)
    return found


def with_splits(columns: Mapping[str, Any], splits: Splits) -> dict[str, Any]:
    """Columns with `split` drawn by a hash of what stays together.

    Raises:
        UnknownName: no such column.
    """
    if splits.by not in columns:
        raise UnknownName("column of `splits: by:`", splits.by, columns)
    values, codes = coded(columns[splits.by])
    parts = np.array([_part(value, splits) for value in values], dtype=object)
    return {**columns, "split": parts[codes]}


def coded(values: Any) -> tuple[list[str], np.ndarray]:
    """Different texts of a column, and the number of each row's among them, shape `(rows,)`."""
    pa = arrow()
    found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    found = found.cast(pa.string()).fill_null("").dictionary_encode()
    return found.dictionary.to_pylist(), found.indices.to_numpy()


def _part(value: str, splits: Splits) -> str:
    drawn = int.from_bytes(hashlib.sha256(value.encode()).digest()[:6], "big") / 2**48
    return "test" if drawn < splits.test else "validation" if drawn < splits.test + splits.validation else "train"
