"""Layers without weights as the circuits of stage `yosys`: rectifiers, sums, maxima, tables.

A softmax is a table of exponentials, their sum, a table of the inverse and a product an element; normalisations and products of two tensors
are an adder and a DSP block an element; a pooling window is a tree. What only moves data is wires here.
"""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.fpga.stages import yosys
from hwsim.targets.fpga.stages.yosys import TEMPLATES, CircuitColumns
from hwsim.targets.fpga.templates import moves, pointwise, tables
from hwsim.targets.fpga.templates.common import Base, Constants, Hardware

INDEX_BITS = 10
"""Widest index of a table, as of hls4ml's tables of 1,024 words."""


def _circuits(template: Array, *, n_in: Array, n_out: Array, input_bits: Array, output_bits: Array) -> CircuitColumns:
    """Circuits without weights, all columns of one shape."""
    zero = np.zeros(np.broadcast_shapes(*(np.shape(v) for v in (template, n_in, n_out, input_bits, output_bits))))
    plain: dict[str, Any] = {f.name: zero for f in fields(CircuitColumns)}
    given = {"template": template, "n_in": n_in, "n_out": n_out, "input_bits": input_bits, "weight_bits": output_bits}
    ones = dict.fromkeys(("reuse", "block", "kernel", "rows", "height", "width"), zero + 1.0)
    return CircuitColumns(**{**plain, **ones, "acc_bits": zero + output_bits, **{k: zero + v for k, v in given.items()}})


def _code(name: str) -> float:
    return float(TEMPLATES.index(name))


def _hardware(c: Base, parts: list[tuple[CircuitColumns, Array]], *, dsp: Array, constants: Constants) -> Hardware:
    """Rows that are several circuits, one after the other, each counted where its mask is 1; streams repeat them for every pixel."""
    zero = np.zeros_like(c.outputs)
    total = {"cycles": zero, "lut": zero, "ff": zero, "bram": zero}
    for rows, mask in parts:
        found = {
            "cycles": yosys.cycles(rows),
            "lut": yosys.counted(yosys.lut_features(rows), constants, prefix="lut"),
            "ff": yosys.counted(yosys.ff_features(rows), constants, prefix="ff"),
            "bram": yosys.bram18(rows),
        }
        total = {name: value + mask * found[name] for name, value in total.items()}
    pixels = np.where(c.in_positions > 1, c.in_positions, 1.0)
    return Hardware(
        latency_cycles=total["cycles"] + pixels - 1,
        latency_min_cycles=total["cycles"] + pixels - 1,
        interval_cycles=pixels + zero,
        multipliers=dsp + zero,
        reuse_factor=zero + 1,
        dsp=dsp + zero,
        lut=total["lut"],
        ff=total["ff"],
        bram18=total["bram"],
        uram=zero,
    )


def _pointwise(c: pointwise.PointwiseColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    logic = c.form == pointwise.FORMS.index("logic")
    template = np.where(logic, _code("relu"), _code("add"))
    n_in, n_out = np.where(logic, c.out_channels, np.maximum(c.operands, 2)), np.where(logic, 1.0, c.out_channels)
    rows = _circuits(template, n_in=n_in, n_out=n_out, input_bits=c.in_bits, output_bits=c.out_bits)
    multiplies = np.isin(c.form, [pointwise.FORMS.index(n) for n in ("slope", "scale", "multiply")])
    dsp = multiplies * c.out_channels * (mapping.multiplier != "fabric")
    return _hardware(c, [(rows, np.ones_like(c.form))], dsp=dsp, constants=constants)


def _tables(c: tables.TableColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    softmax, argmax = c.form == tables.FORMS.index("softmax"), c.form == tables.FORMS.index("argmax")
    index = np.minimum(c.in_bits, INDEX_BITS)
    lookup = {"input_bits": index, "output_bits": c.out_bits}
    wide = {"input_bits": c.in_bits, "output_bits": c.out_bits}
    parts = [
        (_circuits(np.float64(_code("table")), n_in=c.out_channels, n_out=np.float64(1), **lookup), 1.0 - argmax),
        (_circuits(np.float64(_code("add")), n_in=c.out_channels, n_out=np.float64(1), **wide), 1.0 * softmax),
        (_circuits(np.float64(_code("table")), n_in=np.float64(1), n_out=np.float64(1), **lookup), 1.0 * softmax),
        (_circuits(np.float64(_code("maxpool")), n_in=c.out_channels, n_out=np.float64(1), **wide), 1.0 * argmax),
    ]
    return _hardware(c, parts, dsp=softmax * c.out_channels * (mapping.multiplier != "fabric"), constants=constants)


def _moves(c: moves.MoveColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    pools = c.form <= moves.FORMS.index("average_pool")
    template = np.where(c.form == moves.FORMS.index("max_pool"), _code("maxpool"), _code("add"))
    rows = _circuits(template, n_in=np.maximum(c.window, 2), n_out=c.out_channels, input_bits=c.in_bits, output_bits=c.out_bits)
    return _hardware(c, [(rows, 1.0 * pools)], dsp=np.zeros_like(c.form), constants=constants)


POINTWISE, TABLES, MOVES = (SimpleNamespace(hardware=f) for f in (_pointwise, _tables, _moves))
"""The closed forms of the tables `pointwise`, `table` and `move` at stage `yosys`."""
