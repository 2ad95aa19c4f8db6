"""Cost of a program on a GPU: a pure array function of tables, device quantities and mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.cost import Cost, Parts, Program, Table
from hwsim.targets.gpu.constants import GpuConstants, NetworkConstants
from hwsim.targets.gpu.kernels.attention import attention_time
from hwsim.targets.gpu.kernels.common import KernelTime
from hwsim.targets.gpu.kernels.conv import conv_time
from hwsim.targets.gpu.kernels.gemm import gemm_time
from hwsim.targets.gpu.kernels.streaming import streaming_time
from hwsim.targets.gpu.mapping import GpuMapping
from hwsim.targets.gpu.power import kernel_energy, vector_energy_j
from hwsim.targets.gpu.runtimes import runtime


@dataclass(frozen=True)
class _Rows:
    """Parts of the rows of one table."""

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    op_j: Array
    """Energy of the arithmetic."""
    dram_b: Array
    flop: Array
    peak_s: Array
    """Seconds of the arithmetic at the peak of its unit."""


def program_cost(program: Program, *, device: Any, mapping: GpuMapping, constants: GpuConstants, row_factor: Array | None = None) -> Cost:
    """Latency, energy and memory; device quantities are scalars or `(points, 1)`.

    Args:
        row_factor: learned time of each row over that of its single kernel, shape `(rows,)` or `(points, rows)`, instead of the fitted
            scale of its kind; rows stay above what the arithmetic takes at the unit's peak.
    """
    single = row_factor is not None
    parts = [_table_rows(table, device=device, mapping=mapping, constants=constants, single=single) for table in program.tables]
    xp = namespace(*(p.dram_b for p in parts), device.sm_count, device.dram_b_per_s)
    joined = _Rows(**{name: _joined(xp, [getattr(p, name) for p in parts], program.tables) for name in vars(parts[0])})
    counts = xp.concat([table.count for table in program.tables])
    rows = joined.overhead_s + xp.maximum(joined.compute_s, joined.memory_s)
    rows = rows if row_factor is None else xp.maximum(rows * row_factor, joined.peak_s)
    busy = xp.sum(rows * counts, axis=-1)
    host = host_s(float(xp.sum(counts)), mapping, constants.networks)
    latency = xp.maximum(busy, host + 0.0 * busy)
    row_j, energy = _energy(xp, rows, joined, counts, latency - busy, device=device, constants=constants)
    return Cost(
        latency_s=latency,
        interval_s=latency,
        row_latency_s=rows,
        row_parts_s=Parts(compute=joined.compute_s, memory=joined.memory_s, overhead=joined.overhead_s),
        energy_j=energy,
        row_energy_j=row_j,
        memory=replace(program.memory, capacity_b=_flat(device.dram_b)),
        extra={"flop": xp.sum(joined.flop * counts, axis=-1), "dram_b": xp.sum(joined.dram_b * counts, axis=-1), "host_s": host},
    )


def _flat(value: Array) -> Array:
    return value if isinstance(value, int | float) else value[:, 0]


def host_s(kernels: float, mapping: GpuMapping, constants: NetworkConstants) -> float:
    """Time that the host needs to launch everything; nothing where a recorded graph is replayed."""
    if runtime(mapping.runtime).graph_launch:
        return 0.0
    return kernels * (constants.eager_host_s if mapping.runtime == "eager" else constants.compile_host_s)


def _joined(xp: Any, parts: list[Array], tables: Sequence[Table]) -> Array:
    """Rows of all tables along the last axis, broadcast to the common points."""
    wide = [part + 0.0 * table.count for part, table in zip(parts, tables, strict=True)]
    tall = next((w for w in wide if w.ndim == 2), None)
    if tall is not None:
        wide = [w + 0.0 * tall[:, :1] for w in wide]
    return xp.concat(wide, axis=-1) if len(wide) > 1 else wide[0]


def _table_rows(table: Table, *, device: Any, mapping: GpuMapping, constants: GpuConstants, single: bool) -> _Rows:
    time = TIMES[table.kind](table.columns, device=device, constants=getattr(constants, _CONSTANTS[table.kind]))
    scale = 1.0 if single else _scale(table, mapping, constants)
    op_j, peak_s = arithmetic(table, time, device=device, constants=constants)
    return _Rows(time.compute_s * scale, time.memory_s * scale, time.overhead_s, op_j, time.dram_b, time.flop, peak_s)


TIMES: dict[str, Any] = {"gemm": gemm_time, "conv": conv_time, "attention": attention_time, "stream": streaming_time}
_CONSTANTS = {"gemm": "gemm", "conv": "conv", "attention": "attention", "stream": "streaming"}


def _scale(table: Table, mapping: GpuMapping, constants: GpuConstants) -> Array:
    """Time inside a network relative to the single kernel."""
    scale = constants.networks
    if table.kind == "stream":
        return scale.stream if mapping.runtime == "eager" else scale.compile_stream
    if table.kind != "conv":
        return getattr(scale, table.kind)
    if mapping.runtime == "tensorrt":
        return 1.0
    grouped = table.columns.direct
    return grouped * scale.depthwise + (1.0 - grouped) * (scale.nchw_conv if mapping.layout == "nchw" else scale.conv)


def arithmetic(table: Table, time: KernelTime, *, device: Any, constants: GpuConstants) -> tuple[Array, Array]:
    """Energy of the arithmetic of each row, and its time at the peak of its unit."""
    masks = {"conv": "dtypes", "stream": None}.get(table.kind, "rates")
    formats = (("fp32", 1.0),) if masks is None else getattr(table.columns, masks)
    tensor = masks is not None
    energy = sum(mask * _format_j(name, device, constants, tensor=tensor) for name, mask in formats)
    per_s = sum(mask / device.peak_op_per_s(name, tensor=tensor) for name, mask in formats)
    return time.flop * energy, time.flop * per_s


def _format_j(name: str, device: Any, constants: GpuConstants, *, tensor: bool) -> Array:
    if tensor and device.uses_tensor(name):
        return constants.power.op_share * device.power_limit_w / device.peak_op_per_s(name)
    gemm = constants.gemm
    return vector_energy_j(name, device=device, at_16nm_j=gemm.vector_op_j, exponent=gemm.node_exponent)


def _energy(
    xp: Any, rows: Array, parts: _Rows, counts: Array, idle_s: Array, *, device: Any, constants: GpuConstants
) -> tuple[Array, Parts]:
    """Energy of one run of each row, and of the whole."""
    energies = kernel_energy(rows, parts.op_j, parts.dram_b, parts.peak_s, device=device, constants=constants.power)
    compute, memory, static = (xp.sum(part * counts, axis=-1) for part in energies)
    return sum(energies), Parts(compute=compute, memory=memory, static=static + idle_s * _flat(device.idle_power_w))


def kernel_time(table: Table, *, device: Any, constants: GpuConstants) -> KernelTime:
    """Time of one table's kernels as single kernels, without the network's scale."""
    return TIMES[table.kind](table.columns, device=device, constants=getattr(constants, _CONSTANTS[table.kind]))
