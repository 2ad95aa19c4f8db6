"""Closed forms, composition, verdicts and reports of the FPGA family."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.errors import InputError, UnknownName
from hwsim.sweep import evaluate
from hwsim.targets.fpga import TARGET
from hwsim.targets.fpga.digits import signed_digits, uniform_statistics
from hwsim.zoo.mlp import mlp

SIZES = st.lists(st.sampled_from([4, 8, 16, 24, 32, 64]), min_size=2, max_size=4)


def resource(reuse: Any, bits: int = 8) -> dict[str, Any]:
    precision = {"default": "ap_fixed<16,6>", "weight": f"ap_fixed<{bits},1>"}
    return {"hls_config": {"Model": {"Precision": precision, "ReuseFactor": reuse, "Strategy": "Resource"}}}


def dense_only(sizes: list[int]) -> hwsim.Graph:
    b = hwsim.GraphBuilder("dense")
    x = b.input("x", (1, sizes[0]))
    for i, width in enumerate(sizes[1:]):
        x = b.add("linear", [x, b.weight((width, sizes[i])), b.weight((width,))], path=f"fc{i}")
    return b.finish([x])


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, reuse=st.integers(2, 4096))
def test_resource_strategy_is_the_published_closed_form(sizes: list[int], reuse: int) -> None:
    e = hwsim.estimate(dense_only(sizes), "xcu250", **resource(reuse))
    factors = [layer.extra["reuse_factor"] for layer in e.layers]
    products = [a * b for a, b in pairwise(sizes)]
    if min(factors) > 1:
        assert float(e.cost.extra["latency_cycles"]) == sum(factors) + 2 * len(factors) - 1
        assert float(e.cost.resources["DSP"].used) == sum(p / f for p, f in zip(products, factors, strict=True))
    assert float(e.cost.extra["interval_cycles"]) == max(factors)
    assert all(p % f == 0 for p, f in zip(products, factors, strict=True))


@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, reuses=st.lists(st.integers(1, 3000), min_size=3, max_size=3), strategy=st.sampled_from(["resource", "latency"]))
def test_a_sweep_is_many_single_estimates(sizes: list[int], reuses: list[int], strategy: str) -> None:
    graph, device, mapping = dense_only(sizes), TARGET.device("xcu250"), TARGET.mapping(strategy=strategy)
    program = TARGET.lower(graph, device=device, mapping=mapping)
    points = evaluate(TARGET, program, device=device, mapping=mapping, vary={"mapping.reuse_factor": np.array(reuses, dtype=float)})
    for i, reuse in enumerate(reuses):
        single = hwsim.estimate(graph, device, strategy=strategy, reuse_factor=reuse)
        assert points.latency_s[i] == pytest.approx(single.latency_s)
        for name, item in single.cost.resources.items():
            assert points.resources[name][i] == pytest.approx(float(item.used)), name


def test_a_sweep_may_choose_every_layer_apart() -> None:
    device, mapping = TARGET.device("xcu250"), TARGET.mapping(strategy="resource")
    program = TARGET.lower(dense_only([16, 32, 8]), device=device, mapping=mapping)
    vary = {"mapping.reuse_factor": np.array([[1.0, 1.0], [16.0, 32.0], [512.0, 256.0]])}
    points = evaluate(TARGET, program, device=device, mapping=mapping, vary=vary)
    np.testing.assert_array_equal(points.resources["DSP"][1:], [16 * 32 / 16 + 32 * 8 / 32, 2.0])


@settings(max_examples=30, deadline=None)
@given(reuse=st.integers(1, 1024), bits=st.integers(2, 16))
def test_more_reuse_never_takes_more_multipliers_or_fewer_cycles(reuse: int, bits: int) -> None:
    less, more = (hwsim.estimate(dense_only([32, 32]), "xcu250", **resource(r, bits)) for r in (reuse, min(2 * reuse, 1024)))
    assert float(less.cost.extra["multipliers"]) >= float(more.cost.extra["multipliers"])
    assert float(less.cost.extra["latency_cycles"]) <= float(more.cost.extra["latency_cycles"])


@pytest.mark.parametrize(("number", "digits"), [(0, 0), (1, 1), (3, 2), (7, 2), (11, 3), (85, 4), (-85, 4), (255, 2)])
def test_signed_digits_are_the_canonical_ones(number: int, digits: int) -> None:
    assert signed_digits(np.array([number]))[0] == digits


def test_statistics_of_uniform_weights_are_those_of_a_count() -> None:
    limit = 39
    numbers = np.arange(-limit, limit + 1)
    zeros, digits, heavy = uniform_statistics(np.array([float(limit)]))
    counted = signed_digits(numbers)
    assert zeros[0] == pytest.approx(np.mean(numbers == 0), abs=0.01)
    assert digits[0] == pytest.approx(np.mean(counted), rel=0.05)
    assert heavy[0] == pytest.approx(np.mean((counted >= 3) & (np.abs(numbers) >= 16)), rel=0.05)


def test_real_weights_count_where_they_are_constants() -> None:
    rng = np.random.default_rng(0)

    def network(values: np.ndarray) -> hwsim.Graph:
        b = hwsim.GraphBuilder("one")
        return b.finish([b.add("linear", [b.input("x", (1, 32)), b.weight((32, 32), values=values)], path="fc")])

    dense, pruned = rng.normal(0, 0.3, (32, 32)), rng.normal(0, 0.3, (32, 32)) * (rng.random((32, 32)) < 0.2)
    for name in ("LUT", "DSP"):
        full, sparse = (hwsim.estimate(network(w), "xcu250", strategy="latency").cost.resources[name].used for w in (dense, pruned))
        assert float(sparse) < 0.6 * float(full), name
    stored = [hwsim.estimate(network(w), "xcu250", strategy="resource", reuse_factor=32) for w in (dense, pruned)]
    assert stored[0].cost.resources["LUT"].used == stored[1].cost.resources["LUT"].used


def test_too_many_products_will_not_synthesise() -> None:
    e = hwsim.estimate(dense_only([64, 128]), "xcu250", strategy="latency")
    assert e.reasons == (
        "will not synthesise, because fc0 unrolls 8,192 products (the tool's limit is 4,096); use Strategy: Resource with a ReuseFactor, "
        "or smaller layers",
    )
    assert not hwsim.estimate(dense_only([64, 128]), "xcu250", strategy="resource", reuse_factor=64).reasons


def test_what_does_not_fit_says_by_how_much() -> None:
    e = hwsim.estimate("jet_tagger", "xc7z007s", strategy="resource", reuse_factor=4)
    assert not e.fits
    assert "needs 1,069 DSP, xc7z007s has 66" in e.reasons


def test_warnings_before_synthesis() -> None:
    said = "\n".join(hwsim.estimate("jet_tagger", "pynq-z2", clock_period="1 ns").warnings)
    assert "a clock of 1000 MHz is above the 464 MHz of the clock tree of pynq-z2" in said
    assert "344 I/O bits exceed the 125 pins of pynq-z2; inside a design they are wires" in said
    assert "timing is at risk: routed designs of this kind and width reach about" in said


def test_reuse_asked_and_got_are_both_shown() -> None:
    e = hwsim.estimate("jet_tagger", "xcu250", strategy="resource", reuse_factor=5)
    assert [(layer.extra["reuse_requested"], layer.extra["reuse_factor"]) for layer in e.layers if layer.kind == "Dense"] == [(5, 4)] * 4
    assert "reuse factor not possible, the nearest valid one is taken: fc1 5 -> 4, fc2 5 -> 4, fc3 5 -> 4, output 5 -> 4" in e.warnings


def test_stages_are_different_metrics() -> None:
    luts = {s: float(hwsim.estimate("jet_tagger", "xcu250", stage=s).cost.resources["LUT"].used) for s in ("csynth", "vsynth", "routed")}
    assert len(set(luts.values())) == 3


def test_batches_go_through_one_after_the_other() -> None:
    one, four = (hwsim.estimate("jet_tagger", "xcu250", batch=b, strategy="resource", reuse_factor=8) for b in (1, 4))
    interval = float(one.cost.extra["interval_cycles"])
    assert float(four.cost.extra["latency_cycles"]) == float(one.cost.extra["latency_cycles"]) + 3 * interval
    assert four.throughput_per_s == pytest.approx(one.throughput_per_s)
    assert four.energy_j == pytest.approx(4 * one.energy_j)


def test_a_configuration_counts_and_plain_options_replace_its_model_level() -> None:
    config = {
        "HLSConfig": {
            "Model": {"Precision": "ap_fixed<12,4>", "ReuseFactor": 2, "Strategy": "Resource"},
            "LayerName": {"fc2": {"ReuseFactor": 16}},
        },
        "ClockPeriod": 4,
        "IOType": "io_stream",
        "Backend": "Vitis",
    }
    e = hwsim.estimate("jet_tagger", "xcu250", hls_config=config)
    assert (e.mapping.clock_period_s, e.mapping.io_type, e.mapping.backend) == (pytest.approx(4e-9), "io_stream", "Vitis")
    factors = {layer.name: layer.extra["reuse_factor"] for layer in e.layers if layer.kind == "Dense"}
    assert factors == {"fc1": 2, "fc2": 16, "fc3": 2, "output": 2}
    other = hwsim.estimate("jet_tagger", "xcu250", hls_config=config, reuse_factor=8, clock_period="5 ns")
    assert {x.name: x.extra["reuse_factor"] for x in other.layers if x.kind == "Dense"} == {"fc1": 8, "fc2": 16, "fc3": 8, "output": 8}
    assert other.mapping.clock_period_s == 5e-9


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "strategy": ({"strategy": "latensy"}, UnknownName, "unknown strategy 'latensy'. Did you mean 'latency'?"),
    "precision": (
        {"precision": "ap_fixed<-3,1>"},
        InputError,
        "precision 'ap_fixed<-3,1>' is -3 bits wide; expected 1 to 1024",
    ),
    "reuse": ({"reuse_factor": 0}, InputError, "reuse_factor is 0; expected a whole number of at least 1"),
    "stage": ({"stage": "final"}, UnknownName, "unknown stage 'final'. Known: csynth, routed, vsynth, yosys."),
    "clock": ({"clock_period": "5 s"}, InputError, "clock period 5 s; expected 0.1 ns to 1 us, such as clock_period='5 ns'"),
    "layer": (
        {"hls_config": {"Model": {"Precision": "ap_fixed<16,6>"}, "LayerName": {"fc11": {"ReuseFactor": 2}}}},
        UnknownName,
        "unknown layer in LayerName: 'fc11'. Did you mean 'fc1'",
    ),
    "product": (
        {"hls_config": {"Model": {"Precision": "ap_fixed<16,6>"}, "LayerName": {"fc1": {"ReuseFactor": 5000}}}},
        InputError,
        "LayerName 'fc1': ReuseFactor is 5000; expected at most 1024, the multiplications of this layer",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_and_where(name: str) -> None:
    options, error, message = BAD[name]
    with pytest.raises(error) as found:
        hwsim.estimate("jet_tagger", "xcu250", **options)
    assert str(found.value).startswith(message)


def test_terminal_report(golden: Callable[[str, str], None]) -> None:
    from rich.console import Console

    from hwsim.report.terminal import estimate_renderable

    console = Console(width=100, color_system=None, record=True, file=io.StringIO())
    console.print(estimate_renderable(hwsim.estimate("jet_tagger", "xcu250", strategy="resource", reuse_factor=5)))
    golden("fpga.txt", "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n")


def test_page_shows_resources_and_pipeline() -> None:
    page = hwsim.estimate("jet_tagger", "xcu250", strategy="resource", reuse_factor=4).to_html()
    assert all(title in page for title in ("Resources by layer", "Pipeline", "Instances"))
    assert "Roofline" not in page
    assert "fc2 (Dense)\nDSP 512" in page


def test_intervals_only_near_what_was_measured() -> None:
    near = hwsim.estimate(mlp(widths=(64, 32), num_classes=5), "xcu250", strategy="latency")
    assert near.latency_interval.domain == "fpga-mlp-csynth/whole design / cycles"
    assert near.resource_intervals["LUT"].low is not None
    for far in ({"backend": "Quartus"}, {"strategy": "resource", "reuse_factor": 2}, {"stage": "vsynth"}):
        assert not hwsim.estimate("jet_tagger", "xcu250", **far).latency_interval.validated


def test_a_device_may_be_given_as_a_board_or_a_full_part_number() -> None:
    assert hwsim.estimate("jet_tagger", "xcu250-figd2104-2L-e").target == "xcu250"
    assert hwsim.estimate("jet_tagger", "zcu102").target == "xczu9eg"


def test_recurrent_layers_take_their_steps_one_after_the_other() -> None:
    def network(steps: int) -> hwsim.Graph:
        b = hwsim.GraphBuilder("rnn")
        weights = [b.weight((64, 8)), b.weight((64, 16)), b.weight((64,))]
        return b.finish([b.add_many("recurrent", [b.input("x", (1, steps, 8)), *weights], cell="lstm", path="lstm")[0]])

    short, long = (hwsim.estimate(network(n), "xcu250", strategy="resource", reuse_factor=4) for n in (10, 20))
    assert [layer.name for layer in short.layers][:2] == ["lstm.kernel", "lstm.recurrent"]
    assert float(long.cost.extra["latency_cycles"]) > 1.9 * float(short.cost.extra["latency_cycles"])
    assert long.cost.resources["DSP"].used == short.cost.resources["DSP"].used


def test_replaced_widths_change_what_they_should() -> None:
    device, mapping = TARGET.device("xcu250"), TARGET.mapping(strategy="resource", reuse_factor=4)
    program = TARGET.lower(hwsim.load("jet_tagger"), device=device, mapping=mapping)
    wide, narrow = (TARGET.cost(program, device=device, mapping=replace(mapping, weight_width=np.full((1, 1), w))) for w in (16.0, 4.0))
    assert float(narrow.resources["DSP"].used[0]) < float(wide.resources["DSP"].used[0])
    assert float(narrow.resources["BRAM18"].used[0]) < float(wide.resources["BRAM18"].used[0])
