"""A space of design points: axes, and which of their combinations are taken. Nothing is stored; every point follows from its index."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName
from hwsim.sweep.axes import Axis

SAMPLINGS = ("grid", "random", "lhs", "sobol")
"""All combinations; independent draws; Latin hypercube; scrambled Sobol sequence."""


@dataclass(frozen=True)
class Base:
    """What all points start from."""

    model: Any
    """What `hwsim.load` takes."""
    device: Any
    """A name, a path or a device."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `hwsim.workload`: batch, seq_len, kv_len, phase, dims, passes, allow_unsupported."""
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """Options of `Target.mapping`."""
    set: Mapping[str, Any] = field(default_factory=dict)
    """Device quantities to change."""
    method: str = "closed-form"
    """Who answers: `closed-form` or `surrogate:NAME`."""


@dataclass(frozen=True)
class Outer:
    """One block of points: everything that changes the program is fixed, the inner axes vary."""

    base: Base
    """With the choices of this block made."""
    choices: Mapping[str, Any]
    """Values of the outer axes by name."""
    inner: Space
    """Of the numeric axes alone; has at least one point, and no axes where nothing else varies."""
    start: int
    """Global index of its first point."""

    @property
    def stop(self) -> int:
        """Global index behind its last point."""
        return self.start + self.inner.count


@dataclass(frozen=True)
class Space:
    """Design points.

    Points are numbered from 0: first the outer axes (the first axis slowest), then the inner ones (likewise). A sample draws the inner
    axes anew in every block of outer choices, from a seed of its own.
    """

    base: Base
    axes: tuple[Axis, ...] = ()
    sampling: str = "grid"
    samples: int = 0
    """Points of each block of outer choices; not for grids."""
    seed: int = 0
    stream: int = 0
    """Which stream of the seed the first block draws from."""

    def __post_init__(self) -> None:
        if self.sampling not in SAMPLINGS:
            raise UnknownName("sampling", self.sampling, SAMPLINGS)
        if self.sampling != "grid" and self.inner_axes and self.samples < 1:
            raise InputError(f"a {self.sampling} sample of {self.samples} points; expected at least 1")

    @cached_property
    def inner_axes(self) -> tuple[Axis, ...]:
        """Axes of numbers that one program takes as columns."""
        return tuple(a for a in self.axes if not a.outer)

    @cached_property
    def outer_axes(self) -> tuple[Axis, ...]:
        """Axes whose every value makes a block of its own."""
        return tuple(a for a in self.axes if a.outer)

    @cached_property
    def inner_count(self) -> int:
        """Points of a block."""
        if not self.inner_axes:
            return 1
        return prod(len(a.values) for a in self.inner_axes) if self.sampling == "grid" else self.samples

    @cached_property
    def outer_count(self) -> int:
        """Blocks."""
        return prod(len(a.values) for a in self.outer_axes)

    @property
    def count(self) -> int:
        """Points in all."""
        return self.inner_count * self.outer_count

    def columns(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Values of the points `start` to `stop - 1`, shape `(points,)`, by axis name; float64, objects on outer axes of texts.

        A pure function of the indices: any chunk can be made anywhere.
        """
        return self.at(np.arange(start, stop, dtype=np.int64))

    def at(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Values of the points of these global indices, as `columns`."""
        from hwsim.sweep.sampling import unit_columns

        blocks, inner = np.divmod(np.asarray(index, dtype=np.int64), self.inner_count)
        found = dict(zip((a.name for a in self.outer_axes), _digits(blocks, self.outer_axes), strict=True))
        axes = self.inner_axes
        if self.sampling == "grid":
            values = _digits(inner, axes)
        else:
            units = unit_columns(self.sampling, blocks + self.stream, inner, dimensions=len(axes), samples=self.samples, seed=self.seed)
            values = [a.values.at(u) for a, u in zip(axes, units, strict=True)]
        found.update(zip((a.name for a in axes), values, strict=True))
        return {a.name: found[a.name] for a in self.axes}

    def outer(self) -> list[Outer]:
        """All blocks, in the order of their points."""
        return list(self.blocks())

    def blocks(self) -> Iterator[Outer]:
        """The blocks, one after the other."""
        for block in range(self.outer_count):
            yield self.block(block)

    def block(self, number: int) -> Outer:
        """Block `number`."""
        drawn = _digits(np.array([number]), self.outer_axes)
        choices = {a.name: v[0].item() if isinstance(v[0], np.generic) else v[0] for a, v in zip(self.outer_axes, drawn, strict=True)}
        inner = Space(self.base, self.inner_axes, self.sampling, self.samples, self.seed, self.stream + number)
        return Outer(chosen(self.base, choices), choices, inner, number * self.inner_count)

    def point(self, index: int) -> dict[str, Any]:
        """Values of one point by axis name."""
        return {n: v[0].item() if isinstance(v[0], np.generic) else v[0] for n, v in self.at(np.array([index])).items()}


def _digits(index: np.ndarray, axes: tuple[Axis, ...]) -> list[np.ndarray]:
    """Values of a mixed-radix number, the first axis slowest."""
    found: list[np.ndarray] = []
    rest = index
    for axis in reversed(axes):
        rest, place = np.divmod(rest, len(axis.values))
        found.append(axis.values.take(place))
    return found[::-1]


LOAD = ("batch", "seq_len", "kv_len", "phase")
"""Axes that choose how the network is loaded."""


def chosen(base: Base, choices: Mapping[str, Any]) -> Base:
    """The base with the values of outer axes."""
    changed = base
    options: dict[str, Any] = {}
    layers: dict[str, Any] = {}
    for name, value in choices.items():
        group, _, rest = name.partition(".")
        if name in ("model", "device"):
            changed = replace(changed, **{name: value})
        elif name in LOAD:
            changed = replace(changed, load={**changed.load, name: int(value) if isinstance(value, float) else value})
        elif group == "model":
            options[rest] = value
        elif group == "device":
            changed = replace(changed, set={**changed.set, rest: value})
        elif name.endswith("]"):
            layers[rest] = value
        else:
            changed = replace(changed, mapping={**changed.mapping, rest: value})
    if options:
        changed = replace(changed, model=with_options(changed.model, options))
    return replace(changed, mapping={**changed.mapping, LAYERS: layers}) if layers else changed


LAYERS = "by_layer"
"""Key of `Base.mapping` under which choices for single layers stand: `{"precision[fc*]": ...}`; `blocks.mapping_of` resolves them."""


def with_options(model: Any, options: Mapping[str, Any]) -> Any:
    """A model with options of its builder: a name with a query, or the function with arguments.

    >>> with_options("mlp?hidden=32", {"hidden": 64.0, "depth": 2})
    'mlp?hidden=64&depth=2'
    """
    if is_builder(model):
        return partial(model, **{key: _whole(value) for key, value in options.items()})
    name, _, query = str(model).partition("?")
    given = {key: value for key, _, value in (pair.partition("=") for pair in query.split("&") if pair)}
    given.update({key: _plain(value) for key, value in options.items()})
    return f"{name}?{'&'.join(f'{k}={v}' for k, v in given.items())}"


def is_builder(model: Any) -> bool:
    """Whether a model is a function that makes one."""
    return inspect.isfunction(model) or inspect.ismethod(model) or isinstance(model, partial)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> str:
    value = _whole(value)
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
