"""The surrogate of networks on NPUs: what it answers, where it gives a range, and what its table reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.surrogates import store
from hwsim.surrogates.training import recipe as recipes
from hwsim.targets.npu import TARGET

TABLE = Path(__file__).parent.parent / "docs" / "accuracy" / "surrogate-mobile.md"
NAME = "mobile-networks"


def numbers(line_starts_with: str) -> list[float]:
    line = next(line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {line_starts_with} |"))
    return [float(cell.replace(",", "")) for cell in re.findall(r"\|\s*([-\d.,]+)\s*(?=\|)", line)]


def test_networks_left_out_are_within_the_bar():
    _, median, *_ = numbers("all")
    assert median <= 15


def test_table_has_the_others_beside_ours():
    n, ours, _, closed, _, trees, _, boosted, *_ = numbers("all, networks left out")
    assert n == 2032
    assert ours <= closed
    assert ours <= min(trees, boosted)


def test_auto_speaks_on_measured_chips_only():
    known = hwsim.estimate("mobilenet_v2", "snapdragon-8-elite", dtype="w8a8", runtime="tflite", method="auto")
    assert known.method == f"surrogate:{NAME}"
    low, high = known.latency_interval.low, known.latency_interval.high
    assert low is not None
    assert high is not None
    assert low < float(known.cost.latency_s) < high
    chip = TARGET.device("qcs8550").with_overrides({"int8_op_per_s": 5e13})
    own = hwsim.estimate("mobilenet_v2", chip, dtype="w16a16", method="auto")
    assert own.method == "closed-form"


def test_answers_do_not_depend_on_company():
    graph = hwsim.load("yolov8n")
    given: dict[str, Any] = {"dtype": "fp16", "method": f"surrogate:{NAME}"}
    alone = float(hwsim.estimate(graph, "qcs8550", **given).cost.latency_s)
    assert alone == float(hwsim.estimate(graph, "qcs8550", **given).cost.latency_s)
    times = [float(hwsim.estimate(graph, chip, **given).cost.latency_s) for chip in ("qcs8550", "snapdragon-8-elite")]
    assert times[0] == alone > times[1]


def test_shelf_is_that_of_the_recipe():
    held = store.read(NAME)
    assert tuple(held.config["features"]) == TARGET.feature_names
    assert set(held.config["trusted"]["devices"]) == set(TARGET.devices())
    assert held.metrics["intervals"]["all"]["n"] == 2032
    assert all(np.isfinite(value).all() for value in held.weights.values() if value.dtype.kind == "f")
    recipe = recipes.read(store.folder(NAME) / "recipe.yaml")
    assert recipe.left_out.by == "architecture"


def test_closed_form_has_a_range_of_its_own():
    found = hwsim.estimate("resnet18", "snapdragon-8-gen-3", dtype="fp16", runtime="qnn_dlc")
    assert found.latency_interval.domain == "npu-networks/fp16, qnn_dlc"


def test_rows_are_those_of_programs():
    pytest.importorskip("pandas")
    from hwsim.datasets.locate import data_path
    from hwsim.errors import DataMissing
    from hwsim.surrogates.programs import of_program
    from hwsim.surrogates.training.npu_networks import graphs_of
    from hwsim.targets.npu import calibrate

    try:
        data_path("gpu", "qualcomm_ai_hub", "aihub_perf.parquet")
    except DataMissing:
        pytest.skip("the measurements are not here")
    from hwsim.datasets import ai_hub

    frame = ai_hub.on_npu()
    frame = frame[frame.name == "xlsr"].head(3).reset_index(drop=True)
    table = calibrate.tabled("xlsr")
    starts = np.arange(len(frame) + 1) * len(table)
    whole = np.tile(table, (len(frame), 1))
    graphs = graphs_of(calibrate.Runs(frame, whole[:, :-1], whole[:, -1], starts))
    for i, run in enumerate(frame.itertuples()):
        device, mapping = TARGET.device(run.device), TARGET.mapping(dtype=run.dtype, runtime=run.runtime)
        program = TARGET.lower(hwsim.load("xlsr"), device=device, mapping=mapping)
        one = of_program(TARGET, program, device=device, mapping=mapping)
        np.testing.assert_allclose(graphs.closed_form[i], one.closed_form[0], rtol=1e-12)
        np.testing.assert_allclose(graphs.take(np.array([i])).features, one.features, rtol=1e-6)
