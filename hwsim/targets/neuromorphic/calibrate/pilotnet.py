"""PilotNet on Loihi 2 boards (lava-dl): one factor on the times of Loihi 1's synapses, one on the energies of its events.

Only whole runs are published: four of the network with leaky neurons (one frame repeated, so that no input binds), five of its sigma-delta
twin, which waits for frames. Nobody has published the firing rates, so both factors hold at the rate that estimates assume. Every run is
predicted from the others of its network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim import api
from hwsim.datasets.locate import data_path, pandas
from hwsim.targets.neuromorphic.device import NeuroDevice

CHIP = "loihi2"
SYNAPSE_TIMES = ("synapse_dense_s", "synapse_sparse_s", "synapse_conv_s")
ENERGIES = (
    *("soma_access_j", "soma_update_j", "soma_spike_j", "synapse_dense_j", "synapse_sparse_j", "synapse_conv_j"),
    *("packet_j", "hop_east_j", "hop_north_j"),
)


@dataclass(frozen=True)
class Fit:
    """What runs of one network say."""

    synapse_time: float
    """Of Loihi 2 over Loihi 1."""
    energy: float
    """Of an event of Loihi 2 over Loihi 1."""
    host_timestep_s: float
    static_w: float

    @property
    def quantities(self) -> dict[str, float]:
        """Of the chip, in SI units."""
        old = NeuroDevice.from_shelf("loihi1")
        times = {name: self.synapse_time * float(getattr(old, name)) for name in SYNAPSE_TIMES}
        energies = {name: self.energy * float(getattr(old, name)) for name in ENERGIES}
        return {**times, **energies, "host_timestep_s": self.host_timestep_s, "static_w": self.static_w}


def runs(network: str) -> list[Mapping[str, float]]:
    """Measured seconds a timestep, joules an inference in total and beyond static power, and static watts of each run."""
    table = pandas().read_csv(data_path("neuro", "loihi2_pilotnet", "loihi2_pilotnet_measured_runs.csv"))
    return [
        {
            "timestep_s": 1.0 / row.throughput_inf_per_s / row.timesteps_per_inference,
            "total_j": row.total_energy_mJ_per_inf * 1e-3,
            "dynamic_j": row.dynamic_energy_mJ_per_inf * 1e-3,
            "static_w": row.static_power_W,
        }
        for row in table[table.network == network].itertuples()
    ]


def estimate(network: str, found: Fit) -> Any:
    """Estimate of a network under fitted values."""
    return api.estimate(network, CHIP, set=found.quantities)


def fit(found: Sequence[Mapping[str, float]], network: str = "pilotnet_lif", *, waits: bool = False) -> Fit:
    """Factors that give the mean time and the mean energy of runs.

    Args:
        found: measured runs of one network.
        network: its name in the zoo.
        waits: the chip waits for its input: host time is fitted, and the factor on synapses is 1/5 as Intel states it.
    """
    mean = {key: float(np.mean([run[key] for run in found])) for key in found[0]}
    bare = Fit(0.2, 1.0, 0.0, mean["static_w"])
    if waits:
        bare = Fit(0.2, 1.0, mean["timestep_s"] - _timestep(network, bare), mean["static_w"])
    else:
        bare = Fit(_slowdown(network, mean["timestep_s"]), 1.0, 0.0, mean["static_w"])
    cost = estimate(network, bare).cost
    events = float(cost.energy_j.total - cost.energy_j.static)
    return Fit(bare.synapse_time, max(mean["dynamic_j"], 0.0) / events, bare.host_timestep_s, mean["static_w"])


def _timestep(network: str, found: Fit) -> float:
    return float(estimate(network, found).cost.extra["timestep_s"])


def _slowdown(network: str, wanted_s: float) -> float:
    """Factor on the times of synapses with which a timestep takes so long, by bisection."""
    low, high = 0.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _timestep(network, Fit(middle, 1.0, 0.0, 0.0)) < wanted_s else (low, middle)
    return (low + high) / 2


def predictions() -> list[tuple[str, Mapping[str, float], Any]]:
    """Network, measured run, and the estimate from a fit on the other runs of the network."""
    found = []
    for network, waits in (("pilotnet_lif", False), ("pilotnet_sdnn", True)):
        measured = runs(network)
        others = [[*measured[:i], *measured[i + 1 :]] for i in range(len(measured))]
        found += [(network, run, estimate(network, fit(rest, network, waits=waits))) for run, rest in zip(measured, others, strict=True)]
    return found


def validation_rows() -> dict[str, Any]:
    """Every run predicted from the others of its network."""
    rows = []
    for network, run, e in predictions():
        rows.append((f"{network}, time a timestep", run["timestep_s"], float(e.cost.extra["timestep_s"])))
        rows.append((f"{network}, energy an inference", run["total_j"], e.energy_j))
    group, measured, predicted = (np.array(c) for c in zip(*rows, strict=True))
    return {"device": np.full(len(rows), CHIP), "group": group, "measured": measured.astype(float), "predicted": predicted.astype(float)}


def errors() -> str:
    """Error of every run, signed."""
    lines = ["| run | time a timestep | energy an inference |", "|---|---:|---:|"]
    for i, (network, run, e) in enumerate(predictions(), start=1):
        time = float(e.cost.extra["timestep_s"]) / run["timestep_s"] - 1
        lines.append(f"| {i}: {network} | {time:+.1%} | {e.energy_j / run['total_j'] - 1:+.1%} |")
    return "\n".join(lines) + "\n"
