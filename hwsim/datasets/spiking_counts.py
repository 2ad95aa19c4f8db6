"""Operation counts and energies of spiking transformers: Spikingformer's log, EcoFormer's table, layers of Spike-driven Transformers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas

FOLDER = ("neuro", "spiking_transformers")
RATES = "spikingformer_8_512_per_layer_rates.csv"


def spikingformer_rows() -> dict[str, Any]:
    """Energy of every layer of Spikingformer-8-512 from the zoo's graph and the logged rates, and the log's own."""
    from hwsim import api
    from hwsim.conventions import convention, operation_energy
    from hwsim.rates import Rates, dotted

    path = data_path(*FOLDER, RATES)
    chosen = convention("strict-binary")
    found = operation_energy(api.load("spikingformer_8_512"), convention=chosen, rates=Rates.read(path))
    own: dict[str, float] = {}
    for layer in found.layers:
        name = layer.path.replace("ssa_kv", "ssa_qkv")
        own[name] = own.get(name, 0.0) + layer.energy_j
    table = pandas().read_csv(path)
    names = [dotted(name) for name in table.layer]
    measured = table.macs.to_numpy(float) * chosen.mac_j + table.acs.to_numpy(float) * chosen.add_j
    return columns("Spikingformer-8-512", table.type.to_numpy(str), measured, np.array([own[n] for n in names]))


def ecoformer_rows() -> dict[str, Any]:
    """Energy of EcoFormer's networks from their published counts of multiplications and additions."""
    from hwsim.conventions import convention, counted_energy_j

    table = pandas().read_csv(data_path(*FOLDER, "published_power_table.csv"))
    rows = [row for row in table.itertuples() if isinstance(row.op_count_published, str) and " mul + " in row.op_count_published]
    counts = [[1e9 * float(n) for n in re.findall(r"([\d.]+)B", row.op_count_published)] for row in rows]
    chosen = convention("ecoformer")
    found = np.array([counted_energy_j(chosen, multiplications=m, additions=a) for m, a in counts])
    return columns("EcoFormer", np.array([row.model for row in rows]), np.array([row.energy_mJ * 1e-3 for row in rows]), found)


def spike_driven_rows() -> dict[str, Any]:
    """Parameters and operations of Spike-driven Transformer V1, its first layer apart, against a table made with the authors' code."""
    from hwsim import api

    table = pandas().read_csv(data_path(*FOLDER, "sdt_v1_configs.csv"))
    groups, measured, predicted = [], [], []
    for row in table.itertuples():
        graph = api.load(row.model.replace("SDT-", "spike_driven_").replace("-", "_"))
        first = next(graph.work_of(n).macs for n in graph.nodes if n.kind == "conv")
        groups += ["parameters", "operations of the first layer", "other operations"]
        measured += [row.params_M * 1e6, row.first_layer_GMAC_per_ts * 1e9, row.rest_GMAC_per_ts * 1e9]
        predicted += [graph.parameters, first, graph.macs - first]
    return columns("Spike-driven Transformer V1", np.array(groups), np.array(measured), np.array(predicted), unit="count")


def meta_rows() -> dict[str, Any]:
    """Operations of every layer of Meta-SpikeFormer against tables made with the authors' code."""
    from hwsim import api

    groups, measured, predicted = [], [], []
    for width in (256, 384, 512):
        name = f"meta_spikeformer_8_{width}"
        graph = api.load(name)
        own = {n.path: graph.work_of(n).macs for n in graph.nodes}
        table = pandas().read_csv(data_path(*FOLDER, f"{name}_layers.csv"))
        groups += [name] * len(table)
        measured += list(table.dense_macs_per_timestep)
        predicted += [own[layer] for layer in table.layer]
    return columns("Meta-SpikeFormer", np.array(groups), np.array(measured), np.array(predicted), unit="count")


def columns(device: str, group: np.ndarray, measured: np.ndarray, predicted: np.ndarray, *, unit: str = "j") -> dict[str, Any]:
    """Columns of a validation with one device."""
    return {"device": np.full(len(group), device), "group": group, f"measured_{unit}": measured, f"predicted_{unit}": predicted}
