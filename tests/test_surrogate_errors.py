"""What `hwsim train` and `hwsim datasets build` say of tables, recipes and options that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.errors import InputError
from hwsim.surrogates.training.verb import train

pytest.importorskip("pyarrow")
MAP = """graph: model
device: gpu
mapping: {dtype: precision}
protocol: {tool: {value: torch}, batch: batch}
metrics:
  latency_s: {column: time, unit: ms}
"""
HEAD = "model,gpu,precision,batch,time\nresnet18,l4,amp,8,"
RECIPE = "name: x\nsummary: y\nfamily: fpga\ndata: {data}\nleft_out: {{by: architecture}}\nmodel: {{kind: residual}}\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str | Path) -> tuple[int, str, str]:
        status = main([str(arg) for arg in args])
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("left_out:", "leftout:"), "{path}: Object contains unknown field `leftout`"),
        (("kind: residual", "kind: residul"), "{path}: Invalid value 'residul' - at `$.model.kind`"),
        (("{kind: residual}", "{kind: residual, penalty: -1}"), "{path}: Expected `float` > 0.0 - at `$.model.penalty`"),
        (("{kind: residual}", "{kind: residual, penality: 1}"), "{path}: Object contains unknown field `penality` - at `$.model`"),
    ],
)
def test_recipes_with_a_typo_name_the_field(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(data="a.parquet").replace(*change))
    with pytest.raises(InputError) as error:
        train(path, out=tmp_path / "sur")
    assert str(error.value) == message.format(path=path)


@pytest.mark.parametrize(
    ("table", "mapping", "message"),
    [
        (
            "model,gpu,precision,batch,time\nresnet18,l4,amp,8,nan\n",
            MAP,
            "{where}, row 1, column latency_s: found 'NaN'; expected a number",
        ),
        (
            "model,gpu,precision,batch,time\nresnet18,l4,amp,8,fast\n",
            MAP,
            "{where}, row 1, column latency_s: found 'fast'; expected a number",
        ),
        (
            "model,gpu,precision,batch,time\nresnet18,l4,amp,8,-1\n",
            MAP,
            "{where}, row 1, column latency_s: found -0.001 s; expected more than 0",
        ),
        ("model,gpu,precision,time\nresnet18,l4,amp,1\n", MAP, "unknown column in {where}: 'batch'. Known: gpu, model, precision, time."),
        (
            HEAD + "1\n",
            MAP.replace("unit: ms", "unit: W"),
            "{map}: metrics: latency_s: the unit is 'W'; expected one of s, such as ms or s\n",
        ),
        (HEAD + "1\n", MAP.replace("latency_s", "latency_ms"), "{map}: metrics: unknown 'latency_ms'; expected a name with its SI unit"),
    ],
)
def test_tables_with_a_fault_name_row_and_column(tmp_path: Path, run: Any, table: str, mapping: str, message: str) -> None:
    where, columns = tmp_path / "runs.csv", tmp_path / "map.yaml"
    where.write_text(table)
    columns.write_text(mapping)
    _, _, err = run("datasets", "build", "csv", where, "--map", columns, "--out", tmp_path / "mine", "--no-bounds")
    assert message.format(where=where, map=columns) in err


def test_nothing_sound_is_said(tmp_path: Path, run: Any) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("graph,device,latency_s\nresnet18,l4,nan\n")
    status, _, err = run("train", "--data", path, "--out", tmp_path / "sur")
    assert status == ExitStatus.BAD_INPUT
    assert err.splitlines()[-2:] == [
        f"error: {path}: no sound row of 1",
        f"{path}, row 1, column latency_s: found 'NaN'; expected a number, or nothing where it was not measured",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a recipe, or measurements with --data, or --from with --data"),
        (("--data", "mine"), "--data without a recipe needs --out, the folder of the surrogate"),
        (("--from", "gpu-networks"), "--from and --data go together, without a recipe"),
    ],
)
def test_what_train_needs(run: Any, arguments: tuple[str, ...], message: str) -> None:
    status, _, err = run("train", *arguments)
    assert status == ExitStatus.USAGE
    assert message in err


def test_unknown_data_sets_are_named(run: Any, tmp_path: Path) -> None:
    _, _, err = run("train", "--data", "timm-network", "--out", tmp_path / "sur")
    assert "unknown data set 'timm-network'. Did you mean 'timm-networks'" in err
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(data="timm-network"))
    _, _, err = run("train", path, "--out", tmp_path / "sur")
    assert f"unknown training set in {path}: 'timm-network'. Did you mean 'timm-networks'" in err


def test_learning_curves_come_from_the_log(tmp_path: Path) -> None:
    from hwsim.report.plots import curves
    from hwsim.report.surrogate_html import logs

    for name in ("fold0/seed0", "fold1/seed0"):
        (tmp_path / name).mkdir(parents=True)
        lines = [json.dumps({"epoch": i, "loss": 1.0 / (i + 1), "validation": 1.5 / (i + 1), "learning_rate": 1e-3}) for i in range(4)]
        (tmp_path / name / "log.jsonl").write_text("\n".join(lines) + '\n{"epoch": 4, "lo')
    found = logs(tmp_path)
    assert {name: len(entries) for name, entries in found.items()} == {"fold0/seed0": 4, "fold1/seed0": 4}
    drawn = curves(found)
    assert drawn.count("<polyline") == 4 and drawn.count("held") == 2
    assert curves({}) == ""
