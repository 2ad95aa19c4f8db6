"""Random spiking networks: shapes, neurons and weights from a seed; the same design is a hwsim graph and a job for the simulator."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import conv, linear
from hwsim.zoo.spiking import neuron

THRESHOLD = 4096.0
SYNAPSES = 1_500_000
"""Most synapses of a network: the simulator holds each of them."""
NEURONS = 6_000


@dataclass(frozen=True)
class Layer:
    """A connection and the population behind it."""

    kind: str
    """dense or conv (no padding)."""
    shape_in: tuple[int, ...]
    """(neurons,) or (channels, height, width)."""
    shape_out: tuple[int, ...]
    target_rate: float
    """Rate that its weights aim at."""
    leak: float
    """Share of the potential that a timestep leaves."""
    spread: float
    """Deviation of the neurons' mean currents, relative to their mean."""
    kernel: int = 0
    stride: int = 1

    @property
    def fan_in(self) -> int:
        """Sources of a neuron."""
        return size(self.shape_in) if self.kind == "dense" else self.kernel**2 * self.shape_in[0]

    @property
    def synapses(self) -> int:
        """Connections of single neurons."""
        return self.fan_in * size(self.shape_out)

    @property
    def weight_count(self) -> int:
        """Different weights."""
        return self.synapses if self.kind == "dense" else self.fan_in * self.shape_out[0]


@dataclass(frozen=True)
class Design:
    """A network and how it is mapped and run."""

    kind: str
    """mlp or cnn."""
    seed: int
    input_rate: float
    layers: tuple[Layer, ...]
    timesteps: int
    neurons_per_core: int
    split: str
    """How populations of convolutions are split over cores: rows or channels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input population."""
        return self.layers[0].shape_in

    @property
    def name(self) -> str:
        """Kind, widths and a hash of everything."""
        widths = "-".join("x".join(map(str, s)) for s in (self.shape, *(layer.shape_out for layer in self.layers)))
        return f"{self.kind}_{widths}_{hashlib.sha256(repr(self).encode()).hexdigest()[:6]}"

    def graph(self, rates: Mapping[str, float] | None = None) -> Graph:
        """The network for hwsim; rates of populations by path (`lif0` is the input) become densities."""
        b = GraphBuilder(self.name, source=f"sanafe:{self.name}", batch=1, timesteps=self.timesteps)
        x = neuron(b, b.input("x", (1, *self.shape)), path="lif0")
        for i, layer in enumerate(self.layers, start=1):
            if layer.kind == "dense" and len(b.shape(x)) > 2:
                x = b.add("reshape", [x], path=f"flat{i}", shape=(1, size(layer.shape_in)))
            y = (
                linear(b, x, layer.shape_out[0], path=f"layer{i}", bias=False)
                if layer.kind == "dense"
                else conv(b, x, layer.shape_out[0], layer.kernel, path=f"layer{i}", stride=layer.stride, padding=0)
            )
            x = neuron(b, y, path=f"lif{i}")
        found = b.finish([x])
        return found if rates is None else known_rates(found, rates)


def known_rates(graph: Graph, rates: Mapping[str, float]) -> Graph:
    """The graph with the firing rates of its populations by path, also behind reshapes."""
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if node.kind == "neuron" and node.path in rates:
            tensors[node.outputs[0]] = replace(tensors[node.outputs[0]], density=rates[node.path])
        elif node.kind == "reshape":
            tensors[node.outputs[0]] = replace(tensors[node.outputs[0]], density=tensors[node.inputs[0]].density)
    return graph.replace(tensors=tensors)


def size(shape: tuple[int, ...]) -> int:
    """Neurons of a population."""
    found = 1
    for side in shape:
        found *= side
    return found


def designs(seed: int) -> Iterator[Design]:
    """Endless list of random designs; the same seed gives the same list."""
    dice = random.Random(seed)
    while True:
        found = _mlp(dice) if dice.random() < 0.5 else _cnn(dice)
        neurons = size(found.shape) + sum(size(layer.shape_out) for layer in found.layers)
        if sum(layer.synapses for layer in found.layers) <= SYNAPSES and neurons <= NEURONS:
            yield found


def _mlp(dice: random.Random) -> Design:
    widths = [dice.choice((64, 128, 196, 256, 400, 512, 784))]
    widths += [dice.choice((64, 100, 128, 200, 256, 300, 512, 700, 1000)) for _ in range(dice.randint(2, 4))]
    widths.append(dice.choice((10, 12, 20, 35, 64)))
    layers = [_layer(dice, "dense", (a,), (b,)) for a, b in pairwise(widths)]
    return _design(dice, "mlp", layers, "channels")


def _cnn(dice: random.Random) -> Design:
    shape = (dice.choice((1, 2, 3)), side := dice.choice((12, 14, 16, 20, 24, 28)), side)
    layers = []
    for _ in range(dice.randint(2, 3)):
        kernel, stride = dice.choice((3, 3, 5)), dice.choice((1, 1, 2))
        side = (shape[1] - kernel) // stride + 1
        if side < 4:
            break
        layers.append(_layer(dice, "conv", shape, (dice.choice((4, 8, 12, 16, 24)), side, side), kernel=kernel, stride=stride))
        shape = layers[-1].shape_out
    layers.append(_layer(dice, "dense", (size(shape),), (dice.choice((10, 20, 50)),)))
    return _design(dice, "cnn", layers, dice.choice(("rows", "channels")))


def _layer(dice: random.Random, kind: str, before: tuple[int, ...], after: tuple[int, ...], *, kernel: int = 0, stride: int = 1) -> Layer:
    rate, leak = round(dice.uniform(0.02, 0.25), 3), round(dice.uniform(0.8, 0.999), 3)
    return Layer(kind, before, after, rate, leak, round(dice.uniform(0.3, 1.0), 2), kernel, stride)


def _design(dice: random.Random, kind: str, layers: list[Layer], split: str) -> Design:
    return Design(
        kind=kind,
        seed=dice.randrange(2**31),
        input_rate=round(dice.uniform(0.03, 0.3), 3),
        layers=tuple(layers),
        timesteps=dice.choice((32, 64, 100)),
        neurons_per_core=dice.choice((64, 96, 128, 256, 512)),
        split=split,
    )
