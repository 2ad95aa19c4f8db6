"""Speed of sweeps in CPU seconds on one core: medians, plots, peers. Parts can be run apart; results add up in a JSON file.

    python benchmarks/sweep.py gpu fpga scale layers billion processes peers --store benchmarks/sweep.json
    python benchmarks/sweep.py --store benchmarks/sweep.json --write docs

The part `peers` takes interpreters that have the tools: `--zigzag PYTHON --scalesim PYTHON` (see sweep_peers.py).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import hwsim
from hwsim.sweep import evaluate
from hwsim.sweep.blocks import Preparing
from hwsim.sweep.build import space
from hwsim.sweep.constraints import Objective, constraints
from hwsim.sweep.engine import Engine, fast_axes
from hwsim.sweep.run import Sweep, run
from hwsim.sweep.space import Space

HERE = Path(__file__).parent
LATENCY_ENERGY = (Objective("latency_s"), Objective("energy_j"))
LATENCY_POWER = (Objective("latency_s"), Objective("power_w"))
METRICS = ("latency_s", "energy_j")
GPU = {
    "sm_count": "20:{last}:1",
    "clock_hz": "1 GHz..2.5 GHz x50",
    "dram_b_per_s": "0.3TB/s..8TB/s x64 log",
    "power_limit_w": "100 W..700 W x32",
}
RUNS = 5


def cpu_s() -> float:
    """CPU seconds of this process and of its children (compilers)."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def timed(task: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and what it gives."""
    start = cpu_s()
    found = task()
    return cpu_s() - start, found


def gpu_space(last: int = 39, *, sample: str = "grid", points: int = 0, model: str = "resnet50", **more: str) -> Space:
    """ResNet-50, batch 8, fp16, TensorRT, on GPUs that do not exist."""
    vary = {name: text.format(last=last) for name, text in GPU.items()} | more
    if sample != "grid":
        vary = {name: text.split(" x")[0].split(":1")[0].replace(":", "..") for name, text in vary.items()}
        vary["sm_count"] = f"20..{last}"
    mapping = {"runtime": "tensorrt", "dtype": "fp16"}
    return space(model, "a100-sxm-80gb", vary=vary, load={"batch": 8}, mapping=mapping, sample=sample, points=points)


def fpga_space(layers: int = 5, *, sample: str = "grid", points: int = 0) -> Space:
    """An MLP on an FPGA, a reuse factor for every layer."""
    widths = ",".join(["64", "48", "32", "40", "24", "56"][i % 6] for i in range(layers - 1))
    model = f"jet_tagger?widths={widths}" if layers > 1 else "jet_tagger"
    names = [node.name for node in hwsim.load(model).nodes if node.kind == "linear"]
    values = "1,2,4,8,16,32,64,128,256,512,1024,2048" if sample == "grid" else "1..2048"
    vary = {f"mapping.reuse_factor[{name}]": values for name in names}
    return space(model, "xcu250", vary=vary, mapping={"strategy": "resource"}, sample=sample, points=points)


def rate(made: Space, backend: str, *, metrics: tuple[str, ...] = METRICS, points: int = 1 << 19) -> dict[str, float]:
    """Points a CPU second of the metrics alone, and the CPU seconds before the first point."""
    block = Preparing()(made.block(0))
    set_up, engine = timed(lambda: Engine(block, wanted=metrics, fast=fast_axes(block, metrics), backend=backend))
    step = max(1, (1 << 17) // engine.layout.unit_points)
    first, _ = timed(lambda: engine(0, min(step, engine.layout.units)))
    spans = [(at, min(at + step, engine.layout.units)) for at in range(0, engine.layout.units, step)][: max(1, points >> 17)]

    def task() -> int:
        return sum(len(engine(*span)) for span in spans)

    found = [timed(task) for _ in range(RUNS)]
    return {"rate": statistics.median(count / seconds for seconds, count in found), "set_up_s": set_up + first, "note": engine.note}  # type: ignore[dict-item]


def plain_rate(made: Space) -> float:
    """Points a CPU second of the cost function called on chunks of columns, as a single estimate calls it."""
    block, count = Preparing()(made.block(0)), 1 << 14  # so few that `evaluate` traces nothing
    columns = block.bound({n: np.asarray(v, dtype=float) for n, v in made.columns(0, count).items()})
    settings: dict[str, Any] = {"device": block.device, "mapping": block.mapping, "vary": columns}
    found = [timed(lambda: evaluate(block.target, block.program, **settings))[0] for _ in range(3 * RUNS)]
    return count / statistics.median(found)


def swept(made: Space, backend: str, objectives: tuple[Objective, ...] = LATENCY_ENERGY, **options: Any) -> tuple[float, Sweep]:
    """A whole sweep with its front: CPU seconds, and what it found."""
    conditions = constraints("fits", known={"fits": "bool"})
    return timed(lambda: run(made, objectives=objectives, constraints=conditions, backend=backend, **options))


def part_gpu(backends: list[str]) -> dict[str, Any]:
    """ResNet-50 on the full GPU model."""
    grid, sample = gpu_space(last=59), gpu_space(last=200, sample="random", points=1 << 19)
    found: dict[str, Any] = {"points": grid.count, "rows": Preparing()(grid.block(0)).program.row_count, "plain": plain_rate(grid)}
    for backend in backends:
        found[backend] = {"grid": rate(grid, backend), "random": rate(sample, backend)}
        whole = [swept(grid, backend)[0] for _ in range(3)]
        found[backend]["sweep"] = grid.count / statistics.median(whole)
        print(backend, found[backend], file=sys.stderr)
    return found


def part_fpga(backends: list[str]) -> dict[str, Any]:
    """Five layers with a reuse factor each."""
    grid, sample = fpga_space(), fpga_space(sample="random", points=1 << 18)
    found: dict[str, Any] = {"points": grid.count, "plain": plain_rate(sample)}
    for backend in backends:
        wanted = ("latency_s", "lut", "dsp")
        found[backend] = {"grid": rate(grid, backend, metrics=wanted), "random": rate(sample, backend, metrics=wanted)}
        front = (Objective("latency_s"), Objective("lut"))
        whole = [swept(grid, backend, front)[0] for _ in range(3)]
        found[backend]["sweep"] = grid.count / statistics.median(whole)
        print(backend, found[backend], file=sys.stderr)
    return found


def part_scale(backends: list[str]) -> dict[str, Any]:
    """Cost a point from 1e3 to 1e8 points (numpy to 1e7): of whole sweeps, and of the points alone once everything is set up."""
    found: dict[str, Any] = {}
    for backend in backends:
        block = Preparing()(gpu_space(last=200, sample="random", points=10**9).block(0))
        engine = Engine(block, wanted=METRICS, backend=backend)
        engine(0, 1000)
        rows, alone = [], []
        for exponent in range(3, 9 if backend == "native" else 8):
            points = 10**exponent
            made = gpu_space(last=200, sample="random", points=points)
            times = 3 if exponent < 7 else 1
            rows.append((points, statistics.median(swept(made, backend)[0] for _ in range(times))))
            spans = [(at, min(at + (1 << 17), points)) for at in range(0, points, 1 << 17)]
            repeats = max(1, 10**5 // points)

            def task(spans: list[tuple[int, int]] = spans, repeats: int = repeats, engine: Engine = engine) -> None:
                for span in spans * repeats:
                    engine(*span)

            alone.append((points, statistics.median(timed(task)[0] for _ in range(times)) / repeats))
            print(backend, rows[-1], alone[-1], file=sys.stderr)
        found[backend] = rows
        found[f"{backend}, points alone"] = alone
    return found


def part_layers(backends: list[str]) -> dict[str, Any]:
    """Cost a point of random points over the number of layers of an MLP that all differ in their reuse factor, and over rows of CNNs."""
    found: dict[str, Any] = {}
    for backend in backends:
        mlp = []
        for layers in (2, 4, 8, 16, 32):
            made = rate(fpga_space(layers, sample="random", points=1 << 18), backend, metrics=("latency_s", "lut"), points=1 << 18)
            mlp.append((layers, 1 / made["rate"]))
        cnn = []
        for model in ("lenet5", "vit_ti16", "resnet18", "resnet50", "mobilenet_v2"):
            made_space = gpu_space(last=200, sample="random", points=1 << 18, model=model)
            rows = Preparing()(made_space.block(0)).program.row_count
            cnn.append((model, rows, 1 / rate(made_space, backend, points=1 << 18)["rate"]))
        found[backend] = {"mlp": mlp, "cnn": cnn}
        print(backend, found[backend], file=sys.stderr)
    return found


def part_billion(backends: list[str]) -> dict[str, Any]:
    """A billion GPUs with an exact front of latency and power."""
    made = gpu_space(last=119, l2_b_per_clk="32..128 x100")
    with tempfile.TemporaryDirectory() as folder:
        wall = time.perf_counter()
        seconds, found = swept(made, "native", LATENCY_POWER, out=Path(folder) / "front.parquet")
        wall = time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"points": made.count, "cpu_s": seconds, "wall_s": wall, "front": len(found.state.front.index), "memory_gib": memory}


def part_memory(backends: list[str]) -> dict[str, Any]:
    """Peak memory of sweeps of 1e6 to 1e8 points, a process each (1e9: the part `billion`)."""
    script = (
        "import sys, resource; sys.path.insert(0, sys.argv[1]); import sweep; "
        "made = sweep.gpu_space(last=119, l2_b_per_clk=f'32..128 x{sys.argv[2]}') if sys.argv[2] != '0' else sweep.gpu_space(last=29); "
        "sweep.swept(made, 'native', sweep.LATENCY_POWER); print(made.count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    rows = []
    for factor in ("0", "2", "10"):
        text = subprocess.run([sys.executable, "-c", script, str(HERE), factor], capture_output=True, text=True, check=True).stdout
        rows.append([float(v) for v in text.split()])
    return {"rows": rows}


def part_processes(backends: list[str]) -> dict[str, Any]:
    """One process and two: points a wall second, and CPU seconds of all."""
    made = gpu_space(last=119, l2_b_per_clk="32..128 x6")
    rows: dict[str, list[tuple[float, float]]] = {"1": [], "2": []}
    for _ in range(3):
        for count in ("1", "2"):
            wall = time.perf_counter()
            seconds, _ = swept(made, "numpy", processes=int(count), task_points=1 << 20)
            rows[count].append((time.perf_counter() - wall, seconds))
    return {"points": made.count, "rows": rows, "load": os.getloadavg()[0]}


def part_peers(backends: list[str], *, zigzag: str = "", scalesim: str = "") -> dict[str, Any]:
    """Design points of ResNet-18 a CPU second, hwsim beside other tools."""
    found: dict[str, Any] = {}
    made = gpu_space(last=59, model="resnet18")
    for backend in backends:
        found[f"hwsim, {backend}"] = rate(made, backend)["rate"]
    with tempfile.TemporaryDirectory() as folder:
        topology = Path(folder) / "resnet18.csv"
        write_topology(topology)
        for python, more in ((zigzag, ["zigzag"]), (scalesim, ["scalesim", str(topology)])):
            if python:
                command = [python, str(HERE / "sweep_peers.py"), *more]
                text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                one = json.loads(text.splitlines()[-1])
                found[one["tool"]] = 1 / one["cpu_s"]
                print(one, file=sys.stderr)
    return found


def write_topology(path: Path) -> None:
    """ResNet-18 as SCALE-Sim reads it; the last layer as a convolution of one pixel."""
    graph = hwsim.load("resnet18")
    shapes = (
        {t.name: t.shape for t in graph.tensors} if not hasattr(graph.tensors, "items") else {n: t.shape for n, t in graph.tensors.items()}
    )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        head = ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
        writer.writerow([*head, ""])
        for node in graph.nodes:
            if node.kind == "conv":
                image, weight, pad = shapes[node.inputs[0]], shapes[node.inputs[1]], node.attrs["padding"]
                size = [image[2] + 2 * pad, image[3] + 2 * pad]
                writer.writerow([node.name, *size, weight[2], weight[3], weight[1], weight[0], node.attrs["stride"], ""])
            elif node.kind == "linear":
                weight = shapes[node.inputs[1]]
                writer.writerow([node.name, 1, 1, 1, 1, weight[1], weight[0], 1, ""])


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "gpu": part_gpu,
    "fpga": part_fpga,
    "scale": part_scale,
    "layers": part_layers,
    "billion": part_billion,
    "memory": part_memory,
    "processes": part_processes,
    "peers": part_peers,
}


def main() -> None:
    """Run the parts, add them to the store, write the page where asked."""
    if "OMP_NUM_THREADS" not in os.environ:
        pinned = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        pinned["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # so that compiling counts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **pinned})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--backends", default="numpy,native")
    parser.add_argument("--store", type=Path, default=HERE / "sweep.json")
    parser.add_argument("--zigzag", default="")
    parser.add_argument("--scalesim", default="")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    store = json.loads(options.store.read_text()) if options.store.exists() else {}
    for part in options.parts:
        more = {"zigzag": options.zigzag, "scalesim": options.scalesim} if part == "peers" else {}
        found = PARTS[part](options.backends.split(","), **more)
        store[part] = {**store.get(part, {}), **found}
        options.store.write_text(json.dumps(store, indent=1))
    if options.write:
        from sweep_page import page

        page(store, options.write)


if __name__ == "__main__":
    main()
