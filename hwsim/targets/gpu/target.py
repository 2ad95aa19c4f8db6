"""The GPU family as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.cost import Cost, Program, Table
from hwsim.graph import Graph
from hwsim.quantities import Quantity
from hwsim.targets.gpu.constants import gpu_constants, sources
from hwsim.targets.gpu.cost import program_cost
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.features import NAMES, features
from hwsim.targets.gpu.lower import lower
from hwsim.targets.gpu.mapping import AUTOCAST, GpuMapping
from hwsim.targets.gpu.operator_features import NAMES as OPERATOR_NAMES
from hwsim.targets.gpu.operator_features import table_features


class GpuTarget:
    """Kernels after the fusions of a runtime, on the units and memories of a GPU."""

    family = "gpu"
    mapping_options = tuple(f.name for f in fields(GpuMapping))
    feature_names = NAMES
    operator_names = OPERATOR_NAMES
    summary = "NVIDIA and AMD GPUs: kernels after a runtime's fusions, waves of tiles, L2 and DRAM, power limit"

    def devices(self) -> Sequence[str]:
        """Names on the shelf."""
        return tuple(shelf.devices("gpu"))

    def device(self, name: str, /) -> GpuDevice:
        """A GPU by name or from its YAML file.

        Raises:
            UnknownName: no such device.
            InputError: its file is wrong.
        """
        return GpuDevice.from_shelf(name)

    def mapping(self, **options: Any) -> GpuMapping:
        """Mapping choices from plain options.

        Raises:
            UnknownName: an option or value that does not exist.
        """
        return GpuMapping.of(**options)

    def lower(self, graph: Graph, *, device: Any, mapping: GpuMapping) -> Program:
        """Kernels; the same for every device."""
        return lower(graph, mapping)

    def cost(self, program: Program, *, device: Any, mapping: GpuMapping) -> Cost:
        """Pure array function of program, device and mapping."""
        return program_cost(program, device=device, mapping=mapping, constants=gpu_constants())

    def cost_with(self, program: Program, *, device: Any, mapping: GpuMapping, row_factor: Any) -> Cost:
        """Cost of a program whose kernels take a learned multiple of their time alone, shape `(rows,)` or `(points, rows)`."""
        return program_cost(program, device=device, mapping=mapping, constants=gpu_constants(), row_factor=row_factor)

    def row_features(self, program: Program, *, device: Any, mapping: GpuMapping) -> np.ndarray:
        """What learned methods see of the kernels, shape `(rows, features)` or `(points, rows, features)`; names in `feature_names`."""
        return features(program.tables, device=device, mapping=mapping, constants=gpu_constants())

    def operator_features(self, table: Table, *, device: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """(features of kernels, which of them are of a measured kind) for surrogates of single operators; None for other tables."""
        return table_features(table, device=device, constants=gpu_constants())

    def binding(self, cost: Cost) -> Sequence[str]:
        """compute, memory or overhead (launch and fixed cost), whichever is longest."""
        parts = cost.row_parts_s
        return [_longest(c, m, o) for c, m, o in zip(parts.compute, parts.memory, parts.overhead, strict=True)]

    def facts(self, device: GpuDevice, mapping: GpuMapping) -> Mapping[str, Quantity]:
        """Device quantities and fitted constants that an estimate leans on most."""
        rate = "fp32_flop_per_clk" if mapping.dtype == "fp32" else "fp16_tensor_flop_per_clk"
        keys = ("sm_count", "clock_hz", rate, "dram_b_per_s", "l2_b", "power_limit_w", "idle_power_w")
        fitted = {k: q for k, q in sources().items() if k in _LEADING}
        return {**{k: device.sources[k] for k in keys if k in device.sources}, **fitted}

    def roofs(self, device: GpuDevice, mapping: GpuMapping) -> Mapping[str, float]:
        """Peaks for a roofline plot: FLOP/s on the unit of the mapping's format, and DRAM B/s."""
        fmt = AUTOCAST.get(mapping.dtype, "fp32" if mapping.dtype == "native" else mapping.dtype)
        return {"compute": float(device.peak_op_per_s(fmt)), "memory": float(device.dram_b_per_s)}

    def validation_domains(self, program: Program, cost: Cost, *, device: Any, mapping: GpuMapping) -> Mapping[str, str]:
        """Domain whose errors the interval of the latency comes from.

        Whole networks were measured on three NVIDIA boards in eager and compiled mode, on images, at batches that keep the host out
        of the way. Those boards take the errors on families left out, other NVIDIA GPUs those on boards left out; what is none of
        this, and all energy, is not validated.
        """
        waits = float(cost.latency_s) <= float(cost.extra["host_s"])
        if waits or "seq_len" in program.graph.attrs or mapping.runtime not in ("eager", "compile") or device.vendor != "nvidia":
            return {}
        suite = "gpu-networks" if device.name in MEASURED else "gpu-networks-devices"
        return {"latency": f"{suite}/{mapping.runtime}"}


MEASURED = ("rtx-3090", "rtx-4090", "rtx-pro-6000-blackwell-maxq")
"""Boards that whole networks were measured on."""
_LEADING = ("gemm.tensor_frac", "gemm.dram_frac", "conv.tensor_frac", "conv.heuristic_frac", "streaming.dram_frac", "networks.eager_host_s")


def _longest(compute: float, memory: float, overhead: float) -> str:
    if overhead > max(compute, memory):
        return "overhead"
    return "compute" if compute >= memory else "memory"
