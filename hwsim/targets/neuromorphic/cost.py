"""Energy and time of spiking populations on cores: the events of every timestep (`events.py`), a barrier, static power, host and I/O.

A timestep takes the busiest core, the barrier and the host. Static power and host stand apart from the events: on boards they are most of
what a meter reads. Timesteps are alike unless statistics of layers say how many neurons fired in each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.arrays import Array, somewhere
from hwsim.cost import Cost, Parts, Program, Resource
from hwsim.targets.neuromorphic.cores import Allocation, allocate
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.events import Events, Times, Traffic, awake, barrier, driven, event_energy_j, events, heard, times, traffic
from hwsim.targets.neuromorphic.lower import ConnectionColumns
from hwsim.targets.neuromorphic.mapping import NeuroMapping

UNLIMITED = 1e9
"""What a limit stands at that nobody has published."""
PARTS = {"soma": ("soma_access", "soma_update", "soma_spike"), "synapse": ("synapse",), "network": ("packet", "hop")}
"""Parts of the energy of events, by what they are summed to."""


@dataclass(frozen=True)
class Moment:
    """So many timesteps that are alike."""

    steps: float
    rate: Array
    """Spikes a source."""
    rate_out: Array
    """Spikes a neuron of the population behind."""
    awake: Array
    """Share of its neurons that are updated."""
    operations: Array
    """Share of the synapses of a connection that a spike comes to."""


def program_cost(program: Program, *, device: NeuroDevice, mapping: NeuroMapping) -> Cost:
    """Pure array function of program, device and mapping."""
    c: Any = program.tables[0].columns
    steps = float(timesteps(program, mapping))
    allocation = known_cores(allocate(c, device), c)
    t = traffic(c, used=allocation.used, own=allocation.own, device=device, split=mapping.split)
    shared = allocation.needed if device.partition == "shared" else None
    happened, busy, longest = total(c, t, device, list(moments(c, t, mapping, steps)), shared=shared)
    in_use = np.sum(allocation.own, axis=-1, keepdims=True) if shared is None else shared
    tiles = np.ceil(_flat(in_use) / _flat(device.cores_per_tile))
    latency = longest + steps * (barrier(tiles, flat_times(device)) + _flat(device.host_timestep_s)) + _flat(device.host_inference_s)
    energy = event_energy_j(happened, c, device)
    parts = {name: np.sum(value, axis=-1) for name, value in energy.items()}
    sums = {name: sum(parts[p] for p in members) for name, members in PARTS.items()}
    rows = sum(energy.values())
    return Cost(
        latency_s=latency,
        interval_s=latency,
        row_latency_s=busy.busiest,
        row_parts_s=Parts(compute=busy.synapse, memory=busy.axon, overhead=busy.soma),
        energy_j=Parts(
            compute=sums["synapse"],
            overhead=sums["soma"],
            conversion=sums["network"],
            static=_flat(device.static_w) * latency,
            host=_flat(device.host_w) * latency,
        ),
        row_energy_j=rows,
        memory=program.memory,
        resources=resources(allocation, device),
        extra={
            "timesteps": steps,
            "timestep_s": latency / steps,
            **{name: np.sum(getattr(happened, name), axis=-1) for name in ("synaptic_operations", "spikes", "updates", "packets", "hops")},
            **{f"{name}_j": value for name, value in {**sums, **parts}.items()},
        },
        row_resources={"cores": allocation.own + 0 * rows},
        row_extra={
            "neurons": c.neurons + 0 * rows,
            "rate": happened.synaptic_operations / np.maximum(c.synapses, 1e-300) / steps,
            "synaptic_operations": happened.synaptic_operations,
            "limit": allocation.limit + 0 * rows,
        },
        limits=limits(allocation, c, device),
    )


def limits(found: Allocation, c: ConnectionColumns, device: NeuroDevice) -> dict[str, Array]:
    """What dividing a population does not help: inputs of a neuron over the axons of a core, its synapses over the core's memory."""
    inputs = np.where((found.inputs > device.axons_in_per_core) & (found.own > 0), 1.0, 0.0)
    over = {"input axons": np.max(inputs, axis=-1) > 0}
    if device.partition != "whole":
        bits = c.population_synapses / np.maximum(c.population_neurons, 1.0) * (device.weight_bits + device.synapse_overhead_bits)
        large = np.where((bits > device.synapse_bits_per_core) & (c.neurons > 0), 1.0, 0.0)
        over["synapses of a core"] = np.max(large, axis=-1) > 0
    return over


def known_cores(found: Allocation, c: ConnectionColumns) -> Allocation:
    """Cores as the statistics of layers give them, where they do."""
    if c.activity is None or np.all(np.isnan(c.activity.cores)):
        return found
    given = c.activity.cores
    used = np.where(np.isnan(given), found.used, given)
    own = np.where(found.own > 0, used, 0.0)
    return replace(found, used=used, own=own, needed=np.sum(own, axis=-1, keepdims=True))


def moments(c: ConnectionColumns, t: Traffic, mapping: NeuroMapping, steps: float) -> Iterator[Moment]:
    """Timesteps with their rates: one for all, or each as the statistics of layers have it."""
    given = mapping.firing_rate
    swept = not isinstance(given, int | float)
    rate = np.where((c.rate < 0) | (swept & (c.rate < 1)), given, c.rate)
    rate_out = np.where((c.rate_out < 0) | swept, given, c.rate_out)
    if c.activity is None:
        yield Moment(steps, rate, rate_out, awake(c, t, rate=rate, rate_out=rate_out, steps=steps), rate)
        return
    fired, count = c.activity.fired, len(c.activity.fired)
    inside, rest, before = np.sum(t.senders, axis=-1) > 0, np.ones_like(rate_out), np.zeros_like(rate)
    for i in range(count):
        out = np.where(np.isnan(fired[i]), rate_out, fired[i])
        came = np.where(inside, np.take(out, t.population, axis=-1) @ t.senders.T, rate)
        unheard = 1.0 - heard(c, t, before if count > 1 else came)
        found = np.where(driven(c, t), 1.0, 1.0 - rest * unheard)
        if count == 1:
            found = awake(c, t, rate=came, rate_out=out, steps=steps)
        rest, before = np.minimum(out + rest * unheard, 1.0), came
        updated, operations = c.activity.updated[i], c.activity.operations[i]
        yield Moment(
            steps / count,
            came,
            out,
            np.where(np.isnan(updated), found, updated),
            np.where(np.isnan(operations), came, operations),
        )


def total(
    c: ConnectionColumns, t: Traffic, device: NeuroDevice, found: list[Moment], *, shared: Array | None = None
) -> tuple[Events, Times, Array]:
    """Events and busy time of all timesteps, and the sum of their longest cores, shape `()` or `(points,)`.

    Args:
        c: connections and populations.
        t: where spikes go.
        device: the chip.
        found: the timesteps.
        shared: cores that hold all populations together, `(1,)` or `(points, 1)`; None where none holds two.
    """
    sums: list[Any] = [0.0] * len(Events.__dataclass_fields__)
    busy: list[Any] = [0.0] * len(Times.__dataclass_fields__)
    longest: Any = 0.0
    for m in found:
        e, spent = at(m, c, t, device)
        sums = [a + m.steps * b for a, b in zip(sums, vars(e).values(), strict=True)]
        busy = [a + m.steps * b for a, b in zip(busy, vars(spent).values(), strict=True)]
        longest = longest + m.steps * longest_core(spent, t, shared)
    return Events(*sums), Times(*busy), longest


def longest_core(spent: Times, t: Traffic, shared: Array | None) -> Array:
    """Time of the busiest core; where populations stand in the same cores theirs add up."""
    if shared is None:
        return np.max(spent.busiest, axis=-1)
    sending, receiving = (np.sum(t.own * busy, axis=-1) for busy in (spent.soma, spent.axon + spent.synapse))
    return np.maximum(sending, receiving) / _flat(shared)


def at(m: Moment, c: ConnectionColumns, t: Traffic, device: NeuroDevice) -> tuple[Events, Times]:
    """Events of one timestep and how long cores are busy with them."""
    e = events(c, t, rate=m.rate, rate_out=m.rate_out, awake=m.awake, operations=m.operations)
    return e, times(e, c, t, device)


def by_timestep(program: Program, *, device: NeuroDevice, mapping: NeuroMapping) -> dict[str, Array]:
    """Energy of events and time of each timestep that the statistics of layers tell apart, shape `(timesteps,)` each.

    Keys are those of `PARTS` with `_j`, and `time_s`, without host and I/O.
    """
    c: Any = program.tables[0].columns
    allocation = known_cores(allocate(c, device), c)
    t = traffic(c, used=allocation.used, own=allocation.own, device=device, split=mapping.split)
    tiles = np.ceil(np.sum(allocation.own, axis=-1) / device.cores_per_tile)
    rows: list[list[float]] = []
    for m in moments(c, t, mapping, timesteps(program, mapping)):
        e, spent = at(m, c, t, device)
        energy = event_energy_j(e, c, device)
        sums = [float(sum(np.sum(energy[p]) for p in members)) for members in PARTS.values()]
        rows.append([*sums, float(np.max(spent.busiest) + barrier(tiles, device))])
    return dict(zip((*(f"{name}_j" for name in PARTS), "time_s"), np.array(rows).T, strict=True))


def resources(allocation: Allocation, device: NeuroDevice) -> dict[str, Resource]:
    """Cores, and input axons of a core where the chip limits them: what a single neuron needs cannot be divided."""
    found = {"cores": Resource(_flat(allocation.needed), _flat(device.core_count))}
    if somewhere(device.axons_in_per_core < UNLIMITED):
        found["input axons a core"] = Resource(np.max(allocation.inputs, axis=-1, initial=0.0), _flat(device.axons_in_per_core))
    return found


def timesteps(program: Program, mapping: NeuroMapping) -> int:
    """Timesteps of one inference, times the samples of a batch, which run one after the other."""
    return int(mapping.timesteps or program.graph.attrs.get("timesteps") or 1) * int(program.graph.attrs.get("batch") or 1)


def flat_times(device: NeuroDevice) -> NeuroDevice:
    """The chip with the quantities of its barrier as `(points,)`."""
    names = ("barrier_s", "barrier_doubling_s", "barrier_limit_s", "barrier_plateau_s", "barrier_limit_tiles")
    return replace(device, **{name: _flat(getattr(device, name)) for name in names})


def _flat(value: Array) -> Array:
    """`(points, 1)` as `(points,)`."""
    value = value if hasattr(value, "ndim") else np.asarray(value)
    return value[..., 0] if value.ndim and value.shape[-1] == 1 else value
