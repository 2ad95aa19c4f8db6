"""The FPGA family through the case that third parties subclass."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hwsim.targets.fpga import TARGET
from hwsim.testing import TargetCase
from hwsim.testing.graphs import GRAPHS

RUNS = tuple(name for name in GRAPHS if name not in ("transformer", "spiking"))
"""All but networks with RMS norms and masked attention, or with spiking neurons, which hls4ml has no layers for."""


class TestFpgaParallel(TargetCase):
    target = TARGET
    device_name = "xcu250"
    graphs = RUNS


class TestFpgaResource(TargetCase):
    target = TARGET
    device_name = "xczu9eg"
    graphs = RUNS
    options: ClassVar[dict[str, Any]] = {"strategy": "resource", "reuse_factor": 4, "backend": "Vitis", "stage": "vsynth"}


class TestFpgaStream(TargetCase):
    target = TARGET
    device_name = "pynq-z2"
    graphs = RUNS
    options: ClassVar[dict[str, Any]] = {"io_type": "io_stream", "precision": "ap_fixed<8,3>", "strategy": "resource", "reuse_factor": 8}


@pytest.mark.parametrize("stage", ["csynth", "vsynth", "routed"])
def test_a_stage_names_itself(stage: str) -> None:
    import hwsim

    estimate = hwsim.estimate("jet_tagger", "xcu250", stage=stage)
    assert TARGET.highlights(estimate.cost, mapping=estimate.mapping)["Stage"].startswith(f"{stage}, ")
