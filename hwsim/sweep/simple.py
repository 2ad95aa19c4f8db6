"""The plain way through a space: chunk after chunk with numpy, every point kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.constraints import Constraint, Objective
from hwsim.sweep.space import Space

CHUNK = 4096


def metrics(block: Block, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All metrics of points of a block, `(points,)` each.

    Args:
        columns: values of the inner axes, as `Space.columns` gives them.
    """
    count = len(next(iter(columns.values()))) if columns else 1
    bound = {name: v if v.ndim > 1 else v[:, None] for name, v in block.bound(columns).items()}
    own = {name.removeprefix("mapping."): v for name, v in bound.items() if name.startswith("mapping.")}
    device = replace(block.device, **{name: v for name, v in bound.items() if not name.startswith("mapping.")})
    mapping = replace(block.mapping, **own) if own else block.mapping
    cost = block.target.cost(block.program, device=device, mapping=mapping)
    batch = int(block.program.graph.attrs.get("batch") or 1)
    energy, interval = np.asarray(cost.energy_j.total), np.asarray(cost.interval_s)
    fits = np.asarray(cost.memory.excess_b) <= 0
    found: dict[str, Any] = {"latency_s": cost.latency_s, "interval_s": interval, "energy_j": energy, "memory_b": cost.memory.total_b}
    with np.errstate(all="ignore"):
        found |= {"power_w": np.where(interval > 0, energy / interval, 0.0), "throughput_per_s": batch / interval}
    for name, item in cost.resources.items():
        found[name.lower()] = item.used
        fits = fits & (np.asarray(item.used) <= np.asarray(item.available))
    found |= {name: value for name, value in cost.extra.items() if name not in found}
    return {name: _flat(v, count) for name, v in {**found, "fits": fits}.items()}


def _flat(value: Any, count: int) -> np.ndarray:
    value = np.asarray(value)
    return np.array(np.broadcast_to(value.reshape(-1) if value.ndim else value, (count,)))


@dataclass(frozen=True)
class Kept:
    """Points: global indices, and metrics `(points,)` each."""

    index: np.ndarray
    metrics: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)

    def of(self, chosen: Any) -> Kept:
        """Some of them."""
        return Kept(self.index[chosen], {n: v[chosen] for n, v in self.metrics.items()})


@dataclass(frozen=True)
class Counts:
    """What became of the points."""

    points: int
    kept: int
    infeasible: Mapping[str, int] = field(default_factory=dict)
    """Points that fail each condition; one may fail several."""
    nan: int = 0


@dataclass(frozen=True)
class Sweep:
    """What a sweep found."""

    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    counts: Counts
    feasible: Kept

    def top(self, metric: str, k: int, *, maximise: bool = False) -> Kept:
        """The best `k` by a metric, best first."""
        values = self.feasible.metrics[metric]
        return self.feasible.of(np.argsort(-values if maximise else values, kind="stable")[:k])

    def pareto(self) -> Kept:
        """Points that no other one beats in all objectives, in order of the first."""
        values = np.stack([(-1 if o.maximise else 1) * self.feasible.metrics[o.metric] for o in self.objectives], axis=1)
        return self.feasible.of(front(values))


def front(values: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated rows, in order of the first column; of equal rows the first.

    Args:
        values: shape `(points, objectives)`, less is better.
    """
    order = np.lexsort(values.T[::-1])
    kept: list[int] = []
    for i in order:
        if not kept or not np.any(np.all(values[kept] <= values[i], axis=1)):
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)


def run(
    space: Space,
    *,
    objectives: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    progress: Callable[[int, int], None] | None = None,
    **_others: Any,
) -> Sweep:
    """All points of a space."""
    preparing, parts = Preparing(), []
    failed, nan = dict.fromkeys((c.text for c in constraints), 0), 0
    for outer in space.blocks():
        block = preparing(outer)
        for start in range(0, outer.inner.count, CHUNK):
            stop = min(start + CHUNK, outer.inner.count)
            values = metrics(block, outer.inner.columns(start, stop))
            index = np.arange(outer.start + start, outer.start + stop)
            good = np.all([np.isfinite(values[n]) for n in _needed(objectives)], axis=0)
            nan += int(np.sum(~good))
            known = {**space.at(index), **values}
            for c in constraints:
                holds = c.mask(known)
                failed[c.text] += int(np.sum(~holds & np.isfinite(values["latency_s"])))
                good = good & holds
            parts.append(Kept(index, values).of(good))
            if progress:
                progress(outer.start + stop, space.count)
    kept = _joined(parts)
    return Sweep(space, tuple(objectives), tuple(constraints), Counts(space.count, len(kept), failed, nan), kept)


def _needed(objectives: Iterable[Objective]) -> list[str]:
    return ["latency_s", *(o.metric for o in objectives)]


def _joined(parts: Sequence[Kept]) -> Kept:
    names = list(dict.fromkeys(n for p in parts for n in p.metrics))
    columns = {n: np.concatenate([p.metrics[n] if n in p.metrics else np.full(len(p), np.nan) for p in parts]) for n in names}
    return Kept(np.concatenate([p.index for p in parts]), columns)
