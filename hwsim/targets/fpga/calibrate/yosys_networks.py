"""Closed forms of stage `yosys` on chains of dense layers (`datasets/fpga-networks`): a row a layer, and what lies between layers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from hwsim import shelf
from hwsim.datasets.fpga_yosys.chain import Chain, shift
from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.netlist import signed_bits
from hwsim.errors import DataMissing
from hwsim.targets.fpga.calibrate import yosys as single
from hwsim.targets.fpga.stages import yosys
from hwsim.targets.fpga.stages.arithmetic import levels

METRICS = ("cycles", "interval_cycles", "dsp", "bram18", "ff", "lut")
COLUMNS = dict(zip(METRICS, single.METRICS, strict=True))
"""Metric to its column in the table."""


@dataclass(frozen=True)
class Networks:
    """Labelled chains; L layers of all chains, N chains."""

    chains: tuple[Chain, ...]
    columns: yosys.CircuitColumns
    """A row a layer, shape `(L,)`."""
    start: np.ndarray
    """First layer of each chain and the end, shape `(N + 1,)`."""
    handed_bits: np.ndarray
    """Bits of an output that the next layer takes, shape `(L,)`; all of them of a last layer."""
    packed_high: np.ndarray
    """1 where the highest bit that is handed on is the accumulator's, shape `(L,)`."""
    dropped_low: np.ndarray
    """Low bits that a layer drops of what it hands on, shape `(L,)`."""
    measured: np.ndarray
    """Shape `(N, len(METRICS))`."""


def csv_path() -> Path:
    """The labels on the shelf.

    Raises:
        DataMissing: they are not there.
    """
    path = shelf.checkout("datasets") / "fpga-networks" / "networks.csv"
    if not path.exists():
        raise DataMissing(f"no labels at {str(path)!r}; build them with `hwsim datasets build fpga-networks`")
    return path


@cache
def load(path: Path | None = None) -> Networks:
    """All chains of the shelf, or of a table.

    Raises:
        DataMissing: they are not there.
    """
    with (path or csv_path()).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chains = tuple(map(Chain.of_record, rows))
    return of_chains(chains, np.array([[float(r[column]) for column in COLUMNS.values()] for r in rows]), family=rows[0]["family"])


def of_chains(chains: Sequence[Chain], measured: np.ndarray, *, family: str) -> Networks:
    """Their layers as columns."""
    layers = [single.parts(d, family=family)[0] for d in _layers(chains)]
    handed, high, dropped = [], [], []
    for c in chains:
        low = [shift(a, b.input_bits) for a, b in pairwise(c.layers)]
        bits = [min(b.input_bits, a.acc_bits - s) for (a, b), s in zip(pairwise(c.layers), low, strict=True)]
        handed += [*bits, c.layers[-1].acc_bits]
        high += [*(float(s + n >= a.acc_bits) for a, s, n in zip(c.layers, low, bits, strict=False)), 1.0]
        dropped += [*low, 0]
    start = np.concatenate([[0], np.cumsum([len(c.layers) for c in chains])])
    handed_bits, packed_high, dropped_low = (np.array(v, dtype=float) for v in (handed, high, dropped))
    return Networks(tuple(chains), single.columns(layers), start, handed_bits, packed_high, dropped_low, measured)


def _layers(chains: Sequence[Chain]) -> list[Design]:
    return [d for c in chains for d in c.layers]


def wide_constants(found: Networks, *, alone: bool = False) -> np.ndarray:
    """Different odd factors of the constants of each input whose product is wide enough for a DSP block, shape `(L,)`."""
    needs = (found.columns if alone else needed(found)).acc_bits
    return np.array([_wide_constants(d, int(need)) for d, need in zip(_layers(found.chains), needs, strict=True)])


def _wide_constants(layer: Design, need: int) -> float:
    """Bits of a product by the range of what is multiplied, as far as they are among the lowest `need` of the sum."""
    high, found = 1 << (layer.input_bits - 1), 0
    for row in layer.weights:
        low_bits: dict[int, int] = {}
        for weight in map(int, row[row != 0]):
            low = (weight & -weight).bit_length() - 1
            odd = abs(weight) >> low
            low_bits[odd] = min(low, low_bits.get(odd, low))
        bits = [min(signed_bits(-high * odd, high * odd - 1), need - low) for odd, low in low_bits.items() if odd > 1]
        found += sum(b >= yosys.DSP_PRODUCT_BITS for b in bits)
    return float(found)


def layer_costs(found: Networks, *, alone: bool = False) -> np.ndarray:
    """Closed form of every layer, shape `(L, len(METRICS))`.

    Args:
        alone: each layer as if it stood alone, with all the bits of its outputs.
    """
    whole = found.columns
    c = whole if alone else needed(found)
    logic = replace(c, acc_bits=np.maximum(c.acc_bits, np.minimum(whole.acc_bits, yosys.DSP_PRODUCT_BITS)))
    held = {name: float(q.value) for name, q in shelf.fitted("fpga", "yosys").items()}
    ff, dsp = yosys.counted(yosys.ff_features(c), held, prefix="ff"), yosys.dsp(whole)
    costs = {
        "cycles": yosys.cycles(whole),
        "interval_cycles": yosys.interval(whole),
        "dsp": np.where(whole.constant > 0, dsp * wide_constants(found, alone=alone) / np.maximum(whole.odd_constants, 1), dsp),
        "bram18": yosys.bram18(whole),
        "ff": ff if alone else np.maximum(ff - dropped_bits(found), 1.0),
        "lut": yosys.counted(yosys.lut_features(logic), held, prefix="lut"),
    }
    return np.stack(np.broadcast_arrays(*(np.asarray(costs[m], dtype=float) for m in METRICS)), axis=1)


def needed(found: Networks) -> yosys.CircuitColumns:
    """Layers with the bits of their sums that matter: what is above the slice that is handed on is not computed, but for a rectifier."""
    c = found.columns
    used = np.minimum(c.acc_bits, found.dropped_low + found.handed_bits)
    return replace(c, acc_bits=np.where(c.relu > 0, c.acc_bits, used))


def dropped_bits(found: Networks) -> np.ndarray:
    """Registers of outputs that no layer reads, shape `(L,)`, beside what is never computed (`needed`); a sign that is 0 is none."""
    c = needed(found)
    width = np.minimum(np.where(c.constant > 0, c.input_bits + c.sum_bits + 1, c.acc_bits), c.acc_bits)
    kept = np.minimum(found.handed_bits - c.relu * found.packed_high, width - c.relu)
    last = np.zeros(len(width), dtype=bool)
    last[found.start[1:] - 1] = True
    return np.where(last, 0.0, c.n_out * (width - c.relu - kept))


def entry_costs(found: Networks) -> np.ndarray:
    """What the counter at the entry of a chain takes, shape `(N, len(METRICS))`: a register and about a LUT a bit."""
    intervals = np.asarray(yosys.interval(found.columns))
    slowest, first = np.maximum.reduceat(intervals, found.start[:-1]), intervals[found.start[:-1]]
    bits = np.where(slowest > first, levels(slowest), 0.0)
    rest = np.zeros((len(found.chains), len(METRICS)))
    rest[:, METRICS.index("ff")] = bits
    rest[:, METRICS.index("lut")] = np.where(bits > 0, bits + 2, 0.0)
    return rest


def totals(found: Networks, costs: np.ndarray) -> np.ndarray:
    """Chains from layers: sums, and the largest interval; shape `(N, len(METRICS))`."""
    made = np.add.reduceat(costs, found.start[:-1], axis=0)
    at = METRICS.index("interval_cycles")
    made[:, at] = np.maximum.reduceat(costs[:, at], found.start[:-1])
    return made
