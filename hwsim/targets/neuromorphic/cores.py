"""How many cores populations take, in closed form: no synapse is enumerated."""

from __future__ import annotations

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import ConnectionColumns


def cores(c: ConnectionColumns, device: NeuroDevice) -> Array:
    """Cores that each population and its connection take: by neurons, by synapse memory, by output axons; a fraction of none is one.

    Shared weights are kept once in every core of a convolution, others are spread with the neurons that they feed.
    """
    bits = device.weight_bits + device.synapse_overhead_bits
    by_neurons = np.ceil(c.neurons / device.neurons_per_core)
    stored = np.where((c.conv > 0) & (device.shared_weights > 0), c.weights, np.where(c.products > 0, 0.0, c.synapses))
    by_memory = np.ceil(stored * bits / device.synapse_bits_per_core)
    by_axons = np.ceil(c.neurons / device.axons_out_per_core)
    return np.maximum(np.maximum(by_neurons, by_memory), np.maximum(by_axons, 1.0))
