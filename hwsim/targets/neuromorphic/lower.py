"""From a spiking graph to populations and the connections between them, in closed form: no synapse is enumerated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Kernel, Memory, Program, Table
from hwsim.errors import UnsupportedOp
from hwsim.graph import Graph, Node
from hwsim.targets.neuromorphic.mapping import NeuroMapping

CONNECTIONS = ("conv", "linear", "matmul")
"""Kinds that are synapses."""
WIRES = frozenset(
    {"reshape", "transpose", "slice", "split", "expand", "copy", "concat", "pad", "norm", "pool", "elementwise", "reduce", "cast"}
    | {"delay", "previous"}
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
    """Synaptic operations if every source fired."""
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


def lower(graph: Graph, mapping: NeuroMapping) -> Program:
    """Connections of a network.

    Raises:
        UnsupportedOp: an operator that chips with neurons and synapses cannot do.
        InputError: a rates file that does not belong to the network.
    """
    lost = [(n.path or n.name, f"{n.kind} ({REMEDY})") for n in graph.nodes if n.kind not in (*CONNECTIONS, *WIRES, "neuron")]
    if lost:
        raise UnsupportedOp(lost, where=f"{graph.name} on a neuromorphic chip")
    rates, found = mapping.file, [n for n in graph.nodes if n.kind in CONNECTIONS]
    rates.check({n.path for n in found}, needed={n.path for n in found if any(_fired(graph, t) for t in _data(graph, n))})
    counted: set[str] = set()
    batch = int(graph.attrs.get("batch") or 1)
    rows = [_row(graph, node, rates, counted, batch) for node in found]
    names = tuple(ConnectionColumns.__dataclass_fields__)
    columns = ConnectionColumns(**{name: np.array([row[name] for row in rows], dtype=float) for name in names})
    kernels = tuple(Kernel(n.name, n.path, n.kind, (n.name, *_behind(graph, n)), i) for i, n in enumerate(found))
    assumed = int(np.sum(columns.rate < 0))
    words = (f"firing rates of {assumed} connections are assumed; give them with --map rates=FILE",) if assumed else ()
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
    return tuple(r.name for r in graph.consumers.get(node.outputs[0], ()) if r.kind == "norm")


def _row(graph: Graph, node: Node, rates: Any, counted: set[str], batch: int) -> dict[str, float]:
    data = _data(graph, node)
    output = graph.tensors[node.outputs[0]]
    population = _population(graph, node)
    key = node.name if population is None else population.name
    size = output.size if population is None else graph.tensors[population.outputs[0]].size
    neurons = 0.0 if key in counted else size / batch
    counted.add(key)
    rate, assumed = rates.of(node.path, data, graph) if any(_fired(graph, t) for t in data) else (1.0, False)
    synapses = graph.work_of(node).macs / batch
    density = graph.tensors[population.outputs[0]].density if population is not None else 1.0
    return {
        "neurons": neurons,
        "sources": graph.tensors[data[0]].size / batch,
        "synapses": synapses,
        "weights": float(sum(graph.tensors[t].size for t in node.inputs if graph.tensors[t].role == "weight")),
        "conv": float(node.kind == "conv"),
        "products": float(node.kind == "matmul"),
        "rate": -1.0 if assumed else rate,
        "rate_out": density if density < 1.0 else -1.0,
        "fan_in": synapses / max(1.0, output.size / batch),
    }
