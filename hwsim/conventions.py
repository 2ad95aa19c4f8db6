"""Energy by counting operations, as papers on spiking and low-bit networks do: no device, a named convention a number.

E = e_mac x (multiply-accumulates of layers whose input is no spikes) x T + e_ac x sum over the others of (firing rate x T x operations),
with the energies of 45 nm arithmetic (Horowitz, ISSCC 2014). Conventions differ in what counts as a spike, in the energies and in whether
memory counts; a number without its convention says little, so none is mixed with another or with the energy of a chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwsim.errors import UnknownName
from hwsim.graph import Graph, Node
from hwsim.ops.spiking import SPIKING
from hwsim.rates import Rates


@dataclass(frozen=True)
class Convention:
    """What an operation costs, and which inputs are spikes."""

    name: str
    summary: str
    source: str
    multiply_j: float
    add_j: float
    integers_fire: bool = False
    """Whether sums of spikes (small integers) count as spikes."""
    memory_j_per_b: float = 0.0
    """Energy a byte read or written, in the formats of the graph."""

    @property
    def mac_j(self) -> float:
        """A multiply-accumulate."""
        return self.multiply_j + self.add_j


_HOROWITZ = "Horowitz, ISSCC 2014, 45 nm, fp32: multiply 3.7 pJ, add 0.9 pJ"
_PAPERS = {
    "spikformer": "Spikformer, arXiv:2209.15425",
    "strict-binary": "Spikingformer, arXiv:2304.11954",
    "ecoformer": "EcoFormer, arXiv:2209.09004",
    "with-memory": "STEP's 3.12 pJ a bit, as spikingjelly has it",
}
_FP32 = {"multiply_j": 3.7e-12, "add_j": 0.9e-12}
_BITNET_45 = "BitNet, arXiv:2310.11453; Horowitz 2014: fp16 multiply 1.1 pJ, add 0.4 pJ"
_BITNET_7 = "BitNet b1.58 2B4T, arXiv:2504.12285: fp16 multiply 0.34 pJ, add 0.16 pJ"


def _fp32(name: str, summary: str, *, integers_fire: bool = False, memory_j_per_b: float = 0.0) -> Convention:
    source = f"{_PAPERS[name]}; {_HOROWITZ}"
    return Convention(name, summary, source, integers_fire=integers_fire, memory_j_per_b=memory_j_per_b, **_FP32)


CONVENTIONS = {
    c.name: c
    for c in (
        _fp32("spikformer", "accumulates on spikes and on sums of spikes, multiply-accumulates elsewhere", integers_fire=True),
        _fp32("strict-binary", "accumulates where inputs are 0 or 1, multiply-accumulates elsewhere"),
        _fp32("ecoformer", "multiplications and additions apart"),
        Convention("bitnet-45nm", "fp16 arithmetic at 45 nm", _BITNET_45, 1.1e-12, 0.4e-12),
        Convention("bitnet-7nm", "fp16 arithmetic at 7 nm", _BITNET_7, 0.34e-12, 0.16e-12),
        _fp32("with-memory", "strict-binary, and every byte moved", memory_j_per_b=24.96e-12),
    )
}
"""Conventions by name."""


def convention(name: str) -> Convention:
    """The convention called `name`.

    Raises:
        UnknownName: there is none.
    """
    try:
        return CONVENTIONS[name]
    except KeyError:
        raise UnknownName("convention", name, CONVENTIONS) from None


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
    def mean_rate(self) -> float:
        """Firing rate over all operations on spikes."""
        dense = sum(layer.dense_ops for layer in self.layers if layer.acs)
        return self.acs / dense if dense else 0.0


def operation_energy(graph: Graph, *, convention: Convention, rates: Rates | None = None) -> OperationEnergy:
    """Operation-count energy of one inference.

    Args:
        rates: firing rates of the inputs of layers, by path; without, each tensor's density, and `Rates.default` where that says nothing.

    Raises:
        InputError: a rate out of range, or a layer on spikes that a rates file leaves out.
    """
    known = rates or Rates()
    timesteps = int(graph.attrs.get("timesteps") or 1)
    spikes = Spikes(graph, integers_fire=convention.integers_fire)
    heavy = [(node, graph.work_of(node)) for node in graph.nodes if node.kind in ("conv", "linear", "matmul")]
    known.check({node.path for node, _ in heavy}, needed={n.path for n, _ in heavy if any(spikes.fires(t) for t in _data(graph, n))})
    layers = tuple(_layer(graph, node, work, convention, known, spikes, timesteps) for node, work in heavy)
    return OperationEnergy(graph, convention, timesteps, layers)


def _data(graph: Graph, node: Node) -> list[str]:
    """Operands that are no weights."""
    return [t for t in node.inputs if graph.tensors[t].role in ("activation", "input")]


def _layer(graph: Graph, node: Node, work: Any, chosen: Convention, rates: Rates, spikes: Spikes, timesteps: int) -> LayerEnergy:
    data = _data(graph, node)
    bias = graph.tensors[node.outputs[0]].size if node.kind in ("conv", "linear") and len(node.inputs) > 2 else 0
    repeats = 1 if spikes.averaged(data[0]) else timesteps
    dense = float(work.macs + bias) * repeats
    rate, assumed = rates.of(node.path, [spikes.origin(t) for t in data], graph) if any(map(spikes.fires, data)) else (1.0, False)
    acs = dense * rate if any(map(spikes.fires, data)) else 0.0
    macs = 0.0 if acs or any(map(spikes.fires, data)) else dense
    moved = chosen.memory_j_per_b * (work.read_b + work.written_b) * repeats
    return LayerEnergy(node.path, node.kind, dense, macs, acs, rate, assumed, macs * chosen.mac_j + acs * chosen.add_j + moved)


class Spikes:
    """Which tensors of a graph are spikes."""

    THROUGH = frozenset({"reshape", "transpose", "slice", "split", "expand", "copy", "concat", "pad"})

    def __init__(self, graph: Graph, *, integers_fire: bool) -> None:
        self.graph, self.integers_fire = graph, integers_fire

    def fires(self, tensor: str) -> bool:
        """Whether a tensor is 0 or 1 (or, where they count, a sum of such)."""
        node = self.graph.producer.get(tensor)
        if node is None:
            return False
        if node.kind == "neuron":
            return node.attrs["model"] in SPIKING
        if node.kind in self.THROUGH or (node.kind == "pool" and node.attrs.get("fn") == "max"):
            return all(self.fires(t) for t in node.inputs)
        if node.kind == "elementwise" and (node.attrs["fn"] == "mul" or (self.integers_fire and node.attrs["fn"] == "add")):
            return all(self.fires(t) for t in node.inputs)
        return False

    def origin(self, tensor: str) -> str:
        """The tensor that a view shows."""
        node = self.graph.producer.get(tensor)
        return self.origin(node.inputs[0]) if node is not None and node.kind in self.THROUGH else tensor

    def averaged(self, tensor: str) -> bool:
        """Whether a tensor is a mean over the image and the timesteps, which is made once."""
        node = self.graph.producer.get(tensor)
        return node is not None and node.kind == "reduce" and node.attrs["fn"] == "mean"


def counted_energy_j(chosen: Convention, *, multiplications: float, additions: float) -> float:
    """Energy of so many multiplications and additions.

    >>> round(counted_energy_j(convention("ecoformer"), multiplications=0.54e9, additions=0.56e9) * 1e3, 3)
    2.502
    """
    return multiplications * chosen.multiply_j + additions * chosen.add_j
