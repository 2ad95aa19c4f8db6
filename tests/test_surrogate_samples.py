"""A user's table of a few measurements."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets.help_latency import block_features
from hwsim.errors import InputError
from hwsim.surrogates import samples
from hwsim.zoo.nas_bench import BLOCK_OPS


def networks(count: int, *, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return ["|".join(draw.choice(BLOCK_OPS, 22)) for _ in range(count)]


def table(path: Path, *, measured: int = 10, asked: int = 40, unit: str = "ms") -> np.ndarray:
    """A table on a device that takes 2 ms and 10 ps a multiply-add; returns seconds of every row."""
    names = networks(measured + asked)
    seconds = 2e-3 + 1e-11 * block_features(names)[2]
    scale = {"ms": 1e3, "us": 1e6}[unit]
    rows = [(name, f"{s * scale:.9g}" if i < measured else "") for i, (name, s) in enumerate(zip(names, seconds, strict=True))]
    with path.open("w", newline="") as text:
        csv.writer(text).writerows([("architecture", f"latency ({unit})"), *rows])
    return seconds


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_empty_cells_are_predicted_in_seconds(tmp_path: Path, unit: str) -> None:
    true = table(tmp_path / "my.csv", unit=unit)
    given = samples.read(tmp_path / "my.csv")
    np.testing.assert_allclose(given.latency_s[:10], true[:10], rtol=1e-6)
    found = samples.predict("few-shot-fbnet", given)
    assert np.median(np.abs(found.mean / true[10:] - 1)) < 0.05
    assert np.all((found.low < found.mean) & (found.mean < found.high))
    rows = list(csv.DictReader(samples.filled(given, found).splitlines()))
    assert [r["source"] for r in rows] == ["measured"] * 10 + ["predicted"] * 40
    assert float(rows[12]["low (ms)"]) < float(rows[12]["latency (ms)"]) < float(rows[12]["high (ms)"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "network,latency (ms)\n",
            r"found the columns 'network', 'latency \(ms\)'; expected 'architecture' and one of latency with its unit",
        ),
        (
            "architecture,latency\nskip,1\n",
            "found the columns 'architecture', 'latency'; expected 'architecture' and one of latency with its unit",
        ),
        ("architecture,latency (mJ)\nskip,1\n", r"column 'latency \(mJ\)': found the unit 'mJ'; expected a time"),
        ("architecture,latency (ms)\nskip,1\nskip,fast\n", r"row 3, column 'latency \(ms\)': found 'fast'; expected a number"),
        ("architecture,latency (ms)\nskip,-1\n", r"row 2, column 'latency \(ms\)': found '-1'; expected a positive number"),
        ("architecture,latency (ms)\nskip,nan\n", r"row 2, column 'latency \(ms\)': found 'nan'; expected a positive number"),
    ],
)
def test_tables_with_errors_name_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "my.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        samples.read(tmp_path / "my.csv")


def test_what_cannot_be_answered_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table 'none.csv'; expected a CSV file"):
        samples.read("none.csv")
    table(tmp_path / "my.csv", measured=0, asked=20)
    with pytest.raises(InputError, match=r"found 0 measured rows; expected 3 or more, ten for choice: measure k"):
        samples.predict("few-shot-fbnet", samples.read(tmp_path / "my.csv"))
    table(tmp_path / "my.csv", asked=0)
    with pytest.raises(InputError, match="every row has a latency; leave it empty"):
        samples.predict("few-shot-fbnet", samples.read(tmp_path / "my.csv"))
    (tmp_path / "my.csv").write_text("architecture,latency (ms)\nskip,1\n")
    with pytest.raises(InputError, match="row 2, column 'architecture': found 1 blocks in 'skip'; expected 22"):
        samples.predict("few-shot-fbnet", samples.read(tmp_path / "my.csv"))
    with pytest.raises(
        InputError, match="surrogate 'gpu-networks' cannot be taken to a new device from few samples; those that can: few-shot-fbnet"
    ):
        samples.load("gpu-networks")


def test_what_is_on_the_shelf_is_what_the_data_give() -> None:
    from hwsim.errors import DataMissing
    from hwsim.surrogates.training import few_shot

    for name in ("few-shot-fbnet", "few-shot-nasbench201"):
        space, held = samples.load(name)
        try:
            anew = few_shot.model(space)
        except DataMissing as error:
            pytest.skip(str(error))
        assert held.shrinkage == anew.shrinkage
        np.testing.assert_allclose(held.known, anew.known, rtol=1e-4, atol=1e-6)


def test_the_command_line_fills_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hwsim import cli

    table(tmp_path / "my.csv", asked=3)
    given = ["train", "--from", "few-shot-fbnet", "--data", str(tmp_path / "my.csv")]
    assert cli.main([*given, "--out", str(tmp_path / "all.csv")]) == 0
    assert "latency" in capsys.readouterr().out
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 14
    assert cli.main([*given, "--json"]) == 0
    assert capsys.readouterr().out.count("latency_s") == 3
    assert cli.main(given[:3]) == 2
    assert "--from and --data go together, without a recipe" in capsys.readouterr().err
