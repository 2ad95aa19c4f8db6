"""Damaged sources: one clear error, or rows kept apart; nothing else is raised and no row is lost."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.datasets import adapters, check, store
from hwsim.datasets.locate import data_path
from hwsim.datasets.recipe import read_columns
from hwsim.errors import HwsimError, InputError

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")
MAP = """graph: net
device: gpu
metrics: {latency_s: {column: ms, unit: ms}, power_w: {column: watts, unit: W}}
split: part
protocol: {batch: bs}
flop: ops
"""
CELLS = [["lenet5", "l4", f"{i * 0.5 + 1}", f"{50 + i}", "train", f"{i + 1}", "1e3"] for i in range(8)]
NAMES = "net,gpu,ms,watts,part,bs,ops\n"
BAD_CELLS = ("abc", "nan", "-1", "0", "inf", "-inf", "1e400", "", "2,5", "1_0", "µ", "NaN", "1.5 ms", "\x00")
RECORD = {
    "uuid": "u",
    "model_name": "t",
    "subset": "test/d",
    "layers": [{"class_name": "Dense", "n_in": 4, "n_out": 2}],
    "reuse_factor": 2,
    "strategy": "Resource",
    "resource_report": {"bram": "1.5", "dsp": "3", "ff": "10", "lut": "20", "uram": "0"},
    "hls_resource_report": {"bram": 4, "dsp": 5, "ff": 11, "lut": 22, "uram": 0},
    "latency_report": {"cycles_min": 7, "cycles_max": 8, "target_clock": 5.0, "interval_min": 2, "interval_max": 2},
    "target_part": "xcu250-figd2104-2L-e",
    "vivado_version": "2020.1",
}
BOARDS = "division,submitter,system,task,perf_inf_per_s,energy_uJ_per_inf,energy_mode_inf_per_s,power_uW\n" + "".join(
    f"closed,a,b{i},kws,{i + 1}.5,,,\n" for i in range(5)
)
VALUES: tuple[Any, ...] = (None, -1, 0, 1.5, float("nan"), float("inf"), "x", "", "12", [], {}, [1], {"a": 1}, True, 10**400)
SEEDS = range(60)


def csv_text(cells: list[list[str]]) -> str:
    return NAMES + "".join(",".join(f'"{c}"' for c in row) + "\n" for row in cells)


def damaged(content: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, cut out, put in, or the end lost."""
    found = bytearray(content)
    for _ in range(dice.choice([1, 2, 5, 20])):
        at, kind = dice.randrange(max(1, len(found))), dice.random()
        if kind < 0.3 and found:
            found[at] = dice.randrange(256)
        elif kind < 0.5:
            del found[at : at + dice.randrange(1, 12)]
        elif kind < 0.85:
            found[at:at] = dice.choice([b",", b"\n", b'"', b"nan", b"-1", b"\x00", b"\xff", b"{", b"null", b"[]", b"abc"])
        else:
            del found[at:]
    return bytes(found)


def changed(content: Any, dice: random.Random) -> Any:
    """Values of a record replaced or taken out."""
    found = json.loads(json.dumps(content))
    for _ in range(dice.choice([1, 2, 4])):
        inside = found
        while inside:
            key = dice.choice(list(inside) if isinstance(inside, dict) else list(range(len(inside))))
            if isinstance(inside[key], dict | list) and dice.random() < 0.6:
                inside = inside[key]
                continue
            if isinstance(inside, dict) and dice.random() < 0.3:
                del inside[key]
            else:
                inside[key] = dice.choice(VALUES)
            break
    return found


def survived(build: Callable[[], check.Checked]) -> check.Checked | None:
    """What was built, or None where it was refused with an error of ours."""
    try:
        return build()
    except HwsimError as error:
        assert str(error)
        return None


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "map.yaml").write_text(MAP, encoding="utf-8")
    return tmp_path / "map.yaml"


def test_damaged_tables(tmp_path: Path, mapping: Path) -> None:
    path = tmp_path / "my.csv"
    for seed in SEEDS:
        path.write_bytes(damaged(csv_text(CELLS).encode(), random.Random(seed)))
        survived(lambda: adapters.build_csv(path, read_columns(mapping), tmp_path / "out"))


def test_damaged_packed_tables(tmp_path: Path, mapping: Path) -> None:
    path = tmp_path / "my.csv.gz"
    path.write_bytes(gzip.compress(csv_text(CELLS).encode()))
    assert len(adapters.build_csv(path, read_columns(mapping), tmp_path / "out").rows) == 8
    for seed in SEEDS:
        path.write_bytes(damaged(gzip.compress(csv_text(CELLS).encode()), random.Random(seed)))
        survived(lambda: adapters.build_csv(path, read_columns(mapping), tmp_path / "out"))


def test_tables_that_are_not_there(tmp_path: Path, mapping: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path / "no.csv.gz", tmp_path):
        with pytest.raises(InputError, match=f"^cannot read '{path}': "):
            adapters.build_csv(path, read_columns(mapping), tmp_path / "out")


def test_no_row_of_bad_cells_is_lost(tmp_path: Path, mapping: Path) -> None:
    path = tmp_path / "my.csv"
    for seed in SEEDS:
        dice = random.Random(seed)
        cells = [list(row) for row in CELLS]
        hit = {dice.randrange(8) for _ in range(3)}
        for row in hit:
            cells[row][dice.choice([2, 3])] = dice.choice(BAD_CELLS)
        path.write_text(csv_text(cells), encoding="utf-8")
        built = survived(lambda: adapters.build_csv(path, read_columns(mapping), tmp_path / "out"))
        if built is not None:
            assert len(built.rows) + len(built.apart) == 8
            assert set(built.bad.nonzero()[0].tolist()) <= hit
            again = len(store.read(tmp_path / "out" / "rows.parquet"))
            assert again + (len(store.read(tmp_path / "out" / "apart.parquet")) if built.bad.any() else 0) == 8


def test_damaged_parquet(tmp_path: Path) -> None:
    columns = {"graph": ["a", "b", "c"], "device": "l4", "latency_s": [1.0, 2.0, None], "mapping.x": [1, 2, 3]}
    store.dataset(columns, name="p").write(tmp_path / "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    for seed in SEEDS:
        (tmp_path / "p.parquet").write_bytes(damaged(whole, random.Random(seed)))
        survived(lambda: check.check(store.read(tmp_path / "p.parquet"), bounds=False))


def test_damaged_records(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    whole = (json.dumps(RECORD) + "\n" + json.dumps(RECORD) + "\n").encode()
    for seed in SEEDS:
        path.write_bytes(damaged(whole, random.Random(seed)))
        survived(lambda: adapters.build_records([path], tmp_path / "out"))


def test_changed_records_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for seed in SEEDS:
        dice = random.Random(seed)
        path.write_text("\n".join(json.dumps(changed(RECORD, dice)) for _ in range(2)) + "\n" + json.dumps(RECORD), encoding="utf-8")
        built = survived(lambda: adapters.build_records([path], tmp_path / "out"))
        if built is not None:
            assert {0, 1, 2} >= set(built.bad.nonzero()[0].tolist()) or len(built.data) > 3
            assert len(built.data) >= 3


def test_a_record_with_text_for_its_reuse_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "reuse_factor": "many"}), encoding="utf-8")
    built = adapters.build_records([path], tmp_path / "out")
    assert (len(built.rows), len(built.apart)) == (2, 1)
    expected = "record 2 cannot be read: invalid literal for int() with base 10: 'many'"
    assert expected in built.apart.text("fact.problem")[0]


def test_damaged_mappings(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text(csv_text(CELLS), encoding="utf-8")
    for seed in SEEDS:
        (tmp_path / "map.yaml").write_bytes(damaged(MAP.encode(), random.Random(seed)))
        survived(lambda: adapters.build_csv(tmp_path / "my.csv", read_columns(tmp_path / "map.yaml"), tmp_path / "out"))


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose source of `mcu-boards` is made up."""
    (tmp_path / "mcu").mkdir()
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    return tmp_path / "mcu" / "mlperf_tiny_v1.1.csv"


def test_damaged_sources_of_adapters(boards: Path, tmp_path: Path) -> None:
    for seed in SEEDS:
        boards.write_bytes(damaged(BOARDS.encode(), random.Random(seed)))
        survived(lambda: adapters.build("mcu-boards", tmp_path / "out"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("task", "tasks", "{path}: no column 'task'; found division, submitter, system, tasks"),
        (BOARDS, "", "{path}: not a CSV table ("),
        ("closed,a,b0", 'closed,"a,b0', "{path}: not a CSV table ("),
    ],
)
def test_sources_with_other_columns_are_refused(boards: Path, tmp_path: Path, old: str, new: str, expected: str) -> None:
    boards.write_text(BOARDS.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        adapters.build("mcu-boards", tmp_path / "out")
    assert str(caught.value).startswith(expected.format(path=boards))


def test_bad_numbers_of_a_source_are_kept_apart(boards: Path, tmp_path: Path) -> None:
    boards.write_text(BOARDS.replace("1.5,,,", "fast,,,").replace("2.5,,,", "-3,,,").replace("3.5,,,", "3.5,12 uJ,,"), encoding="utf-8")
    built = adapters.build("mcu-boards", tmp_path / "out")
    assert list(built.lines()) == [
        "mcu-boards, row 1, column latency_s: found 'NaN'; expected a number, or nothing where it was not measured",
        "mcu-boards, row 3, column energy_j: found 'NaN'; expected a number, or nothing where it was not measured",
        "mcu-boards, row 2, column latency_s: found -0.333333 s; expected more than 0",
    ]
    assert (len(built.rows), len(built.apart)) == (2, 3)


def test_a_source_that_its_reader_does_not_understand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "timm_infer.parquet").write_bytes(b"no")
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    with pytest.raises(InputError) as caught:
        adapters.build("timm-networks", tmp_path / "out")
    assert str(caught.value).startswith("timm-networks: its source is not as expected (ArrowInvalid: ")
    assert str(caught.value).endswith(f"files: {data_path('gpu', 'timm_infer.parquet')}")
