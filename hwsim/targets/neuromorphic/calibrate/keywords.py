"""The keyword-spotting family on a Loihi board (Blouw et al. 2019): host time, host power and firing rate fitted on every second size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim import api
from hwsim.datasets.locate import data_path, pandas

BOARD = "loihi1-wolfmountain"
RATES = np.geomspace(0.005, 0.4, 60)
"""Firing rates that the fit looks at."""


@dataclass(frozen=True)
class Fit:
    """What the event model does not know of this benchmark."""

    host_w: float
    host_timestep_s: float
    firing_rate: float


def runs() -> Any:
    """Measured sizes of the scaled family: copies, seconds and joules an inference, watts while idle."""
    table = pandas().read_csv(data_path("neuro", "abr_kws", "abr_kws_measured.csv"))
    kept = table[(table.hardware == "LOIHI") & (table.n_copies > 0) & (table.n_layers > 0)].sort_values("n_copies")
    return kept.assign(seconds_per_inf=kept.seconds / kept.n_inferences)


def estimate(copies: int, found: Fit, *, static_w: float) -> Any:
    """Estimate of one size under fitted values."""
    own = {"host_w": found.host_w, "host_timestep_s": found.host_timestep_s, "static_w": static_w}
    return api.estimate(f"keyword_spotter?copies={copies}", BOARD, set=own, firing_rate=found.firing_rate)


def fit(table: Any) -> Fit:
    """Host time from the rate of inferences, then the firing rate and the host power that leave the least relative error of energy."""
    copies, seconds, joules = (table[c].to_numpy(float) for c in ("n_copies", "seconds_per_inf", "total_J_per_inf"))
    static = float(table.idle_W.iloc[0])
    best = (np.inf, Fit(0.0, 0.0, 0.0))
    for rate in RATES:
        bare = [estimate(int(n), Fit(0.0, 0.0, float(rate)), static_w=0.0) for n in copies]
        steps = float(bare[0].cost.extra["timesteps"])
        host_s = float(np.median(seconds - [e.latency_s for e in bare])) / steps
        events = np.array([e.energy_j for e in bare])
        host_w = float(np.median((joules - events) / seconds)) - static
        error = float(np.max(np.abs((events + (static + host_w) * seconds) / joules - 1)))
        best = min(best, (error, Fit(host_w, host_s, float(rate))), key=lambda found: found[0])
    return best[1]


def validation_rows() -> dict[str, Any]:
    """Every second size predicted from a fit on the others."""
    table = runs()
    seen = np.arange(len(table)) % 2 == 0
    found, left = fit(table[seen]), table[~seen]
    static = float(table.idle_W.iloc[0])
    rows = []
    for row in left.itertuples():
        e = estimate(int(row.n_copies), found, static_w=static)
        rows += [("energy an inference", row.total_J_per_inf, e.energy_j), ("time an inference", row.seconds_per_inf, e.latency_s)]
    group, measured, predicted = (np.array(c) for c in zip(*rows, strict=True))
    return {"device": np.full(len(rows), BOARD), "group": group, "measured": measured.astype(float), "predicted": predicted.astype(float)}
