"""How far off learned factors of GPU operators are on layers, shapes and devices that they did not see, beside other learners."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache

import numpy as np

from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.training.operators import Measured, load, roofline
from hwsim.surrogates.training.tabular import ABROAD, TreesRecipe, boosted, extra_trees, judged, light_gbm
from hwsim.targets.gpu.calibrate.fitting import joined

SPLITS = (("gemm", "layer"), ("gemm", "shape"), ("gemm", "device"), ("attention", "layer"), ("power", "layer"), ("power", "device"))
"""What is judged: operator, and what is left out (a fifth of the layers or of the single shapes, or each device in turn)."""
COMPARED_ROWS = 12_000
"""Rows a device that the learners beside ours, and ours beside them, see."""
Result = tuple[Measured, np.ndarray, np.ndarray]


@cache
def _loaded(operator: str, rows: int) -> tuple[Measured, ...]:
    return load(operator, rows=rows)


@cache
def results(operator: str, by: str, learner: str = "") -> tuple[Result, ...]:
    """(left-out kernels, closed form, prediction) by device; a named learner stands in for ours, on fewer rows."""
    ours = ABROAD if by == "device" else TreesRecipe()
    fit: Callable = {"": boosted(ours), "same rows": boosted(ours), "ExtraTrees": extra_trees(), "LightGBM": light_gbm}[learner]
    rows = COMPARED_ROWS if learner else ours.rows
    return tuple(judged(_loaded(operator, rows), by=by, seed=0, fit=fit))


def validation_rows() -> dict[str, np.ndarray]:
    """Left-out kernels by our trees, seed 0."""
    parts = []
    for operator, by in SPLITS:
        for held, _, predicted in results(operator, by):
            unit = {"device": np.full(len(held), held.device.name), "group": np.full(len(held), f"{operator}, {by}s left out")}
            parts.append({**unit, "measured": held.measured, "predicted": predicted, "roofline": roofline(held)})
    return joined(parts)


def text() -> str:
    """Tables: mean errors of other learners on the same rows, and coverage of ranges."""
    names = ["same rows", "ExtraTrees", *(["LightGBM"] if importlib.util.find_spec("lightgbm") else [])]
    head = ["operator", "left out", "device", "closed form", "ours, all rows", *(n.replace("same rows", "ours") for n in names)]
    lines = [_NOTE, "", "| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for operator, by in SPLITS:
        others = {name: results(operator, by, name) for name in names}
        for i, (held, closed, predicted) in enumerate(results(operator, by)):
            means = [_mean(held, closed), _mean(held, predicted), *(_mean(r[i][0], r[i][2]) for r in others.values())]
            lines.append(f"| {operator} | {by} | {held.device.name} | " + " | ".join(f"{m:.1f}" for m in means) + " |")
    lines += ["", "## Coverage of 90 % ranges", "", _COVERAGE, "", "| operator | device | covered % |", "|---|---|---:|"]
    for operator in ("gemm", "attention", "power"):
        for held, _, predicted in results(operator, "layer"):
            lines.append(f"| {operator} | {held.device.name} | {100 * coverage(held, predicted):.1f} |")
    return "\n".join([*lines, "", "## Readings of power", "", _noise()])


def _mean(held: Measured, predicted: np.ndarray) -> float:
    return 100 * float(np.mean(np.abs(predicted / held.measured - 1)))


def coverage(held: Measured, predicted: np.ndarray, *, draws: int = 20) -> float:
    """Share of the kernels of one half of the left-out layers within the range that the other half gives, over several halvings."""
    layers, ratio, found = np.unique(held.layer), held.measured / predicted, []
    for seed in range(draws):
        first = np.isin(held.layer, np.random.default_rng(seed).choice(layers, len(layers) // 2, replace=False))
        low, high = conformal_ratios(ratio[first])
        found.append(np.mean((ratio[~first] >= low) & (ratio[~first] <= high)))
    return float(np.mean(found))


def scatter(kernels: Measured) -> float:
    """Median difference of two readings whose products differ by one row, as a share: what readings of short kernels are good for.

    Only products of 2 to 16 rows: one thread block along m, all padded to the same tile.
    """
    order = np.lexsort((kernels.sizes["m"], kernels.layer))
    m, layer, value = kernels.sizes["m"][order], kernels.layer[order], kernels.measured[order]
    near = (np.diff(m) == 1) & (np.diff(layer) == 0) & (m[:-1] >= 2) & (m[1:] <= 16)
    return float(np.median(np.abs(np.diff(np.log(value)))[near]))


def _noise() -> str:
    found = ", ".join(f"{100 * scatter(m):.1f} % on {m.device.name}" for m in _loaded("power", TreesRecipe().rows))
    return f"Products of 2 to 16 rows that differ by one row, the same work on the chip, read powers whose median difference is {found}."


_NOTE = (
    "Mean absolute percentage errors on layers, shapes or devices left out; the columns after *all rows* are trained and asked "
    f"on at most {COMPARED_ROWS:,} kernels a device. A layer is a pair of n and k (attention: heads, head size, window and format of "
    "the cache). Neither the trees nor the constants of the closed form under them saw what is left out; only the power model takes the "
    "time of products from the shelf's constants. There is no published number for these splits."
)
_COVERAGE = f"Ranges from one half of the left-out layers, asked on the other half; {100 * LEVEL:.0f} % is the aim. Mean of 20 halvings."
