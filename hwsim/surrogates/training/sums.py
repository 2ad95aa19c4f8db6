"""Training data of additive surrogates: networks as sums over rows, with what was measured of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sums:
    """Measured networks, each a run of consecutive rows."""

    features: np.ndarray
    """Shape `(rows, features)`."""
    cost: np.ndarray
    """Closed-form cost of each row, times its count, shape `(rows,)`, in the unit of `measured`."""
    floor: np.ndarray
    """Least that each row may take by physics, times its count, shape `(rows,)`."""
    start: np.ndarray
    """First row of each network and the end, shape `(networks + 1,)`."""
    least: np.ndarray
    """Least that each network takes whatever its rows do (the host that launches them), shape `(networks,)`."""
    measured: np.ndarray
    """Of the whole network, shape `(networks,)`."""
    labels: Mapping[str, np.ndarray]
    """Text of each network by name (device, model, family, runtime ...), shape `(networks,)` each."""

    def __len__(self) -> int:
        return len(self.measured)

    @property
    def closed_form(self) -> np.ndarray:
        """Closed-form cost of each network, shape `(networks,)`."""
        return np.add.reduceat(self.cost, self.start[:-1])

    def take(self, chosen: np.ndarray) -> Sums:
        """Only these networks, in this order."""
        rows = self.rows(chosen)
        start = np.concatenate([[0], np.cumsum(np.diff(self.start)[chosen])])
        labels = {name: values[chosen] for name, values in self.labels.items()}
        rest = (start, self.least[chosen], self.measured[chosen], labels)
        return Sums(self.features[rows], self.cost[rows], self.floor[rows], *rest)

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Rows of these networks, one after the other."""
        sizes = np.diff(self.start)[chosen]
        first = np.repeat(self.start[:-1][chosen] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        return first + np.arange(len(first))

    def save(self, path: str) -> None:
        """Write arrays and labels to an `.npz` file."""
        labels = {f"label.{name}": values.astype(str) for name, values in self.labels.items()}
        held: dict[str, Any] = {**{name: getattr(self, name) for name in ARRAYS}, **labels}
        np.savez(path, **held)

    @classmethod
    def read(cls, path: str) -> Sums:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            labels = {name.removeprefix("label."): held[name] for name in held.files if name.startswith("label.")}
            return cls(**{name: held[name] for name in ARRAYS}, labels=labels)


ARRAYS = ("features", "cost", "floor", "start", "least", "measured")
