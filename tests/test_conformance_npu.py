"""The NPU family through the case that third parties subclass."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.targets.npu import TARGET
from hwsim.testing import TargetCase

RATES = ("vector_b_per_s", "dram_b_per_s", "tcm_b")


class TestPhone(TargetCase):
    target = TARGET
    device_name = "snapdragon-8-elite"
    faster_with = ("fp16_op_per_s", *RATES)


class TestQuantized(TargetCase):
    target = TARGET
    device_name = "qcs6490"
    options: ClassVar[dict[str, Any]] = {"dtype": "w8a8", "runtime": "onnx"}
    faster_with = ("int8_op_per_s", *RATES)


class TestWideActivations(TargetCase):
    target = TARGET
    device_name = "snapdragon-x-elite"
    options: ClassVar[dict[str, Any]] = {"dtype": "w8a16", "runtime": "qnn_dlc"}
    faster_with = ("int8_op_per_s", *RATES)
