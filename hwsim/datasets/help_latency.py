"""Latencies of NAS-Bench-201 and FBNet networks on up to 27 devices, and features of the networks.

Source: HayeonLee/HELP@45f70eb (MIT), with the devices and protocol of Lee et al. 2021, HELP, arXiv:2106.08630. `eyeriss` and `fpga` are
estimates of other tools, not measurements.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim.datasets.locate import data_path
from hwsim.errors import UnknownName
from hwsim.zoo.nas_bench import BLOCK_OPS, CELL_OPS, Place, block, block_ops, cell_ops, places, used_edges

BROKEN_S = 2e-5
"""Measurements below are broken (networks whose cells come to nothing on a phone)."""
ESTIMATED = ("eyeriss", "fpga")
EDGE_RELEVANCE, PLACE_RELEVANCE = 0.03, 0.01
"""Of an operation at one position of a cell or a network, beside sums over it."""
_PHONES = ("samsung_a50", "pixel3", "essential_ph_1", "samsung_s7")


@dataclass(frozen=True)
class Space:
    """A search space and HELP's split of it."""

    file: str
    column: str
    """Of the architecture."""
    known: tuple[str, ...]
    test: Mapping[str, float]
    """HELP's test devices and its published rank correlation there."""
    others: tuple[str, ...]
    """Further devices, unseen and of another maker or kind than the known ones."""
    pool: int
    """Leading rows from which known devices and samples come; the rows behind them judge."""


SPACES = {
    "nasbench201": Space(
        "gpu/help_latency/nasbench201_latency.csv",
        "arch_str",
        ("1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r", *_PHONES),
        {"titan_rtx_256": 0.987, "gold_6226": 0.989, "pixel2": 0.802, "raspi4": 0.890, "eyeriss": 0.940, "fpga": 0.985},
        ("2080ti_1", "gold_6240"),
        900,
    ),
    "fbnet": Space(
        "gpu/help_latency/fbnet_latency.csv",
        "arch_ops",
        ("1080ti_1", "1080ti_32", "1080ti_64", "silver_4114", "silver_4210r", *_PHONES),
        {"raspi4": 0.887, "eyeriss": 0.943, "fpga": 0.892},
        ("titan_rtx_64", "gold_6226", "gold_6240", "pixel2"),
        4000,
    ),
}


@dataclass(frozen=True)
class Measured:
    """Architectures of one space with their latencies."""

    architectures: tuple[str, ...]
    features: np.ndarray
    """Shape `(architectures, features)`."""
    relevance: np.ndarray
    """Of the features, for `FewShot.fit`."""
    macs: np.ndarray
    """Multiply-adds of what an architecture chooses, shape `(architectures,)`."""
    ideal: np.ndarray
    """Costs on devices where one thing alone takes time, from counts alone, shape `(devices, architectures)`."""
    latency_s: Mapping[str, np.ndarray]
    """By device, shape `(architectures,)`, not a number where the measurement is broken."""


@cache
def read(space: str) -> Measured:
    """All rows of a space.

    Raises:
        UnknownName: no such space.
        DataMissing: the measurements are not there.
    """
    if space not in SPACES:
        raise UnknownName("search space", space, SPACES)
    with data_path(SPACES[space].file).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = tuple(row[SPACES[space].column] for row in rows)
    devices = [name.removesuffix("_ms") for name in rows[0] if name.endswith("_ms")]
    columns = {d: np.array([float(row[f"{d}_ms"]) for row in rows]) * 1e-3 for d in devices}
    kept = {d: np.where(values < BROKEN_S, np.nan, values) for d, values in columns.items()}
    features, relevance, macs = FEATURES[space](names)
    ideal = IDEAL[space](names) if space in IDEAL else np.zeros((0, len(names)))
    return Measured(names, features, relevance, macs, ideal, kept)


def cell_features(cells: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, relevance, multiply-adds over those of one 1x1 convolution) of NAS-Bench-201 cells.

    Counts of each operation, and of those whose result reaches the end of the cell (what a compiler keeps), over the cell and by edge.
    """
    ops = [cell_ops(text) for text in cells]
    chosen = np.array([[[op == name for name in CELL_OPS[1:]] for op in cell] for cell in ops], dtype=float)
    used = chosen * np.array([used_edges(cell) for cell in ops], dtype=float)[:, :, None]
    positions = [chosen, used]
    return *_with_positions([chosen.sum(axis=1), used.sum(axis=1)], positions, EDGE_RELEVANCE), chosen.sum(axis=1) @ [0.0, 1.0, 9.0, 0.0]


def block_ideal(networks: Sequence[str]) -> np.ndarray:
    """Costs of FBNet networks where dense or depthwise products, elements moved, weights or blocks alone take time, `(5, networks)`."""
    index, work = _blocks(networks)
    blocks = np.sum(index != BLOCK_OPS.index("skip"), axis=1)
    return np.stack([*work.sum(axis=1).T, blocks + 1.0])


def _blocks(networks: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(number of the operation at each place, its work), shapes `(networks, places)` and `(networks, places, 4)`."""
    index = np.array([[BLOCK_OPS.index(op) for op in block_ops(text)] for text in networks])
    table = np.array([[_work(op, place) for op in BLOCK_OPS] for place in places()])
    return index, table[np.arange(len(table)), index]


def block_features(networks: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, relevance, multiply-adds) of FBNet networks.

    Counts of each operation; closed-form work (dense and depthwise multiply-adds, elements moved, weights) over the network and by
    size of the image; operations by position.
    """
    index, work = _blocks(networks)
    chosen = (index[:, :, None] == np.arange(len(BLOCK_OPS) - 1)).astype(float)
    sizes = np.array([place.size for place in places()])
    by_size = [work[:, sizes == size].sum(axis=1) for size in np.unique(sizes)]
    total = work.sum(axis=1)
    return *_with_positions([chosen.sum(axis=1), total, *by_size], [chosen], PLACE_RELEVANCE), total[:, 0] + total[:, 1]


FEATURES = {"nasbench201": cell_features, "fbnet": block_features}
"""By search space."""
IDEAL = {"fbnet": block_ideal}
"""Where counts say more than the features do: those of cells are counts already."""


def _with_positions(sums: Sequence[np.ndarray], positions: Sequence[np.ndarray], relevance: float) -> tuple[np.ndarray, np.ndarray]:
    flat = [p.reshape(len(p), -1) for p in positions]
    features = np.concatenate([*sums, *flat], axis=1)
    shared = sum(s.shape[1] for s in sums)
    return features, np.where(np.arange(features.shape[1]) < shared, 1.0, relevance)


def _work(op: str, place: Place) -> tuple[float, float, float, float]:
    """(dense, depthwise multiply-adds, elements read and written, weights) of an operation of FBNet."""
    into, out = place.size**2, (-(-place.size // place.stride)) ** 2
    if op == "skip":
        if place.stride == 1 and place.inputs == place.channels:
            return 0.0, 0.0, 0.0, 0.0
        dense = place.inputs * place.channels
        return float(out * dense), 0.0, float(out * place.channels + into * place.inputs), float(dense)
    shape = block(op)
    middle, taps = place.inputs * shape.expansion, shape.kernel**2
    dense = (into * place.inputs + out * place.channels) * middle / shape.groups
    moved = into * (place.inputs + 2 * middle) + out * (2 * middle + place.channels)
    return dense, float(out * middle * taps), float(moved), middle * (place.inputs + place.channels) / shape.groups + middle * taps
