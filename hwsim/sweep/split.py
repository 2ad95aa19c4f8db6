"""Grids as slow axes times fast axes: what depends on one kind only is computed once for each of its combinations.

A point is a pair (slow combination, fast combination). Expressions of slow axes alone take one value a slow combination, those of fast axes
alone one a fast combination, and only what mixes both is computed at every point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

from hwsim.sweep.nodes import Graph, Node, reachable

LEAST_FAST, MOST_FAST = 16, 4096
"""Fast combinations: enough to pay for a slow one, few enough to stay in the cache."""
WEIGHTS = {
    "divide": 3.0,
    "sqrt": 4.0,
    "power": 15.0,
    "exp": 8.0,
    "log": 8.0,
    "log2": 8.0,
    "search": 20.0,
    "lookup": 3.0,
    "interpolate": 20.0,
}
"""Cost of operations relative to a sum."""


@dataclass(frozen=True)
class Split:
    """One graph as three: `slow` and `fast` give columns of `mixed`."""

    slow: Mapping[str, Node]
    fast: Mapping[str, Node]
    mixed: Mapping[str, Node]


def choose(outputs: Mapping[str, Node], sizes: Mapping[str, int]) -> tuple[float, tuple[str, ...]]:
    """(operations a point, axes to take as fast ones): those that leave least to compute; no axes where splitting does not pay.

    Args:
        sizes: values of every axis, by column.
    """
    costs = _costs(outputs)
    plain = sum(cost for _, cost in costs)
    best: tuple[float, tuple[str, ...]] = (0.8 * plain, ())
    for count in range(1, min(len(sizes), 6)):
        for fast in combinations(sizes, count):
            if LEAST_FAST <= prod(sizes[a] for a in fast) <= MOST_FAST:
                best = min(best, (_share(costs, frozenset(fast), sizes), fast))
    return best


def operations(outputs: Mapping[str, Node], sizes: Mapping[str, int], fast: Sequence[str]) -> float:
    """Operations a point with these fast axes."""
    return _share(_costs(outputs), frozenset(fast), sizes)


def _costs(outputs: Mapping[str, Node]) -> list[tuple[frozenset[str], float]]:
    """Axes and cost of every operation."""
    nodes = [n for n in reachable(outputs.values()) if n.value is None and n.op != "column"]
    found: dict[frozenset[str], float] = {}
    for n in nodes:
        found[n.needs] = found.get(n.needs, 0.0) + n.width * WEIGHTS.get(n.op, 1.0)
    return list(found.items())


def _share(costs: Sequence[tuple[frozenset[str], float]], fast: frozenset[str], sizes: Mapping[str, int]) -> float:
    fast_count = prod(sizes[a] for a in fast)
    slow_count = prod(sizes.values()) / fast_count
    return sum(cost / (slow_count if needs <= fast else 1.0 if needs & fast else fast_count) for needs, cost in costs)


def divided(outputs: Mapping[str, Node], fast: Sequence[str]) -> Split:
    """The three graphs."""
    axes, graph = frozenset(fast), Graph()
    done: dict[int, Node] = {}
    found: dict[str, dict[str, Node]] = {"s": {}, "f": {}}

    def part(node: Node) -> Node:
        if node.value is not None:
            return graph.constant(node.value)
        kind = "f" if node.needs <= axes else "s" if not node.needs & axes else ""
        if not kind:
            return done[node.number]
        name = f"{kind}{node.number}"
        found[kind][name] = node
        column = graph.column(name, node.width)
        return graph.make("not_equal", column, graph.constant(0.0)) if node.is_test else column

    for node in reachable(outputs.values()):
        if node.value is None and node.needs & axes and not node.needs <= axes:
            done[node.number] = graph.make(node.op, *(part(a) for a in node.args), param=node.param, width=node.width)
    mixed = {name: part(node) for name, node in outputs.items()}
    return Split(found["s"], found["f"], mixed)
