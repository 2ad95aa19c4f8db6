"""Verilator: values against numpy, cycles and interval as measured."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.datasets.fpga_yosys import tools
from hwsim.datasets.fpga_yosys.design import wrap
from hwsim.errors import HwsimError

BENCH = Path(__file__).with_name("bench.cpp")
WORD = 32
_LIBRARY = threading.Lock()


class WrongValues(HwsimError):
    """The circuit does not compute what numpy does."""


@dataclass(frozen=True)
class Measured:
    """What a simulation shows."""

    cycles: int
    """Clocks from taking the first input of a vector (or image) to its last answer."""
    interval: int
    """Clocks from one vector (or image) to the next in a full stream."""
    cpu_s: float


def measure(verilog: str, stimuli: np.ndarray, answers: np.ndarray, *, vectors: int, x_bits: int, y_bits: int, folder: Path) -> Measured:
    """Run a circuit on a full stream of vectors and, for the last of them, with random pauses.

    Args:
        verilog: modules, the top one called `dut`.
        vectors: how many vectors or images the stream holds, 4 or more.
        stimuli: integers `(inputs, lanes)`, one row a handshake; the first half is sent without pauses.
        answers: integers `(answers, outputs)`; the answers to the first row group come first.
        x_bits: width of one lane.
        y_bits: width of one output.
        folder: for files.

    Raises:
        WrongValues: an answer differs from numpy's.
        ToolFailed: Verilator, the compiler or the run failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    x_words = words(stimuli.shape[1] * x_bits)
    program, cpu_s = build(verilog, x_bits=stimuli.shape[1] * x_bits, y_bits=answers.shape[1] * y_bits, folder=folder)
    feed = "\n".join(hex_words(row, x_bits, x_words) for row in stimuli)
    ran = tools.run([str(program), str(len(stimuli) // 2), str(len(answers))], timeout_s=300, folder=folder, feed=feed)
    taken, given, values = _read(ran.output)
    _compare(values, answers, y_bits)
    per_out = len(answers) // vectors
    interval = (given[(vectors // 2) * per_out - 1] - given[per_out - 1]) / (vectors // 2 - 1)
    return Measured(given[per_out - 1] - taken[0], round(interval), cpu_s + ran.cpu_s)


def words(bits: int) -> int:
    """Words of a bus; three or more, so that it is an array in the simulation."""
    return max(3, -(-bits // WORD))


def build(verilog: str, *, x_bits: int, y_bits: int, folder: Path) -> tuple[Path, float]:
    """Compile the simulation of a circuit; returns the program and the CPU seconds."""
    x_words, y_words = words(x_bits), words(y_bits)
    (folder / "dut.v").write_text(verilog, encoding="utf-8")
    (folder / "bench.v").write_text(wrapper(x_bits=x_bits, y_bits=y_bits, x_words=x_words, y_words=y_words), encoding="utf-8")
    flags = ["--cc", "--top-module", "bench", "-Mdir", "sim", "-O3", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
    cpu_s = tools.run([tools.find("verilator"), *flags, "bench.v", "dut.v"], timeout_s=300, folder=folder).cpu_s
    with _LIBRARY:
        runtime, include = library(folder.parent)
    whole = folder / "sim" / "whole.cpp"
    whole.write_text("".join(f'#include "{p}"\n' for p in [*sorted(whole.parent.glob("Vbench*.cpp")), BENCH]), encoding="utf-8")
    defines = [f"-DXWORDS={x_words}", f"-DYWORDS={y_words}"]
    compiler = [tools.find("g++"), "-O0", "-std=c++17", *defines, *include, "-I", str(folder / "sim")]
    program = folder / "run"
    done = tools.run([*compiler, str(whole), *map(str, runtime), "-pthread", "-o", str(program)], timeout_s=300)
    return program, cpu_s + done.cpu_s


def library(folder: Path) -> tuple[list[Path], list[str]]:
    """Verilator's own run-time library, compiled once a folder; returns the objects and the include flags."""
    root = tools.run([tools.find("verilator"), "--getenv", "VERILATOR_ROOT"], timeout_s=60).output.strip()
    include = ["-I", f"{root}/include", "-I", f"{root}/include/vltstd"]
    objects = []
    for name in ("verilated", "verilated_threads"):
        target = folder / f"{name}.o"
        if not target.exists():
            part = target.with_suffix(".part.o")
            flags = ["-c", "-O1", "-std=c++17", "-DVL_THREADED=0", *include]
            tools.run([tools.find("g++"), *flags, f"{root}/include/{name}.cpp", "-o", str(part)], timeout_s=300)
            part.replace(target)
        objects.append(target)
    return objects, include


def wrapper(*, x_bits: int, y_bits: int, x_words: int, y_words: int) -> str:
    """A module whose buses are whole words, so that one program drives all circuits."""
    return f"""module bench (input clk, input rst, input in_valid, output in_ready, input [{WORD * x_words - 1}:0] x,
  output out_valid, output [{WORD * y_words - 1}:0] y);
  wire [{y_bits - 1}:0] answer;
  assign y = {{{WORD * y_words}'d0}} | answer;
  dut dut (.clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .x(x[{x_bits - 1}:0]), .out_valid(out_valid), .y(answer));
endmodule
"""


def hex_words(row: np.ndarray, bits: int, count: int) -> str:
    """A row of integers side by side, as 32-bit words, the highest first."""
    value = sum((int(v) & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(row))
    return " ".join(f"{(value >> (WORD * i)) & 0xFFFFFFFF:08x}" for i in reversed(range(count)))


def _read(output: str) -> tuple[list[int], list[int], list[int]]:
    taken, given, values = [], [], []
    for line in output.splitlines():
        kind, cycle, *rest = line.split()
        if kind == "x":
            taken.append(int(cycle))
        else:
            given.append(int(cycle))
            values.append(int(rest[0], 16))
    return taken, given, values


def _compare(values: list[int], answers: np.ndarray, bits: int) -> None:
    if len(values) < len(answers):
        raise WrongValues(f"{len(values)} answers; expected {len(answers)}")
    mask = (1 << bits) - 1
    for n, (value, answer) in enumerate(zip(values, answers, strict=False)):
        found = wrap(np.array([(value >> (bits * i)) & mask for i in range(len(answer))], dtype=np.int64), bits)
        right = wrap(answer.astype(np.int64), bits)
        if not np.array_equal(found, right):
            at = int(np.flatnonzero(found != right)[0])
            raise WrongValues(f"answer {n}, output {at}: {found[at]}; numpy says {right[at]}")
