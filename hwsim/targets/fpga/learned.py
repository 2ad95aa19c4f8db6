"""How rows make an FPGA design, for learned methods: what every row adds by metric, and the cost of rows that were learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Cost, Program
from hwsim.targets.fpga.constants import stage_constants
from hwsim.targets.fpga.cost import Fifos, Totals, base_of, composed, fifos_of, instances, priced
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware

METRICS = ("lut", "ff", "dsp", "bram18", "cycles", "interval_cycles")
"""What is learned of a design, counts and clock cycles."""
READOUT = ("sum", "sum", "sum", "sum", "sum", "max")
"""How rows make a design."""
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18"}
"""Metrics by the names of reports."""


@dataclass(frozen=True)
class Shares:
    """What every row of a design adds to it, by metric, and what the design takes beside its rows."""

    hardware: Hardware
    fifos: Fifos
    rows: Mapping[str, Array]
    """Shape `(rows,)` or `(points, rows)` each; a design is their sum, its interval their largest."""
    hand_over_cycles: Array
    """Between layers, last axis of length one."""


def shares(program: Program, *, device: FpgaDevice, mapping: FpgaMapping, constants: Constants | None = None) -> Shares:
    """Rows such that a design is their sum, its interval their largest, and both exactly those of the closed form.

    When streaming only the slowest of the layers that work at the same time adds cycles. Features, costs and what was learned of one design
    are asked for one after the other: the last answer is kept.
    """
    asked = (program, device, mapping, stage_constants(mapping.stage) if constants is None else constants)
    known = next((found for last, found in _LAST if all(a is b for a, b in zip(last, asked, strict=True))), None)
    if known is None:
        known = _shares(program, device=device, mapping=mapping, constants=asked[3])
        _LAST[:] = [(asked, known)]
    return known


_LAST: list[tuple[tuple[Any, ...], Shares]] = []


def _shares(program: Program, *, device: FpgaDevice, mapping: FpgaMapping, constants: Constants) -> Shares:
    hardware = instances(program, device=device, mapping=mapping, constants=constants)
    base = base_of(program)
    fifos = fifos_of(base, mapping=mapping, constants=constants)
    cycles, interval = hardware.latency_cycles * base.repeat, hardware.interval_cycles * base.repeat
    if mapping.io_type == "io_stream":
        flowing = np.where(base.in_positions > 1, cycles, 0.0)
        first = np.arange(flowing.shape[-1]) == np.argmax(flowing, axis=-1)[..., None]
        interval = np.maximum(interval, flowing)
        cycles = np.where((base.in_positions > 1) & ~first, 0.0, cycles)
    rows = {
        "lut": hardware.lut + fifos.lut,
        "ff": hardware.ff + fifos.ff,
        "dsp": hardware.dsp,
        "bram18": hardware.bram18 + fifos.bram18,
        "cycles": cycles,
        "interval_cycles": interval,
    }
    return Shares(hardware, fifos, rows, _hand_over(hardware, base, cycles, mapping))


def _hand_over(hardware: Hardware, base: Base, cycles: Array, mapping: FpgaMapping) -> Array:
    total, _ = composed(
        hardware,
        base,
        stream=mapping.io_type == "io_stream",
        vitis=mapping.backend.startswith("Vitis"),
        open_circuits=mapping.stage == "yosys",
    )
    return total - np.sum(cycles, axis=-1, keepdims=True)


def row_costs(found: Shares) -> np.ndarray:
    """Costs of all rows, shape `(rows, metrics)` or `(points, rows, metrics)`, in the order of `METRICS`."""
    return np.stack(np.broadcast_arrays(*(np.asarray(found.rows[name], dtype=float) for name in METRICS)), axis=-1)


def beside_rows(found: Shares) -> np.ndarray:
    """What a design takes beside its rows, shape `(metrics,)` or `(points, metrics)`: cycles between layers, and the one cycle that an
    interval is at least."""
    slowest = np.max(found.rows["interval_cycles"], axis=-1)
    known = {"cycles": np.asarray(found.hand_over_cycles)[..., 0], "interval_cycles": np.maximum(1.0 - slowest, 0.0)}
    return np.stack(np.broadcast_arrays(*(np.asarray(known.get(name, 0.0), dtype=float) for name in METRICS)), axis=-1)


def cost_of_rows(program: Program, found: Shares, rows: Mapping[str, Array], *, device: FpgaDevice, mapping: FpgaMapping) -> Cost:
    """Cost of a design whose rows come to these values.

    Args:
        rows: by metric, shape `(rows,)` or `(points, rows)` each; metrics that are not given keep their closed form.
    """
    rows = {**found.rows, **rows}
    totals = Totals(
        {**{name: rows[metric] for metric, name in RESOURCES.items()}, "URAM": found.hardware.uram},
        rows["cycles"],
        rows["interval_cycles"],
        np.sum(rows["cycles"], axis=-1, keepdims=True) + found.hand_over_cycles,
        np.maximum(np.max(rows["interval_cycles"], axis=-1, keepdims=True), 1.0),
    )
    return priced(program, found.hardware, found.fifos, totals, device=device, mapping=mapping)
