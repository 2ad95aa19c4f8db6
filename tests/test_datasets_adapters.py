"""Adapters of public measurements, and the folders that are built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets import adapters, check, store
from hwsim.datasets.adapted_fpga import wa_hls4ml
from hwsim.datasets.locate import data_path
from hwsim.datasets.recipe import read_recipe
from hwsim.errors import DataMissing

pytest.importorskip("pyarrow")
SMALL = ("fpga-boards", "loihi-runs", "fpga-designs", "spiking-energies")
RECORD = {
    "uuid": "u1",
    "model_name": "tiny",
    "subset": "test/dense",
    "layers": [{"class_name": "Dense", "n_in": 4, "n_out": 2}],
    "reuse_factor": 2,
    "strategy": "Resource",
    "resource_report": {"bram": "1.5", "dsp": "3", "ff": "10", "lut": "20", "uram": "0"},
    "hls_resource_report": {"bram": 4, "dsp": 5, "ff": 11, "lut": 22, "uram": 0},
    "latency_report": {"cycles_min": 7, "cycles_max": 8, "target_clock": 5.0, "interval_min": 2, "interval_max": 2},
    "target_part": "xcu250-figd2104-2L-e",
    "vivado_version": "2020.1",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str) -> tuple[int, str, str]:
        status = main(list(args))
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


def need(name: str) -> None:
    try:
        adapters.source_files(adapters.measured()[name])
    except DataMissing as error:
        pytest.skip(str(error))


def test_every_adapter_has_a_recipe_and_every_recipe_an_adapter() -> None:
    used = {recipe.adapter for recipe in adapters.measured().values()}
    assert used == {*adapters.ADAPTERS, "csv"}


@pytest.mark.parametrize("name", SMALL)
def test_small_sets_are_built_and_sound(name: str, tmp_path: Path) -> None:
    need(name)
    built = adapters.build(name, tmp_path)
    again = check.load(tmp_path)
    assert not again.bad.any()
    assert len(again.data) + int(built.bad.sum()) == len(built.data)
    assert (tmp_path / "apart.parquet").is_file() == bool(built.bad.any())
    assert read_recipe(tmp_path / "recipe.yaml").source.sha256 == built.data.recipe.source.sha256  # pyright: ignore[reportOptionalMemberAccess]


def test_units_of_the_boards() -> None:
    need("fpga-boards")
    data = adapters.rows_of(adapters.measured()["fpga-boards"])
    assert data.metrics == {"latency_s": "s", "energy_j": "J"}
    assert np.all((data.numbers("latency_s") > 1e-6) & (data.numbers("latency_s") < 1))
    assert np.all((data.numbers("energy_j") > 1e-6) & (data.numbers("energy_j") < 1))


def test_energy_below_zero_is_kept_apart(tmp_path: Path) -> None:
    need("loihi-runs")
    built = adapters.build("loihi-runs", tmp_path)
    assert list(built.lines()) == ["loihi-runs, row 13, column dynamic_j: found -0.000359587 J; expected more than 0"]
    assert len(store.read(tmp_path / "apart.parquet")) == 1


def test_architectures_and_failed_attempts_of_the_designs() -> None:
    need("fpga-designs")
    data = adapters.rows_of(adapters.measured()["fpga-designs"])
    assert not set(data.split("train").text("group")) & set(data.split("test").text("group"))
    failed = data.numbers("feasible") == 0
    assert failed.any()
    assert data.missing("lut")[failed].all()


def test_every_design_has_its_network() -> None:
    need("fpga-designs")
    from hwsim.datasets.design_graphs import READERS, network

    data = adapters.rows_of(adapters.measured()["fpga-designs"])
    names = sorted(set(data.text("graph")))
    assert {name.partition(":")[0] for name in names} == set(READERS)
    assert [name for name in names if network(name) is None] == []
    dense = network("dense1:dense_64_32_8b")
    assert dense is not None
    assert [tensor.shape for tensor in dense.tensors.values() if len(tensor.shape) == 2][:1] == [(1, 64)]


def test_names_that_are_no_design() -> None:
    from hwsim.datasets.design_graphs import network

    assert [network(name) for name in ("resnet18", "timm:resnet18", "dense1:no")] == [None, None, None]


def test_shifted_tables_of_the_guides_have_their_columns_back() -> None:
    from hwsim.datasets.adapted_guides import _mended

    named = [
        ("Batch_size=1; Input Seqlen=20; Output Seqlen=8", "A (ms)", 3.0),
        ("Batch_size=1; Input Seqlen=20; Output Seqlen=8", "B (ms)", 2.0),
    ]
    cells = [("64", 1.0), ("60", 128.0), ("20", 9.0), ("90.5", 5.0), ("OOM", 7.0), ("64", 2.0), ("60", 128.0), ("20", 9.0), ("90.5", 6.0)]
    entries = [*named, *((None, column, value) for column, value in cells)]
    part = [{"doc": "gpt_guide", "section": "s", "row_keys": k, "column": c, "value": v} for k, c, v in entries]
    assert [(e["row_keys"], e["column"], e["value"]) for e in _mended(part)] == [
        *named,
        ("Batch_size=64; Input Seqlen=60; Output Seqlen=20", "A (ms)", 90.5),
        ("Batch_size=1; Input Seqlen=128; Output Seqlen=9", "A (ms)", 5.0),
        ("Batch_size=1; Input Seqlen=128; Output Seqlen=9", "B (ms)", 7.0),
        ("Batch_size=2; Input Seqlen=128; Output Seqlen=9", "A (ms)", 6.0),
    ]


def test_rows_of_the_guides() -> None:
    need("transformer-guides")
    data = adapters.rows_of(adapters.measured()["transformer-guides"])
    frame = data.to_pandas()
    larger = frame[(frame.graph == "fastertransformer:gpt-20b") & frame["protocol.column"].str.contains("8-way")]
    by_batch = larger.groupby(["protocol.input_tokens", "protocol.output_tokens"]).latency_s.apply(lambda v: (v.diff().dropna() > 0).mean())
    assert (by_batch > 0.8).all(), "larger batches take longer where columns are named right"
    assert set(frame[frame.graph.str.startswith("bert_base")].device) == {"t4", "v100-pcie-16gb", "a10", "a100-sxm-40gb", "a100-mig"}
    assert (frame[frame["protocol.column"] == "TF-FP16 Latency (ms)"]["mapping.dtype"] == "fp16").all()


def test_networks_of_timm_have_a_bound() -> None:
    need("timm-networks")
    found = check.check(adapters.rows_of(adapters.measured()["timm-networks"]).take(np.arange(500)))
    assert (found.bounded, found.bad.sum()) == (500, 0)


def test_another_source_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("fpga-boards")
    table = data_path("fpga", "mlperf_tiny_v07_hls4ml_finn.csv").read_text(encoding="utf-8")
    (tmp_path / "fpga").mkdir()
    (tmp_path / "fpga" / "mlperf_tiny_v07_hls4ml_finn.csv").write_text("\n".join(table.splitlines()[:3]) + "\n", encoding="utf-8")
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    told: list[str] = []
    built = adapters.build("fpga-boards", tmp_path / "out", tell=told.append)
    assert len(built.data) == 2
    assert told[0].startswith("fpga-boards: the source is not that of the recipe (sha256 ")


def test_absent_data_are_said(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    status, out, err = run("datasets", "build", "loihi-runs", "--out", str(tmp_path / "out"))
    missing = tmp_path / "neuro" / "abr_kws" / "abr_kws_measured.csv"
    assert (status, out) == (ExitStatus.NO_DATA, "")
    assert err == f"error: no measured data at '{missing}'; set HWSIM_DATA to the folder that holds 'neuro'/\n"
    status, _, err = run("datasets", "build", "gpu-operators", "--out", str(tmp_path / "out"))
    assert (status, (tmp_path / "out").exists()) == (ExitStatus.NO_DATA, False)


def test_records_become_a_row_a_stage(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    data = store.dataset(wa_hls4ml([path]), name="w")
    assert data.text("protocol.stage").tolist() == ["vsynth", "csynth"]
    assert data.numbers("bram18").tolist() == [3.0, 4.0], "tiles of 36 Kb after synthesis, blocks of 18 Kb in C synthesis"
    assert data.numbers("lut").tolist() == [20.0, 22.0]
    assert data.numbers("cycles").tolist() == [8.0, 8.0]
    assert (data.text("device")[0], data.text("split")[0], data.text("graph")[0]) == ("xcu250", "test", "r.jsonl#u1")


def test_official_examples_are_built(run: Any, tmp_path: Path) -> None:
    try:
        path = data_path("fpga", "wa_hls4ml_format_examples.jsonl")
    except DataMissing as error:
        pytest.skip(str(error))
    status, out, _ = run("datasets", "build", "wa-hls4ml", str(path), "--out", str(tmp_path / "wa"), "--json")
    assert (status, json.loads(out)["rows"], json.loads(out)["apart"]) == (ExitStatus.OK, 5, 0)
    assert run("datasets", "check", str(tmp_path / "wa"))[0] == ExitStatus.OK


def test_records_that_are_none(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("", encoding="utf-8")
    status, _, err = run("datasets", "build", "wa-hls4ml", str(path), "--out", str(tmp_path / "wa"))
    assert (status, err) == (ExitStatus.BAD_INPUT, f"error: no record in {path}; expected wa-hls4ml records, .jsonl with one a line\n")


def test_own_measurements_are_built_and_shown(run: Any, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("net,ms,bs\nlenet5,2.5,1\nlenet5,-1,2\n", encoding="utf-8")
    (tmp_path / "map.yaml").write_text(
        "graph: net\ndevice: {value: my-board}\nprotocol: {batch: bs}\nmetrics: {latency_s: {column: ms, unit: ms}}\n", encoding="utf-8"
    )
    out = tmp_path / "mine"
    status, _, err = run("datasets", "build", "csv", str(tmp_path / "my.csv"), "--map", str(tmp_path / "map.yaml"), "--out", str(out))
    assert (status, err.splitlines()) == (
        ExitStatus.OK,
        [
            f"{tmp_path / 'my.csv'}, row 2, column latency_s: found -0.001 s; expected more than 0",
            f"wrote 1 row(s) to {out / 'rows.parquet'}, 1 kept apart in {out / 'apart.parquet'}",
        ],
    )
    shown = json.loads(run("datasets", "show", str(out), "--json")[1])
    assert shown["built"] == {
        "rows": 1,
        "columns": ["graph", "device", "protocol.batch", "latency_s"],
        "metrics": {"latency_s": "s"},
        "splits": {},
    }
    assert shown["recipe"]["columns"]["metrics"] == {"latency_s": {"column": "ms", "unit": "ms"}}


def test_show_says_where_rows_come_from(run: Any) -> None:
    status, out, _ = run("datasets", "show", "gpu-operators")
    assert status == ExitStatus.OK
    assert out.endswith("No rows here; build them: hwsim datasets build gpu-operators --out gpu-operators\n")
    assert "Metrics: lut, ff" in run("datasets", "show", "fpga-yosys")[1]


def test_own_reports_become_a_set(run: Any, tmp_path: Path) -> None:
    samples = Path(__file__).parent / "fixtures" / "fpga" / "hls_reports" / "vitis"
    status, _, err = run("datasets", "build", "hls4ml-reports", str(samples), "--out", str(tmp_path / "mine"))
    assert (status, err.splitlines()[-1]) == (ExitStatus.OK, f"wrote 5 row(s) to {tmp_path / 'mine' / 'rows.parquet'}")
    data = store.read(tmp_path / "mine")
    assert data.numbers("lut").max() == 20411
    assert set(data.text("protocol.stage")) <= {"csynth", "vsynth", "routed"}


def test_broken_measurements_of_search_spaces_are_found() -> None:
    need("search-spaces")
    data = adapters.rows_of(adapters.measured()["search-spaces"])
    bad = check.check(data, bounds=False).bad
    assert 0 < bad.sum() < 0.01 * len(data)
    assert set(data.text("device")[bad]) <= {"pixel3", "raspi4"}
    assert {"gtx-1080ti", "titan-xp"} <= set(data.text("device"))
    assert set(data.text("protocol.stage")[data.text("device") == "eyeriss"]) == {"estimated"}


def test_what_was_built_here_comes_before_the_shelf(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("fpga-boards")
    monkeypatch.setenv("HWSIM_DATA", str(data_path("fpga").parent))
    monkeypatch.chdir(tmp_path)
    assert run("datasets", "check", "fpga-boards")[0] == ExitStatus.NO_DATA
    run("datasets", "build", "fpga-boards", "--out", "fpga-boards")
    assert run("datasets", "check", "fpga-boards")[0] == ExitStatus.OK


def test_a_shape_has_one_name_on_all_boards() -> None:
    import pandas

    from hwsim.datasets.adapted_gpu import _operator

    row = {"framework": "T", "version": "1", "kernel_source": "k", "op_name": "o", "device": "d", "attn_dtype": "fp8", "latency": 2.0}
    first, second = {**row, "window_size": 0, "isl": 8}, {**row, "isl": 8, "window_size": 0}
    names = [_operator("context_attention", pandas.DataFrame([table]), "l4").graph[0] for table in (first, second)]
    assert names == ["context_attention?isl=8&window_size=0"] * 2
