"""hwsim beside rule4ml on the same published designs in one run: error and CPU seconds an estimate.

    python benchmarks/fpga_peers.py --python VENV/bin/python [--dense 20] [--write docs/benchmarks-fpga.md]

rule4ml (GPL-3) is an external program: it runs in a process of an environment of its own (`pip install rule4ml`), which is handed sizes
and settings as JSON and hands numbers back. Its format is one for the whole network, so mixed-precision networks get that of their weights.
hwsim's numbers come from constants that did not see the network or architecture. Needs the measured data (HWSIM_DATA).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from hwsim.accuracy import error_row
from hwsim.datasets.hls_designs import Design, argykokk, dense1
from hwsim.targets.fpga.calibrate import suites
from hwsim.targets.fpga.precision import parse

METRICS = ("BRAM18", "DSP", "FF", "LUT", "cycles", "interval_cycles")
THEIRS = {"BRAM": "BRAM18", "DSP": "DSP", "FF": "FF", "LUT": "LUT", "CYCLES": "cycles", "INTERVAL": "interval_cycles"}
WORKER = r"""
import json, sys, time
import torch  # before rule4ml, which crashes otherwise
import keras
from rule4ml.models.wrappers import MultiModelWrapper
estimator = MultiModelWrapper()
estimator.load_default_models()
results = []
for task in json.load(sys.stdin):
    sizes = task["sizes"]
    x = inputs = keras.layers.Input(shape=(sizes[0],))
    for i, width in enumerate(sizes[1:]):
        last = i == len(sizes) - 2
        x = keras.layers.Dense(width, activation=None if not task["network"] else "softmax" if last else "relu")(x)
    model = keras.Model(inputs=inputs, outputs=x)
    model.build((None, sizes[0]))
    start = time.process_time()
    frame = estimator.predict(model, hls_configs=task["config"], hls4ml_versions=task["hls4ml"], vivado_versions=task["tool"])
    seconds = time.process_time() - start
    row = frame.iloc[0]
    names = ("BRAM", "DSP", "FF", "LUT", "CYCLES", "INTERVAL")
    results.append({"seconds": seconds, **{name: float(row[name]) for name in names}})
print("RESULT" + json.dumps(results))
"""


HEAD = """# Beside rule4ml

SMAPE in per cent at csynth, medians of CPU seconds. Rerun: `python benchmarks/fpga_peers.py --python VENV/bin/python`.
"""
NOTE = """
rule4ml 0.2.0 takes one format a network and three boards (here alveo-u200 and pynq-z2), and was trained on designs of its authors, of
formats and sizes that overlap with these only in part; it has no table by layer, no energy and no verdict.
"""


def task(design: Design) -> dict[str, Any]:
    """What rule4ml is asked about a design."""
    model = design.options["hls_config"]["Model"]
    layers = design.options["hls_config"].get("LayerName", {})
    first = next(
        (v["Precision"]["weight"] for v in layers.values() if "weight" in v.get("Precision", {})), model["Precision"].get("weight")
    )
    weights = parse(first)
    config = {
        "board": "pynq-z2" if design.source == "argykokk" else "alveo-u200",
        "model": {
            "strategy": model["Strategy"].lower(),
            "precision": f"ap_fixed<{weights.width}, {max(weights.integer, 1)}>",
            "reuse_factor": model["ReuseFactor"],
        },
    }
    tool = "2021.1" if design.source == "argykokk" else "2020.1"
    return {"sizes": _sizes(design), "network": design.source == "argykokk", "config": config, "hls4ml": "0.8.1", "tool": tool}


def _sizes(design: Design) -> list[int]:
    """Widths of a network of dense layers."""
    graph = design.graph
    weights = [graph.tensors[n.inputs[1]].shape for n in graph.nodes if n.kind == "linear"]
    return [weights[0][1], *(shape[0] for shape in weights)]


def ours(designs: list[Design]) -> tuple[list[dict[str, float]], list[float]]:
    """Predictions of hwsim, and CPU seconds of one estimate with everything loaded."""
    found, seconds = [], []
    for design in designs:
        constants = suites.without(design.group.__eq__)
        start = time.process_time()
        found.append(suites.predicted(design, constants)[0])
        seconds.append(time.process_time() - start)
    return found, seconds


def theirs(designs: list[Design], python: str) -> tuple[list[dict[str, float]], list[float]]:
    """Predictions of rule4ml, and its CPU seconds an estimate with everything loaded."""
    given = json.dumps([task(d) for d in designs])
    done = subprocess.run(
        [python, "-c", WORKER], input=given, capture_output=True, text=True, env={"KERAS_BACKEND": "torch", "PATH": "/usr/bin:/bin"}
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        raise SystemExit(f"rule4ml did not answer:\n{done.stderr[-2000:]}")
    rows = json.loads(line.removeprefix("RESULT"))
    return [{ours: row[name] for name, ours in THEIRS.items()} for row in rows], [row["seconds"] for row in rows]


def table(designs: list[Design], python: str) -> list[str]:
    """Markdown rows: SMAPE of each metric, both tools."""
    import numpy as np

    both = {"hwsim": ours(designs), "rule4ml": theirs(designs, python)}
    lines = [f"| designs | tool | CPU s an estimate | {' | '.join(METRICS)} |", f"|---|---|---:|{'---:|' * len(METRICS)}"]
    for source in sorted({d.source for d in designs}):
        kept = [i for i, d in enumerate(designs) if d.source == source]
        for tool, (found, seconds) in both.items():
            cells = []
            for metric in METRICS:
                y = np.array([designs[i].totals[metric] for i in kept], dtype=float)
                f = np.array([found[i][metric] for i in kept], dtype=float)
                cells.append(f"{error_row('', y, f, f).smape:.1f}")
            lines.append(f"| {source}, {len(kept)} | {tool} | {statistics.median(seconds[i] for i in kept):.4f} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="interpreter of an environment with rule4ml")
    parser.add_argument("--dense", type=int, default=20, help="one-layer designs, evenly spread")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    single = dense1("resource")[0]
    designs = [*argykokk(), *single[:: max(1, len(single) // options.dense)][: options.dense]]
    lines = table(designs, options.python)
    text = f"{HEAD}\n{chr(10).join(lines)}\n{NOTE}"
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
