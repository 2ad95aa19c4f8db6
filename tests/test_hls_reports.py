"""Reports of HLS tools and Vivado, on samples written for these tests."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets.hls_reports import COLUMNS, Reports, Row, collect
from hwsim.datasets.hls_reports.write import write
from hwsim.errors import InputError

SAMPLES = Path(__file__).parent / "fixtures" / "fpga" / "hls_reports"


def whole(found: Reports, stage: str) -> Row:
    return next(row for row in found.designs if row.stage == stage)


def test_vitis_hls() -> None:
    found = collect(SAMPLES / "vitis")
    row = whole(found, "csynth")
    assert (row.design, row.tool, row.tool_version, row.part) == ("tagger", "Vitis HLS", "2023.2", "xcu250-figd2104-2L-e")
    assert (row.target_clock_s, row.estimated_clock_s) == (5e-9, 3.412e-9)
    assert (row.latency_min_cycles, row.latency_max_cycles, row.interval_min_cycles, row.interval_max_cycles) == (17, 18, 4, 4)
    assert (row.bram18, row.dsp, row.ff, row.lut, row.uram) == (23, 261, 9120, 20411, 0)
    assert row.config["HLSConfig"]["Model"]["ReuseFactor"] == 4
    assert row.source == "tagger_prj/solution1/syn/report/csynth.xml"


def test_modules_of_vitis_hls() -> None:
    modules = {row.module: row for row in collect(SAMPLES / "vitis").rows if row.module}
    assert list(modules) == ["dense_resource_config2", "relu_config3", "softmax_config5"]
    dense, softmax = modules["dense_resource_config2"], modules["softmax_config5"]
    assert (dense.latency_max_cycles, dense.interval_max_cycles, dense.dsp, dense.lut) == (6, 4, 256, 15002)
    assert (softmax.interval_min_cycles, softmax.interval_max_cycles) == (1, 2)


def test_logic_synthesis_is_a_row_of_its_own_in_blocks_of_18_kilobits() -> None:
    row = whole(collect(SAMPLES / "vitis"), "vsynth")
    assert (row.tool, row.tool_version, row.state, row.part) == ("Vivado", "2023.2", "Synthesized", "xcu250figd2104-2L")
    assert (row.bram18, row.dsp, row.ff, row.lut, row.uram) == (19, 261, 7203, 8011, 0)
    assert row.latency_max_cycles is None


def test_vivado_hls_has_a_file_a_module() -> None:
    found = collect(SAMPLES / "vivado" / "tagger_prj")
    row = whole(found, "csynth")
    assert (row.tool, row.tool_version, row.dsp, row.lut, row.latency_max_cycles) == ("Vivado HLS", "2019.2", 40, 9876, 31)
    modules = {m.module: m for m in found.rows if m.module}
    assert sorted(modules) == ["dense_resource", "softmax"]
    assert modules["softmax"].latency_max_cycles is None


@pytest.mark.parametrize("kept", ["*_csynth.xml", "*_csynth.rpt"])
def test_the_whole_design_is_found_without_a_summary(tmp_path: Path, kept: str) -> None:
    folder = tmp_path / "tagger_prj" / "report"
    folder.mkdir(parents=True)
    for path in (SAMPLES / "vivado" / "tagger_prj" / "solution1" / "syn" / "report").glob(kept):
        shutil.copy(path, folder)
    found = collect(tmp_path)
    assert [row.lut for row in found.designs] == [9876]
    assert [row.design for row in found.designs] == ["tagger"]


def test_text_reports_are_read_where_there_is_no_other(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "vivado" / "tagger_prj" / "solution1" / "syn" / "report" / "tagger_csynth.rpt", tmp_path)
    (row,) = collect(tmp_path).rows
    assert (row.tool, row.tool_version, row.part) == ("Vivado HLS", "2019.2", "xc7z020-clg400-1")
    assert (row.target_clock_s, row.estimated_clock_s) == (10e-9, 8.531e-9)
    assert (row.latency_min_cycles, row.latency_max_cycles, row.interval_min_cycles, row.interval_max_cycles) == (31, 33, 8, 9)
    assert (row.bram18, row.dsp, row.ff, row.lut, row.uram) == (12, 40, 5011, 9876, 0)


def test_slack_stands_beside_the_resources_of_its_stage() -> None:
    (row,) = collect(SAMPLES / "vivado" / "implementation").rows
    assert (row.stage, row.state, row.lut, row.bram18, row.dsp, row.uram) == ("routed", "Routed", 3100, 9, 40, None)
    assert (row.wns_s, row.target_clock_s, row.estimated_clock_s) == (-0.214e-9, 10e-9, 10.214e-9)
    assert row.part == "xc7z020clg400-1"


def test_timing_alone_is_a_row_too(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "vivado" / "implementation" / "design_timing_summary_routed.rpt", tmp_path)
    (row,) = collect(tmp_path).rows
    assert (row.design, row.stage, row.wns_s, row.lut, row.part) == ("tagger", "routed", -0.214e-9, None, "xc7z020-clg400")


def test_the_summary_of_hls4ml() -> None:
    found = collect(SAMPLES / "summary")
    first, second = found.rows
    assert (first.stage, first.latency_max_cycles, first.bram18, first.dsp) == ("csynth", 13, 4, 101)
    assert (second.stage, second.bram18, second.dsp, second.lut) == ("vsynth", 3, 99, 2101)


def test_a_folder_of_projects_keeps_what_can_be_read() -> None:
    lines: list[str] = []
    found = collect(SAMPLES, tell=lines.append)
    assert {row.design for row in found.rows} == {"vitis", "vivado", "vivado/implementation", "summary"}
    assert [name for name, _ in found.problems] == ["broken/csynth.xml"]
    assert "not XML, or cut off" in found.problems[0][1]
    assert "reading vitis/vivado_synth.rpt" in lines


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("csynth.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><profile/>", "it declares entities"),
        ("csynth.xml", "<other/>", "found <other> without <UserAssignments>"),
        ("vivado_synth.rpt", "Utilization Design Information", "no rows `CLB LUTs`"),
        ("timing_summary.rpt", "| Timing Summary Report", "no table that starts with WNS(ns)"),
        ("top_csynth.rpt", "== Vitis HLS Report for 'top'", "expected a csynth.rpt"),
        ("report.json", '{"CSynthesisReport": ', "not JSON"),
        ("report.json", '{"a": "CSynthesisReport"}', "none of the sections"),
    ],
)
def test_broken_files_are_named_with_the_reason(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_text(content)
    found = collect(tmp_path)
    assert found.rows == ()
    assert found.problems[0][0] == name
    assert reason in found.problems[0][1]


def test_a_broken_configuration_costs_only_itself(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "summary" / "report.json", tmp_path)
    (tmp_path / "hls4ml_config.yml").write_text("a: [")
    found = collect(tmp_path)
    assert len(found.rows) == 2
    assert found.problems[0][0] == "hls4ml_config.yml"


def test_nothing_found_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.rpt").write_text("a report of something else")
    with pytest.raises(InputError, match=r"no report under .*; looked for csynth.xml, .*Was the project built"):
        collect(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        collect(tmp_path / "missing")


def test_tables(tmp_path: Path) -> None:
    rows = collect(SAMPLES / "vitis").rows
    write(rows, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert json.loads(table[0]["config"])["IOType"] == "io_parallel"
    write(rows, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())[0]["lut"] == rows[0].lut
    with pytest.raises(InputError, match=r"expected .csv, .json, .parquet"):
        write(rows, tmp_path / "r.xlsx")


def test_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    write(collect(SAMPLES / "vitis").rows, tmp_path / "r.parquet")
    assert pandas.read_parquet(tmp_path / "r.parquet").lut.max() == 20411


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str) -> tuple[int, str, str]:
        status = main(list(args))
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


def test_the_command_prints_a_table_and_writes_one(run: Any, tmp_path: Path) -> None:
    status, out, err = run("datasets", "build", "hls4ml-reports", str(SAMPLES / "vitis"))
    assert status == ExitStatus.OK
    assert "20,411" in out
    assert "5 row(s) of 1 design(s) from 3 report(s)" in err
    status, out, err = run("datasets", "build", "hls4ml-reports", str(SAMPLES), "--out", str(tmp_path / "r.csv"), "--no-modules")
    assert (status, out) == (ExitStatus.OK, "")
    assert "skipped broken/csynth.xml: not XML" in err
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 7


def test_the_command_prints_json(run: Any) -> None:
    _, out, _ = run("datasets", "build", "hls4ml-reports", str(SAMPLES / "summary"), "--json")
    assert [row["stage"] for row in json.loads(out)] == ["csynth", "vsynth"]


def test_errors_of_the_command(run: Any, tmp_path: Path) -> None:
    status, _, err = run("datasets", "build", "hls4ml-reports", str(tmp_path))
    assert status == ExitStatus.BAD_INPUT
    assert "error: no report under" in err
    status, _, err = run("datasets", "build", "hls4ml-report", str(tmp_path))
    assert status == ExitStatus.USAGE
    assert "Did you mean 'hls4ml-reports' or 'fpga-reports'?" in err


def test_builders_are_listed_with_the_summaries_of_their_commands(run: Any) -> None:
    from hwsim.cli.datasets import BUILDERS

    _, out, _ = run("datasets", "list", "--json")
    found = json.loads(out)
    assert set(found["builders"]) == set(BUILDERS)
    assert {name: lazy.load().get_short_help_str(200) for name, lazy in BUILDERS.items()} == found["builders"]
