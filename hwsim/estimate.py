"""Estimate: the answer, with its parts, its error bar, its reasons and its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.cost import Cost, Memory, Program

if TYPE_CHECKING:
    import pandas

    from hwsim.conventions import OperationEnergy
    from hwsim.quantities import Quantity

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Interval:
    """A calibrated range of a metric, or the reason why there is none."""

    low: float | None
    high: float | None
    level: float = 0.9
    domain: str = ""
    """The validation set whose residuals it comes from; `not validated` where there is none."""
    median_ape: float | None = None

    @property
    def validated(self) -> bool:
        """Whether there is a range."""
        return self.low is not None


NOT_VALIDATED = Interval(None, None, domain="not validated")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one kernel costs, over all its runs in one inference."""

    name: str
    path: str
    kind: str
    nodes: tuple[str, ...]
    latency_s: float
    energy_j: float
    parts_s: Mapping[str, float]
    bound: str
    """What binds it: compute, memory, overhead ..."""
    macs: int
    ops: int
    read_b: float
    written_b: float
    weight_b: float
    resources: Mapping[str, float] = field(default_factory=dict)
    """What it takes of each resource, where layers have their own (FPGA: LUT, FF, DSP ...)."""
    extra: Mapping[str, float] = field(default_factory=dict)
    """Facts that the family adds (FPGA: cycles, effective reuse factor, multipliers ...)."""


@dataclass(frozen=True)
class Estimate:
    """Cost of one network on one device under one mapping.

    Totals are floats in SI units; `layers` holds a row a kernel in schedule order.
    """

    program: Program
    device: Any
    mapping: Any
    cost: Cost
    bounds: tuple[str, ...]
    """What binds each row of the program."""
    method: str = "closed-form"
    phase: str | None = None
    latency_interval: Interval = NOT_VALIDATED
    energy_interval: Interval = NOT_VALIDATED
    resource_intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Of the resources that have one, by name."""
    facts: Mapping[str, Quantity] = field(default_factory=dict)
    """The constants that matter most, with their sources."""
    decode: Estimate | None = None
    """The decode step that belongs to this prefill, where the network generates tokens."""
    blockers: tuple[str, ...] = ()
    """Why it cannot be built or run at all, as the target says; each completes the sentence `it ...`."""
    warnings: tuple[str, ...] = ()
    conventions: tuple[OperationEnergy, ...] = ()
    """Operation counts under conventions of papers that were asked for: beside the energy of the device, never in it."""

    @property
    def model(self) -> str:
        """Name of the network."""
        return self.program.graph.name

    @property
    def target(self) -> str:
        """Name of the device."""
        return self.device.name

    @property
    def batch(self) -> int:
        """Samples an inference."""
        return int(self.program.graph.attrs.get("batch") or 1)

    @property
    def latency_s(self) -> float:
        """Seconds for one inference of the whole batch."""
        return float(self.cost.latency_s)

    @property
    def throughput_per_s(self) -> float:
        """Samples a second in steady state; 0 where nothing is known to take time."""
        interval = float(self.cost.interval_s)
        return self.batch / interval if interval else 0.0

    @property
    def energy_j(self) -> float:
        """Joules for one inference of the whole batch."""
        return float(self.cost.energy_j.total)

    @property
    def power_w(self) -> float:
        """Mean power in steady state: the energy of an inference over the time between two."""
        interval = float(self.cost.interval_s)
        return self.energy_j / interval if interval else 0.0

    @property
    def memory(self) -> Memory:
        """Bytes needed and available."""
        return self.cost.memory

    @property
    def fits(self) -> bool:
        """Whether memory and every resource suffice."""
        return not self.reasons

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not fit; empty where it does."""
        from hwsim.units import format_si

        found = list(self.blockers)
        if float(self.memory.excess_b) > 0:
            found.append(
                f"needs {format_si(float(self.memory.total_b), 'B')} of memory, {format_si(float(self.memory.excess_b), 'B')} more "
                f"than the {format_si(float(self.memory.capacity_b), 'B')} of {self.target}"
            )
        for name, item in self.cost.resources.items():
            if float(item.used) > float(item.available):
                found.append(f"needs {float(item.used):,.0f} {name}, {self.target} has {float(item.available):,.0f}")
        return tuple(found)

    @property
    def coverage_frac(self) -> float:
        """Share of the network's nodes that have a rule."""
        return self.program.graph.coverage_frac

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """A row a kernel, in schedule order."""
        return tuple(self._layer(kernel) for kernel in self.program.kernels)

    def _layer(self, kernel: Any) -> Layer:
        works = [self._work[name] for name in kernel.nodes]
        reads, writes, weights = self._traffic(kernel.nodes)
        row = kernel.row
        return Layer(
            name=kernel.name,
            path=kernel.path,
            kind=kernel.kind,
            nodes=kernel.nodes,
            latency_s=float(self.cost.row_latency_s[row]) * kernel.count,
            energy_j=float(self.cost.row_energy_j[row]) * kernel.count,
            parts_s={name: float(v[row]) * kernel.count for name, v in self.cost.row_parts_s.items() if not isinstance(v, float | int)},
            bound=self.bounds[row],
            macs=sum(w.macs for w in works),
            ops=sum(w.ops + w.special for w in works),
            read_b=reads,
            written_b=writes,
            weight_b=weights,
            resources={name: float(values[row]) for name, values in self.cost.row_resources.items()},
            extra={name: float(values[row]) for name, values in self.cost.row_extra.items()},
        )

    @cached_property
    def _work(self) -> Mapping[str, Any]:
        graph = self.program.graph
        return {node.name: work for node, work in zip(graph.nodes, graph.work, strict=True)}

    @cached_property
    def _nodes(self) -> Mapping[str, Any]:
        return {node.name: node for node in self.program.graph.nodes}

    def _traffic(self, names: Sequence[str]) -> tuple[float, float, float]:
        """Bytes that cross the border of a fused kernel: read, written, and the weights among the read."""
        graph, nodes = self.program.graph, [self._nodes[name] for name in names]
        made = {t for node in nodes for t in node.outputs}
        operands = {n.name: [t for t in dict.fromkeys(n.inputs) if t not in made] for n in nodes}
        read = {t: graph.tensors[t].bytes for n in nodes if not _picks(n) for t in operands[n.name]}
        picked = sum(self._work[n.name].read_b for n in nodes if _picks(n))
        weights = sum(b for t, b in read.items() if graph.tensors[t].role == "weight")
        if not names:
            return 0.0, 0.0, 0.0
        if len(nodes) == 1:
            return self._work[names[0]].read_b, self._work[names[0]].written_b, weights
        return sum(read.values()) + picked, sum(graph.tensors[t].bytes for t in made if self._leaves(t, names)), weights

    def _leaves(self, tensor: str, names: Sequence[str]) -> bool:
        """Whether something outside of the kernel reads what it made."""
        graph = self.program.graph
        return tensor in graph.outputs or any(reader.name not in names for reader in graph.consumers.get(tensor, ()))

    def bound_share(self) -> dict[str, float]:
        """Share of the summed kernel time by what binds it, largest first."""
        shares: dict[str, float] = {}
        for layer in self.layers:
            shares[layer.bound] = shares.get(layer.bound, 0.0) + layer.latency_s
        total = sum(shares.values()) or 1.0
        return {name: value / total for name, value in sorted(shares.items(), key=lambda item: -item[1])}

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON object (docs/json.md); SI units, floats."""
        from hwsim.report.json import estimate_dict

        return estimate_dict(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Layers as a table, one row a kernel.

        Raises:
            MissingExtra: pandas is not installed.
        """
        from hwsim.report.frames import layers_frame

        return layers_frame(self)

    def to_html(self) -> str:
        """A self-contained page with a roofline plot and a bar chart."""
        from hwsim.report.html import estimate_html

        return estimate_html(self)

    def to_trace(self) -> dict[str, Any]:
        """Chrome trace-event object (chrome://tracing, Perfetto)."""
        from hwsim.report.trace import estimate_trace

        return estimate_trace(self)

    def __rich__(self) -> Any:
        from hwsim.report.terminal import estimate_renderable

        return estimate_renderable(self)

    def _repr_html_(self) -> str:
        from hwsim.report.html import estimate_fragment

        return estimate_fragment(self)


def _picks(node: Any) -> bool:
    """Whether a node reads only a part of its operands."""
    return node.op.category == "layout" and node.kind in ("embedding", "gather", "scatter", "grid_sample")


def plain(mapping: Any) -> dict[str, Any]:
    """A mapping dataclass as plain JSON values."""
    if not is_dataclass(mapping):
        return {}
    return {f.name: _plain_value(getattr(mapping, f.name)) for f in fields(mapping)}


def _plain_value(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)
