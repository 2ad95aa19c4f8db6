"""Which axes matter: Sobol indices over a whole space, and one axis at a time from a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra
from hwsim.sweep.axes import Axis
from hwsim.sweep.pointwise import Evaluator
from hwsim.sweep.space import Space

MOST_PROGRAMS = 64
"""More programs than that are not lowered for the sake of indices."""


@dataclass(frozen=True)
class Indices:
    """Shares of the variance of one metric, by axis."""

    metric: str
    axes: tuple[str, ...]
    first: np.ndarray
    """Explained by each axis alone, `(axes,)`."""
    total: np.ndarray
    """With all that it does together with others, `(axes,)`."""


@dataclass(frozen=True)
class Swing:
    """What one axis does to a metric while the others stay."""

    axis: str
    values: np.ndarray
    """That were tried, in their order."""
    metric: np.ndarray
    """`(values,)`; not a number where nothing can be built."""

    @property
    def low(self) -> float:
        """Least value of the metric."""
        return float(np.nanmin(self.metric))

    @property
    def high(self) -> float:
        """Greatest value of the metric."""
        return float(np.nanmax(self.metric))


def varying(space: Space) -> tuple[Axis, ...]:
    """Axes of more than one value."""
    return tuple(a for a in space.axes if len(a.values) != 1)


def sobol(space: Space, metrics: Sequence[str], *, samples: int = 256, seed: int = 0) -> tuple[Indices, ...]:
    """First-order and total Sobol indices of metrics, every axis uniform over its values; metrics that never change are left out.

    Costs `samples * (axes + 2)` points. Saltelli et al., Computer Physics Communications 181, 2010, through `scipy.stats.sobol_indices`.

    Args:
        samples: a power of two.

    Raises:
        MissingExtra: scipy is not installed.
        InputError: more than 64 programs would have to be lowered, or nothing varies, or a metric is not a number somewhere.
    """
    axes = varying(space)
    if not axes:
        raise InputError("nothing varies, so nothing has an influence; expected an axis of two values at least")
    if space.outer_count > MOST_PROGRAMS:
        raise InputError(f"indices over {space.outer_count:,} programs; expected at most {MOST_PROGRAMS}; fix a model or mapping axis")
    try:
        from scipy.stats import sobol_indices, uniform
    except ImportError:
        raise MissingExtra("scipy", "sweep") from None
    evaluator = Evaluator(space)

    def costs(units: np.ndarray) -> np.ndarray:
        found = evaluator(_columns(space, axes, units))
        return np.stack([_finite(found.get(m), m) for m in metrics])

    spans = np.ptp(costs(np.random.default_rng(seed).random((len(axes), 256))), axis=1)
    kept = [i for i, span in enumerate(spans) if span > 0]
    if not kept:
        return ()
    if len(axes) == 1:
        return tuple(Indices(metrics[k], (axes[0].name,), np.ones(1), np.ones(1)) for k in kept)
    found: Any = sobol_indices(func=lambda u: costs(u)[kept], n=samples, dists=[uniform()] * len(axes), rng=np.random.default_rng(seed))
    first, total = (np.reshape(v, (len(kept), len(axes))) for v in (found.first_order, found.total_order))
    return tuple(Indices(metrics[k], tuple(a.name for a in axes), first[i], total[i]) for i, k in enumerate(kept))


def _columns(space: Space, axes: Sequence[Axis], units: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of points at these places of the unit cube, `(axes, points)`."""
    drawn = {a.name: a.values.at(np.minimum(u, np.nextafter(1.0, 0.0))) for a, u in zip(axes, units, strict=True)}
    count = units.shape[1]
    return {a.name: drawn.get(a.name, a.values.take(np.zeros(count, dtype=np.int64)) if len(a.values) else None) for a in space.axes}  # pyright: ignore[reportReturnType]


def _finite(values: np.ndarray | None, metric: str) -> np.ndarray:
    if values is None:
        raise InputError(f"{metric} does not follow from the axes alone, so its variance cannot be shared out")
    if not np.all(np.isfinite(values)):
        raise InputError(f"{metric} is not a number at some points, so its variance cannot be shared out")
    return values


def swings(space: Space, at: Mapping[str, Any], metric: str, *, most: int = 17) -> tuple[Swing, ...]:
    """One axis at a time over its range, the others where they are; the widest swing first.

    Args:
        at: value of every axis at the point that is started from.
        most: values tried of each axis.
    """
    evaluator = Evaluator(space)
    found = []
    for axis in varying(space):
        values = _tried(axis, most)
        columns = {n: _column(v, len(values)) for n, v in at.items()}
        costs = evaluator({**columns, axis.name: values})
        if metric in costs and np.any(np.isfinite(costs[metric])):
            found.append(Swing(axis.name, values, costs[metric]))
    return tuple(sorted(found, key=lambda s: s.low - s.high))


def _tried(axis: Axis, most: int) -> np.ndarray:
    count = len(axis.values)
    if count:
        return axis.values.take(np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)))
    return axis.values.at(np.minimum(np.linspace(0, 1, most), np.nextafter(1.0, 0.0)))


def _column(value: Any, count: int) -> np.ndarray:
    found = np.empty(count, dtype=np.float64 if isinstance(value, int | float) and not isinstance(value, bool) else object)
    found[:] = [value] * count
    return found
