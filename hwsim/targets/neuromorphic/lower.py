"""From a spiking graph to populations and the connections between them, in closed form: no synapse is enumerated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Kernel, Memory, Program, Table
from hwsim.errors import UnsupportedOp
from hwsim.graph import Graph, Node
from hwsim.passes.spike_rates import fitted
from hwsim.targets.neuromorphic.mapping import NeuroMapping
from hwsim.targets.neuromorphic.populations import Reach, geometry, totals
from hwsim.targets.neuromorphic.statistics import Activity

CONNECTIONS = ("conv", "linear", "matmul")
"""Kinds that are synapses."""
WIRES = frozenset(
    {"reshape", "transpose", "slice", "split", "expand", "copy", "concat", "pad", "norm", "pool", "elementwise", "reduce", "cast"}
    | {"delay", "previous", "resize"}
)
"""Kinds that a chip does in its synapses or not at all: batch norms fold into weights, sums are currents, pools are connections."""
REMEDY = "train or convert the network with spiking neurons (kind `neuron`), or run this layer elsewhere"


@dataclass(frozen=True)
class ConnectionColumns:
    """Connections with the population that they end in, shape `(connections,)` each; one timestep of one sample."""

    neurons: Array
    """Neurons of the population behind it; 0 where another connection has counted them."""
    sources: Array
    """Neurons (or inputs) that feed it."""
    synapses: Array
    """Synaptic operations if every source fired; only of weights that are there."""
    sparse: Array
    """1 where weights are missing (their density is below 1)."""
    weights: Array
    """Different weights."""
    conv: Array
    """1 where weights are shared by positions."""
    products: Array
    """1 where both operands are spikes (attention)."""
    rate: Array
    """Spikes a source and timestep; negative where the mapping's default counts."""
    rate_out: Array
    """The same of the population behind it."""
    fan_in: Array
    """Sources of one neuron."""
    population: Array
    """Index of the row that counts the neurons it ends in."""
    feeds: Array
    """1 in column i where the population of row i is among the sources, shape `(connections, connections)`."""
    width: Array
    """Of the population as an image; 1 where it is none."""
    height: Array
    channels: Array
    kernel_width: Array
    """Of the window in the image before, pooling included; 0 where there is none."""
    kernel_height: Array
    stride_width: Array
    stride_height: Array
    groups: Array
    depth: Array
    """Input channels of a group."""
    image: Array
    """1 where the population is an image, or its weights are shared by positions."""
    population_neurons: Array
    """Neurons of the population, in all rows that end in it; likewise the next ones."""
    population_sources: Array
    """Neurons that connect to all of it, with a synapse each."""
    population_synapses: Array
    """Stored synapses, without those of shared weights."""
    population_weights: Array
    """Stored weights that positions share."""
    population_lists: Array
    """Inputs of a neuron by shared weights: taps of the window times channels of a group."""
    population_depth: Array
    """Input channels of a group, of all connections that share weights."""
    activity: Activity | None = None
    """What was observed of the layers, timestep by timestep."""


def lower(graph: Graph, mapping: NeuroMapping) -> Program:
    """Connections of a network, and populations that have none (neurons that the input drives).

    Raises:
        UnsupportedOp: an operator that chips with neurons and synapses cannot do.
        InputError: a rates file that does not belong to the network.
    """
    lost = [(n.path or n.name, f"{n.kind} ({REMEDY})") for n in graph.nodes if n.kind not in (*CONNECTIONS, *WIRES, "neuron")]
    if lost:
        raise UnsupportedOp(lost, where=f"{graph.name} on a neuromorphic chip")
    graph, rates = fitted(graph, mapping.file)
    linked = [n for n in graph.nodes if n.kind in CONNECTIONS]
    behind = {n.name: _population(graph, n) for n in linked}
    ends = {p.name for p in behind.values() if p is not None}
    found = [n for n in graph.nodes if n.name in behind or (n.kind == "neuron" and n.name not in ends)]
    reach = Reach(graph, [(n, behind.get(n.name) or n) for n in found], WIRES)
    batch = int(graph.attrs.get("batch") or 1)
    rows = [_row(graph, n, reach, rates, i, batch) for i, n in enumerate(found)]
    table = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]} if rows else {}
    activity = None
    if (known := mapping.statistics) is not None:
        steps = int(mapping.timesteps or graph.attrs.get("timesteps") or 1)
        activity = known.activity([(n.path, e.path) for n, e in zip(found, reach.ends, strict=True)], timesteps=steps)
    columns = ConnectionColumns(**table, feeds=reach.feeds(), **totals(table), activity=activity)
    kernels = tuple(Kernel(n.name, n.path, n.kind, (n.name, *_behind(graph, n)), i) for i, n in enumerate(found))
    assumed = int(np.sum(columns.rate < 0)) if activity is None or np.any(np.isnan(activity.fired)) else 0
    words = (f"firing rates of {assumed} connections are assumed; give them with --map rates=FILE",) if assumed else ()
    if mapping.timesteps is None and not graph.attrs.get("timesteps"):
        words += ("one timestep is assumed; give the number of an inference with --map timesteps=N",)
    return Program(
        "neuromorphic", graph, (Table("connection", columns, np.ones(len(rows))),), kernels, Memory(weights_b=graph.weight_b), words
    )


def _data(graph: Graph, node: Node) -> list[str]:
    return [t for t in node.inputs if graph.tensors[t].role in ("activation", "input")]


def _fired(graph: Graph, tensor: str) -> bool:
    """Whether a tensor comes from neurons through wires."""
    node = graph.producer.get(tensor)
    return node is not None and (node.kind in ("neuron", "previous") or (node.kind in WIRES and any(_fired(graph, t) for t in node.inputs)))


def _population(graph: Graph, node: Node) -> Node | None:
    """The neurons behind a connection; None where its sums are read out."""
    for reader in graph.consumers.get(node.outputs[0], ()):
        if reader.kind == "neuron":
            return reader
        if reader.kind in WIRES and (found := _population(graph, reader)) is not None:
            return found
    return None


def _behind(graph: Graph, node: Node) -> tuple[str, ...]:
    """What folds into a connection: the batch norm right behind it."""
    readers = graph.consumers.get(node.outputs[0], ()) if node.kind in CONNECTIONS else ()
    return tuple(r.name for r in readers if r.kind == "norm")


def _row(graph: Graph, node: Node, reach: Reach, rates: Any, index: int, batch: int) -> dict[str, float]:
    end = reach.ends[index]
    common = {
        "neurons": graph.tensors[end.outputs[0]].size / batch if reach.first(index) == index else 0.0,
        "population": float(reach.first(index)),
        **geometry(graph, node, end),
    }
    density = graph.tensors[end.outputs[0]].density if end.kind == "neuron" else 1.0
    rate_out = density if density != 1.0 else -1.0
    if node.kind == "neuron":
        nothing = dict.fromkeys(("sources", "synapses", "sparse", "weights", "conv", "products"), 0.0)
        return {**common, **nothing, "rate": 1.0, "rate_out": rate_out, "fan_in": 1.0}
    data, output = _data(graph, node), graph.tensors[node.outputs[0]]
    rate, assumed = rates.of(node.path, data, graph) if any(_fired(graph, t) for t in data) else (1.0, False)
    kept = min((graph.tensors[t].density for t in node.inputs if graph.tensors[t].role == "weight"), default=1.0)
    synapses = kept * graph.work_of(node).macs / batch
    return {
        **common,
        "sources": graph.tensors[data[0]].size / batch,
        "synapses": synapses,
        "sparse": float(kept < 1.0),
        "weights": float(sum(graph.tensors[t].size for t in node.inputs if graph.tensors[t].role == "weight")),
        "conv": float(node.kind == "conv"),
        "products": float(node.kind == "matmul"),
        "rate": -1.0 if assumed else rate,
        "rate_out": rate_out,
        "fan_in": synapses / max(1.0, output.size / batch),
    }
