"""What learned methods see of the rows of an NPU program: sizes, parts of the closed form, format, runtime and device."""

from __future__ import annotations

import numpy as np

from hwsim.targets.npu.constants import NpuConstants
from hwsim.targets.npu.cost import rates, row_time
from hwsim.targets.npu.device import NpuDevice
from hwsim.targets.npu.lower import KINDS, NpuColumns
from hwsim.targets.npu.mapping import NpuMapping

SIZES = ("pixels", "inner", "outer", "window", "stride", "read", "written", "weights", "ops", "special", "moved", "joined", "nodes")
"""Columns that are seen as logarithms."""
PARTS = ("latency", "matrix_share", "vector_share", "memory_share", "launch_share", "padding", "spilled")
MAPPING = ("fp16", "w8a8", "w8a16", "onnx", "tflite")
DEVICE = ("int8_rate", "fp16_rate", "vector_rate", "bandwidth", "tcm")
"""Quantities of the device, as logarithms."""
NAMES = (*SIZES, *KINDS, *PARTS, *MAPPING, *DEVICE)
"""All features, in order."""


def features(c: NpuColumns, *, device: NpuDevice, mapping: NpuMapping, constants: NpuConstants) -> np.ndarray:
    """Features of every row, shape `(rows, features)` or `(points, rows, features)`, in the order of `NAMES`."""
    given = rates(device, mapping, constants)
    time = row_time(c, given, constants)
    sizes = [np.log2(np.asarray(getattr(c, name)) + 1.0) for name in SIZES]
    kinds = [(c.kind == i).astype(float) for i in range(len(KINDS))]
    whole = time.matrix_s + time.vector_s + time.memory_s + time.launch_s
    shares = [getattr(time, f"{name}_s") / whole for name in ("matrix", "vector", "memory", "launch")]
    padding = np.log2(np.where(c.macs > 0, c.padded_macs / np.maximum(c.macs, 1.0), 1.0))
    spilled = np.log2(1.0 + (c.read + c.written) * given.activation_b / given.tcm_b)
    chosen = [mapping.dtype == "fp16", mapping.dtype == "w8a8", mapping.dtype in ("w8a16", "w16a16")]
    chosen += ["onnx" in mapping.runtime, mapping.runtime == "tflite"]
    board = (device.int8_op_per_s / 1e13, device.fp16_op_per_s / 1e12, device.vector_b_per_s / 1e11, device.dram_b_per_s / 1e10)
    rest = [np.log(value) for value in (*board, device.tcm_b / 1e6)]
    found = [*sizes, *kinds, np.log(time.latency_s * 1e6), *shares, padding, spilled, *map(float, chosen), *rest]
    return np.stack(np.broadcast_arrays(*found), axis=-1)
