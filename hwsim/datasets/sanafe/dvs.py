"""DVS gestures on Loihi: the closed form, fed with statistics of layers, beside the published run of the simulator."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim import api, shelf
from hwsim.datasets.locate import data_path, pandas
from hwsim.targets.neuromorphic.cost import by_timestep
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import lower
from hwsim.targets.neuromorphic.mapping import NeuroMapping

LAYERS = ("sanafe", "dvs_gesture.csv")
COLUMNS = {"synapse energy": "synapse_energy", "soma energy": "soma_energy", "network energy": "network_energy", "time": "sim_time"}


def predicted() -> dict[str, np.ndarray]:
    """Parts of the energy and time of each timestep, by the names of `COLUMNS`."""
    statistics = next(folder.joinpath(*LAYERS) for folder in shelf.folders("datasets") if folder.joinpath(*LAYERS).exists())
    device, mapping = NeuroDevice.from_shelf("loihi1"), NeuroMapping.of(layers=statistics, split="even")
    found = by_timestep(lower(api.load("dvs_gesture"), mapping), device=device, mapping=mapping)
    return dict(zip(COLUMNS, (found["synapse_j"], found["soma_j"], found["network_j"], found["time_s"]), strict=True))


def measured() -> dict[str, np.ndarray]:
    """The same of the published run, simple timing.

    Raises:
        DataMissing: it is absent.
    """
    table = pandas().read_csv(data_path("neuro", "sanafe_reference", "dvs_gesture_128ts_simple.csv"))
    return {name: table[column].to_numpy(float) for name, column in COLUMNS.items()}


def validation_rows() -> dict[str, Any]:
    """Parts, total and time of the whole run, and energy and time of each timestep.

    Raises:
        DataMissing: the published run is absent.
    """
    ours, theirs = predicted(), measured()
    rows: list[tuple[str, str, float, float]] = []
    parts = [name for name in COLUMNS if name != "time"]
    for values in (ours, theirs):
        values["energy"] = np.sum([values[name] for name in parts], axis=0)
    for name in ("energy", *parts, "time"):
        rows.append(("whole run", name, float(np.sum(theirs[name])), float(np.sum(ours[name]))))
    for name in ("energy", "time"):
        rows += [("timestep", name, float(a), float(b)) for a, b in zip(theirs[name], ours[name], strict=True)]
    device, group, found, guessed = (np.array(column) for column in zip(*rows, strict=True))
    return {"device": device, "group": group, "measured": found.astype(float), "predicted": guessed.astype(float)}
