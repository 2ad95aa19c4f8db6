"""Graphs of Keras models computed with their own weights give what Keras gives: geometry, layouts and values at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.frontends.keras import FRONTEND
from hwsim.graph import Graph, Node

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras", reason="Keras is not installed")
F = torch.nn.functional
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore")
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def conv(node: Node, x: Any, w: Any, bias: Any = None) -> Any:
    attrs, dims = node.attrs, x.ndim - 2
    function = getattr(F, f"conv{'_transpose' if attrs['transposed'] else ''}{dims}d")
    one = {"stride": attrs["stride"], "dilation": attrs["dilation"], "groups": attrs["groups"]}
    pads = attrs["padding"] if attrs["padding"] != 0 else ((0, 0),) * dims
    if attrs["transposed"]:
        full = function(x, w, None, **one, output_padding=0)
        extra = attrs["output_padding"] if attrs["output_padding"] != 0 else (0,) * dims
        full = F.pad(full, [p for e in reversed(extra) for p in (0, e)])
        return full[(..., *(slice(a, full.shape[2 + i] - b) for i, (a, b) in enumerate(pads)))] + bias[:, *[None] * dims]
    return function(F.pad(x, [p for pair in reversed(pads) for p in pair]), w, bias, **one)


def computed(node: Node, x: list[Any]) -> Any:
    kind, attrs = node.kind, node.attrs
    if kind == "conv":
        return conv(node, *x)
    if kind == "linear":
        return F.linear(*x)
    if kind == "matmul":
        a, b = (v.transpose(-1, -2) if t else v for v, t in zip(x, (attrs["transpose_a"], attrs["transpose_b"]), strict=True))
        return a @ b
    if kind == "norm" and attrs["fn"] == "batch":
        return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=1e-3)
    if kind == "norm":
        return F.layer_norm(x[0], x[1].shape, x[1], x[2], eps=1e-3)
    if kind == "activation":
        return _ACTIVATIONS[attrs["fn"]](x[0])
    if kind == "elementwise":
        return x[0] + x[1] if attrs["fn"] == "add" else x[0] * x[1]
    if kind == "attention":
        return F.scaled_dot_product_attention(*x)
    if kind == "pool" and attrs["output_size"] is not None:
        return x[0].mean(dim=tuple(range(2, x[0].ndim)), keepdim=True)
    if kind == "pool" and attrs["padding"] == 0:
        return getattr(F, f"{attrs['fn']}_pool{x[0].ndim - 2}d")(x[0], attrs["kernel"], attrs["stride"])
    plain = {"reshape": lambda: x[0].reshape(attrs["shape"]), "transpose": lambda: x[0].permute(attrs["perm"])}
    return plain[kind]()


def run(graph: Graph, x: Any) -> Any:
    values = {name: torch.tensor(np.asarray(graph.values[name])) for name in graph.values} | {graph.inputs[0]: x}
    for node in graph.nodes:
        values[node.outputs[0]] = computed(node, [values[name] for name in node.inputs])
    return values[graph.outputs[0]]


CASES: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "mlp": ((8,), lambda: [L.Dense(5, activation="relu"), L.BatchNormalization(), L.Dense(4, activation="tanh")]),
    "conv": (
        (9, 8, 3),
        lambda: [L.Conv2D(4, (3, 2), strides=2, padding="same", activation="relu"), L.Conv2D(5, 2), L.BatchNormalization()],
    ),
    "dilated": ((9, 8, 4), lambda: [L.Conv2D(6, 3, dilation_rate=2, groups=2), L.MaxPooling2D(2)]),
    "depthwise": ((9, 8, 3), lambda: [L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", strides=2)]),
    "separable": ((9, 8, 3), lambda: [L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"), L.GlobalAveragePooling2D()]),
    "transposed": ((5, 4, 3), lambda: [L.Conv2DTranspose(4, 3, strides=2), L.Conv2DTranspose(2, 2, strides=3)]),
    "causal": ((15, 3), lambda: [L.Conv1D(4, 3, padding="causal", dilation_rate=2), L.AveragePooling1D(2)]),
    "dense on image": ((5, 4, 3), lambda: [L.Conv2D(4, 2), L.Dense(5, activation="relu")]),
    "layer norm": ((9, 3), lambda: [L.Dense(4), L.LayerNormalization()]),
    "einsum": ((9, 3), lambda: [L.EinsumDense("abc,cde->abde", output_shape=(9, 2, 4), bias_axes="de")]),
    "einsum batched": ((9, 3), lambda: [L.EinsumDense("abc,bdc->abd", output_shape=(9, 5))]),
}


def randomised(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(size=w.shape)).astype(np.float32) * 0.3 + 0.05 for w in model.get_weights()])
    return model


def agree(model: Any) -> None:
    shape = model.input_shape[1:]
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(model(x))
    graph = FRONTEND.load(model, batch=2)
    first = graph.tensors[graph.inputs[0]].shape != (2, *shape)
    found = run(graph, torch.tensor(np.moveaxis(x, -1, 1).copy() if first else x)).detach().numpy()
    turned = found.shape != expected.shape
    np.testing.assert_allclose(np.moveaxis(found, 1, -1) if turned else found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_layers_compute_what_keras_computes(name: str) -> None:
    shape, layers = CASES[name]
    agree(randomised(keras.Sequential([L.Input(shape), *layers()])))


def test_attention_computes_what_keras_computes() -> None:
    x = L.Input((7, 6))
    agree(randomised(keras.Model(x, L.Add()([x, L.MultiHeadAttention(2, 4, value_dim=3)(x, x)]))))
