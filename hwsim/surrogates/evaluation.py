"""A surrogate on the rows of a data set: every row asked as `estimate` would, beside what was measured and the closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import plugins
from hwsim.cost import Cost
from hwsim.datasets.check import check
from hwsim.datasets.loading import Loader
from hwsim.datasets.store import Dataset, read
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates import methods, samples, store
from hwsim.surrogates.metrics import range_name, value_of
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training.lowered import LeftOut, Question, lines, question, unusable
from hwsim.surrogates.training.outcomes import Outcome
from hwsim.surrogates.training.residual import SEEN

Tell = Callable[[str], None]
NOTHING = (np.nan, np.nan)


@dataclass(frozen=True)
class Evaluation:
    """What a surrogate says of the rows of a data set."""

    stored: Stored
    data: Dataset
    outcomes: tuple[Outcome, ...]
    """By metric; `networks` are rows of the data set, from 0."""
    seen: np.ndarray
    """Whether a row was in training, shape `(rows,)`."""
    same_set: bool
    """Whether the surrogate was trained on this data set, without saying on which rows."""
    left_out: tuple[LeftOut, ...]

    def tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Errors and coverage of all rows and of each group, by metric."""
        return {outcome.metric: outcome.tables() for outcome in self.outcomes}

    @property
    def warning(self) -> str:
        """Why these errors flatter; empty where they do not."""
        count = int(self.seen[np.unique(np.concatenate([o.networks for o in self.outcomes]))].sum()) if self.outcomes else 0
        if count:
            return f"{count:,} of the rows were in training: their errors flatter"
        words = f"{self.stored.name} was trained on {self.data.name}, and does not say on which rows: errors may flatter"
        return words if self.same_set else ""


def evaluate(
    name: str, *, data: str | None = None, by: Sequence[str] = (), rows: int | None = None, tell: Tell = lambda line: None
) -> Evaluation:
    """Ask a surrogate for every row of a data set.

    Args:
        name: of a surrogate on the shelf, or its folder.
        data: name, folder or file of the set; by default what it was trained on.
        by: columns whose values make groups (`device`, `mapping.dtype`); by default the groups of its recipe.
        rows: at most so many, drawn at random, always the same.

    Raises:
        UnknownName: no such surrogate, data set or column.
        InputError: no row can be asked for.
        DataMissing: the rows have not been built.
    """
    stored = store.read(name)
    if stored.config.get("family") == samples.FAMILY:
        raise InputError(f"surrogate {name!r} speaks of devices that were sampled; its errors: hwsim validate surrogate-few-shot")
    source = data or str(stored.config["recipe"]["data"])
    checked = check(read(source), bounds=False)
    for line in checked.lines(most=5):
        tell(line)
    found = checked.data
    target: Any = plugins.load("hwsim.targets", str(stored.config["family"]))
    metrics = [m for m in stored.config.get("metrics", ("latency_s",)) if m in found.metrics]
    if not metrics:
        predicted = ", ".join(stored.config.get("metrics", ("latency_s",)))
        raise InputError(f"{found.where or source}: found the metrics {', '.join(found.metrics)}; {stored.name} predicts {predicted}")
    groups = groups_of(found, by or _columns(stored, found))
    chosen = _drawn(np.flatnonzero(~checked.bad), rows)
    answers, left, seen = _ask(name, stored, Loader(found, target), chosen, metrics, tell)
    if not answers:
        raise InputError("\n".join([f"{found.where or source}: no row can be asked for", *lines(found, left)]))
    for line in lines(found, left):
        tell(line)
    same = SEEN not in stored.weights and str(stored.config["recipe"]["data"]) in (source, found.name)
    outcomes = tuple(_outcome(metric, at, answers, found, groups) for at, metric in enumerate(metrics))
    return Evaluation(stored, found, outcomes, seen, same, tuple(left))


def _drawn(rows: np.ndarray, most: int | None) -> np.ndarray:
    return rows if most is None or most >= len(rows) else np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _columns(stored: Stored, data: Dataset) -> tuple[str, ...]:
    """Columns of the groups of its recipe, as far as the data set has them."""
    wanted = stored.config["recipe"].get("groups", ())
    return tuple(c for name in wanted for c in (name, f"mapping.{name}", f"protocol.{name}") if c in data.columns)


def groups_of(data: Dataset, columns: Sequence[str]) -> np.ndarray:
    """Texts of these columns joined by `/`, shape `(rows,)`.

    Raises:
        UnknownName: no such column.
    """
    for name in columns:
        if name not in data.columns:
            raise UnknownName(f"column of {data.name}:", name, data.columns)
    texts = [data.text(name).astype(str).tolist() for name in columns]
    return np.array(["/".join(parts) for parts in zip(*texts, strict=True)]) if texts else np.full(len(data), "all")


_Answer = tuple[int, list[tuple[float, float, float, float]]]
"""Row, and (found, closed form, low, high) of each metric."""


def _ask(
    name: str, stored: Stored, loader: Loader, rows: np.ndarray, metrics: Sequence[str], tell: Tell
) -> tuple[list[_Answer], list[LeftOut], np.ndarray]:
    measured = np.stack([loader.data.numbers(m) for m in metrics], axis=1)
    known = set(np.asarray(stored.weights.get(SEEN, ())).tolist())
    answers: list[_Answer] = []
    left: list[LeftOut] = []
    seen = np.zeros(len(loader.data), dtype=bool)
    for count, row in enumerate(rows.tolist()):
        asked = unusable(measured[row], metrics, row) or question(loader, row)
        if isinstance(asked, LeftOut):
            left.append(asked)
            continue
        answers.append((row, answer(name, loader.target, asked, metrics)))
        seen[row] = bool(known) and int(asked.labels()["key"], 16) in known
        if count % 200 == 199:
            tell(f"asked for {count + 1:,} of {len(rows):,} rows")
    return answers, left, seen


def answer(name: str, target: Any, asked: Question, metrics: Sequence[str]) -> list[tuple[float, float, float, float]]:
    """(found, closed form, low, high) of each metric; a range that there is none of is not a number."""
    given: dict[str, Any] = {"device": asked.device, "mapping": asked.mapping}
    found = methods.answer(methods.PREFIX + name, asked.program, **given)
    closed = target.cost(asked.program, **given)
    return [(value_of(found.cost, m), value_of(closed, m), *_range(found, m)) for m in metrics]


def _range(found: methods.Answer, metric: str) -> tuple[float, float]:
    interval = found.intervals.get(range_name(metric))
    if interval is None or interval.low is None or interval.high is None:
        return NOTHING
    scale = _cycles_per_s(found.cost) if metric == "cycles" else 1.0
    return interval.low * scale, interval.high * scale


def _cycles_per_s(cost: Cost) -> float:
    return value_of(cost, "cycles") / float(cost.latency_s)


def _outcome(metric: str, at: int, answers: Sequence[_Answer], data: Dataset, groups: np.ndarray) -> Outcome:
    rows = np.array([row for row, _ in answers])
    values = np.array([told[at] for _, told in answers])
    measured = data.numbers(metric)[rows]
    kept = np.isfinite(measured)
    found, closed, low, high = values[kept].T
    names = tuple(Path(text).name for text in data.text("graph")[rows[kept]].astype(str).tolist())
    return Outcome(metric, measured[kept], found, closed, low, high, rows[kept], names, groups[rows[kept]])
