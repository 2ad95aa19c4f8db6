"""Time and energy of a network on an NPU.

A row takes its least time plus sqrt(matrix^2 + vector^2 + memory^2): units overlap, but not fully. Matrix: operations over the unit's rate,
with channels partly filled up to 32. Vector: passes over values, by what is done to them, over the unit's bytes a second. Memory: weights,
and activations that the tightly coupled memory does not hold, over DRAM bandwidth. An inference adds what it takes to start it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.cost import Cost, Parts, Program
from hwsim.targets.npu.constants import NpuConstants
from hwsim.targets.npu.device import NpuDevice
from hwsim.targets.npu.lower import KINDS, NpuColumns
from hwsim.targets.npu.mapping import NpuMapping


@dataclass(frozen=True)
class Rates:
    """Device and mapping as rows feel them; each a scalar or an array that broadcasts with the rows."""

    op_per_s: Array
    vector_b_per_s: Array
    dram_b_per_s: Array
    tcm_b: Array
    launch_s: Array
    weight_b: Array
    activation_b: Array


@dataclass(frozen=True)
class RowTime:
    """Of one execution of each row."""

    matrix_s: Array
    vector_s: Array
    memory_s: Array
    launch_s: Array
    dram_b: Array

    @property
    def latency_s(self) -> Array:
        """All of it."""
        return (self.matrix_s**2 + self.vector_s**2 + self.memory_s**2 + 1e-30) ** 0.5 + self.launch_s


def rates(device: NpuDevice, mapping: NpuMapping, constants: NpuConstants) -> Rates:
    """Rates of a device in the format of a mapping."""
    integer = {"w8a8": 1.0, "w8a16": constants.a16, "w16a16": constants.a16 * constants.w16}
    peak = device.fp16_op_per_s if mapping.dtype == "fp16" else device.int8_op_per_s * integer[mapping.dtype]
    start = device.launch_s * {"w8a8": constants.w8a8_launch, "w8a16": constants.w8a16_launch}.get(mapping.dtype, 1.0)
    start = start * (constants.onnx_launch if "onnx" in mapping.runtime else 1.0)
    formats = (mapping.weight_b, mapping.activation_b)
    return Rates(peak, device.vector_b_per_s, device.dram_b_per_s, device.tcm_b, start, *formats)


def dispatch_s(device: NpuDevice, mapping: NpuMapping, constants: NpuConstants) -> Array:
    """What an inference takes beside its rows."""
    return device.dispatch_s * (constants.onnx_dispatch if "onnx" in mapping.runtime else 1.0)


def row_time(c: NpuColumns, given: Rates, constants: NpuConstants) -> RowTime:
    """Time of rows; pure, of one array library."""
    share = _by_kind(c.kind, constants, ("conv", "volume", "grouped", "linear", "matmul", "attention"), default=constants.other)
    share = share + (1.0 - share) * ((c.kind == KINDS.index("conv")) & (c.window > 1))
    none = c.macs == 0
    macs = c.macs * ((c.padded_macs + none) / (c.macs + none)) ** constants.fill * (1.0 + constants.ramp / c.pixels)
    pace = _by_kind(c.kind, constants, ("pointwise", "reduction", "layout"), default=1.0)
    passes = c.vector_macs * constants.depthwise + c.ops * constants.op + c.special * constants.special
    passes = passes + c.moved * constants.moved + c.joined * constants.joined
    flowing = c.read + c.written
    vector_s = (passes + flowing * constants.streamed) * pace * given.activation_b / given.vector_b_per_s
    over = flowing * given.activation_b - constants.resident * given.tcm_b
    dram_b = c.weights * given.weight_b + constants.spill * over * (over > 0)
    return RowTime(
        2.0 * macs / (share * given.op_per_s),
        vector_s,
        constants.exposed * dram_b / given.dram_b_per_s,
        given.launch_s + 0.0 * c.macs,
        dram_b,
    )


def _by_kind(kind: Array, constants: NpuConstants, names: tuple[str, ...], *, default: Any) -> Array:
    """The constant of each row's kind, where it is one of `names`."""
    return default + sum((getattr(constants, name) - default) * (kind == KINDS.index(name)) for name in names)


def program_cost(
    program: Program, *, device: NpuDevice, mapping: NpuMapping, constants: NpuConstants, row_factor: Array | None = None
) -> Cost:
    """Pure array function of program, device and mapping; rows take `row_factor` times their time where it is given."""
    table = program.tables[0]
    c, counts = table.columns, table.count
    xp = namespace(c.macs, *(v for v in vars(device).values() if not isinstance(v, str | Mapping)))
    time = row_time(c, rates(device, mapping, constants), constants)
    factor = 1.0 if row_factor is None else row_factor
    rows = time.latency_s * factor
    start = dispatch_s(device, mapping, constants)
    op_j = device.fp16_op_j if mapping.dtype == "fp16" else device.int8_op_j * mapping.weight_b * mapping.activation_b
    compute, memory, static = 2.0 * (c.macs + c.vector_macs) * op_j, time.dram_b * device.dram_b_j, rows * device.static_w
    latency = xp.sum(rows * counts, axis=-1) + _flat(start)
    energies = [xp.sum((part + 0.0 * rows) * counts, axis=-1) for part in (compute, memory, static)]
    return Cost(
        latency_s=latency,
        interval_s=latency,
        row_latency_s=rows,
        row_parts_s=Parts(
            compute=time.matrix_s * factor,
            memory=time.memory_s * factor,
            conversion=time.vector_s * factor,
            overhead=time.launch_s * factor,
        ),
        energy_j=Parts(compute=energies[0], memory=energies[1], static=energies[2] + _flat(start * device.static_w)),
        row_energy_j=compute + memory + static,
        memory=replace(program.memory, capacity_b=_flat(device.dram_b)),
        extra={"dispatch_s": _flat(start) + 0.0 * latency, "dram_b": xp.sum((time.dram_b + 0.0 * rows) * counts, axis=-1)},
    )


def _flat(value: Array) -> Array:
    return value if isinstance(value, int | float) else value[:, 0]
