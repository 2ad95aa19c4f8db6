"""Our layers beside those that hls4ml builds of the same Keras model: names, classes, order, formats, reuse factors, shapes."""

from __future__ import annotations

import copy
import importlib.util
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.frontends.hls4ml_model import FRONTEND as MODEL_GRAPHS
from hwsim.frontends.keras import FRONTEND as KERAS
from hwsim.targets.fpga.design import build
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.precision import parse

if importlib.util.find_spec("torch"):
    os.environ.setdefault("KERAS_BACKEND", "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    hls4ml = pytest.importorskip("hls4ml", reason="hls4ml is not installed")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    L = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore")
STRATEGIES = {"resource_unrolled": "unrolled"}
PRODUCTS = ("Dense", "Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D", "DepthwiseConv1D", "DepthwiseConv2D", "LSTM", "GRU")


@pytest.fixture(autouse=True)
def _no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """hls4ml without da4ml, whose plug-in for Keras is a package of its own."""
    from hls4ml.converters.keras_v3_to_hls import KerasV3HandlerDispatcher

    def missing(*_: Any) -> None:
        raise ImportError("da4ml")

    monkeypatch.setattr(KerasV3HandlerDispatcher, "da_call", missing)


def activation(r: random.Random, x: Any, name: str) -> Any:
    kind = r.choice(["relu", "sigmoid", "tanh", "softplus", "elu", "hard_sigmoid", "leaky", "none"])
    if kind == "none":
        return x
    return (L.LeakyReLU(negative_slope=r.choice([0.1, 0.25, 0.3]), name=name) if kind == "leaky" else L.Activation(kind, name=name))(x)


def mlp(r: random.Random) -> Any:
    x = inputs = L.Input((r.randint(3, 24),), name="features")
    merges = [L.Add, L.Multiply, L.Subtract, L.Average, L.Maximum, L.Minimum, L.Concatenate]
    for j in range(r.randint(1, 4)):
        y = L.Dense(r.randint(2, 32), use_bias=r.random() < 0.7, activation=r.choice([None, "relu", "tanh", "sigmoid"]), name=f"fc{j}")(x)
        for name in (f"bn{j}", f"again{j}"):
            y = L.BatchNormalization(name=name)(y) if r.random() < 0.35 else y
        y = L.Dropout(0.2, name=f"drop{j}")(y) if r.random() < 0.3 else y
        y = activation(r, y, f"act{j}")
        x = r.choice(merges)(name=f"merge{j}")([y, L.Dense(y.shape[-1], name=f"side{j}")(x)]) if r.random() < 0.3 else y
    return keras.Model(inputs, L.Dense(r.randint(2, 8), name="out", activation=r.choice(["softmax", None]))(x))


def cnn(r: random.Random, dims: int) -> Any:
    def of(name: str) -> Any:
        return getattr(L, f"{name}{dims}D")

    x = inputs = L.Input((r.randint(8, 14),) * dims + (r.choice([1, 2, 3]),), name="image")
    for j in range(r.randint(1, 3)):
        if x.shape[1] < 4:
            break
        window = {"padding": r.choice(["same", "valid"]), "strides": r.choice([1, 1, 2]), "use_bias": r.random() < 0.6}
        window |= {"name": f"conv{j}", "activation": r.choice([None, "relu"])}
        size = r.choice([1, 2, 3])
        x = of("Conv")(r.randint(2, 6), size, **window)(x) if r.random() < 0.75 else of("DepthwiseConv")(size, **window)(x)
        x = L.BatchNormalization(name=f"bn{j}")(x) if r.random() < 0.5 else x
        x = activation(r, x, f"act{j}")
        if r.random() < 0.3:
            branch = of("Conv")(x.shape[-1], 3, padding="same", name=f"branch{j}")(x)
            x = r.choice([L.Add, L.Concatenate, L.Maximum])(name=f"merge{j}")([branch, x])
        if r.random() < 0.5 and x.shape[1] >= 4:
            x = of(r.choice(["MaxPooling", "AveragePooling"]))(2, padding=r.choice(["same", "valid"]), name=f"pool{j}")(x)
        x = of("ZeroPadding")(1, name=f"pad{j}")(x) if r.random() < 0.2 else x
        x = of("UpSampling")(2, name=f"up{j}")(x) if r.random() < 0.15 and x.shape[1] < 10 else x
        x = L.Dense(r.randint(2, 5), name=f"channels{j}")(x) if r.random() < 0.2 else x
    flat = L.Flatten(name="flat") if r.random() < 0.5 else of(r.choice(["GlobalAveragePooling", "GlobalMaxPooling"]))(name="flat")
    x = L.Dense(r.randint(2, 6), activation=r.choice(["relu", None]), name="fc")(flat(x))
    return keras.Model(inputs, L.Dense(3, activation=r.choice(["softmax", None]), name="out")(x))


def rnn(r: random.Random) -> Any:
    x = inputs = L.Input((r.randint(3, 8), r.randint(1, 5)), name="series")
    count = r.randint(1, 2)
    for j in range(count):
        x = r.choice([L.LSTM, L.GRU])(r.randint(2, 8), return_sequences=j < count - 1 or r.random() < 0.3, name=f"rnn{j}")(x)
    x = L.Flatten(name="flat")(x) if len(x.shape) == 3 else x
    x = L.Dense(r.randint(2, 8), activation="relu", name="fc")(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="out")(x))


FAMILIES: tuple[Callable[[random.Random], Any], ...] = (mlp, lambda r: cnn(r, 1), lambda r: cnn(r, 2), rnn, mlp, lambda r: cnn(r, 2))


def network(seed: int) -> tuple[Any, random.Random]:
    r = random.Random(seed)
    keras.utils.set_random_seed(seed)
    return FAMILIES[seed % len(FAMILIES)](r), r


def settings(model: Any, granularity: str, *, backend: str = "Vitis", **options: Any) -> dict[str, Any]:
    return hls4ml.utils.config_from_keras_model(model, granularity=granularity, backend=backend, **options)


def converted(model: Any, config: dict[str, Any], io_type: str, backend: str = "Vitis") -> Any:
    """hls4ml's own layers; nothing is written or compiled."""
    options = {"hls_config": copy.deepcopy(config), "io_type": io_type, "backend": backend}
    return hls4ml.converters.convert_from_keras_model(model, output_dir="unused", **options)


def ours(model: Any, config: dict[str, Any], io_type: str, backend: str = "Vitis") -> tuple[HlsLayer, ...]:
    return build(KERAS.load(model), config, io_type=io_type, backend=backend, keep_inputs=True, strict=False)


def differences(layers: tuple[HlsLayer, ...], reference: Any) -> Iterator[str]:
    expected = list(reference.get_layers())
    found, wanted = [(x.name, x.kind) for x in layers], [(x.name, x.class_name) for x in expected]
    if found != wanted:
        yield f"layers {found}, hls4ml has {wanted}"
        return
    makers = {tensor: x.name for x in expected for tensor in x.outputs}
    for layer, theirs in zip(layers, expected, strict=True):
        facts = {
            "reuse_factor": (layer.reuse_factor, theirs.get_attr("reuse_factor", 1)),
            "shape": (layer.out_shape, tuple(theirs.get_output_variable().shape)),
            "inputs": (layer.inputs, tuple(makers[i] for i in theirs.inputs if i in makers)),
            "table_size": (layer.table_size, int(theirs.get_attr("table_size", layer.table_size))),
            "recurrent_reuse_factor": (
                layer.recurrent_reuse_factor,
                theirs.get_attr("recurrent_reuse_factor", layer.recurrent_reuse_factor),
            ),
        }
        if layer.kind in PRODUCTS:
            strategy = theirs.get_attr("strategy")
            facts["strategy"] = (layer.strategy, STRATEGIES.get(strategy, strategy))
        if "Conv" in layer.kind:
            facts["implementation"] = (layer.implementation, theirs.get_attr("implementation"))
        if "Conv" in layer.kind or layer.kind == "EinsumDense":
            factor = theirs.get_attr("parallelization_factor", layer.parallelization_factor)
            facts["parallelization_factor"] = (layer.parallelization_factor, factor)
        for name, kind in theirs.types.items():
            if name != "index_t":
                facts[name] = (layer.precision.get(name.removesuffix("_t")), parse(str(kind.precision)))
        yield from (f"{layer.name} ({layer.kind}) {k}: {a}, hls4ml has {b}" for k, (a, b) in facts.items() if a != b)


@pytest.mark.parametrize("seed", range(30))
def test_random_networks_equal_those_of_hls4ml(seed: int) -> None:
    model, r = network(seed)
    for io_type in ("io_parallel", "io_stream"):
        for strategy in ("Latency", "Resource"):
            for granularity in ("model", "name"):
                options = {
                    "default_precision": r.choice(["fixed<16,6>", "ap_fixed<12,4>"]),
                    "default_reuse_factor": r.choice([1, 2, 3, 5, 7, 12]),
                }
                config = settings(model, granularity, **options)
                config["Model"]["Strategy"] = strategy
                for entry in config.get("LayerName", {}).values():
                    if "ReuseFactor" in entry and r.random() < 0.4:
                        entry["ReuseFactor"] = r.choice([1, 2, 3, 4])
                    if r.random() < 0.1 and entry.get("Precision"):
                        entry["Precision"][r.choice(sorted(entry["Precision"]))] = r.choice(
                            ["ap_fixed<10,3,AP_RND,AP_SAT>", "ap_ufixed<9,2>"]
                        )
                assert not list(differences(ours(model, config, io_type), converted(model, config, io_type)))


def _changed(config: dict[str, Any], r: random.Random) -> None:
    """Settings of all kinds, layer by layer or class by class."""
    for entry in (*config.get("LayerName", {}).values(), *config.get("LayerType", {}).values()):
        if r.random() < 0.3:
            entry["Strategy"] = r.choice(["Latency", "Resource", "ResourceUnrolled"])
        if "TableSize" in entry and r.random() < 0.4:
            entry |= {"TableSize": r.choice([512, 2048]), "TableT": "ap_fixed<13,4>"}
        if "Implementation" in entry and r.random() < 0.5:
            entry |= {"Implementation": r.choice(["latency", "argmax"]), "Skip": r.random() < 0.3}
        if r.random() < 0.2:
            entry["Precision"] = r.choice(["ap_fixed<14,5>", "auto"])
    config["Model"] |= {"Strategy": r.choice(["Latency", "Resource", "ResourceUnrolled"])}
    config["Model"] |= r.choice([{}, {"ConvImplementation": "Encoded"}, {"ParallelizationFactor": r.choice([2, 3, 4])}])


@pytest.mark.parametrize("seed", range(24))
def test_settings_of_every_kind(seed: int) -> None:
    model, r = network(seed)
    backend, io_type = r.choice(["Vivado", "Vitis"]), r.choice(["io_parallel", "io_stream"])
    options = {"default_reuse_factor": r.choice([1, 2, 3, 6]), "max_precision": r.choice([None, "fixed<24,10>"])}
    config = settings(model, r.choice(["type", "name"]), backend=backend, **options)
    _changed(config, r)
    assert not list(differences(ours(model, config, io_type, backend), converted(model, config, io_type, backend)))


def _single(name: str) -> Any:
    """Small networks around layers that are rare."""
    x = inputs = L.Input((7,), name="tokens", dtype="int32") if name == "embedding" else L.Input((6, 5), name="series")
    if name == "permute":
        x = L.Conv1D(4, 2, name="c")(L.Permute((2, 1), name="q")(x))
    elif name == "reshape":
        x = L.Reshape((5, 6), name="r")(L.Dense(5, activation="relu", name="d")(x))
        x = L.Dense(4, name="e")(x)
    elif name == "cropping":
        x = L.Cropping1D(1, name="k")(L.Conv1D(4, 3, name="c")(x))
    elif name == "simple_rnn":
        x = L.SimpleRNN(4, return_sequences=True, name="s")(x)
    elif name == "bidirectional":
        x = L.Bidirectional(L.LSTM(4, return_sequences=True, name="one"), name="both")(x)
    elif name == "einsum_dense":
        x = L.EinsumDense("abc,cd->abd", output_shape=(6, 4), bias_axes="d", name="e")(x)
    elif name == "embedding":
        x = L.Embedding(11, 4, name="e")(x)
    elif name == "softmax_rows":
        x = L.Softmax(name="s")(L.Dense(4, use_bias=False, name="d")(x))
    elif name == "norm_rows":
        x = L.BatchNormalization(name="b")(L.Dense(4, use_bias=False, name="d")(x))
    x = L.Flatten(name="flat")(x)
    if name == "activations":
        x = L.ReLU(name="r")(L.Dense(4, name="d")(x))
        x = L.PReLU(name="q")(L.ReLU(threshold=0.5, name="z")(L.Dense(4, name="e")(x)))
    elif name == "dot":
        x = L.Dot(axes=1, name="dot")([L.Dense(4, name="a")(x), L.Dense(4, name="b")(x)])
    elif name == "outputs":
        x = L.Dense(4, activation="relu", name="d")(x)
        return keras.Model(inputs, [L.Dense(2, name="one")(x), L.Dense(3, activation="softmax", name="two")(x), x])
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="out")(x))


# hls4ml 1.3 cannot do: both directions or an EinsumDense in a stream, a Dot whose formats are inferred
SINGLES = (
    "permute",
    "reshape",
    "cropping",
    "simple_rnn",
    "bidirectional",
    "einsum_dense",
    "embedding",
    "softmax_rows",
    "norm_rows",
    "activations",
)


@pytest.mark.parametrize("name", [*SINGLES, "dot", "outputs"])
def test_rare_layers(name: str) -> None:
    model = _single(name)
    for io_type in ("io_parallel",) if name in ("bidirectional", "einsum_dense") else ("io_parallel", "io_stream"):
        for granularity in ("model",) if name == "dot" else ("model", "name"):
            config = settings(model, granularity, default_reuse_factor=3)
            assert not list(differences(ours(model, config, io_type), converted(model, config, io_type)))


@pytest.mark.parametrize("seed", range(12))
def test_model_graphs_are_read_with_what_hls4ml_settled_on(seed: int) -> None:
    model, r = network(seed)
    io_type = r.choice(["io_parallel", "io_stream"])
    config = settings(model, "name", default_reuse_factor=r.choice([1, 3]))
    config["Model"]["Strategy"] = r.choice(["Latency", "Resource"])
    reference = converted(model, config, io_type)
    graph = MODEL_GRAPHS.load(reference)
    assert MODEL_GRAPHS.accepts(reference)
    assert graph.parameters > 0
    assert not list(differences(build(graph, keep_inputs=True, strict=False), reference))


def test_weights_of_a_model_graph_are_those_of_the_model() -> None:
    model, _ = network(2)
    reference = converted(model, settings(model, "model"), "io_parallel")
    ours_, theirs = MODEL_GRAPHS.load(reference), KERAS.load(model)
    seen = [x.weights.zeros_frac for x in build(ours_) if x.weights.known]
    assert seen
    assert seen == [x.weights.zeros_frac for x in build(theirs) if x.weights.known]


def _torch_networks() -> dict[str, tuple[Any, tuple[int, ...]]]:
    from torch import nn

    dense = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32), nn.Tanh())
    images = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 1))
    series = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(12, 3))
    return {
        "dense": (nn.Sequential(dense, nn.Dropout(0.1), nn.Linear(32, 5)), (16,)),
        "images": (nn.Sequential(images, nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)), (3, 8, 8)),
        "series": (series, (2, 8)),
    }


@pytest.mark.parametrize("name", ["dense", "images", "series"])
@pytest.mark.parametrize(("io_type", "conversion"), [("io_parallel", "internal"), ("io_parallel", "full"), ("io_stream", "internal")])
def test_torch_modules_equal_those_of_hls4ml(name: str, io_type: str, conversion: str) -> None:
    """Classes, formats and reuse factors; the names of inputs and of what is put in differ."""
    import torch

    from hwsim.frontends.torch import FRONTEND as TORCH

    model, shape = _torch_networks()[name]
    options = {"granularity": "model", "backend": "Vitis", "default_reuse_factor": 3, "channels_last_conversion": conversion}
    config = hls4ml.utils.config_from_pytorch_model(model.eval(), shape, **options)
    given = {"hls_config": copy.deepcopy(config), "io_type": io_type, "backend": "Vitis", "output_dir": "unused"}
    reference = hls4ml.converters.convert_from_pytorch_model(model, **given)
    graph = TORCH.load(model, batch=1, seq_len=None, dims={}, allow_unsupported=False, inputs=[torch.zeros(1, *shape)])
    layers = build(graph, {"Model": config["Model"]}, io_type=io_type, backend="Vitis", keep_inputs=True)
    assert [x.kind for x in layers] == [x.class_name for x in reference.get_layers()]
    for layer, theirs in zip(layers, reference.get_layers(), strict=True):
        formats = {k.removesuffix("_t"): parse(str(t.precision)) for k, t in theirs.types.items() if k != "index_t"}
        assert {k: layer.precision[k] for k in formats} == formats
        assert layer.reuse_factor == theirs.get_attr("reuse_factor", 1)
        assert layer.out_shape == tuple(theirs.get_output_variable().shape)


def _qonnx(r: random.Random, path: Path) -> Any:
    """A network of Quant, MatMul, Add and Relu nodes with scales that are powers of two."""
    from onnx import TensorProto, helper, numpy_helper

    values, nodes = np.random.default_rng(r.randint(0, 9999)), []
    stored: list[Any] = []

    def constant(array: Any) -> str:
        stored.append(numpy_helper.from_array(np.asarray(array, dtype=np.float32), f"c{len(stored)}"))
        return stored[-1].name

    def node(kind: str, inputs: list[str], **options: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], name=f"{kind}_{len(nodes)}", **options))
        return nodes[-1].output[0]

    def quantised(x: str, bits: int, places: int, *, signed: int = 1) -> str:
        options = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND", "domain": "qonnx.custom_op.general"}
        return node("Quant", [x, constant(2.0**-places), constant(0), constant(bits)], **options)

    first = size = r.randint(4, 16)
    x = quantised("inputs", 8, 5)
    for _ in range(r.randint(1, 3)):
        size, before = r.randint(3, 12), size
        x = node("MatMul", [x, quantised(constant(values.normal(size=(before, size))), r.choice([4, 6]), 3)])
        x = node("Add", [x, quantised(constant(values.normal(size=size)), 6, 3)]) if r.random() < 0.7 else x
        x = quantised(node("Relu", [x]), 6, 3, signed=0) if r.random() < 0.7 else x
    sizes = {"inputs": first, x: size}
    given, made = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, s]) for n, s in sizes.items())
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    graph = helper.make_graph(nodes, "quantised", [given], [made], stored)
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.mark.parametrize("seed", range(8))
def test_qonnx_files_equal_those_of_hls4ml(seed: int, tmp_path: Path) -> None:
    """Classes and widths; hls4ml keeps the rounding of weights, which costs nothing, and names layers its own way."""
    cleanup = pytest.importorskip("qonnx.util.cleanup", reason="qonnx is not installed")
    from qonnx.core.modelwrapper import ModelWrapper

    from hwsim.frontends.onnx import FRONTEND as ONNX

    path = tmp_path / "clean.onnx"
    _qonnx(random.Random(seed), tmp_path / "raw.onnx")
    cleanup.cleanup(str(tmp_path / "raw.onnx"), out_file=str(path))
    wrapped = ModelWrapper(str(path))
    config = hls4ml.utils.config.config_from_onnx_model(wrapped, granularity="name", backend="Vitis")
    reference = hls4ml.converters.convert_from_onnx_model(wrapped, hls_config=config, backend="Vitis", output_dir="unused")
    auto = {"default": "fixed<16,6>", **dict.fromkeys(("result", "accum", "weight", "bias", "scale"), "auto")}
    graph = ONNX.load(path, batch=None, seq_len=None, dims={}, allow_unsupported=False)
    layers = build(graph, {"Model": {"Precision": auto}}, keep_inputs=True)
    assert [x.kind for x in layers] == [x.class_name for x in reference.get_layers()]
    for layer, theirs in zip(layers, reference.get_layers(), strict=True):
        formats = {k.removesuffix("_t"): parse(str(t.precision)).plain for k, t in theirs.types.items() if k != "index_t"}
        assert {k: layer.precision[k].plain for k in formats} == formats
