"""Verilog of distributed arithmetic, written by da4ml (LGPL-3, called as a library; nothing of it is kept)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.fpga_yosys import dense as rom
from hwsim.datasets.fpga_yosys.design import Design, integers, wrap
from hwsim.datasets.fpga_yosys.tools import need_package

CUTOFF = 4
"""Adders in a row that da4ml puts between two registers."""
LINT = re.compile(r"/\*\s*verilator lint_\w+.*?\*/|//\s*verilator lint_.*")


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


@dataclass(frozen=True)
class Layer:
    """One layer as da4ml built it."""

    text: str
    inputs: tuple[int, ...]
    """Bits taken of each input."""
    outputs: tuple[tuple[bool, int, int], ...]
    """Sign, bits and dropped low zeros of each output."""
    clocks: int
    cost: float
    register_bits: float


def module(design: Design, *, folder: Path) -> tuple[str, dict[str, float]]:
    """The circuit with our ports around it, a pipeline a layer, and da4ml's own cost of it.

    Raises:
        ToolMissing: da4ml is not installed.
    """
    found = list(layers(design))
    made = [_layer(design, n, w, b, folder / f"layer{n}", last=n == len(found) - 1) for n, (w, b) in enumerate(found)]
    delay = sum(layer.clocks for layer in made)
    lines = [
        line.replace("output reg", "output") for line in rom.header("dut", x_bits=design.n_in * design.input_bits, y_bits=_width(design))
    ]
    lines += ["  assign in_ready = 1'b1;", f"  wire [{design.n_in * design.input_bits - 1}:0] l0 = x;"]
    for n, layer in enumerate(made):
        lines += _wired(n, layer, design.input_bits, design.acc_bits if n == len(made) - 1 else design.input_bits)
    lines += [f"  assign y = l{len(made)};", *rom.chain("v", "in_valid", delay), f"  assign out_valid = v{delay};", "endmodule"]
    facts = {
        "da_cost": sum(layer.cost for layer in made),
        "da_register_bits": sum(layer.register_bits for layer in made),
        "da_stages": float(delay - len(made)),
    }
    return "\n".join([*lines, *(layer.text for layer in made), _shared(folder)]), facts


def _width(design: Design) -> int:
    return design.n_out * design.acc_bits


def _layer(design: Design, n: int, weights: np.ndarray, bias: np.ndarray, folder: Path, *, last: bool) -> Layer:
    need_package("da4ml")
    from da4ml.codegen.rtl.rtl_model import RTLModel
    from da4ml.types import minimal_kif

    logic = _trace(design, weights, bias, signed=n == 0, last=last)
    model = RTLModel(logic, f"core{n}", folder, latency_cutoff=CUTOFF)
    model.write()
    pipe: Any = model._pipe
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted((folder / "src").glob(f"core{n}*.v")) if "wrapper" not in p.name)
    inputs = tuple(sum(map(int, minimal_kif(q))) for q in logic.inp_qint)
    outputs = tuple((bool(q.keep_negative), sum(map(int, q)), -int(q.fractional)) for q in map(minimal_kif, logic.out_qint))
    return Layer(LINT.sub("", text), inputs, outputs, len(pipe.solutions) + 1, float(logic.cost), float(pipe.reg_bits))


def _shared(folder: Path) -> str:
    """da4ml's own modules, from the first layer."""
    static = sorted((folder / "layer0" / "src" / "static").glob("*.v"))
    return "\n".join(LINT.sub("", p.read_text(encoding="utf-8")) for p in static if p.name != "lookup_table.v")


def _trace(design: Design, weights: np.ndarray, bias: np.ndarray, *, signed: bool, last: bool) -> Any:
    from da4ml.trace import FixedVariableArrayInput, HWConfig, comb_trace

    start = FixedVariableArrayInput((len(weights),), hwconf=HWConfig(1, -1, -1), solver_options={"hard_dc": 0})
    bits = design.input_bits
    x = start.quantize(int(signed), bits - 1, 0) @ weights.astype(float) + bias.astype(float)
    if last:
        return comb_trace(start, x.relu() if design.relu else x)
    shift = shift_of(design, len(weights))
    return comb_trace(start, x.relu().quantize(0, bits - 1 + shift, -shift, "SAT", "TRN") * 2.0**-shift)


def _wired(n: int, layer: Layer, in_bits: int, out_bits: int) -> list[str]:
    """An instance between the buses l<n> and l<n + 1>; outputs extended to full width."""
    taken = [f"l{n}[{i * in_bits + w - 1}:{i * in_bits}]" for i, w in enumerate(layer.inputs) if w]
    total = max(sum(w for _, w, _ in layer.outputs), 1)
    lines = [
        f"  wire [{total - 1}:0] r{n};",
        f"  core{n} core{n} (.clk(clk), .model_inp({{{', '.join(reversed(taken))}}}), .model_out(r{n}));",
    ]
    at = 0
    for o, (sign, width, zeros) in enumerate(layer.outputs):
        value = f"r{n}[{at + width - 1}:{at}]" if width else "1'b0"
        lines.append(f"  wire signed [{out_bits - 1}:0] r{n}_{o} = {f'$signed({value})' if sign else value} <<< {max(zeros, 0)};")
        at += width
    names = ", ".join(f"r{n}_{o}" for o in reversed(range(len(layer.outputs))))
    return [*lines, f"  wire [{len(layer.outputs) * out_bits - 1}:0] l{n + 1} = {{{names}}};"]
