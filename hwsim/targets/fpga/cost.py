"""Cost of an FPGA design: template instances composed into a pipeline, their resources, and what they draw.

io_parallel: layers follow one another, latency is the sum of theirs and a hand-over each, the interval that of the slowest
(sum R + 2 L - 1 cycles for L resource-strategy layers). io_stream: layers work at the same time on pixels that flow through FIFOs,
latency is the slowest stream plus what has to wait for the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array, last_flat
from hwsim.cost import Cost, Parts, Program, Resource
from hwsim.targets.fpga.constants import stage_constants
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.power import dynamic_power_w
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware, block_rams, joined

SRL_DEPTH = 32
"""Deepest FIFO that stays in shift-register LUTs."""
NAMES = ("LUT", "FF", "DSP", "BRAM18", "URAM")


@dataclass(frozen=True)
class Fifos:
    """FIFOs behind the rows of a streaming design, shape `(rows,)` or `(points, rows)`."""

    count: Array
    depth: Array
    bits: Array
    bram18: Array
    lut: Array
    ff: Array


@dataclass(frozen=True)
class Totals:
    """What a design comes to: closed form or learned."""

    used: Mapping[str, Array]
    """Resources of every row by name, the FIFO behind it included."""
    cycles: Array
    """Of every row in an inference."""
    interval_cycles: Array
    latency: Array
    """Cycles of the design, last axis of length one."""
    interval: Array


def program_cost(program: Program, *, device: FpgaDevice, mapping: FpgaMapping, constants: Constants | None = None) -> Cost:
    """Pure array function of program, device and mapping; `constants` are those of the mapping's stage unless given."""
    constants = stage_constants(mapping.stage) if constants is None else constants
    hardware = instances(program, device=device, mapping=mapping, constants=constants)
    base = base_of(program)
    fifos = fifos_of(base, mapping=mapping, constants=constants)
    latency, interval = composed(
        hardware,
        base,
        stream=mapping.io_type == "io_stream",
        vitis=mapping.backend.startswith("Vitis"),
        open_circuits=mapping.stage == "yosys",
    )
    found = Totals(_used(hardware, fifos), hardware.latency_cycles * base.repeat, hardware.interval_cycles * base.repeat, latency, interval)
    return priced(program, hardware, fifos, found, device=device, mapping=mapping)


def priced(program: Program, hardware: Hardware, fifos: Fifos, found: Totals, *, device: FpgaDevice, mapping: FpgaMapping) -> Cost:
    """The cost that these totals come to on the device."""
    base, used = base_of(program), found.used
    batch = int(program.graph.attrs.get("batch") or 1)
    latency, interval = found.latency + (batch - 1) * found.interval, batch * found.interval
    period = mapping.clock_period_s
    return Cost(
        latency_s=last_flat(latency * period),
        interval_s=last_flat(interval * period),
        row_latency_s=found.cycles * period,
        row_parts_s=_parts(hardware, base, period),
        energy_j=_energy(used, interval * period, device=device, mapping=mapping),
        row_energy_j=_row_energy(used, interval * period, device=device, mapping=mapping),
        memory=program.memory,
        resources={name: Resource(np.sum(used[name], axis=-1), last_flat(capacity)) for name, capacity in device.capacity.items()},
        extra=_extra(hardware, fifos, latency, interval, mapping),
        row_resources=used,
        row_extra={
            "cycles": found.cycles,
            "interval_cycles": found.interval_cycles,
            "reuse_requested": base.reuse_requested,
            "reuse_factor": hardware.reuse_factor,
            "multipliers": hardware.multipliers,
            "streams": (base.stream > 0) & (base.in_positions > 1),
            "fifos": fifos.count,
            "fifo_depth": fifos.depth,
        },
        limits=_limits(program, hardware, mapping),
    )


def _limits(program: Program, hardware: Hardware, mapping: FpgaMapping) -> dict[str, Array]:
    """Whether some layer unrolls more products than the HLS tool does; our own circuits have no such limit."""
    from hwsim.targets.fpga.feasibility import UNROLL_LIMIT, unrolled_products

    if mapping.stage == "yosys" or program.tables[0].kind != "matrix":
        return {}
    columns = program.tables[0].columns
    products = unrolled_products(columns, hardware.reuse_factor[..., : len(columns.n_in)])
    return {"unrolled products": np.max(products, axis=-1) >= UNROLL_LIMIT}


def instances(program: Program, *, device: FpgaDevice, mapping: FpgaMapping, constants: Constants) -> Hardware:
    """Cycles and resources of every row, tables one after the other."""
    parts = [
        _template(t.kind, mapping.stage).hardware(t.columns, device=device, mapping=mapping, constants=constants) for t in program.tables
    ]
    return joined(parts)


def _template(kind: str, stage: str) -> Any:
    """The closed forms of a kind of table; stage `yosys` has circuits of its own."""
    from hwsim.targets.fpga.lower import TEMPLATES
    from hwsim.targets.fpga.stages import matrix, others

    circuits = {"matrix": matrix, "pointwise": others.POINTWISE, "table": others.TABLES, "move": others.MOVES}
    return circuits[kind] if stage == "yosys" else TEMPLATES[kind]


def base_of(program: Program) -> Base:
    """The common columns of all rows."""
    from dataclasses import fields

    return Base(**{f.name: np.concatenate([getattr(t.columns, f.name) for t in program.tables]) for f in fields(Base)})


def fifos_of(base: Base, *, mapping: FpgaMapping, constants: Constants) -> Fifos:
    """The FIFOs between layers: one a channel, as deep as the pixels that it holds in hls4ml's default; beyond 32 words in block RAM."""
    bits = base.out_bits if mapping.result_width is None else base.out_bits * 0 + mapping.result_width
    count = base.stream * base.buffered * base.out_channels
    depth = base.out_positions * base.stream
    bram = np.where(depth > constants.get("bram.fifo_depth", SRL_DEPTH), block_rams(bits, depth), 0.0) * count
    lut = count * (constants.get("fifo.lut.one", 0.0) + constants.get("fifo.lut.bits", 0.0) * bits)
    ff = count * (constants.get("fifo.ff.one", 0.0) + constants.get("fifo.ff.bits", 0.0) * bits)
    return Fifos(count, depth, bits, bram, lut, ff)


def composed(hardware: Hardware, base: Base, *, stream: bool, vitis: bool, open_circuits: bool = False) -> tuple[Array, Array]:
    """Latency and interval of the whole design in cycles, last axis kept with length one.

    Between layers in io_parallel: Vivado HLS hands over in a cycle what took any; Vitis HLS spends one at every layer, and one more at each
    fully unrolled product. Our own circuits hand over without a cycle.
    """
    cycles = hardware.latency_cycles * base.repeat
    interval = np.maximum(np.max(hardware.interval_cycles * base.repeat, axis=-1, keepdims=True), 1.0)
    if not stream:
        products = hardware.multipliers > 0
        steps = np.ones_like(cycles) + (products & (hardware.reuse_factor <= 1) & (cycles > 0)) if vitis else (cycles > 0) | products
        hand_over = np.maximum(np.sum(steps, axis=-1, keepdims=True) - 1, 0) * (not open_circuits)
        return np.sum(cycles, axis=-1, keepdims=True) + hand_over, interval
    flows = base.in_positions > 1
    slowest = np.max(np.where(flows, cycles, 0.0), axis=-1, keepdims=True)
    after = np.sum(np.where(flows, 0.0, cycles), axis=-1, keepdims=True)
    return slowest + after, np.maximum(interval, slowest)


def _used(hardware: Hardware, fifos: Fifos) -> dict[str, Array]:
    """Resources of every row, the FIFO behind it included."""
    return {
        "LUT": hardware.lut + fifos.lut,
        "FF": hardware.ff + fifos.ff,
        "DSP": hardware.dsp,
        "BRAM18": hardware.bram18 + fifos.bram18,
        "URAM": hardware.uram,
    }


def _parts(hardware: Hardware, base: Base, period: Array) -> Parts:
    """What a row waits for: its products one after the other (compute), or the data that flow by (memory), and the pipeline's depth."""
    interval = hardware.interval_cycles * base.repeat * period
    flows = np.where(base.in_positions > 1, base.in_positions, 0.0) * base.repeat * period
    compute = np.where(hardware.multipliers > 0, interval, 0.0)
    return Parts(
        compute=compute,
        memory=np.minimum(flows, hardware.latency_cycles * base.repeat * period) + 0 * compute,
        overhead=np.maximum(hardware.latency_cycles * base.repeat * period - np.maximum(compute, flows), 0.0),
    )


def _energy(used: Mapping[str, Array], interval_s: Array, *, device: FpgaDevice, mapping: FpgaMapping) -> Parts:
    """Energy of one inference in steady state: what runs and what leaks during one interval."""
    power = dynamic_power_w(used, device=device, clock_hz=1.0 / mapping.clock_period_s)
    total = {name: last_flat(np.sum(value, axis=-1, keepdims=True) * interval_s) for name, value in power.items()}
    return Parts(
        compute=total["logic"] + total["DSP"],
        memory=total["BRAM18"],
        overhead=total["clock"],
        static=last_flat(device.static_power_w * interval_s),
        host=last_flat(device.board_power_w * interval_s),
    )


def _row_energy(used: Mapping[str, Array], interval_s: Array, *, device: FpgaDevice, mapping: FpgaMapping) -> Array:
    """Dynamic energy of every row in one interval."""
    power = dynamic_power_w(used, device=device, clock_hz=1.0 / mapping.clock_period_s)
    return sum(power.values(), start=np.float64(0.0)) * interval_s


def _extra(hardware: Hardware, fifos: Fifos, latency: Array, interval: Array, mapping: FpgaMapping) -> dict[str, Array]:
    """Totals that only this family has."""
    return {
        "latency_cycles": last_flat(latency),
        "interval_cycles": last_flat(interval),
        "clock_period_s": last_flat(mapping.clock_period_s),
        "multipliers": np.sum(hardware.multipliers, axis=-1),
        "fifos": np.sum(fifos.count, axis=-1),
    }
