"""Whether the HLS tool gets through one dense layer: a calibrated probability from the products that it unrolls, beside learners."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from hwsim.surrogates.corrected import summary
from hwsim.surrogates.training import fpga
from hwsim.surrogates.training.corrected import columns_of
from hwsim.surrogates.training.left_out import folds
from hwsim.targets.fpga.feasibility import success_probability, unrolled_products
from hwsim.targets.fpga.templates.matrix import UNROLL_LIMIT

FOLDS, SEEDS = 5, (0, 1, 2)
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Callable[[np.ndarray, np.ndarray], np.ndarray]]
"""From features, products at a time, successes and a seed to probabilities of (features, products)."""


@cache
def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(features, products at a time, whether the tool got through, architectures, strategies) of all attempts."""
    designs, through = fpga.attempts()
    graphs = fpga.graphs(designs)
    z = summary(graphs)
    tables = [one.program.tables[0].columns for one in designs]
    products = np.array([float(unrolled_products(c, c.reuse)[0]) for c in tables])
    return z[:, columns_of(z)], products, through, graphs.labels["architecture"], graphs.labels["strategy"]


def fit_probability(products: np.ndarray, through: np.ndarray) -> tuple[float, float, float]:
    """(most probability, products at which it is half of that, steepness) of greatest likelihood."""
    from scipy.optimize import minimize

    def loss(values: np.ndarray) -> float:
        p = np.clip(_curve(products, *values), 1e-6, 1 - 1e-6)
        return -float(np.mean(np.where(through, np.log(p), np.log(1 - p)))) + 1e-3 * float((np.log(values[2]) - np.log(30.0)) ** 2)

    starts = [np.array([0.97, limit, 30.0]) for limit in (3200.0, 3600.0, 4000.0)]
    bounds = ((0.5, 1.0), (512.0, 16384.0), (1.0, 200.0))
    best = min((minimize(loss, start, bounds=bounds, method="Nelder-Mead") for start in starts), key=lambda found: found.fun)
    return tuple(float(v) for v in best.x)  # type: ignore[return-value]


def _curve(products: np.ndarray, most: float, half: float, steep: float) -> np.ndarray:
    return success_probability(products, most=most, half=half, steep=steep)


def _calibrated(z: np.ndarray, products: np.ndarray, through: np.ndarray, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    values = fit_probability(products, through)
    return lambda asked, count: _curve(count, *values)


def _limit(z: np.ndarray, products: np.ndarray, through: np.ndarray, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda asked, count: (count < UNROLL_LIMIT).astype(float)


def _classifier(make: Callable[[int], Any]) -> Fit:
    def learn(z: np.ndarray, products: np.ndarray, through: np.ndarray, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        model = make(seed).fit(z, through)
        return lambda asked, count: model.predict_proba(asked)[:, 1]

    return learn


def _extra(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    classifier: Any = ExtraTreesClassifier
    return classifier(100, max_features=0.5, min_samples_leaf=3, random_state=seed, n_jobs=1)


def _boosted(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=150, max_leaf_nodes=15, learning_rate=0.08, random_state=seed)


def _gbm(seed: int) -> Any:
    classifier: Any = importlib.import_module("lightgbm").LGBMClassifier
    return classifier(n_estimators=200, num_leaves=15, n_jobs=1, random_state=seed, verbose=-1)


OURS = "ours: probability from the products"
LEARNERS: Mapping[str, tuple[Fit, str]] = {
    "closed form: the limit": (_limit, ""),
    OURS: (_calibrated, ""),
    "ExtraTrees": (_classifier(_extra), "sklearn"),
    "HistGradientBoosting": (_classifier(_boosted), "sklearn"),
    "LightGBM": (_classifier(_gbm), "lightgbm"),
}
"""Methods by name, with the package that each needs beside the core."""


@cache
def judged(method: str, seed: int) -> np.ndarray:
    """Probability of every attempt by a method that did not see its shape."""
    z, products, through, groups, _ = _data()
    fold, found = folds(groups, count=FOLDS, seed=seed), np.empty(len(z))
    for part in range(FOLDS):
        seen, asked = fold != part, fold == part
        found[asked] = LEARNERS[method][0](z[seen], products[seen], through[seen], seed)(z[asked], products[asked])
    return found


def auroc(through: np.ndarray, found: np.ndarray) -> float:
    """Share of pairs of a success and a failure that are ranked so, ties counting half.

    >>> auroc(np.array([True, True, False]), np.array([0.9, 0.5, 0.5]))
    0.75
    """
    from scipy.stats import rankdata

    rank, count = rankdata(found), int(through.sum())
    return float((rank[through].sum() - count * (count + 1) / 2) / (count * (len(through) - count)))


def feasibility_rows() -> dict[str, np.ndarray]:
    """Every attempt by ours, for each draw; 1 where the tool got through."""
    _, _, through, _, strategy = _data()
    parts = [
        {"device": np.full(len(through), f"draw {s}"), "group": strategy, "measured": through.astype(float), "predicted": judged(OURS, s)}
        for s in SEEDS
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def feasibility_text() -> str:
    """Tables: AUROC by strategy, Brier score, and how often what was called likely came true."""
    _, _, through, _, strategy = _data()
    methods = [name for name, (_, package) in LEARNERS.items() if not package or importlib.util.find_spec(package)]
    head = ("", "AUROC", "resource", "latency", "Brier", "correct %")
    lines = [_NOTE, "", "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    parts = (np.full(len(through), True), strategy == "resource", strategy == "latency")
    for name in methods:
        draws = [judged(name, seed) for seed in SEEDS]
        areas = [np.mean([auroc(through[part], found[part]) for found in draws]) for part in parts]
        brier = np.mean([np.mean((found - through) ** 2) for found in draws])
        correct = 100 * np.mean([np.mean((found >= 0.5) == through) for found in draws])
        lines.append(f"| {name} | " + " | ".join(f"{area:.4f}" for area in areas) + f" | {brier:.4f} | {correct:.1f} |")
    lines += ["", "## Calibration of ours", "", "| probability | attempts | called % | got through % |", "|---|---:|---:|---:|"]
    found, measured = np.concatenate([judged(OURS, seed) for seed in SEEDS]), np.tile(through, len(SEEDS))
    for low, high in ((0.0, 0.02), (0.02, 0.2), (0.2, 0.5), (0.5, 0.9), (0.9, 1.01)):
        inside = (found >= low) & (found < high)
        if inside.any():
            share, called = 100 * measured[inside].mean(), 100 * found[inside].mean()
            lines.append(f"| {low:g} to {min(high, 1):g} | {inside.sum() // len(SEEDS):,} | {called:.1f} | {share:.1f} |")
    return "\n".join(lines)


_NOTE = (
    "2,687 attempts at one dense layer under the strategies resource and latency (wa-hls4ml search sets), shapes left out in five parts, "
    "means of three draws. The 24 failures under resource that stay below the limit are unbroken runs of three shapes, as if the campaign "
    "had stopped there: no method can rank them."
)
