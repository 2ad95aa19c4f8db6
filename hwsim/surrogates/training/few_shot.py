"""How well ten measurements do on devices that were never seen: HELP's devices and split, beside what HELP publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from hwsim.datasets.help_latency import ESTIMATED, SPACES, Measured, read
from hwsim.surrogates import samples, store
from hwsim.surrogates.few_shot import FewShot, Prediction, tuned

SAMPLES = 10
DRAWS = 30
PUBLISHED_QUERIES = 1000
"""Rows behind the pool that HELP judges on, less the fastest and slowest tenth."""

Predictor = Callable[[np.ndarray], Prediction]


@dataclass(frozen=True)
class Judged:
    """One device of one space, over draws of its samples: shape `(draws,)` each."""

    space: str
    device: str
    spearman: np.ndarray
    """Over every architecture that neither the known devices nor the samples have."""
    middle: np.ndarray
    """The same over HELP's rows."""
    median_error: np.ndarray
    covered: np.ndarray
    """Share of measurements within their ranges."""
    macs: float
    """Rank correlation of multiply-adds, over every architecture."""
    published: float | None
    """HELP's rank correlation."""


@cache
def model(space: str) -> FewShot:
    """Learned from HELP's training devices and their architectures alone."""
    data, split = read(space), SPACES[space]
    costs = [data.latency_s[d][: split.pool] for d in split.known]
    groups, ideal = [d.partition("_")[0] for d in split.known], list(data.ideal[:, : split.pool])
    return tuned(data.features[: split.pool], costs, groups=groups, relevance=data.relevance, ideal=ideal, samples=SAMPLES, draws=8)


def judge(
    space: str,
    device: str,
    *,
    draws: int = DRAWS,
    count: int = SAMPLES,
    chosen: bool = False,
    adapt: Callable[[np.ndarray, np.ndarray], Predictor] | None = None,
) -> Judged:
    """Errors of one device over draws of ten samples among the rows of the pool.

    Args:
        space: of the architectures.
        device: asked as if it were new.
        draws: of its samples, uniform.
        count: samples of a draw.
        chosen: one set of samples by `FewShot.choose` in place of draws.
        adapt: another method in place of `model(space)`: from features and costs of samples to a predictor.

    Raises:
        DataMissing: the measurements are not there.
    """
    data, split = read(space), SPACES[space]
    y = data.latency_s[device]
    test = np.flatnonzero(np.isfinite(y) & (np.arange(len(y)) >= split.pool))
    middle = _middle(y, test[test < split.pool + PUBLISHED_QUERIES])
    pool = np.flatnonzero(np.isfinite(y[: split.pool]))
    drawn = (np.random.default_rng(seed).choice(pool, count, replace=False) for seed in range(draws))
    sets = [pool[list(model(space).choose(data.features[pool], count=count))]] if chosen else drawn
    asked = ((adapt or _ours(space))(data.features[rows], y[rows])(data.features[test]) for rows in sets)
    spearman, among, median, covered = np.array([_scores(found, y, test, middle) for found in asked]).T
    ranks = rank_correlation(data.macs[test], y[test])
    return Judged(space, device, spearman, among, median, covered, ranks, split.test.get(device))


def _ours(space: str) -> Callable[[np.ndarray, np.ndarray], Predictor]:
    return lambda features, costs: model(space).adapt(features, costs).predict


def _middle(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows without the fastest and the slowest tenth, as HELP has it."""
    ordered = rows[np.argsort(y[rows], kind="stable")]
    return ordered[int(len(rows) * 0.1) : int(len(rows) * 0.9)]


def _scores(found: Prediction, y: np.ndarray, test: np.ndarray, middle: np.ndarray) -> tuple[float, float, float, float]:
    place = np.searchsorted(test, middle)
    return (
        rank_correlation(found.mean, y[test]),
        rank_correlation(found.mean[place], y[middle]),
        float(np.median(np.abs(found.mean / y[test] - 1))),
        float(np.mean((y[test] >= found.low) & (y[test] <= found.high))),
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, ties sharing their mean rank."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def alone(features: np.ndarray, costs: np.ndarray, *, data: Measured) -> Predictor:
    """Extremely randomised trees on the samples alone, no known device."""
    from sklearn.ensemble import ExtraTreesRegressor

    shared = data.relevance == 1.0
    trees = ExtraTreesRegressor(100, random_state=0).fit(features[:, shared], costs)

    def ask(rows: np.ndarray) -> Prediction:
        mean = trees.predict(rows[:, shared])
        return Prediction(mean, mean, mean)

    return ask


def devices(space: str) -> tuple[str, ...]:
    """Those asked: HELP's, then others."""
    return (*SPACES[space].test, *SPACES[space].others)


def validation_rows() -> dict[str, np.ndarray]:
    """Measured and predicted latency of every architecture left out, from one draw for each device.

    Raises:
        DataMissing: the measurements are not there.
    """
    columns: dict[str, list[np.ndarray]] = {"device": [], "group": [], "measured_s": [], "predicted_s": []}
    for space, device, seed in ((s, d, i) for s in SPACES for i, d in enumerate(devices(s))):
        data, pool = read(space), SPACES[space].pool
        y = data.latency_s[device]
        chosen = np.random.default_rng(seed).choice(np.flatnonzero(np.isfinite(y[:pool])), SAMPLES, replace=False)
        test = np.flatnonzero(np.isfinite(y) & (np.arange(len(y)) >= pool))
        found = model(space).adapt(data.features[chosen], y[chosen]).predict(data.features[test])
        added = (np.full(len(test), device), np.full(len(test), space), y[test], found.mean)
        for name, values in zip(columns, added, strict=True):
            columns[name].append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def text() -> str:
    """Tables by space, in Markdown.

    Raises:
        DataMissing: the measurements are not there.
    """
    return "\n".join(line for space in SPACES for line in _table(space))


def _table(space: str) -> Iterator[str]:
    split, data = SPACES[space], read(space)
    found = [
        _Row(judge(space, d), judge(space, d, chosen=True), judge(space, d, draws=3, adapt=partial(alone, data=data)))
        for d in devices(space)
    ]
    yield f"## {space}"
    yield ""
    yield f"Known: {', '.join(split.known)}, by their first {split.pool:,} architectures."
    yield f"Ten of these architectures are measured on the new device, drawn at random (mean of {DRAWS} draws ± standard deviation) or"
    yield "*chosen* by `FewShot.choose`; asked are the others, which no device has shown."
    yield f"*Middle*: HELP's own protocol, the {PUBLISHED_QUERIES:,} rows that follow without the fastest and slowest tenth of the device."
    yield "*Trees*: ExtraTrees on ten random samples alone. *MACs*: multiply-adds as they are. \\* estimated by a tool, not measured."
    yield ""
    yield f"| {' | '.join(('device', 'n', *HEADINGS))} |"
    yield "|---|" + "---:|" * (len(HEADINGS) + 1)
    for row in found:
        name = row.ours.device + (r" \*" if row.ours.device in ESTIMATED else "")
        yield f"| {name} | {np.isfinite(data.latency_s[row.ours.device][split.pool :]).sum():,} | {' | '.join(row.cells())} |"
    for name, rows in {
        "mean of HELP's devices": [r for r in found if r.ours.published],
        "mean of measured devices": [r for r in found if r.ours.device not in ESTIMATED],
    }.items():
        yield f"| **{name}** | | {' | '.join(_formatted(np.mean([r.values() for r in rows], axis=0)))} |"
    yield ""
    yield from _curve(space)


CURVE = (3, 5, 10, 20, 50, 100)
"""Measurements of a learning curve."""


def curve(space: str) -> list[tuple[int, float, float, float, float]]:
    """(measurements, rank correlation on HELP's rows, median error, the same of trees), means over HELP's devices and ten draws."""
    data, found = read(space), []
    for count in CURVE:
        ours = [judge(space, device, draws=10, count=count) for device in SPACES[space].test]
        trees = [judge(space, device, draws=3, count=count, adapt=partial(alone, data=data)) for device in SPACES[space].test]
        pairs = [(np.mean([np.mean(r.middle) for r in rows]), np.mean([np.mean(r.median_error) for r in rows])) for rows in (ours, trees)]
        found.append((count, *(float(v) for pair in pairs for v in pair)))
    return found


def _curve(space: str) -> Iterator[str]:
    yield "By number of random measurements, mean over HELP's devices:"
    yield ""
    yield "| measured | middle | median error % | trees, middle | trees, median error % |"
    yield "|---:|---:|---:|---:|---:|"
    for count, rank, error, tree_rank, tree_error in curve(space):
        yield f"| {count} | {rank:.3f} | {100 * error:.1f} | {tree_rank:.3f} | {100 * tree_error:.1f} |"
    yield ""


HEADINGS = (
    "Spearman",
    "middle",
    "chosen",
    "chosen, middle",
    "HELP (middle)",
    "trees",
    "trees, middle",
    "MACs",
    "median error %",
    "in 90 % range %",
)


@dataclass(frozen=True)
class _Row:
    """One device of a table."""

    ours: Judged
    chosen: Judged
    trees: Judged

    def values(self) -> np.ndarray:
        """In the order of `HEADINGS`."""
        ranks = [np.mean(v) for j in (self.ours, self.chosen) for v in (j.spearman, j.middle)]
        published = np.nan if self.ours.published is None else self.ours.published
        beside = [published, np.mean(self.trees.spearman), np.mean(self.trees.middle), self.ours.macs]
        return np.array([*ranks, *beside, 100 * np.mean(self.ours.median_error), 100 * np.mean(self.ours.covered)])

    def cells(self) -> list[str]:
        """Printed, with the spread over draws."""
        cells = _formatted(self.values())
        spreads = (np.std(self.ours.spearman), np.std(self.ours.middle))
        return [f"{cell} ± {spread:.3f}" for cell, spread in zip(cells, spreads, strict=False)] + cells[2:]


def _formatted(values: np.ndarray) -> list[str]:
    digits = (*(3,) * 8, 1, 0)
    return ["-" if np.isnan(v) else f"{v:.{d}f}" for v, d in zip(values, digits, strict=True)]


def write() -> None:
    """Learn from the known devices and put what they say on the shelf, a surrogate a space.

    Raises:
        DataMissing: the measurements are not there.
    """
    for space, split in SPACES.items():
        held, rows = model(space), [judge(space, device) for device in split.test]
        summary = f"latency of {space} networks on a device of which a few are measured, learned from {len(split.known)} others"
        ranks, errors = ({r.device: round(float(np.mean(v)), 4) for r, v in pairs} for pairs in _summaries(rows))
        config = {
            "family": samples.FAMILY,
            "space": space,
            "shrinkage": {"common": held.shrinkage.common, "own": held.shrinkage.own},
            "reach": round(held.reach, 4),
            "trusted": {"devices": ["any, after ten samples"], "mapping": {}},
            "recipe": {"summary": summary, "known": list(split.known)},
        }
        metrics = {"suite": "surrogate-few-shot", "networks": split.pool, "spearman": ranks, "median_ape": errors}
        weights = {"center": held.center, "width": held.width, "known": held.known}
        store.write(store.Stored(f"few-shot-{space}", config, weights, metrics, _card(space, summary, ranks, errors)))


def _summaries(rows: list[Judged]) -> tuple[list[tuple[Judged, np.ndarray]], list[tuple[Judged, np.ndarray]]]:
    return [(r, r.spearman) for r in rows], [(r, r.median_error) for r in rows]


def _card(space: str, summary: str, ranks: dict[str, float], errors: dict[str, float]) -> str:
    lines = [f"| {d} | {ranks[d]:.3f} | {100 * errors[d]:.1f} |" for d in ranks]
    known = f"Known: {', '.join(SPACES[space].known)} (measurements of HayeonLee/HELP, MIT)."
    head = "Devices that were never seen, ten random samples each, on architectures that no device has shown:"
    table = ["| | Spearman | median error % |", "|---|---:|---:|", *lines]
    return "\n".join([f"# few-shot-{space}", "", summary.capitalize() + ".", "", known, head, "", *table]) + "\n"
