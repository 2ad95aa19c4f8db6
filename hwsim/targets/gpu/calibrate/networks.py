"""Fit and validate whole networks: how kernels behave next to each other, and what the host adds (timm, three GPUs)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf, store
from hwsim.datasets import timm_infer
from hwsim.errors import HwsimError
from hwsim.graph import Graph
from hwsim.passes.reparameterise import Reparameterise
from hwsim.targets.gpu.calibrate import fitting
from hwsim.targets.gpu.constants import GpuConstants, NetworkConstants, gpu_constants
from hwsim.targets.gpu.cost import host_s, kernel_time
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.gemm import GemmConstants
from hwsim.targets.gpu.lower import rows_of
from hwsim.targets.gpu.mapping import GpuMapping
from hwsim.targets.gpu.rows import AttentionRow, ConvRow, Row, StreamRow
from hwsim.targets.gpu.tables import build_tables

TRACED_BATCH = 2
"""Batch of the traced graphs; kernels are scaled from it to the batch of a run."""
HOST = "usual time of a module call and its dispatch on a desktop CPU; the batches of the set are too large to show it"
CLASSES = ("conv", "depthwise", "nchw_conv", "gemm", "attention", "stream", "compile_stream")
"""Kernels that share a scale inside a network."""
BOUNDS: fitting.Bounds = {
    **dict.fromkeys(CLASSES, (1.0, 0.3, 4.0)),
}
"""Start, low, high."""


@dataclass(frozen=True)
class Run:
    """One measured network."""

    device: str
    mapping: GpuMapping
    model: str
    batch: int
    measured_s: float
    busy_s: np.ndarray
    """Time of each class of kernels, without fixed costs; shape `(classes,)`."""
    fixed_s: float
    kernels: float
    roofline_s: float

    @property
    def family(self) -> str:
        """Family of architectures."""
        return timm_infer.family(self.model)


def cache_folder() -> Path:
    """Where traced graphs are kept (`HWSIM_CACHE`, else `~/.cache/hwsim`)."""
    return Path(os.environ.get("HWSIM_CACHE", Path.home() / ".cache" / "hwsim")) / "graphs"


@lru_cache(maxsize=4)
def traced(model: str, image_size: int) -> Graph | None:
    """The graph of a timm model, traced once and kept; None where it cannot be built."""
    folder = cache_folder()
    path = folder / f"{model}-{image_size}-b{TRACED_BATCH}{store.SUFFIX}"
    failed = path.with_suffix(".failed")
    if path.exists():
        return store.read(path)
    if failed.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return _trace(model, image_size, path, failed)


def _trace(model: str, image_size: int, path: Path, failed: Path) -> Graph | None:
    from hwsim.api import load

    try:
        graph = load(f"timm:{model}?img_size={image_size}", batch=TRACED_BATCH)
    except HwsimError as error:
        failed.write_text(str(error), encoding="utf-8")
        return None
    store.save(graph, path)
    return graph


def at_batch(row: Row, factor: float) -> Row:
    """The row for a batch `factor` times that of its graph; weights are not multiplied."""
    if isinstance(row, ConvRow):
        return row._replace(batch=row.batch * factor, epilogue_b=row.epilogue_b * factor)
    if isinstance(row, AttentionRow):
        return row._replace(batch=row.batch * factor)
    if isinstance(row, StreamRow):
        scaled = {key: getattr(row, key) * factor for key in ("read_b", "written_b", "ops", "special", "row_count")}
        return row._replace(**scaled)
    moved = {"a_b": row.a_b * factor, "c_b": row.c_b * factor, "epilogue_b": row.epilogue_b * factor}
    if row.batch > 1:
        return row._replace(batch=row.batch * factor, b_b=row.b_b * factor, **moved)
    return row._replace(m=row.m * factor, **moved)


def deployed(graph: Graph, parameters_m: float | None) -> Graph:
    """The graph, or the one with branches and batch norms merged into their convolutions if that has the parameters that were counted."""
    if parameters_m is None or graph.parameters / 1e6 - parameters_m < 0.006:
        return graph
    merged = Reparameterise(chains=False)(graph)
    return min(graph, merged, key=lambda g: abs(g.parameters / 1e6 - parameters_m))


@lru_cache(maxsize=4096)
def _rows(model: str, image_size: int, mapping: GpuMapping, parameters_m: float | None) -> tuple[Counter[Row], Counter[Row]] | None:
    graph = traced(model, image_size)
    return None if graph is None else rows_of(deployed(graph, parameters_m), mapping)


def rows_at(model: str, image_size: int, mapping: GpuMapping, *, batch: int, parameters_m: float | None = None) -> Counter[Row] | None:
    """How often each kernel of a timm model runs at a batch size; None where its graph cannot be built.

    Args:
        model: its name in timm.
        image_size: pixels of a side.
        mapping: how it is run.
        batch: images.
        parameters_m: millions of parameters that were counted, which tell whether convolutions were merged before the run.
    """
    rows = _rows(model, image_size, replace(mapping, torch=GpuMapping.torch), parameters_m)
    if rows is None:
        return None
    flowing, standing = rows
    return Counter({at_batch(row, batch / TRACED_BATCH): count for row, count in flowing.items()}) + standing


@lru_cache(maxsize=16)
def _device(name: str) -> GpuDevice:
    return GpuDevice.from_shelf(name)


def load_runs(
    models: Iterable[str] | None = None,
    *,
    known_only: bool = False,
    device: str | None = None,
    constants: GpuConstants | None = None,
) -> list[Run]:
    """Measured runs with the class times of their kernels.

    Args:
        models: only these.
        known_only: do not trace what is not in the cache.
        device: only this one.
        constants: of the kernels; those on the shelf by default.
    """
    frame = timm_infer.runs()
    if device is not None:
        frame = frame[frame.device == device]
    if models is not None:
        frame = frame[frame.model.isin(list(models))]
    if known_only:
        frame = frame[[_is_cached(m, s) for m, s in zip(frame.model, frame.image_size, strict=True)]]
    constants = constants or gpu_constants()
    frame = frame.sort_values(["model", "image_size"])
    found = [_run(item, constants) for item in frame.itertuples()]
    return [run for run in found if run is not None]


def _is_cached(model: str, image_size: int) -> bool:
    return (cache_folder() / f"{model}-{image_size}-b{TRACED_BATCH}{store.SUFFIX}").exists()


def mapping_of(item: Any) -> GpuMapping:
    """How a row of the set was run."""
    return GpuMapping(dtype=item.dtype, runtime=item.runtime, layout=item.layout, torch=item.torch_version)


def _run(item: Any, constants: GpuConstants) -> Run | None:
    mapping = mapping_of(item)
    scaled = rows_at(item.model, item.image_size, mapping, batch=item.batch, parameters_m=item.parameters_m)
    if scaled is None:
        return None
    busy, fixed, kernels, roof = class_times(scaled, _device(item.device), mapping, constants)
    return Run(item.device, mapping, item.model, item.batch, item.measured_s, busy, fixed, kernels, roof)


def class_times(
    rows: Mapping[Row, int], device: GpuDevice, mapping: GpuMapping, constants: GpuConstants
) -> tuple[np.ndarray, float, float, float]:
    """(time a class, fixed cost, number of kernels, roofline) of a network's kernels."""
    busy: dict[str, float] = dict.fromkeys(CLASSES, 0.0)
    fixed, kernels, roof = 0.0, 0.0, 0.0
    for table in build_tables(rows, mapping=mapping)[0]:
        time = kernel_time(table, device=device, constants=constants)
        each = np.maximum(time.compute_s, time.memory_s) * table.count
        for name, mask in _members(table, mapping):
            busy[name] += float(np.sum(each * mask))
        fixed += float(np.sum(time.overhead_s * table.count))
        kernels += float(np.sum(table.count))
        peak = device.peak_op_per_s("fp16", tensor=table.kind != "stream")
        roof += float(np.sum(np.maximum(time.flop / peak, time.dram_b / device.dram_b_per_s) * table.count))
    return np.array([busy[name] for name in CLASSES]), fixed, kernels, roof


def _members(table: Any, mapping: GpuMapping) -> Sequence[tuple[str, Any]]:
    if table.kind == "stream":
        return [("compile_stream" if mapping.runtime == "compile" else "stream", 1.0)]
    if table.kind != "conv":
        return [(table.kind, 1.0)]
    grouped = table.columns.direct
    return [("depthwise", grouped), ("nchw_conv" if mapping.layout == "nchw" else "conv", 1.0 - grouped)]


def predict(runs: Sequence[Run], values: Mapping[str, float]) -> np.ndarray:
    """Seconds of every run."""
    scales = np.array([values[name] for name in CLASSES])
    constants = NetworkConstants()
    busy = np.array([run.busy_s for run in runs]) @ scales + np.array([run.fixed_s for run in runs])
    host = np.array([host_s(run.kernels, run.mapping, constants) for run in runs])
    return np.maximum(busy, host)


def fit(runs: Sequence[Run]) -> dict[str, float]:
    """Constants from measured networks."""
    measured = np.array([run.measured_s for run in runs])
    return fitting.fit(BOUNDS, lambda v: np.log(predict(runs, v) / measured))


FOLDS = 8
"""Parts that the families of architectures are dealt into."""
ENERGY_FAMILIES = ("vit", "deit", "eva", "mixer", "beit")
"""Families whose time is mostly matrix products; they show what rate the power limit of a board sustains."""
ENERGIES_J = tuple(np.arange(0.7, 2.0, 0.1) * 1e-12)
"""Energies of an operation that are tried for an architecture without a measurement of its own."""


def fit_energies(values: Mapping[str, float]) -> dict[str, float]:
    """Energy of an fp16 tensor operation of each architecture that the matrix-product set lacks."""
    base = gpu_constants()
    found = {}
    for name in sorted(set(timm_infer.BOARDS.values())):
        architecture = _device(name).architecture
        if f"op_j_{architecture}" in shelf.fitted("gpu", "gemm"):
            continue
        losses = [_energy_loss(name, replace(base.gemm, op_j={**base.gemm.op_j, architecture: j}), values) for j in ENERGIES_J]
        found[f"op_j_{architecture}"] = float(ENERGIES_J[int(np.argmin(losses))])
    return found


def _energy_loss(name: str, gemm: GemmConstants, values: Mapping[str, float]) -> float:
    frame = timm_infer.runs()
    models = {m for m in frame.model if timm_infer.family(m) in ENERGY_FAMILIES}
    runs = load_runs(models, known_only=True, device=name, constants=replace(gpu_constants(), gemm=gemm))
    measured = np.array([run.measured_s for run in runs])
    return float(np.median(np.abs(np.log(predict(runs, values) / measured))))


def validation_rows() -> dict[str, np.ndarray]:
    """All runs whose graphs are traced, each predicted with constants fitted without its family of architectures."""
    runs = load_runs()
    order = np.random.default_rng(0).permutation(sorted({run.family for run in runs}))
    fold = {str(name): i % FOLDS for i, name in enumerate(order)}
    return _left_out(runs, [str(fold[run.family]) for run in runs])


def device_rows() -> dict[str, np.ndarray]:
    """The same, each predicted with constants fitted without its device."""
    runs = load_runs()
    return _left_out(runs, [run.device for run in runs])


def _left_out(runs: Sequence[Run], parts: Sequence[str]) -> dict[str, np.ndarray]:
    """Every run predicted by a fit on the runs of all other parts."""
    predicted = np.zeros(len(runs))
    for held in sorted(set(parts)):
        values = fit([run for run, part in zip(runs, parts, strict=True) if part != held])
        inside = [i for i, part in enumerate(parts) if part == held]
        predicted[inside] = predict([runs[i] for i in inside], values)
    return {
        "device": np.array([run.device for run in runs]),
        "group": np.array([run.mapping.runtime for run in runs]),
        "measured_s": np.array([run.measured_s for run in runs]),
        "predicted_s": predicted,
        "roofline_s": np.array([run.roofline_s for run in runs]),
    }


def write() -> None:
    """Fit on all runs and write `targets/gpu/fitted/networks.yaml`."""
    energies = fit_energies(fit(load_runs()))
    gemm = gpu_constants().gemm
    new = {key.removeprefix("op_j_"): j for key, j in energies.items()}
    runs = load_runs(constants=replace(gpu_constants(), gemm=replace(gemm, op_j={**gemm.op_j, **new})))
    values = fit(runs)
    fitting.write(
        "networks",
        {**values, **energies},
        dataset="timm inference throughput (RTX 3090, RTX 4090, RTX PRO 6000 Max-Q)",
        points=len(runs),
        devices=sorted({run.device for run in runs}),
        measured=np.array([run.measured_s for run in runs]),
        predicted=predict(runs, values),
        assumed={name: (getattr(NetworkConstants, name), HOST) for name in ("eager_host_s", "compile_host_s")},
    )


if __name__ == "__main__":
    write()
