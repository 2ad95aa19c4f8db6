"""The GPU family through the case that third parties subclass."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hwsim.targets.gpu import TARGET
from hwsim.testing import TargetCase

FASTER_WITH = ("sm_count", "clock_hz", "dram_b_per_s", "l2_b")


class TestGpuTarget(TargetCase):
    target = TARGET
    device_name = "a100-sxm-80gb"
    faster_with = FASTER_WITH


class TestGpuEager(TargetCase):
    target = TARGET
    device_name = "mi210"
    options: ClassVar[dict[str, Any]] = {"dtype": "amp", "runtime": "eager", "layout": "nchw"}
    faster_with = FASTER_WITH


class TestGpuTensorRt(TargetCase):
    target = TARGET
    device_name = "l4"
    options: ClassVar[dict[str, Any]] = {"dtype": "int8", "runtime": "tensorrt"}
    faster_with = FASTER_WITH


@pytest.mark.parametrize("name", TARGET.devices())
def test_roofs_are_those_of_the_datasheet(name: str) -> None:
    device = TARGET.device(name)
    roofs = TARGET.roofs(device, TARGET.mapping(dtype="fp32"))
    assert roofs["memory"] == device.dram_b_per_s
    assert 0 < roofs["compute"] <= device.sm_count * device.clock_hz * 4096
