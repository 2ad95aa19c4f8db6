"""A chip of `lane_count` lanes, each one multiply-accumulate a clock, fed from one memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwsim import Graph
from hwsim.arrays import Array, namespace
from hwsim.cost import Cost, Kernel, Memory, Parts, Program, Table
from hwsim.errors import UnknownName
from hwsim.quantities import Quantity
from hwsim.units import parse

UNITS = {"lane_count": "1", "clock_hz": "Hz", "dram_b_per_s": "B/s", "dram_b": "B", "power_w": "W"}
DATASHEET = "Toy data sheet, rev. 1"


@dataclass(frozen=True, kw_only=True)
class ToyDevice:
    """Every number is a scalar or a column of shape `(points, 1)`."""

    name: str
    family: str = "toy"
    lane_count: Array
    clock_hz: Array
    dram_b_per_s: Array
    dram_b: Array
    power_w: Array
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False)

    def with_overrides(self, overrides: Mapping[str, Any], /) -> ToyDevice:
        """A copy with other numbers; the overridden ones say so in their source."""
        for name in overrides:
            if name not in UNITS:
                raise UnknownName("field of a toy device", name, UNITS)
        values = {name: parse(value, UNITS[name]) for name, value in overrides.items()}
        given = {name: Quantity(value, UNITS[name], "set by the caller", "given") for name, value in values.items()}
        return replace(self, **values, sources={**self.sources, **given})


DEVICES: Mapping[str, dict[str, Any]] = {
    "toy-1": {"lane_count": 1024.0, "clock_hz": 1e9, "dram_b_per_s": 1e11, "dram_b": 8e9, "power_w": 5.0}
}


@dataclass(frozen=True)
class ToyMapping:
    """How a network is run."""

    overlap: bool = True
    """Memory traffic hides behind arithmetic."""


@dataclass(frozen=True)
class ToyColumns:
    """Shape `(kernels,)` each."""

    work: Array
    moved_b: Array


class ToyTarget:
    """One kernel a node."""

    family = "toy"
    summary = "lanes and one memory; a template for other families"
    mapping_options = ()

    def devices(self) -> Sequence[str]:
        return tuple(DEVICES)

    def device(self, name: str, /) -> ToyDevice:
        if name not in DEVICES:
            raise UnknownName("toy device", name, DEVICES)
        sources = {key: Quantity(value, UNITS[key], DATASHEET, "datasheet") for key, value in DEVICES[name].items()}
        return ToyDevice(name=name, **DEVICES[name], sources=sources)

    def mapping(self, **options: Any) -> ToyMapping:
        for name in options:
            if name != "overlap":
                raise UnknownName("mapping option of a toy chip", name, ["overlap"])
        return ToyMapping(**{name: value for name, value in options.items() if value is not None})

    def lower(self, graph: Graph, *, device: ToyDevice, mapping: ToyMapping) -> Program:
        kernels = tuple(Kernel(n.name, n.path, n.kind, (n.name,), i) for i, n in enumerate(graph.nodes))
        work = np.array([float(w.macs + w.ops + w.special) for w in graph.work])
        table = Table("node", ToyColumns(work, np.array([w.read_b + w.written_b for w in graph.work])), np.ones(len(kernels)))
        return Program("toy", graph, (table,), kernels, Memory(weights_b=graph.weight_b, state_b=graph.state_b))

    def cost(self, program: Program, *, device: ToyDevice, mapping: ToyMapping) -> Cost:
        columns = program.tables[0].columns
        compute, memory = columns.work / (device.lane_count * device.clock_hz), columns.moved_b / device.dram_b_per_s
        xp = namespace(compute, memory)
        rows = xp.maximum(compute, memory) if mapping.overlap else compute + memory
        total, joules = xp.sum(rows, axis=-1), rows * device.power_w
        return Cost(
            latency_s=total,
            interval_s=total,
            row_latency_s=rows,
            row_parts_s=Parts(compute=compute, memory=memory),
            energy_j=Parts(compute=xp.sum(joules, axis=-1)),
            row_energy_j=joules,
            memory=replace(program.memory, capacity_b=device.dram_b),
        )

    def binding(self, cost: Cost) -> Sequence[str]:
        parts = cost.row_parts_s
        return ["compute" if c >= m else "memory" for c, m in zip(parts.compute, parts.memory, strict=True)]

    def facts(self, device: ToyDevice, mapping: ToyMapping) -> Mapping[str, Quantity]:
        return device.sources

    def roofs(self, device: ToyDevice, mapping: ToyMapping) -> Mapping[str, float]:
        """Optional: draws the roofline in the HTML report."""
        return {"compute": 2.0 * device.lane_count * device.clock_hz, "memory": device.dram_b_per_s}


TARGET = ToyTarget()
