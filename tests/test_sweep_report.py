"""Pages of sweeps, and what matters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.sweep.build import space
from hwsim.sweep.sensitivity import sobol, swings

VARY = {"reuse_factor[fc1]": "1,2,4,8", "reuse_factor[fc2]": "1,2,4,8", "precision": "ap_fixed<16,6>,ap_fixed<8,3>"}


@pytest.fixture(scope="module")
def page() -> str:
    pytest.importorskip("plotly")
    return hwsim.sweep(
        "jet_tagger", "xcu250", vary=VARY, strategy="resource", pareto="latency,lut", where="fits and latency < 120ns"
    ).to_html()


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="sweep" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_has_all_parts_and_needs_no_network(page: str) -> None:
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for heading in (
        "Pareto front",
        "Parallel coordinates",
        "What matters over the whole space",
        "What matters at the best point",
        "Best by latency_s",
    ):
        assert f"<h2>{heading}</h2>" in own
    assert not re.search(r'(?:src|href)="', own)
    assert "all of 32 points, less 14 that fail a condition" in own
    assert "fail &#x27;latency &lt; 120ns&#x27;" in own
    assert "Plotly" in page
    assert len(page) < 8_000_000


def test_the_plots_hold_front_and_cloud_with_their_designs(page: str) -> None:
    data = data_of(page)
    assert data["objectives"] == ["latency_s", "lut"]
    assert (data["x"], data["y"]) == ("latency_s", "lut")
    assert set(data["axes"]) == {"mapping.reuse_factor[fc1]", "mapping.reuse_factor[fc2]", "mapping.precision"}
    front, cloud = data["front"], data["cloud"]
    assert max(cloud["metrics"]["latency_s"]) < 120e-9
    assert len(front["hover"]) == len(front["metrics"]["lut"]) <= len(cloud["hover"])
    assert front["hover"][0].startswith("point 1<br>") or "reuse_factor[fc1]: <b>1</b>" in front["hover"][0]
    assert "ap_fixed&lt;8,3&gt;" in front["hover"][0]
    best = min(zip(cloud["metrics"]["latency_s"], cloud["metrics"]["lut"], strict=True))
    assert best[0] == front["metrics"]["latency_s"][0]


def test_a_page_is_written(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    found = hwsim.sweep("resnet18", "l4", vary={"batch": [1, 2]})
    assert found.to_html(tmp_path / "sweep.html") == (tmp_path / "sweep.html").read_text(encoding="utf-8")


def test_sobol_indices_of_a_product() -> None:
    """Latency is cycles times period: logarithms add, and an axis that does nothing has no share."""
    pytest.importorskip("scipy")
    made = space("jet_tagger", "xcu250", vary={"clock_period": "2ns..20ns", "lut": "1e5..2e6"}, sample="sobol", points=1)
    latency, static = sobol(made, ["latency_s", "power_w"], samples=256)[:2]
    assert latency.axes == ("mapping.clock_period_s", "device.lut")
    np.testing.assert_allclose(latency.first, [1, 0], atol=0.03)
    np.testing.assert_allclose(latency.total, [1, 0], atol=0.03)
    assert static.metric == "power_w"


def test_sobol_indices_share_out_between_axes() -> None:
    pytest.importorskip("scipy")
    made = space("jet_tagger", "xcu250", vary={"clock_period": "2,4", "reuse_factor": "1,8"}, mapping={"strategy": "resource"})
    (found,) = sobol(made, ["latency_s"], samples=512)
    again = hwsim.sweep("jet_tagger", "xcu250", vary={"clock_period": "2,4", "reuse_factor": "1,8"}, strategy="resource")
    np.testing.assert_array_equal(again.sensitivity("latency", samples=512)[0].total, found.total)
    assert repr(again).startswith("<sweep of 4 points, 4 kept, 1 on the front; best DesignPoint(0: mapping.clock_period_s=2e-09, ")
    values = {
        (c, r): hwsim.estimate("jet_tagger", "xcu250", strategy="resource", clock_period=c, reuse_factor=r).latency_s
        for c in (2, 4)
        for r in (1, 8)
    }
    grid = np.array([[values[c, r] for r in (1, 8)] for c in (2, 4)])
    whole = grid.var()
    first = [grid.mean(axis=1).var() / whole, grid.mean(axis=0).var() / whole]
    np.testing.assert_allclose(found.first, first, atol=0.05)
    np.testing.assert_allclose(found.total, [1 - first[1], 1 - first[0]], atol=0.05)


def test_what_has_no_variance_is_left_out_and_too_many_programs_are_refused() -> None:
    pytest.importorskip("scipy")
    assert sobol(space("jet_tagger", "xcu250", vary={"lut": "1e6,2e6"}), ["latency_s"]) == ()
    with pytest.raises(InputError, match=r"indices over 100 programs; expected at most 64; fix a model or mapping axis"):
        sobol(space("jet_tagger", "xcu250", vary={"batch": "1:100:1"}), ["latency_s"])


def test_swings_are_sorted_by_what_they_do() -> None:
    made = space(
        "jet_tagger", "xcu250", vary={"clock_period": "2,4,10", "reuse_factor": "1,8", "lut": "1e6,2e6"}, mapping={"strategy": "resource"}
    )
    at = {"mapping.clock_period_s": 2e-9, "mapping.reuse_factor": 1.0, "device.lut": 1e6}
    found = swings(made, at, "latency_s")
    assert [s.axis for s in found] == ["mapping.clock_period_s", "mapping.reuse_factor", "device.lut"]
    assert found[0].low == min(found[0].metric) < found[1].high
    assert found[2].high == found[2].low
