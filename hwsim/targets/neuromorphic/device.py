"""A neuromorphic chip as the cost functions see it: cores and their limits, energy and time of events, power that flows anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.quantities import Field, Quantity

FIELDS: Mapping[str, Field] = {
    "core_count": Field("1", doc="neuromorphic cores"),
    "neurons_per_core": Field("1", doc="neurons (compartments) that a core holds"),
    "synapse_bits_per_core": Field("1", doc="memory of a core for synapses and their tables, bits"),
    "weight_bits": Field("1", required=False, default=8.0, doc="bits of a stored weight"),
    "synapse_overhead_bits": Field("1", required=False, default=0.0, doc="bits beside the weight of a stored synapse (address, delay)"),
    "axons_in_per_core": Field("1", required=False, default=1e9, doc="input axons of a core; 1e9 where there is no published limit"),
    "axons_out_per_core": Field("1", required=False, default=1e9, doc="output axons of a core, likewise"),
    "shared_weights": Field(
        "1", required=False, default=1.0, doc="1 where convolutions share their weights in memory, 0 where every synapse is stored"
    ),
    "cores_per_tile": Field("1", required=False, default=1.0, doc="cores at a router"),
    "mesh_width": Field("1", required=False, default=1.0, doc="routers in a row; 1 by 1 where there is no mesh"),
    "mesh_height": Field("1", required=False, default=1.0, doc="routers in a column"),
    "soma_access_j": Field("J", required=False, doc="energy of looking at a neuron, each timestep"),
    "soma_update_j": Field("J", required=False, doc="of updating one that received something"),
    "soma_spike_j": Field("J", required=False, doc="of firing"),
    "synapse_dense_j": Field("J", required=False, doc="of a synaptic operation, dense connection"),
    "synapse_sparse_j": Field("J", required=False, doc="the same, sparse connection"),
    "synapse_conv_j": Field("J", required=False, doc="the same, convolution"),
    "packet_j": Field("J", required=False, doc="of a spike message that leaves a core"),
    "hop_east_j": Field("J", required=False, doc="of a hop in a row of the mesh"),
    "hop_north_j": Field("J", required=False, doc="of a hop in a column"),
    "soma_access_s": Field("s", required=False, doc="time of looking at a neuron, each timestep"),
    "soma_update_s": Field("s", required=False, doc="of updating one"),
    "soma_spike_s": Field("s", required=False, doc="of firing"),
    "axon_out_s": Field("s", required=False, doc="of sending a message"),
    "axon_in_s": Field("s", required=False, doc="of receiving one"),
    "synapse_dense_s": Field("s", required=False, doc="of a synaptic operation, dense connection"),
    "synapse_sparse_s": Field("s", required=False, doc="the same, sparse connection"),
    "synapse_conv_s": Field("s", required=False, doc="the same, convolution"),
    "barrier_s": Field("s", required=False, doc="end of a timestep with one tile in use"),
    "barrier_doubling_s": Field("s", required=False, doc="added whenever the tiles in use double"),
    "barrier_limit_s": Field("s", required=False, doc="most that the barrier takes; 0: no limit"),
    "static_w": Field("W", required=False, doc="power of the chip with nothing to do"),
    "host_w": Field("W", required=False, doc="further power of host and I/O while it runs"),
    "host_timestep_s": Field("s", required=False, doc="time of host and I/O each timestep, where it was measured"),
    "host_inference_s": Field("s", required=False, doc="the same each inference"),
}
"""Every quantity of a neuromorphic chip; energies and times that nobody published are 0 and say so in their note."""


@dataclass(frozen=True, kw_only=True)
class NeuroDevice:
    """Limits, energies and times of a chip. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`."""

    name: str
    vendor: str = "generic"
    architecture: str = "generic"
    core_count: Array
    neurons_per_core: Array
    synapse_bits_per_core: Array
    weight_bits: Array = 8.0
    synapse_overhead_bits: Array = 0.0
    axons_in_per_core: Array = 1e9
    axons_out_per_core: Array = 1e9
    shared_weights: Array = 1.0
    cores_per_tile: Array = 1.0
    mesh_width: Array = 1.0
    mesh_height: Array = 1.0
    soma_access_j: Array = 0.0
    soma_update_j: Array = 0.0
    soma_spike_j: Array = 0.0
    synapse_dense_j: Array = 0.0
    synapse_sparse_j: Array = 0.0
    synapse_conv_j: Array = 0.0
    packet_j: Array = 0.0
    hop_east_j: Array = 0.0
    hop_north_j: Array = 0.0
    soma_access_s: Array = 0.0
    soma_update_s: Array = 0.0
    soma_spike_s: Array = 0.0
    axon_out_s: Array = 0.0
    axon_in_s: Array = 0.0
    synapse_dense_s: Array = 0.0
    synapse_sparse_s: Array = 0.0
    synapse_conv_s: Array = 0.0
    barrier_s: Array = 0.0
    barrier_doubling_s: Array = 0.0
    barrier_limit_s: Array = 0.0
    static_w: Array = 0.0
    host_w: Array = 0.0
    host_timestep_s: Array = 0.0
    host_inference_s: Array = 0.0
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "neuromorphic"

    @classmethod
    def from_shelf(cls, name: str) -> NeuroDevice:
        """The chip called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such chip, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        return cls(**described(name, family="neuromorphic", fields=FIELDS, text=("vendor", "architecture")))

    def with_overrides(self, overrides: Mapping[str, Any], /) -> NeuroDevice:
        """A copy with other quantities; text carries units, arrays are columns of points, `(points, 1)`.

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="a neuromorphic chip")
