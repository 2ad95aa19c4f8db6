"""The NPU family as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.cost import Cost, Program, Verdict
from hwsim.graph import Graph
from hwsim.quantities import Quantity
from hwsim.targets.npu.constants import npu_constants, sources
from hwsim.targets.npu.cost import program_cost
from hwsim.targets.npu.device import NpuDevice
from hwsim.targets.npu.features import NAMES, features
from hwsim.targets.npu.lower import lower
from hwsim.targets.npu.mapping import NpuMapping
from hwsim.units import format_si

BOUNDS = {"compute": "matrix", "conversion": "vector", "memory": "memory", "overhead": "launch"}
"""Words for the parts of a row's time."""
LEADING = ("int8_op_per_s", "fp16_op_per_s", "vector_b_per_s", "dram_b_per_s", "launch_s", "dispatch_s")


class NpuTarget:
    """Fused operators on a matrix unit, a vector unit and their memories."""

    family = "npu"
    mapping_options = tuple(f.name for f in fields(NpuMapping))
    feature_names = NAMES
    surrogate_metrics = ("latency_s",)
    surrogate_readout = ("sum",)
    summary = "NPUs of phones, cars and edge boards: fused operators on a matrix and a vector unit, fitted on measured networks"

    def devices(self) -> Sequence[str]:
        """Names on the shelf."""
        return tuple(shelf.devices("npu"))

    def device(self, name: str, /) -> NpuDevice:
        """An NPU by name or from its YAML file.

        Raises:
            UnknownName: no such device.
            InputError: its file is wrong.
        """
        return NpuDevice.from_shelf(name)

    def mapping(self, **options: Any) -> NpuMapping:
        """Mapping choices from plain options.

        Raises:
            UnknownName: an option or value that does not exist.
        """
        return NpuMapping.of(**options)

    def lower(self, graph: Graph, *, device: Any, mapping: NpuMapping) -> Program:
        """Rows; the same for every device."""
        return lower(graph, mapping)

    def cost(self, program: Program, *, device: NpuDevice, mapping: NpuMapping) -> Cost:
        """Pure array function of program, device and mapping."""
        return program_cost(program, device=device, mapping=mapping, constants=npu_constants())

    def cost_with(self, program: Program, *, device: NpuDevice, mapping: NpuMapping, row_factor: Any) -> Cost:
        """Cost of a program whose rows take a learned multiple of their time, shape `(rows,)` or `(points, rows)`, or that by metric."""
        factor = row_factor.get("latency_s") if isinstance(row_factor, Mapping) else row_factor
        return program_cost(program, device=device, mapping=mapping, constants=npu_constants(), row_factor=factor)

    def row_features(self, program: Program, *, device: NpuDevice, mapping: NpuMapping) -> np.ndarray:
        """What learned methods see of the rows, shape `(rows, features)` or `(points, rows, features)`; names in `feature_names`."""
        columns: Any = program.tables[0].columns
        return features(columns, device=device, mapping=mapping, constants=npu_constants())

    def row_costs(self, program: Program, *, device: NpuDevice, mapping: NpuMapping) -> np.ndarray:
        """Closed form of each row times its count, shape `(rows, 1)` or `(points, rows, 1)`."""
        cost = self.cost(program, device=device, mapping=mapping)
        return (cost.row_latency_s * program.tables[0].count)[..., None]

    def binding(self, cost: Cost) -> Sequence[str]:
        """matrix, vector, memory or launch, whichever is longest."""
        stacked = np.stack([np.asarray(getattr(cost.row_parts_s, name), dtype=float) for name in BOUNDS])
        return [list(BOUNDS.values())[i] for i in np.argmax(stacked, axis=0)]

    def facts(self, device: NpuDevice, mapping: NpuMapping) -> Mapping[str, Quantity]:
        """Device quantities and fitted constants that an estimate leans on most."""
        rate = "int8_op_per_s" if mapping.dtype == "fp16" else "fp16_op_per_s"
        own = {k: device.sources[k] for k in LEADING if k in device.sources and k != rate}
        return {**own, **{f"networks.{k}": q for k, q in sources().items() if k in ("conv", "linear", "fill", "a16")}}

    def roofs(self, device: NpuDevice, mapping: NpuMapping) -> Mapping[str, float]:
        """Peaks for a roofline plot: operations a second in the mapping's format, and DRAM B/s."""
        peak = device.fp16_op_per_s if mapping.dtype == "fp16" else device.int8_op_per_s
        return {"compute": float(peak), "memory": float(device.dram_b_per_s)}

    def highlights(self, cost: Cost, *, mapping: NpuMapping) -> Mapping[str, str]:
        """What an inference takes beside its operators, among the totals of a report."""
        return {"Start": format_si(float(cost.extra["dispatch_s"]), "s"), "DRAM": format_si(float(cost.extra["dram_b"]), "B")}

    def verdict(self, program: Program, cost: Cost, *, device: NpuDevice, mapping: NpuMapping) -> Verdict:
        """Whether the compiler may leave something to the CPU, which the model does not know."""
        found = sorted({k.kind for k in program.kernels if k.kind in DOUBTFUL})
        words = [f"{', '.join(found)}: often left to the CPU by compilers of NPUs, which takes longer than this says"] if found else []
        if mapping.runtime == "onnx" and device.name in LEFT_BY_ONNX:
            words.append(f"on {device.name} ONNX Runtime left all measured networks to the CPU; this is the time of the NPU")
        return Verdict(warnings=tuple(words))

    def validation_domains(self, program: Program, cost: Cost, *, device: NpuDevice, mapping: NpuMapping) -> Mapping[str, str]:
        """Domain whose errors the interval of the latency comes from; energy and batches of more than one are not validated."""
        measured = float(program.graph.attrs.get("batch", 1)) == 1 and device.name in MEASURED
        measured &= mapping.runtime != "onnx" or device.name not in LEFT_BY_ONNX
        return {"latency": f"npu-networks/{mapping.dtype}, {mapping.runtime}"} if measured else {}


DOUBTFUL = frozenset({"fft", "sort", "topk", "scatter", "grid_sample", "recurrent", "selective_scan", "ssd", "lmu_memory", "cumulative"})
"""Kinds that few NPUs have an operator for."""
MEASURED = (
    "iq-9075", "qcs6490", "qcs8275", "qcs8450", "qcs8550", "sa8775p", "snapdragon-7-gen-4", "snapdragon-8-elite", "snapdragon-8-gen-3",
    "snapdragon-x-elite",
)  # fmt: skip
"""Chips that networks were measured on."""
LEFT_BY_ONNX = ("qcs6490", "snapdragon-7-gen-4")
"""Chips on which every run under ONNX Runtime (87 each, AI Hub) went to the CPU."""
