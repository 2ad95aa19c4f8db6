"""Adapters of networks of search spaces on many devices, and of published operation-count energies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hwsim.datasets import help_latency, spiking_published
from hwsim.datasets.adapted_fpga import columns
from hwsim.datasets.locate import pandas

GRAPHS = {"nasbench201": "nas_bench_201?cell=", "fbnet": "fbnet?ops="}
"""Search space to the network of the zoo that builds its architectures."""
GPUS = re.compile(r"(\d+ti|titan\w*)_(\d+)")
"""GPUs are named with their batch."""


def search_spaces(tell: Callable[[str], None]) -> dict[str, Any]:
    """Architectures of NAS-Bench-201 and FBNet on up to 27 devices; broken measurements are not a number."""
    frames = []
    for space, graph in GRAPHS.items():
        found = help_latency.read(space)
        tell(f"{space}: {len(found.architectures):,} networks on {len(found.latency_s)} devices")
        names = [graph + name for name in found.architectures]
        frames += [pandas().DataFrame({"graph": names, **_device(label), "latency_s": v}) for label, v in found.latency_s.items()]
    whole = pandas().concat(frames, ignore_index=True)
    texts = {name: whole[name].to_numpy(dtype=object) for name in ("graph", "device", "protocol.stage")}
    return {**texts, "protocol.batch": whole["protocol.batch"].to_numpy(), "protocol.tool": "HELP", "latency_s": whole.latency_s.to_numpy()}


def _device(label: str) -> dict[str, Any]:
    match = GPUS.fullmatch(label)
    device, batch = (match[1], int(match[2])) if match else (label, 1)
    return {"device": device, "protocol.batch": batch, "protocol.stage": "estimated" if label in help_latency.ESTIMATED else "measured"}


def spiking_energies(tell: Callable[[str], None]) -> dict[str, Any]:
    """Published energies of spiking transformers, counted and not measured."""
    rows: list[dict[str, Any]] = []
    for row, energy_j, timesteps in spiking_published._published():
        zoo = spiking_published.NETWORKS.get(row, ())
        rows.append(
            {
                "graph": zoo[0][0] if zoo else f"published:{row}",
                "device": "operation-count",
                "mapping.timesteps": timesteps,
                "protocol.tool": "counted by the authors",
                "protocol.row": row,
                "energy_j": energy_j,
            }
        )
    tell(f"read {len(rows)} published energies")
    return columns(rows)
