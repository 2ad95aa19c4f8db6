"""Adapters of networks of search spaces on many devices, and of published operation-count energies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hwsim.datasets import help_latency, spiking_published
from hwsim.datasets.adapted_fpga import columns
from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import SUSPECT, files, joined, scaled, spelt, table

GRAPHS = {"nasbench201": "nas_bench_201?cell=", "fbnet": "fbnet?ops="}
"""Search space to the network of the zoo that builds its architectures."""
OFA = ("ks", "e", "d", "resolution")
"""What an architecture of once-for-all MobileNetV3 chooses."""
BROKEN = f"below {help_latency.BROKEN_S * 1e6:.0f} us"
GPUS = re.compile(r"((?:\d+)?(?:titan\w*|\d+ti|v100))_(\d+)")
"""GPUs are named with their batch."""


BOARDS = {"titanxp": "titan-xp", "titan_xp": "titan-xp", "titan_rtx": "titan-rtx", "1080ti": "gtx-1080ti", "2080ti": "rtx-2080-ti"}
"""GPUs by one name, that of the shelf where it has them."""


def search_spaces(tell: Callable[[str], None]) -> dict[str, Any]:
    """Architectures of NAS-Bench-201, FBNet and once-for-all MobileNetV3 on up to 27 devices; broken measurements are marked."""
    frames = []
    for space in (*GRAPHS, "ofa"):
        found, names = _space(space)
        devices = [c.removesuffix("_ms") for c in found.columns if c.endswith("_ms")]
        tell(f"{space}: {len(found):,} networks on {len(devices)} devices")
        for label in devices:
            latency_s = scaled(found[f"{label}_ms"], 1e-3)
            broken = [BROKEN if x < help_latency.BROKEN_S else None for x in latency_s.astype(float)]
            frames.append(pandas().DataFrame({"graph": names, **_device(label), SUSPECT: broken, "latency_s": latency_s}))
    return joined(frames) | {"protocol.tool": "HELP"}


def _space(space: str) -> tuple[Any, Any]:
    """(table, graphs) of a search space."""
    if space == "ofa":
        found = table("gpu", "help_latency", "ofa_latency.csv", need=OFA)
        return found, spelt("ofa_mobilenet_v3", {name: found[name] for name in OFA})
    given = help_latency.SPACES[space]
    found = table(*given.file.split("/"), need=(given.column,))
    return found, GRAPHS[space] + found[given.column]


def _device(label: str) -> dict[str, Any]:
    match = GPUS.fullmatch(label)
    device, batch = (match[1], int(match[2])) if match else (label, 1)
    own = {"mapping.runtime": "eager", "mapping.dtype": "fp32"} if match else {"mapping.runtime": None, "mapping.dtype": None}
    return {
        "device": BOARDS.get(device, device),
        **own,
        "protocol.batch": batch,
        "protocol.stage": "estimated" if label in help_latency.ESTIMATED else "measured",
    }


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


HAT_DEVICES = {"raspberrypi": "raspberry-pi-4", "xeon": "xeon-e5-2640", "titanxp": "titan-xp"}


def translation(tell: Callable[[str], None]) -> dict[str, Any]:
    """Encoder-decoder transformers of a search space: seconds of the encoder, of the decoder, and of both."""
    frames = []
    for name in files("gpu/hat_transformers", "*_all.csv"):
        task, _, device = name.removesuffix("_all.csv").split("_")
        found = table("gpu", "hat_transformers", name, need=("latency_mean_encoder", "latency_mean_decoder"))
        sizes = {c: found[c].round(6) for c in found.columns if not c.startswith("latency_")}
        encoder, decoder = (scaled(found[f"latency_mean_{part}"], 1e-3) for part in ("encoder", "decoder"))
        tell(f"read {len(found):,} networks of {task} on {device}")
        frames.append(pandas().DataFrame({
            "graph": spelt(f"hat:{task}", sizes), "device": HAT_DEVICES.get(device, device), "group": task, "protocol.tool": "torch",
            "protocol.batch": 1,
            "latency_s": encoder + decoder, "encoder_s": encoder, "decoder_s": decoder,
            "fact.encoder_std_s": scaled(found.latency_std_encoder, 1e-3), "fact.decoder_std_s": scaled(found.latency_std_decoder, 1e-3),
        }))  # fmt: skip
    return joined(frames)
