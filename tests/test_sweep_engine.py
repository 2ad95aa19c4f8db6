"""Cost functions as expression graphs: the same numbers as the cost function itself, whatever runs them and however points are cut up."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.sweep import engine as engines
from hwsim.sweep import evaluate
from hwsim.sweep.backend_numpy import NumpyKernel
from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.build import space
from hwsim.sweep.engine import Engine, Layout, plain_metrics, traced
from hwsim.sweep.nodes import Graph, reachable
from hwsim.sweep.rewrite import rewritten
from hwsim.sweep.split import choose, divided
from hwsim.sweep.trace import POINTS, NotTraceable, Traced

GPU = {"sm_count": "20:200:20", "clock_hz": "1 GHz..2 GHz x5", "dram_b_per_s": "1TB/s..8TB/s x16 log", "power_limit_w": "100 W..700 W x4"}
FPGA = {"mapping.reuse_factor[fc1]": "1,2,4,8,16", "mapping.reuse_factor[fc2]": "1,4,16,64", "clock_period": "2 ns..10 ns x16"}
CASES: dict[str, dict[str, Any]] = {
    "gpu": {"models": "resnet18", "devices": "a100-sxm-80gb", "vary": GPU},
    "gpu-fp32": {"models": "mobilenet_v2", "devices": "v100-sxm2-16gb", "vary": GPU, "mapping": {"dtype": "fp32", "runtime": "eager"}},
    "gpu-attention": {"models": "vit_ti16", "devices": "h100-sxm-80gb", "vary": {**GPU, "l2_b": "10 MB..60 MB x3"}},
    "neuromorphic": {
        "models": "pilotnet_sdnn",
        "devices": "loihi2",
        "vary": {"soma_spike_j": "1 pJ..9 pJ x30", "axons_out_per_core": "4000,8000,16000", "barrier_s": "1 us..9 us x8"},
    },
    "fpga": {"models": "jet_tagger", "devices": "xcu250", "vary": FPGA, "mapping": {"strategy": "resource"}},
    "fpga-stream": {
        "models": "jet_tagger",
        "devices": "xcu250",
        "vary": {"reuse_factor": "1:64:1", "weight_width": "2:18:2"},
        "mapping": {"io_type": "io_stream", "backend": "Vitis"},
    },
}


@cache
def block(case: str) -> Block:
    return Preparing()(space(**CASES[case]).block(0))


def test_functions_of_rows_are_traced() -> None:
    graph, picks = Graph(), np.array([2, 0, 2])
    x, rows = np.random.default_rng(0).uniform(size=(6, 1)), np.array([1.0, 2.0, 5.0])

    def task(v: Any) -> Any:
        wide = v * rows
        taken = np.take(wide, picks, axis=-1) + np.cumsum(wide, axis=-1) + np.cumsum(v, axis=-1)
        return np.sum(np.clip(taken, 0.5, 3.0) @ np.arange(6.0).reshape(3, 2), axis=-1)

    node = task(Traced(graph, graph.column("x"), (POINTS, 1))).node
    for backend in ("numpy", "native"):
        if backend == "native":
            needs_compiler()
        got = engines.kernel_of(backend, {"y": node})({"x": x.T})["y"][0]
        np.testing.assert_allclose(got, task(x), rtol=1e-12)


def some(made: Block, count: int = 64) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    index = np.random.default_rng(0).integers(0, made.outer.inner.count, count)
    columns = {name: np.asarray(v, dtype=float) for name, v in made.outer.inner.at(index).items()}
    return index, plain_metrics(made, columns)


@pytest.mark.parametrize("case", CASES)
def test_a_trace_gives_the_numbers_of_the_cost_function(case: str) -> None:
    made = block(case)
    index, expected = some(made)
    found = traced(made)
    columns = {name: np.asarray(v, dtype=float)[None] for name, v in made.outer.inner.at(index).items()}
    for outputs in (found.outputs, rewritten(found.graph, found.outputs)):
        got = NumpyKernel(outputs)(columns)
        assert set(got) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(np.broadcast_to(got[name][0], values.shape), values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("case", CASES)
def test_slow_and_fast_axes_give_the_same_points(case: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "native":
        needs_compiler()
    monkeypatch.setattr(engines, "WORTH_COMPILING", 0)
    monkeypatch.setattr(engines, "WORTH_BUILDING", 0)
    made = block(case)
    wanted = ("latency_s", "energy_j", "throughput_per_s", "fits")
    axes = [a.name for a in made.outer.inner.axes]
    for fast in ((), (axes[-1],), tuple(axes[-2:]), (axes[0],)):
        engine = Engine(made, wanted=wanted, fast=fast, backend=backend)
        assert not engine.note
        points = engine(0, min(engine.layout.units, 40))
        places = np.random.default_rng(1).integers(0, len(points), 50)
        columns = made.outer.inner.at(points.index(places))
        expected = plain_metrics(made, {n: np.asarray(v, dtype=float) for n, v in columns.items()})
        for name in wanted:
            np.testing.assert_allclose(points.values[name][places], expected[name], rtol=1e-9)
        for name in axes:
            np.testing.assert_array_equal(points.column(name)[places], columns[name])


def test_every_point_of_a_grid_is_made_once() -> None:
    made = block("gpu")
    for fast in ((), ("device.dram_b_per_s",), ("device.sm_count", "device.power_limit_w")):
        layout = Layout(made.outer.inner, fast)
        engine = Engine(made, wanted=("latency_s",), fast=fast)
        index = np.concatenate([(p := engine(at, min(at + 7, layout.units))).index(np.arange(len(p))) for at in range(0, layout.units, 7)])
        assert np.array_equal(np.sort(index), np.arange(made.outer.inner.count))


def needs_compiler() -> None:
    from hwsim.errors import InputError
    from hwsim.sweep.backend_native import compiler

    try:
        compiler()
    except InputError as error:
        pytest.skip(str(error))


def test_the_fast_axes_are_those_that_leave_little_to_compute() -> None:
    made = block("gpu")
    found = traced(made, ("latency_s",))
    sizes = {a.name: len(a.values) for a in made.outer.inner.axes}
    outputs = rewritten(found.graph, found.outputs)
    _, fast = choose(outputs, sizes)
    assert "device.sm_count" not in fast
    parts = divided(rewritten(found.graph, found.outputs, fast=fast), fast)
    wide = sum(n.width for n in reachable(parts.mixed.values()) if n.value is None)
    assert wide < sum(n.width for n in reachable(outputs.values()) if n.value is None)


def test_the_yosys_stage_is_costed_the_plain_way_and_says_so() -> None:
    made = Preparing()(
        space(
            "jet_tagger",
            "xcu250",
            vary={"reuse_factor": "1:300:1", "clock_period": "2 ns..10 ns x100"},
            mapping={"stage": "yosys", "strategy": "resource"},
        ).block(0)
    )
    engine = Engine(made, wanted=("latency_s", "lut"))
    assert "the cost function of the fpga family needs" in engine.note
    points = engine(0, 5)
    assert np.all(points.values["lut"] > 0)


def traced_column() -> Traced:
    graph = Graph()
    return Traced(graph, graph.column("x"), (POINTS, 1))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (float, "one number of a column (float)"),
        (bool, "a branch on the value of a column"),
        (np.asarray, "a plain array of a column (np.asarray)"),
        (lambda x: float(np.sort(x)), "np.sort"),
        (lambda x: bool(np.any(2.0 * np.sort(x) > x)), "np.sort"),
        (lambda x: np.asarray(np.where(x > 0, np.stack([x, x])[0], x)), "np.stack"),
        (list, "a loop over a column"),
        (lambda x: x + np.zeros((5, 1)), "an array of shape (5, 1) beside a column"),
        (lambda x: np.sum(x, axis=0), "np.sum over axis 0 of shape (1000003, 1)"),
        (lambda x: x[:, 0] + x, "points along two axes"),
    ],
)
def test_what_cannot_be_traced_is_named(task: Any, words: str) -> None:
    with pytest.raises(NotTraceable) as error:
        task(traced_column())
    assert str(error.value) == words


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_expressions_mean_what_numpy_means(data: st.DataObject) -> None:
    """Random expressions: traced, rewritten, run by numpy in one piece and in chunks."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    graph = Graph()
    names = ("a", "b", "c")
    values = {n: rng.uniform(0.5, 4.0, 37) for n in names}
    rows = rng.uniform(0.5, 3.0, 5)

    def build(x: dict[str, Any], depth: int, picks: np.random.Generator) -> Any:
        if depth == 0:
            return [x["a"], x["b"], x["c"], rows, 1.5][picks.integers(5)]
        left, right = build(x, depth - 1, picks), build(x, depth - 1, picks)
        pair = [
            np.add,
            np.multiply,
            np.divide,
            np.maximum,
            np.minimum,
            lambda p, q: np.where(p > q, p, q),
            lambda p, q: np.ceil(p) * q,
            lambda p, q: np.sqrt(abs(p)) + q,
        ]
        return pair[picks.integers(len(pair))](left, right)

    seed = int(rng.integers(1 << 30))
    columns = {n: v[:, None] for n, v in values.items()}
    expected = np.sum(build(columns, 4, np.random.default_rng(seed)) * rows + 0 * columns["a"], axis=-1)
    symbols = {n: Traced(graph, graph.column(n), (POINTS, 1)) for n in names}
    made = np.sum(build(symbols, 4, np.random.default_rng(seed)) * rows + 0 * symbols["a"], axis=-1)
    for outputs in ({"y": made.node}, rewritten(graph, {"y": made.node}), rewritten(graph, {"y": made.node}, fast=("b",))):
        kernel = NumpyKernel(outputs)
        flat = {n: v[None] for n, v in values.items()}
        for got in (kernel(flat)["y"], kernel.chunked(flat, chunk=11)["y"]):
            np.testing.assert_allclose(np.broadcast_to(got[0], expected.shape), expected, rtol=1e-9)


def test_evaluate_traces_many_points() -> None:
    rng, count = np.random.default_rng(0), 20_500
    for made, vary in (
        (block("gpu"), {"sm_count": rng.uniform(20, 200, count), "l2_b": rng.uniform(1e6, 1e8, count)}),
        (block("fpga"), {"mapping.reuse_factor": rng.integers(1, 2000, (count, 4)).astype(float), "lut": np.full(count, 1e6)}),
    ):
        given = {"device": made.device, "mapping": made.mapping}
        whole = evaluate(made.target, made.program, vary=vary, **given)
        some = evaluate(made.target, made.program, vary={n: v[-500:] for n, v in vary.items()}, **given)
        np.testing.assert_allclose(whole.latency_s[-500:], some.latency_s, rtol=1e-9)
        np.testing.assert_allclose(whole.energy_j[-500:], some.energy_j, rtol=1e-9)
        for name, used in some.resources.items():
            np.testing.assert_allclose(whole.resources[name][-500:], used, rtol=1e-9)
