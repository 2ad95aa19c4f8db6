"""Verilog of lanes without weights: tables, saturating relu, sums and maxima."""

from __future__ import annotations

from hwsim.datasets.fpga_yosys import dense
from hwsim.datasets.fpga_yosys.design import Design, lanes, table
from hwsim.datasets.fpga_yosys.netlist import levels, part


def output_bits(design: Design) -> int:
    """Width of one number of the answer."""
    match design.template:
        case "table":
            return design.weight_bits
        case "add":
            return design.input_bits + levels(design.n_in)
        case "maxpool":
            return design.input_bits
    return design.acc_bits


def module(design: Design) -> str:
    """The circuit: inputs registered, a stage or more of logic, outputs registered; a vector every clock."""
    d, bits, count = design, output_bits(design), lanes(design)
    lines = dense.header("dut", x_bits=count * d.input_bits, y_bits=d.n_out * bits)
    lines.append("  assign in_ready = 1'b1;")
    for i in range(count):
        lines += [f"  reg signed [{d.input_bits - 1}:0] x{i};", f"  always @(posedge clk) x{i} <= {part('x', i, d.input_bits)};"]
    for o in range(d.n_out):
        lines += {"table": _table, "relu": _relu}.get(d.template, _reduce)(d, o, bits)
    stages = stage_count(d)
    lines += dense.chain("v", "in_valid", stages - 1)
    lines.append(f"  always @(posedge clk) out_valid <= !rst && v{stages - 1};")
    return "\n".join([*lines, "endmodule"]) + "\n"


def stage_count(design: Design) -> int:
    """Registers between input and output, both counted."""
    return 1 + levels(design.n_in) if design.template in ("add", "maxpool") else 2


def _table(d: Design, o: int, bits: int) -> list[str]:
    entries = " ".join(f"t{o}[{i}] = {bits}'d{v};" for i, v in enumerate(table(d)))
    return [
        f'  (* rom_style = "{d.rom_style}" *) reg [{bits - 1}:0] t{o} [0:{2**d.input_bits - 1}];',
        f"  initial begin {entries} end",
        f"  always @(posedge clk) {part('y', o, bits)} <= t{o}[$unsigned(x{o})];",
    ]


def _relu(d: Design, o: int, bits: int) -> list[str]:
    top = f"{bits}'d{2 ** (bits - 1) - 1}"
    over = f"|x{o}[{d.input_bits - 2}:{bits - 1}]" if d.input_bits > bits else "1'b0"
    value = f"x{o}[{d.input_bits - 1}] ? {bits}'d0 : ({over}) ? {top} : x{o}"
    return [f"  always @(posedge clk) {part('y', o, bits)} <= {value};"]


def _reduce(d: Design, o: int, bits: int) -> list[str]:
    """A registered tree of sums or maxima; the root is the output."""
    lines: list[str] = []
    found = [f"x{o * d.n_in + i}" for i in range(d.n_in)]
    level = 0
    while len(found) > 1:
        level += 1
        width = d.input_bits + (level if d.template == "add" else 0)
        pairs = [_pair(d, found[i], found[i + 1]) for i in range(0, len(found) - 1, 2)] + ([found[-1]] if len(found) % 2 else [])
        found = [f"m{o}_{level}_{i}" for i in range(len(pairs))]
        for target, text in zip(found, pairs, strict=True):
            if len(found) == 1:
                lines.append(f"  always @(posedge clk) {part('y', o, bits)} <= {text};")
            else:
                lines += [f"  reg signed [{width - 1}:0] {target};", f"  always @(posedge clk) {target} <= {text};"]
    return lines


def _pair(d: Design, a: str, b: str) -> str:
    return f"{a} + {b}" if d.template == "add" else f"({a} > {b} ? {a} : {b})"
