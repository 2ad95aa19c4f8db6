"""How far off surrogates of FPGA designs are on architectures that they did not see, scored as the wa-hls4ml benchmark scores."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.corrected import summary
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.training import corrected, fpga
from hwsim.surrogates.training.corrected import CorrectedRecipe, columns_of
from hwsim.surrogates.training.left_out import folds
from hwsim.targets.fpga.learned import METRICS

FOLDS = 5
SEEDS = (0, 1, 2)
"""Draws of the parts; what stands beside ours and the closed form is judged on the first."""
SHOWN = ("bram18", "dsp", "ff", "lut", "cycles", "interval_cycles")
"""Metrics in the benchmark's order."""
HEADS = ("BRAM", "DSP", "FF", "LUT", "cycles", "II")
PUBLISHED: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "wa-hls4ml transformer, its own test split": ((0.349, 0.827, 0.925, 0.904, 0.930, 0.918), (18.9, 8.8, 3.6, 4.5, 11.3, 14.7)),
    "wa-hls4ml GNN, its own test split": ((0.640, 0.565, 0.935, 0.901, 0.815, 0.827), ()),
}
"""R2 and SMAPE that wa-hls4ml (arXiv:2511.05615) publishes, after synthesis: six targets of 102,484 networks of many layers."""
PERCENTILES = (5, 25, 50, 75, 95)
Learner = Callable[[Graphs, np.ndarray, Graphs, int], np.ndarray]
"""From the training part, its architectures, the asked part and a seed to values of shape `(asked, metrics)`."""


@dataclass(frozen=True)
class Scores:
    """Of one metric, as the benchmark has them."""

    r2: float
    smape: float
    """200 % / n sum |y - f| / (|y| + |f| + 1)."""
    rmse: float
    boxes: tuple[float, ...]
    """Percentiles (`PERCENTILES`) of the relative error (f - y) / (y + 1), in per cent."""


def scores(measured: np.ndarray, found: np.ndarray) -> Scores:
    """Scores of predictions, shape `(networks,)` each.

    >>> scores(np.array([1.0, 3.0]), np.array([1.0, 3.0])).smape
    0.0
    """
    away, spread = np.abs(measured - found), float(np.sum((measured - measured.mean()) ** 2))
    boxes = np.percentile(100 * (found - measured) / (measured + 1), PERCENTILES)
    return Scores(
        1 - float(np.sum(away**2)) / spread if spread > 0 else float("nan"),
        float(200 * np.mean(away / (np.abs(measured) + np.abs(found) + 1))),
        float(np.sqrt(np.mean(away**2))),
        tuple(float(b) for b in boxes),
    )


def ours(train: Graphs, groups: np.ndarray, asked: Graphs, seed: int) -> np.ndarray:
    """Corrected closed form."""
    columns, found, _ = corrected.fit(train, groups, recipe=CorrectedRecipe(), seed=seed)
    return corrected.predict(asked, columns, found)


def closed_form(train: Graphs, groups: np.ndarray, asked: Graphs, seed: int) -> np.ndarray:
    """As fitted without the asked architectures."""
    return asked.closed_form


def _each(make: Callable[[int], Any], *, residual: bool) -> Learner:
    """A regressor of scikit-learn's kind, one a metric, of log(count + 1), or of what the closed form lacks of it."""

    def learn(train: Graphs, groups: np.ndarray, asked: Graphs, seed: int) -> np.ndarray:
        z, q = summary(train), summary(asked)
        columns, found = columns_of(z), asked.closed_form
        for at in range(len(METRICS)):
            kept = np.isfinite(train.measured[:, at])
            if kept.any():
                base, there = (np.log1p(g.closed_form[:, at]) if residual else np.zeros(len(g)) for g in (train, asked))
                model = make(seed).fit(z[kept][:, columns], np.log1p(train.measured[kept, at]) - base[kept])
                found[:, at] = np.maximum(np.expm1(model.predict(q[:, columns]) + there), 0.0)
        return found

    return learn


def _extra(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(100, max_features=0.5, random_state=seed, n_jobs=1)


def _gbm(seed: int) -> Any:
    given: dict[str, Any] = {"n_estimators": 300, "num_leaves": 31, "learning_rate": 0.06, "min_child_samples": 5, "colsample_bynode": 0.5}
    return importlib.import_module("lightgbm").LGBMRegressor(**given, n_jobs=1, random_state=seed, verbose=-1)


def _boosted(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=200, max_leaf_nodes=15, learning_rate=0.08, min_samples_leaf=5, max_features=0.5, random_state=seed
    )


STEPS, STEP = 300, 32
"""Steps that networks are trained for, about, and designs a step."""


def _network(kind: str) -> Learner:
    """A network of `hwsim.surrogates.networks`, on the same rows and features; an additive one starts from the closed form."""

    def learn(train: Graphs, groups: np.ndarray, asked: Graphs, seed: int) -> np.ndarray:
        import torch

        from hwsim.surrogates import networks
        from hwsim.surrogates.networks import recipes
        from hwsim.surrogates.training.loop import fit

        torch.set_num_threads(1)
        classes = {c.__struct_config__.tag: c for c in (*_pooled(recipes), recipes.AdditiveRecipe, recipes.AdditiveGnnRecipe)}
        more: dict[str, Any] = {"grain": 1.0} if kind.startswith("additive") else {}
        recipe = classes[kind](epochs=max(10, STEPS * STEP // len(train)), networks_per_step=STEP, **more)
        model = networks.build(recipe, train, seed=seed)
        return np.round(networks.predicted(fit(model, train, recipe=recipe, seed=seed).model, asked))

    return learn


def _pooled(recipes: Any) -> tuple[Any, ...]:
    return recipes.GinRecipe, recipes.Gatv2Recipe, recipes.TransformerRecipe, recipes.GpsRecipe


LEARNERS: Mapping[str, tuple[Learner, str]] = {
    "closed form": (closed_form, ""),
    "ExtraTrees": (_each(_extra, residual=False), "sklearn"),
    "LightGBM": (_each(_gbm, residual=False), "lightgbm"),
    "HistGradientBoosting over the closed form": (_each(_boosted, residual=True), "sklearn"),
    "ours: corrected closed form": (ours, "sklearn"),
    "additive": (_network("additive"), "torch"),
    "additive GNN": (_network("additive-gnn"), "torch_geometric"),
    "GIN, pooled": (_network("gin"), "torch_geometric"),
    "GATv2, pooled": (_network("gatv2"), "torch_geometric"),
    "transformer": (_network("transformer"), "torch"),
    "GPS": (_network("gps"), "torch_geometric"),
}
"""Methods by name, with the package that each needs beside the core."""
OURS = "ours: corrected closed form"


@cache
def _parts(name: str, seed: int) -> tuple[tuple[np.ndarray, Graphs], ...]:
    """(which designs are asked, graphs whose closed form did not see their architectures) of every fold."""
    found = fpga.training_set(name)
    fold = folds(found.architectures, count=FOLDS, seed=seed)
    return tuple(
        (fold == part, fpga.graphs(found.designs, found.constants(frozenset(found.architectures[fold == part])))) for part in range(FOLDS)
    )


@cache
def judged(name: str, seed: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """(measured, predicted) of all designs of a training set, shape `(designs, metrics)`, by a method that did not see its architecture."""
    learn, groups = LEARNERS[method][0], fpga.training_set(name).architectures
    measured = found = np.zeros((0, 0))
    for held, graphs in _parts(name, seed):
        if not len(measured):
            measured, found = graphs.measured, np.full(graphs.measured.shape, np.nan)
        train, asked = graphs.take(np.flatnonzero(~held)), graphs.take(np.flatnonzero(held))
        found[held] = learn(train, groups[~held], asked, seed)
    return measured, found


def table(name: str, seed: int, method: str) -> dict[str, Scores]:
    """Scores by metric, of those that were measured."""
    measured, found = judged(name, seed, method)
    kept = [(m, at) for at, m in enumerate(METRICS) if np.isfinite(measured[:, at]).all()]
    return {m: scores(measured[:, at], found[:, at]) for m, at in kept}


def rows(name: str) -> dict[str, np.ndarray]:
    """Every design by ours, for each draw of the folds."""
    parts = []
    for seed in SEEDS:
        measured, found = judged(name, seed, OURS)
        for at, metric in enumerate(METRICS):
            if np.isfinite(measured[:, at]).all():
                given = {"device": np.full(len(found), f"draw {seed}"), "group": np.full(len(found), metric)}
                parts.append({**given, "measured": measured[:, at], "predicted": found[:, at]})
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def dense1_rows() -> dict[str, np.ndarray]:
    """One layer, C synthesis."""
    return rows("dense1")


def dense2_rows() -> dict[str, np.ndarray]:
    """Two layers, logic synthesis."""
    return rows("dense2")


def dense1_text() -> str:
    """Tables of one layer."""
    return text("dense1")


def dense2_text() -> str:
    """Tables of two layers."""
    return text("dense2")


def draws_of(method: str) -> tuple[int, ...]:
    """Draws that a method is judged on."""
    return SEEDS if method in (OURS, "closed form") else SEEDS[:1]


def available() -> tuple[str, ...]:
    """Methods whose packages are installed."""
    return tuple(name for name, (_, package) in LEARNERS.items() if not package or importlib.util.find_spec(package))


def text(name: str) -> str:
    """Methods beside each other by the benchmark's scores, means of the draws; percentiles and coverage of ours."""
    methods = available()
    found = {method: [table(name, seed, method) for seed in draws_of(method)] for method in methods}
    lines = [_NOTE]
    for score, title, digits in (("r2", "R2", 3), ("smape", "SMAPE, %", 2), ("rmse", "RMSE", 2)):
        lines += ["", f"## {title}", "", "| | " + " | ".join(HEADS) + " |", "|---|" + "---:|" * len(HEADS)]
        for method, draws in found.items():
            lines.append(f"| {method} | " + " | ".join(_mean(draws, m, score, digits) for m in SHOWN) + " |")
        for source, published in PUBLISHED.items():
            values = published[0] if score == "r2" else published[1] if score == "smape" else ()
            if values:
                lines.append(f"| {source} | " + " | ".join(f"{v:g}" for v in values) + " |")
    return "\n".join([*lines, *_percentiles(found[OURS]), *_coverage(name)])


def _mean(draws: Sequence[Mapping[str, Scores]], metric: str, score: str, digits: int) -> str:
    values = [getattr(draw[metric], score) for draw in draws if metric in draw]
    return f"{np.mean(values):,.{digits}f}" if values else "-"


def _percentiles(draws: Sequence[Mapping[str, Scores]]) -> list[str]:
    lines = ["", "## Relative error of ours, percentiles, %", "", "| | " + " | ".join(HEADS) + " |", "|---|" + "---:|" * len(HEADS)]
    for i, percentile in enumerate(PERCENTILES):
        cells = [f"{np.mean([d[m].boxes[i] for d in draws]):.1f}" if m in draws[0] else "-" for m in SHOWN]
        lines.append(f"| {percentile} | " + " | ".join(cells) + " |")
    return lines


def coverage(name: str, metric: str) -> float:
    """Share of designs within the range that the errors on the other architectures give, a fifth of the architectures at a time."""
    groups, found, at = fpga.training_set(name).architectures, [], METRICS.index(metric)
    for seed in SEEDS:
        measured, predicted = judged(name, seed, OURS)
        ratio, fold = (measured[:, at] + 1) / (predicted[:, at] + 1), folds(groups, count=FOLDS, seed=seed + len(SEEDS))
        for part in range(FOLDS):
            low, high = conformal_ratios(ratio[fold != part])
            found.append((ratio[fold == part] >= low) & (ratio[fold == part] <= high))
    return float(np.mean(np.concatenate(found)))


def _coverage(name: str) -> list[str]:
    measured = judged(name, SEEDS[0], OURS)[0]
    cells = [f"{100 * coverage(name, m):.1f}" if np.isfinite(measured[:, METRICS.index(m)]).all() else "-" for m in SHOWN]
    head = ["", f"## Coverage of {100 * LEVEL:.0f} % ranges, %", "", _COVERED, "", "| | " + " | ".join(HEADS) + " |"]
    return [*head, "|---|" + "---:|" * len(HEADS), "| ours | " + " | ".join(cells) + " |"]


_NOTE = (
    f"Architectures left out in {FOLDS} parts; closed form and ours: means of {len(SEEDS)} draws of the parts, all others: the first draw. "
    "Every method sees the same features of the template instances, the closed form among them; the closed form was fitted without the "
    "asked architectures, and which correction ours takes was chosen inside the training part. Counts of ours and of the networks are "
    "rounded. A design of one layer is a graph of one node without edges. BRAM in blocks of 18 Kb. "
    "Published scores are of another, larger data set, for orientation."
)
_COVERED = (
    "Ranges from the errors on four fifths of the architectures, asked on the others. Metrics that are exact in most designs are covered "
    "by more: a range of one number holds all of these."
)
