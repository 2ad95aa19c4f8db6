"""A program for the interpreter that holds SANA-FE: reads a job (JSON) on the command line, runs it, writes what happened as JSON.

It is started by path in a process of its own and imports nothing of hwsim; hwsim never imports it. SANA-FE (GPL-3) stays outside.

A job holds the path of a chip description, groups of neurons (count, LIF attributes, biases, runs of cores), edges between groups (dense or
conv, with their weights or the seed of them), timesteps and the timing model.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

CHUNK = 8
"""Timesteps between two looks at the messages, which are many."""
SUMS = ("updated", "fired", "hops", "spikes", "sim_time", "synapse_energy", "soma_energy", "network_energy", "total_energy")


def weights(edge: dict[str, Any]) -> list[float]:
    """Weights of an edge, in the simulator's order (source, destination; row, column, channel in, channel out)."""
    if "weights" in edge:
        return edge["weights"]
    found = random.Random(edge["seed"])
    return [found.gauss(edge["mean"], edge["deviation"]) for _ in range(edge["count"])]


def connect(edge: dict[str, Any], groups: dict[str, Any]) -> None:
    """Add the synapses of one edge."""
    source, target, attributes = groups[edge["source"]], groups[edge["target"]], {"weight": weights(edge)}
    if edge["kind"] == "dense":
        source.connect_neurons_dense(target, attributes)
        return
    height, width, channels = edge["shape"]
    kernel, stride = edge["kernel"], edge["stride"]
    source.connect_neurons_conv2d(target, attributes, width, height, channels, kernel, kernel, edge["filters"], stride, stride)


def network(job: dict[str, Any], simulator: Any, cores: Any) -> Any:
    """The network on its cores."""
    net, groups = simulator.Network(), {}
    for group in job["groups"]:
        made = net.create_neuron_group(
            group["name"], group["count"], model_attributes=group["lif"], default_synapse_hw_name=group["synapse"],
            soma_hw_name="lif", log_spikes=True,
        )  # fmt: skip
        groups[group["name"]] = made
        for i, bias in enumerate(group.get("bias") or ()):
            made[i].set_attributes(model_attributes={"bias": bias})
        place = (core for core, count in group["cores"] for _ in range(count))
        for i, core in enumerate(place):
            made[i].map_to_core(cores[core])
    for edge in job["edges"]:
        connect(edge, groups)
    return net


def count(found: Any, out: dict[str, Any], steps: int) -> None:
    """Add a chunk of the run to the lists of `out`."""
    for name in SUMS:
        out[name] += found["perf_trace"][name]
    for fired, messages in zip(found["spike_trace"], found["message_trace"], strict=True):
        step = {"fired": defaultdict(int), "packets": defaultdict(int), "hops": defaultdict(int)}
        sending, receiving = defaultdict(float), defaultdict(float)
        for address in fired:
            step["fired"][address.group_name] += 1
        for m in messages:
            sending[m["src_core_id"]] += m["generation_delay"]
            if m["placeholder"]:
                continue
            receiving[m["dest_core_id"]] += m["processing_delay"]
            step["packets"][m["src_neuron_group_id"]] += 1
            step["hops"][m["src_neuron_group_id"]] += m["hops"]
        out["by_group"].append({name: dict(value) for name, value in step.items()})
        out["sending_s"].append(max(sending.values(), default=0.0))
        out["receiving_s"].append(max(receiving.values(), default=0.0))


def main(job_path: str, out_path: str) -> None:
    """Run the job."""
    simulator = importlib.import_module("sanafe")
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    chip_file = simulator.load_arch(job["chip"])
    chip = simulator.SpikingChip(chip_file)
    chip.load(network(job, simulator, chip_file.cores()))
    out: dict[str, Any] = {name: [] for name in (*SUMS, "by_group", "sending_s", "receiving_s")}
    left = job["timesteps"]
    while left:
        steps = min(left, CHUNK)
        found = chip.sim(steps, timing_model=job["timing"], processing_threads=1, perf_trace=True, spike_trace=True, message_trace=True)
        count(found, out, steps)
        left -= steps
    out["version"] = importlib.import_module("importlib.metadata").version("sanafe")
    Path(out_path).write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
