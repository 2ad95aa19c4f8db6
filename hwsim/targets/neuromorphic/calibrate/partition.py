"""Cores by layer as the compiler of Loihi 2 divides networks, from partitions that notebooks of lava-dl print."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim import api
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.spiking import neuron

CHIP = "loihi2"
PRINTED = {
    "pilotnet_lif": (13, 25, 13, 3, 3, 2, 12, 1, 1, 1),
    "pilotnet_sdnn": (25, 13, 3, 3, 2, 12, 1, 1, 1),
    "oxford": (3, 2),
    "yolo_kp": (224, 112, 56, 28, 56, 16, 32, 14, 32, 4),
}
"""lava-dl (BSD-3): pilotnet_snn/benchmark.ipynb, pilotnet_sdnn/benchmark.ipynb, oxford/run.ipynb, yolo_kp/run.ipynb (eight chips)."""
YOLO_KP = ((16, 3, 2), (32, 3, 2), (64, 3, 2), (128, 3, 2), (256, 3, 1), (256, 3, 2), (512, 3, 1), (256, 1, 1), (512, 3, 1), (48, 1, 1))
"""Channels, kernel and stride of its convolutions on images of 448 x 448."""


def network(name: str) -> Graph:
    """A network whose partition is printed."""
    return yolo_kp() if name == "yolo_kp" else api.load(name)


def yolo_kp() -> Graph:
    """The convolutions of YOLO-KP, a detector for eight chips."""
    b = GraphBuilder("yolo_kp", source="lava-dl", timesteps=1)
    x = b.input("image", (1, 3, 448, 448))
    for i, (channels, kernel, stride) in enumerate(YOLO_KP):
        weight = b.weight((channels, b.shape(x)[1], kernel, kernel), name=f"conv{i}.weight")
        x = neuron(b, b.add("conv", [x, weight], path=f"conv{i}", stride=stride, padding=kernel // 2), path=f"conv{i}_neuron")
    return b.finish([x])


def predicted(name: str) -> tuple[int, ...]:
    """Cores by layer as estimates have them."""
    cores = api.estimate(network(name), CHIP).cost.row_resources["cores"]
    return tuple(int(n) for n in cores)


def validation_rows() -> dict[str, Any]:
    """Every layer of every printed partition."""
    rows = [(name, m, p) for name, printed in PRINTED.items() for m, p in zip(printed, predicted(name), strict=True)]
    group, measured, found = (np.array(c) for c in zip(*rows, strict=True))
    return {"device": np.full(len(rows), CHIP), "group": group, "measured": measured.astype(float), "predicted": found.astype(float)}


def layers() -> str:
    """Cores by layer, printed by the compiler and predicted."""
    lines = ["| network | cores by layer, as printed | in all | predicted |", "|---|---|---:|---:|"]
    for name, printed in PRINTED.items():
        lines.append(f"| {name} | {', '.join(map(str, printed))} | {sum(printed)} | {sum(predicted(name))} |")
    return "\n".join(lines) + "\n"
