"""Measured image networks on GPUs as rows of kernels (timm's inference tables)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.datasets import timm_infer
from hwsim.surrogates.graphs import Graphs
from hwsim.targets.gpu.calibrate import networks
from hwsim.targets.gpu.constants import gpu_constants
from hwsim.targets.gpu.cost import arithmetic, host_s, kernel_time
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.features import NAMES, features
from hwsim.targets.gpu.tables import build_tables


def load(*, progress: Callable[[int, int], None] | None = None) -> Graphs:
    """All runs whose graphs are traced (see `hwsim.targets.gpu.calibrate.networks`), seconds a batch; takes minutes.

    Raises:
        DataMissing: the measurements are not there.
    """
    frame = timm_infer.runs().sort_values(["model", "image_size"])
    items = list(frame.itertuples())
    found: list[tuple[Any, _Network]] = []
    for i, item in enumerate(items):
        rows = _one(item)
        if rows is not None:
            found.append((item, rows))
        if progress and i % 100 == 0:
            progress(i, len(items))
    names = ("device", "runtime", "dtype", "layout", "torch_version", "model")
    labels = {name: np.array([str(getattr(item, name)) for item, _ in found]) for name in names}
    labels["family"] = np.array([timm_infer.family(model) for model in labels["model"]])
    hosts = np.array([n.host_s for _, n in found])[:, None]
    return Graphs(
        features=np.concatenate([n.features for _, n in found]).astype(np.float32),
        cost=np.concatenate([n.cost_s for _, n in found])[:, None],
        floor=np.concatenate([n.floor_s for _, n in found])[:, None],
        start=np.concatenate([[0], np.cumsum([len(n.cost_s) for _, n in found])]),
        edges=np.zeros((2, 0), dtype=np.int64),
        rest=0.0 * hosts,
        least=hosts,
        measured=np.array([item.measured_s for item, _ in found])[:, None],
        feature_names=NAMES,
        metrics=("latency_s",),
        readout=("sum",),
        labels=labels,
    )


@dataclass(frozen=True)
class _Network:
    features: np.ndarray
    cost_s: np.ndarray
    floor_s: np.ndarray
    host_s: float


def _one(item: Any) -> _Network | None:
    mapping, device = networks.mapping_of(item), _device(item.device)
    counts = networks.rows_at(item.model, item.image_size, mapping, batch=item.batch, parameters_m=item.parameters_m)
    if counts is None:
        return None
    tables, constants = build_tables(counts, mapping=mapping)[0], gpu_constants()
    times = [kernel_time(t, device=device, constants=constants) for t in tables]
    peak = [arithmetic(t, time, device=device, constants=constants)[1] * t.count for t, time in zip(tables, times, strict=True)]
    return _Network(
        features(tables, device=device, mapping=mapping, constants=constants),
        np.concatenate([time.latency_s * t.count for t, time in zip(tables, times, strict=True)]),
        np.concatenate(peak),
        host_s(float(sum(t.count.sum() for t in tables)), mapping, constants.networks),
    )


_DEVICES: dict[str, GpuDevice] = {}


def _device(name: str) -> GpuDevice:
    return _DEVICES.setdefault(name, GpuDevice.from_shelf(name))
