"""Points that were kept, and what became of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kept:
    """Points: global indices, and metrics `(points,)` each."""

    index: np.ndarray
    metrics: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)

    def of(self, chosen: Any) -> Kept:
        """Some of them."""
        return Kept(self.index[chosen], {n: v[chosen] for n, v in self.metrics.items()})


@dataclass(frozen=True)
class Counts:
    """What became of the points."""

    points: int
    kept: int
    infeasible: Mapping[str, int] = field(default_factory=dict)
    """Points that fail each condition; one may fail several."""
    nan: int = 0


def front(values: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated rows, in order of the first column; of equal rows the first.

    Args:
        values: shape `(points, objectives)`, less is better.
    """
    order = np.lexsort(values.T[::-1])
    kept: list[int] = []
    for i in order:
        if not kept or not np.any(np.all(values[kept] <= values[i], axis=1)):
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)
