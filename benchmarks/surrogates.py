"""Speed of graph surrogates in CPU seconds on one core: training, collation beside PyG's loader, predicting, rule4ml in the same run.

    python benchmarks/surrogates.py [--rule4ml VENV/bin/python] [--graphs 100000] [--write docs]

rule4ml (GPL-3) is an external program in an environment of its own (`pip install rule4ml`); see fpga_peers.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fpga_peers import WORKER
from torch_geometric.loader import DataLoader

import hwsim
from hwsim import api
from hwsim.surrogates import methods, networks, store
from hwsim.surrogates.graph_model import GraphSurrogate
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.networks.batch import Batches
from hwsim.surrogates.networks.recipes import AdditiveGnnRecipe, AdditiveRecipe, GinRecipe, GpsRecipe, NetworkRecipe, TransformerRecipe
from hwsim.surrogates.programs import of_program
from hwsim.surrogates.pyg import GraphsDataset
from hwsim.surrogates.training.loop import fit
from hwsim.surrogates.training.recipe import LeftOut, Recipe
from hwsim.surrogates.training.run import train
from hwsim.zoo.mlp import mlp

STEP = 128
"""Networks a step."""
KINDS: tuple[NetworkRecipe, ...] = (
    AdditiveRecipe(epochs=1),
    AdditiveGnnRecipe(epochs=1),
    GinRecipe(epochs=1),
    TransformerRecipe(epochs=1),
    GpsRecipe(epochs=1),
)
BASELINES = 5_000
"""Networks that pooled kinds are timed on."""
HEAD = """# Speed of graph surrogates

CPU seconds of one process with one thread ({cpu}, two cores shared with other work). Rerun: `python benchmarks/surrogates.py --write docs`.

Networks are {distinct} different circuits of 1 to 20 dense layers, lowered for an FPGA, drawn {count:,} times:
{rows:.1f} rows and {edges:.1f} edges a network on average, {features} features a row, {metrics} metrics.
Labels are the closed form with noise. Other work on the machine moves figures by a fifth from run to run.
"""

ONE = """Jet tagger, warm, milliseconds. *Answer*: features, networks and cost of a program that is new each time; *estimate*: with loading,
lowering and reporting."""


@dataclass(frozen=True)
class Rate:
    """One line of a table."""

    name: str
    count: int
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """Texts of the line."""
        return self.name, f"{self.count:,}", f"{self.seconds:.2f}", f"{self.count / self.seconds:,.0f}"


def timed(task: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    task()
    return time.process_time() - start


def circuits(count: int) -> Graphs:
    """Different networks with labels."""
    family, device = api.find("xcu250")
    draw, parts = np.random.default_rng(0), []
    for _ in range(count):
        widths = tuple(int(w) for w in draw.integers(8, 65, int(draw.integers(1, 21))))
        mapping = family.mapping(reuse_factor=int(draw.choice([1, 2, 4, 8, 16])))
        program = family.lower(mlp(num_inputs=int(draw.integers(8, 65)), widths=widths), device=device, mapping=mapping)
        parts.append(of_program(family, program, device=device, mapping=mapping))
    graphs = concatenated(parts)
    labels = {"device": np.full(count, "xcu250"), "family": np.array([f"part {i % 4}" for i in range(count)])}
    return replace(graphs, measured=graphs.closed_form * draw.lognormal(0, 0.2, (count, 1)), labels=labels)


def training(graphs: Graphs) -> list[Rate]:
    """One epoch of each kind."""
    found = []
    for recipe in KINDS:
        given = graphs if hasattr(recipe, "shrinkage") else graphs.take(np.arange(min(BASELINES, len(graphs))))
        model = networks.build(recipe, given, seed=0)
        seconds = timed(lambda model=model, given=given, recipe=recipe: fit(model, given, recipe=recipe))
        found.append(Rate(networks.kind_of(recipe), len(given), seconds))
    return found


def collation(graphs: Graphs) -> list[Rate]:
    """Every network once in shuffled batches: own index arithmetic, PyG's loader over this view, over a list of ready `Data`."""
    batches, order = Batches(graphs), np.random.default_rng(0).permutation(len(graphs))
    few = graphs.take(np.arange(min(BASELINES, len(graphs))))
    ready: Any = list(GraphsDataset(few))
    steps = np.array_split(order, len(graphs) // STEP)
    sources: dict[str, Any] = {"PyG's DataLoader, ready list of `Data`": ready, "PyG's DataLoader, view of graphs": GraphsDataset(few)}
    found = [Rate("own index arithmetic", len(graphs), timed(lambda: [batches.of(chosen) for chosen in steps]))]
    for name, source in sources.items():
        found.append(Rate(name, len(few), timed(lambda source=source: list(DataLoader(source, batch_size=STEP, shuffle=True)))))
    return found


def with_pygs_loader(graphs: Graphs) -> Rate:
    """An epoch of the additive GNN's layers and optimizer fed by PyG's loader."""
    from hwsim.surrogates.networks.batch import Batch
    from hwsim.surrogates.training.loop import error

    few = graphs.take(np.arange(min(BASELINES, len(graphs))))
    recipe, ready = AdditiveGnnRecipe(), list(GraphsDataset(few))
    model = networks.build(recipe, few, seed=0).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)

    def epoch() -> None:
        for b in DataLoader(ready, batch_size=STEP, shuffle=True):
            shape = torch.zeros(len(b.x), 0)
            batch = Batch(b.x, b.cost, b.floor, b.batch, b.ptr, b.edge_index, b.rest, b.least, torch.log(b.y + 1), shape)
            optimizer.zero_grad()
            (error(model(batch), batch, recipe.beta) + model.penalty).backward()
            optimizer.step()

    return Rate("additive-gnn, fed by PyG's DataLoader", len(few), timed(epoch))


def predicting(graphs: Graphs) -> list[Rate]:
    """Batched answers of one member."""
    found = []
    for recipe in KINDS[:2]:
        model = networks.build(recipe, graphs, seed=0)
        found.append(Rate(networks.kind_of(recipe), len(graphs), timed(lambda model=model: networks.predicted(model, graphs))))
    return found


def surrogate(graphs: Graphs, kind: AdditiveRecipe | AdditiveGnnRecipe, members: int, folder: Path) -> Path:
    """A stored surrogate of a few epochs."""
    short: Any = {"left_out": LeftOut("family", 2), "seeds": tuple(range(members))}
    recipe = Recipe(f"{networks.kind_of(kind)}-{members}", "for a benchmark", "fpga", "none.safetensors", model=kind, **short)
    return store.write(train(recipe, data=graphs), where=folder / recipe.name)


def one(where: Path) -> tuple[str, ...]:
    """Milliseconds of one warm answer on a program that is new each time, and of a whole estimate, beside that of the closed form."""
    family, device = api.find("xcu250")
    mapping = family.mapping()
    program = family.lower(api.load("jet_tagger"), device=device, mapping=mapping)
    model = GraphSurrogate(store.read(str(where)))
    answer = median(lambda: model.predict(replace(program), device=device, mapping=mapping))
    whole = median(lambda: hwsim.estimate("jet_tagger", "xcu250", method=f"{methods.PREFIX}{where}"))
    closed = median(lambda: hwsim.estimate("jet_tagger", "xcu250"))
    return where.name.replace("-1", ", 1 member").replace("-3", ", 3 members"), *(f"{1e3 * v:.1f}" for v in (answer, whole, closed))


def median(task: Callable[[], Any], *, runs: int = 60) -> float:
    """Median CPU seconds of a warm call."""
    task()
    return statistics.median(timed(task) for _ in range(runs))


def rule4ml(python: Path) -> tuple[str, float, float]:
    """(version, CPU seconds of the first estimate, median of ten further ones) of its default models, each of another network."""
    config = {
        "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
        "IOType": "io_parallel",
        "Board": "pynq-z2",
    }
    layers = {f"dense_{i}": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1} for i in range(4)}
    setting = {"network": True, "config": {**config, "LayerName": layers}, "hls4ml": "0.8.1", "tool": "2020.1"}
    tasks = [{"sizes": [16, 64 - i, 32, 32, 5], **setting} for i in range(11)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, "-c", WORKER], input=json.dumps(tasks), capture_output=True, text=True, check=False, env=one_thread)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        raise SystemExit(f"rule4ml gave nothing: {done.stderr.strip().splitlines()[-3:]}")
    name = "import importlib.metadata as m; print(m.version('rule4ml'))"
    version = subprocess.run([python, "-c", name], capture_output=True, text=True, check=True).stdout.strip()
    first, *others = (r["seconds"] for r in json.loads(line.removeprefix("RESULT")))
    return version, first, statistics.median(others)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column to the left."""
    lines = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)]), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def page(few: Graphs, graphs: Graphs, python: Path | None) -> str:
    """The whole page."""
    shape = {"rows": graphs.sizes.mean(), "edges": graphs.edges.shape[1] / len(graphs), "count": len(graphs), "distinct": len(few)}
    parts = [HEAD.format(cpu=cpu(), features=len(graphs.feature_names), metrics=len(graphs.metrics), **shape)]
    rates = ("", "networks", "CPU s", "networks/s")
    parts += ["## Training: one epoch", "", table(rates, [r.cells for r in (*training(graphs), with_pygs_loader(graphs))])]
    parts += ["## Collation alone", f"Shuffled batches of {STEP}.", "", table(rates, [r.cells for r in collation(graphs)])]
    parts += [
        "## Predicting many at once",
        "One member; three take three times as long.",
        "",
        table(rates, [r.cells for r in predicting(graphs)]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        kinds = [(AdditiveRecipe(epochs=1), 1), (AdditiveGnnRecipe(epochs=1), 1), (AdditiveGnnRecipe(epochs=1), 3)]
        rows = [one(surrogate(few, kind, members, Path(folder))) for kind, members in kinds]
    parts += ["## Predicting one", ONE, "", table(("", "answer ms", "estimate ms", "closed form, estimate ms"), rows)]
    if python is not None:
        version, first, later = rule4ml(python)
        told = f"rule4ml {version} in the same run, each time another network of that depth: {1e3 * first:,.0f} ms for its first estimate"
        parts += [f"{told}, then {1e3 * later:,.0f} ms (median of ten).\n"]
    return "\n".join(parts)


def cpu() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rule4ml", type=Path, help="Python of an environment with rule4ml")
    parser.add_argument("--graphs", type=int, default=100_000)
    parser.add_argument("--write", type=Path, help="folder of docs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    few = circuits(300)
    graphs = few.take(np.random.default_rng(1).integers(0, len(few), given.graphs))
    text = page(few, graphs, given.rule4ml)
    if given.write:
        (given.write / "benchmarks-surrogates.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
