"""A neuromorphic chip as the cost functions see it: cores and their limits, energy and time of events, power that flows anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import Field, Quantity

FIELDS: Mapping[str, Field] = {
    "core_count": Field("1", doc="neuromorphic cores"),
    "neurons_per_core": Field("1", doc="neurons (compartments) that a core holds"),
    "synapse_bits_per_core": Field("1", doc="memory of a core for synapses and their tables, bits"),
    "weight_bits": Field("1", required=False, default=8.0, doc="bits of a stored weight"),
    "synapse_overhead_bits": Field("1", required=False, default=0.0, doc="bits beside the weight of a stored synapse (address, delay)"),
    "axons_in_per_core": Field("1", required=False, default=1e9, doc="input axons of a core; 1e9 where there is no published limit"),
    "axons_out_per_core": Field("1", required=False, default=1e9, doc="output axons of a core, likewise"),
    "shared_axons": Field(
        "1", required=False, default=0.0, doc="1 where an input axon serves all channels of a pixel, 0 where every neuron needs its own"
    ),
    "multicast": Field(
        "1", required=False, default=0.0, doc="1 where an output axon reaches any number of cores, 0 where every core needs its own"
    ),
    "partial_sums": Field(
        "1", required=False, default=0.0, doc="1 where the inputs of a neuron may be divided among cores that add up, 0 where they may not"
    ),
    "synapse_word_bits": Field(
        "1", required=False, default=1.0, doc="the synapses of an axon begin in a new word of so many bits; 1 where they are packed"
    ),
    "compiler_neurons": Field(
        "1", required=False, default=1e9, doc="neurons that the compiler puts into a core at the most, whatever the core could hold"
    ),
    "padded_memory": Field(
        "1", required=False, default=0.0, doc="1 where addresses pad the sides of images, windows and channels in memory to powers of two"
    ),
    "chip_count": Field("1", required=False, default=1.0, doc="chips that can be joined, where somebody has; 1 where nobody has"),
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
    "barrier_plateau_s": Field("s", required=False, doc="most that it takes with fewer than barrier_limit_tiles in use; 0: no plateau"),
    "barrier_limit_tiles": Field("1", required=False, default=0.0, doc="tiles in use from which barrier_limit_s holds; 0: from the first"),
    "static_w": Field("W", required=False, doc="power of the chip with nothing to do"),
    "host_w": Field("W", required=False, doc="further power of host and I/O while it runs"),
    "host_timestep_s": Field("s", required=False, doc="time of host and I/O each timestep, where it was measured"),
    "host_inference_s": Field("s", required=False, doc="the same each inference"),
}
"""Every quantity of a neuromorphic chip; energies and times that nobody published are 0 and say so in their note."""


PARTITIONS = {
    "even": "as many neurons in a core as the tightest limit lets in",
    "halving": "the compiler of Loihi 2: images in tiles of powers of two, others divided until they fit",
    "shared": "populations share cores: as many as the tightest limit asks for all of them together",
    "whole": "a layer to a core, never divided; cores may differ",
}
"""How populations are divided among cores."""


@dataclass(frozen=True, kw_only=True)
class CoreKind:
    """Cores of one size on a chip whose cores differ."""

    count: int
    neurons: float
    synapse_bits: float


@dataclass(frozen=True, kw_only=True)
class NeuroDevice:
    """Limits, energies and times of a chip. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`."""

    name: str
    vendor: str = "generic"
    architecture: str = "generic"
    partition: str = "even"
    """One of `PARTITIONS`."""
    core_kinds: tuple[CoreKind, ...] = ()
    """Where the cores differ; empty where they are all alike."""
    core_count: Array
    neurons_per_core: Array
    synapse_bits_per_core: Array
    weight_bits: Array = 8.0
    synapse_overhead_bits: Array = 0.0
    axons_in_per_core: Array = 1e9
    axons_out_per_core: Array = 1e9
    shared_axons: Array = 0.0
    multicast: Array = 0.0
    partial_sums: Array = 0.0
    synapse_word_bits: Array = 1.0
    compiler_neurons: Array = 1e9
    padded_memory: Array = 0.0
    chip_count: Array = 1.0
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
    barrier_plateau_s: Array = 0.0
    barrier_limit_tiles: Array = 0.0
    static_w: Array = 0.0
    host_w: Array = 0.0
    host_timestep_s: Array = 0.0
    host_inference_s: Array = 0.0
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "neuromorphic"

    def __post_init__(self) -> None:
        if self.partition not in PARTITIONS:
            raise UnknownName("partition of a neuromorphic chip", self.partition, PARTITIONS)

    @classmethod
    def from_shelf(cls, name: str) -> NeuroDevice:
        """The chip called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such chip, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        raw = described(name, family="neuromorphic", fields=FIELDS, text=("vendor", "architecture"), other=("partition", "core_kinds"))
        kinds = tuple(_kind(name, i, k) for i, k in enumerate(raw.pop("core_kinds") or ()))
        if (held := sum(k.count for k in kinds)) not in (0, raw["core_count"]):
            raise InputError(f"{name}: core_kinds has {held} cores, core_count {raw['core_count']:g}; expected as many")
        partition = raw["partition"] or "even"
        return cls(**{**raw, "partition": partition, "core_kinds": kinds, "sources": {**raw["sources"], **_shown(partition, kinds)}})

    def with_overrides(self, overrides: Mapping[str, Any], /) -> NeuroDevice:
        """A copy with other quantities; text carries units, arrays are columns of points, `(points, 1)`.

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="a neuromorphic chip")


def _shown(partition: str, kinds: tuple[CoreKind, ...]) -> dict[str, Quantity]:
    """What is no number, for tables of a chip; nothing where it is as on most."""
    where = "docs/neuromorphic-model.md"
    found = (
        {}
        if partition == "even"
        else {"partition": Quantity(partition, source=where, status="published", note=PARTITIONS.get(partition, ""))}
    )
    sizes = ", ".join(f"{k.count} of {k.neurons:,.0f} neurons and {k.synapse_bits:,.0f} bits" for k in kinds)
    return {**found, **({"core_kinds": Quantity(f"{len(kinds)} kinds", source=where, status="published", note=sizes)} if kinds else {})}


def _kind(name: str, index: int, raw: Any) -> CoreKind:
    """One entry of `core_kinds`.

    Raises:
        InputError: not three positive numbers.
    """
    names = ("count", "neurons", "synapse_bits")
    if not isinstance(raw, Mapping) or set(raw) != set(names) or not all(isinstance(v, int | float) and v > 0 for v in raw.values()):
        raise InputError(f"{name}, core_kinds[{index}]: found {raw!r}; expected {', '.join(names)}, each a number above 0")
    return CoreKind(**{n: raw[n] for n in names})
