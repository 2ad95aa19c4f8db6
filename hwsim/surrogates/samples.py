"""A table of a user's own measurements, and the networks in it that were not measured."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim import units
from hwsim.datasets.help_latency import FEATURES
from hwsim.errors import HwsimError, InputError, UnknownName
from hwsim.surrogates import store
from hwsim.surrogates.few_shot import FewShot, Prediction, Shrinkage

_LATENCY = re.compile(r"latency\s*[(\[]\s*(.+?)\s*[)\]]")
NEEDED = 3
"""Least measured rows."""


@dataclass(frozen=True)
class Samples:
    """Rows of a table."""

    architectures: tuple[str, ...]
    latency_s: np.ndarray
    """Not a number where the cell is empty, shape `(rows,)`."""

    @property
    def measured(self) -> np.ndarray:
        """Rows with a measurement."""
        return np.flatnonzero(np.isfinite(self.latency_s))

    @property
    def asked(self) -> np.ndarray:
        """Rows without."""
        return np.flatnonzero(~np.isfinite(self.latency_s))


def read(path: str | Path) -> Samples:
    """A CSV file with the columns `architecture` and `latency (UNIT)`; an empty latency asks for a prediction.

    Raises:
        InputError: the file, a column or the unit is missing, or a cell is not a positive number; names file, row and column.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no table {str(path)!r}; expected a CSV file with the columns 'architecture' and 'latency (ms)'")
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, skipinitialspace=True)
        header, rows = list(reader.fieldnames or ()), list(reader)
    found = [(name, match[1]) for name in header if (match := _LATENCY.fullmatch(name.strip()))]
    if "architecture" not in header or len(found) != 1:
        given = ", ".join(map(repr, header)) or "none"
        raise InputError(
            f"{path}: found the columns {given}; expected 'architecture' and one of latency with its unit, such as 'latency (ms)'"
        )
    column, unit = found[0]
    try:
        scale = units.parse(f"1 {unit}", "s")
    except InputError:
        raise InputError(f"{path}, column {column!r}: found the unit {unit!r}; expected a time, such as 'latency (ms)'") from None
    cells = [_cell(row[column], where=f"{path}, row {i}, column {column!r}") for i, row in enumerate(rows, start=2)]
    return Samples(tuple((row["architecture"] or "").strip() for row in rows), np.array(cells, dtype=float) * scale)


def _cell(text: str | None, *, where: str) -> float:
    if not (text or "").strip():
        return float("nan")
    try:
        value = float(text or "")
    except ValueError:
        raise InputError(f"{where}: found {text!r}; expected a number, or nothing where a prediction is wanted") from None
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{where}: found {text!r}; expected a positive number")
    return value


def predict(name: str, samples: Samples) -> Prediction:
    """Latencies in seconds of the rows that are asked, from those that were measured and the surrogate called `name`.

    Raises:
        UnknownName: no such surrogate.
        InputError: it is not one for few samples, too little was measured, nothing is asked, or an architecture is of another space.
    """
    space, model = load(name)
    features = _features(FEATURES[space], samples.architectures)
    if len(samples.measured) < NEEDED:
        best = [samples.architectures[i] for i in model.choose(features, count=min(10, len(features)))]
        raise InputError(
            f"found {len(samples.measured)} measured rows; expected {NEEDED} or more, ten for choice: measure {', '.join(best)}"
        )
    if not len(samples.asked):
        raise InputError("every row has a latency; leave it empty for the networks that you ask for")
    return model.adapt(features[samples.measured], samples.latency_s[samples.measured]).predict(features[samples.asked])


def _features(of: Callable[[Sequence[str]], tuple[np.ndarray, ...]], architectures: Sequence[str]) -> np.ndarray:
    for row, text in enumerate(architectures, start=2):
        try:
            of([text])
        except HwsimError as error:
            raise InputError(f"row {row}, column 'architecture': {error}") from None
    return of(architectures)[0]


def load(name: str) -> tuple[str, FewShot]:
    """(search space, what known devices say) of a surrogate on the shelf.

    Raises:
        UnknownName: no such surrogate.
        InputError: it is not one for few samples.
    """
    held = store.read(name)
    if held.config.get("family") != FAMILY:
        fitting = [n for n in store.names() if store.read(n).config.get("family") == FAMILY]
        raise InputError(f"surrogate {name!r} cannot be taken to a new device from few samples; those that can: {', '.join(fitting)}")
    if held.config["space"] not in FEATURES:
        raise UnknownName("search space", held.config["space"], FEATURES)
    center, width, known = (np.asarray(held.weights[key], dtype=float) for key in ("center", "width", "known"))
    return held.config["space"], FewShot(center, width, known, Shrinkage(**held.config["shrinkage"]), held.config["reach"])


FAMILY = "few-shot"
"""Of surrogates that speak for a search space on any device, given samples."""


def filled(samples: Samples, found: Prediction) -> str:
    """The table as CSV text with every row: measured, or predicted with its range, in milliseconds."""
    values = np.full((len(samples.architectures), 3), np.nan)
    values[samples.measured] = samples.latency_s[samples.measured][:, None]
    values[samples.asked] = np.stack([found.mean, found.low, found.high], axis=1)
    sources = np.where(np.isfinite(samples.latency_s), "measured", "predicted")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("architecture", "latency (ms)", "low (ms)", "high (ms)", "source"))
    for name, row, source in zip(samples.architectures, values, sources, strict=True):
        table.writerow((name, *(f"{1e3 * v:.6g}" for v in row), source))
    return text.getvalue()
