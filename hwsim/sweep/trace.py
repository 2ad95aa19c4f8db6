"""A cost function run once on symbols: the expression graph of its totals.

`Traced` stands for an array of `(points,)`, `(points, 1)` or `(points, rows)`. It answers numpy's ufuncs and functions, and names numpy as
its Array-API namespace, so that cost functions run on it as they are. What depends on no column is computed at once, by numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from hwsim.cost import Cost, Program, Target
from hwsim.sweep.nodes import UFUNCS, Graph, Node

POINTS = 1_000_003
"""Stands for the number of points in shapes; no program has so many rows."""
MAPPING = "mapping."
"""Prefix of what varies in the mapping."""


class NotTraceable(Exception):
    """A cost function asks for what is only known at a point; the text says for what."""


class Unknown(np.lib.mixins.NDArrayOperatorsMixin):
    """What a function that is not known here would give: no trouble as long as no total depends on it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Unknown:
        return self

    def __array_function__(self, *args: Any) -> Unknown:
        return self

    def __getitem__(self, key: Any) -> Unknown:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotTraceable(self.reason)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise NotTraceable(self.reason)

    def __bool__(self) -> bool:
        raise NotTraceable(self.reason)

    def __float__(self) -> float:
        raise NotTraceable(self.reason)

    __int__ = __index__ = __float__  # type: ignore[assignment]

    def __iter__(self) -> Any:
        raise NotTraceable(self.reason)


def unknown_in(values: Any) -> Unknown | None:
    """The first one among arguments, also inside of lists."""
    for value in values:
        if isinstance(value, Unknown):
            return value
        if isinstance(value, list | tuple) and (found := unknown_in(value)) is not None:
            return found
    return None


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a trace."""

    __array_priority__ = 100

    def __init__(self, graph: Graph, node: Node, shape: tuple[int, ...]) -> None:
        self.graph, self.node, self.shape = graph, node, shape

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """bool or float64."""
        return np.dtype(bool if self.node.is_test else np.float64)

    @property
    def size(self) -> int:
        """Elements, of `POINTS` points."""
        return prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return np

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise NotTraceable("a plain array of a column (np.asarray)")

    def __bool__(self) -> bool:
        if self.node.value is not None:
            return bool(np.all(self.node.value))
        raise NotTraceable("a branch on the value of a column")

    def __float__(self) -> float:
        if self.node.value is not None and self.node.width == 1:
            return float(self.node.value[0])
        raise NotTraceable("one number of a column (float)")

    __int__ = __index__ = __float__  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if (unknown := unknown_in(inputs)) is not None:
            return unknown
        if ufunc is np.matmul and method == "__call__":
            from hwsim.sweep.trace_functions import matrix_product

            return matrix_product(self.graph, *inputs)
        if method == "reduce" and ufunc in REDUCTIONS:
            return REDUCTIONS[ufunc](self, *inputs, **kwargs)
        name = NAMES.get(ufunc)
        if method != "__call__" or name is None or any(v is not None for v in kwargs.values()):
            raise NotTraceable(f"np.{ufunc.__name__} ({method})")
        return elementwise(self.graph, name, *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from hwsim.sweep.trace_functions import FUNCTIONS

        if (unknown := unknown_in(args)) is not None:
            return unknown
        if func not in FUNCTIONS:
            return Unknown(f"np.{func.__name__}")
        return FUNCTIONS[func](self.graph, *args, **kwargs)

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        """Whole numbers stay floats: what they hold is exact up to 2**53."""
        kind = np.dtype(dtype).kind
        if kind == "b":
            return elementwise(self.graph, "not_equal", self, 0.0)
        if self.node.is_test:
            return Traced(self.graph, self.graph.make("float", self.node), self.shape)
        return elementwise(self.graph, "trunc", self) if kind in "iu" else self

    def reshape(self, *shape: Any) -> Traced:
        """Only what keeps the points apart."""
        from hwsim.sweep.trace_functions import reshape

        return reshape(self.graph, self, shape[0] if len(shape) == 1 else shape)

    def taken_from(self, table: Any) -> Traced:
        """Elements of a list of numbers at these places."""
        return Traced(self.graph, self.graph.make("lookup", self.node, param=np.asarray(table, dtype=np.float64)[None]), self.shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """Over rows."""
        return np.sum(self, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]

    def __getitem__(self, key: Any) -> Traced:
        from hwsim.sweep.trace_functions import item

        return item(self, key)

    def __iter__(self) -> Any:
        raise NotTraceable("a loop over a column")


NAMES = {found: name for name, found in UFUNCS.items()} | {
    np.bitwise_and: "logical_and",
    np.bitwise_or: "logical_or",
    np.invert: "logical_not",
    np.positive: "add",
}
"""Names of operations by numpy's function; bits are those of tests."""


def as_node(graph: Graph, value: Any) -> tuple[Node, tuple[int, ...]]:
    """Node and shape of a traced array, an array or a number."""
    if isinstance(value, Traced):
        return value.node, value.shape
    if isinstance(value, Unknown):
        raise NotTraceable(value.reason)
    array = np.asarray(value)
    shape = array.shape
    if array.ndim == 2 and shape[0] == POINTS and array.strides[0] == 0:
        array = array[0]
    if array.dtype == object or array.size > max(1, array.shape[-1] if array.ndim else 1):
        raise NotTraceable(f"an array of shape {array.shape} beside a column")
    return graph.constant(array), shape


def elementwise(graph: Graph, name: str, *inputs: Any) -> Traced:
    """An operation on each element."""
    found = [as_node(graph, value) for value in inputs]
    shape = np.broadcast_shapes(*(shape for _, shape in found))
    if shape.count(POINTS) > 1:
        raise NotTraceable("points along two axes")
    nodes = [node for node, _ in found]
    if name == "add" and len(nodes) == 1:
        return Traced(graph, nodes[0], shape)
    if name in ("add", "multiply") and all(n.is_test for n in nodes):
        name = {"add": "logical_or", "multiply": "logical_and"}[name]
    if name.startswith("logical"):
        nodes = [n if n.is_test else graph.make("not_equal", n, graph.constant(0.0)) for n in nodes]
    return Traced(graph, graph.make(name, *nodes), shape)


def _reduction(name: str) -> Callable[..., Any]:
    def reduced(self: Traced, value: Any, axis: Any = 0, keepdims: bool = False, **kwargs: Any) -> Any:
        from hwsim.sweep.trace_functions import reduced_rows

        if any(v is not None and v is not np._NoValue for v in kwargs.values()):  # type: ignore[attr-defined]
            raise NotTraceable(f"np.{name} with {sorted(kwargs)}")
        return reduced_rows(self.graph, name, value, axis=axis, keepdims=bool(keepdims))

    return reduced


REDUCTIONS = {np.add: _reduction("sum"), np.maximum: _reduction("max"), np.minimum: _reduction("min")}


Source = str | tuple[str | float, ...]
"""Where the values of a field come from: a column, or a column or a number for every row."""


@dataclass(frozen=True)
class Trace:
    """Totals of a program as expressions of columns; all have width 1."""

    graph: Graph
    outputs: Mapping[str, Node]
    """By metric."""


def trace(
    target: Target, program: Program, *, device: Any, mapping: Any, fields: Mapping[str, Source], measure: Callable[[Cost], Any]
) -> Trace:
    """The expression graph of what `measure` takes from the cost, a mapping of arrays over points by name.

    Args:
        fields: what varies, device fields and `mapping.<field>`, and the columns that it takes.

    Raises:
        NotTraceable: the cost function branches on a value of a column, or uses a function that is not known here.
    """
    graph = Graph()
    varied = {name: _varied(graph, source) for name, source in fields.items()}
    with np.errstate(all="ignore"):
        found = measure(cost_of(target, program, device=device, mapping=mapping, columns=varied))
    return Trace(graph, {name: _total(graph, name, value) for name, value in found.items()})


def _varied(graph: Graph, source: Source) -> Traced:
    if isinstance(source, str):
        return Traced(graph, graph.column(source), (POINTS, 1))
    parts = [graph.column(part) if isinstance(part, str) else graph.constant(float(part)) for part in source]
    node = graph.make("concat", *parts, param=(1,) * len(parts), width=len(parts)) if len(parts) > 1 else parts[0]
    return Traced(graph, node, (POINTS, len(parts)))


def cost_of(target: Target, program: Program, *, device: Any, mapping: Any, columns: Mapping[str, Any]) -> Cost:
    """Cost with columns in the place of device and mapping fields."""
    own = {name.removeprefix(MAPPING): v for name, v in columns.items() if name.startswith(MAPPING)}
    changed = replace(device, **{name: v for name, v in columns.items() if not name.startswith(MAPPING)})
    return target.cost(program, device=changed, mapping=replace(mapping, **own) if own else mapping)


def _total(graph: Graph, name: str, value: Any) -> Node:
    node, shape = as_node(graph, value)
    if node.width != 1 or (len(shape) == 2 and shape[1] != 1):
        raise NotTraceable(f"{name} of shape {shape}: one value a point is needed")
    return node


def checked_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Their common shape.

    Raises:
        NotTraceable: points along two axes.
    """
    shape = np.broadcast_shapes(*shapes)
    if shape.count(POINTS) > 1:
        raise NotTraceable("points along two axes")
    return shape
