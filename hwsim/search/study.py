"""A search by Optuna over the axes of a space: a batch of designs is drawn, costed at once, and told."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra, UnknownName
from hwsim.search.result import ATTRIBUTE, Searched
from hwsim.sweep.axes import Axis, Choices, Interval, Steps
from hwsim.sweep.plan import Plan
from hwsim.sweep.pointwise import Evaluator

SAMPLERS = ("nsga2", "nsga3", "tpe", "random")
"""Genetic, for two objectives and for more; tree-structured Parzen estimators; chance."""
Metric = Callable[[Mapping[str, Any]], float]
"""From the axes of a design to a number, such as the accuracy after a short training."""


def search(
    plan: Plan,
    *,
    trials: int,
    sampler: str = "nsga2",
    storage: str | None = None,
    study: str = "hwsim",
    seed: int | None = None,
    population: int = 50,
    metrics: Mapping[str, Metric] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Searched:
    """Designs that a sampler proposes, costed.

    Args:
        plan: axes, conditions, objectives; made with `extra={name: unit}` for the names of `metrics`.
        trials: designs that this process adds.
        storage: None keeps the study in memory; `journal:FILE` or a database URL (`sqlite:///search.db`, `postgresql://...`) lets many
            processes and machines add to one study, and goes on with it when called again.
        study: its name in the storage.
        seed: of the sampler; None is 0 for a study in memory, and drawn for one that processes share, so that they differ.
        population: designs of a generation, and of a batch.
        metrics: numbers that the caller adds, by name. They are asked only of designs that satisfy all conditions on costs,
            and of each design once.

    Raises:
        MissingExtra: optuna is not installed.
        UnknownName: no such sampler.
        InputError: nothing varies, or the study has other objectives.
    """
    if not [a for a in plan.space.axes if len(a.values) != 1]:
        raise InputError("nothing varies; expected an axis of two values at least (--vary, --model-axis)")
    optuna = _optuna()
    seed = 0 if seed is None and storage is None else seed
    found = _study(optuna, plan, sampler, storage, study, seed, population)
    runner = _Runner(optuna, found, plan, Evaluator(plan.space), dict(metrics or {}))
    done = 0
    while done < trials:
        size = min(population, trials - done)
        runner.batch(size)
        done += size
        if progress:
            progress(done, trials)
    return Searched.of(plan, [t for t in found.get_trials(deepcopy=False) if t.state.is_finished()], runner.reasons)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "search") from None
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _study(optuna: Any, plan: Plan, sampler: str, storage: str | None, name: str, seed: int | None, population: int) -> Any:
    directions = ["maximize" if o.maximise else "minimize" for o in plan.objectives]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constraints are called experimental
        chosen = _sampler(optuna, sampler, seed, population)
        kept = _storage(optuna, storage)
        try:
            found = optuna.create_study(
                storage=kept, sampler=chosen, study_name=name, directions=directions, load_if_exists=storage is not None
            )
        except (ValueError, optuna.exceptions.OptunaError) as error:
            raise InputError(f"the study {name!r} in {storage!r} cannot be used: {error}") from None
    if [d.name.lower() for d in found.directions] != directions:
        raise InputError(f"the study {name!r} in {storage!r} has {len(found.directions)} other objectives; take another name (--study)")
    return found


def _sampler(optuna: Any, name: str, seed: int | None, population: int) -> Any:
    samplers = optuna.samplers
    if name not in SAMPLERS:
        raise UnknownName("sampler", name, SAMPLERS)
    if name == "random":
        return samplers.RandomSampler(seed=seed)
    common: dict[str, Any] = {"seed": seed, "constraints_func": _excess}
    if name == "tpe":
        return samplers.TPESampler(**common)
    kind = samplers.NSGAIISampler if name == "nsga2" else samplers.NSGAIIISampler
    return kind(population_size=population, **common)


def _excess(trial: Any) -> Sequence[float]:
    return trial.user_attrs.get(ATTRIBUTE, {}).get("excess", (1.0,))


def _storage(optuna: Any, text: str | None) -> Any:
    """In memory, a journal file (`journal:FILE`), or a database (its URL)."""
    if text is None:
        return None
    if text.startswith("journal:"):
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(text.removeprefix("journal:")))
    if "://" not in text:
        raise InputError(f"storage {text!r}; expected journal:FILE, or the URL of a database such as sqlite:///search.db")
    return _database(optuna, text)


def _database(optuna: Any, url: str) -> Any:
    """A database; again where another worker is making its tables at the same moment."""
    for attempt in range(5):
        try:
            return optuna.storages.RDBStorage(url)
        except Exception as error:  # of the database's own driver
            if attempt == 4 or not any(w in str(error) for w in ("already exists", "UNIQUE", "locked")):
                raise InputError(f"storage {url!r} cannot be used: {str(error).splitlines()[0]}") from None
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("unreachable")


class _Runner:
    """Draws, costs and tells batches of designs."""

    def __init__(self, optuna: Any, study: Any, plan: Plan, evaluator: Evaluator, metrics: dict[str, Metric]) -> None:
        self.optuna, self.study, self.plan, self.evaluator, self.metrics = optuna, study, plan, evaluator, metrics
        self.early = [c for c in plan.constraints if not set(c.names) & metrics.keys()]
        self.reasons: dict[str, int] = {}
        self.worst: dict[str, float] = {}
        self.answers: dict[Any, float] = {}

    def batch(self, size: int) -> None:
        """One batch."""
        trials = [self.study.ask() for _ in range(size)]
        designs = [{a.name: suggested(t, a) for a in self.plan.space.axes} for t in trials]
        columns = {a.name: _column([d[a.name] for d in designs]) for a in self.plan.space.axes}
        values = {**columns, **self.evaluator(columns)}
        self._ask_caller(designs, values)
        excess = np.array([c.excess(values) for c in self.plan.constraints]).reshape(len(self.plan.constraints), size)
        metrics = {n: v for n, v in values.items() if n not in columns}
        for i, (trial, design) in enumerate(zip(trials, designs, strict=True)):
            self._tell(trial, design, {n: v[i].item() for n, v in metrics.items()}, excess[:, i].tolist())

    def _ask_caller(self, designs: list[dict[str, Any]], values: dict[str, np.ndarray]) -> None:
        if not self.metrics:
            return
        good = np.isfinite(values.get("latency_s", np.full(len(designs), np.nan)))
        for c in self.early:
            good = good & c.mask(values) if set(c.names) <= values.keys() else good & False
        for name, ask in self.metrics.items():
            answers = np.array([self._answer(name, ask, d) if ok else np.nan for d, ok in zip(designs, good, strict=True)])
            values[name] = np.where(good, answers, self._placeholder(name, answers[good]))

    def _answer(self, name: str, ask: Metric, design: dict[str, Any]) -> float:
        key = (name, *design.values())
        if key not in self.answers:
            self.answers[key] = float(ask(design))
        return self.answers[key]

    def _placeholder(self, name: str, answers: np.ndarray) -> float:
        """The worst answer so far: what designs get that fail on costs alone, and of which the caller is not asked."""
        maximise = any(o.metric == name and o.maximise for o in self.plan.objectives)
        known = [*answers[np.isfinite(answers)].tolist(), *([self.worst[name]] if name in self.worst else [])]
        if known:
            self.worst[name] = min(known) if maximise else max(known)
        return self.worst.get(name, 0.0)

    def _tell(self, trial: Any, axes: dict[str, Any], metrics: dict[str, Any], excess: list[float]) -> None:
        goals = [metrics.get(o.metric, np.nan) for o in self.plan.objectives]
        if not np.all(np.isfinite(goals)):
            choices = {a.name: axes[a.name] for a in self.plan.space.outer_axes}
            block = self.evaluator.block(choices)
            reason = block if isinstance(block, str) else f"{'not' if metrics else 'no'} a number"
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            return
        kept = {n: v for n, v in metrics.items() if isinstance(v, bool) or np.isfinite(v)}
        drawn = {n: list(v) if isinstance(v, tuple) else v for n, v in axes.items()}
        trial.set_user_attr(ATTRIBUTE, {"axes": drawn, "metrics": kept, "excess": excess})
        self.study.tell(trial, goals)


def suggested(trial: Any, axis: Axis) -> Any:
    """The value that a trial takes on an axis; texts are categories, listed numbers an ordered place."""
    values = axis.values
    if isinstance(values, Interval):
        if values.integer:
            return trial.suggest_int(axis.name, int(values.low), int(values.high), log=values.log)
        return trial.suggest_float(axis.name, values.low, values.high, log=values.log)
    if isinstance(values, Choices) and not values.numeric:
        known = {str(v): v for v in values.items}
        return next(iter(known.values())) if len(known) == 1 else known[trial.suggest_categorical(axis.name, list(known))]
    return _placed(trial, axis.name, values)


def _placed(trial: Any, name: str, values: Any) -> Any:
    count = len(values)
    place = trial.suggest_int(f"{name} (place)", 0, count - 1) if count > 1 else 0
    value = values.items[place] if isinstance(values, Choices) else float(values.take(np.array([place]))[0])
    return int(value) if isinstance(values, Steps) and values.integer else value


def _column(items: list[Any]) -> np.ndarray:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in items):
        return np.array(items, dtype=np.float64)
    found = np.empty(len(items), dtype=object)
    found[:] = items
    return found
