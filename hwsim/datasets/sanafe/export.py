"""What the simulator reads: a chip description with our constants, and a job with neurons on cores."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import Any

import numpy as np

from hwsim.datasets.sanafe.design import THRESHOLD, Design, Layer, size
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.events import barrier

SYNAPSES = ("dense", "sparse", "conv")


def chip(device: NeuroDevice) -> str:
    """The chip as the simulator's YAML: a mesh of tiles with cores, one kind of neuron, three kinds of synapses."""
    width, height, cores = (int(v) for v in (device.mesh_width, device.mesh_height, device.cores_per_tile))
    sync = {tiles: f"{float(barrier(np.asarray(float(tiles)), device)):.9e}" for tiles in range(1, width * height + 1)}
    east, north = float(device.hop_east_j), float(device.hop_north_j)
    hops = [f"        energy_{side}_hop: {energy:.6e}" for side, energy in zip(_SIDES, (north, north, east, east), strict=True)]
    hops += [f"        latency_{side}_hop: 0.0" for side in _SIDES]
    lines = [
        "architecture:",
        f"  name: {device.name}",
        "  attributes:",
        "    topology: mesh",
        f"    width: {width}",
        f"    height: {height}",
        "    link_buffer_size: 16",
        "    sync_model: table",
        "    latency_sync: {" + ", ".join(f"{tiles}: {value}" for tiles, value in sync.items()) + "}",
        "  tile:",
        f"    - name: tile[0..{width * height - 1}]",
        "      attributes:",
        *hops,
        "      core:",
        f"        - name: core[0..{cores - 1}]",
        "          attributes: {buffer_position: soma, max_neurons_supported: 65536}",
        "          axon_in:",
        f"            - {{name: in, attributes: {{energy_message_in: 0.0, latency_message_in: {float(device.axon_in_s):.6e}}}}}",
        "          synapse:",
        *(_synapse(device, kind) for kind in SYNAPSES),
        "          dendrite:",
        "            - {name: sum, attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}}",
        "          soma:",
        _soma(device),
        "          axon_out:",
        f"            - {{name: out, attributes: {{energy_message_out: {float(device.packet_j):.6e}, "
        f"latency_message_out: {float(device.axon_out_s):.6e}}}}}",
    ]
    return "\n".join(lines) + "\n"


_SIDES = ("north", "south", "east", "west")


def _synapse(device: NeuroDevice, kind: str) -> str:
    energy, time = (float(getattr(device, f"synapse_{kind}_{unit}")) for unit in ("j", "s"))
    return (
        f"            - {{name: {kind}, attributes: {{model: current_based, energy_process_spike: {energy:.6e}, "
        f"latency_process_spike: {time:.6e}}}}}"
    )


def _soma(device: NeuroDevice) -> str:
    names = (("access_neuron", "soma_access"), ("update_neuron", "soma_update"), ("spike_out", "soma_spike"))
    given = [
        f"{kind}_{theirs}: {float(getattr(device, f'{ours}_{unit}')):.6e}"
        for theirs, ours in names
        for kind, unit in (("energy", "j"), ("latency", "s"))
    ]
    return f"            - {{name: lif, attributes: {{model: leaky_integrate_fire, {', '.join(given)}}}}}"


def job(design: Design, *, cores: Sequence[int], chip_path: str) -> dict[str, Any]:
    """A run of a design.

    Args:
        design: the network.
        cores: cores of each population, the input's first; populations lie one after the other.
        chip_path: file of the chip.
    """
    starts = [0, *accumulate(cores)]
    shapes = [design.shape, *(layer.shape_out for layer in design.layers)]
    kinds = ["dense", *(layer.kind for layer in design.layers)]
    groups = [
        {
            "name": f"lif{i}",
            "count": size(shape),
            "lif": {"threshold": THRESHOLD, "reset": 0.0, "leak_decay": design.layers[i - 1].leak if i else 0.999},
            "synapse": kind,
            "cores": runs(shape, cores[i], starts[i], split=design.split),
        }
        for i, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
    ]
    groups[0]["bias"] = _biases(design)
    rates = [design.input_rate, *(layer.target_rate for layer in design.layers)]
    edges = [_edge(design, layer, i, rates[i]) for i, layer in enumerate(design.layers)]
    return {"chip": chip_path, "groups": groups, "edges": edges, "timesteps": design.timesteps, "timing": "simple"}


def _biases(design: Design) -> list[float]:
    """Constant currents of the input neurons: they fire at rates of their own around the design's."""
    dice = random.Random(design.seed)
    return [THRESHOLD * design.input_rate * dice.uniform(0.2, 1.8) for _ in range(size(design.shape))]


def _edge(design: Design, layer: Layer, index: int, rate: float) -> dict[str, Any]:
    """Weights of random sign around a mean that drives the population at about its target rate; their spread is that of its neurons."""
    drive = THRESHOLD * (layer.target_rate + (1 - layer.leak) / 2)
    mean = drive / (layer.fan_in * rate)
    found: dict[str, Any] = {
        "kind": layer.kind,
        "source": f"lif{index}",
        "target": f"lif{index + 1}",
        "seed": design.seed + index + 1,
        "count": layer.weight_count,
        "mean": mean,
        "deviation": layer.spread * mean * layer.fan_in**0.5,
    }
    if layer.kind == "conv":
        channels, height, width = layer.shape_in
        geometry = {"shape": [height, width, channels], "kernel": layer.kernel, "stride": layer.stride, "filters": layer.shape_out[0]}
        found |= geometry
    return found


def runs(shape: tuple[int, ...], cores: int, start: int, *, split: str) -> list[tuple[int, int]]:
    """Core of each neuron in order (channel, row, column) as runs of equal cores; pieces as in `events.cut`."""
    if len(shape) < 3 or split == "even":
        found = np.arange(size(shape)) * cores // size(shape)
    else:
        channels, rows, columns = pieces(shape, cores, split=split)
        at = [np.arange(side) * n // side for side, n in zip(shape, (channels, rows, columns), strict=True)]
        found = ((at[0][:, None, None] * rows + at[1][:, None]) * columns + at[2]).ravel()
    return [(start + int(core), len(list(same))) for core, same in groupby(found.tolist())]


def pieces(shape: tuple[int, ...], cores: int, *, split: str) -> tuple[int, int, int]:
    """Pieces of an image along channels, rows and columns."""
    depth, height, width = shape
    if split == "channels":
        channels = min(cores, depth)
        rows = min(cores // channels, height)
        return channels, rows, min(cores // (channels * rows), width)
    rows = min(cores, height)
    columns = min(cores // rows, width)
    return min(cores // (rows * columns), depth), rows, columns
