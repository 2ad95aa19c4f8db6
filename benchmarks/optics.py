"""Speed of the simulated 4f bench beside optnn 0.1: CPU seconds on one core, medians.

    python benchmarks/optics.py [--runs 5] [--peer PYTHON] [--write docs/benchmarks-optics.md]

Needs hwsim[torch]. PYTHON is an interpreter with optnn 0.1 installed; without it the peer's row is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BAR_S = 0.018
CHANNELS, SIDE, KERNEL = 64, 16, 3
PEER = f"""
import time, torch
from optnn import OpticalConv2d
torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.rand(1, {CHANNELS}, {SIDE}, {SIDE})
with torch.no_grad():
    for signs in (False, True):
        layer = OpticalConv2d({CHANNELS}, {CHANNELS}, {KERNEL}, pseudo_negativity=signs, input_size={SIDE})
        layer(x)
        times = []
        for _ in range(RUNS):
            start = time.process_time()
            layer(x)
            times.append(time.process_time() - start)
        print(sorted(times)[len(times) // 2])
"""
Row = tuple[str, str, float]


def cpu_s(task: Callable[[], object], runs: int) -> float:
    """Median CPU seconds of a call."""
    task()
    times = []
    for _ in range(runs):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return statistics.median(times)


def own_rows(runs: int) -> list[Row]:
    """The layer on benches with more and more errors, masks made anew and kept."""
    import torch

    from hwsim.optics import Bench, convolve, program

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, kernels = torch.rand(1, CHANNELS, SIDE, SIDE), torch.randn(CHANNELS, CHANNELS, KERNEL, KERNEL)
    bits = {"input_bits": 8, "mask_bits": 8, "camera_bits": 8}
    benches = {
        "ideal parts": Bench(),
        "8 bits each": Bench(**bits),
        "8 bits each, 1e4 photons": Bench(**bits, photons=1e4),
        "8 bits each, 1e4 photons, read noise, crosstalk": Bench(**bits, photons=1e4, read_noise_e=3, crosstalk_frac=0.01),
    }
    rows: list[Row] = []
    for name, bench in benches.items():
        kept = program(kernels, (SIDE, SIDE), bench=bench, padding=KERNEL // 2)
        rows.append((f"hwsim, {name}", "kept", cpu_s(lambda: convolve(images, kept, bench=bench, padding=KERNEL // 2), runs)))  # noqa: B023
        rows.append((f"hwsim, {name}", "made anew", cpu_s(lambda: convolve(images, kernels, bench=bench, padding=KERNEL // 2), runs)))  # noqa: B023
    return rows


def peer_rows(python: str, runs: int) -> list[Row]:
    """The same layer in optnn: one frame a pair, as its default has it, and two."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run([python, "-c", PEER.replace("RUNS", str(runs))], check=True, capture_output=True, text=True, env=environment)
    one, two = map(float, found.stdout.split())
    return [("optnn 0.1, one frame a pair", "made anew", one), ("optnn 0.1, two frames a pair", "made anew", two)]


def table(rows: list[Row]) -> str:
    """Markdown, with the factor against the peer's two frames."""
    peer = rows[-1][2] if rows[-1][0].startswith("optnn") else None
    lines = ["| simulation | masks | CPU s | against optnn |", "|---|---|---:|---:|"]
    lines += [f"| {name} | {masks} | {value:.4f} | {f'{peer / value:.0f}x' if peer else '-'} |" for name, masks, value in rows]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="Python with optnn 0.1.")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = own_rows(options.runs) + (peer_rows(options.peer, options.runs) if options.peer else [])
    print(table(rows))
    slow = [name for name, masks, value in rows if name.startswith("hwsim") and masks == "kept" and value > BAR_S]
    if slow:
        print(f"above {BAR_S} s: {', '.join(slow)}", file=sys.stderr)
    if options.write:
        text = (
            "# Speed of the simulated 4f bench\n\n"
            f"A convolution of {CHANNELS} to {CHANNELS} channels, {KERNEL}x{KERNEL}, on {SIDE}x{SIDE} pixels, positive and negative\n"
            "kernels apart: 8192 frames. CPU seconds on one core, medians; masks are made from the weights once (kept) or at each\n"
            "call (made anew). optnn makes them at each call, with its noise, as by default; factors are against two frames a pair.\n\n"
            "Rerun: `python benchmarks/optics.py --peer PYTHON --write docs/benchmarks-optics.md`.\n\n"
        )
        options.write.write_text(text + table(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
