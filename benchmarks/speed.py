"""Speed of hwsim in CPU seconds: medians over several runs, one core.

    python benchmarks/speed.py [--runs 7] [--write docs/benchmarks.md]

Needs hwsim[torch,onnx] for the ONNX row (the file is exported from timm's ResNet-50 with random weights, once).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import hwsim
from hwsim.api import find, lowered
from hwsim.sweep import evaluate

POINTS = 100_000
HWSIM = [sys.executable, "-m", "hwsim"]


def child_cpu_s(command: list[str]) -> float:
    """User and system time of a child process on one core."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def own_cpu_s(task: Callable[[], object], *, times: int = 1) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    for _ in range(times):
        task()
    return (time.process_time() - start) / times


def onnx_resnet50(folder: Path) -> Path | None:
    """ResNet-50 as an ONNX file with its weights; None where the libraries are missing."""
    path = folder / "resnet50.onnx"
    script = (
        "import torch; from hwsim.frontends.torch.timm_models import import_timm; model = import_timm().create_model('resnet50').eval(); "
        f"torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), {str(path)!r}, dynamo=True, external_data=False, verbose=False)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if not path.exists():
        print(f"no ONNX row: {(done.stderr.strip().splitlines() or ['unknown'])[-1]}", file=sys.stderr)
        return None
    return path


def sweep() -> Callable[[], object]:
    """100,000 GPUs x ResNet-50 in one call."""
    target, device = find("a100-sxm-80gb")
    mapping = target.mapping()
    program = lowered(target, hwsim.load("resnet50", batch=8), device=device, mapping=mapping)
    rng = np.random.default_rng(0)
    ranges = {"sm_count": (20, 200), "clock_hz": (1e9, 2.5e9), "dram_b_per_s": (3e11, 8e12), "l2_b": (4e6, 1e8)}
    vary = {name: rng.uniform(*span, POINTS) for name, span in ranges.items()}
    return lambda: evaluate(target, program, device=device, mapping=mapping, vary=vary)


def fpga_sweep() -> Callable[[], object]:
    """The jet tagger on an FPGA with 100,000 choices of reuse factor and weight width a layer, in one call."""
    target, device = find("xcu250")
    mapping = target.mapping(strategy="resource")
    program = lowered(target, hwsim.load("jet_tagger"), device=device, mapping=mapping)
    rng, layers = np.random.default_rng(0), 4
    vary = {
        "mapping.reuse_factor": rng.integers(1, 2048, (POINTS, layers)).astype(float),
        "mapping.weight_width": rng.integers(2, 19, (POINTS, layers)).astype(float),
    }
    return lambda: evaluate(target, program, device=device, mapping=mapping, vary=vary)


def warm_fpga() -> Callable[[], object]:
    """The jet tagger's graph to an Estimate on an FPGA, lowering included."""
    graph = hwsim.load("jet_tagger")

    def task() -> object:
        graph.__dict__.pop("_programs", None)
        return hwsim.estimate(graph, "xcu250", strategy="resource", reuse_factor=4)

    task()
    return task


def warm(*, again: bool) -> Callable[[], object]:
    """ResNet-50's graph to an Estimate; `again` uses the kernels that an earlier call made from the same graph."""
    graph = hwsim.load("resnet50", batch=8)

    def task() -> object:
        if not again:
            graph.__dict__.pop("_programs", None)
        return hwsim.estimate(graph, "a100-sxm-80gb")

    task()
    return task


def measure(runs: int) -> list[tuple[str, str, float]]:
    """(what, bar, median) rows."""
    rows: list[tuple[str, str, float]] = []

    def add(what: str, bar: str, one: Callable[[], float]) -> None:
        rows.append((what, bar, statistics.median(one() for _ in range(runs))))
        print(f"{what}: {rows[-1][2]:.4f} s (bar {bar})", file=sys.stderr)

    estimate = [*HWSIM, "estimate", "--on", "a100-sxm-80gb", "--json"]
    add("`hwsim --help`", "0.3 s", lambda: child_cpu_s([*HWSIM, "--help"]))
    add("`hwsim estimate resnet50`, cold", "1.0 s", lambda: child_cpu_s([*estimate, "resnet50"]))
    with tempfile.TemporaryDirectory() as folder:
        if (path := onnx_resnet50(Path(folder))) is not None:
            add("`hwsim estimate resnet50.onnx` (102 MB), cold", "1.0 s", lambda: child_cpu_s([*estimate, str(path)]))
    first, again, points = warm(again=False), warm(again=True), sweep()
    add("ResNet-50 graph to Estimate, warm", "0.005 s", lambda: own_cpu_s(first, times=10))
    add("the same graph on a further device, warm", "0.005 s", lambda: own_cpu_s(again, times=10))
    add(f"{POINTS:,} GPUs x ResNet-50, one call", "1.0 s", lambda: own_cpu_s(points))
    tagger, variants = warm_fpga(), fpga_sweep()
    add("jet tagger graph to Estimate on an FPGA, warm", "0.002 s", lambda: own_cpu_s(tagger, times=20))
    add(f"{POINTS:,} reuse factors and weight widths a layer, one call", "1.0 s", lambda: own_cpu_s(variants))
    return rows


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = measure(options.runs)
    table = ["| what | bar | median CPU s |", "|---|---:|---:|", *(f"| {what} | {bar} | {value:.4f} |" for what, bar, value in rows)]
    text = "# Speed\n\nCPU seconds on one core, medians. Rerun: `python benchmarks/speed.py --write docs/benchmarks.md`.\n\n"
    print("\n".join(table))
    if options.write:
        options.write.write_text(text + "\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
