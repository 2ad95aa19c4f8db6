"""What can be said before any tool is started: whether it will synthesise, how long that takes, and what puts timing at risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Cost, Program, Verdict
from hwsim.targets.fpga.constants import stage_constants
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.templates.matrix import UNROLL_LIMIT, MatrixColumns

HLS_START_S, HLS_PRODUCT_S = 23.0, 9.2e-4
"""Seconds of a Vitis HLS 2021 run: start, and a constant product to the power 1.5 (latency strategy; argykokk's run times)."""
SUCCESS_MOST, SUCCESS_HALF, SUCCESS_STEEP = 0.975, 3107.0, 30.8
"""Greatest likelihood on 2,687 attempts at one dense layer (docs/accuracy/surrogate-fpga-feasibility.md)."""
CROWDED_FRAC = 0.7
"""Share of the LUTs from which routing tends to fail timing."""
PIN_OVERHEAD = 8
"""Clock, reset and handshake pins of the top function."""


def unrolled_products(columns: MatrixColumns, reuse: Array) -> Array:
    """Products that the HLS tool unrolls at a time, of each row: all of them under the latency strategy, those of one cycle otherwise."""
    total = columns.n_in * columns.n_out
    return np.where(columns.strategy == 1, np.ceil(total / reuse), np.where(columns.strategy == 3, 0.0, total))


def synthesises(columns: MatrixColumns, reuse: Array) -> Array:
    """Whether the HLS tool gets through each row: fewer products at a time than its unroll limit of 4,096."""
    return unrolled_products(columns, reuse) < UNROLL_LIMIT


def success_probability(products: Array, *, most: float = SUCCESS_MOST, half: float = SUCCESS_HALF, steep: float = SUCCESS_STEEP) -> Array:
    """Probability that the HLS tool gets through a layer that unrolls so many products at a time.

    Args:
        products: see `unrolled_products`.
        most: probability far below the limit, where runs still fail for reasons of their own.
        half: products at which it is half of that.
        steep: power with which it falls.
    """
    return most / (1.0 + (products / half) ** steep)


def hls_time_s(columns: MatrixColumns) -> float:
    """Expected run time of C synthesis."""
    return HLS_START_S + HLS_PRODUCT_S * float(np.sum(columns.n_in * columns.n_out)) ** 1.5


def verdict(program: Program, cost: Cost, *, device: FpgaDevice, mapping: FpgaMapping) -> Verdict:
    """Blockers and warnings of one design."""
    found = next((t.columns for t in program.tables if t.kind == "matrix"), None)
    blockers: list[str] = []
    warnings: list[str] = []
    if found is not None and mapping.stage != "yosys":
        blockers += _unroll_blockers(program, found, cost)
        if not blockers and (seconds := hls_time_s(found)) > 600 and mapping.strategy == "latency":
            warnings.append(
                f"C synthesis is expected to take {seconds / 60:.0f} minutes (measured on Vitis HLS 2021, within a factor of two)"
            )
    warnings += _timing(program, cost, device, mapping) + _pins(program, device, mapping)
    return Verdict(tuple(blockers), tuple(warnings))


def _unroll_blockers(program: Program, columns: MatrixColumns, cost: Cost) -> list[str]:
    names = [k.name for k in sorted(program.kernels, key=lambda k: k.row)][: len(columns.n_in)]
    reuse = np.broadcast_to(cost.row_extra["reuse_factor"], (len(program.kernels),))[: len(names)]
    products = unrolled_products(columns, reuse)
    over = np.flatnonzero(products >= UNROLL_LIMIT)
    if not len(over):
        return []
    worst = over[np.argmax(products[over])]
    who = names[over[0]] if len(over) == 1 else f"{', '.join(names[i] for i in over[:3])}{f' and {len(over) - 3} more' * (len(over) > 3)}"
    most = f"{products[worst]:,.0f} products{f' ({names[worst]})' * (len(over) > 1)}"
    remedy = "a higher ReuseFactor" if np.all(columns.strategy[over] == 1) else "Strategy: Resource with a ReuseFactor, or smaller layers"
    unrolls = "unrolls" if len(over) == 1 else "unroll up to"
    return [f"will not synthesise, because {who} {unrolls} {most} (the tool's limit is {UNROLL_LIMIT:,}); use {remedy}"]


def routed_path_s(program: Program) -> float | None:
    """Expected critical path after routing of a latency-strategy design on UltraScale+; None for others, which no routed design covers.

    Linear in the width of the numbers, fitted to routed jet taggers (docs/accuracy/fpga-jet-routed.md).
    """
    products = next((t.columns for t in program.tables if t.kind == "matrix"), None)
    constants = stage_constants("routed")
    if products is None or not np.all(products.strategy == 0) or np.any(products.stream) or "path.base_ns" not in constants:
        return None
    return 1e-9 * (constants["path.base_ns"] + constants["path.bit_ns"] * float(np.max(products.in_bits)))


def _timing(program: Program, cost: Cost, device: FpgaDevice, mapping: FpgaMapping) -> list[str]:
    found, frequency = [], 1.0 / float(mapping.clock_period_s)
    path = routed_path_s(program)
    if path is not None and path > float(mapping.clock_period_s):
        reach = f"{path * 1e9:.1f} ns, {1e-6 / path:.0f} MHz"
        asked = f"asked is {frequency / 1e6:.0f} MHz"
        found.append(f"timing is at risk: routed designs of this kind and width reach about {reach}, {asked}")
    if frequency > device.clock_limit_hz:
        found.append(
            f"a clock of {frequency / 1e6:.0f} MHz is above the {float(device.clock_limit_hz) / 1e6:.0f} MHz "
            f"of the clock tree of {device.name}"
        )
    share = max(float(r.used) / float(r.available) for n, r in cost.resources.items() if n in ("LUT", "FF") and float(r.available) > 0)
    if CROWDED_FRAC < share <= 1:
        found.append(f"timing is at risk: {share:.0%} of the logic is used, and beyond {CROWDED_FRAC:.0%} routing tends to miss its clock")
    regions = float(device.slr_count)
    crossing = (
        []
        if not all(float(r.used) <= float(r.available) for r in cost.resources.values())
        else [
            n for n, r in cost.resources.items() if regions > 1 and float(r.available) > 0 and float(r.used) > float(r.available) / regions
        ]
    )
    if crossing:
        found.append(
            f"{', '.join(crossing)} exceed one of the {regions:.0f} dies of {device.name}: the design crosses dies, which costs clock speed"
        )
    return found


def _pins(program: Program, device: FpgaDevice, mapping: FpgaMapping) -> list[str]:
    """Pins that the top function has as an I/O of the chip; inside a larger design they are wires."""
    tensors: Mapping[str, Any] = program.graph.tensors
    columns = [t.columns for t in program.tables]
    bits = max(float(np.max(c.in_bits)) for c in columns)
    count = PIN_OVERHEAD + bits * sum(tensors[n].size for n in (*program.graph.inputs, *program.graph.outputs))
    if mapping.io_type == "io_parallel" and 0 < float(device.io_pins) < count:
        return [
            f"as the top of a chip its {count:,.0f} I/O bits exceed the {float(device.io_pins):,.0f} pins of {device.name}; "
            "inside a design they are wires"
        ]
    return []
