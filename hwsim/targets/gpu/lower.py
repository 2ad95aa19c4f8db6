"""Graph -> Program on a GPU: precision, fusion, kernels, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hwsim.cost import Kernel, Memory, Program
from hwsim.graph import Graph, Node
from hwsim.ops import Work
from hwsim.passes.autocast import Autocast
from hwsim.passes.precision import CastPrecision
from hwsim.schedule import peak_live_b
from hwsim.targets.gpu.fusion import Fuser, Group
from hwsim.targets.gpu.mapping import AUTOCAST, GpuMapping
from hwsim.targets.gpu.rows import Row, attention_row, conv_row, gemm_row, memory_rows, recurrent_rows, stream_row
from hwsim.targets.gpu.runtimes import Runtime, runtime
from hwsim.targets.gpu.tables import build_tables

MOVED = frozenset({"embedding", "gather", "scatter", "grid_sample", "generate", "concat", "pad", "roll", "tile", "unfold", "fold"})
"""Kinds whose bytes are not simply those of their operands."""


def with_precision(graph: Graph, mapping: GpuMapping) -> Graph:
    """The graph in the formats that the mapping asks for."""
    if mapping.dtype in AUTOCAST:
        return Autocast(AUTOCAST[mapping.dtype])(graph)
    if mapping.dtype == "native" and mapping.weights_dtype is None:
        return graph
    return CastPrecision(activations=None if mapping.dtype == "native" else mapping.dtype, weights=mapping.weights_dtype)(graph)


def lower(graph: Graph, mapping: GpuMapping) -> Program:
    """Kernels of a network under a mapping; does not depend on the device."""
    cast = with_precision(graph, mapping)
    lowering = _Lowering(cast, runtime(mapping.runtime), channels_last=mapping.layout == "nhwc")
    return lowering.program(mapping)


def rows_of(graph: Graph, mapping: GpuMapping) -> tuple[Counter[Row], Counter[Row]]:
    """How often each kernel row runs: kernels that depend on the inputs, and kernels that depend on weights only."""
    lowering = _Lowering(with_precision(graph, mapping), runtime(mapping.runtime), channels_last=mapping.layout == "nhwc")
    flowing: Counter[Row] = Counter()
    standing: Counter[Row] = Counter()
    still = {name for name, tensor in graph.tensors.items() if tensor.role in ("weight", "constant")}
    for step in lowering.steps:
        alone = all(name in still for name in step.reads)
        still.update(name for node in step.group.nodes for name in node.outputs if alone)
        (standing if alone else flowing).update(lowering.rows(step))
    return flowing, standing


@dataclass
class _Step:
    """One kernel before its row is known to be unique."""

    group: Group
    anchor: Node
    reads: dict[str, float] = field(default_factory=dict)
    """Storage read from outside, with the bytes that are read of it."""
    writes: list[str] = field(default_factory=list)
    """Storage that others read later."""


class _Lowering:
    def __init__(self, graph: Graph, habits: Runtime, *, channels_last: bool) -> None:
        self.graph, self.habits = graph, habits
        self.fuser = Fuser(graph, habits, channels_last=channels_last)
        self.groups = self.fuser.run()
        self.bytes = {name: t.bytes for name, t in graph.tensors.items()}
        self.steps = self._steps()

    def _steps(self) -> list[_Step]:
        root, owner = self.fuser.root, self.fuser.owner
        steps = [_Step(group, group.anchor) for group in self.groups]
        used = {self.fuser.storage(name) for name in self.graph.outputs}
        for i, step in enumerate(steps):
            for name in dict.fromkeys(name for node in step.group.nodes for name in node.inputs):
                store = root.get(name, name)
                if owner.get(store) != i:
                    size = self.bytes[name] if store == name else min(self.bytes[name], self.bytes.get(store, float("inf")))
                    step.reads[store] = step.reads.get(store, 0.0) + size
                    used.add(store)
        for step in steps:
            step.writes = [name for node in step.group.nodes for name in node.outputs if name in used]
        return steps

    def program(self, mapping: GpuMapping) -> Program:
        """Unique rows in tables, kernels that point to them, memory."""
        listed = [(step, row, times) for step in self.steps for row, times in _counted(self.rows(step))]
        counts: Counter[Row] = Counter()
        for _, row, times in listed:
            counts[row] += times
        tables, position = build_tables(counts, mapping=mapping)
        seen: set[int] = set()
        kernels = tuple(_kernel(step, position[row], times, seen) for step, row, times in listed)
        return Program("gpu", self.graph, tables, kernels, self._memory())

    def rows(self, step: _Step) -> Sequence[Row]:
        """Rows of one step, in schedule order."""
        anchor = step.anchor
        written = sum(self.bytes[name] for name in step.writes)
        if anchor.kind == "recurrent":
            return recurrent_rows(self.graph, anchor)
        if anchor.kind == "lmu_memory" and anchor.attrs["mode"] == "sequential":
            return memory_rows(self.graph, anchor)
        if anchor.kind in ("linear", "matmul"):
            return [gemm_row(self.graph, anchor, written_b=written, epilogue_b=self._epilogue_b(step, anchor))]
        if anchor.kind == "conv":
            return self._conv_rows(step, anchor)
        if anchor.kind == "attention":
            return [attention_row(self.graph, anchor)]
        works = [self.graph.work_of(n) for n in step.group.nodes]
        return [stream_row(self.graph, step.group.nodes, works, read_b=self._read_b(step, works), written_b=self._written_b(step, works))]

    def _conv_rows(self, step: _Step, anchor: Node) -> list[Row]:
        rows: list[Row] = [conv_row(self.graph, anchor, epilogue_b=self._epilogue_b(step, anchor))]
        if len(anchor.inputs) > 2 and self.habits.separate_conv_bias:
            out = self.graph.tensors[anchor.outputs[0]]
            add = Work(ops=out.size)
            rows.append(stream_row(self.graph, [_bias_add(anchor)], [add], read_b=out.bytes, written_b=out.bytes))
        return rows

    def _epilogue_b(self, step: _Step, anchor: Node) -> float:
        own = {self.fuser.storage(name) for name in anchor.inputs}
        return sum(size for name, size in step.reads.items() if name not in own)

    def _read_b(self, step: _Step, works: list[Work]) -> float:
        moved = [(n, w) for n, w in zip(step.group.nodes, works, strict=True) if n.kind in MOVED]
        if not moved:
            return sum(step.reads.values())
        own = {self.fuser.storage(name) for node, _ in moved for name in node.inputs}
        return sum(w.read_b for _, w in moved) + sum(size for name, size in step.reads.items() if name not in own)

    def _written_b(self, step: _Step, works: list[Work]) -> float:
        if len(works) == 1:
            return works[0].written_b
        return sum(self.bytes[name] for name in step.writes)

    def _memory(self) -> Memory:
        roots = {n: b for n, b in self.bytes.items() if n not in self.fuser.root and self.graph.tensors[n].role in ("input", "activation")}
        order = [(step.reads, step.writes) for step in self.steps]
        kept = {self.fuser.storage(name) for name in self.graph.outputs}
        return Memory(
            weights_b=self.graph.weight_b,
            activations_b=peak_live_b(order, roots, kept),
            state_b=self.graph.state_b,
            reserved_b=self.habits.reserved_b,
        )


def _bias_add(conv: Node) -> Node:
    return Node(f"{conv.name}:bias", "elementwise", conv.outputs, conv.outputs, {"fn": "add"}, conv.path)


def _counted(rows: Sequence[Row]) -> Iterable[tuple[Row, int]]:
    """Different rows of one step with how often each runs."""
    return ((rows[0], 1),) if len(rows) == 1 else Counter(rows).items()


def _kernel(step: _Step, position: int, count: int, seen: set[int]) -> Kernel:
    anchor, group = step.anchor, step.group
    nodes = (anchor.name, *(n.name for n in group.nodes if n is not anchor)) if id(group) not in seen else ()
    name = anchor.name if nodes else f"{anchor.name} (2)"
    seen.add(id(group))
    return Kernel(name, anchor.path, anchor.kind, nodes, position, count)
