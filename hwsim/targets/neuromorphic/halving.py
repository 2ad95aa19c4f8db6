"""How the compiler of Loihi 2 divides populations, from the partitions that public notebooks of lava-dl print.

Images: channels are halved until the weights of a core fit; a core then takes a tile of 2^i columns and ceil(height / 2^j) rows, of at most
4095 neurons with columns beyond the image included; of all such tiles, one that leaves fewest cores. Others: cores of 4095 neurons at
first; where a core exceeds a limit r times over, its neurons are divided by ceil(r) and rounded down, until none does. In memory every
input of a core begins a new word of 64 bits.

*Fitted* on the printed partitions of PilotNet LIF (74 cores), Oxford (5) and YOLO-KP (574), all layers of which it gives, with the
iterations that are printed on the way.
"""

from __future__ import annotations

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import ConnectionColumns


def halved(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores of the population of each row."""
    return np.where(c.image > 0, tiled(c, device), divided(c, device))


def room(device: NeuroDevice) -> Array:
    """Neurons that a core takes at the most."""
    return np.minimum(device.neurons_per_core, device.compiler_neurons)


def words(bits: Array, device: NeuroDevice) -> Array:
    """Memory of the synapses of one input, in bits of whole words."""
    return np.ceil(bits / device.synapse_word_bits) * device.synapse_word_bits


def divided(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores of a population without a shape."""
    bits = device.weight_bits + device.synapse_overhead_bits
    size = room(device) + 0 * c.population_neurons
    for _ in range(int(np.ceil(np.log2(float(np.max(size))))) + 1):
        held = np.minimum(c.population_neurons, size)
        memory = c.population_sources * words(held * bits, device) / device.synapse_bits_per_core
        over = np.maximum(memory, held / device.axons_out_per_core)
        size = np.where(over > 1.0, np.maximum(np.floor(size / np.ceil(over)), 1.0), size)
    return np.maximum(np.ceil(c.population_neurons / size), 1.0)


def tiled(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores of an image; as many as neurons where not even one channel of the weights fits."""
    channels = tile_channels(c, device)
    best = np.where(channels > 0, np.inf, c.population_neurons) + 0 * room(device)
    for i in range(_doublings(c.width)):
        rows = np.floor(room(device) / (2.0**i * np.maximum(channels, 1.0)))
        height = np.ceil(c.height / 2.0 ** np.ceil(np.log2(np.maximum(c.height / np.maximum(rows, 1.0), 1.0))))
        count = np.ceil(c.width / 2.0**i) * np.ceil(c.height / height) * np.ceil(c.channels / np.maximum(channels, 1.0))
        best = np.where(rows >= 1.0, np.minimum(best, count), best)
    return best


def tile_channels(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Most channels, halved as often as need be, whose weights fit into a core with a neuron each; 0 where one is too many."""
    found = np.zeros_like(c.channels)
    for k in range(_doublings(c.channels)):
        channels = np.ceil(c.channels / 2.0**k)
        fits = (tile_bits(c, channels, device) <= device.synapse_bits_per_core) & (channels <= room(device))
        found = np.where((found == 0) & fits, channels, found)
    return found


def tile_bits(c: ConnectionColumns, channels: Array, device: NeuroDevice) -> Array:
    """Bits of the shared weights of so many channels: a list of words for each tap and input channel that they see."""
    group = c.channels / c.groups
    seen = np.ceil(channels / group)
    return c.population_lists * seen * words(np.minimum(channels, group) * device.weight_bits, device)


def _doublings(size: Array) -> int:
    """Powers of two from 1 to the first that covers the largest size."""
    return int(np.ceil(np.log2(max(1.0, float(np.max(size, initial=1.0)))))) + 1
