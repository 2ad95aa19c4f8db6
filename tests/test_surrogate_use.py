"""From one's own measurements to a surrogate in three commands, and what is said on the way."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates import methods, store
from hwsim.surrogates.evaluation import evaluate
from hwsim.surrogates.residual import ResidualSurrogate
from hwsim.surrogates.training.lowered import from_dataset
from hwsim.surrogates.training.verb import train
from hwsim.testing import SurrogateCase

pytest.importorskip("pyarrow")
sys.path.insert(0, str(Path(__file__).parent))
from surrogate_case import PART, config, csynth, keras_json, projects

METRICS = ("lut", "ff", "dsp", "bram18", "cycles", "interval_cycles")
MAP = """graph: model
device: gpu
mapping: {dtype: precision}
protocol: {tool: {value: torch}, batch: batch}
metrics:
  latency_s: {column: time, unit: ms}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str | Path) -> tuple[int, str, str]:
        status = main([str(arg) for arg in args])
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`projects`, the data set `mine` of 20 of them, and the surrogate `sur` that was trained on it."""
    where = tmp_path_factory.mktemp("reports")
    projects(where / "projects", 20)
    assert main(["datasets", "build", "hls4ml-reports", str(where / "projects"), "--out", str(where / "mine")]) == 0
    assert main(["train", "--data", str(where / "mine"), "--out", str(where / "sur"), "--html", str(where / "sur.html")]) == 0
    return where


def test_own_reports_become_a_surrogate_in_three_commands(place: Path, run: Any, tmp_path: Path) -> None:
    projects(tmp_path, 3, lut=1.3, noise=0.0)
    new = tmp_path / "p002"
    (new / "keras_model.json").write_text(keras_json([16, 20, 10, 5]))
    given: dict[str, Any] = {"model": str(new / "keras_model.json"), "target": "xcu250", "hls_config": str(new / "hls4ml_config.yml")}
    closed = hwsim.estimate(**given)
    found = hwsim.estimate(**given, method=f"surrogate:{place / 'sur'}")
    assert found.cost.resources["LUT"].used == pytest.approx(1.3 * float(closed.cost.resources["LUT"].used), rel=0.03)
    assert found.cost.resources["FF"].used == pytest.approx(1.15 * float(closed.cost.resources["FF"].used), rel=0.01)
    assert found.cost.resources["DSP"].used == pytest.approx(float(closed.cost.resources["DSP"].used), rel=0.01)
    interval = found.resource_intervals["LUT"]
    assert interval.low is not None and interval.high is not None
    assert interval.low < float(found.cost.resources["LUT"].used) < interval.high
    assert "each architecture left out" in interval.domain
    status, out, _ = run(
        "estimate", given["model"], "--on", "xcu250", "--hls-config", given["hls_config"], "--method", f"surrogate:{place / 'sur'}"
    )
    assert status == ExitStatus.OK
    assert "(90 %)" in next(line for line in out.splitlines() if line.startswith("LUT"))


def test_the_recipe_that_was_followed_is_kept_and_gives_the_same_again(place: Path, tmp_path: Path) -> None:
    again = train(place / "sur" / "recipe.yaml", out=tmp_path / "again")
    first = store.read(str(place / "sur"))
    assert again.stored.metrics == first.metrics
    for name, array in first.weights.items():
        np.testing.assert_allclose(again.stored.weights[name], array, rtol=1e-5, atol=1e-6)


def test_errors_are_those_of_networks_left_out(place: Path) -> None:
    tables = store.read(str(place / "sur")).metrics["metrics"]
    assert set(tables) == set(METRICS)
    lut = tables["lut"]["scores"]
    assert 0.01 < lut["median_ape"] < 0.05 < 0.2 < lut["closed_form_median_ape"]
    assert 0.75 <= lut["covered"] <= 1.0


def test_too_few_projects_give_no_range(tmp_path: Path, run: Any) -> None:
    projects(tmp_path / "projects", 5)
    assert run("datasets", "build", "hls4ml-reports", tmp_path / "projects", "--out", tmp_path / "mine")[0] == 0
    status, out, _ = run("train", "--data", tmp_path / "mine", "--out", tmp_path / "sur")
    assert status == ExitStatus.OK
    assert "| lut | 5 |" in out
    where = tmp_path / "projects" / "p000"
    found = hwsim.estimate(
        str(where / "keras_model.json"), "xcu250", hls_config=str(where / "hls4ml_config.yml"), method=f"surrogate:{tmp_path / 'sur'}"
    )
    assert not found.resource_intervals
    assert not found.latency_interval.validated
    assert f"surrogate:{tmp_path / 'sur'} was trained on 5 network(s), too few for a range; 9 or more give one" in found.warnings


def test_far_from_training_there_is_no_range(place: Path, tmp_path: Path) -> None:
    (tmp_path / "wide.json").write_text(keras_json([400, 300, 200, 5]))
    (tmp_path / "hls4ml_config.yml").write_text(config(64))
    found = hwsim.estimate(
        str(tmp_path / "wide.json"), "xcu250", hls_config=str(tmp_path / "hls4ml_config.yml"), method=f"surrogate:{place / 'sur'}"
    )
    assert not found.resource_intervals
    assert any("was not trained on anything like this" in line for line in found.warnings)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_hls4ml_writes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    hls4ml: Any = pytest.importorskip("hls4ml")
    net = keras.Sequential(
        [keras.layers.Input((8,)), keras.layers.Dense(4, activation="relu", name="fc1"), keras.layers.Dense(2, name="out")]
    )
    chosen = hls4ml.utils.config_from_keras_model(net, granularity="name", backend="Vitis")
    where = tmp_path / "projects" / "mine"
    hls4ml.converters.convert_from_keras_model(net, hls_config=chosen, output_dir=str(where), backend="Vitis", part=PART).write()
    report = where / "myproject_prj" / "solution1" / "syn" / "report"
    report.mkdir(parents=True)
    (report / "csynth.xml").write_text(csynth(dict.fromkeys(METRICS, 7)))
    assert main(["datasets", "build", "hls4ml-reports", str(tmp_path / "projects"), "--out", str(tmp_path / "set")]) == 0
    found = from_dataset(str(tmp_path / "set"))
    assert (len(found.graphs), found.graphs.metrics, found.left_out) == (1, METRICS, ())
    assert found.graphs.labels["backend"].tolist() == ["Vitis"]
    assert found.graphs.measured.tolist() == [[7.0] * 6]


def test_projects_without_a_network_are_named(tmp_path: Path, run: Any) -> None:
    samples = Path(__file__).parent / "fixtures" / "fpga" / "hls_reports" / "vitis"
    shutil.copytree(samples, tmp_path / "projects" / "one")
    status, _, err = run("datasets", "build", "hls4ml-reports", tmp_path / "projects", "--out", tmp_path / "mine")
    assert status == ExitStatus.OK
    assert "no network in 1 project(s), such as 'one': expected keras_model.keras, or one .keras, .h5 or .onnx file" in err
    status, _, err = run("train", "--data", tmp_path / "mine", "--out", tmp_path / "sur")
    assert status == ExitStatus.BAD_INPUT
    assert "mine/rows.parquet: none of 5 row(s) can be lowered for fpga" in err
    assert "mine/rows.parquet, row 3, column fact.module: a module of a design, not a network" in err


def gpu_table(where: Path, *, bad: bool = True) -> Path:
    """Twelve runs that take 1.3 times as long as they should, and three rows that nobody can use."""
    draw = np.random.default_rng(1)
    lines = ["model,gpu,precision,batch,time"]
    for model in ("resnet18", "resnet34", "resnet50", "mobilenet_v2"):
        for batch in (8, 16, 32):
            time = hwsim.estimate(model, "rtx-4090", batch=batch, dtype="amp").latency_s
            lines.append(f"{model},rtx-4090,amp,{batch},{1e3 * time * 1.3 * np.exp(0.03 * draw.normal())}")
    if bad:
        lines += ["no_such_net,rtx-4090,amp,8,1", "resnet18,rtx-4090x,amp,8,1", "resnet18,rtx-4090,abc,8,1"]
    (where / "runs.csv").write_text("\n".join(lines) + "\n")
    (where / "map.yaml").write_text(MAP)
    return where / "runs.csv"


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set `mine` of a table of GPU runs, and the surrogate `sur`."""
    where = tmp_path_factory.mktemp("gpu")
    table = gpu_table(where)
    assert (
        main(["datasets", "build", "csv", str(table), "--map", str(where / "map.yaml"), "--out", str(where / "mine"), "--no-bounds"]) == 0
    )
    assert main(["train", "--data", str(where / "mine"), "--out", str(where / "sur")]) == 0
    return where


def test_a_table_of_gpu_runs_becomes_a_surrogate(gpu: Path) -> None:
    found = hwsim.estimate("resnet101", "rtx-4090", batch=16, dtype="amp", method=f"surrogate:{gpu / 'sur'}")
    closed = hwsim.estimate("resnet101", "rtx-4090", batch=16, dtype="amp")
    assert found.latency_s == pytest.approx(1.3 * closed.latency_s, rel=0.06)
    assert found.energy_j > closed.energy_j


def test_rows_that_cannot_be_used_are_told_with_file_row_and_column(gpu: Path, run: Any) -> None:
    _, _, err = run("train", "--data", gpu / "mine", "--out", gpu / "again")
    rows = gpu / "mine" / "rows.parquet"
    told = [line.partition("Known")[0] for line in err.splitlines() if "row" in line and "wrote" not in line]
    assert told == [
        f"{rows}, row 13, column graph: unknown model 'no_such_net'. Did you mean 'unet' or 'fat_unet'?",
        f"{rows}, row 14, column device: unknown device 'rtx-4090x'. Did you mean 'rtx-4090' or 'rtx-5090' or 'rtx-3090'?",
        f"{rows}, row 15, column mapping: unknown dtype 'abc'. ",
    ]
    assert "3 row(s) could not be used" in store.read(str(gpu / "again")).card


def test_records_of_the_benchmark_are_lowered(tmp_path: Path, run: Any) -> None:
    record = {
        "uuid": "u1",
        "model_name": "tiny",
        "layers": [{"class_name": "Dense", "n_in": 4, "n_out": 2}],
        "reuse_factor": 2,
        "strategy": "Resource",
        "resource_report": {"bram": "1.5", "dsp": "3", "ff": "10", "lut": "20", "uram": "0"},
        "hls_resource_report": {"bram": 4, "dsp": 5, "ff": 11, "lut": 22, "uram": 0},
        "latency_report": {"cycles_min": 7, "cycles_max": 8, "target_clock": 5.0, "interval_min": 2, "interval_max": 2},
        "target_part": PART,
    }
    (tmp_path / "records.json").write_text(json.dumps([record, {**record, "uuid": "u2", "layers": []}]))
    assert run("datasets", "build", "wa-hls4ml", tmp_path / "records.json", "--out", tmp_path / "set")[0] == 0
    lines: list[str] = []
    found = from_dataset(str(tmp_path / "set"), tell=lines.append)
    assert found.graphs.labels["stage"].tolist() == ["vsynth", "csynth"]
    assert found.graphs.measured[:, found.graphs.metrics.index("lut")].tolist() == [20, 22]
    assert [f.row for f in found.left_out] == [2, 3]
    assert (
        "row 3, column graph: wa-hls4ml record: record 'tiny' has no list `model_config`; expected the layers of the network" in lines[-2]
    )


def test_a_surrogate_is_evaluated_and_rows_of_training_are_warned_of(place: Path, run: Any, tmp_path: Path) -> None:
    status, out, err = run("surrogates", "evaluate", place / "sur", "--json", "--html", tmp_path / "page.html")
    assert status == ExitStatus.OK
    told = json.loads(out)
    assert told["seen"] == 20
    assert "warning: 20 of the rows were in training: their errors flatter" in err
    lut = told["metrics"]["lut"]["all"]
    assert lut["n"] == 20 and lut["median_ape"] < 0.05 and lut["r2"] > 0.95
    page = (tmp_path / "page.html").read_text()
    assert "20 of the rows were in training" in page and "Predicted and measured" in page
    projects(tmp_path / "new", 4, noise=0.0)
    for path in (tmp_path / "new").glob("*/keras_model.json"):
        sizes = [9, 21, 13, 5]
        path.write_text(keras_json(sizes))
    run("datasets", "build", "hls4ml-reports", tmp_path / "new", "--out", tmp_path / "mine")
    found = evaluate(str(place / "sur"), data=str(tmp_path / "mine"), by=["mapping.reuse_factor"])
    assert not found.seen.any() and found.warning == ""
    assert set(found.tables()["lut"]) <= {"all", "2", "4"}


def test_an_evaluation_in_words(place: Path, run: Any) -> None:
    _, out, _ = run("surrogates", "evaluate", place / "sur", "--rows", "10")
    assert out.splitlines()[0].split() == ["n", "median", "mean", "p90", "SMAPE", "R2", "rank", "held", "closed", "form"]
    assert [line.split()[:2] for line in out.splitlines()[2:8]] == [[metric, "10"] for metric in METRICS]


def test_what_cannot_be_evaluated(place: Path, gpu: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        evaluate(str(place / "sur"), data=str(gpu / "mine"))
    assert str(error.value) == (
        f"{gpu / 'mine' / 'rows.parquet'}: found the metrics latency_s; sur predicts lut, ff, dsp, bram18, cycles, interval_cycles"
    )
    with pytest.raises(UnknownName, match="unknown column of mine: 'mapping.reuse'. Did you mean 'mapping.reuse_factor'"):
        evaluate(str(place / "sur"), by=["mapping.reuse"])
    with pytest.raises(InputError, match="surrogate 'few-shot-fbnet' speaks of devices that were sampled"):
        evaluate("few-shot-fbnet")


def test_the_page_of_a_training_holds_everything_and_needs_no_network(place: Path) -> None:
    page = (place / "sur.html").read_text()
    for words in ("Predicted and measured", "Errors", "Where it comes from", "Where it is trusted", "closed form"):
        assert words in page
    assert page.count("predicted over measured") == len(METRICS)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "p000.json\nmeasured" in page


RECIPE = "name: x\nsummary: y\nfamily: fpga\ndata: {data}\nleft_out: {{by: architecture}}\nmodel: {{kind: residual}}\n"


def test_a_label_of_the_recipe_that_the_rows_lack(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(data=place / "mine").replace("by: architecture", "by: famly"))
    with pytest.raises(UnknownName, match="unknown label of the training set 'famly'"):
        train(path, out=tmp_path / "sur")


class TestResidual(SurrogateCase):
    device_name = "rtx-4090"
    graphs = ("convnet", "mlp")
    options = {"dtype": "amp"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def trained(self, gpu: Path) -> Iterator[None]:
        type(self).surrogate = ResidualSurrogate(store.read(str(gpu / "sur")))
        type(self).target = hwsim.find("rtx-4090")[0]
        yield


class TestResidualFpga(SurrogateCase):
    device_name = "xcu250"
    options = {"strategy": "resource", "reuse_factor": 2}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def trained(self, place: Path) -> Iterator[None]:
        type(self).surrogate = ResidualSurrogate(store.read(str(place / "sur")))
        type(self).target = hwsim.find("xcu250")[0]
        yield


class TestAdditive(SurrogateCase):
    target = hwsim.find("rtx-4090")[0]
    surrogate = methods.trained("gpu-networks")
    device_name = "rtx-4090"
    graphs = ("convnet", "transformer")
    options = {"dtype": "amp"}  # noqa: RUF012


class TestOperators(SurrogateCase):
    target = hwsim.find("h200-sxm")[0]
    surrogate = methods.trained("gpu-operators")
    device_name = "h200-sxm"
    graphs = ("transformer",)
    options = {"dtype": "bf16"}  # noqa: RUF012


NETWORK = "name: net\nsummary: y\nfamily: fpga\ndata: {data}\nleft_out: {{by: architecture, folds: 2}}\nseeds: [0]\ngroups: [stage]\n"


@pytest.mark.parametrize("kind", ["additive", "additive-gnn"])
def test_networks_train_on_own_reports_and_go_to_onnx(place: Path, tmp_path: Path, run: Any, kind: str) -> None:
    for library in ("torch", "torch_geometric", "onnx"):
        pytest.importorskip(library)
    from hwsim.surrogates import networks
    from hwsim.surrogates.onnx_export import export

    path = tmp_path / "recipe.yaml"
    path.write_text(
        NETWORK.format(data=place / "mine") + f"model: {{kind: {kind}, width: 8, depth: 2, epochs: 3, calibrate: [matrix, table]}}\n"
    )
    status, out, err = run("train", path, "--out", tmp_path / "net", "--folder", tmp_path / "run", "--html", tmp_path / "net.html")
    assert status == ExitStatus.OK, err
    assert "| lut | 20 |" in out
    assert len(list((tmp_path / "run").rglob("log.jsonl"))) == 3
    page = (tmp_path / "net.html").read_text()
    assert "Learning curves" in page and page.count('class="curve') == 3
    surrogate, graphs = methods.trained(str(tmp_path / "net")), from_dataset(str(place / "mine")).graphs
    model = export(str(tmp_path / "net"))
    feeds = {"features": graphs.features, "edges": graphs.edges.astype(np.int64)}
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(model)
    found = evaluator.run(None, {i.name: feeds[i.name] for i in model.graph.input})[0]
    np.testing.assert_allclose(found, np.mean([networks.factors(m, graphs) for m in surrogate.members], axis=0), atol=1e-5)
    where = place / "projects" / "p000"
    given: dict[str, Any] = {"hls_config": str(where / "hls4ml_config.yml"), "method": f"surrogate:{tmp_path / 'net'}"}
    assert hwsim.estimate(str(where / "keras_model.json"), "xcu250", **given).cost.resources["LUT"].used > 0
    assert evaluate(str(tmp_path / "net"), data=str(place / "mine")).seen.all()


def test_pooled_networks_have_no_onnx_form(place: Path, tmp_path: Path, run: Any) -> None:
    for library in ("torch", "torch_geometric", "onnx"):
        pytest.importorskip(library)
    path = tmp_path / "recipe.yaml"
    path.write_text(NETWORK.format(data=place / "mine") + "model: {kind: gin, width: 8, depth: 1, epochs: 1}\n")
    assert run("train", path, "--out", tmp_path / "net")[0] == ExitStatus.OK
    status, _, err = run("surrogates", "export", tmp_path / "net", "--onnx", tmp_path / "net.onnx")
    assert status == ExitStatus.BAD_INPUT
    assert err == (
        "error: surrogate 'net' is a network of the kind 'gin', which has no ONNX form; those that have: additive, additive-gnn\n"
    )


def test_options_of_networks_are_refused_for_others(place: Path, tmp_path: Path, run: Any) -> None:
    for option in (("--devices", "2"), ("--folder", tmp_path / "run")):
        status, _, err = run("train", "--data", place / "mine", "--out", tmp_path / "sur", *option)
        assert (status, err.splitlines()[-1]) == (
            ExitStatus.BAD_INPUT,
            "error: --folder and --devices are for networks; recipe 'sur' trains a model of the kind 'residual'",
        )
    status, _, err = run("train", place / "sur" / "recipe.yaml", "--out", tmp_path / "sur", "--epochs", "3")
    assert "error: --epochs is for networks; recipe 'sur' trains a model of the kind 'residual'" in err
