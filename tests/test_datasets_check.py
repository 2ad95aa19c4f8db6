"""Faults of measured rows: each named with file, row and column, and kept apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets import check, store
from hwsim.errors import InputError

pytest.importorskip("pyarrow")
GOOD: Mapping[str, Any] = {
    "graph": ["gemm?m=1000", "gemm?m=1000", "gemm?m=2000"],
    "device": ["l4", "l4", "l4"],
    "mapping.dtype": ["bf16", "fp8", "bf16"],
    "flop": [1e9, 1e9, 2e9],
    "latency_s": [1e-3, 1e-3, 2e-3],
    "power_w": [50.0, 60.0, None],
    "split": ["train", "train", "test"],
}
TABLE = "net,gpu,ms,watts,part\nlenet5,l4,2.0,50,train\nlenet5,l4,2.0,abc,test\nlenet5,l4,-1,50,train\n,l4,1,nan,train\nlenet5,l4,,,train\n"
MAP = "graph: net\ndevice: gpu\nmetrics: {latency_s: {column: ms, unit: ms}, power_w: {column: watts, unit: W}}\nsplit: part\n"


def faults(**changed: Any) -> list[str]:
    return list(check.check(store.dataset({**GOOD, **changed}, name="x", where="x.parquet")).lines())


def test_sound_rows_have_no_fault() -> None:
    found = check.check(store.dataset(GOOD, name="x"))
    assert (list(found.lines()), found.bounded, len(found.rows), len(found.apart)) == ([], 3, 3, 0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"latency_s": [1e-3, -1.0, 2e-3]},
            "x.parquet, row 2, column latency_s: found -1 s; expected more than 0",
        ),
        (
            {"latency_s": [1e-3, 1e-3, float("inf")]},
            "x.parquet, row 3, column latency_s: found inf s; expected more than 0",
        ),
        (
            {"power_w": [50.0, 60.0, float("nan")]},
            "x.parquet, row 3, column power_w: found 'NaN'; expected a number, or nothing where it was not measured",
        ),
        ({"feasible": [0, 1, 2]}, "x.parquet, row 3, column feasible: found 2; expected at most 1"),
        ({"device": ["l4", "", "l4"]}, "x.parquet, row 2, column device: is empty; expected a name"),
        (
            {"latency_s": [1e-3, 1e-3, 1e-7]},
            "x.parquet, row 3, column latency_s: found 100 ns; the arithmetic alone takes 16.5 us at the device's peak",
        ),
        (
            {"mapping.dtype": "bf16", "split": ["train", "test", "test"]},
            "x.parquet, row 2, column split: found 'test'; the same graph, device, mapping and protocol stand in row 1 of 'train'",
        ),
    ],
)
def test_each_fault_is_named(changed: Mapping[str, Any], expected: str) -> None:
    assert faults(**changed) == [expected]


@pytest.mark.parametrize(
    ("marks", "rows"), [([None, "", "twice"], [2]), ([0, 1, 0], [1]), ([False, False, True], [2]), (["no", "-", "No"], [])]
)
def test_rows_that_the_source_has_wrong_are_kept_apart(marks: list[Any], rows: list[int]) -> None:
    found = check.check(store.dataset({**GOOD, "fact.suspect": marks}, name="x", where="x.parquet"))
    assert found.bad.nonzero()[0].tolist() == rows
    assert len(found.rows) + len(found.apart) == 3
    assert all("column fact.suspect: the source is known to be wrong here: " in line for line in found.lines())


def test_whole_answers_have_no_bound() -> None:
    columns = {"graph": "lenet5", "device": "l4", "latency_s": [1e-12, 1e-12], "protocol.output_tokens": [8, None]}
    found = check.check(store.dataset(columns, name="x"))
    assert (found.bounded, found.bad.tolist()) == (1, [False, True])


def test_repeats_in_one_split_are_no_fault() -> None:
    assert faults(**{"mapping.dtype": "bf16"}) == []


def test_bound_of_a_convolution_is_a_quarter() -> None:
    def below(graph: str) -> bool:
        return bool(faults(graph=[graph, "gemm?m=1", "gemm?m=2"], latency_s=[5e-6, 1e-3, 2e-3]))

    assert (below("gemm?m=1000"), below("conv?batch=1")) == (True, False)


def test_bound_of_a_named_network_comes_from_its_graph() -> None:
    columns = {"graph": ["lenet5", "no-such"], "device": ["l4", "l4"], "latency_s": [1e-12, 1e-12]}
    found = check.check(store.dataset(columns, name="x", where="x.csv"))
    assert found.bounded == 1
    assert [f.rows.tolist() for f in found.findings] == [[0]]
    assert check.check(store.dataset(columns, name="x"), bounds=False).bounded == 0


def test_unknown_devices_have_no_bound() -> None:
    assert check.check(store.dataset({**GOOD, "device": "my-board"}, name="x")).bounded == 0


def test_rows_are_kept_apart_with_the_reason(tmp_path: Path) -> None:
    found = check.check(store.dataset({**GOOD, "latency_s": [-1.0, 1e-3, 2e-3]}, name="x"))
    assert len(found.rows) == 2
    found.apart.write(tmp_path / "apart.parquet")
    again = check.load(tmp_path / "apart.parquet")
    assert again.data.text(check.PROBLEM).tolist() == ["latency_s: found -1 s; expected more than 0"]
    assert again.apart.text(check.PROBLEM).tolist() == ["latency_s: found -1 s; expected more than 0"]


def test_many_faults_of_a_kind_are_counted() -> None:
    columns = {"graph": "mlp", "device": "board", "latency_s": [-1.0] * 8}
    lines = list(check.check(store.dataset(columns, name="x")).lines(most=2))
    assert lines == [
        "x, row 1, column latency_s: found -1 s; expected more than 0",
        "x, row 2, column latency_s: found -1 s; expected more than 0",
        "  ... and 6 more rows like the last",
    ]


def test_protocol_of_the_recipe_must_be_there() -> None:
    from hwsim.datasets.recipe import Recipe, Source

    recipe = Recipe("x", "s", "own", Source("ours"), generator="none", protocol=("tool",))
    with pytest.raises(InputError) as caught:
        check.check(store.dataset(GOOD, name="x", where="x.parquet", recipe=recipe))
    assert str(caught.value) == "x.parquet: no column 'protocol.tool', which the recipe of x asks for"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str) -> tuple[int, str, str]:
        status = main(list(args))
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


@pytest.fixture
def own(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "my.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "map.yaml").write_text(MAP, encoding="utf-8")
    return str(tmp_path / "my.csv"), str(tmp_path / "map.yaml")


def test_the_command_names_file_row_and_column(run: Any, own: tuple[str, str]) -> None:
    table, mapping = own
    status, out, _ = run("datasets", "check", table, "--map", mapping)
    assert status == ExitStatus.BAD_INPUT
    assert out.splitlines() == [
        f"{table}, row 4, column graph: is empty; expected a name",
        f"{table}, row 2, column power_w: found 'abc'; expected a number, or nothing where it was not measured",
        f"{table}, row 4, column power_w: found 'NaN'; expected a number, or nothing where it was not measured",
        f"{table}, row 5, column latency_s/power_w: every metric is empty; expected a label",
        f"{table}, row 3, column latency_s: found -0.001 s; expected more than 0",
        f"{table}, row 2, column split: found 'test'; the same graph, device, mapping and protocol stand in row 1 of 'train'",
        "my: 5 row(s), 4 with a fault; physical bound known for 4",
    ]


def test_the_command_in_json(run: Any, own: tuple[str, str]) -> None:
    status, out, _ = run("datasets", "check", own[0], "--map", own[1], "--json", "--no-bounds")
    found = json.loads(out)
    assert (status, found["rows"], found["faulty"], found["bounded"]) == (ExitStatus.BAD_INPUT, 5, 4, 0)
    assert found["faults"][0] == {"row": 4, "column": "graph", "fault": "is empty; expected a name"}


def test_sound_sets_pass(run: Any) -> None:
    assert run("datasets", "check", "fpga-yosys")[:2] == (
        ExitStatus.OK,
        "fpga-yosys: 318 row(s), 0 with a fault; physical bound known for 0\n",
    )


def test_a_table_without_mapping_must_have_the_columns(run: Any, own: tuple[str, str]) -> None:
    status, _, err = run("datasets", "check", own[0])
    expected = "no column 'graph'; found net, gpu, ms, watts, part. Name your columns in a mapping file (--map)"
    assert (status, err) == (ExitStatus.BAD_INPUT, f"error: {own[0]}: {expected}\n")
