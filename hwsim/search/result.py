"""What a search found: as a sweep's result, of the designs that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.sweep.constraints import objectives
from hwsim.sweep.kept import Counts, front
from hwsim.sweep.plan import Plan
from hwsim.sweep.result import DesignPoint, Designs

ATTRIBUTE = "hwsim"
"""User attribute of a trial that holds its axes, metrics and how far it is from satisfying each condition."""


@dataclass(frozen=True)
class Searched:
    """Designs that were tried, those of other processes in the same study included."""

    plan: Plan
    tried: Designs
    """All that could be costed; `index` is the number of the trial."""
    good: np.ndarray
    """Which of them satisfy every condition, `(designs,)`."""
    counts: Counts
    reasons: Mapping[str, int]
    """Why designs could not be costed, and how many."""

    @classmethod
    def of(cls, plan: Plan, trials: Sequence[Any], reasons: Mapping[str, int]) -> Searched:
        """From the finished trials of a study."""
        costed = [t for t in trials if ATTRIBUTE in t.user_attrs]
        notes = [t.user_attrs[ATTRIBUTE] for t in costed]
        axes = {a.name: _column([_thawed(n["axes"][a.name]) for n in notes]) for a in plan.space.axes}
        names = dict.fromkeys(name for n in notes for name in n["metrics"])
        metrics = {name: np.array([n["metrics"].get(name, np.nan) for n in notes]) for name in names}
        values = {**metrics, **axes}
        masks = {c.text: np.asarray(c.mask(values), dtype=bool) for c in plan.constraints} if costed else {}
        good = np.all(list(masks.values()), axis=0) if masks else np.ones(len(costed), dtype=bool)
        index = np.array([t.number for t in costed], dtype=np.int64)
        failed = {text: int(np.sum(~mask)) for text, mask in masks.items()}
        counts = Counts(len(trials), int(np.sum(good)), {**failed, **reasons}, len(trials) - len(costed) - sum(reasons.values()))
        return cls(plan, Designs(plan.space, index, metrics, axes), good, counts, dict(reasons))

    @property
    def space(self) -> Any:
        """What could vary."""
        return self.plan.space

    @cached_property
    def feasible(self) -> Designs:
        """Designs that satisfy every condition."""
        return self.tried.of(self.good)

    def best(self, metric: str | None = None) -> DesignPoint:
        """The best design by a metric; by default by the one that was asked for.

        Raises:
            InputError: no design satisfies the conditions.
        """
        from hwsim.report.sweep_text import none_left

        found = self.top(metric, 1)
        if not len(found):
            raise InputError(none_left(self))
        return found[0]

    def top(self, metric: str | None = None, k: int | None = None) -> Designs:
        """The best designs by a metric, best first; each once."""
        wanted = self.plan.best if metric is None else objectives(metric, known=self.plan.known)[0]
        kept = self._distinct(self.feasible)
        values = kept.metrics.get(wanted.metric, np.zeros(0))
        return kept.of(np.argsort(-values if wanted.maximise else values, kind="stable")[: k or self.plan.top])

    def pareto(self) -> Designs:
        """Designs that no other one beats in all objectives."""
        kept = self.feasible
        if not len(kept):
            return kept
        return kept.of(front(np.stack([(-1 if o.maximise else 1) * kept.metrics[o.metric] for o in self.plan.objectives], axis=1)))

    def cloud(self, count: int) -> tuple[Designs, int]:
        """Up to `count` of the designs, and how many failed a condition."""
        kept = self.feasible
        step = max(1, -(-len(kept) // count))
        return kept.of(slice(None, None, step)), int(np.sum(~self.good))

    def _distinct(self, designs: Designs) -> Designs:
        seen: dict[Any, int] = {}
        for i, row in enumerate(zip(*(v.tolist() for v in designs.axes.values()), strict=True)):
            seen.setdefault(row, i)
        return designs.of(np.array(sorted(seen.values()), dtype=np.int64))

    def to_pandas(self) -> Any:
        """All designs that were costed, as a pandas DataFrame; `feasible` says which satisfy the conditions."""
        return self.tried.to_pandas().assign(feasible=self.good)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `hwsim search --json`."""
        from hwsim.report.sweep_text import document

        return {**document(self), "not_built": dict(self.reasons)}

    def to_html(self, path: Any = None) -> str:
        """As that of a sweep."""
        from pathlib import Path

        from hwsim.report.sweep_html import sweep_html

        page = sweep_html(self)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page


def _thawed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _column(items: list[Any]) -> np.ndarray:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in items):
        return np.array(items, dtype=np.float64)
    found = np.empty(len(items), dtype=object)
    found[:] = items
    return found
