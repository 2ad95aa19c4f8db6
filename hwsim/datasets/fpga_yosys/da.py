"""Verilog of distributed arithmetic, written by da4ml (LGPL-3, called as a library; nothing of it is kept)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.fpga_yosys import dense as rom
from hwsim.datasets.fpga_yosys.design import Design, integers, wrap
from hwsim.datasets.fpga_yosys.tools import ToolMissing

CUTOFF = 4
"""Adders in a row that da4ml puts between two registers."""


def layers(design: Design) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Integer weights and biases of the layers, in order."""
    sizes = [design.n_in, *design.hidden, design.n_out]
    for n, (a, b) in enumerate(pairwise(sizes)):
        random = np.random.default_rng([design.seed, 10 + n])
        weights = integers(random, (a, b), design.weight_bits, design.density)
        yield weights, integers(random, (b,), design.weight_bits, 1.0)


def shift_of(design: Design, n_in: int) -> int:
    """Bits dropped after a hidden layer, so that its outputs use the width of the inputs."""
    return max(design.weight_bits - 2 + (n_in.bit_length() - 1) // 2, 0)


def expected(design: Design, x: np.ndarray) -> np.ndarray:
    """What numpy computes: hidden layers are rectified, shifted right and saturated to the input's width."""
    found = list(layers(design))
    for n, (weights, bias) in enumerate(found):
        x = x @ weights + bias
        if n < len(found) - 1:
            x = np.minimum(np.maximum(x, 0) >> shift_of(design, len(weights)), 2 ** (design.input_bits - 1) - 1)
    return wrap(np.maximum(x, 0) if design.relu else x, design.acc_bits)


def module(design: Design, *, folder: Path) -> tuple[str, dict[str, float]]:
    """The circuit with our ports around it, and da4ml's own cost of it.

    Raises:
        ToolMissing: da4ml is not installed.
    """
    try:
        from da4ml.codegen.rtl.rtl_model import RTLModel
        from da4ml.types import minimal_kif
    except ImportError:
        raise ToolMissing("distributed arithmetic needs the Python package da4ml; get it by pip install da4ml") from None
    logic = _trace(design)
    model = RTLModel(logic, "core", folder / "da4ml", latency_cutoff=CUTOFF)
    model.write()
    pipe: Any = model._pipe
    widths = [(int(q.keep_negative), sum(map(int, q))) for q in map(minimal_kif, logic.out_qint)]
    source = folder / "da4ml" / "src"
    files = [p for p in sorted(source.rglob("*.v")) if "wrapper" not in p.name]
    text = "\n".join(p.read_text(encoding="utf-8") for p in files)
    text = re.sub(r"/\*\s*verilator lint_\w+.*?\*/|//\s*verilator lint_.*", "", text).replace('"memfiles/', f'"{source}/memfiles/')
    stages = len(pipe.solutions)
    facts = {"da_cost": float(logic.cost), "da_register_bits": float(pipe.reg_bits), "da_stages": float(stages)}
    return _ports(design, widths, [sum(map(int, minimal_kif(q))) for q in logic.inp_qint], stages + 1) + text, facts


def _trace(design: Design) -> Any:
    from da4ml.trace import FixedVariableArrayInput, HWConfig, comb_trace

    start = FixedVariableArrayInput((design.n_in,), hwconf=HWConfig(1, -1, -1))
    bits = design.input_bits
    x = start.quantize(1, bits - 1, 0)
    found = list(layers(design))
    for n, (weights, bias) in enumerate(found):
        x = x @ weights.astype(float) + bias.astype(float)
        if n < len(found) - 1:
            shift = shift_of(design, len(weights))
            x = x.relu().quantize(0, bits - 1 + shift, -shift, "SAT", "TRN") * 2.0**-shift
    return comb_trace(start, x.relu() if design.relu else x)


def _ports(design: Design, outputs: list[tuple[int, int]], inputs: list[int], delay: int) -> str:
    """The module `dut`: inputs in full width, outputs extended to the accumulator's."""
    a, b = design.acc_bits, design.input_bits
    lines = [line.replace("output reg", "output") for line in rom.header("dut", x_bits=design.n_in * b, y_bits=design.n_out * a)]
    taken = [f"x[{i * b + w - 1}:{i * b}]" for i, w in enumerate(inputs) if w]
    lines += [
        "  assign in_ready = 1'b1;",
        f"  wire [{sum(w for _, w in outputs) - 1}:0] answer;",
        f"  core core (.clk(clk), .model_inp({{{', '.join(reversed(taken))}}}), .model_out(answer));",
    ]
    at = 0
    for o, (sign, width) in enumerate(outputs):
        value = f"$signed(answer[{at + width - 1}:{at}])" if sign else f"answer[{at + width - 1}:{at}]"
        lines += [
            f"  wire {'signed ' if sign else ''}[{a - 1}:0] y{o} = {value if width else 0};",
            f"  assign y[{o * a + a - 1}:{o * a}] = y{o};",
        ]
        at += width
    lines += rom.chain("v", "in_valid", delay)
    return "\n".join([*lines, f"  assign out_valid = v{delay};", "endmodule"]) + "\n"
