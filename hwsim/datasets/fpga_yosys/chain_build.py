"""Labels of chains of dense layers: values and cycles by Verilator one by one, resources by Yosys several at a time."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from hwsim.datasets.fpga_yosys import chain, simulate, synthesise, tools
from hwsim.datasets.fpga_yosys.build import Failed, Progress, Table
from hwsim.datasets.fpga_yosys.chain import Chain
from hwsim.datasets.fpga_yosys.design import stimuli
from hwsim.errors import HwsimError

VECTORS = 16
TOGETHER = 12
"""Chains of a run of Yosys."""
LAYERS_TOGETHER = 48
"""Layers of a run at most, so that a run stays short."""
LABELS = ("cycles", "interval", "lut", "lutram", "ff", "dsp", "bram18", "carry4", "mux")
COLUMNS = (
    "name", "template", "family", "stage", "depth", "widths", "n_in", *chain.EACH, "multiplier",
    *LABELS, "check_cpu_s", "synth_cpu_s", "versions",
)  # fmt: skip
FAILURES = ("name", "stage", "reason")
Row = dict[str, Any]


def label(chains: Sequence[Chain], *, family: str, folder: Path) -> list[Row | Failed]:
    """Rows of chains with multipliers of one kind, in order; a chain that failed has the reason in place of a row.

    Raises:
        ToolMissing: a program is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checked: list[simulate.Measured | Failed] = [_checked(c, folder=folder / f"c{n}") for n, c in enumerate(chains)]
    good = [n for n, found in enumerate(checked) if not isinstance(found, Failed)]
    try:
        counts, synth_s = _synthesised([chains[n] for n in good], family=family, folder=folder)
    except tools.ToolFailed as error:
        return [found if isinstance(found, Failed) else Failed("synthesise", str(error)) for found in checked]
    of = dict(zip(good, counts, strict=True))
    return [
        found if isinstance(found, Failed) else _row(chains[n], found, of[n], family=family, synth_s=synth_s / len(good))
        for n, found in enumerate(checked)
    ]


def _checked(c: Chain, *, folder: Path) -> simulate.Measured | Failed:
    try:
        return check(c, folder=folder)
    except tools.ToolMissing:
        raise
    except HwsimError as error:
        return Failed("simulate", str(error))


def check(c: Chain, *, folder: Path) -> simulate.Measured:
    """Values against numpy, cycles and interval.

    Raises:
        WrongValues: the circuit is wrong.
    """
    x = stimuli(c.layers[0], VECTORS)
    bits = {"x_bits": c.layers[0].input_bits, "y_bits": c.layers[-1].acc_bits}
    return simulate.measure(chain.module(c), x, chain.expected(c, x), vectors=VECTORS, folder=folder, **bits)


def _synthesised(chains: Sequence[Chain], *, family: str, folder: Path) -> tuple[list[dict[str, int]], float]:
    if not chains:
        return [], 0.0
    circuits = [
        synthesise.Circuit(
            name := f"chain{n}",
            chain.module(c, name=name),
            c.layers[0].n_in * c.layers[0].input_bits,
            c.layers[-1].n_out * c.layers[-1].acc_bits,
        )
        for n, c in enumerate(chains)
    ]
    return synthesise.together(circuits, family=family, folder=folder, dsp=chains[0].multiplier == "dsp")


def _row(c: Chain, found: simulate.Measured, counts: dict[str, int], *, family: str, synth_s: float) -> Row:
    about = {"family": family, "stage": "yosys", "cycles": found.cycles, "interval": found.interval}
    costs = {"check_cpu_s": round(found.cpu_s, 2), "synth_cpu_s": round(synth_s, 2)}
    return {**c.record(), **about, **counts, **costs, "versions": "; ".join(tools.version(t) for t in ("yosys", "verilator"))}


def batches(chains: Sequence[Chain]) -> Iterator[list[Chain]]:
    """The chains in groups for one run: one kind of multiplier, not too many layers, nearly in order."""
    open_: dict[str, list[Chain]] = {}
    for c in chains:
        held = open_.setdefault(c.multiplier, [])
        if held and (len(held) == TOGETHER or sum(len(h.layers) for h in held) + len(c.layers) > LAYERS_TOGETHER):
            yield open_.pop(c.multiplier)
            held = open_.setdefault(c.multiplier, [])
        held.append(c)
    yield from open_.values()


def build(
    chains: Sequence[Chain], *, out: Path, family: str = "xcup", workers: int = 1, keep: bool = False, stream: TextIO = sys.stderr,
    worker: Callable[..., list[Row | Failed]] = label,
) -> tuple[int, int]:  # fmt: skip
    """Label all chains that `out` does not hold yet; returns how many were made and how many failed.

    Args:
        chains: circuits.
        out: folder of `networks.csv`, `failures.csv` and, for the time of a run, its files.
        family: part family.
        workers: runs at once.
        keep: leave the files of each run.
        stream: for progress.
        worker: what labels the chains of a run.

    Raises:
        ToolMissing: a program is absent; nothing is recorded for its chains then.
    """
    table, failures = Table(out / "networks.csv", COLUMNS), Table(out / "failures.csv", FAILURES)
    known = {r["name"] for r in [*table.rows(), *failures.rows()]}
    waiting = [c for c in chains if c.name not in known]
    progress = Progress(len(waiting), stream, start_s=time.monotonic())

    def one(batch: list[Chain]) -> None:
        folder = out / "work" / batch[0].name
        for c, found in zip(batch, worker(batch, family=family, folder=folder), strict=True):
            if isinstance(found, Failed):
                progress.failed += 1
                failures.append({"name": c.name, "stage": found.stage, "reason": found.reason})
            else:
                table.append(found)
            progress.tell(c.name)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(one, batch) for batch in batches(waiting)]
        try:
            for future in running:
                future.result()
        finally:
            for future in running:
                future.cancel()
    return progress.done - progress.failed, progress.failed
