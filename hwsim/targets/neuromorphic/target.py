"""The neuromorphic family as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.cost import Cost, Program, Verdict
from hwsim.graph import Graph
from hwsim.quantities import Quantity
from hwsim.targets.neuromorphic.cores import LIMITS
from hwsim.targets.neuromorphic.cost import program_cost
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import lower
from hwsim.targets.neuromorphic.mapping import NeuroMapping
from hwsim.targets.neuromorphic.verdict import verdict
from hwsim.units import format_si

LEADING = (
    "core_count",
    "neurons_per_core",
    "soma_access_j",
    "soma_update_j",
    "soma_spike_j",
    "synapse_dense_j",
    "synapse_conv_j",
    "packet_j",
)


class NeuroTarget:
    """Populations of neurons on cores."""

    family = "neuromorphic"
    mapping_options = tuple(f.name for f in fields(NeuroMapping))
    summary = "neuromorphic chips: spiking populations on cores, energy of events, static and host power apart"
    instance_columns: Mapping[str, str] = MappingProxyType(
        {"neurons": "Neurons", "cores": "Cores", "limit": "bound by", "synaptic_operations": "Synaptic operations"}
    )
    """Columns of the table of instances."""
    instance_words: Mapping[str, tuple[str, ...]] = MappingProxyType({"limit": ("-", *LIMITS)})
    """What the numbers of a column stand for."""

    def devices(self) -> Sequence[str]:
        """Names on the shelf."""
        return tuple(shelf.devices("neuromorphic"))

    def device(self, name: str, /) -> NeuroDevice:
        """A chip by name or from its YAML file.

        Raises:
            UnknownName: no such chip.
            InputError: its file is wrong.
        """
        return NeuroDevice.from_shelf(name)

    def mapping(self, **options: Any) -> NeuroMapping:
        """Mapping choices from plain options.

        Raises:
            UnknownName: an option that does not exist.
            InputError: a value out of range.
        """
        return NeuroMapping.of(**options)

    def lower(self, graph: Graph, *, device: Any, mapping: NeuroMapping) -> Program:
        """Connections; the same for every chip."""
        return lower(graph, mapping)

    def cost(self, program: Program, *, device: NeuroDevice, mapping: NeuroMapping) -> Cost:
        """Pure array function of program, device and mapping."""
        return program_cost(program, device=device, mapping=mapping)

    def binding(self, cost: Cost) -> Sequence[str]:
        """compute (synaptic operations), memory (messages that arrive) or overhead (neurons), whichever is longest."""
        parts = cost.row_parts_s
        names = ("compute", "memory", "overhead")
        return [names[i] for i in np.argmax(np.stack([np.asarray(getattr(parts, n), dtype=float) for n in names]), axis=0)]

    def facts(self, device: NeuroDevice, mapping: NeuroMapping) -> Mapping[str, Quantity]:
        """Limits and event energies with their sources."""
        return {k: device.sources[k] for k in LEADING if k in device.sources}

    def highlights(self, cost: Cost, *, mapping: NeuroMapping) -> Mapping[str, str]:
        """Timesteps and event energy, among the totals of a report."""
        extra = {name: float(value) for name, value in cost.extra.items()}
        parts = {name: extra[f"{name}_j"] for name in ("soma", "synapse", "network")}
        words = ", ".join(f"{name} {format_si(value, 'J') if value else 'not published'}" for name, value in parts.items())
        return {
            "Timesteps": f"{extra['timesteps']:,.0f}, {format_si(extra['timestep_s'], 's')} each",
            "Event energy": f"{format_si(sum(parts.values()), 'J')} ({words})" if any(parts.values()) else "not published",
        }

    def verdict(self, program: Program, cost: Cost, *, device: NeuroDevice, mapping: NeuroMapping) -> Verdict:
        """Why it does not fit, and what of the answer nobody has published."""
        return verdict(program, device, mapping)
