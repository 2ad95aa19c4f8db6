"""Spaces of points, conditions, sweep files, plans, and what a sweep gives back."""

from __future__ import annotations

import doctest
import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.errors import InputError
from hwsim.sweep import spec as specs
from hwsim.sweep.axes import Axis, Choices, Interval, Steps, listed
from hwsim.sweep.build import space
from hwsim.sweep.constraints import constraints, objectives
from hwsim.sweep.plan import plan
from hwsim.sweep.sampling import _key, _permuted, unit_columns
from hwsim.sweep.space import Base, Space

GPU, FPGA = "a100-sxm-80gb", "xcu250"
AXES = (
    listed("mapping.dtype", ["fp16", "int8"], outer=True),
    Axis("device.sm_count", Steps(64, 256, 25, integer=True)),
    listed("mapping.runtime", ["compile", "eager", "tensorrt"], outer=True),
    Axis("device.dram_b_per_s", Choices((1e12, 2e12, 8e12)), "B/s"),
)
RANGES = (AXES[0], Axis("device.sm_count", Interval(64, 256, integer=True)), Axis("device.dram_b_per_s", Interval(1e12, 8e12, log=True)))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), sampling=st.sampled_from(["grid", "random", "lhs", "sobol"]))
def test_any_chunk_is_what_it_is_in_the_whole(data: st.DataObject, sampling: str) -> None:
    made = Space(Base("m", "d"), AXES if sampling == "grid" else RANGES, sampling, 0 if sampling == "grid" else 137, 3)
    start = data.draw(st.integers(0, made.count))
    stop = data.draw(st.integers(start, made.count))
    whole, part = made.columns(0, made.count), made.columns(start, stop)
    assert all(np.array_equal(whole[name][start:stop], part[name]) for name in whole)
    for outer in made.outer():
        low, high = max(start, outer.start), min(stop, outer.stop)
        if low < high:
            inner = outer.inner.columns(low - outer.start, high - outer.start)
            assert all(np.array_equal(whole[name][low:high], inner[name]) for name in inner)


def test_a_grid_has_every_combination_once() -> None:
    made = Space(Base("m", "d"), AXES)
    rows = set(zip(*(v.tolist() for v in made.columns(0, made.count).values()), strict=True))
    assert len(rows) == made.count == 2 * 25 * 3 * 3
    assert made.outer_count == 6
    assert made.block(5).choices == {"mapping.dtype": "int8", "mapping.runtime": "tensorrt"}
    assert made.block(5).base.mapping == {"dtype": "int8", "runtime": "tensorrt"}


def test_a_billion_points_are_not_made() -> None:
    made = Space(Base("m", "d"), tuple(Axis(f"device.x{i}", Steps(1, 8, 1000)) for i in range(4)))
    assert made.count == 10**12
    np.testing.assert_allclose(made.columns(10**12 - 2, 10**12)["device.x3"], [8 - 7 / 999, 8])


def test_sobol_points_are_those_of_scipy() -> None:
    qmc = pytest.importorskip("scipy.stats.qmc")
    index = np.arange(128)
    mine = np.stack(unit_columns("sobol", index * 0, index, dimensions=3, samples=128, seed=7), axis=1)
    theirs = qmc.Sobol(3, scramble=True, bits=30, rng=np.random.default_rng(_key(7, 0, 0) >> 1)).random(128)
    np.testing.assert_array_equal(mine, theirs)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 3000), seed=st.integers(0, 2**31))
def test_a_latin_hypercube_has_one_point_in_every_stratum(count: int, seed: int) -> None:
    index = np.arange(count)
    for column in unit_columns("lhs", index * 0, index, dimensions=2, samples=count, seed=seed):
        assert sorted((column * count).astype(int)) == list(range(count))
    assert sorted(_permuted(index.astype(np.uint64), count, seed)) == list(range(count))


def test_random_points_are_uniform_and_blocks_differ() -> None:
    made = Space(Base("m", "d"), RANGES, "random", 20_000, 1)
    drawn = made.columns(0, made.count)["device.dram_b_per_s"]
    assert np.log(drawn / 1e12).mean() / np.log(8) == pytest.approx(0.5, abs=0.01)
    assert not np.any(drawn[:20_000] == drawn[20_000:])


def test_a_sample_draws_from_listed_values_evenly() -> None:
    made = Space(Base("m", "d"), (Axis("device.x", Choices((1.0, 2.0, 4.0))),), "lhs", 300, 0)
    assert np.unique(made.columns(0, 300)["device.x"], return_counts=True)[1].tolist() == [100, 100, 100]


def test_examples_in_the_docstrings() -> None:
    modules = [importlib.import_module(f"hwsim.sweep.{name}") for name in ("axes", "space", "constraints", "names", "build", "spec")]
    for module in (*modules, importlib.import_module("hwsim.api")):
        assert doctest.testmod(module).failed == 0, module.__name__


def test_every_point_of_a_sweep_is_a_single_estimate() -> None:
    found = hwsim.sweep(
        "jet_tagger",
        FPGA,
        vary={"reuse_factor[fc*]": "1,2,4", "precision[fc2]": "ap_fixed<16,6>,ap_fixed<8,3>", "clock_period": "2,5", "lut": "1e5,1e6"},
        strategy="resource",
        where="",
        pareto="latency,lut,dsp",
    )
    assert found.counts.points == 24
    for design in [*found.pareto(), *found.top(k=24)]:
        alone = design.estimate()
        assert design.metrics["latency_s"] == pytest.approx(alone.latency_s, rel=1e-9)
        assert design.metrics["energy_j"] == pytest.approx(alone.energy_j, rel=1e-9)
        assert bool(design.metrics["fits"]) == alone.fits
        for name, item in alone.cost.resources.items():
            assert design.metrics[name.lower()] == pytest.approx(float(item.used), rel=1e-9)


def test_models_devices_and_batches_are_axes() -> None:
    found = hwsim.sweep(["resnet18", "resnet34"], [GPU, "l4"], vary={"batch": [1, 4], "dtype": "fp16,int8"}, pareto="energy,max:throughput")
    assert found.counts.points == 16
    best = found.best("max:throughput_per_s")
    assert best.axes["model"] == "resnet18"
    alone = hwsim.estimate("resnet18", best.axes["device"], batch=4, dtype=best.axes["mapping.dtype"])
    assert best.metrics["throughput_per_s"] == pytest.approx(alone.throughput_per_s)


def test_a_builder_of_ones_own_has_axes() -> None:
    def net(width: int = 8, depth: int = 1, batch: int = 1) -> hwsim.Graph:
        b = hwsim.GraphBuilder("net", batch=batch)
        x = b.input("x", (batch, 16))
        for _ in range(depth):
            x = b.add("linear", [x, b.weight((width, b.shape(x)[1]))])
        return b.finish([x])

    found = hwsim.sweep(net, "null", vary={"batch": [1, 2]}, model_axes={"width": "8:32:8", "depth": [1, 3]}, best="max:latency")
    assert found.counts.points == 16
    assert found.best().axes == {"model.width": 32, "model.depth": 3, "batch": 2}


def test_results_are_tables() -> None:
    pandas = pytest.importorskip("pandas")
    found = hwsim.sweep("resnet18", GPU, vary={"batch": [1, 2, 4]}, pareto="latency,max:throughput")
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert {"batch", "latency_s", "throughput_per_s", "fits"} <= set(frame.columns)
    assert found.to_dict()["counts"]["points"] == 3


KNOWN = {
    "latency_s": "s",
    "energy_j": "J",
    "fits": "bool",
    "lut": "",
    "device.sm_count": "",
    "device.dram_b_per_s": "B/s",
    "mapping.dtype": "text",
}
KNOWN["mapping.reuse_factor[fc*]"] = ""
VALUES: dict[str, Any] = {
    "latency_s": np.array([1e-6, 3e-6, np.nan]),
    "energy_j": np.array([1.0, 2.0, 3.0]),
    "fits": np.array([True, False, True]),
    "lut": np.array([5.0, 6.0, 7.0]),
    "device.sm_count": np.array([64.0, 128.0, 256.0]),
    "device.dram_b_per_s": np.array([1e12, 2e12, 3e12]),
    "mapping.dtype": np.array(["fp16", "int8", "fp16"], dtype=object),
    "mapping.reuse_factor[fc*]": np.array([1.0, 2.0, 4.0]),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("fits", [1, 0, 1]),
        ("latency < 2us", [1, 0, 0]),
        ("latency_s <= 3 us", [1, 1, 0]),
        ("not fits or latency < 2us", [1, 1, 0]),
        ("0.5us < latency < 2us", [1, 0, 0]),
        ("sm_count >= 128", [0, 1, 1]),
        ("dram_b_per_s < 2.5TB/s", [1, 1, 0]),
        ("dtype == 'int8'", [0, 1, 0]),
        ("mapping.reuse_factor[fc*] > 1", [0, 1, 1]),
        ("LUT * 2 - 1 < 50% * 24", [1, 1, 0]),
        ("energy / latency < 0.9e6 W", [0, 1, 0]),
        ("sqrt(lut) < 2.3", [1, 0, 0]),
        ("-lut < -5.5", [0, 1, 1]),
    ],
)
def test_conditions(text: str, holds: list[int]) -> None:
    (found,) = constraints(text, known=KNOWN)
    assert found.mask(VALUES).astype(int).tolist() == holds
    assert (found.excess(VALUES) == 0).astype(int).tolist() == holds
    assert pickle.loads(pickle.dumps(found)).mask(VALUES).astype(int).tolist() == holds


def test_conditions_are_counted_apart() -> None:
    found = constraints("fits and latency < 2us and (lut < 1 or fits)", "sm_count > 1", known=KNOWN)
    assert [c.text for c in found] == ["fits", "latency < 2us", "lut < 1 or fits", "sm_count > 1"]
    assert found[2].names == ("lut", "fits")


ALLOWED = "expected names, numbers with units, comparisons, + - * /, abs, sqrt, log2, log10, and, or, not"
BAD_CONDITIONS = {
    "latency < 2 GB": "constraint 'latency < 2 GB': 'latency < 2 GB' compares s with B; expected the same unit on both sides",
    "latency": "constraint 'latency': 'latency' is no condition; compare it, such as \"fits and latency < 2us\"",
    "latnecy < 1": "constraint 'latnecy < 1': unknown metric or axis 'latnecy'. Did you mean 'latency' or 'latency_s'?",
    "latency <": ("constraint 'latency <' cannot be read; expected comparisons joined by and, or, not, such as \"fits and latency < 2us\""),
    "dtype < 3": "constraint 'dtype < 3': 'dtype < 3' compares a text with a plain number; expected the same unit on both sides",
    "latency < 2 parsecs": "constraint 'latency < 2 parsecs': found '2 parsecs'; expected a number with a unit such as us, mJ, W, GB, TB/s",
    "__import__('os').system('x')": (
        f"constraint \"__import__('os').system('x')\": \"__import__('os').system('x')\" is not allowed; {ALLOWED}"
    ),
    "lut in (1, 2)": f"constraint 'lut in (1, 2)': '(1, 2)' is not allowed; {ALLOWED}",
    "lut ** 9 < 1": f"constraint 'lut ** 9 < 1': 'lut ** 9' is not allowed; {ALLOWED}",
    "fits + 1 > 0": "constraint 'fits + 1 > 0': 'fits' is no number",
}


@pytest.mark.parametrize("text", BAD_CONDITIONS)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError) as caught:
        constraints(text, known=KNOWN)
    assert str(caught.value) == BAD_CONDITIONS[text]


def test_objectives() -> None:
    found = objectives("latency, max:LUT", known=KNOWN)
    assert [(o.metric, o.maximise) for o in found] == [("latency_s", False), ("lut", True)]
    assert objectives("throughput", known=["throughput_per_s"])[0].maximise
    with pytest.raises(InputError, match=r"objectives 'latency,latency_s'; expected different metrics, such as latency,energy"):
        objectives("latency,latency_s", known=KNOWN)


def test_a_sweep_file_says_the_same(tmp_path: Path) -> None:
    made = specs.read({"model": "resnet18", "on": [GPU, "l4"], "batch": 4, "vary": {"sm_count": "64:128:32", "dtype": ["fp16", "int8"]}})
    path = tmp_path / "sweep.yaml"
    path.write_text(made.to_yaml(), encoding="utf-8")
    assert "on: [a100-sxm-80gb, l4]" in made.to_yaml()
    again = specs.read(path)
    assert again == made
    assert again.space() == made.space()


BAD_FILES: dict[str, tuple[Any, str]] = {
    "key": ({"model": "a", "on": "b", "varry": {}}, "unknown key in sweep: 'varry'. Did you mean 'vary'?"),
    "missing": ({"model": "a"}, "sweep: on missing; a sweep needs a model and a device (on)"),
    "kind": ({"model": "a", "on": "b", "batch": "x"}, "sweep: batch: expected int | null, got str"),
    "list": ([1], "sweep: found [1]; expected keys such as model, on, vary"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name: str) -> None:
    data, message = BAD_FILES[name]
    with pytest.raises(InputError) as caught:
        specs.read(data)
    assert str(caught.value) == message


def test_a_condition_on_axes_that_never_holds_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        plan(space("resnet18", GPU, vary={"dram_b_per_s": "1TB/s..8TB/s x4", "batch": "1,2"}), where=["dram_b_per_s > 9TB/s"])
    assert str(caught.value) == "the constraint 'dram_b_per_s > 9TB/s' never holds: device.dram_b_per_s is 1.00 TB/s to 8.00 TB/s"


def test_a_condition_that_holds_nowhere_is_said_at_once_and_counted() -> None:
    made = plan(space("resnet18", GPU, vary={"sm_count": "64,128", "batch": "1,2"}), where=["fits", "latency < 1ns"])
    assert len(made.warnings) == 1
    assert made.warnings[0].startswith("the constraint 'latency < 1ns' holds at none of 4 points looked at first (latency_s is ")
    found = hwsim.sweep("resnet18", GPU, vary={"sm_count": "64,128"}, where=["fits", "latency < 1ns"])
    assert found.counts.infeasible["latency < 1ns"] == 2
    with pytest.raises(InputError) as caught:
        found.best()
    assert str(caught.value) == (
        "no point of 2 satisfies every condition: 'latency < 1ns' rules out 2; relax one of them, or widen an axis"
    )


def test_metrics_that_do_not_exist() -> None:
    made = space("resnet18", GPU, vary={"sm_count": "64,128"})
    with pytest.raises(InputError, match="unknown metric or axis 'lutt'"):
        plan(made, pareto="latency,lutt")
    with pytest.raises(InputError, match=r"objective 'fits' is no number; expected a metric such as latency, energy, memory"):
        plan(made, best="fits")
    with pytest.raises(InputError, match=r"best 'latency,energy'; expected one metric"):
        plan(made, best="latency,energy")


def test_designs_that_no_tool_builds_do_not_fit() -> None:
    """Limits beside memory and resources count in a sweep as in an estimate: products that are unrolled at a time."""
    vary = {"strategy": "latency,resource", "reuse_factor": "1,4,64"}
    found = hwsim.sweep("jet_tagger?widths=256,32,32", FPGA, vary=vary, where="", pareto="latency,lut")
    designs = list(found.top(k=6))
    assert [bool(d.metrics["fits"]) for d in designs] == [d.estimate().fits for d in designs]
    assert {bool(d.metrics["fits"]) for d in designs} == {True, False}
    assert hwsim.sweep("jet_tagger?widths=256,32,32", FPGA, vary=vary).counts.infeasible["fits: unrolled products"] == 4


@pytest.mark.parametrize(
    ("model", "chip"), [("pilotnet_sdnn", "loihi2"), ("keyword_spotter", "loihi"), ("spikformer_4_384_cifar", "loihi2")]
)
def test_chips_that_cannot_hold_a_network_are_told_apart(model: str, chip: str) -> None:
    found = hwsim.sweep(model, chip, vary={"core_count": "32,128,100000", "axons_in_per_core": "100,100000"}, where="")
    for design in found.top(k=6):
        assert bool(design.metrics["fits"]) == design.estimate().fits, design
