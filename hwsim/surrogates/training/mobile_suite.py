"""How far off surrogates of networks on NPUs are on networks, and kinds of networks, that neither they nor the closed form's fit saw."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.datasets import ai_hub
from hwsim.surrogates.networks import answers
from hwsim.surrogates.residual import summary
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training.left_out import ensemble, folds
from hwsim.surrogates.training.npu_networks import graphs_of
from hwsim.targets.npu import calibrate, cost, features, lower

NAME = "mobile-networks"
SPLITS = {"architecture": "networks left out", "family": "kinds left out"}
PARTS, STEPS, DEALS = 5, 200, (1, 2)
"""Parts that networks are dealt into, steps of the closed form's fit to four of them, and further seeds of the dealing."""
SUMMED = tuple(features.NAMES.index(name) for name in ("read", "written", "weights", "ops", "special", "moved"))
"""Sizes of rows that other learners see the sums of."""
LEARNERS = ("ours", "closed form", "ExtraTrees", "LightGBM")


@cache
def _runs() -> calibrate.Runs:
    return calibrate.measured()


@cache
def _recipe() -> Any:
    return recipes.read(shelf.checkout("surrogates") / NAME / "recipe.yaml")


@cache
def predictions(by: str, deal: int = 0) -> dict[str, np.ndarray]:
    """Seconds of every run by learner, each from what did not see its `architecture` or `family`; kept in the cache (`HWSIM_CACHE`).

    Args:
        by: what stays together.
        deal: seed of the dealing into parts.

    Raises:
        DataMissing: the measurements are not there.
    """
    runs = _runs()
    code = "".join(Path(str(m.__file__)).read_text(encoding="utf-8") for m in (calibrate, cost, features, lower))
    key = hashlib.sha256(f"{by}{deal or ''}{len(runs)}{STEPS}{recipes.plain(_recipe())}{code}".encode()).hexdigest()[:12]
    path = Path(os.environ.get("HWSIM_CACHE", Path.home() / ".cache" / "hwsim")) / "runs" / NAME / f"{key}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        found: dict[str, Any] = _judged(runs, by, deal)
        np.savez(path.with_suffix(".part.npz"), **found)
        path.with_suffix(".part.npz").replace(path)
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _judged(runs: calibrate.Runs, by: str, deal: int) -> dict[str, np.ndarray]:
    part = folds(runs.frame[by].to_numpy(), count=PARTS, seed=deal)
    found = {name: np.full(len(runs), np.nan) for name in LEARNERS}
    for held in range(PARTS):
        inside, others = np.flatnonzero(part == held), np.flatnonzero(part != held)
        graphs = graphs_of(runs, found=calibrate.fit(runs.take(others), steps=STEPS))
        found["closed form"][inside] = graphs.closed_form[inside, 0]
        members = ensemble(graphs.take(others), _recipe().model, seeds=_recipe().seeds)
        found["ours"][inside] = answers(members, graphs.take(inside))[0][:, 0]
        seen, target = _seen(graphs), np.log(graphs.measured[:, 0])
        for name, fit in _others().items():
            found[name][inside] = np.exp(fit(seen[others], target[others]).predict(seen[inside]))
    return found


def _seen(graphs: Any) -> np.ndarray:
    """What learners without rows see: means of the rows' features by share of the closed form, its logarithm, number of rows."""
    rows, first = graphs.features.astype(float), graphs.start[:-1]
    sums = np.stack([np.log1p(np.add.reduceat(2.0 ** rows[:, i], first)) for i in SUMMED], axis=1)
    return np.concatenate([summary(graphs, "latency_s"), sums], axis=1)


def _others() -> dict[str, Callable[[np.ndarray, np.ndarray], Any]]:
    return {"ExtraTrees": _extra_trees, **({"LightGBM": _light_gbm} if importlib.util.find_spec("lightgbm") else {})}


def _extra_trees(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(100, max_features=0.5, min_samples_leaf=2, random_state=0).fit(x, y)


def _light_gbm(x: np.ndarray, y: np.ndarray) -> Any:
    lightgbm: Any = importlib.import_module("lightgbm")
    given = {"n_estimators": 200, "num_leaves": 15, "learning_rate": 0.06, "objective": "l1", "verbose": -1}
    return lightgbm.LGBMRegressor(**given, n_jobs=1, random_state=0).fit(x, y)


def validation_rows() -> dict[str, np.ndarray]:
    """Runs of networks that were left out, one in five at a time; the closed form in place of a roofline."""
    return {**closed_form_rows(), "predicted": predictions("architecture")["ours"], "roofline": predictions("architecture")["closed form"]}


def closed_form_rows() -> dict[str, np.ndarray]:
    """The same by the closed form, whose constants come from the other networks."""
    frame = _runs().frame
    return {
        "device": frame.device.to_numpy().astype(str),
        "group": (frame.dtype + ", " + frame.runtime).to_numpy().astype(str),
        "measured": frame.measured_s.to_numpy(),
        "predicted": predictions("architecture")["closed form"],
    }


def write() -> None:
    """Fit the closed form on everything, for the shelf."""
    calibrate.write()


def text() -> str:
    """Tables: other learners, kinds left out, ranges, single networks, what is covered, memory."""
    lines = [_NOTE, "", _head("", LEARNERS), "|---|---:|" + "---:|" * (2 * len(LEARNERS)) + "---:|"]
    frame = _runs().frame
    everything = np.full(len(frame), True)
    for by, words in SPLITS.items():
        lines.append(_row(f"all, {words}", everything, by))
    for deal in DEALS:
        lines.append(_row(f"all, {SPLITS['architecture']}, dealt into other parts ({deal})", everything, "architecture", deal))
    for column in ("dtype", "runtime"):
        for name in sorted(set(frame[column])):
            if (frame[column] == name).sum() > 100:
                lines.append(_row(f"{name}, {SPLITS['architecture']}", (frame[column] == name).to_numpy(), "architecture"))
    return "\n".join([*lines, "", "## Networks", "", *_networks(), "", "## Coverage", "", *_covered(), "", "## Memory", "", *_memory()])


def _head(first: str, names: tuple[str, ...]) -> str:
    return f"| {first} | n | " + " | ".join(f"{name} median | {name} p90" for name in names) + " | within 90 % ranges |"


def _row(name: str, kept: np.ndarray, by: str, deal: int = 0) -> str:
    measured, found = _runs().frame.measured_s.to_numpy()[kept], predictions(by, deal)
    cells = []
    for learner in LEARNERS:
        error = np.abs(found[learner][kept] / measured - 1)
        cells += ["-", "-"] if np.isnan(error).any() else [f"{100 * np.median(error):.1f}", f"{100 * np.quantile(error, 0.9):.1f}"]
    return f"| {name} | {kept.sum():,} | {' | '.join(cells)} | {100 * coverage(kept, by, deal=deal):.1f} |"


def coverage(kept: np.ndarray, by: str = "architecture", *, deal: int = 0, draws: int = 20) -> float:
    """Share of the runs of one half of the names within the range that the errors on the other half give, over several halvings."""
    frame = _runs().frame[kept]
    names, ratio, found = frame[by].to_numpy(), frame.measured_s.to_numpy() / predictions(by, deal)["ours"][kept], []
    for seed in range(draws):
        known = np.unique(names)
        first = np.isin(names, np.random.default_rng(seed).choice(known, len(known) // 2, replace=False))
        low, high = conformal_ratios(ratio[first])
        found.append(np.mean((ratio[~first] >= low) & (ratio[~first] <= high)))
    return float(np.mean(found))


def _networks() -> list[str]:
    frame = _runs().frame
    error = np.abs(predictions("architecture")["ours"] / frame.measured_s.to_numpy() - 1)
    median = frame.assign(error=error).groupby("name").error.median().sort_values()
    listed = ", ".join(f"{name} {100 * value:.0f}" for name, value in median.items())
    under = int((median <= 0.15).sum())
    return [f"Median error of each network, when it is left out; {under} of {len(median)} are at 15 % or less: {listed}."]


def _covered() -> list[str]:
    runs = ai_hub.runs()
    known = runs.graph != ""
    fallen = known & runs.fallen_back
    mixed = int((known & ~runs.fallen_back).sum()) - len(_runs())
    by_runtime = ", ".join(f"{name} {count}" for name, count in runs[fallen].groupby("runtime").size().items())
    left = runs[~known].groupby("why").name.nunique().sort_values(ascending=False)
    words = [
        f"{known.sum():,} of {len(runs):,} runs are of the {runs.name[known].nunique()} of {runs.name.nunique()} networks and components",
        f"whose graph can be built. Of these {fallen.sum():,} left operators to CPU or GPU ({by_runtime}), {mixed:,} are in mixed formats;",
        "they are not predicted, for what falls back is known only after a run. Taken for runs on the NPU, those that fell back take",
        f"{_slower(runs[fallen]):.1f} times as long as the closed form says (median), the others",
        f"{_slower(runs[known & ~runs.fallen_back]):.2f} times.",
        f"Networks without a graph: {', '.join(f'{why}: {count}' for why, count in left.items())}.",
    ]
    return [" ".join(words)]


def _slower(frame: Any) -> float:
    """Median of measured over closed form, the shelf's, of runs in a format of the family."""
    kept = frame[frame.dtype.isin(list(ai_hub.DTYPES.values()))].reset_index(drop=True)
    parts = [calibrate.tabled(source) for source in kept.graph]
    start = np.concatenate([[0], np.cumsum([len(p) for p in parts])])
    joined = np.concatenate(parts)
    graphs = graphs_of(calibrate.Runs(kept, joined[:, :-1], joined[:, -1], start))
    return float(np.median(graphs.measured / graphs.closed_form))


def _memory() -> list[str]:
    frame = _runs().frame
    held = frame[frame.memory_b > 0]
    share = 1 - len(held) / len(frame)
    weights = {name: calibrate.tabled(name)[:, [calibrate.NAMES.index("weights"), -1]].prod(axis=1).sum() for name in set(held.graph)}
    bytes_each = held.dtype.map({"fp16": 2.0}).fillna(1.0) * held.graph.map(weights)
    order = float(np.corrcoef(bytes_each.rank(), held.memory_b.rank())[0, 1])
    words = [
        f"The larger of the two stated peaks is 0 in {100 * share:.0f} % of the runs; elsewhere it goes with the bytes of the weights",
        f"at a Spearman correlation of {order:.2f}. What it covers is not stated, so memory is not validated.",
    ]
    return [" ".join(words)]


_NOTE = (
    "Absolute percentage errors in time, every layer on the NPU. Networks (or kinds of networks, such as all BERTs) are dealt into "
    f"{PARTS} parts that are left out in turn; constants of the closed form are fitted anew without them, so nothing has seen what it "
    "predicts. Ours are three seeds together. ExtraTrees and LightGBM learn the logarithm of the time from sums and means over the rows of "
    "a network, the closed form included. There is no published number for these measurements. "
    f"Ranges ({100 * LEVEL:.0f} %) come from one half of the networks and are asked on the other; mean of 20 halvings."
)
