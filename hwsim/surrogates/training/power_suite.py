"""How far off learned factors of the power of matrix products are, and how far readings of the same work are from each other."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache

import numpy as np

from hwsim.surrogates.training.operator_suite import COMPARED_ROWS, scatter
from hwsim.surrogates.training.operators import Measured, load, roofline
from hwsim.surrogates.training.tabular import ABROAD, TreesRecipe, boosted, extra_trees, judged, light_gbm
from hwsim.targets.gpu.calibrate.fitting import joined

SPLITS = ("layer", "shape", "device")
"""What is left out: a fifth of the pairs of n and k, a fifth of the single shapes, or the other GPU."""
OURS = TreesRecipe(trees=400, leaves=127, learning_rate=0.08, least_rows=5, relative=True)
SHORT = (2, 16)
"""Rows of products that do the same work on a chip: one block along m, padded to one tile."""
Result = tuple[Measured, np.ndarray, np.ndarray]


@cache
def _loaded(rows: int) -> tuple[Measured, ...]:
    return load("power", rows=rows)


@cache
def results(by: str, learner: str = "") -> tuple[Result, ...]:
    """(left-out kernels, closed form, prediction) by device; a named learner stands in for ours, on fewer rows."""
    fits: dict[str, Callable] = {"": boosted(ABROAD if by == "device" else OURS), "ExtraTrees": extra_trees(), "LightGBM": light_gbm}
    return tuple(judged(_loaded(COMPARED_ROWS if learner else OURS.rows), by=by, seed=0, fit=fits[learner]))


def validation_rows() -> dict[str, np.ndarray]:
    """Left-out products by our trees, seed 0."""
    parts = []
    for by in SPLITS:
        for held, _, predicted in results(by):
            unit = {"device": np.full(len(held), held.device.name), "group": np.full(len(held), f"{by}s left out")}
            parts.append({**unit, "measured": held.measured, "predicted": predicted, "roofline": roofline(held)})
    return joined(parts)


def text() -> str:
    """Tables: other learners, and what readings of the same work allow."""
    names = ["ExtraTrees", *(["LightGBM"] if importlib.util.find_spec("lightgbm") else [])]
    lines = [_NOTE, "", f"| left out | device | closed form | ours | {' | '.join(names)} |", "|---|---|" + "---:|" * (2 + len(names))]
    for by in SPLITS:
        others = [results(by, name) for name in names]
        for i, (held, closed, predicted) in enumerate(results(by)):
            means = [_mean(held, closed), _mean(held, predicted), *(_mean(r[i][0], r[i][2]) for r in others)]
            lines.append(f"| {by} | {held.device.name} | " + " | ".join(f"{m:.1f}" for m in means) + " |")
    lines += [
        "",
        "## What readings allow",
        "",
        _BOUND,
        "",
        "| device | median difference % | mean error of a reading % | ours there % | ours elsewhere % |",
    ]
    lines.append("|---|---:|---:|---:|---:|")
    for kernels, (held, _, predicted) in zip(_loaded(OURS.rows), results("layer"), strict=True):
        short = (held.sizes["m"] >= SHORT[0]) & (held.sizes["m"] <= SHORT[1])
        ours = [_mean(held.take(np.flatnonzero(kept)), predicted[kept]) for kept in (short, ~short)]
        cells = (100 * scatter(kernels), 100 * bound(kernels), *ours)
        lines.append(f"| {held.device.name} | " + " | ".join(f"{c:.1f}" for c in cells) + " |")
    return "\n".join(lines)


def bound(kernels: Measured) -> float:
    """Mean error of a reading of short products, from their scatter, as a share: about what a prediction can reach.

    Two readings of the same work, each off by a normal error of deviation s, differ by 0.6745 sqrt(2) s in the median, and each is off
    by sqrt(2 / pi) s in the mean.
    """
    return scatter(kernels) / (0.6745 * np.sqrt(2.0)) * float(np.sqrt(2.0 / np.pi))


def _mean(held: Measured, predicted: np.ndarray) -> float:
    return 100 * float(np.mean(np.abs(predicted / held.measured - 1)))


_NOTE = (
    "Mean absolute percentage errors of mean power on layers (pairs of n and k), single shapes or the GPU left out. ExtraTrees and "
    f"LightGBM see at most {COMPARED_ROWS:,} products a device. Neither the trees nor the constants of the closed form saw what is left "
    "out; the time of products comes from the shelf's constants. There is no published number for these splits."
)
_BOUND = (
    "Products of 2 to 16 rows that differ by one row do the same work on the chip; what their readings differ by, in the median, is "
    "noise of the readings (short kernels, averaged with pauses); the mean error of a reading, if errors are normal, is about what any "
    "prediction can reach there."
)
