"""NAS-Bench-201 cells and FBNet: published parameters and operations."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.errors import InputError, UnknownName
from hwsim.zoo.nas_bench import FBNET_C, cell_ops, places, used_edges

PUBLISHED = {  # parameters and multiply-adds at 32x32, ten classes, as the benchmark's API states them
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|": (1_531_546, 220_119_680),
    "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|": (73_306, 7_783_040),
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": (73_306, 7_783_040),
}


@pytest.mark.parametrize("cell", PUBLISHED)
def test_published_cells(cell: str) -> None:
    graph = hwsim.load(f"nas_bench_201?cell={cell}")
    assert (graph.parameters, graph.macs) == PUBLISHED[cell]


def test_published_fbnet_c() -> None:
    graph = hwsim.load("fbnet")
    assert graph.parameters == 5_572_200  # timm, fbnetc_100
    assert graph.macs == pytest.approx(375e6, rel=0.03)  # Wu et al. 2019, table 3


def test_groups_and_skips_are_cheaper() -> None:
    base = hwsim.load("fbnet", ops="|".join(["k3_e1"] * 22))
    grouped = hwsim.load("fbnet", ops="|".join(["k3_e1_g2"] * 22))
    skipped = hwsim.load("fbnet", ops="|".join(["skip"] * 22))
    assert skipped.macs < grouped.macs < base.macs


def test_places_of_fbnet() -> None:
    found = places()
    assert len(found) == 22
    assert [p.size for p in found][::4] == [112, 56, 28, 14, 14, 7]


def test_what_is_not_used_is_left_out() -> None:
    ops = cell_ops("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|")
    assert used_edges(ops) == (False, False, False, True, False, False)
    lean = hwsim.load("nas_bench_201?cell=|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    assert lean.macs == 7_783_040 + 5 * (16**2 * 32**2 + 32**2 * 16**2 + 64**2 * 8**2)


def test_estimates_run() -> None:
    assert 0 < hwsim.estimate("nas_bench_201", "l4").latency_s < hwsim.estimate("fbnet", "l4", batch=64).latency_s


def test_wrong_cells_and_blocks_are_named() -> None:
    with pytest.raises(InputError, match=r"found cell '\|none~0\|'; expected one like"):
        hwsim.load("nas_bench_201?cell=|none~0|")
    with pytest.raises(UnknownName, match="unknown operation of a NAS-Bench-201 cell: 'conv'"):
        hwsim.load("nas_bench_201?cell=|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(InputError, match="found 1 blocks in 'skip'; expected 22, joined by '|'"):
        hwsim.load("fbnet?ops=skip")
    with pytest.raises(UnknownName, match="unknown operation of FBNet: 'k9_e1'"):
        hwsim.load("fbnet", ops=FBNET_C.replace("k5_e6", "k9_e1"))
