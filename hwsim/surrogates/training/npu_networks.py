"""Measured networks on NPUs as rows of operators (Qualcomm AI Hub)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.targets.npu.calibrate import NAMES as COLUMNS
from hwsim.targets.npu.calibrate import Fit, Runs, measured
from hwsim.targets.npu.constants import NpuConstants, npu_constants
from hwsim.targets.npu.cost import dispatch_s, rates, row_time
from hwsim.targets.npu.device import NpuDevice
from hwsim.targets.npu.features import NAMES, features
from hwsim.targets.npu.lower import NpuColumns
from hwsim.targets.npu.mapping import NpuMapping

LABELS = ("name", "architecture", "family", "device", "runtime", "dtype")


def load(*, progress: Callable[[int, int], None] | None = None) -> Graphs:
    """All runs with every layer on the NPU of networks that can be built, seconds an inference.

    Raises:
        DataMissing: the measurements are not there.
    """
    return graphs_of(measured())


def graphs_of(runs: Runs, *, found: Fit | None = None) -> Graphs:
    """Runs with the closed form of these constants, by default those of the shelf."""
    constants = npu_constants() if found is None else found.constants
    names = sorted(set(runs.frame.device))
    devices = {name: NpuDevice.from_shelf(name) if found is None else found.device(name) for name in names}
    parts = [_network(runs, i, item, devices[item.device], constants) for i, item in enumerate(runs.frame.itertuples())]
    seen, cost, started = (np.concatenate([p[i] for p in parts]) for i in range(3))
    return Graphs(
        features=seen.astype(np.float32),
        cost=cost[:, None],
        floor=np.zeros((len(cost), 1)),
        start=runs.start,
        edges=np.zeros((2, 0), dtype=np.int64),
        rest=started[:, None],
        least=np.zeros((len(runs), 1)),
        measured=runs.frame.measured_s.to_numpy()[:, None],
        feature_names=NAMES,
        metrics=("latency_s",),
        readout=("sum",),
        labels={name: runs.frame[name].to_numpy().astype(str) for name in LABELS},
    )


def _network(runs: Runs, i: int, item: Any, device: NpuDevice, constants: NpuConstants) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features of the rows, their time, time of starting)."""
    at = slice(runs.start[i], runs.start[i + 1])
    c, mapping = NpuColumns(**{name: runs.columns[at, j] for j, name in enumerate(COLUMNS)}), NpuMapping(item.dtype, item.runtime)
    time = row_time(c, rates(device, mapping, constants), constants)
    seen = features(c, device=device, mapping=mapping, constants=constants)
    return seen, time.latency_s * runs.count[at], np.array([dispatch_s(device, mapping, constants)], dtype=float)
