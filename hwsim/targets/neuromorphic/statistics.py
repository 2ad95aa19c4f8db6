"""What was observed of single layers: how many of their neurons fired in each timestep, and what else a recording tells."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.arrays import Array
from hwsim.errors import InputError

SHARES = ("fired", "updated", "operations")
COLUMNS = ("cores", "first_core", "peak", *SHARES)
LEAST = {"cores": 1.0, "first_core": 0.0, "peak": 1.0}


@dataclass(frozen=True)
class Activity:
    """Statistics of the rows of a program, shape `(timesteps, rows)`, one timestep where all are alike; NaN where nothing is known."""

    fired: Array
    """Share of the neurons of the population behind a row that fired."""
    updated: Array
    """Share that was updated."""
    operations: Array
    """Share of the synapses of a connection that a spike came to."""
    cores: Array
    """Cores of the population, shape `(rows,)`."""
    first_core: Array
    """Where they begin, counted along the columns of the mesh, shape `(rows,)`."""
    peak: Array
    """Synaptic operations of its busiest core over those of a mean one, shape `(rows,)`."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics by layer: `layers[path][column]` is an array over the timesteps."""

    layers: Mapping[str, Mapping[str, Array]]
    source: str = "statistics of layers"

    @classmethod
    def read(cls, path: str | Path) -> Statistics:
        """From a CSV file: `layer`, `timestep` where activity changes, and any of the `COLUMNS`; a field may be empty.

        A layer is the path of a connection or of its neurons. `cores` and `first_core` say where it lies, `peak` how much more synaptic
        operations its busiest core has than the mean; `fired` and `updated` are shares of the neurons, `operations` of the synapses.

        Raises:
            InputError: the file cannot be read, or a value is out of range.
        """
        try:
            with Path(path).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot read the statistics {str(path)!r}: {error}") from None
        names = [c for c in COLUMNS if rows and c in rows[0]]
        if not rows or "layer" not in rows[0] or not names:
            found = ", ".join(map(str, rows[0])) if rows else "none"
            raise InputError(f"{path}: columns {found}; expected `layer`, `timestep` if wanted, and any of {', '.join(COLUMNS)}")
        return cls.of(rows, names, str(path))

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, str]], names: Sequence[str], source: str) -> Statistics:
        """From rows of text; see `read`."""
        layers: dict[str, dict[str, list[tuple[int, float]]]] = {}
        for row in rows:
            kept = layers.setdefault(row["layer"], {name: [] for name in names})
            step = _number(row.get("timestep") or "0", f"{source}, layer {row['layer']!r}, timestep")
            for name in names:
                if row[name]:
                    kept[name].append((int(step), _checked(name, row[name], f"{source}, layer {row['layer']!r}, {name}")))
        ordered = {path: {n: np.array([v for _, v in sorted(values)]) for n, values in found.items()} for path, found in layers.items()}
        return cls(ordered, source)

    def activity(self, paths: Sequence[tuple[str, str]], *, timesteps: int) -> Activity:
        """For the rows of a program, by the paths of each row's connection and population.

        Raises:
            InputError: a layer that the network has not, one that changes over other timesteps than the network runs, or other lengths.
        """
        known = {p for pair in paths for p in pair}
        if lost := sorted(set(self.layers) - known):
            raise InputError(f"{self.source}: no layer {', '.join(lost[:5])} in the network; it has {', '.join(sorted(known)[:20])}")
        longest = max((len(v) for found in self.layers.values() for v in found.values()), default=1)
        if longest not in (1, timesteps):
            raise InputError(f"{self.source}: {longest} timesteps of a layer; expected 1 or the {timesteps} of the network")
        shares = {name: np.full((longest, len(paths)), np.nan) for name in COLUMNS}
        for i, pair in enumerate(paths):
            for path in pair:
                for name, values in self.layers.get(path, {}).items():
                    if len(values) not in (0, 1, longest):
                        raise InputError(f"{self.source}, layer {path!r}, {name}: {len(values)} values; expected 1 or {longest}")
                    if len(values):
                        shares[name][:, i] = values
        return Activity(*(shares[name] for name in SHARES), *(shares[name][0] for name in LEAST))


def _checked(name: str, text: str, where: str) -> float:
    found = _number(text, where)
    if name in LEAST and (found < LEAST[name] or (name != "peak" and found != int(found))):
        raise InputError(f"{where}: found {text!r}; expected a {'' if name == 'peak' else 'whole '}number of at least {LEAST[name]:g}")
    if name in SHARES and not 0 <= found <= 1:
        raise InputError(f"{where}: found {text!r}; expected 0 to 1")
    return found


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: found {text!r}; expected a number") from None
