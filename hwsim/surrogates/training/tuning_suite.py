"""How far off a tuned surrogate is on a device that training did not see, by the number of networks measured there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from hwsim.accuracy import LEVEL, conformal_ratios
from hwsim.surrogates import ridge
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import spread
from hwsim.surrogates.networks.recipes import AdditiveRecipe
from hwsim.surrogates.residual import summary
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training import run
from hwsim.surrogates.training.left_out import Loop, ensemble
from hwsim.surrogates.training.tuning import Start
from hwsim.targets.gpu.features import DEVICE

COUNTS = (0, 3, 10, 30, 100)
"""Networks measured on the new device."""
DRAWS = 3
RANGED = (10, 30, 100)
"""Counts whose ranges are asked, by one draw."""
SEEDS = (0, 1, 2)
MAPPING = ("runtime", "dtype", "layout")
LIMIT = 3.0
METHODS = {
    "tuned": "tuned",
    "shifted": "one factor",
    "closed": "closed form",
    "ridge": "ridge",
    "forest": "ExtraTrees",
    "forest_alone": "ExtraTrees alone",
    "boosted": "LightGBM",
}


@dataclass(frozen=True)
class Left:
    """A device that training did not see."""

    device: str
    start: Start
    """Of its networks in one mapping; members were trained on the other devices."""
    mapping: str

    @property
    def measured(self) -> np.ndarray:
        """Logarithms, shape `(networks,)`."""
        return np.log(self.start.graphs.measured[:, 0])

    @property
    def models(self) -> np.ndarray:
        """Architecture of each network."""
        return self.start.graphs.labels["architecture"]


@cache
def left_out() -> tuple[Left, ...]:
    """Each device and mapping of the training set; nine members are trained, minutes of CPU.

    Raises:
        DataMissing: the measurements are not there.
    """
    recipe = recipes.Recipe(name="tuning", summary="", family="gpu", data="timm-networks", left_out=recipes.LeftOut(by="device"))
    data = run.load(recipe)
    data = replace(data, labels={**data.labels, "architecture": data.labels["model"]})
    found = []
    for device in sorted(set(data.labels["device"].tolist())):
        start = _start(data, data.labels["device"] == device)
        mappings = np.array(["/".join(parts) for parts in zip(*(start.graphs.labels[n].tolist() for n in MAPPING), strict=True)])
        found += [Left(device, start.take(np.flatnonzero(mappings == name)), name) for name in sorted(set(mappings.tolist()))]
    return tuple(found)


def _start(data: Graphs, held: np.ndarray) -> Start:
    """What members that saw none of the held networks say of them; of the device they see nothing but the closed form."""
    others = data.take(np.flatnonzero(~held))
    given: dict[str, Any] = {"by": others.labels["device"], "seeds": SEEDS, "loop": Loop()}
    members = [member.mlp() for member in ensemble(others, AdditiveRecipe(hidden_features=DEVICE), **given)]
    graphs = data.take(np.flatnonzero(held))
    factor, _ = spread(members, graphs.features.astype(float))
    return Start(graphs, np.clip(factor, -LIMIT, LIMIT)[:, None], np.zeros((len(graphs), 1)), members[0].mean, members[0].scale)


def drawn(left: Left, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(networks measured, networks asked): random architectures, one network of each; asked is every network of the others."""
    draw = np.random.default_rng(1000 + seed)
    names = draw.permutation(np.unique(left.models))[:count]
    rows = [draw.choice(np.flatnonzero(left.models == name)) for name in names]
    return np.array(rows, dtype=int), np.flatnonzero(~np.isin(left.models, names))


def predicted(left: Left, method: str, some: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Logarithms of the networks asked, from those measured."""
    y, closed = left.measured[some], np.log(left.start.graphs.closed_form[:, 0])
    before = np.log(_base(left))
    if method == "tuned":
        known = left.start.correction(some) if len(some) else None
        return np.log(left.start.take(asked).predicted(known)[:, 0])
    if method in ("shifted", "closed"):
        start = before if method == "shifted" else closed
        return start[asked] + (np.median(y - start[some]) if len(some) else 0.0)
    seen = _seen(left)
    fit, alone = _fits()[method], method.endswith("alone")
    return fit(seen[some], y if alone else y - closed[some])(seen[asked]) + (0.0 if alone else closed[asked])


_KEPT: dict[tuple[str, str, str], np.ndarray] = {}


def _base(left: Left) -> np.ndarray:
    key = (left.device, left.mapping, "base")
    if key not in _KEPT:
        _KEPT[key] = left.start.predicted()[:, 0]
    return _KEPT[key]


def _seen(left: Left) -> np.ndarray:
    key = (left.device, left.mapping, "seen")
    if key not in _KEPT:
        _KEPT[key] = summary(left.start.graphs, "latency_s")
    return _KEPT[key]


def _fits() -> Mapping[str, Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]]:
    from sklearn.ensemble import ExtraTreesRegressor

    def forest(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return ExtraTreesRegressor(100, random_state=0).fit(x, y).predict

    def boosted(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        lightgbm: Any = importlib.import_module("lightgbm")
        given = {"n_estimators": 200, "num_leaves": 7, "min_child_samples": 3, "learning_rate": 0.05, "verbose": -1, "n_jobs": 1}
        return lightgbm.LGBMRegressor(**given, random_state=0).fit(x, y).predict

    return {"ridge": ridge.fit, "forest": forest, "forest_alone": forest, "boosted": boosted}


def methods() -> tuple[str, ...]:
    """Those that can run here."""
    return tuple(name for name in METHODS if name != "boosted" or importlib.util.find_spec("lightgbm"))


@cache
def errors(device: str, method: str, count: int) -> np.ndarray:
    """(median, 90th percentile) of the errors in percent, mean over mappings, of each draw; shape `(draws, 2)`."""
    found = []
    for seed in range(DRAWS if count else 1):
        parts = []
        for left in (one for one in left_out() if one.device == device):
            some, asked = drawn(left, count, seed)
            error = 100 * np.abs(np.exp(predicted(left, method, some, asked) - left.measured[asked]) - 1)
            parts.append(np.quantile(error, [0.5, 0.9]))
        found.append(np.mean(parts, axis=0))
    return np.array(found)


def covered(device: str, count: int) -> float:
    """Share of the networks asked within the range that the measured ones gave, each left out in turn."""
    found = []
    for left in (one for one in left_out() if one.device == device):
        some, asked = drawn(left, count, 0)
        known = left.start.take(some)
        low, high = conformal_ratios(known.graphs.measured[:, 0] / known.judged()[:, 0])
        ratio = np.exp(left.measured[asked] - predicted(left, "tuned", some, asked))
        found.append(np.mean((ratio >= low) & (ratio <= high)))
    return 100 * float(np.mean(found))


def validation_rows() -> dict[str, np.ndarray]:
    """Networks of each device and mapping from ten that were measured, one draw."""
    columns: dict[str, list[np.ndarray]] = {"device": [], "group": [], "measured_s": [], "predicted_s": [], "roofline_s": []}
    for left in left_out():
        some, asked = drawn(left, 10, 0)
        closed = left.start.graphs.closed_form[asked, 0]
        found = np.exp(predicted(left, "tuned", some, asked))
        values = (np.full(len(asked), left.device), np.full(len(asked), left.mapping), np.exp(left.measured[asked]), found, closed)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def text() -> str:
    """Tables and a curve by number of measured networks, in Markdown.

    Raises:
        DataMissing: the measurements are not there.
    """
    return "\n".join([*_tables(), *_curve(), *_coverage()])


def devices() -> tuple[str, ...]:
    """In order."""
    return tuple(sorted({left.device for left in left_out()}))


def _tables() -> Iterator[str]:
    names = methods()
    yield "## Error by number of measured networks"
    yield ""
    yield _NOTE
    yield ""
    yield f"| device | measured | {' | '.join(METHODS[n] for n in names)} |"
    yield "|---|---:|" + "---:|" * len(names)
    for device in devices():
        for count in COUNTS:
            yield f"| {device} | {count} | {' | '.join(_cell([errors(device, n, count)]) if count or n in FREE else '-' for n in names)} |"
    for count in COUNTS:
        every = {n: [errors(d, n, count) for d in devices()] for n in names if count or n in FREE}
        yield f"| **mean** | {count} | {' | '.join(_cell(every[n], spread=n == 'tuned') if n in every else '-' for n in names)} |"
    yield ""


FREE = ("tuned", "shifted", "closed")
"""Methods that answer without any measurement."""


def _cell(found: list[np.ndarray], *, spread: bool = False) -> str:
    by_draw = np.mean(found, axis=0)
    median, p90 = by_draw.mean(axis=0)
    return f"{median:.1f}{f' ± {by_draw[:, 0].std():.1f}' if spread else ''} / {p90:.0f}"


def _curve() -> Iterator[str]:
    """Learning curves, as a chart that Markdown viewers draw."""
    shown = ("tuned", "closed", "forest")
    yield f"Median error in percent, mean of the devices; lines from below at 100: {', '.join(METHODS[n] for n in _ordered(shown))}."
    yield ""
    yield "```mermaid"
    yield "xychart-beta"
    yield f"  x-axis [{', '.join(str(c) for c in COUNTS[1:])}]"
    yield '  y-axis "median error %" 0 --> 30'
    for name in _ordered(shown):
        yield f"  line [{', '.join(f'{_mean(name, c):.1f}' for c in COUNTS[1:])}]"
    yield "```"
    yield ""


def _mean(name: str, count: int) -> float:
    return float(np.mean([errors(d, name, count)[:, 0].mean() for d in devices()]))


def _ordered(names: tuple[str, ...]) -> list[str]:
    return sorted(names, key=lambda name: _mean(name, COUNTS[-1]))


def _coverage() -> Iterator[str]:
    yield f"Share of further networks within the {100 * LEVEL:.0f} % range that the measured ones give, each left out in turn:"
    yield ""
    yield f"| device | {' | '.join(f'{c} measured' for c in RANGED)} |"
    yield "|---|" + "---:|" * len(RANGED)
    for device in devices():
        yield f"| {device} | {' | '.join(f'{covered(device, c):.0f} %' for c in RANGED)} |"
    yield ""


_NOTE = (
    "Median / 90th percentile of the absolute percentage errors on networks of other architectures, mean over the mappings of the device "
    f"(runtime, format, layout: each tuned by itself) and {DRAWS} draws of random architectures; ± standard deviation over draws. Members "
    f"({len(SEEDS)} seeds) were trained on the other two boards and see nothing of what a device is but the closed form. *One factor*: "
    "these members times the median ratio; *closed form*: likewise; *ridge*: `hwsim train --data` without a surrogate; *ExtraTrees* and "
    "*LightGBM* learn measured over closed form from the mean features of a network, *alone*: the time itself, all on the same "
    "measurements. The widths of the prior were chosen on the same boards with other draws."
)
