"""Spikformer (arXiv:2209.15425), Spikingformer (arXiv:2304.11954) and Spike-driven Transformer (arXiv:2307.01694), one timestep of each.

Shapes and module paths are those of the authors' public code; `timesteps` stands with the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import add, conv, linear, norm
from hwsim.zoo.registry import model

SPIKFORMER = "Zhou et al. 2023, Spikformer: when spiking neural network meets transformer, arXiv:2209.15425"
SPIKINGFORMER = "Zhou et al. 2023, Spikingformer: spike-driven residual learning, arXiv:2304.11954"
SPIKE_DRIVEN = "Yao et al. 2023, Spike-driven Transformer, arXiv:2307.01694"
_SMALL = {"image_size": 32, "num_classes": 10, "pools": (0, 0, 1, 1)}
"""Images of 32 x 32: the first two convolutions keep the size."""


def neuron(b: GraphBuilder, x: str, *, path: str) -> str:
    """Leaky integrate-and-fire neurons."""
    return b.add("neuron", [x], path=path, model="lif")


def _conv_bn(b: GraphBuilder, x: str, width: int, name: str, *, kernel: int = 1, number: str = "", bias: bool = False) -> str:
    """A convolution and its norm under the names of the public code (`proj_conv1`, `proj_bn1`)."""
    x = conv(b, x, width, kernel, path=f"{name}_conv{number}", bias=bias)
    return norm(b, x, "batch", path=f"{name}_bn{number}")


def _pool(b: GraphBuilder, x: str, *, path: str) -> str:
    return b.add("pool", [x], path=path, fn="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1))


def heads_of(b: GraphBuilder, x: str, heads: int, *, path: str) -> str:
    """(B, C, H, W) to (B, heads, tokens, C / heads)."""
    batch, channels, height, width = b.shape(x)
    x = b.add("reshape", [x], path=f"{path}_split", shape=(batch, heads, channels // heads, height * width))
    return b.add("transpose", [x], path=f"{path}_tokens", perm=(0, 1, 3, 2))


def image(b: GraphBuilder, x: str, like: str, *, path: str) -> str:
    """(B, heads, tokens, C / heads) back to an image."""
    x = b.add("transpose", [x], path=f"{path}_channels", perm=(0, 1, 3, 2))
    return b.add("reshape", [x], path=f"{path}_image", shape=b.shape(like))


def linear_attention(b: GraphBuilder, q: str, k: str, v: str, heads: int) -> str:
    """Q (K^T V): no softmax, so the smaller product comes first (SSA of Spikformer, SDSA-3 of Meta-SpikeFormer)."""
    q, k, v = (heads_of(b, x, heads, path=n) for x, n in ((q, "q"), (k, "k"), (v, "v")))
    context = b.add("matmul", [k, v], path="ssa_kv", transpose_a=True)
    return b.add("matmul", [q, context], path="ssa_qkv")


def masked_sum(b: GraphBuilder, q: str, k: str, v: str) -> str:
    """SDSA-1: spikes of k and v meet in a mask, their column sums fire, and gate q; no product of matrices."""
    mask = b.add("elementwise", [k, v], path="kv_mask", fn="mul")
    total = b.add("reduce", [mask], path="kv_sum", fn="sum", axes=(2, 3), keepdims=True)
    return b.add("elementwise", [q, neuron(b, total, path="kv_lif")], path="gate", fn="mul")


def _preset(name: str, summary: str, source: str, **preset: Any) -> Callable[[Callable[..., Graph]], Callable[..., Graph]]:
    return model(name, family="spikformer", summary=f"{summary}, T 4", source=source, **preset)


@_preset("spikformer_8_384", "Spikformer-8-384", SPIKFORMER, width=384, spike_first=False)
@_preset("spikformer_8_512", "Spikformer-8-512", SPIKFORMER, width=512, spike_first=False)
@_preset("spikformer_8_768", "Spikformer-8-768", SPIKFORMER, width=768, spike_first=False)
@_preset(
    "spikformer_4_384_cifar",
    "Spikformer-4-384, CIFAR",
    SPIKFORMER,
    width=384,
    depth=4,
    heads=12,
    spike_first=False,
    qkv_bias=True,
    **_SMALL,
)
@_preset("spikingformer_8_384", "Spikingformer-8-384", SPIKINGFORMER, width=384)
@_preset("spikingformer_8_512", "Spikingformer-8-512", SPIKINGFORMER, width=512)
@_preset("spikingformer_8_768", "Spikingformer-8-768", SPIKINGFORMER, width=768)
@_preset("spikingformer_4_256_cifar", "Spikingformer-4-256, CIFAR", SPIKINGFORMER, width=256, depth=4, **_SMALL)
@_preset("spikingformer_2_384_cifar", "Spikingformer-2-384, CIFAR", SPIKINGFORMER, width=384, depth=2, heads=12, **_SMALL)
@_preset("spikingformer_4_384_cifar", "Spikingformer-4-384, CIFAR", SPIKINGFORMER, width=384, depth=4, heads=12, **_SMALL)
@_preset("spike_driven_8_384", "Spike-driven Transformer-8-384", SPIKE_DRIVEN, width=384, attention="sdsa1")
@_preset("spike_driven_6_512", "Spike-driven Transformer-6-512", SPIKE_DRIVEN, depth=6, attention="sdsa1")
@_preset("spike_driven_8_512", "Spike-driven Transformer-8-512", SPIKE_DRIVEN, width=512, attention="sdsa1")
@_preset("spike_driven_10_512", "Spike-driven Transformer-10-512", SPIKE_DRIVEN, depth=10, attention="sdsa1")
@_preset("spike_driven_8_768", "Spike-driven Transformer-8-768", SPIKE_DRIVEN, width=768, attention="sdsa1")
@_preset("spike_driven_2_512_cifar", "Spike-driven Transformer-2-512, CIFAR", SPIKE_DRIVEN, depth=2, attention="sdsa1", **_SMALL)
def spikformer(
    *,
    name: str = "spikformer",
    batch: int = 1,
    width: int = 512,
    depth: int = 8,
    heads: int = 8,
    image_size: int = 224,
    num_classes: int = 1000,
    timesteps: int = 4,
    attention: str = "ssa",
    spike_first: bool = True,
    qkv_bias: bool = False,
    pools: tuple[int, ...] = (1, 1, 1, 1),
) -> Graph:
    """Patch embedding by convolutions, blocks of spiking attention and MLP, mean over tokens and timesteps, a linear head.

    `spike_first`: convolutions but the first only see spikes (Spikingformer, Spike-driven), else sums of spikes, too (Spikformer).
    `attention`: ssa (Q (K^T V)) or sdsa1 (masks and column sums). `pools`: which of the first four convolutions halve the image.

    Raises:
        InputError: another attention, or a width that the heads do not divide.
    """
    _check(name, width, heads, attention, pools)
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = b.input("image", (batch, 3, image_size, image_size))
    with b.scope("patch_embed"):
        x = _stem(b, x, width, pools, residual=not spike_first or attention == "sdsa1", late=attention == "sdsa1")
    for i in range(depth):
        with b.scope(f"block.{i}"):
            x = _block(b, x, width, heads, attention, spike_first=spike_first, qkv_bias=qkv_bias)
    x = b.add("reduce", [x], path="mean", fn="mean", axes=(2, 3))
    x = neuron(b, x, path="head_lif") if attention == "sdsa1" else x
    return b.finish([linear(b, x, num_classes, path="head")])


def _check(name: str, width: int, heads: int, attention: str, pools: tuple[int, ...]) -> None:
    if attention not in ("ssa", "sdsa1"):
        raise UnknownName(f"attention of {name}:", attention, ("ssa", "sdsa1"))
    if width % (8 * heads // math.gcd(8, heads)):
        raise InputError(f"{name}: width {width} and {heads} heads; expected a width that 8 and the heads divide")
    if len(pools) != 4:
        raise InputError(f"{name}: pools is {pools}; expected four of 0 and 1, one a convolution")


def _stem(b: GraphBuilder, x: str, width: int, pools: tuple[int, ...], *, residual: bool, late: bool) -> str:
    """Four convolutions with norm, neurons and (where `pools` says) a pool, and one more; `late`: the fourth pools before it fires."""
    skip = x
    for i, part in enumerate((8, 4, 2, 1)):
        number = str(i or "")
        x = _conv_bn(b, x, width // part, "proj", kernel=3, number=number)
        pooled = bool(pools[i])
        if late and i == 3 and pooled:
            x, pooled = _pool(b, x, path=f"maxpool{number}"), False
        skip, x = x, neuron(b, x, path=f"proj_lif{number}")
        if pooled:
            skip = x = _pool(b, x, path=f"maxpool{number}")
    y = _conv_bn(b, x, width, "rpe", kernel=3)
    if not residual:
        return y
    return add(b, y if late else neuron(b, y, path="rpe_lif"), skip if late else x, path="rpe_add")


def _block(b: GraphBuilder, x: str, width: int, heads: int, attention: str, *, spike_first: bool, qkv_bias: bool) -> str:
    with b.scope("attn"):
        entry = neuron(b, x, path="proj_lif") if spike_first else x
        q, k, v = (neuron(b, _conv_bn(b, entry, width, n, bias=qkv_bias), path=f"{n}_lif") for n in ("q", "k", "v"))
        if attention == "sdsa1":
            y = masked_sum(b, q, k, v)
        else:
            y = neuron(b, image(b, linear_attention(b, q, k, v, heads), q, path="attn"), path="attn_lif")
        y = _conv_bn(b, y, width, "proj", bias=True)
        y = y if spike_first else neuron(b, y, path="proj_lif")
    y = x = add(b, x, y, path="attn_add")
    with b.scope("mlp"):
        for n, w in (("fc1", 4 * width), ("fc2", width)):
            y = neuron(b, y, path=f"{n}_lif") if spike_first else y
            y = _conv_bn(b, y, w, n, bias=True)
            y = y if spike_first else neuron(b, y, path=f"{n}_lif")
    return add(b, x, y, path="mlp_add")
