"""How many cores populations take, in closed form: no synapse is enumerated, nothing is placed by trial.

Four limits of a core say how a population is divided: neurons, memory of synapses, input axons, output axons. `PARTITIONS` names the ways:
evenly; by halving, as the compiler of Loihi 2 does (`halving.py`); with cores that populations share (chips of one or two cores); or not at
all (`whole`, with cores that may differ).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.halving import halved
from hwsim.targets.neuromorphic.lower import ConnectionColumns

LIMITS = ("neurons", "synapse memory", "input axons", "output axons")
"""What may bind, in the order of `Allocation.bounds`."""


@dataclass(frozen=True)
class Allocation:
    """Cores of populations, shape `(connections,)` or `(points, connections)`."""

    used: Array
    """Cores of the population that a connection ends in."""
    own: Array
    """The same, 0 where another connection has counted them."""
    bounds: Mapping[str, Array]
    """Cores that each of `LIMITS` alone asks for."""
    inputs: Array
    """Input axons that a single neuron of the population needs, whatever the division."""
    needed: Array
    """Cores in total, shape `(1,)` or `(points, 1)`; above those of the chip where no core is large enough for a layer."""

    @property
    def limit(self) -> Array:
        """Which of `LIMITS` asks for most cores, from 1; 0 where one core does or another row has counted them."""
        bounds = np.stack(np.broadcast_arrays(*self.bounds.values()))
        return np.where(self.own > 1, np.argmax(bounds, axis=0) + 1.0, 0.0)


def allocate(c: ConnectionColumns, device: NeuroDevice) -> Allocation:
    """Divide the populations among cores."""
    bounds, inputs = own_bounds(c, device), needed_inputs(c, device)
    divided = halved(c, device) if device.partition == "halving" else reduce(np.maximum, bounds.values())
    out = output_bound(c, device, divided)
    used = np.ones_like(out) if device.partition == "whole" else np.maximum(divided, out)
    first = c.population == np.arange(c.population.shape[-1])
    own = np.where(first, used, 0.0)
    if device.partition == "whole":
        needed = np.sum(own, axis=-1, keepdims=True) + np.maximum(shortage(c, device), 0.0)
    elif device.partition == "shared":
        needed = shared_cores(c, device)
    else:
        needed = np.sum(own, axis=-1, keepdims=True)
    return Allocation(used, own, {**bounds, "output axons": out}, inputs, needed)


def shared_cores(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores that all populations need together, shape `(1,)` or `(points, 1)`, where they may stand beside each other in one."""
    neurons, bits = shared_need(c, device)
    return np.maximum(np.ceil(np.maximum(neurons / device.neurons_per_core, bits / device.synapse_bits_per_core)), 1.0)


def shared_need(c: ConnectionColumns, device: NeuroDevice) -> tuple[Array, Array]:
    """Neurons and bits of synapses of all populations; a neuron takes a place in as many cores as its inputs do."""
    first = c.population == np.arange(c.population.shape[-1])
    bits = (c.population_synapses + _unrolled(c)) * (device.weight_bits + device.synapse_overhead_bits)
    split = np.where(device.partial_sums > 0, np.ceil(c.population_sources / device.axons_in_per_core), 1.0)
    neurons = c.population_neurons * np.maximum(split, 1.0)
    neurons, bits = (np.sum(np.where(first, value, 0.0), axis=-1, keepdims=True) for value in (neurons, bits))
    return neurons, bits + 0 * neurons


def cores(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores of the population that each connection ends in, 0 where another connection has counted them."""
    return allocate(c, device).own


def own_bounds(c: ConnectionColumns, device: NeuroDevice) -> dict[str, Array]:
    """Cores that neurons, memory and input axons of a population ask for, each alone; at least one.

    Shared weights stand once in every core that has some of their channels, others with the neurons that they feed. A core of an image sees
    a square of the image before, (side - kernel) / stride + 1 positions wide.
    """
    channels = channel_parts(c, device)
    room = np.minimum(device.neurons_per_core, device.compiler_neurons)
    positions = c.population_neurons / c.channels
    by_neurons = np.ceil(c.population_neurons / room)
    by_channels = channels * np.where(channels > 1, np.ceil(positions * np.ceil(c.channels / channels) / room), 1.0)
    stored = np.where(device.shared_weights > 0, c.population_synapses, c.population_synapses + _unrolled(c))
    bits = device.weight_bits + device.synapse_overhead_bits
    each = np.maximum(np.floor(device.synapse_bits_per_core * c.population_neurons / np.maximum(stored * bits, 1e-9)), 1.0)
    by_memory = np.maximum(by_channels, np.where(stored > 0, np.ceil(c.population_neurons / each), 1.0))
    split = np.where(device.partial_sums > 0, np.ceil(c.population_sources / device.axons_in_per_core), 1.0)
    by_inputs = np.maximum(_tiles(c, device), split * np.ceil(c.population_neurons / room))
    one = np.ones_like(c.neurons)
    return {name: np.maximum(value, one) for name, value in zip(LIMITS, (by_neurons, by_memory, by_inputs), strict=False)}


def channel_parts(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Parts into which the channels of an image are divided so that the shared weights of a part fit into a core."""
    bits = np.where(device.shared_weights > 0, c.population_weights, 0.0) * device.weight_bits
    return np.minimum(np.maximum(np.ceil(bits / device.synapse_bits_per_core), 1.0), c.channels)


def needed_inputs(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Input axons that one neuron alone needs in its core: its sources, or the window of a convolution."""
    window = c.kernel_width * c.kernel_height * np.where(device.shared_axons > 0, 1.0, c.population_depth)
    sources = np.where(device.partial_sums > 0, np.minimum(c.population_sources, device.axons_in_per_core), c.population_sources)
    return np.where(c.population_depth > 0, np.where(device.partial_sums > 0, 0.0, window), 0.0) + sources


def _unrolled(c: ConnectionColumns) -> Array:
    """Synapses of connections with shared weights if each were stored."""
    return c.population_lists * c.population_neurons


def _tiles(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores that an image asks for so that the square before it fits into the input axons of a core."""
    depth = np.where(device.shared_axons > 0, 1.0, np.maximum(c.population_depth, 1.0))
    axons = device.axons_in_per_core / depth
    rows = (c.height - 1.0) * c.stride_height + c.kernel_height
    columns = (c.width - 1.0) * c.stride_width + c.kernel_width
    high = np.minimum(rows, np.floor(np.sqrt(axons)))
    wide = np.minimum(columns, np.floor(axons / np.maximum(high, 1.0)))
    down = np.maximum(np.floor((high - c.kernel_height) / np.maximum(c.stride_height, 1.0)) + 1.0, 1.0)
    across = np.maximum(np.floor((wide - c.kernel_width) / np.maximum(c.stride_width, 1.0)) + 1.0, 1.0)
    tiles = np.ceil(c.height / down) * np.ceil(c.width / across)
    together = np.maximum(np.floor(axons / np.maximum(rows * columns, 1.0)), 1.0)
    tiles = tiles * np.where(device.shared_axons > 0, 1.0, np.ceil(c.groups / np.minimum(together, c.groups)))
    return np.where(c.kernel_width > 0, tiles, 1.0)


def output_bound(c: ConnectionColumns, device: NeuroDevice, used: Array) -> Array:
    """Cores that the output axons ask for: one a neuron and core reached, or one a neuron.

    A neuron reaches all cores of the next population, two of a convolution's, and of a product of spikes those with its targets.
    """
    size = np.maximum(c.population_neurons / used, 1.0)
    met = np.minimum(np.ceil(c.synapses / np.maximum(c.sources, 1.0) / size) + 1.0, used)
    spread = np.where(c.conv > 0, np.minimum(used, 2.0), np.where(c.products > 0, met, used))
    reached = np.maximum(spread @ c.feeds, 1.0)
    populations = np.where(device.multicast > 0, 1.0, np.take(reached, c.population.astype(int), axis=-1))
    each = np.maximum(np.floor(device.axons_out_per_core / populations), 1.0)
    return np.maximum(np.ceil(c.population_neurons / each), 1.0)


def whole_need(c: ConnectionColumns, device: NeuroDevice) -> tuple[Array, Array]:
    """Neurons and bits of synapses of each population in one core.

    With `padded_memory`, images of f channels take f 2^(ceil(log2 width) + ceil(log2 height)) neurons, and windows on c channels
    c 2^(ceil(log2 taps) + ceil(log2 f)) weights (sinabs, memory summary of a DynapCNN layer).
    """
    padded = device.padded_memory > 0
    sides = _power_of_two(c.width) * _power_of_two(c.height)
    neurons = np.where(padded & (c.image > 0), c.channels * sides, c.population_neurons)
    taps = c.population_lists / np.maximum(c.population_depth, 1.0)
    windows = c.population_depth * c.groups * _power_of_two(taps) * _power_of_two(c.channels)
    dense = c.population_sources * _power_of_two(c.population_neurons)
    shared = np.where(device.shared_weights > 0, c.population_weights, _unrolled(c))
    weights = np.where(padded, windows + dense, shared + c.population_synapses)
    return neurons, weights * (device.weight_bits + device.synapse_overhead_bits)


def _power_of_two(value: Array) -> Array:
    return 2.0 ** np.ceil(np.log2(np.maximum(value, 1.0)))


def shortage(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Layers that find no core of their own on a chip that does not divide them, beyond cores left over, shape `(1,)` or `(points, 1)`.

    By Hall's theorem the largest assignment leaves out as many as the worst set of kinds of cores has layers too many that no other kind
    could take. Counted against all cores: layers left out, less the cores that stay free.
    """
    takes, counts = candidates(c, device)
    first = c.population == np.arange(c.population.shape[-1])
    worst: Array = 0.0
    for size in range(len(takes) + 1):
        for chosen in combinations(range(len(takes)), size):
            elsewhere = [take for i, take in enumerate(takes) if i not in chosen]
            free = np.logical_or.reduce(elsewhere) if elsewhere else np.zeros_like(takes[0])
            alone = np.sum(np.where(first & ~free, 1.0, 0.0), axis=-1, keepdims=True)
            worst = np.maximum(worst, alone - sum(counts[i] for i in chosen))
    free_cores = device.core_count - np.sum(first, axis=-1, keepdims=True)
    return np.where(worst > 0, worst + np.maximum(free_cores, 0.0), 0.0)


def candidates(c: ConnectionColumns, device: NeuroDevice) -> tuple[list[Array], list[Array]]:
    """Whether each kind of core can hold each population alone, and how many there are of the kind."""
    neurons, bits = whole_need(c, device)
    kinds = [(k.neurons, k.synapse_bits, k.count) for k in device.core_kinds]
    kinds = kinds or [(device.neurons_per_core, device.synapse_bits_per_core, device.core_count)]
    return [(neurons <= n) & (bits <= m) for n, m, _ in kinds], [count for *_, count in kinds]
