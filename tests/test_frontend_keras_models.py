"""The Keras front end against Keras itself: every layer's parameters and result shape, and the values of all weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.frontends.keras import FRONTEND
from hwsim.frontends.torch import FRONTEND as TORCH
from hwsim.graph import Graph

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed; the files of tests/test_frontend_keras.py are read without it")
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE, SEQUENCE, VECTOR = (12, 10, 6), (9, 6), (8,)
CASES: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "mlp": (VECTOR, lambda: [L.Dense(5, activation="relu"), L.Dense(4, activation="softmax", use_bias=False)]),
    "activations": (
        VECTOR,
        lambda: [L.Dense(5, activation=a) for a in ("elu", "selu", "gelu", "silu", "softsign", "hard_sigmoid", "mish")],
    ),
    "activation layers": (
        VECTOR,
        lambda: [L.ReLU(), L.LeakyReLU(), L.ELU(), L.PReLU(), L.Softmax(), L.ReLU(max_value=6), L.Activation("tanh")],
    ),
    "cnn": (IMAGE, lambda: [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(), L.BatchNormalization(), L.Flatten(), L.Dense(3)]),
    "strided": (IMAGE, lambda: [L.Conv2D(4, (3, 2), strides=(2, 3), padding="same", dilation_rate=1)]),
    "dilated": (IMAGE, lambda: [L.Conv2D(4, 3, padding="same", dilation_rate=2)]),
    "grouped": (IMAGE, lambda: [L.Conv2D(4, 3, groups=2)]),
    "depthwise": (IMAGE, lambda: [L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", strides=2)]),
    "depthwise1d": (SEQUENCE, lambda: [L.DepthwiseConv1D(3, depth_multiplier=2)]),
    "separable": (IMAGE, lambda: [L.SeparableConv2D(7, 3, depth_multiplier=2, activation="relu")]),
    "separable1d": (SEQUENCE, lambda: [L.SeparableConv1D(7, 3, padding="same")]),
    "transposed same": (IMAGE, lambda: [L.Conv2DTranspose(4, 3, strides=2, padding="same")]),
    "transposed valid": (IMAGE, lambda: [L.Conv2DTranspose(4, (2, 5), strides=3)]),
    "transposed1d": (SEQUENCE, lambda: [L.Conv1DTranspose(4, 3, strides=2)]),
    "conv1d": (SEQUENCE, lambda: [L.Conv1D(5, 3, padding="causal"), L.AveragePooling1D(2, padding="same"), L.GlobalMaxPooling1D()]),
    "conv3d": ((5, 6, 7, 2), lambda: [L.Conv3D(4, 3), L.GlobalAveragePooling3D(keepdims=True)]),
    "pools": (IMAGE, lambda: [L.AveragePooling2D(3, strides=2, padding="same"), L.MaxPooling2D((1, 2)), L.GlobalAveragePooling2D()]),
    "padding": (IMAGE, lambda: [L.ZeroPadding2D(((1, 0), (2, 3))), L.Cropping2D(((1, 1), (0, 2))), L.UpSampling2D((2, 3))]),
    "bilinear": (IMAGE, lambda: [L.UpSampling2D(2, interpolation="bilinear")]),
    "reshape": (VECTOR, lambda: [L.Reshape((2, -1)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(3)]),
    "to image": ((48,), lambda: [L.Reshape((4, 4, 3)), L.Conv2D(2, 3)]),
    "norms": (IMAGE, lambda: [L.LayerNormalization(), L.GroupNormalization(3), L.BatchNormalization(scale=False), L.UnitNormalization()]),
    "norm of part": (SEQUENCE, lambda: [L.LayerNormalization(axis=(1, 2)), L.BatchNormalization(center=False), L.Dense(3)]),
    "lstm": (SEQUENCE, lambda: [L.LSTM(5, return_sequences=True), L.GRU(4, return_sequences=True), L.SimpleRNN(3)]),
    "gru old": (SEQUENCE, lambda: [L.GRU(4, reset_after=False), L.Dense(2)]),
    "bidirectional": (SEQUENCE, lambda: [L.Bidirectional(L.LSTM(5, return_sequences=True)), L.Bidirectional(L.GRU(5), merge_mode="sum")]),
    "cnn to rnn": (SEQUENCE, lambda: [L.Conv1D(5, 3), L.LSTM(4)]),
    "time distributed": (SEQUENCE, lambda: [L.TimeDistributed(L.Dense(4)), L.GlobalAveragePooling1D()]),
    "frames": ((4, 8, 8, 3), lambda: [L.TimeDistributed(L.Conv2D(4, 3)), L.TimeDistributed(L.Flatten()), L.LSTM(3)]),
    "dense on image": (IMAGE, lambda: [L.Conv2D(4, 3), L.Dense(5, activation="relu"), L.Conv2D(2, 1)]),
    "einsum": (SEQUENCE, lambda: [L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de")]),
    "einsum mixed": (SEQUENCE, lambda: [L.EinsumDense("abc,bd->adc", output_shape=(5, None), bias_axes="d")]),
    "einsum batched": (SEQUENCE, lambda: [L.EinsumDense("...bc,bcd->...bd", output_shape=(9, 5))]),
    "dropped": (SEQUENCE, lambda: [L.Dropout(0.5), L.GaussianNoise(0.1), L.Dense(3), L.SpatialDropout1D(0.2)]),
    "channels first": ((6, 12, 10), lambda: [L.ZeroPadding2D(1, data_format="channels_first"), L.BatchNormalization(axis=1)]),
}


def counted(graph: Graph, *, statistics: int) -> int:
    """Parameters as Keras counts them: those that are not trained as well."""
    return graph.parameters + statistics


def untrained(model: Any) -> int:
    return sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)


def as_keras(graph: Graph, shape: tuple[int, ...]) -> bool:
    """Whether the result has the shape that Keras says, channels last or first."""
    found = graph.tensors[graph.outputs[0]].shape
    known = tuple(f if s is None else s for f, s in zip(found, shape, strict=True))  # Keras loses some sizes in EinsumDense
    return found in (known, (shape[0], shape[-1], *shape[1:-1]))


def sequential(name: str) -> Any:
    shape, layers = CASES[name]
    return keras.Sequential([L.Input(shape), *layers()])


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_parameters_are_those_of_keras(name: str) -> None:
    model = sequential(name)
    graph = FRONTEND.load(model, batch=2)
    assert as_keras(graph, (2, *model.output_shape[1:])), graph.tensors[graph.outputs[0]].shape
    assert counted(graph, statistics=untrained(model)) == model.count_params()


@pytest.mark.parametrize("name", CASES)
def test_all_weights_are_found(name: str) -> None:
    model = sequential(name)
    graph = FRONTEND.load(model)
    trained = {t.name for t in graph.weights}
    assert trained <= set(graph.values)
    for tensor in trained:
        assert graph.values[tensor].shape == graph.tensors[tensor].shape


@pytest.mark.parametrize("name", ["mlp", "cnn", "separable", "bidirectional", "frames", "einsum", "norms", "gru old"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files_hold_what_the_model_holds(name: str, suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model = sequential(name)
    model.set_weights([np.random.default_rng(0).normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(tmp_path / f"m{suffix}")
    live, stored = FRONTEND.load(model), FRONTEND.load(tmp_path / f"m{suffix}")
    assert live.nodes == stored.nodes
    assert live.values.keys() == stored.values.keys()
    for key in live.values:
        np.testing.assert_array_equal(live.values[key], stored.values[key])


def inception() -> Any:
    x = L.Input((12, 12, 3), name="img")
    a = L.Conv2D(4, 1, activation="relu", name="a")(x)
    b = L.Conv2D(4, 3, padding="same", name="b")(x)
    c = L.Concatenate(name="cat")([a, b])
    d = L.Average(name="avg")([c, c])
    e = L.Multiply(name="mul")([d, L.Activation("sigmoid", name="gate")(d)])
    f = L.GlobalAveragePooling2D(name="gap")(e)
    return keras.Model(x, [L.Dense(3, name="out1")(f), L.Dense(2, name="out2")(f)], name="inception")


def test_branches_and_outputs() -> None:
    graph = FRONTEND.load(inception())
    assert [n.name for n in graph.nodes] == ["a", "a_relu", "b", "cat", "avg", "gate", "mul", "gap", "gap:flat", "out1", "out2"]
    assert [graph.tensors[o].shape for o in graph.outputs] == [(1, 3), (1, 2)]
    assert graph.tensors["cat:0"].shape == (1, 8, 12, 12)


def transformer() -> Any:
    x = L.Input((7,), dtype="int32", name="tokens")
    y = L.Embedding(20, 8, name="emb")(x)
    z = L.MultiHeadAttention(2, 4, name="mha")(y, y)
    y = L.LayerNormalization(name="ln")(L.Add(name="res")([y, z]))
    return keras.Model(x, L.Dense(3, name="head")(L.GlobalAveragePooling1D(name="gap")(y)))


@pytest.mark.parametrize("suffix", ["live", ".keras", ".h5"])
def test_a_small_transformer(suffix: str, tmp_path: Path) -> None:
    model = transformer()
    source = model
    if suffix != "live":
        source = tmp_path / f"t{suffix}"
        model.save(source)
    graph = FRONTEND.load(source)
    assert graph.parameters == model.count_params()
    assert {t.name for t in graph.weights} == set(graph.values)
    query = next(np.asarray(w) for w in model.get_layer("mha").get_weights())
    np.testing.assert_array_equal(graph.values["mha.query.kernel"], query.reshape(8, 8).T)


def test_only_this_front_end_reads_live_models() -> None:
    model = sequential("mlp")
    assert FRONTEND.accepts(model)
    assert not TORCH.accepts(model)


def test_a_dense_layer_computes_what_keras_computes() -> None:
    model = keras.Sequential([L.Input((6,)), L.Dense(4, activation="relu", name="d")])
    graph = FRONTEND.load(model)
    x = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    ours = np.maximum(x @ graph.values["d.kernel"].T + graph.values["d.bias"], 0)
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_subclassed_models_are_refused() -> None:
    class Mine(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    from hwsim.errors import InputError

    with pytest.raises(InputError, match=r"expected (a )?Sequential or"):
        FRONTEND.load(Mine())


def test_lambda_layers_are_refused() -> None:
    from hwsim.errors import UnsupportedOp

    with pytest.raises(UnsupportedOp, match="l: Lambda"):
        FRONTEND.load(keras.Sequential([L.Input((3,)), L.Lambda(lambda x: x * 2, name="l", output_shape=(3,))]))
