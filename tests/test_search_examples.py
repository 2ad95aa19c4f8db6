"""The examples of docs/search.md, small."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.errors import InputError

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_slimming_ends_within_the_budget() -> None:
    cuts = example("slimming.py")["run"]("l4", budget_s=0.7e-3, batch=2, image_size=96)
    assert cuts[-1].cost <= 0.7e-3
    assert len(cuts) > 1
    assert {c.axis for c in cuts[1:]} <= {"model.blocks", "model.widths", "model.expansion", "model.mlp_frac"}


def test_joint_search_finds_designs_that_fit() -> None:
    pytest.importorskip("optuna")
    found = example("joint_search.py")["run"](trials=120)
    assert found.counts.points == 120
    for design in found.pareto():
        assert design.metrics["latency_s"] < 200e-9
        alone = design.estimate()
        assert alone.fits
        assert alone.latency_s == pytest.approx(design.metrics["latency_s"])


def test_block_types_of_stages() -> None:
    kinds = {n.kind for n in hwsim.load("hybrid?blocks=C-C-C-C").nodes}
    assert "attention" not in kinds
    mixed = hwsim.load("hybrid?blocks=C-C-CT-TT")
    assert sum(n.kind == "attention" for n in mixed.nodes) == 3
    half = hwsim.load("hybrid?blocks=C-C-CT-TT&mlp_frac=0.5")
    assert sum(n.macs for n in half.work) < sum(n.macs for n in mixed.work)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "blocks=C-X-C-C",
            "blocks 'C-X-C-C': found 'X'; expected C (convolution) and T (attention) in every stage, such as CC-CCC-CCTT-TT",
        ),
        ("blocks=C-C", "blocks 'C-C' has 2 stages, widths (64, 128, 256, 512) has 4; expected as many"),
        ("mlp_frac=0", "mlp_frac is 0.0; expected a share above 0, at most 1"),
    ],
)
def test_wrong_stages(query: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        hwsim.load(f"hybrid?{query}")
    assert str(caught.value) == message
