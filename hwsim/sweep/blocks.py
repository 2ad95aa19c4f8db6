"""From a block of points to what the cost functions take: target, device, mapping, program and columns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from hwsim import api
from hwsim.cost import Program, Target
from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.sweep.space import LAYERS, Base, Outer, is_builder

CLOSED_FORM = "closed-form"
MOST_PROGRAMS = 256
"""Programs of one network that are kept while a sweep goes through its blocks."""


@dataclass(frozen=True)
class Block:
    """One block of points, ready to be costed."""

    outer: Outer
    target: Target
    device: Any
    mapping: Any
    program: Program

    def bound(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns as `hwsim.sweep.evaluate` takes them: device fields by name, `mapping.<field>`; outer axes left out.

        Columns are `(points,)`, or `(points, layers)` where an axis is for some layers only.
        """
        found: dict[str, np.ndarray] = {}
        for axis in self.outer.inner.axes:
            if not axis.layers:
                found[axis.name.removeprefix("device.")] = columns[axis.name]
        for axis in self.outer.inner.axes:
            if axis.layers:
                name = f"mapping.{axis.field}"
                found[name] = self._filled(axis.field, axis.name, found.get(name), columns[axis.name])
        return found

    def _filled(self, field_: str, axis: str, before: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        size = self.layers[field_][1].shape[-1]
        if before is None:
            before = np.broadcast_to(self.layers[field_][1], (len(values), size))
        elif before.ndim == 1:
            before = np.broadcast_to(before[:, None], (len(values), size))
        filled = np.array(before, dtype=np.float64)
        filled[:, self.places[axis]] = values[:, None]
        return filled

    @cached_property
    def layers(self) -> Mapping[str, tuple[tuple[str, ...], np.ndarray]]:
        """What may differ from layer to layer: names of the layers, and values."""
        told = getattr(self.target, "layer_columns", None)
        return told(self.program) if told else {}

    @cached_property
    def places(self) -> Mapping[str, list[int]]:
        """Positions of the layers that each axis with a pattern is for.

        Raises:
            UnknownName: no layer matches.
        """
        from fnmatch import fnmatchcase

        found: dict[str, list[int]] = {}
        for axis in self.outer.inner.axes:
            if axis.layers:
                names = self._names(axis.field)
                found[axis.name] = [i for i, name in enumerate(names) if fnmatchcase(name, axis.layers)]
                if not found[axis.name]:
                    raise UnknownName(f"layer in axis {axis.name!r}:", axis.layers, names)
        return found

    def _names(self, field_: str) -> tuple[str, ...]:
        if field_ not in self.layers:
            raise InputError(f"axis 'mapping.{field_}[...]': {self.target.family} takes no {field_} by layer")
        return self.layers[field_][0]


@dataclass
class Preparing:
    """Makes blocks ready; a network is loaded once, and lowered once a mapping."""

    graphs: dict[Any, Graph] = field(default_factory=dict)

    def __call__(self, outer: Outer) -> Block:
        """The block, ready to be costed.

        Raises:
            HwsimError: what loading, the device, the mapping or lowering complains about.
        """
        base = outer.base
        graph = self.graph(base)
        if len(programs := graph.__dict__.get("_programs", {})) > MOST_PROGRAMS:
            programs.clear()
        target, device = api.find(base.device, overrides=base.set)
        mapping = mapping_of(target, graph, base.mapping)
        program = api.lowered(target, graph, device=device, mapping=mapping)
        return Block(outer, _answering(target, base.method), device, mapping, program)

    def graph(self, base: Base) -> Graph:
        """The network, loaded once."""
        key = (_identity(base.model), repr(sorted(base.load.items(), key=str)))
        if key not in self.graphs:
            while len(self.graphs) > 16:
                self.graphs.pop(next(iter(self.graphs)))
            self.graphs[key] = api.workload(*_made(base.model, base.load)).graph if is_builder(base.model) else self._loaded(base)
        return self.graphs[key]

    def _loaded(self, base: Base) -> Graph:
        return api.workload(base.model, **base.load).graph


def _answering(target: Target, method: str) -> Target:
    if method == CLOSED_FORM:
        return target
    from hwsim.surrogates.in_sweeps import answered_by

    return answered_by(method, target)


def _identity(model: Any) -> Any:
    if isinstance(model, partial):
        return (id(model.func), repr(sorted(model.keywords.items())))
    return model if isinstance(model, str) else id(model)


def _made(builder: Any, load: Mapping[str, Any]) -> tuple[Any]:
    """What a function makes; sizes of `load` are given to it where it takes them."""
    takes = inspect.signature(builder).parameters
    return (builder(**{name: value for name, value in load.items() if name in takes}),)


def mapping_of(target: Target, graph: Graph, options: Mapping[str, Any]) -> Any:
    """The mapping from options, those for single layers included.

    Raises:
        InputError: an unknown option or value, or choices by layer of a family that makes none.
    """
    brought = getattr(target, "graph_options", None)
    plain = {name: value for name, value in options.items() if name != LAYERS}
    mapping = target.mapping(**{**(brought(graph) if brought else {}), **plain})
    by_layer = options.get(LAYERS)
    if not by_layer:
        return mapping
    with_layers = getattr(target, "with_layers", None)
    if with_layers is None:
        raise InputError(f"{target.family} makes no choices by layer; found {', '.join(by_layer)}")
    choices: dict[str, dict[str, Any]] = {}
    for name, value in by_layer.items():
        option, _, pattern = name.removesuffix("]").partition("[")
        choices.setdefault(option, {})[pattern] = value
    return with_layers(graph, mapping, choices)
