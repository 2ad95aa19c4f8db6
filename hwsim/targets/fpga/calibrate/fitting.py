"""Non-negative linear forms, fitted to relative error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.arrays import Array

FLOOR = 20.0
"""Counts below this weigh as much as this: a LUT more or less of a tiny layer does not matter."""


def nonnegative(features: Mapping[str, Array], measured: Array) -> dict[str, float]:
    """Coefficients of the features, none below 0, that minimise the relative squared error.

    A few rounds of reweighting towards absolute error keep outliers from ruling.

    Args:
        features: columns by name, shape `(rows,)` each.
        measured: shape `(rows,)`.
    """
    from scipy.optimize import nnls

    matrix = np.stack([np.broadcast_to(np.asarray(f, dtype=float), measured.shape) for f in features.values()], axis=1)
    scale = np.abs(matrix).max(axis=0)
    used = scale > 0
    scaled = matrix[:, used] / scale[used]
    weight, found = 1.0 / (measured + FLOOR), np.zeros(used.sum())
    for _ in range(6):
        found, _ = nnls(scaled * weight[:, None], measured * weight)
        error = np.abs(scaled @ found - measured) / (measured + FLOOR)
        weight = 1.0 / (measured + FLOOR) / np.sqrt(np.maximum(error, 0.02))
    names = [name for name, keep in zip(features, used, strict=True) if keep]
    return {n: float(v) for n, v in zip(names, found / scale[used], strict=True) if v > 0}


def folds(groups: Sequence[Any], count: int = 5) -> Iterator[Array]:
    """Masks of the rows left out: whole groups, spread over `count` folds in order of their names."""
    names = sorted({str(g) for g in groups})
    place = {name: i % count for i, name in enumerate(names)}
    assigned = np.array([place[str(g)] for g in groups])
    for fold in range(min(count, len(names))):
        yield assigned == fold


def left_out(rows: int, groups: Sequence[Any], predict: Callable[[Array], Array], *, count: int = 5) -> Array:
    """Predictions of every row from fits that did not see its group.

    Args:
        predict: from a mask of the rows to fit on to predictions of all rows, shape `(rows,)` or `(metrics, rows)`.
    """
    result: Array = None
    for out in folds(groups, count):
        values = predict(~out)
        result = np.empty((*values.shape[:-1], rows)) if result is None else result
        result[..., out] = values[..., out]
    return result


def smape(measured: Array, predicted: Array) -> float:
    """Symmetric mean absolute percentage error of wa-hls4ml: 200 % / n * sum |y - f| / (|y| + |f| + 1)."""
    return float(200 * np.mean(np.abs(measured - predicted) / (np.abs(measured) + np.abs(predicted) + 1)))


def r2(measured: Array, predicted: Array) -> float:
    """Coefficient of determination."""
    spread = np.sum((measured - np.mean(measured)) ** 2)
    return float(1 - np.sum((measured - predicted) ** 2) / spread) if spread > 0 else float("nan")
