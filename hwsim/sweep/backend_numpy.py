"""Expression graphs executed by numpy: a list of calls on buffers that are used again and again and stay in the cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.sweep.nodes import UFUNCS, Node, reachable
from hwsim.sweep.operations import OTHERS

CHUNK_POINTS = 8192
"""Points at a time: some ten buffers of a network's rows fit the caches of a core."""


@dataclass
class _Buffers:
    """Flat memory by kind, handed out last in, first out, so that what is written next is in the cache."""

    points: int
    widest: int
    free: dict[tuple[str, bool], list[np.ndarray]] = field(default_factory=dict)

    def take(self, width: int, dtype: str) -> np.ndarray:
        """Flat memory for at least `width` rows."""
        pool = self.free.setdefault((dtype, width == 1), [])
        return pool.pop() if pool else np.empty((1 if width == 1 else self.widest) * self.points, dtype=dtype)

    def give(self, owner: np.ndarray) -> None:
        """Back."""
        self.free.setdefault(("bool" if owner.dtype == bool else "f8", owner.size == self.points), []).append(owner)


class NumpyKernel:
    """The outputs of a graph at any points.

    >>> from hwsim.sweep.nodes import Graph
    >>> g = Graph()
    >>> NumpyKernel({"twice": g.make("multiply", g.column("x"), g.constant(2.0))})({"x": np.array([[1.0, 4.0]])})["twice"].tolist()
    [[2.0, 8.0]]
    """

    def __init__(self, outputs: Mapping[str, Node]) -> None:
        self.outputs = dict(outputs)
        self.nodes = reachable(self.outputs.values())
        self._plans: dict[Any, _Plan] = {}

    def __call__(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output, shape `(rows, points)` or `(rows, slow, fast)`, in memory of its own.

        Args:
            columns: shape `(rows, points)` each, or `(rows, slow, 1)` and `(rows, 1, fast)`.
        """
        with np.errstate(all="ignore"):
            return {name: np.array(value) for name, value in self._plan(columns).run(columns).items()}

    def chunked(self, columns: Mapping[str, np.ndarray], *, chunk: int = CHUNK_POINTS) -> dict[str, np.ndarray]:
        """The same for any number of points, `(rows, points)`, so many at a time."""
        count = next((c.shape[1] for c in columns.values()), 1)
        found = {name: np.empty((n.width, count), dtype=bool if n.is_test else float) for name, n in self.outputs.items()}
        with np.errstate(all="ignore"):
            for start in range(0, count, chunk):
                part = {name: c[:, start : start + chunk] for name, c in columns.items()}
                for name, value in self._plan(part).run(part).items():
                    found[name][:, start : start + chunk] = value
        return found

    def _plan(self, columns: Mapping[str, np.ndarray]) -> _Plan:
        shapes = {name: c.shape[1:] for name, c in columns.items()}
        key = tuple(sorted(shapes.items()))
        if key not in self._plans:
            if len(self._plans) > 3:
                self._plans.clear()
            self._plans[key] = _Plan(self.nodes, self.outputs, shapes)
        return self._plans[key]


class _Plan:
    """Calls for chunks of one shape."""

    def __init__(self, nodes: Sequence[Node], outputs: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.points = np.broadcast_shapes(*shapes.values()) or (1,)
        self.shapes = shapes
        widest = max((n.width for n in nodes if n.value is None), default=1)
        self.buffers = _Buffers(int(np.prod(self.points)), widest)
        self.views: dict[int, Any] = {}
        self.owners: dict[int, np.ndarray] = {}
        self.inputs: list[tuple[str, np.ndarray]] = []
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...], Any]] = []
        self.homes, self.owned = homes(nodes), Counter[int]()
        last = last_uses(nodes, outputs.values())
        for node in nodes:
            self._place(node)
            for number in last[node.number]:
                self._leave(number)
        self.totals = {name: self.views[node.number] for name, node in outputs.items()}

    def _place(self, node: Node) -> None:
        if node.value is not None:
            self.views[node.number] = node.value[0] if node.width == 1 else node.value.reshape(-1, *[1] * len(self.points))
            return
        if node.op == "column":
            view = np.empty((node.width, *self.shapes[node.param]))
            self.inputs.append((node.param, view))
        elif (home := self.homes.get(node.number)) is not None:
            view = self._space(home.number, home.width, "f8")[home.start : home.start + node.width]
        else:
            view = self._space(node.number, node.width, "bool" if node.is_test else "f8")
        self.views[node.number] = view
        if node.op == "concat":
            self._joined(node, view)
        elif node.op != "column":
            self.calls.append(call_of(node, [self.views[a.number] for a in node.args], view))

    def _space(self, number: int, width: int, dtype: str) -> np.ndarray:
        """The memory of a node, which parts of a concatenation may have taken before it."""
        if number not in self.owners:
            self.owners[number] = self.buffers.take(width, dtype)
        self.owned[number] += 1
        return self.owners[number][: width * self.buffers.points].reshape(width, *self.points)

    def _leave(self, number: int) -> None:
        """Gives the memory of a node back when nobody is in it any more."""
        home = self.homes.get(number)
        owner = number if home is None else home.number
        if owner in self.owners:
            self.owned[owner] -= 1
            if not self.owned[owner]:
                self.buffers.give(self.owners.pop(owner))

    def _joined(self, node: Node, view: np.ndarray) -> None:
        """Copies of the parts that were not written in place."""
        start = 0
        for part, width in zip(node.args, node.param, strict=True):
            if (home := self.homes.get(part.number)) is None or (home.number, home.start) != (node.number, start):
                self.calls.append((_copied, (self.views[part.number],), view[start : start + width]))
            start += width

    def run(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs, in memory that the next run overwrites."""
        for name, view in self.inputs:
            view[...] = columns[name]
        for function, arguments, out in self.calls:
            function(*arguments, out=out)
        return {name: v if np.ndim(v) > 1 else np.full((1, *self.points), v) for name, v in self.totals.items()}


@dataclass(frozen=True)
class _Home:
    """Where in a concatenation a node is written."""

    number: int
    width: int
    start: int


def homes(nodes: Sequence[Node]) -> dict[int, _Home]:
    """Nodes that can be written where they will be concatenated, by number."""
    found: dict[int, _Home] = {}
    for node in nodes:
        if node.op != "concat":
            continue
        start = 0
        for part, width in zip(node.args, node.param, strict=True):
            if part.value is None and part.op not in ("column", "concat") and part.width == width and not part.is_test:
                found.setdefault(part.number, _Home(node.number, node.width, start))
            start += width
    return found


def last_uses(nodes: Sequence[Node], outputs: Iterable[Node]) -> dict[int, list[int]]:
    """Nodes that are needed no more after each node, by number; outputs stay."""
    last = {a.number: node.number for node in nodes for a in node.args}
    kept = {node.number for node in outputs}
    ends: dict[int, list[int]] = {node.number: [] for node in nodes}
    for number, at in last.items():
        if number not in kept:
            ends[at].append(number)
    return ends


def call_of(node: Node, values: list[Any], out: np.ndarray) -> tuple[Callable[..., Any], tuple[Any, ...], Any]:
    """(function, arguments, output) that write a node."""
    if node.op in UFUNCS:
        return UFUNCS[node.op], tuple(values), out
    if node.op in WRITERS:
        return WRITERS[node.op], (values, node.param), out
    return _general, (OTHERS[node.op], values, node.param, node.width), out


def _general(function: Any, values: list[Any], param: Any, width: int, *, out: np.ndarray) -> None:
    out[...] = function(np, values, param, width)


def _copied(value: Any, *, out: np.ndarray) -> None:
    out[...] = value


def _where(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    test, yes, no = values
    if np.shares_memory(out, yes) or np.shares_memory(out, test):
        out[...] = np.where(test, yes, no)
        return
    out[...] = no
    np.copyto(out, yes, where=test)


def _sum(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    np.add.reduce(values[0], axis=0, out=out[0])


def _max(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    np.maximum.reduce(values[0], axis=0, out=out[0])


def _min(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    np.minimum.reduce(values[0], axis=0, out=out[0])


def _dot(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    np.dot(param, values[0].reshape(len(param), -1), out=out.reshape(-1))


def _lookup(values: list[Any], param: Any, *, out: np.ndarray) -> None:
    out[...] = OTHERS["lookup"](np, values, param, len(out))


WRITERS: dict[str, Callable[..., None]] = {
    **{
        "where": _where,
        "sum": _sum,
        "max": _max,
        "min": _min,
        "dot": _dot,
        "float": lambda values, param, out: _copied(values[0], out=out),
    },
    "lookup": _lookup,
}
"""What is written in place; the rest is made and copied."""
