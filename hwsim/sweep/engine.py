"""Points of one block, chunk after chunk: the block's cost function traced, split into slow and fast axes, and run by a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName
from hwsim.sweep.blocks import Block
from hwsim.sweep.measure import measured
from hwsim.sweep.nodes import Graph, Node
from hwsim.sweep.rewrite import rewritten
from hwsim.sweep.scalars import rows_apart
from hwsim.sweep.space import Space
from hwsim.sweep.split import Split, choose, divided, operations
from hwsim.sweep.trace import NotTraceable, Trace, cost_of, trace

BACKENDS = ("numpy", "native", "torch", "jax")
"""Who computes: numpy; C++ compiled on the spot; `torch.compile`; `jax.jit`."""
APART = 1.5
"""Cost of an operation on a single row relative to one on several."""
WORTH_COMPILING = 5_000
"""Points of a block below which the plain way through the cost function is as fast."""
WORTH_BUILDING = 200_000
"""Points of a block below which numpy is done before a compiler is."""


@dataclass(frozen=True)
class Layout:
    """How the points of an inner space are numbered in units: one slow combination with all fast ones, or one point."""

    space: Space
    fast: tuple[str, ...] = ()

    @cached_property
    def _places(self) -> dict[str, tuple[Any, int, int]]:
        """(values, size, stride) of every axis of a grid."""
        found, stride = {}, self.space.inner_count
        for axis in self.space.inner_axes:
            stride //= len(axis.values)
            found[axis.name] = (axis.values, len(axis.values), stride)
        return found

    @property
    def slow(self) -> tuple[str, ...]:
        """The other axes."""
        return tuple(a.name for a in self.space.inner_axes if a.name not in self.fast)

    @cached_property
    def unit_points(self) -> int:
        """Points of a unit."""
        return prod(self._places[n][1] for n in self.fast) if self.fast else 1

    @property
    def units(self) -> int:
        """Units of the space."""
        return self.space.inner_count // self.unit_points

    def combinations(self, names: Sequence[str], start: int, stop: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Values of some axes at their combinations `start` to `stop - 1` (the first axis slowest), and what they add to the index."""
        rest, columns = np.arange(start, stop, dtype=np.int64), {}
        index = np.zeros(len(rest), dtype=np.int64)
        for name in reversed(names):
            values, size, stride = self._places[name]
            rest, place = np.divmod(rest, size)
            index += place * stride
            columns[name] = np.asarray(values.take(place), dtype=np.float64)
        return columns, index

    @cached_property
    def fast_part(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The fast combinations."""
        return self.combinations(self.fast, 0, self.unit_points)


@dataclass(frozen=True)
class Points:
    """Metrics of points, flat `(points,)` each; global indices and axes are made on demand."""

    values: Mapping[str, np.ndarray]
    base: np.ndarray
    """Global index of the first point of every unit."""
    offsets: np.ndarray
    """What the points of a unit add to it."""
    slow: Mapping[str, np.ndarray]
    """Axes with one value a unit."""
    fast: Mapping[str, np.ndarray]
    """Axes with one value a point of a unit."""

    def __len__(self) -> int:
        return len(self.base) * len(self.offsets)

    def index(self, places: np.ndarray) -> np.ndarray:
        """Global indices of the points at these places."""
        unit, offset = np.divmod(places, len(self.offsets))
        return self.base[unit] + self.offsets[offset]

    def column(self, name: str) -> np.ndarray:
        """A metric or an axis, `(points,)`.

        Raises:
            UnknownName: neither.
        """
        if name in self.values:
            return self.values[name]
        if name in self.slow:
            return np.repeat(self.slow[name], len(self.offsets))
        if name in self.fast:
            return np.tile(self.fast[name], len(self.base))
        raise UnknownName("metric or axis", name, [*self.values, *self.slow, *self.fast])


class _Later(Mapping[str, np.ndarray]):
    """Columns that are made when somebody asks for one."""

    def __init__(self, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Mapping[str, np.ndarray]:
        return self._make()

    def __getitem__(self, name: str) -> np.ndarray:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def fields_of(block: Block) -> dict[str, Any]:
    """Fields that vary and the axes that they take, as `trace` wants them."""
    found: dict[str, Any] = {}
    axes = block.outer.inner.axes
    for axis in axes:
        if not axis.layers:
            found[axis.name.removeprefix("device.")] = axis.name
    for axis in axes:
        if axis.layers:
            name = f"mapping.{axis.field}"
            default = block.layers[axis.field][1]
            before = found.get(name, tuple(float(v) for v in default))
            sources = list((before,) * len(default) if isinstance(before, str) else before)
            for place in block.places[axis.name]:
                sources[place] = axis.name
            found[name] = tuple(sources)
    return found


def batch_of(block: Block) -> int:
    """Samples of one inference."""
    return int(block.program.graph.attrs.get("batch") or 1)


def traced(block: Block, wanted: Sequence[str] | None = None) -> Trace:
    """The block's metrics as expressions of its axes; all of them, or those that are wanted and exist.

    Raises:
        NotTraceable: the cost function of this family branches on values.
    """
    batch = batch_of(block)

    def measure(cost: Any) -> dict[str, Any]:
        found = measured(cost, batch=batch)
        return found if wanted is None else {name: found[name] for name in wanted if name in found}

    return trace(block.target, block.program, device=block.device, mapping=block.mapping, fields=fields_of(block), measure=measure)


def fast_axes(block: Block, wanted: Sequence[str]) -> tuple[str, ...]:
    """The fast axes that pay for a block; none for samples and for families that cannot be traced."""
    space = block.outer.inner
    if space.sampling != "grid" or not space.inner_axes or space.inner_count < WORTH_COMPILING:
        return ()
    try:
        found = traced(block, wanted)
    except NotTraceable:
        return ()
    return min(choose(rewritten(graph, outputs), _sizes(space)) for graph, outputs in _forms(found))[1]


def _sizes(space: Space) -> dict[str, int]:
    return {a.name: len(a.values) for a in space.inner_axes}


def _forms(found: Trace) -> list[tuple[Graph, Mapping[str, Node]]]:
    """The graph with its rows together, and with every row on its own, which tells apart what depends on which axis."""
    return [(found.graph, found.outputs), rows_apart(rewritten(found.graph, found.outputs))]


def divided_form(found: Trace, space: Space, fast: Sequence[str]) -> Split:
    """The form that leaves less to compute with these fast axes, in three parts."""
    made = [rewritten(graph, outputs, fast=fast) for graph, outputs in _forms(found)]
    costs = [factor * operations(outputs, _sizes(space), fast) for factor, outputs in zip((1.0, APART), made, strict=True)]
    return divided(made[costs.index(min(costs))], fast)


class Engine:
    """Metrics of the points of one block."""

    def __init__(self, block: Block, *, wanted: Sequence[str], fast: Sequence[str] = (), backend: str = "numpy") -> None:
        if backend not in BACKENDS:
            raise UnknownName("backend", backend, BACKENDS)
        self.block, self.layout = block, Layout(block.outer.inner, tuple(fast))
        self.wanted, self.backend = tuple(wanted), backend
        self.note = ""
        """Why points are not costed as they were asked to be; empty where they are."""
        self._run: Callable[[int, int], Mapping[str, np.ndarray]] = self._plain
        count = block.outer.inner.count
        if backend != "numpy" and count < WORTH_BUILDING:
            self.backend = "numpy"
            self.note = f"programs with fewer than {WORTH_BUILDING:,} points are costed with numpy: no time to compile"
        if count < WORTH_COMPILING:
            return
        try:
            found = traced(block, wanted)
        except NotTraceable as error:
            self.note = f"costed chunk by chunk with numpy: the cost function of the {block.target.family} family needs {error}"
            return
        if self.layout.fast:
            self._run = self._split(divided_form(found, self.layout.space, self.layout.fast))
        else:
            self._run = self._whole(rewritten(found.graph, found.outputs))

    def __call__(self, start: int, stop: int) -> Points:
        """The points of the units `start` to `stop - 1`."""
        layout, outer = self.layout, self.block.outer
        if layout.fast:
            slow, base = layout.combinations(layout.slow, start, stop)
            fast, offsets = layout.fast_part
        else:
            slow, base = _Later(lambda: self._columns(start, stop)), np.arange(start, stop, dtype=np.int64)
            fast, offsets = {}, np.zeros(1, dtype=np.int64)
        return Points(self._run(start, stop), base + outer.start, offsets, slow, fast)

    def _columns(self, start: int, stop: int) -> dict[str, np.ndarray]:
        inner = self.block.outer.inner
        return {n: np.asarray(v, dtype=np.float64) for n, v in inner.columns(start, stop).items()} if inner.axes else {}

    def _plain(self, start: int, stop: int) -> Mapping[str, np.ndarray]:
        """The cost function itself on columns of points."""
        if self.layout.fast:
            columns, _ = _crossed(self.layout, start, stop)
        else:
            columns = self._columns(start, stop)
        parts = [
            plain_metrics(self.block, {n: c[i : i + 1024] for n, c in columns.items()}) for i in range(0, max(_length(columns), 1), 1024)
        ]
        return {n: np.concatenate([p[n] for p in parts]) for n in self.wanted if n in parts[0]}

    def _whole(self, outputs: Mapping[str, Node]) -> Callable[[int, int], Mapping[str, np.ndarray]]:
        kernel = kernel_of(self.backend, outputs)

        def run(start: int, stop: int) -> Mapping[str, np.ndarray]:
            found = {name: np.empty(stop - start, bool if node.is_test else float) for name, node in outputs.items()}
            for at in range(start, stop, DRAWN_POINTS):
                columns = {name: c[None] for name, c in self._columns(at, min(at + DRAWN_POINTS, stop)).items()}
                for name, v in kernel.chunked(columns).items():
                    found[name][at - start : at - start + DRAWN_POINTS] = v[0]
            return found

        return run

    def _split(self, parts: Split) -> Callable[[int, int], Mapping[str, np.ndarray]]:
        layout = self.layout
        first = kernel_of("numpy" if self.backend in ("torch", "jax") else self.backend, parts.slow)
        fast = kernel_of("numpy", parts.fast).chunked({n: c[None] for n, c in layout.fast_part[0].items()})
        fast = {name: value[:, None, :] for name, value in fast.items()}
        mixed = kernel_of(self.backend, parts.mixed, slow=tuple(parts.slow))
        step = max(1, CHUNK_POINTS[self.backend] // layout.unit_points)

        def run(start: int, stop: int) -> Mapping[str, np.ndarray]:
            columns, _ = layout.combinations(layout.slow, start, stop)
            slow = first.chunked({n: c[None] for n, c in columns.items()})
            found = {n: np.empty((stop - start, layout.unit_points), bool if node.is_test else float) for n, node in parts.mixed.items()}
            for at in range(0, stop - start, step):
                values = mixed({**{name: v[:, at : at + step, None] for name, v in slow.items()}, **fast})
                for name, value in values.items():
                    found[name][at : at + step] = value[0]
            return {name: v.reshape(-1) for name, v in found.items()}

        return run


DRAWN_POINTS = 1 << 14
"""Points of a sample that are drawn at a time."""
CHUNK_POINTS = {"numpy": 8192, "native": 1 << 17, "torch": 1 << 16, "jax": 1 << 16}
"""Points at a time by backend."""


def _length(columns: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _crossed(layout: Layout, start: int, stop: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of every point of some units."""
    slow, base = layout.combinations(layout.slow, start, stop)
    fast, offsets = layout.fast_part
    columns = {name: np.repeat(v, len(offsets)) for name, v in slow.items()} | {name: np.tile(v, len(base)) for name, v in fast.items()}
    return columns, (base[:, None] + offsets).reshape(-1)


def plain_metrics(block: Block, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All metrics of points through the cost function itself, `(points,)` each.

    Args:
        columns: values of the inner axes, `(points,)` each; empty where nothing varies.
    """
    count = max(_length(columns), 1)
    bound = {name: v if v.ndim > 1 else v[:, None] for name, v in block.bound(columns).items()} if columns else {}
    with np.errstate(all="ignore"):
        cost = cost_of(block.target, block.program, device=block.device, mapping=block.mapping, columns=bound)
        found = measured(cost, batch=batch_of(block))
    return {name: _flat(value, count) for name, value in found.items()}


def _flat(value: Any, count: int) -> np.ndarray:
    value = np.asarray(value)
    return np.array(np.broadcast_to(value.reshape(-1) if value.ndim else value, (count,)))


def kernel_of(backend: str, outputs: Mapping[str, Node], *, slow: Sequence[str] = ()) -> Any:
    """What runs a graph on a backend.

    Raises:
        InputError: the backend's library or compiler is not here.
    """
    if backend == "numpy":
        from hwsim.sweep.backend_numpy import NumpyKernel

        return NumpyKernel(outputs)
    if backend == "native":
        from hwsim.sweep.backend_native import NativeKernel

        return NativeKernel(outputs, slow=slow)
    from hwsim.sweep import backend_compiled

    if backend not in backend_compiled.KERNELS:
        raise InputError(f"backend {backend!r}; expected one of {', '.join(BACKENDS)}")
    return backend_compiled.KERNELS[backend](outputs)
