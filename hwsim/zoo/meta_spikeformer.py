"""Meta-SpikeFormer (Spike-driven Transformer V2, arXiv:2404.03663): convolution blocks, then attention of re-parameterised convolutions."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import add, conv, linear, norm
from hwsim.zoo.registry import model
from hwsim.zoo.spiking import image, linear_attention, neuron

META = "Yao et al. 2024, Spike-driven Transformer V2 (Meta-SpikeFormer), arXiv:2404.03663"


@model("meta_spikeformer_8_256", family="spikformer", summary="Meta-SpikeFormer, 15.1 M", source=META, widths=(64, 128, 256, 360))
@model("meta_spikeformer_8_384", family="spikformer", summary="Meta-SpikeFormer, 31.3 M", source=META, widths=(96, 192, 384, 480))
@model("meta_spikeformer_8_512", family="spikformer", summary="Meta-SpikeFormer, 55.4 M", source=META, widths=(128, 256, 512, 640))
def meta_spikeformer(
    *,
    name: str = "meta_spikeformer",
    batch: int = 1,
    widths: tuple[int, ...] = (128, 256, 512, 640),
    heads: int = 8,
    image_size: int = 224,
    num_classes: int = 1000,
    timesteps: int = 4,
) -> Graph:
    """Convolution blocks in three stages, then six and two transformer blocks with re-parameterised convolutions and SDSA-3."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = _down(b, b.input("image", (batch, 3, image_size, image_size)), widths[0] // 2, 7, 2, "downsample1_1", first=True)
    x = _conv_block(b, x, "ConvBlock1_1.0")
    x = _conv_block(b, _down(b, x, widths[0], 3, 2, "downsample1_2"), "ConvBlock1_2.0")
    x = _down(b, x, widths[1], 3, 2, "downsample2")
    for i in range(2):
        x = _conv_block(b, x, f"ConvBlock2_{i + 1}.0")
    x = _down(b, x, widths[2], 3, 2, "downsample3")
    for i in range(6):
        x = _meta_block(b, x, heads, f"block3.{i}")
    x = _down(b, x, widths[3], 3, 1, "downsample4")
    for i in range(2):
        x = _meta_block(b, x, heads, f"block4.{i}")
    x = b.add("reduce", [x], path="mean", fn="mean", axes=(2, 3))
    return b.finish([linear(b, neuron(b, x, path="head_lif"), num_classes, path="head")])


def _down(b: GraphBuilder, x: str, width: int, kernel: int, stride: int, path: str, *, first: bool = False) -> str:
    with b.scope(path):
        x = x if first else neuron(b, x, path="encode_lif")
        return norm(b, conv(b, x, width, kernel, stride=stride, path="encode_conv", bias=True), "batch", path="encode_bn")


def _conv_block(b: GraphBuilder, x: str, path: str) -> str:
    width = b.shape(x)[1]
    with b.scope(path):
        y = norm(b, conv(b, neuron(b, x, path="Conv.lif1"), 2 * width, 1, path="Conv.pwconv1"), "batch", path="Conv.bn1")
        y = conv(b, neuron(b, y, path="Conv.lif2"), 2 * width, 7, groups=2 * width, path="Conv.dwconv")
        y = norm(b, conv(b, y, width, 1, path="Conv.pwconv2"), "batch", path="Conv.bn2")
        x = add(b, x, y, path="Conv.add")
        y = norm(b, conv(b, neuron(b, x, path="lif1"), 4 * width, 3, path="conv1"), "batch", path="bn1")
        y = norm(b, conv(b, neuron(b, y, path="lif2"), width, 3, path="conv2"), "batch", path="bn2")
        return add(b, x, y, path="add")


def _rep_conv(b: GraphBuilder, x: str, name: str) -> str:
    """1x1, depthwise 3x3, 1x1: one convolution after re-parameterisation."""
    width = b.shape(x)[1]
    with b.scope(f"{name}_conv.0.body"):
        y = norm(b, conv(b, x, width, 1, path="0"), "batch", path="1.bn")
        y = conv(b, y, width, 3, groups=width, path="2.0")
        y = norm(b, conv(b, y, width, 1, path="2.1"), "batch", path="2.2")
    return norm(b, y, "batch", path=f"{name}_conv.1")


def _meta_block(b: GraphBuilder, x: str, heads: int, path: str) -> str:
    width = b.shape(x)[1]
    with b.scope(path):
        with b.scope("attn"):
            entry = neuron(b, x, path="head_lif")
            q, k, v = (neuron(b, _rep_conv(b, entry, n), path=f"{n}_lif") for n in ("q", "k", "v"))
            y = neuron(b, image(b, linear_attention(b, q, k, v, heads), q, path="attn"), path="attn_lif")
            y = _rep_conv(b, y, "proj")
        x = add(b, x, y, path="attn_add")
        with b.scope("mlp"):
            y = norm(b, conv(b, neuron(b, x, path="fc1_lif"), 4 * width, 1, path="fc1_conv", bias=True), "batch", path="fc1_bn")
            y = norm(b, conv(b, neuron(b, y, path="fc2_lif"), width, 1, path="fc2_conv", bias=True), "batch", path="fc2_bn")
        return add(b, x, y, path="mlp_add")
