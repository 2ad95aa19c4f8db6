"""Operations of a network under a convention, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hwsim.conventions.catalogue import Convention
from hwsim.conventions.spikes import Spikes
from hwsim.errors import InputError
from hwsim.graph import Graph, Node
from hwsim.rate_names import Layer, aligned
from hwsim.rates import Rates

__all__ = ["LayerEnergy", "OperationEnergy", "Spikes", "operation_energy"]


_ROLES: Mapping[str, Literal["product", "sum"]] = {"matmul": "product", "reduce": "sum"}


@dataclass(frozen=True, slots=True)
class LayerEnergy:
    """Operations of one layer over all timesteps of an inference."""

    path: str
    kind: str
    dense_ops: float
    """Multiply-accumulates of a dense layer, and the additions of its bias."""
    macs: float
    acs: float
    rate: float
    """Firing rate of the input; 1 where it is no spikes."""
    assumed: bool
    """Whether the rate is the default."""
    energy_j: float
    memory_b: float = 0.0
    """Bytes that the convention charges, where it charges any."""


@dataclass(frozen=True)
class OperationEnergy:
    """Operation-count energy of a network under one convention."""

    graph: Graph
    convention: Convention
    timesteps: int
    layers: tuple[LayerEnergy, ...]

    @cached_property
    def energy_j(self) -> float:
        """Of one inference."""
        return sum(layer.energy_j for layer in self.layers)

    @property
    def macs(self) -> float:
        """Multiply-accumulates that are charged."""
        return sum(layer.macs for layer in self.layers)

    @property
    def acs(self) -> float:
        """Accumulates that are charged."""
        return sum(layer.acs for layer in self.layers)

    @property
    def memory_j(self) -> float:
        """Share of memory in the energy."""
        return self.convention.memory_j_per_b * sum(layer.memory_b for layer in self.layers)

    @property
    def spiking_ops(self) -> float:
        """Accumulates if every input fired at every timestep."""
        return sum(layer.dense_ops for layer in self.layers if layer.acs or layer.rate < 1)

    @property
    def mean_rate(self) -> float:
        """Firing rate over all operations on spikes."""
        return self.acs / self.spiking_ops if self.spiking_ops else 0.0

    @property
    def assumed_count(self) -> int:
        """Layers whose rate is the default."""
        return sum(layer.assumed for layer in self.layers)


def operation_energy(graph: Graph, *, convention: Convention, rates: Rates | None = None) -> OperationEnergy:
    """Operation-count energy of one inference of the whole batch.

    Counted are convolutions, linear layers, products of matrices, recurrences and the column sums of attention without products (SDSA-1,
    tokens x width additions a timestep, arXiv:2307.01694); normalisation folds away, and neurons cost what memory does.

    Args:
        rates: firing rates of the inputs of layers, by path; without, each tensor's density, and `Rates.default` where that says nothing.

    Raises:
        InputError: a rate out of range, a layer on spikes that a rates file leaves out, or less than one timestep.
    """
    return _Counter(graph, convention, rates or Rates()).run()


def _timesteps(graph: Graph) -> int:
    found = graph.attrs.get("timesteps", 1)
    if found is None:
        return 1
    if not isinstance(found, int | float) or found < 1 or found != int(found):
        raise InputError(f"{graph.name}: timesteps is {found!r}; expected a whole number of at least 1 (build it with timesteps=4)")
    return int(found)


class _Counter:
    def __init__(self, graph: Graph, chosen: Convention, rates: Rates) -> None:
        self.graph, self.chosen = graph, chosen
        self.timesteps = _timesteps(graph)
        self.spikes = Spikes(graph, integers_fire=chosen.integers_fire)
        self.nodes = [node for node in graph.nodes if self._counted(node)]
        self.rates = aligned(rates, [self._named(n) for n in self.nodes if self._fired(n)], others={n.path for n in self.nodes})

    def run(self) -> OperationEnergy:
        layers = [self._layer(node) for node in self.nodes]
        if self.chosen.memory_j_per_b:
            layers += [self._neuron(node) for node in self.graph.nodes if node.kind == "neuron"]
        return OperationEnergy(self.graph, self.chosen, self.timesteps, tuple(layers))

    def _counted(self, node: Node) -> bool:
        if node.kind == "reduce":
            return node.attrs["fn"] == "sum" and self.spikes.fires(node.inputs[0])
        return node.kind == "lmu_memory" or self.graph.work_of(node).macs > 0

    def _data(self, node: Node) -> list[str]:
        """Operands that are no weights."""
        return [t for t in node.inputs if self.graph.tensors[t].role in ("activation", "input")]

    def _fired(self, node: Node) -> list[str]:
        """Operands that are spikes."""
        return [t for t in self._data(node) if self.spikes.fires(t)] if node.kind in ("conv", "linear", "matmul", "reduce") else []

    def _named(self, node: Node) -> Layer:
        return Layer(node.path, _ROLES.get(node.kind, "layer"), tuple(self.spikes.sources(t) for t in self._fired(node)))

    def _dense(self, node: Node) -> tuple[float, float]:
        """Operations a timestep if everything fired, and those of the bias."""
        work = self.graph.work_of(node)
        if node.kind == "reduce":
            return float(self.graph.tensors[node.inputs[0]].size), 0.0
        if node.kind == "lmu_memory":
            return float(work.macs or work.ops / 2), 0.0
        bias = self.graph.tensors[node.outputs[0]].size if node.kind in ("conv", "linear") and len(node.inputs) > 2 else 0
        return float(work.macs), float(bias)

    def _layer(self, node: Node) -> LayerEnergy:
        fired, data = self._fired(node), self._data(node)
        repeats = 1 if data and self.spikes.averaged(data[0]) else self.timesteps
        main, bias = (repeats * n for n in self._dense(node))
        rate, assumed = self._rate(node, fired)
        acs = (main + bias) * rate if fired else 0.0
        macs = 0.0 if fired else main + bias
        used_b = self._used_b(node, main * rate, bias) if self.chosen.memory_j_per_b else 0.0
        energy = macs * self.chosen.mac_j + acs * self.chosen.add_j + used_b * self.chosen.memory_j_per_b
        return LayerEnergy(node.path, node.kind, main + bias, macs, acs, rate, assumed, energy, used_b)

    def _rate(self, node: Node, fired: Sequence[str]) -> tuple[float, bool]:
        return self.rates.of(node.path, [self.spikes.origin(t) for t in fired], self.graph) if fired else (1.0, False)

    def _used_b(self, node: Node, uses: float, bias: float) -> float:
        """Bytes of weights, once an operation, and of biases, once an output."""
        weights = [self.graph.tensors[t] for t in node.inputs if self.graph.tensors[t].role in ("weight", "constant")]
        return (uses + bias) * weights[0].dtype.bits / 8 if weights else 0.0

    def _neuron(self, node: Node) -> LayerEnergy:
        """States, read and written every timestep."""
        states = 2 if node.attrs["model"] == "cubalif" else 1
        moved_b = 2 * states * self.graph.tensors[node.outputs[0]].bytes * self.timesteps
        return LayerEnergy(node.path, node.kind, 0.0, 0.0, 0.0, 1.0, False, moved_b * self.chosen.memory_j_per_b, moved_b)
