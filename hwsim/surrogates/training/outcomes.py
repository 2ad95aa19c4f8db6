"""What judging a surrogate leaves: each network beside its prediction by members that did not see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.accuracy import conformal_ratios
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset, scores


@dataclass(frozen=True)
class Outcome:
    """Predictions of one metric, shape `(networks,)` each, in the unit of the metric."""

    metric: str
    measured: np.ndarray
    found: np.ndarray
    """By members that did not see the network's part."""
    closed: np.ndarray
    """Closed form."""
    low: np.ndarray
    """Of the range that a further network like this gets; not a number where there is none."""
    high: np.ndarray
    networks: np.ndarray
    """Positions among the networks of the training set."""
    names: tuple[str, ...] = ()
    """What each is called, where the data say so."""
    groups: np.ndarray | None = None
    """Group of each; None: there are none."""

    def scores(self) -> dict[str, Any]:
        """Errors and coverage (see `hwsim.surrogates.metrics.scores`)."""
        return self._scores(np.full(len(self.measured), True))

    def tables(self) -> dict[str, dict[str, Any]]:
        """The same of all and, where there are several, of each group."""
        found = {"all": self.scores()}
        names = set() if self.groups is None else set(self.groups.tolist())
        return found if len(names) < 2 else {**found, **{name: self._scores(self.groups == name) for name in sorted(names)}}

    def _scores(self, kept: Any) -> dict[str, Any]:
        values = (array[kept] for array in (self.measured, self.found, self.closed))
        return scores(self.metric, *values, low=self.low[kept], high=self.high[kept])


NAMES = ("graph", "model", "name")
"""Labels that name networks."""


def described(graphs: Graphs, kept: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """`names` and `groups` of an `Outcome` for these networks of a training set."""
    label = next((graphs.labels[name] for name in NAMES if name in graphs.labels), np.array([]))
    return {"names": tuple(label[kept].tolist()) if len(label) else (), "groups": groups[kept]}


def ranges(metric: str, measured: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of each network's range, from the errors of the others; nine or fewer networks give none (not a number)."""
    o = offset(metric)
    ratio = (measured + o) / np.maximum(found + o, 1e-300)
    if len(ratio) > MANY:
        ends = np.broadcast_to(conformal_ratios(ratio), (len(ratio), 2))
    else:
        ends = np.array([conformal_ratios(np.delete(ratio, i)) for i in range(len(ratio))]).reshape(-1, 2)
    low, high = (np.maximum((found + o) * end - o, 0.0) for end in ends.T)
    return low, high


MANY = 1000
"""Networks among which one more does not move a range."""
