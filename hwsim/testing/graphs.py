"""Small networks that use the common operators, for tests of targets and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwsim.graph import Graph, GraphBuilder


def mlp(*, batch: int = 4) -> Graph:
    """Three linear layers with ReLU, 16-64-64-10."""
    b = GraphBuilder("mlp", batch=batch, source="hwsim.testing")
    x = b.input("x", (batch, 16))
    for i, (inner, outer) in enumerate(((16, 64), (64, 64), (64, 10)), start=1):
        with b.scope(f"fc{i}"):
            x = b.add("linear", [x, b.weight((outer, inner)), b.weight((outer,), name="bias")])
        x = b.add("activation", [x], fn="relu", path=f"act{i}") if i < 3 else x
    return b.finish([x])


def convnet(*, batch: int = 1) -> Graph:
    """A stem, two residual blocks of 3x3 convolutions, pooling and a classifier, on 32x32 images."""
    b = GraphBuilder("convnet", batch=batch, source="hwsim.testing")
    x = _conv(b, b.input("x", (batch, 3, 32, 32)), 3, 16, path="stem")
    for block in range(2):
        with b.scope(f"blocks.{block}"):
            y = _conv(b, _conv(b, x, 16, 16, path="conv1"), 16, 16, path="conv2")
            x = b.add("elementwise", [x, y], fn="add", path="add")
    x = b.add("reduce", [x], fn="mean", axes=(2, 3), path="pool")
    x = b.add("linear", [x, b.weight((10, 16)), b.weight((10,), name="bias")], path="head")
    return b.finish([x])


def _conv(b: GraphBuilder, x: str, inner: int, outer: int, *, path: str) -> str:
    with b.scope(path):
        x = b.add("conv", [x, b.weight((outer, inner, 3, 3))], padding=1, path="conv")
        shift = [b.weight((outer,), name=n) for n in ("scale", "shift")]
        stats = [b.constant((outer,), name=n) for n in ("mean", "var")]
        x = b.add("norm", [x, *shift, *stats], fn="batch", axes=(0, 2, 3), path="norm")
        return b.add("activation", [x], fn="relu", path="act")


def transformer(*, batch: int = 1, seq_len: int = 16) -> Graph:
    """Two layers of attention (4 heads of 16) and a gated MLP, with an embedding and a head of 100 words."""
    b = GraphBuilder("transformer", batch=batch, seq_len=seq_len, source="hwsim.testing")
    x = b.add("embedding", [b.weight((100, 64), name="table"), b.input("tokens", (batch, seq_len), "int64")], path="embed", dtype="fp32")
    for layer in range(2):
        with b.scope(f"layers.{layer}"):
            x = b.add("elementwise", [x, _attention(b, x, batch, seq_len)], fn="add", path="add1")
            x = b.add("elementwise", [x, _mlp(b, x)], fn="add", path="add2")
    x = b.add("norm", [x, b.weight((64,))], fn="rms", path="norm")
    return b.finish([b.add("linear", [x, b.weight((100, 64))], path="head")])


def _attention(b: GraphBuilder, x: str, batch: int, length: int) -> str:
    with b.scope("attn"):
        x = b.add("norm", [x, b.weight((64,))], fn="rms", path="norm")
        heads = [_heads(b, b.add("linear", [x, b.weight((64, 64))], path=name), batch, length) for name in "qkv"]
        y = b.add("attention", heads, causal=True, path="sdpa")
        y = b.add("transpose", [y], perm=(0, 2, 1, 3))
        return b.add("linear", [b.add("reshape", [y], shape=(batch, length, 64)), b.weight((64, 64))], path="out")


def _heads(b: GraphBuilder, x: str, batch: int, length: int) -> str:
    return b.add("transpose", [b.add("reshape", [x], shape=(batch, length, 4, 16))], perm=(0, 2, 1, 3))


def _mlp(b: GraphBuilder, x: str) -> str:
    with b.scope("mlp"):
        x = b.add("norm", [x, b.weight((64,))], fn="rms", path="norm")
        up = b.add("linear", [x, b.weight((128, 64))], path="up")
        gate = b.add("activation", [b.add("linear", [x, b.weight((128, 64))], path="gate")], fn="silu")
        return b.add("linear", [b.add("elementwise", [up, gate], fn="mul"), b.weight((64, 128))], path="down")


def spiking(*, batch: int = 1) -> Graph:
    """A convolution and two dense layers with leaky integrate-and-fire neurons, four timesteps."""
    b = GraphBuilder("spiking", batch=batch, timesteps=4, source="hwsim.testing")
    x = b.add("conv", [b.input("x", (batch, 2, 16, 16)), b.weight((8, 2, 3, 3))], padding=1, path="conv")
    x = b.add("neuron", [x], path="conv_lif")
    x = b.add("reshape", [x], path="flatten", shape=(batch, 2048))
    x = b.add("neuron", [b.add("linear", [x, b.weight((64, 2048))], path="hidden")], path="hidden_lif")
    return b.finish([b.add("linear", [x, b.weight((10, 64))], path="head")])


GRAPHS: Mapping[str, Callable[..., Graph]] = {"mlp": mlp, "convnet": convnet, "transformer": transformer, "spiking": spiking}
"""Name to builder; every builder takes `batch`."""
