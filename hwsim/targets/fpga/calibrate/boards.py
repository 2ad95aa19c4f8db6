"""Energy on boards: measured rows of MLPerf Tiny v0.7 against the power that a board is described with."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas


def energy_rows() -> dict[str, Any]:
    """Energy an inference at the measured rate, the power of the board taken from its other networks.

    The reports of the designs are not part of the rows, so the rate is the measured one: what is validated is the power.
    """
    table = pandas().read_csv(data_path("fpga", "mlperf_tiny_v07_hls4ml_finn.csv"))
    power = table.median_energy_uJ_per_inf * 1e-6 * table.throughput_power_run
    measured, found = [], []
    for row in table.itertuples():
        others = power[(table.board == row.board) & (table.model != row.model)]
        measured.append(row.median_energy_uJ_per_inf * 1e-6)
        found.append(float(np.mean(others)) / row.throughput_power_run)
    names = np.full(len(table), "energy")
    return {"device": np.full(len(table), "board"), "group": names, "measured": np.array(measured), "predicted": np.array(found)}
