"""What varies in a sweep: named axes, and the values that they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hwsim.errors import InputError


class Values(Protocol):
    """The values of one axis; `len` is 0 where they are continuous."""

    def __len__(self) -> int: ...

    def take(self, index: np.ndarray, /) -> np.ndarray:
        """Values at these places of the grid."""
        ...

    def at(self, unit: np.ndarray, /) -> np.ndarray:
        """Values at these places of the unit interval [0, 1)."""
        ...


@dataclass(frozen=True)
class Choices:
    """Values as they were listed: numbers, or texts and objects (those only on outer axes)."""

    items: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def numeric(self) -> bool:
        """Whether all are numbers."""
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.items)

    def take(self, index: np.ndarray, /) -> np.ndarray:
        """Values at these places of the list; float64 where all are numbers."""
        return self._array[index]

    def at(self, unit: np.ndarray, /) -> np.ndarray:
        """The list, in equal shares of the unit interval."""
        return self.take(_place(unit, len(self.items)))

    @property
    def _array(self) -> np.ndarray:
        if self.numeric:
            return np.array(self.items, dtype=np.float64)
        found = np.empty(len(self.items), dtype=object)
        found[:] = self.items
        return found


@dataclass(frozen=True)
class Steps:
    """`count` values from `low` to `high`, both included, in equal steps or equal ratios."""

    low: float
    high: float
    count: int
    log: bool = False
    integer: bool = False
    """Rounded to whole numbers."""

    def __len__(self) -> int:
        return self.count

    def take(self, index: np.ndarray, /) -> np.ndarray:
        """Values at these places, computed."""
        share = np.asarray(index) / max(self.count - 1, 1)
        values = _between(self.low, self.high, share, log=self.log)
        return np.rint(values) if self.integer else values

    def at(self, unit: np.ndarray, /) -> np.ndarray:
        """The steps, in equal shares of the unit interval."""
        return self.take(_place(unit, self.count))


@dataclass(frozen=True)
class Interval:
    """Every value from `low` to `high`; only sampled, as a grid would have no end."""

    low: float
    high: float
    log: bool = False
    integer: bool = False
    """Whole numbers only, both ends included."""

    def __len__(self) -> int:
        return 0

    def take(self, index: np.ndarray, /) -> np.ndarray:
        """Refused.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"the range {self.low:g}..{self.high:g} has no steps; a grid needs their number, such as {self.low:g}..{self.high:g} x32"
        )

    def at(self, unit: np.ndarray, /) -> np.ndarray:
        """Values at these places between the ends."""
        if not self.integer:
            return _between(self.low, self.high, unit, log=self.log)
        return np.clip(np.rint(_between(self.low - 0.5, self.high + 0.5, unit, log=self.log)), self.low, self.high)


def _between(low: float, high: float, share: np.ndarray, *, log: bool) -> np.ndarray:
    ends = (math.log(low), math.log(high)) if log else (low, high)
    line = ends[0] + share * (ends[1] - ends[0])
    values = np.exp(line) if log else line
    return np.where(share <= 0, low, np.where(share >= 1, high, values))


def _place(unit: np.ndarray, count: int) -> np.ndarray:
    return np.minimum((np.asarray(unit) * count).astype(np.int64), count - 1)


@dataclass(frozen=True)
class Axis:
    """One thing that varies.

    >>> Axis("device.sm_count", Steps(64, 256, 25)).values.take(np.array([0, 24]))
    array([ 64., 256.])
    """

    name: str
    """`device.<quantity>`, `mapping.<choice>`, `mapping.<choice>[<layer pattern>]`, `model.<option>`, `model`, `device`, `batch` ..."""
    values: Values
    unit: str = ""
    """Of the values, SI."""
    outer: bool = False
    """Whether it changes the program (model, device, batch, dtype ...), so that each value makes a block of points of its own."""

    @property
    def field(self) -> str:
        """The name without its group and without a layer pattern."""
        return self.name.partition(".")[2].partition("[")[0] or self.name

    @property
    def layers(self) -> str:
        """The pattern of layers that it is for; empty: all."""
        return self.name.partition("[")[2].removesuffix("]")


def listed(name: str, items: Sequence[Any], *, unit: str = "", outer: bool = False) -> Axis:
    """An axis over listed values."""
    return Axis(name, Choices(tuple(items)), unit, outer)
