"""The build: one row a design and part family, appended as it is made; a build that was killed goes on where it stopped."""

from __future__ import annotations

import csv
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hwsim.datasets.fpga_yosys import conv, da, dense, elementwise, simulate, synthesise, tools
from hwsim.datasets.fpga_yosys.design import Design, expected, lanes, stimuli
from hwsim.datasets.fpga_yosys.statistics import statistics
from hwsim.errors import HwsimError, InputError

STREAM = 16
"""Vectors of a simulation."""
IMAGES = 4
LABELS = ("cycles", "interval", "lut", "lutram", "ff", "dsp", "bram18", "carry4", "mux", "fmax_mhz")
FAILURES = ("name", "family", "template", "stage", "reason")


@dataclass(frozen=True)
class Job:
    """A design on a part family."""

    design: Design
    family: str
    timing: bool = False
    """Whether nextpnr gives a frequency too."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells rows apart."""
        return self.design.name, self.family


class Failed(HwsimError):
    """A stage of a job failed."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage, self.reason = stage, reason


def circuit(design: Design, *, folder: Path) -> tuple[str, dict[str, float]]:
    """Verilog of a design, and facts that only its generator knows."""
    t = design.template
    if t.endswith("_da"):
        return da.module(design, folder=folder)
    if t.startswith("conv"):
        return conv.module(design), {}
    return (dense if t.startswith("dense") else elementwise).module(design), {}


def label(job: Job, *, folder: Path) -> dict[str, Any]:
    """The row of a job: parameters, statistics, labels, costs, versions.

    Raises:
        Failed: a stage failed; says which and why.
        ToolMissing: a program is absent.
    """
    design = job.design
    folder.mkdir(parents=True, exist_ok=True)
    verilog, facts = circuit(design, folder=folder)
    text = folder / "dut.v"
    text.write_text(verilog, encoding="utf-8")
    found = _attempt("simulate", lambda: check(design, verilog, folder=folder))
    counts, synth_s = _attempt("synthesise", lambda: synthesise.xilinx(text, family=job.family, dsp=design.multiplier == "dsp"))
    timing, timing_s = _attempt("timing", lambda: synthesise.ecp5(text)) if job.timing else ({}, 0.0)
    versions = [tools.version(t) for t in ("yosys", "verilator", *(["nextpnr-ecp5"] if job.timing else []))]
    return {
        **design.record(),
        "family": job.family,
        "stage": "yosys",
        **statistics(design),
        **facts,
        "cycles": found.cycles,
        "interval": found.interval,
        **counts,
        **timing,
        "check_cpu_s": round(found.cpu_s, 2),
        "synth_cpu_s": round(synth_s, 2),
        "timing_cpu_s": round(timing_s, 2),
        "versions": "; ".join(versions),
    }


def _attempt(stage: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except tools.ToolMissing:
        raise
    except HwsimError as error:
        raise Failed(stage, str(error)) from error


def check(design: Design, verilog: str, *, folder: Path) -> simulate.Measured:
    """Values against numpy, cycles and interval.

    Raises:
        WrongValues: the circuit is wrong.
    """
    t = design.template
    vectors = IMAGES if t.startswith("conv") else STREAM
    x = stimuli(design, vectors)
    answers = da.expected(design, x) if t.endswith("_da") else expected(design, x)
    bits = design.acc_bits if t.startswith(("dense", "conv", "mlp")) else elementwise.output_bits(design)
    return simulate.measure(
        verilog, x.reshape(-1, lanes(design)), answers, vectors=vectors, x_bits=design.input_bits, y_bits=bits, folder=folder
    )


COLUMNS = (
    "name", "template", "family", "stage", "n_in", "n_out", "input_bits", "weight_bits", "reuse", "acc_bits", "relu", "density",
    "rom_style", "multiplier", "kernel", "channels", "height", "width", "hidden", "seed",
    "zeros_frac", "single_frac", "digits_mean", "digits_max", "digits_out_max", "sum_bits", "terms_max", "multipliers",
    "odd_constants", "product_adders", "sum_adders",
    "da_cost", "da_register_bits", "da_stages",
    *LABELS, "check_cpu_s", "synth_cpu_s", "timing_cpu_s", "versions",
)  # fmt: skip


class Table:
    """A CSV file that grows by whole lines; half a line, from a build that was killed, is dropped.

    Raises:
        InputError: the file has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, tuple(columns)
        self._lock = threading.Lock()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(self.columns) + "\n", encoding="utf-8")
        text = path.read_text(encoding="utf-8")
        if text.partition("\n")[0] != ",".join(self.columns):
            raise InputError(f"{path} has columns of another kind or version; move it away, or choose another --out")
        if not text.endswith("\n"):
            path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")

    def rows(self) -> list[dict[str, str]]:
        """What stands in it."""
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line, at once on disk."""
        with self._lock, self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([row.get(c, "") for c in self.columns])


@dataclass
class Progress:
    """Lines on the state of a build."""

    total: int
    stream: TextIO
    done: int = 0
    failed: int = 0
    start_s: float = 0.0
    what: str = "designs"

    def tell(self, name: str) -> None:
        """Say that one more is done."""
        self.done += 1
        elapsed = time.monotonic() - self.start_s
        left_s = elapsed / self.done * (self.total - self.done)
        rate = 60 * self.done / elapsed if elapsed else 0.0
        print(
            f"{self.done}/{self.total}  {rate:.1f} {self.what}/min  {left_s / 60:.0f} min left  {self.failed} failed  {name}",
            file=self.stream,
            flush=True,
        )


def build(
    jobs: Iterable[Job], *, out: Path, workers: int = 1, keep: bool = False, stream: TextIO = sys.stderr,
    worker: Callable[..., dict[str, Any]] = label,
) -> tuple[int, int]:  # fmt: skip
    """Label all jobs that `out` does not hold yet; returns how many were made and how many failed.

    Args:
        jobs: designs and part families.
        out: folder of `designs.csv`, `failures.csv` and, for the time of a job, its files.
        workers: jobs at once.
        keep: leave the files of each job.
        stream: for progress.
        worker: what labels one job.

    Raises:
        ToolMissing: a program is absent; nothing is recorded for the job then.
    """
    table, failures = Table(out / "designs.csv", COLUMNS), Table(out / "failures.csv", FAILURES)
    known = {(r["name"], r["family"]) for r in [*table.rows(), *failures.rows()]}
    waiting = [job for job in jobs if job.key not in known]
    progress = Progress(len(waiting), stream, start_s=time.monotonic())
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(worker, job, folder=out / "work" / "-".join(job.key)): job for job in waiting}
        try:
            for future in as_completed(running):
                _record(running[future], future.result, table, failures, progress)
                if not keep:
                    shutil.rmtree(out / "work" / "-".join(running[future].key), ignore_errors=True)
        finally:
            for future in running:
                future.cancel()
    return progress.done - progress.failed, progress.failed


def _record(job: Job, result: Callable[[], dict[str, Any]], table: Table, failures: Table, progress: Progress) -> None:
    try:
        table.append(result())
    except Failed as error:
        progress.failed += 1
        about = {"name": job.design.name, "family": job.family, "template": job.design.template}
        failures.append({**about, "stage": error.stage, "reason": error.reason})
    progress.tell(job.design.name)
