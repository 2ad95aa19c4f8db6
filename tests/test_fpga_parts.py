"""The FPGA parts on the shelf: complete, alike, and as published."""

from __future__ import annotations

from collections import Counter

import pytest

from hwsim import shelf
from hwsim.targets.fpga.device import FIELDS, FpgaDevice

PARTS = sorted(shelf.devices("fpga"))
PUBLISHED = {  # BRAM18, DSP, FF, LUT, URAM, as the vendors' tools print them
    "pynq-z2": (280, 220, 106_400, 53_200, 0),
    "zcu102": (1_824, 2_520, 548_160, 274_080, 0),
    "u200": (4_320, 6_840, 2_364_480, 1_182_240, 960),
    "xcvu9p-flgb2104-2-i": (4_320, 6_840, 2_364_480, 1_182_240, 960),
    "xcu250-figd2104-2L-e": (5_376, 12_288, 3_456_000, 1_728_000, 1_280),
    "xcvu13p": (5_376, 12_288, 3_456_000, 1_728_000, 1_280),
    "xc7z007s-clg225-2": (100, 66, 28_800, 14_400, 0),
}


@pytest.mark.parametrize("name", PARTS)
def test_every_part_states_every_field(name: str) -> None:
    content = shelf.description(name, family="fpga")
    assert set(FIELDS) - {"board_power_w"} <= set(content["fields"]) <= set(FIELDS)
    assert content["summary"]
    assert content["aliases"]


@pytest.mark.parametrize("name", PARTS)
def test_quantities_are_of_an_fpga(name: str) -> None:
    part = FpgaDevice.from_shelf(name)
    assert part.lut <= part.ff * 1.001
    assert part.lutram < part.lut
    assert part.dsp_a_width >= part.dsp_b_width
    assert {q.status for q in part.sources.values()} <= {"datasheet", "assumed", "fitted"}
    static = part.sources["static_power_w"]
    assert static.status == "assumed"
    assert static.low is not None
    assert static.high is not None


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_capacities_are_the_published_ones(name: str, expected: tuple[int, ...]) -> None:
    part = FpgaDevice.from_shelf(name)
    assert (part.bram18, part.dsp, part.ff, part.lut, part.uram) == expected


def test_no_two_parts_share_a_name() -> None:
    names = Counter(str(a).casefold() for part in PARTS for a in [part, *shelf.description(part, family="fpga")["aliases"]])
    assert not [name for name, count in names.items() if count > 1]
