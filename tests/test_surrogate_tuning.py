"""Surrogates taken to a device of which a few networks were measured."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim import cli, plugins
from hwsim.cli import main
from hwsim.datasets.headers import columns_of
from hwsim.datasets.recipe import Constant, Measure
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates import store
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.methods import trained
from hwsim.surrogates.programs import of_program
from hwsim.surrogates.training import tuning
from hwsim.surrogates.tuning import Correction, log_totals, tuned

NETWORKS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "mobilenet_v2",
    "fbnet",
    "vit_b16",
    "vit_s16",
    "vit_ti16",
    "resnet18_stride_free",
)


def chains(count: int, *, metric: str = "latency_s", how: str = "sum", seed: int = 0) -> Graphs:
    """Networks of 3 to 8 rows of two kinds whose closed forms are right."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(3, 9, count)
    rows = int(sizes.sum())
    kind = (draw.random(rows) < 0.4).astype(float)
    features = np.stack([kind, 1 - kind, draw.normal(size=rows), np.full(rows, 7.0)], axis=1).astype(np.float32)
    cost = draw.lognormal(3.0, 1.0, (rows, 1))
    graphs = Graphs(
        features=features,
        cost=cost,
        floor=np.zeros((rows, 1)),
        start=np.concatenate([[0], np.cumsum(sizes)]),
        edges=np.zeros((2, 0), dtype=int),
        rest=np.zeros((count, 1)),
        least=np.zeros((count, 1)),
        measured=np.zeros((count, 1)),
        feature_names=("a", "b", "c", "device"),
        metrics=(metric,),
        readout=(how,),
    )
    object.__setattr__(graphs, "measured", graphs.closed_form)
    return graphs


def taught(graphs: Graphs, some: np.ndarray, factor: np.ndarray) -> Correction:
    """What some of the networks teach of members that say `factor`."""
    return tuned(graphs.take(some), factor[graphs.rows(some)], mean=np.zeros(4), scale=np.ones(4))


def error(graphs: Graphs, factor: np.ndarray, found: Correction | None) -> float:
    """Mean absolute error of the logarithm."""
    shift = 0.0 if found is None else found(graphs.features)
    return float(np.mean(np.abs(log_totals(graphs, factor + shift) - log_totals(graphs, np.zeros_like(factor)))))


@pytest.mark.parametrize(("metric", "how"), [("latency_s", "sum"), ("lut", "sum"), ("interval_cycles", "max")])
def test_an_offset_is_found_from_three_networks_and_a_bias_of_kinds_from_more(metric: str, how: str) -> None:
    graphs = chains(200, metric=metric, how=how)
    shifted = np.full((len(graphs.features), 1), -0.5)
    assert error(graphs, shifted, taught(graphs, np.arange(3), shifted)) < 0.1 * error(graphs, shifted, None)
    biased = -0.5 + 0.4 * graphs.features[:, :1].astype(float)
    errors = [error(graphs, biased, taught(graphs, np.arange(n), biased)) for n in (3, 100)]
    assert errors[1] < 0.5 * errors[0] < error(graphs, biased, None)


def test_without_evidence_the_members_are_believed() -> None:
    graphs = chains(60)
    right = np.zeros((len(graphs.features), 1))
    assert error(graphs, right, taught(graphs, np.arange(10), right)) < 0.01


def test_one_network_that_is_far_off_moves_little() -> None:
    graphs = chains(60)
    right = np.zeros((len(graphs.features), 1))
    measured = graphs.measured.copy()
    measured[3] *= 3.0
    object.__setattr__(graphs, "measured", measured)
    assert error(graphs, right, taught(graphs, np.arange(10), right)) < 0.04


def test_what_does_not_vary_says_nothing_and_rows_stand_alone() -> None:
    graphs = chains(60)
    found = taught(graphs, np.arange(30), np.full((len(graphs.features), 1), 0.3))
    assert found.weights[0, 4] == 0.0 and np.isinf(found.scale[3])
    np.testing.assert_array_equal(found(graphs.features)[5], found(graphs.features[5:6])[0])
    again = Correction.of(found.arrays())
    assert again is not None and np.array_equal(again(graphs.features), found(graphs.features))
    assert Correction.of({}) is None


def table(path: Path, networks: tuple[str, ...], *, factor: float = 1.3, batch: int = 32) -> Path:
    """Measurements as somebody would write them: a constant above what the surrogate says."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("model", "batch", "dtype", "runtime", "latency (ms)", "note"))
        for name in networks:
            found = hwsim.estimate(name, "a100-sxm-80gb", batch=batch, dtype="amp", runtime="eager", method="surrogate:gpu-networks")
            rows.writerow((name, batch, "amp", "eager", f"{1e3 * factor * found.latency_s:.6g}", "mine"))
    return path


def test_a_gpu_from_a_table_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = table(tmp_path / "my.csv", NETWORKS)
    out = tmp_path / "mine"
    assert cli.main(["train", "--from", "gpu-networks", "--data", str(mine), "--on", "a100-sxm-80gb", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "taken to a100-sxm-80gb by 10 measurements (my.csv)" in " ".join(told.out.split())
    assert "latency_s: median error of the closed form" in told.err and f"wrote {out}" in told.err
    given: dict[str, Any] = {"batch": 32, "dtype": "amp", "runtime": "eager", "method": f"surrogate:{out}"}
    before = hwsim.estimate("resnet152", "a100-sxm-80gb", **{**given, "method": "surrogate:gpu-networks"})
    found = hwsim.estimate("resnet152", "a100-sxm-80gb", **given)
    assert found.latency_s / before.latency_s == pytest.approx(1.3, rel=0.02)
    config = store.read(str(out)).config
    assert config["trusted"]["devices"] == ["a100-sxm-80gb"] and config["trusted"]["mapping"]["runtime"] == ["eager"]
    assert config["tuned"]["from"] == "gpu-networks" and "auto" not in config
    assert found.latency_interval.validated
    elsewhere = hwsim.estimate("resnet152", "h100-sxm-80gb", **given)
    assert not elsewhere.latency_interval.validated


def test_training_and_answering_agree(tmp_path: Path) -> None:
    mine = table(tmp_path / "my.csv", NETWORKS[:4])
    networks = tuning.from_table("gpu-networks", str(mine), device="a100-sxm-80gb")
    start = tuning.start("gpu-networks", networks.graphs)
    np.testing.assert_allclose(start.predicted()[:, 0] * 1.3, networks.graphs.measured[:, 0], rtol=1e-4)
    stored = tuning.tune("gpu-networks", networks, source=str(mine), called="mine")
    assert stored.metrics["intervals"]["all"]["low_ratio"] is None
    where = store.write(stored, where=tmp_path / "mine")
    answer = hwsim.estimate("resnet18", "a100-sxm-80gb", batch=32, dtype="amp", runtime="eager", method=f"surrogate:{where}")
    assert answer.latency_s == pytest.approx(float(start.predicted(start.correction())[0, 0]), rel=1e-4)
    assert not answer.latency_interval.validated


def test_ranges_hold_networks_that_were_left_out() -> None:
    graphs = chains(60)
    draw = np.random.default_rng(1)
    object.__setattr__(graphs, "measured", graphs.measured * np.exp(0.1 * draw.normal(size=(60, 1))))
    labels = {"architecture": np.array([f"n{i}" for i in range(60)])}
    object.__setattr__(graphs, "labels", labels)
    factor = np.full((len(graphs.features), 1), 0.4)
    known = tuning.Start(graphs, factor, np.zeros((60, 1)), np.zeros(4), np.ones(4))
    some = known.take(np.arange(25))
    ratio = some.graphs.measured[:, 0] / some.judged()[:, 0]
    low, high = np.quantile(ratio, [0.05, 0.95])
    rest = known.take(np.arange(25, 60))
    asked = rest.graphs.measured[:, 0] / rest.predicted(some.correction())[:, 0]
    assert 0.75 <= np.mean((asked >= low) & (asked <= high)) <= 1.0


def test_an_fpga_with_some_of_its_metrics(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from hwsim.surrogates.training import run
    from hwsim.surrogates.training.recipe import AdditiveRecipe, LeftOut, Recipe

    path = tmp_path / "xcu250.csv"
    rows = [("jet_tagger", r) for r in (1, 2, 4, 8, 16)]
    closed = [hwsim.estimate(name, "xcu250", reuse_factor=reuse).cost.resources for name, reuse in rows]
    lines = [f"{n},{r},{2 * float(c['LUT'].used)},{3 * float(c['FF'].used)}" for (n, r), c in zip(rows, closed, strict=True)]
    path.write_text("\n".join(["model,reuse_factor,lut,ff", *lines]), encoding="utf-8")
    target: Any = plugins.load("hwsim.targets", "fpga")
    parts = []
    for name, reuse in rows:
        mapping, device = target.mapping(reuse_factor=reuse), target.device("xcu250")
        one = of_program(target, target.lower(hwsim.load(name), device=device, mapping=mapping), device=device, mapping=mapping)
        labels = {"device": np.array(["xcu250"]), "graph": np.array([f"{reuse}"])}
        parts.append(replace(one, measured=one.closed_form, labels=labels))
    recipe = AdditiveRecipe(width=4, depth=1, epochs=1)
    given: dict[str, Any] = {"left_out": LeftOut(by="graph", folds=2), "model": recipe, "seeds": (0,)}
    stored = run.train(Recipe("base", "of a test", "fpga", "none.safetensors", **given), data=concatenated(parts))
    base = store.write(stored, where=tmp_path / "base")
    assert cli.main(["train", "--from", str(base), "--data", str(path), "--on", "xcu250", "--out", str(tmp_path / "mine")]) == 0
    asked: dict[str, Any] = {"reuse_factor": 4}
    before = hwsim.estimate("jet_tagger", "xcu250", method=f"surrogate:{base}", **asked)
    found = hwsim.estimate("jet_tagger", "xcu250", method=f"surrogate:{tmp_path / 'mine'}", **asked)
    for name, factor in (("LUT", 2.0), ("FF", 3.0), ("DSP", 1.0)):
        ratio = float(found.cost.resources[name].used) / max(float(before.cost.resources[name].used), 1.0)
        assert ratio == pytest.approx(factor, rel=0.1), name
    assert trained(str(tmp_path / "mine")).stored.config["tuned"]["networks"] == 5


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    few = table(tmp_path / "few.csv", NETWORKS[:2])
    networks = tuning.from_table("gpu-networks", str(few), device="a100-sxm-80gb")
    with pytest.raises(InputError, match=r"few\.csv: found 2 measured networks; expected 3 or more, ten for choice"):
        tuning.tune("gpu-networks", networks, source=str(few), called="x")
    with pytest.raises(InputError, match="surrogate 'gpu-operators' is no sum over rows; those that are, and can be taken .*gpu-networks"):
        tuning.start("gpu-operators", networks.graphs)
    with pytest.raises(UnknownName, match="unknown device 'a101'"):
        tuning.from_table("gpu-networks", str(few), device="a101")
    with pytest.raises(InputError, match="found no column 'device'; say what was measured on: --on NAME or --on FILE.yaml"):
        tuning.from_table("gpu-networks", str(few))


def test_headers_say_what_columns_are(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("network,device,batch,dtype,energy [uJ],lut,remark\nlenet5,xcu250,1,amp,3,4,x\n", encoding="utf-8")
    found = columns_of(path, options=("dtype",))
    assert found is not None and (found.graph, found.device, dict(found.mapping)) == ("network", "device", {"dtype": "dtype"})
    assert dict(found.metrics) == {"energy_j": Measure(column="energy [uJ]", unit="uJ"), "lut": Measure(column="lut")}
    assert dict(found.protocol) == {"batch": "batch"}
    assert columns_of(path, device="mine.yaml").device == Constant(value="mine.yaml")  # type: ignore[union-attr]
    for header, message in {
        "name,latency (ms)": r"found the columns 'name', 'latency \(ms\)'; expected one of networks: graph, model, network",
        "model,latency": "expected a metric with its unit, such as 'latency \\(ms\\)' or 'lut'",
        "model,latency (mJ)": r"column 'latency \(mJ\)': found the unit 'mJ'; expected one like ms",
        "model,delay (ms)": r"column 'delay \(ms\)': expected one of latency \(UNIT\), time \(UNIT\)",
    }.items():
        path.write_text(f"{header}\n", encoding="utf-8")
        with pytest.raises(InputError, match=message):
            columns_of(path)
    path.write_text("graph,device,latency_s\n", encoding="utf-8")
    assert columns_of(path) is None and columns_of(tmp_path / "none.csv") is None


def test_options_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = table(tmp_path / "my.csv", NETWORKS[:3])
    for given, message in (
        (["--from", "gpu-networks", "--data", str(mine)], "--from needs --out"),
        (["--data", str(mine), "--on", "rtx-4090", "--out", "x"], "--on and --map go with --from"),
        (["--from", "few-shot-fbnet", "--data", str(mine), "--on", "rtx-4090"], "takes a table of architectures"),
    ):
        assert main(["train", *given]) != 0
        assert message in " ".join(capsys.readouterr().err.split())
    assert hasattr(trained("gpu-networks"), "rows")


def test_the_table_of_boards_left_out_keeps_its_bar() -> None:
    table = Path(__file__).parents[1].joinpath("docs", "accuracy", "surrogate-tuning.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| **mean** |")]
    found = {int(row[2]): [float(cell.split("/")[0].split("±")[0]) for cell in (row[3], row[5], row[7])] for row in rows if int(row[2])}
    assert found[10][0] <= 8.0 and found[100][0] <= 6.5
    for tuned_error, closed, trees in found.values():
        assert tuned_error < closed and tuned_error < trees
