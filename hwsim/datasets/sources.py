"""Reading of published tables for adapters: faults name file and column, and every row stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas
from hwsim.datasets.tables import TEXT, WORK, is_metric
from hwsim.errors import InputError

SUSPECT = "fact.suspect"
"""Column of rows that their source is known to have wrong, with the reason; the check keeps them apart."""
GAPS = ("", "-", "?")
"""Cells that say: not measured."""
BROKEN = (ValueError, KeyError, AttributeError, TypeError, IndexError, OSError, EOFError, ArithmeticError)
"""What readers raise on sources that are damaged or have other columns."""


def table(*parts: str, need: Sequence[str] = (), **options: Any) -> Any:
    """A `.csv`, `.csv.gz` or `.parquet` file under the data folder as a pandas frame; `options` go to pandas.

    Raises:
        DataMissing: it is not there.
        InputError: it cannot be read, or lacks one of the columns `need`.
    """
    path = data_path(*parts)
    found = _read(path, options)
    for name in need:
        if name not in found.columns:
            raise InputError(f"{path}: no column {name!r}; found {', '.join(map(str, found.columns))}")
    return found


def _read(path: Path, options: Mapping[str, Any]) -> Any:
    import zlib

    try:
        return pandas().read_parquet(path) if path.suffix == ".parquet" else pandas().read_csv(path, **options)
    except (*BROKEN, zlib.error) as error:
        kind = "Parquet file" if path.suffix == ".parquet" else "CSV table"
        raise InputError(f"{path}: not a {kind} ({str(error)[:100]})") from None


def files(folder: str, pattern: str) -> list[str]:
    """Names of the files in a folder of the data, sorted.

    Raises:
        DataMissing: no such folder.
    """
    return sorted(path.name for path in data_path(*folder.split("/")).glob(pattern))


def scaled(values: Any, scale: float = 1.0, *, inverse: bool = False) -> np.ndarray:
    """Numbers times `scale`, or `scale` over them; shape `(rows,)`: null where a cell is empty, NaN where it holds something else."""
    numbers = pandas().to_numeric(values, errors="coerce").to_numpy(dtype=float)
    with np.errstate(divide="ignore"):
        numbers = scale / numbers if inverse else numbers * scale
    unread = np.isnan(numbers) & values.notna().to_numpy()
    if unread.any():
        unread &= ~values.isin(GAPS).to_numpy()
    if not unread.any():
        return numbers
    found = numbers.astype(object)
    found[np.isnan(numbers)] = None
    found[unread] = float("nan")
    return found


def spelt(operator: str | Any, sizes: Mapping[str, Any]) -> Any:
    """`gemm?m=1&n=2` of every row, from columns by name."""
    text: Any = operator
    for i, (name, values) in enumerate(sizes.items()):
        text = text + (f"{'&' if i else '?'}{name}=" + values.astype(str))
    return text


def joined(frames: Iterable[Any]) -> dict[str, Any]:
    """Columns of frames that state different things; numbers that are missing are null."""
    import pyarrow

    parts = list(frames)
    whole = pandas().concat(parts, ignore_index=True)
    made: dict[str, Any] = {}
    for name in whole.columns:
        if is_metric(name) or name == WORK:
            made[name] = pyarrow.chunked_array([_numbers(part, name) for part in parts], type=pyarrow.float64())
        else:
            made[name] = whole[name].to_numpy(dtype=object) if name in TEXT else _column(whole[name])
    return made


def _numbers(frame: Any, name: str) -> Any:
    """Numbers of one frame; all null where it does not have them. Only objects tell an empty cell from one that is no number."""
    import pyarrow

    if name not in frame.columns:
        return pyarrow.nulls(len(frame), pyarrow.float64())
    numbers = frame[name].to_numpy()
    return pyarrow.array(numbers, type=pyarrow.float64(), from_pandas=numbers.dtype != object)


def _column(values: Any) -> Any:
    import pyarrow

    if values.dtype.kind == "f" and values.notna().any() and np.all(np.mod(values.dropna(), 1) == 0):
        values = values.astype("Int64")
    return pyarrow.array(values, from_pandas=True)
