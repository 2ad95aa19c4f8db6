"""The one contract between the engine and the targets: Table, Program, Cost, Target.

A target lowers a graph to a Program (tables of kernels), and its cost function turns program, device and mapping into a
Cost. Cost functions are pure array functions: kernel columns have shape `(kernels,)`, device quantities and mapping
choices are scalars or `(points, 1)`, and everything broadcasts to `(points, kernels)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hwsim.arrays import Array, namespace
from hwsim.graph import Graph

if TYPE_CHECKING:
    from hwsim.quantities import Quantity


@dataclass(frozen=True)
class Table:
    """Kernels of one kind as a struct of arrays; identical kernels stand in one row with a count."""

    kind: str
    columns: Any
    """A frozen dataclass of arrays whose last axis is the kernels."""
    count: Array
    """How often each row runs, shape `(kernels,)`."""
    rows: Sequence[Any] = field(default=(), repr=False)
    """What the family made the columns from, in order, for learned methods; empty where there is nothing more to know."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One thing that the target runs, and where it comes from."""

    name: str
    path: str
    """Module path of the anchor node."""
    kind: str
    nodes: tuple[str, ...]
    """Graph nodes that were fused into it, anchor first; empty for a further kernel of the same nodes."""
    row: int
    """Position among the rows of all tables, in table order."""
    count: int = 1
    """How often it runs in one inference."""


@dataclass(frozen=True)
class Memory:
    """Bytes that the network needs on the device, and what there is."""

    weights_b: Array = 0.0
    activations_b: Array = 0.0
    """Peak of live activations over the schedule."""
    state_b: Array = 0.0
    """KV cache and recurrent state."""
    reserved_b: Array = 0.0
    """Runtime, context, allocator."""
    capacity_b: Array = float("inf")

    @property
    def total_b(self) -> Array:
        """All of it."""
        return self.weights_b + self.activations_b + self.state_b + self.reserved_b

    @property
    def excess_b(self) -> Array:
        """Bytes over the capacity, 0 where it fits."""
        excess = self.total_b - self.capacity_b
        return namespace(excess).where(excess > 0, excess, 0.0) if not isinstance(excess, float | int) else max(excess, 0.0)


@dataclass(frozen=True)
class Program:
    """What the target really runs."""

    family: str
    graph: Graph
    tables: tuple[Table, ...]
    kernels: tuple[Kernel, ...]
    """In schedule order."""
    memory: Memory = field(default_factory=Memory)
    """Capacity left open: that is the device's."""
    warnings: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        """Rows of all tables together."""
        return sum(table.count.shape[0] for table in self.tables)


@dataclass(frozen=True)
class Parts:
    """Named parts that add up, each a scalar or an array of one common shape."""

    compute: Array = 0.0
    memory: Array = 0.0
    overhead: Array = 0.0
    conversion: Array = 0.0
    static: Array = 0.0
    host: Array = 0.0

    def items(self) -> list[tuple[str, Array]]:
        """(name, value) of every part."""
        return list(vars(self).items())

    @property
    def total(self) -> Array:
        """Sum of the parts."""
        return sum(value for _, value in self.items())


@dataclass(frozen=True)
class Resource:
    """One kind of resource: used and available."""

    used: Array
    available: Array = float("inf")


@dataclass(frozen=True)
class Cost:
    """What a program costs on a device; rows are those of the program's tables, in order, along the last axis."""

    latency_s: Array
    """One inference (one batch), shape `()` or `(points,)`."""
    interval_s: Array
    """Between two batches in steady state; latency where nothing is pipelined."""
    row_latency_s: Array
    """Shape `(rows,)` or `(points, rows)`, one execution of the row."""
    row_parts_s: Parts
    """Demand on each unit, one execution of a row; parts may overlap, so they need not add up to the latency."""
    energy_j: Parts
    """Of one inference, shape `()` or `(points,)` each; they add up."""
    row_energy_j: Array
    """One execution of the row."""
    memory: Memory
    resources: Mapping[str, Resource] = field(default_factory=dict)
    extra: Mapping[str, Array] = field(default_factory=dict)
    """Named totals that one family adds (executed FLOP, DRAM bytes, mean power)."""
    row_resources: Mapping[str, Array] = field(default_factory=dict)
    """What each row takes of the resources, shape `(rows,)` or `(points, rows)`; empty where rows share them all."""
    row_extra: Mapping[str, Array] = field(default_factory=dict)
    """Named columns that one family adds (cycles, reuse factor)."""
    limits: Mapping[str, Array] = field(default_factory=dict)
    """Limits beside memory and resources, by name: whether the design exceeds them, shape `()` or `(points,)`. `Target.verdict` says it in
    words for a single design."""


class Device(Protocol):
    """A hardware description: numbers (scalars or `(points, 1)` arrays) and where they come from."""

    @property
    def name(self) -> str: ...

    @property
    def sources(self) -> Mapping[str, Quantity]: ...

    def with_overrides(self, overrides: Mapping[str, Any], /) -> Device:
        """A copy with other quantities; text values carry units.

        Raises:
            InputError: an unknown field or a wrong unit.
        """
        ...


@dataclass(frozen=True)
class Verdict:
    """What a target says of a design beside the numbers."""

    blockers: tuple[str, ...] = ()
    """Why it cannot be built or run; each completes the sentence `it ...`."""
    warnings: tuple[str, ...] = ()


class Target(Protocol):
    """A family of hardware; registered in the entry-point group `hwsim.targets`."""

    family: str
    summary: str
    mapping_options: Sequence[str]
    """Names of the options that `mapping` takes."""

    def devices(self) -> Sequence[str]:
        """Names of the known devices."""
        ...

    def device(self, name: str, /) -> Device:
        """The device called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such device.
        """
        ...

    def mapping(self, **options: Any) -> Any:
        """The family's frozen mapping dataclass from plain options.

        Raises:
            InputError: an unknown option or value.
        """
        ...

    def lower(self, graph: Graph, *, device: Any, mapping: Any) -> Program:
        """The program for this network; pure, so that callers may cache it.

        Raises:
            UnsupportedOp: the target cannot run an operator.
        """
        ...

    def cost(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Pure array function of program, device and mapping."""
        ...

    def binding(self, cost: Cost) -> Sequence[str]:
        """What binds each row, one word or two a row."""
        ...

    def facts(self, device: Any, mapping: Any) -> Mapping[str, Quantity]:
        """The constants that matter most for an estimate, with their sources."""
        ...
