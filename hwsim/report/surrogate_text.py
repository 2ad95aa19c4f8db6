"""Errors of surrogates as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADS = ("", "n", "median", "mean", "p90", "SMAPE", "R2", "rank", "held", "closed form")
NOTE = (
    "Percentages of the measured value: median, mean and p90 of the absolute error; rank: Spearman's correlation; held: measurements "
    "within the 90 % range; closed form: its median."
)


def score_rows(tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """A row of texts for each metric, and below it one for each group."""
    return [(metric if name == "all" else f"  {name}", *_cells(told)) for metric, groups in tables.items() for name, told in groups.items()]


def _cells(told: Mapping[str, Any]) -> tuple[str, ...]:
    percent = [_percent(told[name]) for name in ("median_ape", "mean_ape", "p90_ape", "smape")]
    plain = ["-" if told[name] is None else f"{told[name]:.3f}" for name in ("r2", "spearman")]
    return f"{told['n']:,}", *percent, *plain, covered(told), _percent(told["closed_form_median_ape"])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def covered(told: Mapping[str, Any]) -> str:
    """Share of the rows with a range that lie in it, and how many have one where that is not all.

    >>> covered({"covered": 0.912, "ranged": 34, "n": 40}), covered({"covered": None, "ranged": 0, "n": 5})
    ('91.2 (of 34)', '-')
    """
    if told.get("covered") is None:
        return "-"
    share = f"{100 * told['covered']:.1f}"
    return share if told["ranged"] == told["n"] else f"{share} (of {told['ranged']:,})"
