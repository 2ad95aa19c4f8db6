"""Products and sums of expression graphs in the order that costs least: constants first, then what is the same for all rows.

The values change by rounding only, and not at all where they go into a step (`ceil`, a comparison): there a rounding would show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from hwsim.sweep.nodes import STEPS, Graph, Node, reachable


def rewritten(graph: Graph, outputs: Mapping[str, Node], *, fast: Iterable[str] = ()) -> dict[str, Node]:
    """Outputs of the same values with fewer operations on whole rows.

    Args:
        fast: axes whose factors come last, apart from those of the others (`hwsim.sweep.split`).
    """
    nodes = reachable(outputs.values())
    work = _Rewriter(graph, exact_numbers(nodes), Counter(a.number for node in nodes for a in node.args), frozenset(fast))
    for node in nodes:
        work.done[node.number] = work.rebuilt(node)
    return {name: work.done[node.number] for name, node in outputs.items()}


def exact_numbers(nodes: list[Node]) -> set[int]:
    """Numbers of the nodes that steps depend on."""
    found: set[int] = set()
    for node in reversed(nodes):
        if node.op in STEPS or node.number in found:
            found.update(a.number for a in node.args)
    return found


@dataclass
class _Factors:
    """A product: a constant, what is the same for all rows, and the rest, above and below the line."""

    constant: np.ndarray = field(default_factory=lambda: np.ones(1))
    narrow: tuple[list[Node], list[Node]] = field(default_factory=lambda: ([], []))
    wide: tuple[list[Node], list[Node]] = field(default_factory=lambda: ([], []))


@dataclass
class _Rewriter:
    graph: Graph
    exact: set[int]
    uses: Counter[int]
    fast: frozenset[str]
    done: dict[int, Node] = field(default_factory=dict)

    def rebuilt(self, node: Node) -> Node:
        """The node from rewritten arguments."""
        if node.op in ("constant", "column"):
            return node
        if node.number not in self.exact:
            if node.op in ("multiply", "divide"):
                return self._product(self._factors(node))
            if node.op == "sum":
                return self._sum(node.args[0])
        return self.graph.make(node.op, *(self.done[a.number] for a in node.args), param=node.param, width=node.width)

    def _factors(self, node: Node) -> _Factors:
        found = _Factors()
        self._collect(node, 0, found, root=True)
        return found

    def _collect(self, node: Node, side: int, found: _Factors, *, root: bool = False) -> None:
        inner = node.op in ("multiply", "divide") and (root or (self.uses[node.number] == 1 and node.number not in self.exact))
        if inner and not any(a.is_test for a in node.args):
            self._collect(node.args[0], side, found)
            self._collect(node.args[1], side if node.op == "multiply" else 1 - side, found)
            return
        own = self.done[node.number] if not (root and inner) and node.number in self.done else None
        own = own if own is not None else self.graph.make(node.op, *(self.done[a.number] for a in node.args), param=node.param)
        if own.value is not None:
            with np.errstate(all="ignore"):
                found.constant = found.constant / own.value if side else found.constant * own.value
        else:
            (found.narrow if own.width == 1 else found.wide)[side].append(own)

    def _product(self, f: _Factors) -> Node:
        """Constants, then what is narrow, kind by kind; then the rows of each kind; what mixes slow and fast axes last."""
        parts: list[Node] = []
        constant = f.constant
        for kind in range(3):
            above, under = ([n for n in side if self._kind(n) == kind] for side in f.narrow)
            scalar = constant if constant.size == 1 else np.ones(1)
            narrow = self._ratio(above, under, scalar)
            if narrow is not None and constant.size == 1:
                constant = np.ones(1)
            wide = [n for n in f.wide[0] if self._kind(n) == kind]
            below = self._times([n for n in f.wide[1] if self._kind(n) == kind])
            rows = [] if constant.size == 1 or not (wide or narrow or below) else [self.graph.constant(constant)]
            constant = np.ones(1) if rows else constant
            part = self._times_in_order([*rows, *([] if narrow is None else [narrow]), *wide])
            if below is not None:
                part = self.graph.make("divide", self.graph.constant(1.0) if part is None else part, below)
            parts += [] if part is None else [part]
        if not parts or constant.size > 1 or constant[0] != 1:
            parts.insert(0, self.graph.constant(constant))
        return self._times_in_order(parts)  # type: ignore[return-value]

    def _kind(self, node: Node) -> int:
        """0: of slow axes, 1: of fast ones, 2: of both."""
        return 0 if not node.needs & self.fast else 1 if node.needs <= self.fast else 2

    def _times_in_order(self, nodes: list[Node]) -> Node | None:
        return reduce(lambda a, b: self.graph.make("multiply", a, b), nodes) if nodes else None

    def _ratio(self, above: list[Node], below: list[Node], constant: np.ndarray) -> Node | None:
        """Product and quotient of what is the same for all rows; None where it is 1."""
        if not above and not below:
            return None if constant[0] == 1 else self.graph.constant(constant)
        number = self.graph.constant(constant)
        top = self._times(above)
        top = number if top is None else self.graph.make("multiply", top, number)
        bottom = self._times(below)
        return top if bottom is None else self.graph.make("divide", top, bottom)

    def _times(self, nodes: list[Node]) -> Node | None:
        ordered = sorted(nodes, key=lambda n: n.number)
        return reduce(lambda a, b: self.graph.make("multiply", a, b), ordered) if ordered else None

    def _sum(self, inner: Node) -> Node:
        """A sum over rows: what is the same for all rows before it, constants of rows as weights."""
        if inner.op not in ("multiply", "divide") or inner.number in self.exact:
            return self._dot(self.done[inner.number], np.ones(inner.width))
        f = self._factors(inner)
        narrow = self._ratio(*f.narrow, np.ones(1))
        rest = self._product(_Factors(wide=f.wide))
        weights = np.broadcast_to(f.constant, (inner.width,))
        total = self._dot(rest, weights) if f.wide[0] or f.wide[1] else self.graph.constant(float(weights.sum()))
        return total if narrow is None else self.graph.make("multiply", total, narrow)

    def _dot(self, node: Node, weights: np.ndarray) -> Node:
        if node.value is not None or node.width == 1:
            return (
                self.graph.make("multiply", node, self.graph.constant(float(weights.sum())))
                if node.width == 1
                else self._folded(node, weights)
            )
        return self.graph.make("dot", node, param=np.ascontiguousarray(weights), width=1)

    def _folded(self, node: Node, weights: np.ndarray) -> Node:
        assert node.value is not None
        return self.graph.constant(float(node.value @ weights))
