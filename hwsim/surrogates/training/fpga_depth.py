"""Chains of 1 to 20 dense layers as graphs: what surrogates of circuits are asked beyond the depth that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.targets.fpga.calibrate import yosys_networks
from hwsim.targets.fpga.calibrate.yosys_networks import METRICS, Networks
from hwsim.targets.fpga.stages import yosys

SHALLOW = 2
"""Most layers of a chain that surrogates are trained on."""
READOUT = tuple("max" if name == "interval_cycles" else "sum" for name in METRICS)


def load(networks: Networks | None = None) -> Graphs:
    """All labelled chains, a row a layer, edges from each layer to the next.

    Labels: `depth`, `architecture` (widths), `template`, `name`.

    Raises:
        DataMissing: the labels are not on the shelf.
    """
    found = networks or yosys_networks.load()
    columns = features(found)
    before = np.setdiff1d(np.arange(len(found.handed_bits)), found.start[1:] - 1)
    return Graphs(
        features=np.stack(list(columns.values()), axis=1).astype(np.float32),
        cost=yosys_networks.layer_costs(found),
        floor=np.zeros((len(found.handed_bits), len(METRICS))),
        start=found.start,
        edges=np.stack([before, before + 1]),
        rest=yosys_networks.entry_costs(found),
        least=np.zeros((len(found.chains), len(METRICS))),
        measured=found.measured,
        feature_names=tuple(columns),
        metrics=METRICS,
        readout=READOUT,
        labels={
            "depth": np.array([str(len(c.layers)) for c in found.chains]),
            "architecture": np.array([c.widths for c in found.chains]),
            "template": np.array([c.template for c in found.chains]),
            "name": np.array([c.name for c in found.chains]),
        },
    )


def features(found: Networks) -> Mapping[str, np.ndarray]:
    """Columns of every layer by name, shape `(layers,)` each: sizes and formats, statistics of the weights, what lies before and behind.

    Closed forms are not among them. A layer does not know whether it is the first or the last, which no layer in the middle of a deep chain
    shares with one of a chain of two; it knows the slices that it takes and hands on.
    """
    c = found.columns
    u = yosys.unrolled(c)
    logs = {
        "n_in": c.n_in, "n_out": c.n_out, "reuse": c.reuse, "weights": c.n_in * c.n_out, "multipliers": u.multipliers, "fan_in": u.fan_in,
        "outputs": u.outputs, "groups": u.groups, "odd_constants": c.odd_constants, "product_adders": c.product_adders,
        "sum_adders": c.sum_adders, "rom_columns": c.rom_columns, "terms_max": c.terms_max, "digits_out_max": c.digits_out_max,
        "output_bits": c.n_out * c.acc_bits, "input_register_bits": c.n_in * c.input_bits,
        "dropped_bits": yosys_networks.dropped_bits(found), "wide_constants": yosys_networks.wide_constants(found),
    }  # fmt: skip
    plain = {
        name: getattr(c, name)
        for name in (
            "input_bits",
            "weight_bits",
            "acc_bits",
            "relu",
            "block",
            "dsp",
            "zeros_frac",
            "single_frac",
            "digits_mean",
            "sum_bits",
        )
    }
    made = {
        "reused": c.rom_fed,
        "wide_product": np.minimum(c.input_bits + c.weight_bits, c.acc_bits) >= yosys.DSP_PRODUCT_BITS,
        **plain,
        "handed_bits": found.handed_bits,
        "dropped_low": found.dropped_low,
        "needed_bits": yosys_networks.needed(found).acc_bits,
        "unsigned_in": _unsigned(found),
        **{f"log_{name}": np.log2(np.maximum(value, 0) + 1) for name, value in logs.items()},
    }
    return {name: np.broadcast_to(np.asarray(value, dtype=float), found.handed_bits.shape) for name, value in made.items()}


def _unsigned(found: Networks) -> np.ndarray:
    """1 where the inputs are rectified and their sign bit is among what is handed on, so that it is 0 for good."""
    flags = np.asarray(found.columns.relu * found.packed_high)
    moved = np.concatenate([[0.0], flags[:-1]])
    moved[found.start[:-1]] = 0.0
    return moved


def split(graphs: Graphs, *, seed: int, parts: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Networks to train on, shallow ones of architectures left out, and deep ones; part `seed` of the architectures is left out."""
    shallow = graphs.labels["depth"].astype(int) <= SHALLOW
    names = sorted(set(graphs.labels["architecture"][shallow].tolist()))
    order = np.random.default_rng(0).permutation(len(names))
    part = {names[i]: n % parts for n, i in enumerate(order)}
    held = np.array([part.get(a, -1) == seed % parts for a in graphs.labels["architecture"].tolist()])
    return np.flatnonzero(shallow & ~held), np.flatnonzero(shallow & held), np.flatnonzero(~shallow)
