"""Fit and validate the convolution constants on public measurements, leaving devices or shape groups out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np

from hwsim.datasets.convs import Columns, load_deepbench, load_lightnas, load_neusight
from hwsim.targets.gpu.kernels.conv import ConvColumns, ConvConstants, conv_columns, conv_time

_FIELDS = (
    "sm_count", "clock_hz", "fp32_flop_per_clk", "fp16_flop_per_clk", "fp16_tensor_flop_per_clk", "int8_tensor_op_per_clk",
    "dram_b_per_s", "l2_b", "l2_b_per_clk", "power_limit_w",
)  # fmt: skip
DATASHEET = {
    "m40": (24, 1114e6, 256, 256, 0, 0, 288e9, 3e6, 32, 250),
    "titan-x-maxwell": (24, 1089e6, 256, 256, 0, 0, 336e9, 3e6, 32, 250),
    "gtx-1080ti": (28, 1582e6, 256, 4, 0, 0, 484e9, 2.75e6, 32, 250),
    "titan-x-pascal": (28, 1531e6, 256, 4, 0, 0, 480e9, 3e6, 32, 250),
    "titan-xp": (30, 1582e6, 256, 4, 0, 0, 547.6e9, 3e6, 32, 250),
    "p4": (20, 1113e6, 256, 4, 0, 0, 192e9, 2e6, 32, 75),
    "p100-pcie": (56, 1303e6, 128, 256, 0, 0, 732e9, 4e6, 32, 250),
    "v100-pcie": (80, 1380e6, 128, 256, 1024, 0, 900e9, 6e6, 64, 250),
    "v100-sxm2": (80, 1530e6, 128, 256, 1024, 0, 900e9, 6e6, 64, 300),
    "t4": (40, 1590e6, 128, 256, 1024, 2048, 320e9, 4e6, 64, 70),
    "a100-pcie-80gb": (108, 1410e6, 128, 512, 2048, 4096, 1935e9, 40e6, 64, 300),
}
"""Datasheet numbers of the calibration devices, in the order of `_FIELDS` (NVIDIA datasheets and architecture white papers)."""
