"""Published operation counts and energies of spiking transformers (Spikingformer's log, EcoFormer's table)."""

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
    return _columns("Spikingformer-8-512", table.type.to_numpy(str), measured, np.array([own[n] for n in names]))


def ecoformer_rows() -> dict[str, Any]:
    """Energy of EcoFormer's networks from their published counts of multiplications and additions."""
    from hwsim.conventions import convention, counted_energy_j

    table = pandas().read_csv(data_path(*FOLDER, "published_power_table.csv"))
    rows = [row for row in table.itertuples() if isinstance(row.op_count_published, str) and " mul + " in row.op_count_published]
    counts = [[1e9 * float(n) for n in re.findall(r"([\d.]+)B", row.op_count_published)] for row in rows]
    chosen = convention("ecoformer")
    found = np.array([counted_energy_j(chosen, multiplications=m, additions=a) for m, a in counts])
    return _columns("EcoFormer", np.array([row.model for row in rows]), np.array([row.energy_mJ * 1e-3 for row in rows]), found)


def _columns(device: str, group: np.ndarray, measured: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    return {"device": np.full(len(group), device), "group": group, "measured_j": measured, "predicted_j": predicted}
