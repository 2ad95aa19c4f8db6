"""Which validation a design belongs to: the stage, how data move, the strategy, and whether its sizes were seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwsim.cost import Cost, Program
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.fields import VALIDATED_BACKENDS
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.templates.matrix import MatrixColumns

METRICS = {"latency": "cycles", "LUT": "LUT", "FF": "FF", "DSP": "DSP", "BRAM18": "BRAM18"}
"""Metric of an estimate to the metric of the tables."""
LARGEST = 512
"""Widest layer near the validated ones."""
STREAM_BITS, REUSED_BITS = (14, 18), (14, 18)
"""Data widths near those of the streaming designs and of the resource-strategy ones, all of 16 bits."""


def domains(program: Program, cost: Cost, *, device: FpgaDevice, mapping: FpgaMapping) -> Mapping[str, str]:
    """Domain by metric; empty where no validation covers the design."""
    products = next((t.columns for t in program.tables if t.kind == "matrix"), None)
    found: dict[str, str] = {}
    seen = mapping.backend in VALIDATED_BACKENDS and (mapping.multiplier != "fabric" or mapping.backend == "Vitis")
    if products is not None and seen and np.max(products.repeat) == 1:
        name = _suite(products, cost, mapping)
        spelled = str.lower if mapping.stage == "yosys" else str
        found = {metric: f"{name} / {spelled(column)}" for metric, column in METRICS.items()} if name else {}
    if float(device.board_power_w) > 0:
        found["energy"] = "fpga-energy/board / energy"
    return found


def _suite(products: MatrixColumns, cost: Cost, mapping: FpgaMapping) -> str | None:
    resource, latency = bool(np.all(products.strategy == 1)), bool(np.all(products.strategy == 0))
    if mapping.stage == "yosys":
        return "fpga-yosys/dense_resource" if resource and mapping.io_type == "io_parallel" and np.min(products.reuse) > 1 else None
    data = (float(np.min(products.in_bits)), float(np.max(products.in_bits)))
    if mapping.io_type == "io_stream" and not _within(data, STREAM_BITS):
        return None
    if mapping.io_type == "io_stream":
        streams = {"csynth": "fpga-cnn-csynth/kebl", "vsynth": "fpga-cnn-vsynth/kebl"}
        return streams.get(mapping.stage) if np.any(products.window) and (resource or latency) else None
    if max(np.max(products.n_in), np.max(products.n_out)) > LARGEST or np.any(products.window):
        return None
    if latency:
        return {"csynth": "fpga-mlp-csynth/whole design", "routed": "fpga-jet-routed/routed"}.get(mapping.stage)
    reuse = np.asarray(cost.row_extra["reuse_factor"])[: len(products.n_in)]
    if resource and np.all(reuse >= products.n_in) and _within(data, REUSED_BITS):
        return {"csynth": "fpga-dense-csynth/resource", "vsynth": "fpga-dense-vsynth/two layers"}.get(mapping.stage)
    return None


def _within(found: tuple[float, float], seen: tuple[float, float]) -> bool:
    """Whether the smallest and the largest of the found lie among the seen."""
    return seen[0] <= found[0] and found[1] <= seen[1]
