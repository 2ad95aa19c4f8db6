"""What low and high ends of constants make of an estimate."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

import hwsim
from hwsim.ranges import constant_ranges, words
from hwsim.targets.optical import TARGET


def ranges(model: str, name: str, **overrides: object) -> tuple[hwsim.Estimate, dict]:
    e = hwsim.estimate(model, name, set=overrides)
    return e, constant_ranges(TARGET, e.program, device=e.device, mapping=e.mapping)


@pytest.mark.parametrize("name", ["lcos", "dmd-10khz", "fast-slm-2mhz", "optical-generic"])
def test_the_estimate_lies_in_its_range(name: str) -> None:
    e, found = ranges("lenet5", name)
    assert found["latency"].low < e.latency_s < found["latency"].high
    assert found["energy"].low < e.energy_j < found["energy"].high


def test_no_corner_of_a_few_constants_is_outside() -> None:
    e, found = ranges("lenet5", "optical-generic")
    names = ("input_refresh_s", "exposure_s", "static_w", "wall_plug_efficiency", "electronics_b_per_s", "adc_j")
    ends = [(e.device.sources[n].low, e.device.sources[n].high) for n in names]
    for corner in itertools.product(*ends):
        cost = TARGET.cost(e.program, device=replace(e.device, **dict(zip(names, corner, strict=True))), mapping=e.mapping)
        assert found["latency"].low <= float(cost.latency_s) <= found["latency"].high
        assert found["energy"].low <= float(cost.energy_j.total) <= found["energy"].high


def test_constants_are_named_by_what_they_move() -> None:
    _, found = ranges("lenet5", "lcos")
    assert {"input_refresh_s", "mask_refresh_s"} & set(found["latency"].fields[:2])
    assert "laser_w" not in found["latency"].fields
    assert "laser_w" in found["energy"].fields


def test_what_the_caller_gives_is_certain() -> None:
    _, free = ranges("lenet5", "lcos")
    _, fixed = ranges("lenet5", "lcos", input_refresh_s="1 ms", mask_refresh_s="1 ms", exposure_s="0.5 ms")
    assert fixed["latency"].high < free["latency"].high
    assert "input_refresh_s" not in fixed["latency"].fields


def test_a_device_without_ranges_has_none() -> None:
    _, found = ranges("lenet5", "fatnet")
    assert words(found) == {}


def test_reports_show_the_ranges() -> None:
    e, found = ranges("lenet5", "lcos")
    line = words(found)["Latency range"]
    assert "with the constants at their low and high ends; most by" in line
    assert line.partition(",")[0] in e.to_html()
