"""Loaders of public convolution measurements, as columns in SI units. Needs pandas; the data are not part of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas

Columns = dict[str, np.ndarray]
"""device, dtype, set (strings); batch, in_channels, out_channels, height, width, kernel_h, kernel_w, stride, padding_h, padding_w,
groups (counts); eager, channels_last, residual (0/1); measured_s."""

NEUSIGHT_DEVICES = {
    "Tesla P4": "p4", "Tesla T4": "t4", "Tesla P100-PCIE-16GB": "p100-pcie", "Tesla V100-PCIE-32GB": "v100-pcie",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb",
}  # fmt: skip
DEEPBENCH_DEVICES = {
    "NV_T4": "t4", "NV_1080Ti": "gtx-1080ti", "NV_TitanX_Pascal": "titan-x-pascal", "NV_TitanXp": "titan-xp", "NV_P100": "p100-pcie",
    "NV_V100": "v100-sxm2", "NV_M40": "m40", "NV_TitanX": "titan-x-maxwell",
}  # fmt: skip


def load_lightnas(precisions: Sequence[str] = ("fp32", "fp16", "int8")) -> Columns:
    """Single convolutions on V100 SXM2 with TensorRT (fp32, fp16, int8); the `fp16_damoyolo` rows exceed a V100's peak and are left out."""
    frame = pandas().read_parquet(data_path("gpu", "lightnas_v100_trt_conv.parquet"))
    frame = frame[frame.precision.isin(precisions)]
    pad = (frame.kernel - 1) // 2
    return _columns(
        "tensorrt", np.full(len(frame), "v100-sxm2"), frame.precision, frame.batch, frame.in_c, frame.out_c, frame.in_h, frame.in_w,
        frame.kernel, frame.kernel, frame.stride, pad, pad, np.where(frame.conv_type == "Depthwise", frame.in_c, 1),
        0, 1, frame.elmt_fused, frame.latency_ms * 1e-3,
    )  # fmt: skip


def load_neusight() -> Columns:
    """Convolutions in fp32, 3x3 with stride 1, called from PyTorch on five GPUs (NeuSight)."""
    frame = pandas().read_csv(data_path("gpu", "neusight", "nvidia_conv.csv.gz"))
    size, kernel, pad = frame.Input_Size, frame.Kernel_Szie, frame.Padding
    return _columns(
        "neusight", frame.Device.map(lambda d: NEUSIGHT_DEVICES.get(d, d)),
        np.full(len(frame), "fp32"), frame.B, frame.Input_Channel, frame.Output_Channel,
        size, size, kernel, kernel, frame.Stride, pad, pad, 1, 1, 0, 0, frame.Latency * 1e-3,
    )  # fmt: skip


def load_deepbench() -> Columns:
    """Forward convolutions of DeepBench on NVIDIA GPUs, C++ loops over cuDNN (fp32, fp16, int8)."""
    frame = pandas().read_csv(data_path("gpu", "deepbench", "conv.csv"))
    keep = frame.device.isin(DEEPBENCH_DEVICES) & (frame.fwd_ms > 0)
    names = frame.precision.str.startswith("16 bit inputs, 32 bit multiplication")
    frame = frame[keep & ~names]
    kind = np.select([frame.precision == "Float", frame.precision.str.startswith("16 bit")], ["fp32", "fp16"], "int8")
    return _columns(
        "deepbench", frame.device.map(DEEPBENCH_DEVICES), kind, frame.n, frame.c, frame.k, frame.h, frame.w, frame.r, frame.s,
        frame.stride_h, frame.pad_h, frame.pad_w, 1, 0, 0, 0, frame.fwd_ms * 1e-3,
    )  # fmt: skip


_NAMES = (
    "device", "dtype", "batch", "in_channels", "out_channels", "height", "width", "kernel_h", "kernel_w", "stride", "padding_h",
    "padding_w", "groups", "eager", "channels_last", "residual", "measured_s",
)  # fmt: skip


def _columns(name: str, *values: Any) -> Columns:
    rows = len(values[0])
    out = {key: np.broadcast_to(np.asarray(value), (rows,)) for key, value in zip(_NAMES, values, strict=True)}
    text = {key: out[key].astype(str) for key in ("device", "dtype")}
    return {key: value.astype(float) for key, value in out.items() if key not in text} | text | {"set": np.full(rows, name)}
