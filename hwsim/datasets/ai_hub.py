"""Latency and memory of named networks on NPUs (Qualcomm AI Hub's own tables)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.datasets.ai_hub_models import GRAPHS, architecture_of, family_of, reason
from hwsim.datasets.locate import data_path, pandas

DEVICES = {
    "Samsung Galaxy S25": "snapdragon-8-elite",
    "Samsung Galaxy S24": "snapdragon-8-gen-3",
    "QCS8550 (Proxy)": "qcs8550",
    "QCS8450 (Proxy)": "qcs8450",
    "Snapdragon 7 Gen 4 QRD": "snapdragon-7-gen-4",
    "Dragonwing RB3 Gen 2 Vision Kit": "qcs6490",
    "Snapdragon X Elite CRD": "snapdragon-x-elite",
    "Dragonwing IQ-9075 EVK": "iq-9075",
    "QCS8275 (Proxy)": "qcs8275",
    "SA8775P ADP": "sa8775p",
}
"""Board to device on the shelf."""
COPIES = ("SA7255P ADP",)
"""Boards whose rows are those of another: each of SA7255P's 425 carries the job of a row of QCS8275."""
DTYPES = {"float": "fp16", "w8a8": "w8a8", "w8a16": "w8a16", "w16a16": "w16a16"}
"""Precision to format; mixed ones keep their name."""


def runs() -> Any:
    """Every run once, with the columns name, graph (empty where there is none), device, dtype, runtime, unit, fallen_back, measured_s,
    memory_b, layers, architecture, family, why (no graph).

    Raises:
        DataMissing: the file is not there.
    """
    found = pandas().read_parquet(data_path("gpu", "qualcomm_ai_hub", "aihub_perf.parquet"))
    found = found[~found.device.isin(COPIES)].reset_index(drop=True)
    several = found.groupby("model").component.transform("nunique") > 1
    name = found.model.where(~several, found.model + "/" + found.component)
    elsewhere = found.layers_cpu.fillna(0) + found.layers_gpu.fillna(0) > 0
    graph = name.map(GRAPHS).fillna("")
    return found.assign(
        name=name,
        graph=graph,
        device=found.device.map(DEVICES),
        dtype=found.precision.map(lambda p: DTYPES.get(p, p)),
        unit=found.primary_compute_unit,
        fallen_back=elsewhere | (found.primary_compute_unit != "NPU"),
        measured_s=found.inference_time_ms * 1e-3,
        memory_b=found.peak_mem_max_mb * 1e6,
        layers=found.layers_total,
        architecture=name.map(architecture_of),
        family=name.map(family_of),
        why=name.map(reason).where(graph == "", ""),
    )


def on_npu() -> Any:
    """Runs with a graph, a format of the family and every layer on the NPU.

    Raises:
        DataMissing: the file is not there.
    """
    found = runs()
    return found[(found.graph != "") & ~found.fallen_back & found.dtype.isin(list(DTYPES.values()))].reset_index(drop=True)


def networks(tell: Callable[[str], None]) -> dict[str, Any]:
    """Rows of the data set; a network without a graph is named `ai-hub:NAME`, and `fact.without_graph` says why."""
    found = runs()
    known = found.graph != ""
    tell(f"AI Hub: {len(found):,} runs, {known.sum():,} of {found.name[known].nunique()} networks with a graph of {found.name.nunique()}")
    return {
        "graph": found.graph.where(known, "ai-hub:" + found.name).to_numpy(dtype=object),
        "device": found.device.to_numpy(dtype=object),
        "group": found.architecture.to_numpy(dtype=object),
        "mapping.dtype": found.dtype.to_numpy(dtype=object),
        "mapping.runtime": found.runtime.to_numpy(dtype=object),
        "protocol.tool": "AI Hub",
        "protocol.version": found.qairt_version.fillna("not stated").astype(str).to_numpy(dtype=object),
        "protocol.unit": found.unit.to_numpy(dtype=object),
        "protocol.batch": 1,
        "latency_s": found.measured_s.to_numpy(),
        "memory_b": found.memory_b.to_numpy(dtype=float),
        "fact.family": found.family.to_numpy(dtype=object),
        "fact.name": found.name.to_numpy(dtype=object),
        "fact.layers": found.layers.to_numpy(),
        "fact.all_on_npu": (~found.fallen_back).astype(int).to_numpy(),
        "fact.without_graph": found.why.to_numpy(dtype=object),
    }
