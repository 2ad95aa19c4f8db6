"""numpy's functions on traced arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwsim.sweep.nodes import Graph
from hwsim.sweep.trace import POINTS, NotTraceable, Traced, as_node, checked_shapes, elementwise


def where(graph: Graph, test: Any, yes: Any, no: Any) -> Traced:
    """`yes` where `test` holds, else `no`."""
    found = [as_node(graph, v) for v in (test, yes, no)]
    nodes = [node for node, _ in found]
    if not nodes[0].is_test:
        nodes[0] = graph.make("not_equal", nodes[0], graph.constant(0.0))
    return Traced(graph, graph.make("where", *nodes), checked_shapes([shape for _, shape in found]))


def reduced_rows(graph: Graph, name: str, value: Any, *, axis: Any, keepdims: bool = False) -> Traced:
    """Sum, largest or smallest over the rows."""
    node, shape = as_node(graph, value)
    if len(shape) != 2 or axis not in (-1, 1):
        raise NotTraceable(f"np.{name} over axis {axis!r} of shape {shape}")
    rows = shape[1]
    if node.width == 1:
        found = graph.make("multiply", node, graph.constant(float(rows))) if name == "sum" else node
    else:
        found = graph.make(name, node, width=1)
    return Traced(graph, found, (shape[0], 1) if keepdims else shape[:1])


def _reducer(name: str) -> Callable[..., Traced]:
    def function(graph: Graph, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Traced:
        return reduced_rows(graph, name, a, axis=axis, keepdims=keepdims is True)

    return function


def concatenated(graph: Graph, arrays: Any, axis: int = 0, **more: Any) -> Traced:
    """Arrays one after the other along the rows."""
    found = [as_node(graph, v) for v in arrays]
    if axis not in (-1, 1) or any(len(shape) != 2 for _, shape in found):
        raise NotTraceable(f"np.concatenate along axis {axis} of shapes {[shape for _, shape in found]}")
    widths = tuple(shape[1] for _, shape in found)
    node = graph.make("concat", *(n for n, _ in found), param=widths, width=sum(widths))
    points = max(shape[0] for _, shape in found)
    return Traced(graph, node, (points, sum(widths)))


def broadcast(graph: Graph, array: Any, shape: Any, subok: bool = False) -> Traced:
    """The same with another shape: nodes stay as narrow as they are."""
    node, own = as_node(graph, array)
    return Traced(graph, node, checked_shapes([own, tuple(shape)]))


def filled(value: float) -> Callable[..., Traced]:
    """A maker of constants in the shape of an array."""

    def function(graph: Graph, a: Any, dtype: Any = None, **more: Any) -> Traced:
        return Traced(graph, graph.constant(bool(value) if dtype is bool else value), as_node(graph, a)[1])

    return function


def clipped(graph: Graph, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None, **more: Any) -> Traced:  # noqa: A002
    """Between two bounds."""
    low, high = a_min if min is None else min, a_max if max is None else max
    raised = a if low is None else elementwise(graph, "maximum", a, low)
    return raised if high is None else elementwise(graph, "minimum", raised, high)


def rounded(graph: Graph, a: Any, decimals: int = 0, out: Any = None) -> Traced:
    """Whole numbers, halves to even."""
    if decimals:
        raise NotTraceable(f"np.round to {decimals} decimals")
    return elementwise(graph, "rint", a)


def matrix_product(graph: Graph, a: Any, b: Any) -> Traced:
    """Rows times a constant matrix, `(points, rows) @ (rows, others)`."""
    node, shape = as_node(graph, a)
    if isinstance(b, Traced) or np.ndim(b) != 2 or len(shape) != 2:
        raise NotTraceable(f"a product of matrices of shapes {shape} and {np.shape(b)}")
    table = np.asarray(b, dtype=np.float64)
    if node.width == 1:
        found = graph.make("multiply", node, graph.constant(table.sum(0)))
    else:
        found = graph.make("matrix", node, param=table, width=table.shape[1])
    return Traced(graph, found, (shape[0], table.shape[1]))


def taken_rows(graph: Graph, a: Any, indices: Any, axis: Any = None, **more: Any) -> Traced:
    """Rows of a traced array at constant places."""
    node, shape = as_node(graph, a)
    places = np.asarray(indices)
    if len(shape) != 2 or axis not in (-1, 1) or places.ndim != 1:
        raise NotTraceable(f"np.take along axis {axis} of shape {shape}")
    count = len(places)
    found = node if node.width == 1 else graph.make("rows", node, param=places.astype(np.int64), width=count)
    return Traced(graph, found, (shape[0], count))


def accumulated(graph: Graph, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Traced:
    """Running sums over the rows."""
    _, shape = as_node(graph, a)
    if axis not in (-1, 1) or len(shape) != 2:
        raise NotTraceable(f"np.cumsum along axis {axis} of shape {shape}")
    wide = elementwise(graph, "multiply", a, np.ones(shape[1]))
    return matrix_product(graph, wide, np.triu(np.ones((shape[1], shape[1]))))


def searched(graph: Graph, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Traced:
    """Places of traced values in a constant sorted list."""
    node, shape = as_node(graph, v)
    return Traced(graph, graph.make("search", node, param=(np.asarray(a, dtype=np.float64), side)), shape)


def interpolated(graph: Graph, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Traced:
    """Straight lines between constant values."""
    node, shape = as_node(graph, x)
    pairs = tuple(np.asarray(v, dtype=np.float64) for v in (xp, fp))
    return Traced(graph, graph.make("interpolate", node, param=pairs), shape)


def reshape(graph: Graph, a: Any, shape: Any, **more: Any) -> Traced:
    """Only between `(points,)` and `(points, 1)`."""
    node, own = as_node(graph, a)
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    known = [n for n in own if n != 1]
    if wanted == (-1,) and len(known) <= 1:
        return Traced(graph, node, tuple(known) or (1,))
    if wanted in ((-1, 1), (POINTS, 1)) and known == [POINTS]:
        return Traced(graph, node, (POINTS, 1))
    if wanted == own:
        return Traced(graph, node, own)
    raise NotTraceable(f"the shape {wanted} of an array of shape {own}")


def item(array: Traced, key: Any) -> Traced:
    """Rows of an array: `[:, :1]`, `[..., 0]`, `[:, i:j]`; new axes."""
    keys = key if isinstance(key, tuple) else (key,)
    if keys in ((slice(None),), (Ellipsis,)):
        return array
    if array.ndim == 1 and keys in ((slice(None), None), (..., None)):
        return Traced(array.graph, array.node, (array.shape[0], 1))
    if array.ndim != 2 or len(keys) != 2 or keys[0] not in (Ellipsis, slice(None)) or not isinstance(keys[1], int | slice):
        raise NotTraceable(f"[{key}] of shape {array.shape}")
    rows = range(array.shape[1])[keys[1]]
    picked = slice(rows, rows + 1) if isinstance(rows, int) else slice(rows.start, rows.stop, rows.step)
    count = 1 if isinstance(rows, int) else len(rows)
    node = array.node if array.node.width == 1 else array.graph.make("rows", array.node, param=picked, width=count)
    return Traced(array.graph, node, array.shape[:1] if isinstance(rows, int) else (array.shape[0], count))


def broadcast_many(graph: Graph, *arrays: Any, subok: bool = False) -> tuple[Traced, ...]:
    """All in their common shape."""
    found = [as_node(graph, a) for a in arrays]
    shape = checked_shapes([s for _, s in found])
    return tuple(Traced(graph, node, shape) for node, _ in found)


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    np.where: where,
    np.sum: _reducer("sum"),
    np.max: _reducer("max"),
    np.min: _reducer("min"),
    np.concatenate: concatenated,
    np.broadcast_to: broadcast,
    np.broadcast_arrays: broadcast_many,
    np.zeros_like: filled(0.0),
    np.ones_like: filled(1.0),
    np.clip: clipped,
    np.round: rounded,
    np.take: taken_rows,
    np.cumsum: accumulated,
    np.searchsorted: searched,
    np.interp: interpolated,
    np.reshape: reshape,
    np.ndim: lambda graph, a: as_node(graph, a)[1].__len__(),
    np.shape: lambda graph, a: as_node(graph, a)[1],
}
"""What is known of numpy, by function."""
