"""Expression graphs with every row on its own: what is known of one row (masks, constants, which of two is larger) then counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from hwsim.sweep.intervals import Bounds, decided
from hwsim.sweep.nodes import Graph, Node, reachable


def scalarised_rows(outputs: Mapping[str, Node], *, bounds: Bounds | None = None) -> dict[str, list[Node]]:
    """The rows of all outputs over nodes of width 1; a column of several rows becomes columns `name#row`.

    Args:
        bounds: least and largest value of columns, by name; with them `maximum` and `minimum` fall away where one side always wins.
    """
    return _all_rows(outputs, Graph(), bounds)


def rows_apart(outputs: Mapping[str, Node]) -> tuple[Graph, dict[str, Node]]:
    """Outputs of one row each over nodes of width 1, and the graph that holds them."""
    graph = Graph()
    return graph, {name: rows[0] for name, rows in _all_rows(outputs, graph, None).items()}


def _all_rows(outputs: Mapping[str, Node], graph: Graph, bounds: Bounds | None) -> dict[str, list[Node]]:
    work = _Scalars(graph, dict(bounds or {}))
    rows: dict[int, list[Node]] = {}
    for node in reachable(outputs.values()):
        rows[node.number] = work.rows(node, [rows[a.number] for a in node.args])
    return {name: rows[node.number] for name, node in outputs.items()}


class _Scalars:
    def __init__(self, graph: Graph, bounds: dict[str, tuple[float, float]]) -> None:
        self.graph, self.bounds = graph, bounds
        self.ranges: dict[int, tuple[float, float]] = {}

    def rows(self, node: Node, args: list[list[Node]]) -> list[Node]:
        """One node a row."""
        if node.value is not None:
            return [self.graph.constant(v) for v in node.value]
        if node.op == "column":
            names = [node.param] if node.width == 1 else [f"{node.param}#{i}" for i in range(node.width)]
            return [self.graph.column(name) for name in names]
        special = SPECIAL.get(node.op)
        if special is not None:
            return special(self, node, args)
        return [self.make(node.op, *(a[i % len(a)] for a in args)) for i in range(node.width)]

    def make(self, op: str, *args: Node) -> Node:
        """A node, or the argument that it always is."""
        if self.bounds and op in ("maximum", "minimum"):
            winner = decided(op, args[0], args[1], self.bounds, self.ranges)
            if winner is not None:
                return winner
        return self.graph.make(op, *args)


def _concat(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [part[i % len(part)] for part, width in zip(args, node.param, strict=True) for i in range(width)]


def _rows(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    if isinstance(node.param, slice):
        return args[0][node.param]
    return [args[0][place] for place in node.param]


def _pairwise(s: _Scalars, op: str, nodes: Sequence[Node]) -> Node:
    """Combined two by two: short chains, small rounding."""
    level = list(nodes)
    while len(level) > 1:
        level = [s.make(op, *level[i : i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def _sum(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [_pairwise(s, "add", args[0])]


def _dot(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    weighted = [s.make("multiply", value, s.graph.constant(w)) for value, w in zip(args[0], node.param, strict=True)]
    return [_pairwise(s, "add", weighted)]


def _matrix(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    columns = ([s.make("multiply", a, s.graph.constant(w)) for a, w in zip(args[0], column, strict=True) if w] for column in node.param.T)
    return [_pairwise(s, "add", terms) if terms else s.graph.constant(0.0) for terms in columns]


def _max(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [reduce(lambda a, b: s.make("maximum", a, b), args[0])]


def _min(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [reduce(lambda a, b: s.make("minimum", a, b), args[0])]


def _lookup(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    tables = node.param
    return [s.graph.make("lookup", args[0][i % len(args[0])], param=tables[i % len(tables)][None]) for i in range(node.width)]


def _search(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [s.graph.make("search", a, param=node.param) for a in args[0]]


def _interpolate(s: _Scalars, node: Node, args: list[list[Node]]) -> list[Node]:
    return [s.graph.make("interpolate", a, param=node.param) for a in args[0]]


SPECIAL = {
    **{"concat": _concat, "rows": _rows, "sum": _sum, "dot": _dot, "matrix": _matrix, "max": _max, "min": _min},
    **{"lookup": _lookup, "search": _search, "interpolate": _interpolate},
}
