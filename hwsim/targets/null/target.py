"""Device, lowering and cost of the null target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwsim.arrays import Array, namespace
from hwsim.cost import Cost, Kernel, Memory, Parts, Program, Table
from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.quantities import Quantity

SOURCE = "by definition of the null target"


@dataclass(frozen=True, kw_only=True)
class NullDevice:
    """A machine that does everything at unit rates."""

    name: str = "null"
    family: str = "null"
    macs_per_s: Array = 1e12
    """MAC/s."""
    memory_b_per_s: Array = 1e12
    """B/s."""
    memory_b: Array = 1e12
    """B."""
    mac_j: Array = 1e-12
    """J a MAC."""
    byte_j: Array = 1e-12
    """J a byte."""
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False)

    def with_overrides(self, overrides: Mapping[str, Any], /) -> NullDevice:
        """A copy with other rates.

        Raises:
            UnknownName: no such field.
        """
        known = {n for n in vars(self) if n not in ("name", "family", "sources")}
        for name in overrides:
            if name not in known:
                raise UnknownName("quantity of a null device", name, known)
        return replace(self, **overrides)


@dataclass(frozen=True)
class NullMapping:
    """The null target has no choices."""


@dataclass(frozen=True)
class NullColumns:
    """Shape `(kernels,)` each."""

    macs: Array
    bytes_b: Array


class NullTarget:
    """One kernel a node."""

    family = "null"
    mapping_options = ()
    summary = "one picosecond a MAC and a byte; for tests of the pipeline"

    def devices(self) -> Sequence[str]:
        """Just `null`."""
        return ("null",)

    def device(self, name: str, /) -> NullDevice:
        """The one device.

        Raises:
            UnknownName: any other name.
        """
        if name != "null":
            raise UnknownName("null device", name, self.devices())
        rates = ("macs_per_s", "memory_b_per_s", "memory_b", "mac_j", "byte_j")
        sources = {r: Quantity(getattr(NullDevice(), r), source=SOURCE, status="assumed") for r in rates}
        return NullDevice(sources=sources)

    def mapping(self, **options: Any) -> NullMapping:
        """No options.

        Raises:
            InputError: there are some.
        """
        if options := {k: v for k, v in options.items() if v is not None}:
            raise InputError(f"the null target has no mapping options, found {', '.join(options)}")
        return NullMapping()

    def lower(self, graph: Graph, *, device: Any, mapping: Any) -> Program:
        """A row a node."""
        columns = NullColumns(
            np.array([float(w.macs + w.ops + w.special) for w in graph.work]), np.array([w.read_b + w.written_b for w in graph.work])
        )
        kernels = tuple(Kernel(n.name, n.path, n.kind, (n.name,), i) for i, n in enumerate(graph.nodes))
        return Program("null", graph, (Table("node", columns, np.ones(len(kernels))),), kernels, Memory(weights_b=graph.weight_b))

    def cost(self, program: Program, *, device: NullDevice, mapping: Any) -> Cost:
        """Compute and memory one after the other."""
        columns = program.tables[0].columns
        compute, memory = columns.macs / device.macs_per_s, columns.bytes_b / device.memory_b_per_s
        energy = Parts(compute=columns.macs * device.mac_j, memory=columns.bytes_b * device.byte_j)
        rows, joules = compute + memory, energy.compute + energy.memory
        total = namespace(rows).sum(rows, axis=-1)
        return Cost(
            latency_s=total,
            interval_s=total,
            row_latency_s=rows,
            row_parts_s=Parts(compute=compute, memory=memory),
            energy_j=Parts(compute=_sum(energy.compute), memory=_sum(energy.memory)),
            row_energy_j=joules,
            memory=replace(program.memory, capacity_b=device.memory_b),
        )

    def binding(self, cost: Cost) -> Sequence[str]:
        """The larger part."""
        parts = cost.row_parts_s
        return ["compute" if c >= m else "memory" for c, m in zip(parts.compute, parts.memory, strict=True)]

    def facts(self, device: NullDevice, mapping: Any) -> Mapping[str, Quantity]:
        """All of them."""
        return device.sources


def _sum(values: Array) -> Array:
    return namespace(values).sum(values, axis=-1)
