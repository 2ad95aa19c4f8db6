"""Latency-driven slimming: from the largest network step by step to one that meets a budget, each step the cheapest in importance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.sweep.axes import Choices, Steps
from hwsim.sweep.constraints import shown
from hwsim.sweep.pointwise import Evaluator
from hwsim.sweep.space import Space


@dataclass(frozen=True)
class Cut:
    """One step of slimming, or the network that it starts from."""

    axis: str
    """What was cut; empty at the start."""
    axes: Mapping[str, Any]
    """The network after it."""
    cost: float
    """Of the network after it, SI."""
    importance: float
    """Of the network after it."""
    ratio: float
    """Importance lost for each unit of cost saved."""


def slim(
    space: Space,
    importance: Callable[[Mapping[str, Any]], float],
    *,
    budget: float,
    metric: str = "latency_s",
    start: Mapping[str, Any] | None = None,
) -> tuple[Cut, ...]:
    """Cut a network until it meets a budget.

    In every step each axis that can be cut goes one value down; the cut that loses the least importance for the cost that it saves is made.
    Cuts that save nothing are made only where nothing else is left. After the latency-driven slimming of EfficientFormer (Li et al. 2022,
    arXiv:2206.01191), where the importance of a candidate comes from the trained supernet.

    Args:
        space: axes with listed values, from the smallest to the largest: depths and widths of blocks, kinds of block by their cost, bits.
        importance: of a design, from its axes; more is better. Asked once for every design.
        budget: of the metric, SI; less is better.
        metric: what is limited.
        start: value of every axis at the start; by default the last ones.

    Returns:
        the start and every step; the last one meets the budget.

    Raises:
        InputError: an axis without listed values, or even the smallest network exceeds the budget.
    """
    places = {a.name: _place(a.name, a.values, (start or {}).get(a.name)) for a in space.axes}
    evaluator, known = Evaluator(space), {}
    values = {a.name: a.values for a in space.axes}

    def judged(tried: Sequence[Mapping[str, int]]) -> list[Cut]:
        designs = [{n: _item(values[n], p) for n, p in t.items()} for t in tried]
        costs = evaluator({n: _column([d[n] for d in designs]) for n in values})[metric]
        for design in designs:
            key = tuple(design.values())
            known[key] = known[key] if key in known else float(importance(design))
        return [Cut("", d, float(c), known[tuple(d.values())], 0.0) for d, c in zip(designs, costs, strict=True)]

    steps = [judged([places])[0]]
    while not steps[-1].cost <= budget:
        names = [n for n, p in places.items() if p > 0]
        if not names:
            least = shown(metric, steps[-1].cost)
            raise InputError(
                f"the smallest network has a {metric} of {least}, more than the budget of {shown(metric, budget)}; add smaller values"
            )
        cuts = judged([{**places, n: places[n] - 1} for n in names])
        best = min(range(len(names)), key=lambda i: _price(steps[-1], cuts[i]))
        places = {**places, names[best]: places[names[best]] - 1}
        cut = cuts[best]
        steps.append(Cut(names[best], cut.axes, cut.cost, cut.importance, _price(steps[-1], cut)))
    return tuple(steps)


def _price(before: Cut, after: Cut) -> float:
    saved, lost = before.cost - after.cost, before.importance - after.importance
    return lost / saved if saved > 0 else float("inf")


def _place(name: str, values: Any, start: Any) -> int:
    if not isinstance(values, Choices | Steps):
        raise InputError(f"axis {name!r}: slimming cuts from value to value; expected listed values, from the smallest to the largest")
    if start is None:
        return len(values) - 1
    known = [_item(values, i) for i in range(len(values))]
    if start not in known:
        raise InputError(f"axis {name!r}: the start {start!r} is none of {', '.join(map(repr, known[:8]))}")
    return known.index(start)


def _item(values: Any, place: int) -> Any:
    return values.items[place] if isinstance(values, Choices) else values.take(np.array([place]))[0].item()


def _column(items: list[Any]) -> np.ndarray:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in items)
    found = np.empty(len(items), dtype=np.float64 if numbers else object)
    found[:] = items
    return found
