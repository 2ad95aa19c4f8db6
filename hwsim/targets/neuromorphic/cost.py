"""Energy and time of spiking populations on cores.

Events: a neuron is looked at every timestep, updated when something arrives, and fires; a spike is a message to every core of the next
population and a synaptic operation a connection. E = N T e_access + updates e_update + spikes e_spike + operations e_synapse + packets
e_packet + hops e_hop; a timestep takes the busiest core and a barrier that grows with the tiles in use (the event model of Boyle et al.,
SANA-FE, arXiv:2309.08073). Static power and host stand apart: on boards they are most of what a meter reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Cost, Parts, Program, Resource
from hwsim.targets.neuromorphic.cores import Allocation, allocate
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import ConnectionColumns
from hwsim.targets.neuromorphic.mapping import NeuroMapping

UNLIMITED = 1e9
"""What a limit stands at that nobody has published."""


@dataclass(frozen=True)
class Events:
    """What happens in one timestep, shape `(connections,)` or `(points, connections)`."""

    accesses: Array
    updates: Array
    spikes: Array
    synaptic_operations: Array
    packets: Array
    hops: Array


def events(c: ConnectionColumns, used: Array, device: NeuroDevice, *, tiles: Array, rate: Array, rate_out: Array) -> Events:
    """Events of one timestep.

    Args:
        used: cores of each row.
        tiles: in use, all rows together.
        rate: spikes a source and timestep.
        rate_out: the same of the population behind.
    """
    quiet = (1.0 - np.minimum(rate, 1.0)) ** np.maximum(c.fan_in, 1.0)
    reached = np.where(c.conv > 0, np.minimum(used, 2.0), used)
    packets = c.sources * rate * reached
    return Events(
        accesses=c.neurons + 0 * packets,
        updates=c.neurons * (1.0 - quiet),
        spikes=c.neurons * rate_out,
        synaptic_operations=c.synapses * rate,
        packets=packets,
        hops=packets * expected_hops(tiles, device),
    )


def expected_hops(tiles: Array, device: NeuroDevice) -> Array:
    """Mean distance of two tiles of the used part of the mesh, rows and columns together: (w - 1/w) / 3 along a side of w."""
    height = np.minimum(np.ceil(np.sqrt(tiles)), device.mesh_height)
    width = np.minimum(np.ceil(tiles / height), device.mesh_width)
    return (width - 1.0 / width) / 3.0 + (height - 1.0 / height) / 3.0


def event_energy_j(e: Events, c: ConnectionColumns, device: NeuroDevice) -> dict[str, Array]:
    """Energy of the events of one timestep by cause."""
    synapse = np.where(c.conv > 0, device.synapse_conv_j, device.synapse_dense_j)
    hop = (device.hop_east_j + device.hop_north_j) / 2
    return {
        "soma": e.accesses * device.soma_access_j + e.updates * device.soma_update_j + e.spikes * device.soma_spike_j,
        "synapse": e.synaptic_operations * synapse,
        "network": e.packets * device.packet_j + e.hops * hop,
    }


def program_cost(program: Program, *, device: NeuroDevice, mapping: NeuroMapping) -> Cost:
    """Pure array function of program, device and mapping."""
    c: Any = program.tables[0].columns
    steps = float(timesteps(program, mapping))
    allocation = allocate(c, device)
    used, needed = allocation.used, np.sum(allocation.own, axis=-1, keepdims=True)
    tiles = np.ceil(needed / device.cores_per_tile)
    given = mapping.firing_rate
    swept = not isinstance(given, int | float)
    rate = np.where((c.rate < 0) | (swept & (c.rate < 1)), given, c.rate)
    rate_out = np.where((c.rate_out < 0) | swept, given, c.rate_out)
    happened = events(c, used, device, tiles=tiles, rate=rate, rate_out=rate_out)
    energy = {name: steps * value for name, value in event_energy_j(happened, c, device).items()}
    times = _core_times(happened, c, used, device)
    busiest = np.max(sum(times.values()), axis=-1)
    step = busiest + barrier(_flat(tiles), device) + _flat(device.host_timestep_s)
    latency = steps * step + _flat(device.host_inference_s)
    rows = sum(energy.values())
    parts = {name: np.sum(value, axis=-1) for name, value in energy.items()}
    return Cost(
        latency_s=latency,
        interval_s=latency,
        row_latency_s=steps * sum(times.values()),
        row_parts_s=Parts(compute=steps * times["synapse"], memory=steps * times["axon"], overhead=steps * times["soma"]),
        energy_j=Parts(
            compute=parts["synapse"],
            overhead=parts["soma"],
            conversion=parts["network"],
            static=_flat(device.static_w) * latency,
            host=_flat(device.host_w) * latency,
        ),
        row_energy_j=rows,
        memory=program.memory,
        resources=resources(allocation, device),
        extra={
            "timesteps": steps,
            "timestep_s": step,
            "synaptic_operations": steps * np.sum(happened.synaptic_operations, axis=-1),
            "spikes": steps * np.sum(happened.spikes, axis=-1),
            "packets": steps * np.sum(happened.packets, axis=-1),
            "soma_j": parts["soma"],
            "synapse_j": parts["synapse"],
            "network_j": parts["network"],
        },
        row_resources={"cores": allocation.own + 0 * rows},
        row_extra={
            "neurons": c.neurons + 0 * rows,
            "rate": rate + 0 * rows,
            "synaptic_operations": steps * happened.synaptic_operations,
            **{f"cores by {name}": np.where(allocation.own > 0, value, 0.0) + 0 * rows for name, value in allocation.bounds.items()},
        },
    )


def resources(allocation: Allocation, device: NeuroDevice) -> dict[str, Resource]:
    """Cores, and input axons of a core where the chip limits them: what a single neuron needs cannot be divided."""
    found = {"cores": Resource(_flat(allocation.needed), _flat(device.core_count))}
    if np.any(np.asarray(device.axons_in_per_core) < UNLIMITED):
        found["input axons a core"] = Resource(np.max(allocation.inputs, axis=-1, initial=0.0), _flat(device.axons_in_per_core))
    return found


def timesteps(program: Program, mapping: NeuroMapping) -> int:
    """Timesteps of one inference, times the samples of a batch, which run one after the other."""
    return int(mapping.timesteps or program.graph.attrs.get("timesteps") or 1) * int(program.graph.attrs.get("batch") or 1)


def _core_times(e: Events, c: ConnectionColumns, used: Array, device: NeuroDevice) -> dict[str, Array]:
    """Time of the cores of each row in a timestep, work spread evenly over them."""
    synapse = np.where(c.conv > 0, device.synapse_conv_s, device.synapse_dense_s)
    soma = e.accesses * device.soma_access_s + e.updates * device.soma_update_s + e.spikes * (device.soma_spike_s + device.axon_out_s)
    return {
        "soma": soma / used,
        "synapse": e.synaptic_operations * synapse / used,
        "axon": e.packets * device.axon_in_s / used,
    }


def barrier(tiles: Array, device: NeuroDevice) -> Array:
    """Time of the end of a timestep with that many tiles in use."""
    grown = _flat(device.barrier_s) + _flat(device.barrier_doubling_s) * np.ceil(np.log2(np.maximum(tiles, 1.0)))
    limit = _flat(device.barrier_limit_s)
    return np.where(limit > 0, np.minimum(grown, np.where(limit > 0, limit, np.inf)), grown)


def _flat(value: Array) -> Array:
    """`(points, 1)` as `(points,)`."""
    value = np.asarray(value)
    return value[..., 0] if value.ndim and value.shape[-1] == 1 else value
