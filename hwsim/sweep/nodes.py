"""Expression graphs of cost functions: nodes that are stored once, folded and simplified as they are made.

An array of the graph has the rows of a program first and the points last, `(width, points)`; what is the same for all rows has width 1,
what is the same for all points is a constant of shape `(width,)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UFUNCS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        *("add", "subtract", "multiply", "divide", "power", "remainder", "maximum", "minimum", "negative", "absolute", "sqrt", "square"),
        *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "sin", "cos", "ceil", "floor", "rint", "trunc", "sign"),
        *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not"),
    )
}
"""Elementwise operations by name; each is numpy's."""
TESTS = frozenset(("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not"))
"""Operations that give true or false."""
STEPS = frozenset((*TESTS, "ceil", "floor", "rint", "trunc", "remainder", "sign", "search", "lookup"))
"""Operations that jump: what goes into them is not rounded otherwise than the cost function does."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One expression of a graph; equal expressions are the same node."""

    op: str
    args: tuple[Node, ...] = ()
    width: int = 1
    param: Any = None
    """Column name, slice, table ..., by operation."""
    value: np.ndarray | None = None
    """Of a constant, shape `(width,)`."""
    needs: frozenset[str] = frozenset()
    """Columns that it depends on."""
    number: int = field(default=0)
    """Order of making: arguments come before what uses them."""

    @property
    def is_test(self) -> bool:
        """Whether it is true or false."""
        return self.op in TESTS or (self.value is not None and self.value.dtype == bool)

    @property
    def narrow(self) -> bool:
        """Whether it varies over points and is the same for all rows."""
        return self.width == 1 and self.value is None

    def all_are(self, number: float) -> bool:
        """Whether it is a constant with this one value."""
        return self.value is not None and bool(np.all(self.value == number))


class Graph:
    """Maker of nodes."""

    def __init__(self) -> None:
        self._known: dict[Any, Node] = {}

    def constant(self, value: Any) -> Node:
        """A constant from a scalar or an array whose last axis is the rows; one value for all rows has width 1."""
        array = np.asarray(value)
        array = array.reshape(-1) if array.dtype == bool else array.astype(np.float64).reshape(-1)
        if array.size > 1 and np.all(array == array[0]):
            array = array[:1]
        key = ("constant", array.dtype == bool, array.tobytes())
        return self._kept(key, lambda number: Node("constant", (), array.size, None, array, frozenset(), number))

    def column(self, name: str, width: int = 1) -> Node:
        """What varies over points; more than one row only for what another graph has computed."""
        return self._kept(("column", name), lambda number: Node("column", (), width, name, None, frozenset((name,)), number))

    def make(self, op: str, *args: Node, param: Any = None, width: int | None = None) -> Node:
        """The node of an operation, folded where all is constant and simplified where a rule holds."""
        if (simple := self._simplified(op, args)) is not None:
            return simple
        if width is None:
            width = max((a.width for a in args), default=1)
        if all(a.value is not None for a in args):
            return self.constant(_folded(op, args, param, width))
        if op in COMMUTES and args[0].number > args[1].number:
            args = (args[1], args[0])
        needs = frozenset().union(*(a.needs for a in args))
        key = (op, width, tuple(a.number for a in args), _hashable(param))
        return self._kept(key, lambda number: Node(op, args, width, param, None, needs, number))

    def _kept(self, key: Any, make: Callable[[int], Node]) -> Node:
        if key not in self._known:
            self._known[key] = make(len(self._known))
        return self._known[key]

    def _simplified(self, op: str, args: tuple[Node, ...]) -> Node | None:
        rule = RULES.get(op)
        return rule(self, *args) if rule else None


COMMUTES = frozenset(("add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "equal", "not_equal"))


def _hashable(param: Any) -> Any:
    if isinstance(param, np.ndarray):
        return (param.shape, param.tobytes())
    if isinstance(param, slice):
        return (param.start, param.stop, param.step)
    return tuple(_hashable(p) for p in param) if isinstance(param, tuple | list) else param


def _folded(op: str, args: tuple[Node, ...], param: Any, width: int) -> np.ndarray:
    from hwsim.sweep.operations import apply

    with np.errstate(all="ignore"):
        values: list[Any] = [a.value if a.value is None else a.value[:, None] for a in args]
        return np.asarray(apply(op, values, param, width)).reshape(-1)


def _add(g: Graph, a: Node, b: Node) -> Node | None:
    return b if a.all_are(0) and not b.is_test else a if b.all_are(0) and not a.is_test else None


def _subtract(g: Graph, a: Node, b: Node) -> Node | None:
    return a if b.all_are(0) and not a.is_test else None


def _multiply(g: Graph, a: Node, b: Node) -> Node | None:
    if a.all_are(0) or b.all_are(0):
        return g.constant(0.0)
    return b if a.all_are(1) and not b.is_test else a if b.all_are(1) and not a.is_test else None


def _divide(g: Graph, a: Node, b: Node) -> Node | None:
    if a.all_are(0) and b.value is None:
        return g.constant(0.0)
    return a if b.all_are(1) else None


def _power(g: Graph, a: Node, b: Node) -> Node | None:
    if b.all_are(0.5):
        return g.make("sqrt", a)
    if b.all_are(2):
        return g.make("multiply", a, a)
    return a if b.all_are(1) else None


def _same(g: Graph, a: Node, b: Node) -> Node | None:
    return a if a is b else None


def _and(g: Graph, a: Node, b: Node) -> Node | None:
    if a.all_are(0) or b.all_are(0):
        return g.constant(False)
    return b if a.all_are(1) else a if b.all_are(1) else None


def _or(g: Graph, a: Node, b: Node) -> Node | None:
    if a.all_are(1) or b.all_are(1):
        return g.constant(True)
    return b if a.all_are(0) else a if b.all_are(0) else None


def _where(g: Graph, test: Node, yes: Node, no: Node) -> Node | None:
    """Choices that are known, and `where(x > 0, x, 0)` as the larger of both."""
    if test.all_are(1) or yes is no:
        return yes
    if test.all_are(0):
        return no
    if test.op == "greater" and test.args[0] is yes and test.args[1].all_are(0) and no.all_are(0):
        return g.make("maximum", yes, no)
    return None


RULES: dict[str, Callable[..., Node | None]] = {
    **{"add": _add, "subtract": _subtract, "multiply": _multiply, "divide": _divide, "power": _power, "where": _where},
    **{"maximum": _same, "minimum": _same, "logical_and": _and, "logical_or": _or},
}
"""Simplifications by operation; they hold for finite numbers."""


def reachable(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs need, arguments first."""
    found: dict[int, Node] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.number not in found:
            found[node.number] = node
            stack.extend(node.args)
    return [found[number] for number in sorted(found)]
