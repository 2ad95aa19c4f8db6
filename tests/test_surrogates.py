"""Surrogates: training on sums, the shelf, and which method answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim import api
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates import store
from hwsim.surrogates.additive import AdditiveSurrogate
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import Mlp
from hwsim.surrogates.training.left_out import error_table, folds
from hwsim.surrogates.training.recipe import LeftOut, Recipe, Trusted, read
from hwsim.targets.gpu.features import NAMES


def networks(count: int = 240, *, seed: int = 0, rows: tuple[int, int] = (2, 9)) -> Graphs:
    """Networks whose rows take exp(0.5 x) times their closed form, x the first feature."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(*rows, count)
    start = np.concatenate([[0], np.cumsum(sizes)])
    features = draw.normal(size=(start[-1], len(NAMES))).astype(np.float32)
    cost = draw.lognormal(-9, 1, start[-1])
    true = np.add.reduceat(cost * np.exp(0.5 * features[:, 0]), start[:-1])
    labels = {"device": np.array(["a100-sxm-80gb", "l4"])[np.arange(count) % 2], "family": np.array([f"f{i % 7}" for i in range(count)])}
    none = np.zeros((count, 1))
    arrays = {"cost": cost[:, None], "floor": 0 * cost[:, None], "rest": none, "least": none, "measured": true[:, None]}
    names = {"feature_names": NAMES, "metrics": ("latency_s",), "readout": ("sum",)}
    return Graphs(features=features, start=start, edges=np.zeros((2, 0), dtype=np.int64), labels=labels, **arrays, **names)


def recipe(**changes: Any) -> Recipe:
    """A quick one."""
    pytest.importorskip("torch")
    from hwsim.surrogates.networks.recipes import AdditiveRecipe

    model = AdditiveRecipe(width=16, epochs=25, networks_per_step=16, learning_rate=1e-2)
    given: dict[str, Any] = {"name": "tiny", "summary": "of a test", "family": "gpu", "data": "none.safetensors", "seeds": (0, 1)}
    return Recipe(**{**given, "left_out": LeftOut(by="family", folds=3), "model": model, **changes})


@pytest.fixture(scope="module")
def stored() -> store.Stored:
    from hwsim.surrogates.training.run import train

    return train(recipe(), data=networks())


def test_training_finds_the_factor_of_rows_from_sums(stored: store.Stored) -> None:
    known, before = stored.metrics["intervals"]["all"], stored.metrics["untrained"]["all"]
    assert known["median_ape"] < 0.05 < 0.1 < before["median_ape"]
    assert known["low_ratio"] < 1 < known["high_ratio"]


def test_more_rows_than_were_seen_are_still_a_sum(stored: store.Stored) -> None:
    large = networks(60, seed=5, rows=(60, 90))
    factor = AdditiveSurrogate(stored).rows(large).factor
    found = large.total(large.cost * np.exp(factor))
    assert np.median(np.abs(found / large.measured - 1)) < 0.05


def test_a_row_is_answered_whatever_its_neighbours(stored: store.Stored) -> None:
    member = AdditiveSurrogate(stored).members[0]
    features = networks().features[:50]
    alone = np.array([member(row[None])[0] for row in features])
    np.testing.assert_allclose(member(features), alone, rtol=1e-12)


def test_the_shelf_gives_back_what_it_was_given(stored: store.Stored, tmp_path: Path) -> None:
    where = store.write(stored, where=tmp_path / "tiny")
    again = store.read(str(where))
    assert again.config["features"] == list(NAMES)
    features = networks().features[:5]
    np.testing.assert_allclose(AdditiveSurrogate(again).members[1](features), AdditiveSurrogate(stored).members[1](features), rtol=1e-5)


def test_a_surrogate_answers_like_a_cost_function(stored: store.Stored, tmp_path: Path) -> None:
    where = store.write(stored, where=tmp_path / "tiny")
    found = hwsim.estimate("resnet50", "l4", batch=8, method=f"surrogate:{where}")
    assert found.method == f"surrogate:{where}"
    assert found.latency_s > 0
    assert not found.latency_interval.validated
    assert any("was not trained on anything like this" in line for line in found.warnings)


def test_no_prediction_is_below_the_arithmetic_at_its_peak(stored: store.Stored) -> None:
    family, device = api.find("a100-sxm-80gb")
    mapping = family.mapping()
    program = family.lower(api.load("resnet50", batch=64), device=device, mapping=mapping)
    fast: Any = family
    cost = fast.cost_with(program, device=device, mapping=mapping, row_factor=np.full(program.row_count, 1e-6))
    flop = float(cost.extra["flop"])
    assert float(cost.latency_s) >= 0.9 * flop / float(device.peak_op_per_s("fp16"))


def test_other_features_are_refused(stored: store.Stored) -> None:
    changed = replace(stored, config={**stored.config, "features": ["a"]})
    with pytest.raises(InputError, match="surrogate 'tiny' was trained on other features of the family 'gpu'; train it anew"):
        AdditiveSurrogate(changed).target()


def test_a_program_of_another_family_is_refused(stored: store.Stored) -> None:
    family, device = api.find("xcu250")
    mapping = family.mapping()
    program = family.lower(api.load("jet_tagger"), device=device, mapping=mapping)
    with pytest.raises(InputError, match="surrogate 'tiny' speaks for gpu; this is a program of the family 'fpga'"):
        AdditiveSurrogate(stored).predict(program, device=device, mapping=mapping)


def test_unknown_methods_and_surrogates_are_named() -> None:
    with pytest.raises(UnknownName, match="unknown method 'closedform'. Did you mean 'closed-form'"):
        hwsim.estimate("resnet50", "l4", method="closedform")
    with pytest.raises(UnknownName, match="unknown surrogate 'gpu-network'"):
        hwsim.estimate("resnet50", "l4", method="surrogate:gpu-network")


def test_auto_without_a_surrogate_is_the_closed_form() -> None:
    found = hwsim.estimate("jet_tagger", "xcu250", method="auto")
    assert found.method == "closed-form"
    assert found.latency_interval.validated


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n", "Object missing required field `summary`"),
        ("name: x\nsummary: y\nfamily: gpu\ndata: timm\nleft_out: {by: family}\n", "unknown training set in .*: 'timm'"),
        ("name: x\nsummary: y\nfamily: gpu\ndata: a.safetensors\nleft_out: {by: family}\nmodle: {}\n", "unknown field `modle`"),
        ("name: x\nsummary: y\nfamily: gpu\ndata: a.safetensors\nleft_out: {by: family}\nauto: 0\n", "Expected `int` >= 1 - at `\\$.auto`"),
    ],
)
def test_recipes_with_errors_name_the_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises((InputError, UnknownName), match=message):
        read(path)


def test_a_label_that_the_data_lack_is_named() -> None:
    from hwsim.surrogates.training.run import train

    with pytest.raises(UnknownName, match="unknown label of the training set 'model'"):
        train(recipe(left_out=LeftOut(by="model")), data=networks())


def test_parts_keep_a_name_together() -> None:
    names = np.array(list("aabbccdd"))
    found = folds(names, count=3)
    assert all(len(set(found[names == name])) == 1 for name in "abcd")
    assert len(set(folds(names, count=0))) == 4


def test_small_groups_have_no_range() -> None:
    table = error_table(np.ones(8), np.ones(8), np.array(["a"] * 8))
    assert table["a"]["low_ratio"] is None


def test_mlp_arrays_round_trip() -> None:
    net = Mlp(np.zeros(2), np.ones(2), ((np.array([[1.0, 2.0]]), np.array([0.5])),))
    assert Mlp.of(net.arrays("m"), "m")(np.array([1.0, 1.0])) == pytest.approx(3.5)


def test_trusted_devices_may_be_a_vendor(stored: store.Stored) -> None:
    chosen = recipe(trusted=Trusted(devices=("vendor:nvidia",)))
    assert chosen.trusted.devices == ("vendor:nvidia",)
    wide = {"spread": 1e9, "outside": 1.0, "devices": ["vendor:nvidia"], "mapping": {"runtime": ["compile"]}}
    weights = {name: array for name, array in stored.weights.items() if not name.startswith("domain.")}
    surrogate = AdditiveSurrogate(replace(stored, config={**stored.config, "trusted": wide}, weights=weights))
    family, device = api.find("a100-sxm-80gb")
    for name, expected in (("compile", True), ("tensorrt", False)):
        mapping = family.mapping(runtime=name)
        program = family.lower(api.load("resnet50"), device=device, mapping=mapping)
        cost = surrogate.predict(program, device=device, mapping=mapping)
        assert surrogate.known(program, cost, device=device, mapping=mapping) is expected


def test_auto_takes_the_surrogate_where_it_knows_and_the_closed_form_elsewhere() -> None:
    image, tokens = (hwsim.estimate(m, "rtx-4090", batch=256, dtype="amp", method="auto") for m in ("resnet50", "bert_base"))
    assert image.method == "surrogate:gpu-networks"
    assert image.latency_interval.validated
    assert tokens.method == "closed-form"
    assert hwsim.estimate("resnet50", "rtx-4090", batch=1, dtype="amp", method="auto").method == "closed-form", "far from its batches"
    other = hwsim.estimate("resnet50", "a100-sxm-80gb", batch=64, dtype="amp", method="auto")
    assert other.method == "closed-form"
    assert other.latency_s == hwsim.estimate("resnet50", "a100-sxm-80gb", batch=64, dtype="amp").latency_s


def test_what_is_on_the_shelf_says_how_far_off_it_is() -> None:
    metrics = store.read("gpu-networks").metrics
    assert metrics["intervals"]["all"]["median_ape"] <= 0.08
    assert all(row["p90_ape"] <= 0.28 for name, row in metrics["intervals"].items() if name != "level")
    assert metrics["networks"] > 18_000


def test_the_command_line_lists_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    from hwsim import cli

    assert cli.main(["surrogates", "list"]) == 0
    assert "gpu-networks" in capsys.readouterr().out
    assert cli.main(["surrogates", "show", "gpu-networks"]) == 0
    assert "each family left out" in " ".join(capsys.readouterr().out.split())
