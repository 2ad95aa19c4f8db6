"""Yosys and nextpnr: cells by kind, clock frequency, CPU seconds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim.datasets.fpga_yosys import tools

FAMILIES = ("xcup", "xc7")
LUT_RAM = {
    "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM256X1D": 8,
    "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
}  # fmt: skip
"""LUTs of a slice that each LUT-RAM cell takes (UG574, UG474)."""
REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
INPUTS = range(1, 7)
FLAGS = "-flatten -noiopad -noclkbuf -nosrl"


@dataclass(frozen=True)
class Circuit:
    """A circuit that is synthesised beside others: its top module comes first and has the name `name`."""

    name: str
    verilog: str
    x_bits: int
    y_bits: int


def resources(cells: Mapping[str, int]) -> dict[str, int]:
    """Counts by resource from a netlist's counts by cell.

    `lut` is the plain number of LUT1 ... LUT6 and inverters (an inverter that a later tool does not absorb is a LUT1); two small ones are
    not paired into one six-input LUT. LUTs that serve as memory stand apart in `lutram`; shift registers stay flip-flops (`-nosrl`).
    """
    got = dict(cells)
    return {
        "lut": sum(got.get(f"LUT{n}", 0) for n in INPUTS) + got.get("INV", 0),
        "lutram": sum(count * got.get(cell, 0) for cell, count in LUT_RAM.items()),
        "ff": sum(got.get(cell, 0) for cell in REGISTERS),
        "dsp": sum(count for cell, count in got.items() if cell.startswith("DSP48")),
        "bram18": sum(count * (2 if "36" in cell else 1) for cell, count in got.items() if cell.startswith("RAMB")),
        "carry4": got.get("CARRY4", 0) + 2 * got.get("CARRY8", 0),
        "mux": got.get("MUXF7", 0) + got.get("MUXF8", 0) + got.get("MUXF9", 0),
    }


def xilinx(verilog: Path, *, family: str, dsp: bool = True, timeout_s: float = 900) -> tuple[dict[str, int], float]:
    """Resources of the circuit in a file (module `dut`), and the CPU seconds.

    Raises:
        ToolFailed: Yosys ended with an error or did not end.
    """
    report = verilog.with_name(f"stat_{family}.json")
    flags = FLAGS if dsp else f"{FLAGS} -nodsp"
    script = f"read_verilog -sv {verilog.name}; synth_xilinx -top dut -family {family} {flags}; tee -q -o {report.name} stat -json"
    ran = tools.run([tools.find("yosys"), "-q", "-p", script], timeout_s=timeout_s, folder=verilog.parent)
    return resources(cells_of(report.read_text(encoding="utf-8"))), ran.cpu_s


def together(
    circuits: Sequence[Circuit], *, family: str, folder: Path, dsp: bool = True, timeout_s: float = 900
) -> tuple[list[dict[str, int]], float]:
    """Resources of several circuits synthesised in one run, each kept apart from the others, and the CPU seconds of the run.

    One run reads the part's library once, which is most of the time that a small circuit takes. A circuit alone gets the same counts but
    for a LUT in a few hundred.

    Raises:
        ToolFailed: Yosys ended with an error or did not end.
    """
    flags = FLAGS if dsp else f"{FLAGS} -nodsp"
    (folder / "together.v").write_text(_side_by_side(circuits), encoding="utf-8")
    script = f"read_verilog -sv together.v; synth_xilinx -top all -family {family} {flags}; tee -q -o together.json stat -json"
    ran = tools.run([tools.find("yosys"), "-q", "-p", script], timeout_s=timeout_s, folder=folder)
    found = json.loads((folder / "together.json").read_text(encoding="utf-8"))["modules"]
    return [resources(found[f"\\{c.name}"]["num_cells_by_type"]) for c in circuits], ran.cpu_s


def _side_by_side(circuits: Sequence[Circuit]) -> str:
    """The circuits, and a module that has all their ports as its own."""
    ports, instances = [], []
    for n, c in enumerate(circuits):
        ports.append(f", input iv{n}, output ir{n}, input [{c.x_bits - 1}:0] x{n}, output ov{n}, output [{c.y_bits - 1}:0] y{n}")
        instances.append(
            f"  {c.name} u{n} (.clk(clk), .rst(rst), .in_valid(iv{n}), .in_ready(ir{n}), .x(x{n}), .out_valid(ov{n}), .y(y{n}));\n"
        )
    text = "".join(f"(* keep_hierarchy *)\n{c.verilog}" for c in circuits)
    return f"{text}module all(input clk, input rst{''.join(ports)});\n{''.join(instances)}endmodule\n"


def cells_of(text: str) -> dict[str, int]:
    """Counts by cell kind from what `stat -json` wrote."""
    return {str(kind): int(count) for kind, count in json.loads(text)["design"]["num_cells_by_type"].items()}


def ecp5(verilog: Path, *, timeout_s: float = 900) -> tuple[dict[str, float], float]:
    """Clock frequency after place and route on an ECP5-85, and the CPU seconds.

    Raises:
        ToolFailed: Yosys or nextpnr ended with an error or did not end.
    """
    netlist = verilog.with_name("ecp5.json")
    script = f"read_verilog -sv {verilog.name}; synth_ecp5 -top dut -json {netlist.name}"
    first = tools.run([tools.find("yosys"), "-q", "-p", script], timeout_s=timeout_s, folder=verilog.parent)
    place = ["--85k", "--package", "CABGA756", "--out-of-context", "--timing-allow-fail", "--freq", "200", "--seed", "1"]
    ran = tools.run([tools.find("nextpnr-ecp5"), *place, "--json", netlist.name], timeout_s=timeout_s, folder=verilog.parent)
    found = re.findall(r"Max frequency for clock\s+'[^']*':\s+([\d.]+) MHz", ran.output)
    if not found:
        raise tools.ToolFailed("nextpnr-ecp5: no line 'Max frequency for clock' in its report")
    return {"fmax_mhz": float(found[-1])}, first.cpu_s + ran.cpu_s
