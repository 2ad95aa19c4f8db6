"""How far off additive surrogates of whole networks on GPUs are on families that training left out, beside other learners."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.domain import Domain, shares
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training import run
from hwsim.surrogates.training.left_out import Loop, folds

NAME = "gpu-networks"
SEEDS = (0, 1, 2)
KIND_FEATURES = ("gemm", "conv", "attention", "stream", "reduce")
"""Rows whose shares of the closed form other learners see."""


@cache
def _recipe() -> Any:
    return recipes.read(shelf.checkout("surrogates") / NAME / "recipe.yaml")


@cache
def data() -> Graphs:
    """Measured networks; minutes where they are not in the cache.

    Raises:
        DataMissing: the measurements are not there.
    """
    return run.load(_recipe())


@cache
def predictions() -> np.ndarray:
    """Seconds of every network by members that did not see its family; minutes of training."""
    return run.judged(_recipe(), data(), loop=Loop())[0].reshape(len(data()))


def _parts() -> np.ndarray:
    where = _recipe().left_out
    return folds(data().labels[where.by], count=where.folds)


def validation_rows() -> dict[str, np.ndarray]:
    """Networks of left-out families; the closed form of single kernels in place of a roofline."""
    labels = data().labels
    return {
        "device": labels["device"],
        "group": np.char.add(np.char.add(labels["runtime"], ", PyTorch "), labels["torch_version"]),
        "measured": data().measured[:, 0],
        "predicted": predictions(),
        "roofline": data().closed_form[:, 0],
    }


def text() -> str:
    """Tables: other learners, coverage of ranges, and how well unknown families are told from known ones."""
    others = {"ExtraTrees": _extra_trees, **({"LightGBM": _light_gbm} if importlib.util.find_spec("lightgbm") else {})}
    found = {"ours": predictions(), **{name: _learned(fit) for name, fit in others.items()}}
    groups = run.groups_of(_recipe(), data())
    head = "| | n | " + " | ".join(f"{name} median | {name} p90" for name in found) + " | covered by 90 % ranges |"
    lines = [_NOTE, "", head, "|---|---:|" + "---:|" * (2 * len(found) + 1)]
    for group in sorted(set(groups.tolist())):
        kept = groups == group
        cells = [f"{100 * q:.1f}" for p in found.values() for q in _errors(p[kept], data().measured[kept, 0])]
        covered = f"{100 * coverage(kept):.1f}"
        lines.append(f"| {group} | {kept.sum():,} | " + " | ".join([*cells, covered]) + " |")
    return "\n".join([*lines, "", "## Known and unknown", "", *_domain_lines()])


def _errors(found: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    error = np.abs(found / measured - 1)
    return float(np.median(error)), float(np.quantile(error, 0.9))


def coverage(kept: np.ndarray, *, draws: int = 20) -> float:
    """Share of the networks of one half of the families within the range that the errors on the other half give, over several halvings."""
    names, ratio, found = data().labels["family"][kept], (data().measured[:, 0] / predictions())[kept], []
    for seed in range(draws):
        known = np.unique(names)
        first = np.isin(names, np.random.default_rng(seed).choice(known, len(known) // 2, replace=False))
        low, high = conformal_ratios(ratio[first])
        found.append(np.mean((ratio[~first] >= low) & (ratio[~first] <= high)))
    return float(np.mean(found))


@cache
def pooled() -> np.ndarray:
    """What learners without rows see of each network: logarithms of sums, shares of kinds, weighted means of features."""
    graphs = data()
    weight = shares(graphs.cost, graphs.start)[:, None]
    rows, names = graphs.features.astype(float), list(graphs.feature_names)
    mean = np.add.reduceat(weight * rows, graphs.start[:-1], axis=0)
    sums = [np.log(graphs.closed_form[:, 0]), np.log(graphs.total(graphs.floor)[:, 0] + 1e-9), np.log(graphs.sizes)]
    for name in ("flop", "dram_b"):
        sums.append(np.log(np.add.reduceat(np.exp(rows[:, names.index(name)]), graphs.start[:-1])))
    for name in KIND_FEATURES:
        part = graphs.cost[:, 0] * rows[:, names.index(name)]
        sums.append(np.log(np.add.reduceat(part, graphs.start[:-1]) + 1e-9))
    return np.concatenate([np.stack(sums, axis=1), mean], axis=1).astype(np.float32)


def _learned(fit: Callable[[np.ndarray, np.ndarray], Any]) -> np.ndarray:
    """Predictions of a learner of log(measured / closed form) by the same parts."""
    closed, part = data().closed_form[:, 0], _parts()
    target, found = np.log(data().measured[:, 0] / closed), np.zeros(len(closed))
    for held in np.unique(part):
        model = fit(pooled()[part != held], target[part != held])
        found[part == held] = model.predict(pooled()[part == held])
    return closed * np.exp(found)


def _extra_trees(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(40, max_features=0.3, min_samples_leaf=2, random_state=0).fit(x, y)


def _light_gbm(x: np.ndarray, y: np.ndarray) -> Any:
    lightgbm: Any = importlib.import_module("lightgbm")
    given = {"n_estimators": 200, "num_leaves": 31, "learning_rate": 0.1, "objective": "l1", "colsample_bynode": 0.5, "verbose": -1}
    return lightgbm.LGBMRegressor(**given, n_jobs=1, random_state=0).fit(x, y)


@cache
def _once() -> np.ndarray:
    """One network for each model, image size and runtime: what differs between devices is not what a domain looks at."""
    labels = data().labels
    keys = np.stack([labels["model"], labels["runtime"], data().sizes.astype(str)], axis=1)
    return np.sort(np.unique(keys, axis=0, return_index=True)[1])


@cache
def separation(seed: int) -> tuple[float, np.ndarray, np.ndarray]:
    """(AUROC, score over the limit, error) of telling left-out families from left-out models of known families.

    Each part of the families is left out in turn, with an eighth of the models of the other families; the domain sees neither.
    Scores and errors are of the left-out families.
    """
    chosen = _once()
    graphs, error = data().take(chosen), np.abs(predictions() / data().measured[:, 0] - 1)[chosen]
    part = folds(graphs.labels["family"], count=_recipe().left_out.folds, seed=seed)
    draw, wins, pairs, scores, errors = np.random.default_rng(seed), 0.0, 0, [], []
    for held in np.unique(part):
        models = np.unique(graphs.labels["model"][part != held])
        known = np.isin(graphs.labels["model"], draw.choice(models, len(models) // 8, replace=False)) & (part != held)
        domain = Domain.fit(graphs.take(np.flatnonzero((part != held) & ~known)))
        away, near = (_scored(domain, graphs.take(np.flatnonzero(kept))) for kept in (part == held, known))
        wins += float(np.sum(away[:, None] > near))
        pairs += len(away) * len(near)
        scores.append(away / domain.limit[0])
        errors.append(error[part == held])
    return wins / pairs, np.concatenate(scores), np.concatenate(errors)


def _scored(domain: Domain, graphs: Graphs) -> np.ndarray:
    return domain.score(graphs.features, graphs.cost, graphs.start)


def _domain_lines() -> list[str]:
    lines = [
        _DOMAIN,
        "",
        "| draw | AUROC | beyond the limit % | their median error % | p90 | others' median error % | p90 |",
        "|---|" + "---:|" * 6,
    ]
    for seed in SEEDS:
        auroc, score, error = separation(seed)
        beyond = score > 1
        parts = [100 * q for kept in (beyond, ~beyond) for q in (np.median(error[kept]), np.quantile(error[kept], 0.9))]
        lines.append(f"| {seed} | {auroc:.3f} | {100 * beyond.mean():.1f} | " + " | ".join(f"{p:.1f}" for p in parts) + " |")
    return lines


_NOTE = (
    "Absolute percentage errors; the roofline columns are the closed form of single kernels that training starts from. Families are "
    "dealt into parts that are left out in turn. ExtraTrees and LightGBM learn log(measured / closed form) from sums and means over the "
    "rows of each network. A fit of log(time) on log(multiply-adds) and log(activations) by device has a median of 16 to 18 % and a 90th "
    "percentile of 47 to 63 % with families left out; there is no published number for these splits. "
    f"Ranges ({100 * LEVEL:.0f} %) come from one half of the families and are asked on the other; mean of 20 halvings."
)
_DOMAIN = (
    "How well the distance to the nearest network of training tells families that training left out from models that it left out, too, "
    "but whose families it knows; the limit is what 95 % of such models stay below."
)
