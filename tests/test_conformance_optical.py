"""The optical family through the case that third parties subclass."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.targets.optical import TARGET
from hwsim.testing import TargetCase

RATES = ("readout_pixel_per_s", "electronics_op_per_s", "electronics_b_per_s", "input_x", "input_y", "mask_x", "mask_y")


class TestGeneric(TargetCase):
    target = TARGET
    device_name = "optical-generic"
    faster_with = RATES


class TestFastModulators(TargetCase):
    target = TARGET
    device_name = "fast-slm-2mhz"
    options: ClassVar[dict[str, Any]] = {"tiling": "batch", "signs": "both", "linear": "valid"}
    faster_with = RATES


class TestMirrors(TargetCase):
    target = TARGET
    device_name = "dmd-10khz"
    options: ClassVar[dict[str, Any]] = {"tiling": "channel", "signs": "unsigned", "linear": "same"}
    faster_with = RATES
