"""Error statistics of predictions against measurements, and how tables print them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.9
"""Share of the validation rows that an interval covers."""


@dataclass(frozen=True)
class ErrorRow:
    """Error of the rows of one group; percentages."""

    group: str
    n: int
    median: float
    mean: float
    p90: float
    bias: float
    """Median of predicted over measured, minus one."""
    spearman: float
    roofline_median: float
    roofline_mean: float
    low_ratio: float
    """Least measured over predicted of a new row, at 90 % together with `high_ratio`; not a number where the rows are too few to say."""
    high_ratio: float
    exact: float = 0.0
    """Share of rows whose rounded prediction is the measured number."""
    within_two: float = 0.0
    """Share of rows that are at most two off."""
    smape: float = 0.0
    """200 % / n * sum |y - f| / (|y| + |f| + 1), as wa-hls4ml has it."""
    r2: float = float("nan")
    worst: float = 0.0


def error_row(group: str, measured: np.ndarray, predicted: np.ndarray, roofline: np.ndarray) -> ErrorRow:
    """Error statistics of one group; columns of shape `(rows,)`, in one unit. Relative errors leave out rows that measure 0."""
    kept = measured > 0
    y, f = measured[kept], predicted[kept]
    error, plain = (100 * np.abs(p[kept] / y - 1) for p in (predicted, roofline))
    low, high = conformal_ratios(np.divide(y, f, out=np.full(len(y), np.inf), where=f > 0))
    (median, p90), (plain_median,) = _quantiles(error, [0.5, 0.9]), _quantiles(plain, [0.5])
    distance = np.abs(predicted - measured)
    return ErrorRow(
        group,
        len(measured),
        median,
        float(np.mean(error)) if len(error) else 0.0,
        p90,
        float(100 * (np.median(f / y) - 1)) if len(y) else 0.0,
        _spearman(measured, predicted),
        plain_median,
        float(np.mean(plain)) if len(plain) else 0.0,
        low,
        high,
        exact=float(100 * np.mean(np.round(predicted) == measured)),
        within_two=float(100 * np.mean(distance <= 2)),
        smape=float(200 * np.mean(distance / (np.abs(measured) + np.abs(predicted) + 1))),
        r2=_r2(measured, predicted),
        worst=float(np.max(error)) if len(error) else 0.0,
    )


def conformal_ratios(ratio: np.ndarray) -> tuple[float, float]:
    """Range that holds the ratio of a further row with probability `LEVEL`, by split conformal prediction.

    Each side leaves half of the rest; from 9 to 18 rows one symmetric factor does for both, below 9 nothing can be said (not a number).
    Source: Lei et al. 2018, Distribution-free predictive inference for regression, arXiv:1604.04173.
    """
    n = len(ratio)
    ordered, rank = np.sort(ratio), int((n + 1) * (1 - LEVEL) / 2 + 1e-9)
    if rank >= 1:
        return float(ordered[rank - 1]), float(ordered[n - rank])
    both = int(np.ceil((n + 1) * LEVEL - 1e-9))
    if both > n:
        return float("nan"), float("nan")
    factor = float(np.sort(np.maximum(ratio, 1 / np.maximum(ratio, 1e-300)))[both - 1])
    return 1 / factor, factor


def _quantiles(values: np.ndarray, at: Sequence[float]) -> list[float]:
    return [float(v) for v in np.quantile(values, at)] if len(values) else [0.0 for _ in at]


def _spearman(measured: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import spearmanr

    varied = len(measured) > 2 and np.ptp(measured) > 0 and np.ptp(predicted) > 0
    return float(np.asarray(spearmanr(measured, predicted))[0]) if varied else float("nan")


def _r2(measured: np.ndarray, predicted: np.ndarray) -> float:
    spread = np.sum((measured - np.mean(measured)) ** 2)
    return float(1 - np.sum((measured - predicted) ** 2) / spread) if spread > 0 else float("nan")


def _number(digits: int) -> Callable[[float], str]:
    return lambda value: "-" if np.isnan(value) else f"{value:,.{digits}f}"


COLUMNS: Mapping[str, tuple[str, str, Callable[[float], str]]] = {
    "n": ("n", "n", _number(0)),
    "median": ("median %", "median", _number(1)),
    "mean": ("mean %", "mean", _number(1)),
    "p90": ("p90 %", "p90", _number(1)),
    "bias": ("bias %", "bias", _number(1)),
    "spearman": ("Spearman", "rank", _number(3)),
    "roofline_median": ("roofline median %", "roof med", _number(1)),
    "roofline_mean": ("roofline mean %", "roof mean", _number(1)),
    "exact": ("exact %", "exact", _number(1)),
    "within_two": ("within 2 %", "within 2", _number(1)),
    "smape": ("SMAPE %", "SMAPE", _number(1)),
    "r2": ("R2", "R2", _number(3)),
    "worst": ("worst %", "worst", _number(1)),
}
"""Statistics by name: heading, a short one for terminals, format."""
RELATIVE = ("n", "median", "mean", "p90", "bias", "spearman", "roofline_median", "roofline_mean")
"""What tables of times and powers show."""
COUNTS = ("n", "exact", "within_two", "smape", "r2", "median", "bias")
"""What tables of counts show, where zeros and exact hits matter."""

SIMULATED = ("n", "median", "p90", "worst", "bias", "spearman")
"""What tables of simulations show, where no row may be far off."""


def cells(row: ErrorRow, columns: Sequence[str] = RELATIVE) -> list[str]:
    """The printed cells of a row."""
    return [COLUMNS[name][2](getattr(row, name)) for name in columns]
