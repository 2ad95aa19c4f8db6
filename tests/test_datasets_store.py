"""Data sets: schema, units, recipes, plain tables with a mapping, splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.datasets import store
from hwsim.datasets.recipe import Splits, read_columns, read_recipe
from hwsim.errors import DataMissing, InputError, UnknownName

pytest.importorskip("pyarrow")
COLUMNS: Mapping[str, Any] = {
    "graph": ["resnet50", "mlp", "mlp"],
    "device": "l4",
    "mapping.dtype": ["fp16", "bf16", None],
    "protocol.batch": [1, 2, 4],
    "latency_s": [1e-3, 2e-3, None],
    "lut": [None, None, 12],
    "split": ["train", "train", "test"],
}
MAP = """graph: net
device: {value: l4}
mapping: {dtype: format}
protocol: {batch: bs}
metrics:
  latency_s: {column: ms, unit: ms}
  energy_j: {column: mj, unit: mJ}
group: "{net}/{format}"
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    store.dataset(COLUMNS, name="mine").write(tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def message(kind: type[Exception], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_rows_come_back_with_types_units_and_gaps(written: Path) -> None:
    data = store.read(written)
    assert data.metrics == {"latency_s": "s", "lut": "1"}
    assert {f.name: str(f.type) for f in data.table.schema}["protocol.batch"] == "int64"
    assert data.table.schema.field("latency_s").metadata == {b"unit": b"s"}
    assert data.missing("latency_s").tolist() == [False, False, True]
    assert data.numbers("latency_s")[:2].tolist() == [1e-3, 2e-3]
    assert data.text("mapping.dtype").tolist() == ["fp16", "bf16", ""]
    assert (data.splits, len(data.split("train"))) == (("test", "train"), 2)
    assert data.to_pandas()["graph"].tolist() == COLUMNS["graph"]


def test_unknown_columns_and_splits_are_named(written: Path) -> None:
    data = store.read(written)
    assert message(UnknownName, lambda: data.split("tset")) == "unknown split of rows: 'tset'. Did you mean 'test'?"
    assert message(UnknownName, lambda: data.numbers("latency")) == "unknown column of rows: 'latency'. Did you mean 'latency_s'?"


def test_missing_columns_are_named() -> None:
    found = message(InputError, lambda: store.dataset({"graph": ["a"], "latency_s": [1.0]}, name="x", where="x.csv"))
    assert found == "x.csv: no column 'device'; found graph, latency_s. Name your columns in a mapping file (--map)"
    found = message(InputError, lambda: store.dataset({"graph": ["a"], "device": "l4"}, name="x", where="x.csv"))
    assert found == "x.csv: no metric; expected a column such as latency_s, energy_j, power_w or lut"


def test_unit_in_a_name_must_be_si() -> None:
    found = message(UnknownName, lambda: store.dataset({**COLUMNS, "latency_ms": 1.0}, name="x", where="x.csv"))
    assert found == "unknown column in x.csv: 'latency_ms'. Did you mean 'latency_s'?"


def test_unit_in_the_metadata_must_be_that_of_the_name(tmp_path: Path) -> None:
    from pyarrow import parquet

    data, path = store.dataset(COLUMNS, name="x"), tmp_path / "x.parquet"
    at = data.columns.index("latency_s")
    field = data.table.schema.field(at).with_metadata({"unit": "ms"})
    parquet.write_table(data.table.cast(data.table.schema.set(at, field)), str(path))
    assert message(InputError, lambda: store.read(path)) == f"{path}, column latency_s: the unit in its metadata is 'ms'; expected 's'"


def test_text_in_place_of_numbers_is_refused() -> None:
    found = message(InputError, lambda: store.dataset({**COLUMNS, "lut": ["a", "b", "c"]}, name="x", where="x.parquet"))
    assert found == "x.parquet: the column 'lut' holds string; expected numbers"


def test_a_table_with_a_mapping(tmp_path: Path) -> None:
    table, mapping = tmp_path / "my.csv", tmp_path / "map.yaml"
    table.write_text("net,format,bs,ms,mj\nmlp,fp16,1,2.5,\nresnet50,bf16,8,4,30\n", encoding="utf-8")
    mapping.write_text(MAP, encoding="utf-8")
    data = store.read(table, columns=read_columns(mapping))
    assert np.allclose(data.numbers("latency_s"), [2.5e-3, 4e-3])
    assert data.missing("energy_j").tolist() == [True, False]
    assert data.text("group").tolist() == ["mlp/fp16", "resnet50/bf16"]
    assert data.table["protocol.batch"].to_pylist() == [1, 8]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("unit: mJ", "unit: mW", "{map}: metrics: energy_j: the unit is 'mW'; expected one of J, such as mJ or J"),
        ("{column: ms, unit: ms}", "{column: ms}", "{map}: metrics: latency_s: no unit; expected one of s, such as ms or s"),
        (
            "energy_j:",
            "energy_mj:",
            "{map}: metrics: unknown 'energy_mj'; expected a name with its SI unit, such as latency_s, energy_j, power_w, lut",
        ),
        (
            "grap" + "h: net",
            "grahp: net",
            "{map}: Object contains unknown field `grahp`. Fields: graph, device, metrics, mapping, protocol, fact, group, split, flop",
        ),
    ],
)
def test_faults_of_a_mapping(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(MAP.replace(old, new), encoding="utf-8")
    assert message(InputError, lambda: read_columns(path)) == expected.replace("{map}", str(path))


def test_a_mapping_names_columns_that_exist(tmp_path: Path) -> None:
    table, mapping = tmp_path / "my.csv", tmp_path / "map.yaml"
    table.write_text("net,format,batch,ms,mj\nmlp,fp16,1,2.5,1\n", encoding="utf-8")
    mapping.write_text(MAP, encoding="utf-8")
    found = message(UnknownName, lambda: store.read(table, columns=read_columns(mapping)))
    assert found == f"unknown column in {table}: 'bs'. Did you mean 'ms'?"


RECIPE = """name: x
summary: s
licence: own
source: {text: ours}
generator: none
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RECIPE.replace("licence", "licens"), "Object contains unknown field `licens`"),
        (RECIPE + "splits: {by: graph, test: 2}\n", "Expected `float` <= 1.0 - at `$.splits.test`"),
        (RECIPE.replace("summary: s\n", ""), "Object missing required field `summary`"),
    ],
)
def test_a_recipe_with_a_typo(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    fields = "name, summary, licence, source, adapter, generator, rows, columns, splits, protocol, made"
    assert message(InputError, lambda: read_recipe(path)) == f"{path}: {expected}. Fields: {fields}"


def test_a_recipe_says_who_makes_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("generator: none\n", ""), encoding="utf-8")
    expected = f"{path}: expected either `adapter:` (who reads the source) or `generator:` (the command that makes the rows)"
    assert message(InputError, lambda: read_recipe(path)) == expected


def test_equal_values_fall_into_one_split() -> None:
    names = [f"n{i % 50}" for i in range(1000)]
    parts = store.with_splits({"graph": names}, Splits("graph", test=0.3, validation=0.2))["split"]
    by_name = {name: {p for n, p in zip(names, parts, strict=True) if n == name} for name in names}
    assert all(len(found) == 1 for found in by_name.values())
    assert {p for found in by_name.values() for p in found} == {"train", "validation", "test"}


@pytest.mark.parametrize("name", ["fpga-yosys", "sanafe"])
def test_our_own_sets_can_be_read(name: str) -> None:
    data = store.read(name)
    assert len(data) > 100
    assert set(data.splits) == {"train", "test"}
    assert not set(data.split("train").text("group" if name == "fpga-yosys" else "graph")) & set(
        data.split("test").text("group" if name == "fpga-yosys" else "graph")
    )


def test_every_recipe_of_the_shelf_is_valid() -> None:
    for name, folder in store.folders().items():
        assert read_recipe(folder / "recipe.yaml").name == name
        assert (folder / "card.md").read_text(encoding="utf-8").startswith(f"# {name}\n")


def test_rows_that_were_not_built(tmp_path: Path) -> None:
    found = message(DataMissing, lambda: store.read("gpu-operators"))
    assert found.endswith("build them: hwsim datasets build gpu-operators --out gpu-operators")
    assert message(UnknownName, lambda: store.read("gpu-operator")).startswith(
        "unknown data set 'gpu-operator'. Did you mean 'gpu-operators'"
    )
    path = tmp_path / "no.csv"
    assert message(InputError, lambda: store.read(path)) == (
        f"no file {str(path)!r}; expected a .parquet or .csv table, or a name from `hwsim datasets list`"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a CSV table (Empty CSV file)"),
        ("graph,device,latency_s\n", "no rows below the names of the columns"),
        ("graph,device,latency_s\na,b,1\na,b\n", "not a CSV table (CSV parse error: Row #3: Expected 3 columns, got 2: a,b)"),
        ("graph,device,latency_s,graph\na,b,1,c\n", "two columns are called 'graph'; rename one of them"),
        ("graph,device,latency_s,flop\na,l4,1,zz\n", "row 1, column flop: found 'zz'; expected a number of operations, or nothing"),
    ],
)
def test_faults_of_a_table(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    assert message(InputError, lambda: store.read(path)).removeprefix(str(path)).lstrip(":, ") == expected


def test_commas_in_quotes_and_a_mark_at_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('\ufeffgraph,"device",latency_s,"fact.a, b"\n"n, 1",l4,1e-3,7\n', encoding="utf-8")
    data = store.read(path)
    assert (data.columns, data.text("graph")[0]) == (("graph", "device", "latency_s", "fact.a, b"), "n, 1")


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("no", encoding="utf-8")
    assert message(InputError, lambda: store.read(path)).startswith(f"{path}: not a Parquet file (")
