"""What learned methods see of the template instances of an FPGA design: sizes, widths, choices, the parts of the closed form; no names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Program, Table
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.learned import METRICS, Shares, row_costs
from hwsim.targets.fpga.mapping import STAGES, FpgaMapping
from hwsim.targets.fpga.templates import matrix, moves, pointwise, tables
from hwsim.targets.fpga.templates.common import block_rams

COUNTS = ("in_channels", "out_channels", "in_positions", "out_positions", "inputs", "outputs", "reuse_requested", "repeat")
"""Columns of every row that are seen as logarithms."""
PLAIN = ("in_bits", "out_bits", "stream", "buffered", "first")
KINDS = ("matrix", "pointwise", "table", "move")
FORMS: Mapping[str, tuple[str, ...]] = {"pointwise": pointwise.FORMS, "table": tables.FORMS, "move": moves.FORMS}
PRODUCT_COUNTS = ("n_in", "n_out", "groups", "instances", "passes", "pixels", "kernel_rows", "multipliers", "reuse")
PRODUCT_PLAIN = ("window", "encoded", "bias_bits", "accum_bits", "weight_bits", "used_bits", "zeros", "heavy", "digits")
MEMORY = ("rom_bits", "rom_used_bits", "rom_used_blocks", "rom_total_bits", "rounds_of_inputs")
LINEAR = (
    "output_bits",
    "product_bits",
    "adder_bits",
    "digit_bits",
    "serial_bits",
    "input_bits",
    "inner_input_bits",
    "narrow_product",
    "demux",
    "outputs_each",
    "heavy_fabric_bits",
    "weight_register",
    "heavy_bits",
    "pipeline_bits",
)
"""What LUT and FF of a product are linear in, as logarithms."""
MAPPING = ("vitis", "period_ns", "budget_ns", "in_fabric", "in_dsp")
PART = ("lut", "ff", "dsp", "bram18", "uram", "dsp_a_width", "process_nm")
NAMES = (
    *COUNTS,
    *PLAIN,
    *KINDS,
    *(f"{kind}.{form}" for kind, forms in FORMS.items() for form in forms),
    *PRODUCT_COUNTS,
    *PRODUCT_PLAIN,
    *(f"strategy.{name}" for name in matrix.STRATEGY_CODES),
    *MEMORY,
    *(f"linear.{name}" for name in LINEAR),
    *(f"stage.{name}" for name in STAGES),
    *MAPPING,
    *(f"part.{name}" for name in PART),
    *(f"closed.{name}" for name in METRICS),
)
"""All features, in order."""


def features(program: Program, found: Shares, *, device: FpgaDevice, mapping: FpgaMapping) -> np.ndarray:
    """Features of every row, shape `(rows, features)` or `(points, rows, features)`, in the order of `NAMES`."""
    parts = [_table(table, device=device, mapping=mapping) for table in program.tables]
    lead = max((p.shape[:-2] for p in parts), key=len)
    seen = np.concatenate([np.broadcast_to(p, (*lead, *p.shape[-2:])) for p in parts], axis=-2)
    closed = np.log1p(row_costs(found))
    lead = np.broadcast_shapes(seen.shape[:-1], closed.shape[:-1])
    both = [np.broadcast_to(x, (*lead, x.shape[-1])) for x in (seen, closed)]
    return np.concatenate(both, axis=-1).astype(np.float32)


def _table(table: Table, *, device: FpgaDevice, mapping: FpgaMapping) -> np.ndarray:
    c, zero = table.columns, np.zeros(len(table.columns.in_bits))
    kinds = [zero + (table.kind == name) for name in KINDS]
    forms = [
        np.asarray(c.form == i, dtype=float) if table.kind == kind else zero for kind, names in FORMS.items() for i in range(len(names))
    ]
    product = _product(c, mapping) if table.kind == "matrix" else [zero] * _PRODUCTS
    base = [*(np.log1p(getattr(c, name)) for name in COUNTS), *(getattr(c, name) for name in PLAIN)]
    found = [*base, *kinds, *forms, *product, *_choices(mapping), *(np.log1p(getattr(device, name)) for name in PART)]
    return np.stack(np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in found)), axis=-1)


_PRODUCTS = len(PRODUCT_COUNTS) + len(PRODUCT_PLAIN) + len(matrix.STRATEGY_CODES) + len(MEMORY) + len(LINEAR)


def _product(c: matrix.MatrixColumns, mapping: FpgaMapping) -> Sequence[Array]:
    p = matrix.product(c, mapping)
    total, used = c.n_in * c.n_out, matrix.used_bits(p)
    named: dict[str, Array] = {name: getattr(p, name) for name in ("multipliers", "reuse", "accum_bits", "weight_bits")}
    named |= {"used_bits": used, "zeros": p.zeros / total, "heavy": p.heavy / total, "digits": p.light_digits / total}
    lut, ff = matrix.features(p, multiplier=mapping.multiplier)
    stored = (c.strategy == 1) & (p.reuse > 1)
    rom, rom_used = (np.where(stored, p.multipliers * bits, 0.0) for bits in (p.weight_bits, used))
    return [
        *(np.log1p(named[name] if name in named else getattr(c, name)) for name in PRODUCT_COUNTS),
        *(named[name] if name in named else getattr(c, name) for name in PRODUCT_PLAIN),
        *(c.strategy == code for code in matrix.STRATEGY_CODES.values()),
        rom,
        rom_used,
        np.log1p(np.where(stored, block_rams(rom_used, p.reuse), 0.0)),
        np.log1p(rom_used * p.reuse),
        np.log1p(p.reuse / c.n_in),
        *(np.log1p(np.maximum({**ff, **lut}[name], 0.0)) for name in LINEAR),
    ]


def _choices(mapping: FpgaMapping) -> Sequence[Array]:
    period = np.asarray(mapping.clock_period_s, dtype=float) * 1e9
    return [
        *(float(mapping.stage == name) for name in STAGES),
        float(mapping.backend.startswith("Vitis")),
        period,
        np.asarray(mapping.budget_s, dtype=float) * 1e9,
        float(mapping.multiplier == "fabric"),
        float(mapping.multiplier == "dsp"),
    ]
