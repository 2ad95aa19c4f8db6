"""Why a network does not fit on a chip: the population and the limit that bind, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwsim.cost import Program, Verdict
from hwsim.targets.neuromorphic.cores import LIMITS, Allocation, allocate, candidates, shared_need, whole_need
from hwsim.targets.neuromorphic.cost import program_cost
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.mapping import NeuroMapping
from hwsim.units import format_si

TIMES = ("soma_access_s", "soma_update_s", "synapse_dense_s", "synapse_conv_s", "barrier_s", "host_timestep_s", "host_inference_s")
"""Any of them makes a latency."""
SHOWN = 3
"""Populations that a sentence names."""


def verdict(program: Program, device: NeuroDevice, mapping: NeuroMapping) -> Verdict:
    """What stands against the mapping, and what of the answer nobody has published."""
    missing = [n for n in ("soma_update_j", "synapse_dense_j") if float(getattr(device, n)) == 0]
    words = [f"no published {' or '.join(missing)} of {device.name}: event energy is a lower bound"] if missing else []
    if not any(float(getattr(device, n)) for n in TIMES):
        words.append(f"no published times of {device.name}: latency 0 stands for unknown")
    found = allocate(program.tables[0].columns, device)
    return Verdict(blockers=tuple(blockers(program, device, found)), warnings=(*words, *guessed(program, device, mapping)))


def guessed(program: Program, device: NeuroDevice, mapping: NeuroMapping) -> Iterator[str]:
    """The range of the energy where that of events is fitted or assumed, from the ranges of the constants."""
    kinds = {q.status for n, q in device.sources.items() if n.endswith("_j") and q.value} & {"fitted", "assumed"}
    if kinds:
        low, high = energy_range_j(program, device, mapping)
        how = " and ".join(sorted(kinds))
        yield f"event energies of {device.name} are {how}: {format_si(low, 'J')} to {format_si(high, 'J')} over the ranges of its constants"


def energy_range_j(program: Program, device: NeuroDevice, mapping: NeuroMapping) -> tuple[float, float]:
    """Energy of an inference with all energies and powers of the chip at the low, and at the high end of their ranges."""
    ends = []
    for end in ("low", "high"):
        known = {n: getattr(q, end) for n, q in device.sources.items() if n.endswith(("_j", "_w"))}
        chip = device.with_overrides({n: value for n, value in known.items() if value is not None})
        ends.append(float(program_cost(program, device=chip, mapping=mapping).energy_j.total))
    return ends[0], ends[1]


def blockers(program: Program, device: NeuroDevice, found: Allocation) -> Iterator[str]:
    """Each completes the sentence `it ...`."""
    yield from _inputs(program, device, found)
    yield from _synapses(program, device)
    if device.partition == "whole":
        yield from _whole(program, device)
    elif float(found.needed[0]) > float(device.core_count):
        yield _shared(program, device) if device.partition == "shared" else _cores(program, device, found)


def _inputs(program: Program, device: NeuroDevice, found: Allocation) -> Iterator[str]:
    """Neurons with more inputs than a core has axons: dividing the population does not help."""
    over = np.flatnonzero((found.inputs > device.axons_in_per_core) & (found.own > 0))
    if over.size:
        each = [f"{_name(program, i)} ({found.inputs[i]:,.0f})" for i in over]
        yield (
            f"has neurons with more inputs than the {float(device.axons_in_per_core):,.0f} input axons of a core: {_some(each)}; "
            "prune or group these connections, or put smaller populations between"
        )


def _synapses(program: Program, device: NeuroDevice) -> Iterator[str]:
    """Neurons whose own synapses exceed the memory of a core."""
    c, bits = program.tables[0].columns, float(device.weight_bits + device.synapse_overhead_bits)
    each = (c.population_synapses / np.maximum(c.population_neurons, 1.0)) * bits
    over = np.flatnonzero((each > device.synapse_bits_per_core) & (c.neurons > 0))
    if over.size and device.partition != "whole":
        names = [f"{_name(program, i)} ({each[i]:,.0f} bits)" for i in over]
        yield (
            f"has neurons whose synapses exceed the {float(device.synapse_bits_per_core):,.0f} bits of a core: {_some(names)}; "
            "prune their inputs or store fewer bits a weight"
        )


def _cores(program: Program, device: NeuroDevice, found: Allocation) -> str:
    """Which populations take most cores and why, and how many chips would do."""
    each = []
    for i in np.argsort(-found.own, kind="stable")[:SHOWN]:
        if found.own[i] <= 1 and each:
            break
        limit = LIMITS[max(int(found.limit[i]), 1) - 1]
        each.append(f"{_name(program, i)} takes {found.own[i]:,.0f} for its {limit} ({_room(device, limit)})")
    needed = float(found.needed[0])
    chips = int(np.ceil(needed / float(device.core_count)))
    if chips <= float(device.chip_count):
        remedy = (
            f"{chips} chips joined hold it (core_count={chips * float(device.core_count):.0f}; {float(device.chip_count):,.0f} have been)"
        )
    elif float(device.chip_count) > 1:
        remedy = f"no more than {float(device.chip_count):,.0f} chips have been joined, it would fill {chips}; use smaller layers"
    else:
        remedy = "use smaller layers, or a chip with more cores"
    total = f"in all {needed:,.0f} cores, {device.name} has {float(device.core_count):,.0f}"
    return f"fills more than a chip: {', '.join(each)}; {remedy}; {total}"


def _shared(program: Program, device: NeuroDevice) -> str:
    """Where populations share cores: what they ask for together, and what there is."""
    neurons, bits = shared_need(program.tables[0].columns, device)
    chip = float(device.core_count)
    have = (chip * float(device.neurons_per_core), chip * float(device.synapse_bits_per_core))
    need = [(float(n[0]), h, name) for n, h, name in zip((neurons, bits), have, ("neurons", "bits of synapses"), strict=True)]
    over = ", ".join(f"{n:,.0f} {name} where the chip has {h:,.0f}" for n, h, name in need if n > h)
    return f"asks for {over or 'more than the chip has'}; use smaller layers, fewer inputs or fewer bits a weight"


def _room(device: NeuroDevice, limit: str) -> str:
    """The limit of a core in numbers."""
    numbers = {
        "neurons": (np.minimum(device.neurons_per_core, device.compiler_neurons), "a core"),
        "synapse memory": (device.synapse_bits_per_core, "bits a core"),
        "input axons": (device.axons_in_per_core, "a core"),
        "output axons": (device.axons_out_per_core, "a core"),
    }
    value, words = numbers[limit]
    return f"{float(value):,.0f} {words}"


def _whole(program: Program, device: NeuroDevice) -> Iterator[str]:
    """Layers that no core holds undivided, and too few cores for those that some hold."""
    c = program.tables[0].columns
    takes, counts = candidates(c, device)
    neurons, bits = whole_need(c, device)
    first = c.neurons > 0
    lost = np.flatnonzero(first & ~np.logical_or.reduce(takes))
    if lost.size:
        each = [f"{_name(program, i)} ({neurons[i]:,.0f} neurons, {bits[i]:,.0f} bits of synapses)" for i in lost]
        yield f"does not divide layers, and no core holds {_some(each)}; make the layer smaller ({_kinds(device)})"
        return
    worst = [(int(np.sum(first & ~_other(takes, k))), k) for k in range(len(takes))]
    for wanted, k in worst:
        if wanted > counts[k]:
            only = [_name(program, i) for i in np.flatnonzero(first & ~_other(takes, k))]
            yield f"has more layers that need one of {counts[k]:.0f} large cores than there are: {_some(only)} ({_kinds(device)})"
            return
    if np.sum(first) > float(device.core_count):
        yield f"has {np.sum(first):.0f} layers for {float(device.core_count):.0f} cores that hold one each; fuse or drop layers"


def _other(takes: list[np.ndarray], kind: int) -> np.ndarray:
    """Populations that some core of another kind holds."""
    return np.logical_or.reduce([t for i, t in enumerate(takes) if i != kind] or [np.zeros_like(takes[0])])


def _kinds(device: NeuroDevice) -> str:
    """The cores in numbers."""
    if not device.core_kinds:
        return f"{float(device.neurons_per_core):,.0f} neurons and {float(device.synapse_bits_per_core):,.0f} bits a core"
    return ", ".join(f"{k.count} of {k.neurons:,.0f} neurons and {k.synapse_bits:,.0f} bits" for k in device.core_kinds)


def _name(program: Program, row: Any) -> str:
    return program.kernels[int(row)].path or program.kernels[int(row)].name


def _some(each: list[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(each) - SHOWN} more" if len(each) > SHOWN else ""
    return ", ".join(each[:SHOWN]) + more
