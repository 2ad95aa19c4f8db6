"""Ridge for few rows, the scikit-learn estimator over it, surrogates as ONNX models and in sweeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.errors import InputError
from hwsim.surrogates import methods, store
from hwsim.surrogates.ridge import Ridge, fit, judged


def rows(count: int, *, seed: int = 0, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Labels that follow two of twenty features; the last never varies."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, 20))
    x[:, -1] = 3.0
    return x, 0.4 * x[:, 0] - 0.2 * x[:, 3] + 0.3 + noise * draw.normal(size=count)


def test_left_out_residuals_are_those_of_fits_without_the_group() -> None:
    x, y = rows(24)
    groups = np.arange(24) // 3
    found = judged(x, y, groups=groups, penalty=3.0).found
    for group in range(8):
        without = fit(x[groups != group], y[groups != group], penalty=3.0)
        np.testing.assert_allclose(found[groups == group], without(x[groups == group]), rtol=1e-10)


def test_the_penalty_is_chosen_as_if_groups_had_been_left_out() -> None:
    from hwsim.surrogates import ridge

    x, y = rows(30)
    design = np.concatenate([np.ones((30, 1)), (x[:, :5] - x[:, :5].mean(axis=0)) / x[:, :5].std(axis=0)], axis=1)
    parts = [np.arange(k, k + 3) for k in range(0, 30, 3)]
    quick = ridge._left_out(design, y, parts, 3.0).found  # pyright: ignore[reportPrivateUsage]
    for part in parts:
        rest = np.setdiff1d(np.arange(30), part)
        inverse = ridge._inverse(design[rest], 3.0)  # pyright: ignore[reportPrivateUsage]
        np.testing.assert_allclose(quick[part], design[part] @ inverse @ design[rest].T @ y[rest], rtol=1e-6)


def test_noise_alone_leaves_the_mean() -> None:
    draw = np.random.default_rng(3)
    model = fit(draw.normal(size=(40, 20)), draw.normal(size=40))
    assert model.penalty == np.inf
    np.testing.assert_allclose(model(draw.normal(size=(5, 20))), model(np.zeros(20)))


def test_what_labels_follow_is_found_and_answers_stay_in_their_range() -> None:
    x, y = rows(120)
    model = fit(x, y)
    new, truth = rows(500, seed=9, noise=0.0)
    kept = (truth > y.min()) & (truth < y.max())
    assert np.abs(model(new) - truth)[kept].mean() < 0.06
    far = model(100 * new)
    assert far.min() >= y.min() and far.max() <= y.max()
    assert model.inside(x).mean() > 0.5 > 0.1 > model.inside(20 * new).max()


def test_a_row_is_answered_whatever_its_neighbours() -> None:
    x, y = rows(40)
    model = fit(x, y)
    alone = np.array([model(row) for row in x])
    np.testing.assert_array_equal(model(x), alone)
    again = Ridge.of(model.arrays("m"), "m")
    np.testing.assert_array_equal(again(x), model(x))


def test_conventions_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    from sklearn.utils.estimator_checks import check_estimator

    from hwsim.surrogates.estimators import ResidualRegressor

    found: Any = check_estimator(ResidualRegressor(), on_fail=None, on_skip=None)
    assert [f["check_name"] for f in found if f["status"] == "failed"] == []
    assert sum(f["status"] == "passed" for f in found) > 40


def test_ranges_hold_as_often_as_they_say_and_few_rows_give_none() -> None:
    pytest.importorskip("sklearn")
    from hwsim.surrogates.estimators import ResidualRegressor

    shares, x, y = [], np.empty(0), np.empty(0)
    for seed in range(10):
        x, label = rows(140, seed=seed)
        base = np.exp(x[:, 1])
        x[:, 1] = base
        y = base * np.exp(label)
        model = ResidualRegressor(closed_form=1).fit(x[:40], y[:40])
        _, low, high = model.predict_interval(x[40:])
        shares.append(np.mean((y[40:] >= low) & (y[40:] <= high)))
        assert np.all(low <= model.predict(x[40:])) and np.all(low > 0)
    assert 0.85 < np.mean(shares) < 0.95
    few = ResidualRegressor(closed_form=1).fit(x[:8], y[:8])
    assert np.isnan(few.reach_) and np.isnan(few.predict_interval(x[:2])[1]).all()


def test_wrong_values_are_said() -> None:
    pytest.importorskip("sklearn")
    from hwsim.surrogates.estimators import ResidualRegressor

    x, y = np.array([[1.0], [0.0], [2.0]]), np.ones(3)
    with pytest.raises(ValueError, match="column 0 of X holds the closed form and must be above 0; found 0"):
        ResidualRegressor(closed_form=0).fit(x, y)
    with pytest.raises(ValueError, match="y \\+ offset must be above 0 to be a factor to the closed form; found -1"):
        ResidualRegressor(closed_form=0).fit(x + 1, -y)


def trained(where: Path) -> Path:
    """A residual surrogate of GPU times that lean on the depth of products."""
    from hwsim.surrogates.metrics import value_of

    lines = ["graph,device,mapping.dtype,protocol.batch,latency_s"]
    for model in ("resnet18", "resnet34", "resnet50", "mobilenet_v2", "resnet101"):
        for batch in (4, 8, 16, 32):
            cost = hwsim.estimate(model, "rtx-4090", batch=batch, dtype="amp").cost
            lines.append(f"{model},rtx-4090,amp,{batch},{value_of(cost, 'latency_s') * (1.1 + 0.1 * np.log2(batch))}")
    (where / "runs.csv").write_text("\n".join(lines) + "\n")
    hwsim.train(data=where / "runs.csv", out=where / "sur")
    return where / "sur"


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one."""
    pytest.importorskip("pyarrow")
    return trained(tmp_path_factory.mktemp("residual"))


def evaluated(model: Any, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answers of onnx's own evaluator."""
    reference: Any = pytest.importorskip("onnx.reference")
    names = [o.name for o in model.graph.output]
    return dict(zip(names, reference.ReferenceEvaluator(model).run(None, feeds), strict=True))


def inputs(model: Any, count: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random features for every input."""
    draw = np.random.default_rng(seed)
    return {i.name: draw.normal(size=(count, i.type.tensor_type.shape.dim[1].dim_value)).astype(np.float32) for i in model.graph.input}


def exported(name: str) -> Any:
    """A surrogate as an ONNX model."""
    pytest.importorskip("onnx")
    from hwsim.surrogates.onnx_export import export

    return export(name)


def test_additive_members_as_an_onnx_model() -> None:
    model, surrogate = exported("gpu-networks"), methods.trained("gpu-networks")
    low, high = (np.clip(np.array(surrogate.stored.config["range"][side]), -10, 30) for side in ("low", "high"))
    x = (low + (high - low) * np.random.default_rng(0).random((60, len(low)))).astype(np.float32)
    found = evaluated(model, {"features": x})
    factor, spread = surrogate._factors(x.astype(float))
    np.testing.assert_allclose(found["log_factor"], factor, atol=1e-5)
    np.testing.assert_allclose(found["spread"], spread, atol=1e-5)
    facts = {p.key: p.value for p in model.metadata_props}
    assert json.loads(facts["hwsim.features"]) == list(surrogate.stored.config["features"])


def test_residual_models_as_an_onnx_model(residual: Path) -> None:
    model, ridge = exported(str(residual)), methods.trained(str(residual)).models["latency_s"]
    assert np.isfinite(ridge.penalty)
    z = (ridge.mean + inputs(model, 30)["latency_s.summary"] * np.where(np.isfinite(ridge.scale), ridge.scale, 0)).astype(np.float32)
    found = evaluated(model, {"latency_s.summary": z})
    np.testing.assert_allclose(found["latency_s.log_factor"], ridge(z), atol=1e-5)
    np.testing.assert_allclose(found["latency_s.leverage"], ridge.leverage(z), rtol=1e-3)


def test_trees_as_an_onnx_model() -> None:
    model, surrogate = exported("gpu-operators"), methods.trained("gpu-operators")
    feeds = {name: 5 * x for name, x in inputs(model, 3).items()}
    limit = float(surrogate.stored.config["limit"])
    for name, found in evaluated(model, feeds).items():
        kind, _, device = name.partition("/")
        expected = np.clip(surrogate.models[kind, device](feeds[f"{kind}.features"]), -limit, limit)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_export_writes_a_file_and_says_what_it_takes(tmp_path: Path, residual: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx: Any = pytest.importorskip("onnx")
    assert main(["surrogates", "export", str(residual), "--onnx", str(tmp_path / "m.onnx"), "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == ["latency_s.log_factor", "latency_s.leverage"]
    assert onnx.load(str(tmp_path / "m.onnx")).producer_name == "hwsim"
    assert main(["surrogates", "export", "few-shot-fbnet", "--onnx", str(tmp_path / "n.onnx")]) == ExitStatus.BAD_INPUT
    assert "which has no ONNX form; those that have: additive, residual, operators" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gpu-networks", "gpu-operators", "residual"])
def test_points_of_a_sweep_are_those_of_single_estimates(name: str, residual: Path) -> None:
    method = f"surrogate:{residual if name == 'residual' else name}"
    vary = {"batch": [4, 16], "sm_count": [64, 96, 128]}
    found = hwsim.sweep("resnet34", "rtx-4090", vary=vary, method=method, dtype="amp")
    assert found.counts.points == 6
    for design in found.top():
        given: dict[str, Any] = {"batch": design.axes["batch"], "set": {"sm_count": design.axes["device.sm_count"]}, "dtype": "amp"}
        single = hwsim.estimate("resnet34", "rtx-4090", **given, method=method)
        assert design.metrics["latency_s"] == pytest.approx(single.latency_s, rel=1e-6)
        assert design.metrics["energy_j"] == pytest.approx(single.energy_j, rel=1e-6)


def test_what_takes_no_columns_is_asked_point_by_point(residual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.surrogates.residual import ResidualSurrogate

    given: dict[str, Any] = {"vary": {"sm_count": [64, 128], "clock_hz": [1.5e9, 2e9]}, "method": f"surrogate:{residual}", "dtype": "amp"}
    at_once = hwsim.sweep("resnet34", "rtx-4090", **given)
    monkeypatch.setattr(ResidualSurrogate, "columns", False)
    one_by_one = hwsim.sweep("resnet34", "rtx-4090", **given)
    for a, b in zip(at_once.top(), one_by_one.top(), strict=True):
        assert a.metrics["latency_s"] == pytest.approx(b.metrics["latency_s"], rel=1e-9)


def test_sweeps_say_what_they_cannot_ask() -> None:
    with pytest.raises(InputError, match="a sweep takes the methods closed-form and surrogate:NAME; found 'auto'"):
        hwsim.sweep("resnet34", "l4", vary={"batch": [1, 2]}, method="auto")
    with pytest.raises(InputError, match="surrogate 'gpu-networks' speaks for gpu; this is a program of the family 'fpga'"):
        hwsim.sweep("jet_tagger", "xcu250", vary={"reuse_factor": [1, 2]}, method="surrogate:gpu-networks")


def test_a_surrogate_answers_for_its_own_family_in_a_comparison() -> None:
    options: dict[str, Any] = {"gpu.dtype": "amp"}
    found = hwsim.compare("resnet34", ["rtx-4090", "null"], batch=8, method="surrogate:gpu-networks", **options)
    assert [e.method for e in found] == ["surrogate:gpu-networks", "closed-form"]


def test_a_surrogate_that_was_trained_anew_is_read_anew(tmp_path: Path, residual: Path) -> None:
    import shutil

    where = tmp_path / "sur"
    shutil.copytree(residual, where)
    first = methods.trained(str(where))
    stored = store.read(str(where))
    weights = {**stored.weights, "latency_s.weights": np.asarray(stored.weights["latency_s.weights"]) * 0}
    store.write(store.Stored(stored.name, stored.config, weights, stored.metrics, stored.card), where=where)
    assert np.any(first.models["latency_s"].weights != 0)
    assert not np.any(methods.trained(str(where)).models["latency_s"].weights)


def test_the_table_of_few_rows_keeps_its_bars() -> None:
    page = (Path(__file__).parent.parent / "docs" / "accuracy" / "surrogate-few-rows.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| rtx-")]
    assert len(lines) == 15
    rows, closed, ours, factor, held = (np.array([float(line[i]) for line in lines]) for i in (2, 3, 4, 5, 8))
    assert np.all(ours < np.maximum(0.6 * closed, closed + 1))
    assert np.mean(ours - factor) < 0
    for count, low, high in ((10, 86, 95), (30, 88, 96), (100, 86, 94)):
        assert low < held[rows == count].mean() < high
