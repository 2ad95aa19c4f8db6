"""Surrogates of GPU operators: features, training, what they answer for and what they leave alone."""

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
from hwsim.surrogates.operators import OperatorSurrogate
from hwsim.surrogates.training.operator_suite import coverage, scatter
from hwsim.surrogates.training.operators import Base, Measured
from hwsim.surrogates.training.recipe import LeftOut, Recipe, read
from hwsim.surrogates.training.tabular import TreesRecipe, unseen
from hwsim.targets.gpu.constants import gpu_constants
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.gemm import gemm_time
from hwsim.targets.gpu.operator_features import DEVICE, GEMM_NAMES, gemm_features, products

NAME = "gpu-operators"


def kernels(name: str = "h100-sxm-80gb", *, count: int = 600, seed: int = 0) -> Measured:
    """Products that take 1.3 times their closed form where k is long, 0.8 times where it is not."""
    draw = np.random.default_rng(seed)
    m, n, k = (2.0 ** draw.integers(low, 13, count) for low in (0, 6, 6))
    sizes = {"m": m, "n": n, "k": k, "batch": np.ones(count)}
    device = GpuDevice.from_shelf(name)
    closed = gemm_time(products(**sizes), device=device, constants=gpu_constants().gemm).latency_s
    return Measured("gemm", device, sizes, closed * np.where(k > 1000, 1.3, 0.8), (n * 1e5 + k).astype(int), np.full(count, "gemm"))


@pytest.fixture(scope="module")
def trained() -> store.Stored:
    pytest.importorskip("sklearn")
    from hwsim.surrogates.training.operator_run import train

    model = TreesRecipe(trees=20, leaves=15, learning_rate=0.3, features_frac=1.0)
    recipe = Recipe("tiny", "of a test", "gpu", "aiconfigurator-operators", LeftOut(by="layer"), seeds=(0,), model=model)
    return train(recipe, data={"gemm": [kernels(), kernels("l40s", seed=1)]})


def program(model: str, device: str, **mapping: Any) -> tuple[Any, Any, Any, Any]:
    """(family, device, mapping, program)."""
    family, found = api.find(device)
    chosen = family.mapping(**mapping)
    return family, found, chosen, family.lower(api.load(model), device=found, mapping=chosen)


def test_trees_learn_what_the_closed_form_is_off_by(trained: store.Stored) -> None:
    assert trained.metrics["intervals"]["all"]["mean_ape"] < 0.03 < 0.06 < trained.metrics["untrained"]["all"]["mean_ape"]


def test_features_of_a_kernel_do_not_depend_on_its_neighbours() -> None:
    some = kernels(count=40)
    given: dict[str, Any] = {"device": some.device, "constants": gpu_constants().gemm}
    together = gemm_features(**some.sizes, **given)
    assert together.shape == (40, len(GEMM_NAMES))
    alone = [gemm_features(**{k: v[i : i + 1] for k, v in some.sizes.items()}, **given)[0] for i in range(40)]
    np.testing.assert_array_equal(together, alone)


def test_a_surrogate_changes_what_it_knows_and_leaves_the_rest(trained: store.Stored, tmp_path: Path) -> None:
    where = store.write(trained, where=tmp_path / "tiny")
    family, device, mapping, found = program("bert_base", "h100-sxm-80gb", dtype="bf16")
    cost = OperatorSurrogate(store.read(str(where))).predict(found, device=device, mapping=mapping)
    plain = family.cost(found, device=device, mapping=mapping)
    alone = family.cost_with(found, device=device, mapping=mapping, row_factor=np.ones(found.row_count))
    kind = np.concatenate([np.full(len(t.rows), t.kind) for t in found.tables])
    np.testing.assert_allclose(cost.row_latency_s[kind == "stream"], plain.row_latency_s[kind == "stream"], rtol=1e-12)
    ratio = (cost.row_latency_s / alone.row_latency_s)[kind == "gemm"]
    assert np.all((ratio > 0.75) & (ratio < 1.35))
    assert float(cost.extra["surrogate_share"]) > 0.3


def test_other_formats_keep_their_closed_form(trained: store.Stored) -> None:
    family, device, mapping, found = program("bert_base", "h100-sxm-80gb", dtype="fp32")
    cost = OperatorSurrogate(trained).predict(found, device=device, mapping=mapping)
    np.testing.assert_allclose(cost.row_latency_s, family.cost(found, device=device, mapping=mapping).row_latency_s, rtol=1e-12)
    assert float(cost.extra["surrogate_share"]) == 0


def test_devices_that_were_not_measured_are_answered_without_their_quantities(trained: store.Stored) -> None:
    surrogate = OperatorSurrogate(trained)
    _, device, mapping, found = program("bert_base", "rtx-4090", dtype="bf16")
    cost = surrogate.predict(found, device=device, mapping=mapping)
    assert np.all(np.asarray(cost.row_latency_s) > 0)
    assert surrogate.interval(found, cost, device=device, mapping=mapping) is None
    features = np.random.default_rng(0).normal(size=(5, len(GEMM_NAMES))).astype(np.float32)
    other = features.copy()
    other[:, -len(DEVICE) :] += 1
    model = surrogate._model("gemm", device)
    np.testing.assert_array_equal(model(features), model(other))


def test_other_features_are_refused(trained: store.Stored) -> None:
    changed = replace(trained, config={**trained.config, "features": {"gemm": ["a"]}})
    with pytest.raises(InputError, match="surrogate 'tiny' was trained on other features of gemm in 'gpu'; train it anew"):
        OperatorSurrogate(changed).target()


def test_parts_left_out_are_whole_and_apart() -> None:
    both = [kernels(), kernels("l40s", seed=1)]
    ((known, rest),) = unseen(both, by="layer", seed=0)
    for a, b in zip(known, rest, strict=True):
        assert not set(a.layer) & set(b.layer)
        assert len(a) + len(b) == 600
    assert [[m.device.name for m in out] for _, out in unseen(both, by="device", seed=0)] == [["h100-sxm-80gb"], ["l40s"]]


def test_closed_forms_stand_under_the_features() -> None:
    some = kernels(count=30)
    base = Base("gemm", gpu_constants().gemm)
    np.testing.assert_allclose(base.features(some)[:, 0], np.log(base.predict(some) * 1e6), rtol=1e-6)


def test_scatter_and_coverage() -> None:
    some = kernels(count=300)
    m = np.tile(np.arange(1.0, 31.0), 10)
    even = replace(some, sizes={**some.sizes, "m": m}, layer=np.repeat(np.arange(10), 30), measured=np.exp(0.1 * (m % 2)))
    assert scatter(even) == pytest.approx(0.1)
    assert coverage(some, some.measured * np.exp(0.1 * np.random.default_rng(0).normal(size=300))) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{kind: trees, leafs: 3}", "unknown field `leafs`"),
        ("{kind: forest}", "Invalid value 'forest' - at `\\$.model.kind`"),
        ("{trees: 3}", "unknown field `trees`"),
        ("{kind: trees, learning_rate: 0}", "Expected `float` > 0.0 - at `\\$.model.learning_rate`"),
    ],
)
def test_models_of_recipes_with_errors_name_the_field(tmp_path: Path, model: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"name: x\nsummary: y\nfamily: gpu\ndata: a.safetensors\nleft_out: {{by: family}}\nmodel: {model}\n")
    with pytest.raises(InputError, match=message):
        read(path)


def test_what_cannot_be_left_out_is_named() -> None:
    from hwsim.surrogates.training.operator_run import train

    recipe = Recipe("tiny", "of a test", "gpu", "aiconfigurator-operators", LeftOut(by="family"), model=TreesRecipe())
    with pytest.raises(UnknownName, match="unknown part to leave out 'family'"):
        train(recipe, data={"gemm": [kernels()]})


def test_the_shelf_meets_the_bars_on_layers_left_out() -> None:
    found = store.read(NAME).metrics["intervals"]
    gemm = {name: row["mean_ape"] for name, row in found.items() if name.startswith("gemm/")}
    assert len(gemm) == 5
    assert all(error <= 0.05 for name, error in gemm.items() if name != "gemm/l40s")
    assert gemm["gemm/l40s"] <= 0.075
    attention = {name: row["mean_ape"] for name, row in found.items() if name.startswith("attention/")}
    assert len(attention) == 5
    assert max(attention.values()) <= 0.12


def test_a_range_is_given_where_nearly_all_of_the_time_is_known() -> None:
    stored = store.read(NAME)
    _, device, mapping, found = program("llama2_7b", "h100-sxm-80gb", dtype="bf16")
    for share, given in ((0.95, False), (0.5, True)):
        surrogate = OperatorSurrogate(replace(stored, config={**stored.config, "trusted": {**stored.config["trusted"], "share": share}}))
        cost = surrogate.predict(found, device=device, mapping=mapping)
        interval = surrogate.interval(found, cost, device=device, mapping=mapping)
        assert (interval is not None) is given
        if interval is not None:
            assert (interval.low or 0.0) < float(cost.latency_s) < (interval.high or 0.0)


def test_the_shelf_answers_a_transformer() -> None:
    found = hwsim.estimate("bert_base", "h100-sxm-80gb", batch=8, dtype="bf16", method=f"surrogate:{NAME}")
    plain = hwsim.estimate("bert_base", "h100-sxm-80gb", batch=8, dtype="bf16")
    assert found.method == f"surrogate:{NAME}"
    assert 0.5 < found.latency_s / plain.latency_s < 2
    assert (store.folder(NAME) / "weights.safetensors").stat().st_size < 5e6
