"""Backends of sweeps: the numbers of numpy in double precision, whoever compiles the cost function."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import InputError
from hwsim.sweep import backend_native
from hwsim.sweep import engine as engines
from hwsim.sweep.blocks import Preparing
from hwsim.sweep.build import space
from hwsim.sweep.engine import Engine, kernel_of
from hwsim.sweep.intervals import range_of
from hwsim.sweep.nodes import UFUNCS, Graph
from hwsim.sweep.scalars import scalarised_rows

GPU = {"sm_count": "20:200:20", "dram_b_per_s": "1TB/s..8TB/s x32 log", "power_limit_w": "100 W..700 W x4"}
SPACES: dict[str, dict[str, Any]] = {
    "gpu": {"models": "resnet18", "devices": "a100-sxm-80gb", "vary": GPU, "load": {"batch": 4}},
    "fpga": {
        "models": "jet_tagger",
        "devices": "xcu250",
        "vary": {"mapping.reuse_factor[fc1]": "1:64:1", "clock_period": "2 ns..9 ns x20"},
    },
}


def here(backend: str) -> None:
    if backend == "native":
        try:
            backend_native.compiler()
        except InputError as error:
            pytest.skip(str(error))
    elif importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["native", "torch", "jax"])
@pytest.mark.parametrize("case", SPACES)
def test_backends_agree_to_a_millionth(case: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here(backend)
    if backend == "torch":
        here("native")  # torch.compile needs the same compiler
    monkeypatch.setattr(engines, "WORTH_COMPILING", 0)
    monkeypatch.setattr(engines, "WORTH_BUILDING", 0)
    block = Preparing()(space(**SPACES[case]).block(0))
    axes = [a.name for a in block.outer.inner.axes]
    metrics = ("latency_s", "energy_j", "power_w", "fits")
    for fast in ((), (axes[1],)):
        expected = Engine(block, wanted=metrics, fast=fast)(0, 20)
        got = Engine(block, wanted=metrics, fast=fast, backend=backend)(0, 20)
        assert got.index(np.arange(len(got))).tolist() == expected.index(np.arange(len(got))).tolist()
        for name in metrics:
            np.testing.assert_allclose(got.values[name], expected.values[name], rtol=1e-9, err_msg=name)


VALUES = np.concatenate([np.random.default_rng(0).uniform(0.1, 9.0, 61), [1.0, 2.0, 4.0, 0.5, 0.25, 3.0, 8.0, 2.5]])


@pytest.mark.parametrize("op", sorted(UFUNCS))
def test_operations_are_those_of_numpy(op: str) -> None:
    here("native")
    graph = Graph()
    a, b = graph.column("a"), graph.column("b")
    function = UFUNCS[op]
    if op.startswith("logical"):
        a, b = graph.make("greater", a, graph.constant(2.0)), graph.make("less", b, graph.constant(5.0))
    node = graph.make(op, *(a, b)[: function.nin])
    columns = {"a": VALUES[None], "b": VALUES[None, ::-1].copy()}
    wanted = kernel_of("numpy", {"y": graph.make("float", node) if node.is_test else node})(columns)["y"]
    got = kernel_of("native", {"y": node})(columns)["y"]
    np.testing.assert_allclose(np.broadcast_to(got, wanted.shape), wanted, rtol=1e-11, atol=1e-13)


def test_powers_are_exact_to_twelve_digits() -> None:
    here("native")
    graph = Graph()
    x = np.concatenate([10.0 ** np.random.default_rng(0).uniform(-15, 15, 20_000), [0.0, 1.0, 2.0, np.inf]])
    for exponent in (0.2, -1.7, 3.1):
        node = graph.make("power", graph.column("x"), graph.constant(exponent))
        with np.errstate(divide="ignore"):
            expected = x**exponent
        np.testing.assert_allclose(kernel_of("native", {"y": node})({"x": x[None]})["y"][0], expected, rtol=1e-12)


def test_tables_and_searches() -> None:
    here("native")
    graph = Graph()
    index, keys = graph.column("i"), np.array([0.5, 1.0, 4.0, 4.0, 7.0])
    outputs = {
        "list": graph.make("lookup", index, param=np.array([[3.0, 1.0, 4.0, 1.0, 5.0]])),
        "left": graph.make("search", index, param=(keys, "left")),
        "right": graph.make("search", index, param=(keys, "right")),
        "line": graph.make("interpolate", index, param=(np.array([1.0, 2.0, 6.0]), np.array([0.0, 10.0, -10.0]))),
        "rows": graph.make("sum", graph.make("lookup", index, param=np.arange(12.0).reshape(3, 4), width=3), width=1),
    }
    columns = {"i": np.array([[-1.0, 0.0, 1.0, 3.0, 4.0, 6.5, 9.0]])}
    expected, got = (kernel_of(backend, outputs)(columns) for backend in ("numpy", "native"))
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, err_msg=name)
    assert expected["list"][0].tolist() == [3.0, 3.0, 1.0, 1.0, 5.0, 5.0, 5.0]
    assert expected["right"][0].tolist() == [0, 0, 2, 2, 4, 4, 5]
    assert expected["line"][0].tolist() == [0.0, 0.0, 0.0, 5.0, 0.0, -10.0, -10.0]


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_bounds_of_expressions_hold(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    graph, bounds = Graph(), {"a": (0.5, 4.0), "b": (-3.0, 2.0), "c": (2.0, 2.5)}
    nodes = [graph.column(name) for name in bounds] + [graph.constant(1.5)]
    for _ in range(12):
        op = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "ceil", "sqrt", "absolute"][rng.integers(9)]
        nodes.append(graph.make(op, *(nodes[i] for i in rng.integers(0, len(nodes), UFUNCS[op].nin))))
    columns = {name: rng.uniform(*ends, (1, 200)) for name, ends in bounds.items()}
    last = graph.make("add", nodes[-1], graph.make("maximum", nodes[-2], nodes[-3]))
    low, high = range_of(last, bounds, {})
    plain = kernel_of("numpy", {"y": last})(columns)["y"]
    finite = plain[np.isfinite(plain)]
    assert np.all(finite >= low - 1e-9 * abs(low)) and np.all(finite <= high + 1e-9 * abs(high))
    pruned = {name: rows[0] for name, rows in scalarised_rows({"y": last}, bounds=bounds).items()}
    got = kernel_of("numpy", pruned)(columns)["y"]
    np.testing.assert_allclose(np.broadcast_to(got, plain.shape)[np.isfinite(plain)], finite, rtol=1e-9)


def test_without_a_compiler_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        InputError, match=r"no C\+\+ compiler \(g\+\+\) for the native backend; install one, set CXX, or take --backend numpy"
    ):
        backend_native.compiler()


def test_compiled_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here("native")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    graph = Graph()
    outputs = {"y": graph.make("add", graph.column("x"), graph.constant(1.0))}
    for _ in range(2):
        assert kernel_of("native", outputs)({"x": np.ones((1, 3))})["y"].tolist() == [[2.0, 2.0, 2.0]]
    assert len(list((tmp_path / "hwsim" / "native").glob("*.so"))) == 1
