"""What ten to a hundred measurements of a board teach a residual surrogate, judged on families of networks that none of them is of."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim import shelf
from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.residual import summary
from hwsim.surrogates.ridge import fit, judged
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training import run
from hwsim.surrogates.training.residual import INSIDE
from hwsim.targets.gpu.calibrate.fitting import joined

COUNTS = (10, 30, 100)
"""Measured rows."""
DRAWS = 10
"""Sets of rows, each from another half of the families."""
LEAST = 300
"""Rows of a board and runtime that are judged at all."""
Answers = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Labels of new rows from features and labels of measured ones."""


@dataclass(frozen=True)
class Drawn:
    """One draw: rows that were measured, and rows of other families."""

    device: str
    runtime: str
    count: int
    seed: int
    known: np.ndarray
    asked: np.ndarray


@cache
def networks() -> tuple[Graphs, np.ndarray, np.ndarray]:
    """(measured networks, what they look like, logarithm of measured over closed form); the closed form is the sum of single kernels."""
    data = run.load(recipes.read(shelf.checkout("surrogates") / "gpu-networks" / "recipe.yaml"))
    return data, summary(data, "latency_s"), np.log(data.measured[:, 0] / data.closed_form[:, 0])


def draws() -> Iterator[Drawn]:
    """Every board, runtime, number of rows and draw."""
    labels = networks()[0].labels
    for device in sorted(set(labels["device"].tolist())):
        for runtime in sorted(set(labels["runtime"].tolist())):
            rows = np.flatnonzero((labels["device"] == device) & (labels["runtime"] == runtime))
            if len(rows) >= LEAST:
                yield from (_draw(device, runtime, rows, count, seed) for count in COUNTS for seed in range(DRAWS))


def _draw(device: str, runtime: str, rows: np.ndarray, count: int, seed: int) -> Drawn:
    family = networks()[0].labels["family"][rows]
    draw = np.random.default_rng(seed)
    names = draw.permutation(sorted(set(family.tolist())))
    known = np.isin(family, names[: len(names) // 2])
    return Drawn(device, runtime, count, seed, draw.choice(rows[known], count, replace=False), rows[~known])


def ours(drawn: Drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, in-domain scores, ends of the range as factors) of the rows that are asked for."""
    data, z, y = networks()
    family = data.labels["family"][drawn.known]
    model = fit(z[drawn.known], y[drawn.known], groups=family)
    left = judged(z[drawn.known], y[drawn.known], groups=family).found
    return model(z[drawn.asked]), model.inside(z[drawn.asked]), np.array(conformal_ratios(np.exp(y[drawn.known] - left)))


@cache
def _answered() -> tuple[tuple[Drawn, np.ndarray, np.ndarray, np.ndarray], ...]:
    return tuple((drawn, *ours(drawn)) for drawn in draws())


def validation_rows() -> dict[str, np.ndarray]:
    """Networks of families that were not measured, every draw."""
    data = networks()[0]
    parts = []
    for drawn, label, _, _ in _answered():
        closed = data.closed_form[drawn.asked, 0]
        names = {"device": np.full(len(closed), drawn.device), "group": np.full(len(closed), f"{drawn.runtime}, {drawn.count} rows")}
        parts.append({**names, "measured": data.measured[drawn.asked, 0], "predicted": closed * np.exp(label), "roofline": closed})
    return joined(parts)


def text() -> str:
    """Medians of other learners on the same rows, and coverage of the ranges."""
    learners = dict(_learners())
    head = ["device", "runtime", "rows", "closed form", "ours", *learners, "held %", "with a range %"]
    lines = [_NOTE, "", "| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    answered = _answered()
    for key in dict.fromkeys((d.device, d.runtime, d.count) for d, *_ in answered):
        found = [a for a in answered if (a[0].device, a[0].runtime, a[0].count) == key]
        others = [float(np.mean([_median(d, _other(d, learn)) for d, *_ in found])) for learn in learners.values()]
        closed, mine = (float(np.mean([_median(d, f) for d, f in part])) for part in _ours_and_closed(found))
        held, ranged = (100 * float(np.mean(part)) for part in zip(*(_held(*a) for a in found), strict=True))
        errors = " | ".join(f"{100 * e:.1f}" for e in (closed, mine, *others))
        lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {errors} | {held:.1f} | {ranged:.0f} |")
    return "\n".join(lines)


def _ours_and_closed(found: list) -> tuple[list, list]:
    return [(a[0], np.zeros(len(a[0].asked))) for a in found], [(a[0], a[1]) for a in found]


def _median(drawn: Drawn, label: np.ndarray) -> float:
    return float(np.median(np.abs(np.exp(label - networks()[2][drawn.asked]) - 1)))


def _held(drawn: Drawn, label: np.ndarray, inside: np.ndarray, ends: np.ndarray) -> tuple[float, float]:
    """(share of measured times within the range, share of rows that get one)."""
    ratio, near = np.exp(networks()[2][drawn.asked] - label), inside >= INSIDE
    return float(np.mean((ratio >= ends[0]) & (ratio <= ends[1]), where=near)), float(np.mean(near))


def _other(drawn: Drawn, learn: Answers) -> np.ndarray:
    _, z, y = networks()
    return learn(z[drawn.known], y[drawn.known], z[drawn.asked])


def _learners() -> Iterator[tuple[str, Answers]]:
    yield "one factor", lambda x, y, new: np.full(len(new), np.median(y))
    if importlib.util.find_spec("sklearn"):
        yield "ExtraTrees", _extra_trees
    if importlib.util.find_spec("lightgbm"):
        yield "LightGBM", _light_gbm


def _extra_trees(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(50, min_samples_leaf=2, random_state=0, n_jobs=1).fit(x, y).predict(new)


def _light_gbm(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    lightgbm = importlib.import_module("lightgbm")
    given = {"n_estimators": 100, "num_leaves": 7, "min_child_samples": 3, "objective": "l1", "verbose": -1}
    return np.asarray(lightgbm.LGBMRegressor(**given, n_jobs=1, random_state=0).fit(x, y).predict(new))


_NOTE = (
    f"Median absolute percentage error, mean over {DRAWS} draws. The rows that were measured are of one half of the families, the rows "
    "asked for of the other. The closed form is the sum of single kernels; its constants come from single kernels and never saw a network. "
    "One factor: the median of measured over closed form. The other learners see the same features and learn the same logarithm. "
    f"*Held*: measured times within the {100 * LEVEL:.0f} % range, among the networks that get one."
)
