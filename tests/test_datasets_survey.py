"""The survey of all measured sets: no file and no row is forgotten, and the page says what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets import adapters, check, store, survey
from hwsim.errors import DataMissing, UnknownName

pytest.importorskip("pyarrow")
PAGE = (Path(__file__).parent.parent / "docs" / "datasets-table.md").read_text(encoding="utf-8")
ROWS: Mapping[str, Any] = {
    "graph": ["gemm?m=1", "gemm?m=2", "gemm?m=3", "gemm?m=4"],
    "device": "l4",
    "latency_s": [1e-3, -1.0, 2e-3, None],
    "power_w": [50.0, None, 50.0, None],
    "fact.suspect": [None, None, "a copy", None],
    "split": ["train", "train", "test", "test"],
}
SMALL = (
    *("accelerator-layers", "accelerator-published", "accelerator-simulations", "fpga-boards", "fpga-modules", "fpga-reports"),
    *("keyword-spotters", "llm-training", "llmcompass", "loihi-cores", "loihi-runs", "mcu-boards", "optical-precision", "power-limits"),
    *("sanafe-timesteps", "serving-overheads", "spiking-boards", "spiking-energies", "spiking-layers", "spiking-published"),
    *("sram-accesses", "timm-processors", "training-epochs", "gemmini-layers"),
)


def numbers(name: str) -> list[int]:
    """Rows, sound and apart of a set on the page."""
    found = re.search(rf"^\| {re.escape(name)} \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", PAGE, re.MULTILINE)
    assert found is not None, name
    return [int(cell.replace(",", "")) for cell in found.groups()]


def test_every_set_is_on_the_page() -> None:
    for name in adapters.measured():
        rows, sound, apart = numbers(name)
        assert rows == sound + apart > 0
    assert f"Written by `{survey.COMMAND}`" in PAGE


def need(name: str) -> None:
    """Skips where the source is absent, or another than the page was written from."""
    recipe = adapters.measured()[name]
    try:
        found = adapters.digest(adapters.source_files(recipe))
    except DataMissing as error:
        pytest.skip(str(error))
    if found != recipe.source.sha256:
        pytest.skip(f"{name}: another source than that of its recipe")


def test_no_file_is_forgotten() -> None:
    for name in adapters.measured():
        need(name)
    left = survey.unread()
    assert [name for name, why in left if not why] == []


@pytest.mark.parametrize("name", SMALL)
def test_page_says_what_is_there(name: str) -> None:
    need(name)
    found = survey.survey([name], bounds=False)[0]
    assert [found.rows, found.rows - found.apart, found.apart] == numbers(name)


def test_reasons_are_counted() -> None:
    found = survey._surveyed(check.check(store.dataset(ROWS, name="x")))
    assert (found.rows, found.apart, found.devices, found.graphs) == (4, 3, 1, 4)
    assert found.reasons == {"a copy": 1, "all metrics: empty": 1, "latency_s: not more than 0": 1}
    assert found.splits == {"train": 2, "test": 2}
    page = survey.markdown([found], [("gpu/deepbench/specs.csv", "describes the machines"), ("gpu/new.csv", "")])
    assert "1 sets, 4 rows, 1 sound, 3 kept apart." in page
    assert "| x | 1 | a copy |" in page
    assert "| gpu/new.csv | 1 | not known |" in page


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"latency_s": [1e-3, float("nan"), 1.0, 1.0]}, "latency_s: not a number, or nothing where it was not measured"),
        ({"graph": ["gemm?m=1"] * 4, "latency_s": 1.0, "power_w": 1.0}, "split: the same row stands in another split"),
        ({"flop": 1e15, "latency_s": 1e-6, "power_w": 1.0}, "latency_s: below the time of its arithmetic at the device's peak"),
    ],
)
def test_kinds_of_faults(changed: Mapping[str, Any], expected: str) -> None:
    assert expected in survey.reasons(check.check(store.dataset({**ROWS, **changed}, name="x")).findings)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    need("loihi-runs")
    assert main(["datasets", "survey", "loihi-runs", "--json", "--write", str(tmp_path / "page.md")]) == ExitStatus.OK
    found = json.loads(capsys.readouterr().out)
    assert (found[0]["name"], found[0]["rows"], found[0]["reasons"]) == ("loihi-runs", 15, {"dynamic_j: not more than 0": 1})
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Measured data sets\n")
    assert main(["datasets", "survey", "loihi-runs"]) == ExitStatus.OK
    assert "1 dynamic_j: not more than 0" in capsys.readouterr().out


def test_names_and_absent_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName):
        survey.survey(["loihi-run"])
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    told: list[str] = []
    with pytest.raises(DataMissing):
        survey.survey(["loihi-runs", "mcu-boards"], tell=told.append)
    assert [line.partition(":")[0] for line in told] == ["loihi-runs", "mcu-boards"]
