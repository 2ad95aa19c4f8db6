"""Damaged and random model files give a Graph or an HwsimError, never anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim import yaml12
from hwsim.errors import HwsimError
from hwsim.frontends.onnx import FRONTEND as ONNX
from hwsim.frontends.yaml_graph import FRONTEND as YAML
from hwsim.frontends.yaml_rules import SHORT
from hwsim.graph import Graph

SETTINGS = {"deadline": 2000, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


def valid() -> bytes:
    """A small model with convolution, normalisation, shape arithmetic, attention, recurrence and an If."""
    onnx = pytest.importorskip("onnx")
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    kind = onnx.TensorProto.FLOAT

    def node(op: str, inputs: str, outputs: str, **attrs: Any) -> Any:
        return helper.make_node(op, inputs.split(), outputs.split(), **attrs)

    branch = helper.make_graph([node("Relu", "f", "g")], "b", [], [helper.make_tensor_value_info("g", kind, None)])
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "c s b s b", "n"),
        node("Shape", "n", "sh"),
        node("Gather", "sh zero", "n0"),
        node("Concat", "n0 rest", "target", axis=0),
        node("Reshape", "n target", "r"),
        node("MatMul", "r v", "q"),
        node("Transpose", "q", "k", perm=[0, 2, 1]),
        node("MatMul", "q k", "sc"),
        node("Softmax", "sc", "p"),
        node("MatMul", "p q", "o"),
        node("LSTM", "o wi wr", "l"),
        node("ReduceMean", "l", "f", axes=[1], keepdims=0),
        node("If", "yes", "h", then_branch=branch, else_branch=branch),
        node("Expand", "h size", "y"),
    ]
    f32 = {"w": (4, 3, 3, 3), "b": (4,), "s": (4,), "v": (4, 8), "wi": (1, 16, 8), "wr": (1, 16, 4)}
    weights = [array(np.ones(s, np.float32), n) for n, s in f32.items()]
    i64 = {"zero": [0], "rest": [16, 4], "size": [3, 16, 4]}
    weights += [array(np.array(v, np.int64), n) for n, v in i64.items()] + [array(np.array(True), "yes")]
    x = helper.make_tensor_value_info("x", kind, ["batch", 3, 8, 8])
    graph = helper.make_graph(nodes, "net", [x], [helper.make_tensor_value_info("y", kind, None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


@pytest.fixture(scope="module")
def data() -> bytes:
    return valid()


def survives(frontend: Any, source: Any, **options: Any) -> Graph | None:
    try:
        graph = frontend.load(source, **options)
    except HwsimError as error:
        assert len(str(error)) > 10
        return None
    assert graph.macs >= 0
    return graph


def test_the_undamaged_model_loads(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    graph = ONNX.load(tmp_path / "m.onnx", batch=1)
    assert {"conv", "norm", "attention", "recurrent", "linear"} <= {n.kind for n in graph.nodes}


@settings(max_examples=120, **SETTINGS)
@given(cut=st.floats(0, 1))
def test_truncated_onnx(cut: float, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data[: int(cut * len(data))])
    survives(ONNX, tmp_path / "m.onnx", batch=1)


@settings(max_examples=400, **SETTINGS)
@given(flips=st.lists(st.tuples(st.floats(0, 0.999999), st.integers(0, 255)), min_size=1, max_size=6), allow=st.booleans())
def test_flipped_bytes_in_onnx(flips: list[tuple[float, int]], allow: bool, data: bytes, tmp_path: Path) -> None:
    damaged = bytearray(data)
    for place, value in flips:
        damaged[int(place * len(damaged))] = value
    (tmp_path / "m.onnx").write_bytes(bytes(damaged))
    survives(ONNX, tmp_path / "m.onnx", batch=1, allow_unsupported=allow)


@settings(max_examples=60, **SETTINGS)
@given(content=st.binary(max_size=200))
def test_random_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    survives(ONNX, tmp_path / "m.onnx")


WORDS = st.sampled_from(["x", "batch", "2*batch", "h", "fp16", "", "a.b"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**40), st.floats(), WORDS)
SMALL = st.text("abinx", max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(SMALL, inner, max_size=3)), max_leaves=5
)
KEYS = st.sampled_from(
    ["op", "in", "out", "units", "kernel", "channels", "shape", "attrs", "repeat", "nodes", "path", "dtype", "density", "axis", "perm"]
)
OPS = st.sampled_from([*SHORT, "relu", "add", "norm", "pool", "reduce", "gather", "generate", "nothing"])
NODES = st.builds(lambda op, rest: {**rest, "op": op}, OPS, st.dictionaries(KEYS, VALUES, max_size=4))
GRAPHS = st.fixed_dictionaries(
    {"inputs": st.one_of(VALUES, st.just({"x": ["batch", 8, 4]})), "nodes": st.one_of(VALUES, st.lists(NODES, min_size=1, max_size=4))},
    optional={"name": VALUES, "dims": st.one_of(VALUES, st.just({"batch": 2})), "dtype": VALUES, "outputs": VALUES},
)


@settings(max_examples=400, **SETTINGS)
@given(spec=GRAPHS)
def test_random_graphs(spec: Any) -> None:
    survives(YAML, {"graph": spec})


@settings(max_examples=150, **SETTINGS)
@given(rest=st.dictionaries(KEYS, VALUES, max_size=4), op=OPS)
def test_random_nodes(rest: dict[str, Any], op: str) -> None:
    survives(YAML, {"graph": {"dims": {"batch": 2}, "inputs": {"x": ["batch", 8, 4, 4]}, "nodes": [{**rest, "op": op}]}})


@settings(max_examples=150, **SETTINGS)
@given(text=st.one_of(st.text(max_size=100), st.text("graph: {}[]\n-&*!|>'\"%@`#,?x1", max_size=100)))
def test_random_text(text: str) -> None:
    try:
        data = yaml12.loads(text)
    except HwsimError:
        return
    survives(YAML, data if isinstance(data, dict) else {"graph": data})
