"""Adapters of measurements on neuromorphic chips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.datasets.adapted_fpga import columns
from hwsim.targets.neuromorphic.calibrate import keywords, pilotnet


def loihi(tell: Callable[[str], None]) -> dict[str, Any]:
    """Keyword spotters on a Loihi board, PilotNet on Loihi 2 boards; an inference each."""
    rows: list[dict[str, Any]] = [
        {
            "graph": f"keyword_spotter?copies={int(row.n_copies)}",
            "device": keywords.BOARD,
            "group": "keyword_spotter",
            "protocol.tool": "nengo-loihi",
            "protocol.batch": int(row.batchsize),
            "latency_s": row.seconds_per_inf,
            "energy_j": row.total_J_per_inf,
            "power_w": row.running_W,
            "static_w": row.idle_W,
        }
        for row in keywords.runs().itertuples()
    ]
    for network in ("pilotnet_lif", "pilotnet_sdnn"):
        shared = {"graph": network, "device": pilotnet.CHIP, "group": network, "protocol.tool": "lava", "protocol.batch": 1}
        for run in pilotnet.runs(network):
            labels = {"timestep_s": run["timestep_s"], "energy_j": run["total_j"], "dynamic_j": run["dynamic_j"]}
            rows.append({**shared, **labels, "static_w": run["static_w"]})
    tell(f"read {len(rows)} runs")
    return columns(rows)
