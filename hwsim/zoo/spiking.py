"""Spiking vision transformers, one timestep of each; `timesteps` stands with the graph.

Shapes from the papers' public code: Spikformer (arXiv:2209.15425), Spikingformer (arXiv:2304.11954), Spike-driven Transformer
(arXiv:2307.01694), Meta-SpikeFormer (arXiv:2404.03663).
"""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import add, conv, linear, norm
from hwsim.zoo.registry import model

SPIKFORMER = "Zhou et al. 2023, Spikformer: when spiking neural network meets transformer, arXiv:2209.15425"
SPIKINGFORMER = "Zhou et al. 2023, Spikingformer: spike-driven residual learning, arXiv:2304.11954"
SPIKE_DRIVEN = "Yao et al. 2023, Spike-driven Transformer, arXiv:2307.01694"
META = "Yao et al. 2024, Spike-driven Transformer V2 (Meta-SpikeFormer), arXiv:2404.03663"


def neuron(b: GraphBuilder, x: str, *, path: str) -> str:
    """Leaky integrate-and-fire neurons."""
    return b.add("neuron", [x], path=path, model="lif")


def _conv_bn(b: GraphBuilder, x: str, width: int, kernel: int, name: str, **options: object) -> str:
    x = conv(b, x, width, kernel, path=f"{name}_conv", **options)  # type: ignore[arg-type]
    return norm(b, x, "batch", path=f"{name}_bn")


def _pool(b: GraphBuilder, x: str, *, path: str) -> str:
    return b.add("pool", [x], path=path, fn="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1))


def _heads(b: GraphBuilder, x: str, heads: int, *, path: str) -> str:
    """(B, C, H, W) to (B, heads, tokens, C / heads)."""
    batch, channels, height, width = b.shape(x)
    x = b.add("reshape", [x], path=f"{path}_split", shape=(batch, heads, channels // heads, height * width))
    return b.add("transpose", [x], path=f"{path}_tokens", perm=(0, 1, 3, 2))


def _image(b: GraphBuilder, x: str, like: str, *, path: str) -> str:
    """(B, heads, tokens, C / heads) back to an image."""
    x = b.add("transpose", [x], path=f"{path}_channels", perm=(0, 1, 3, 2))
    return b.add("reshape", [x], path=f"{path}_image", shape=b.shape(like))


def _linear_attention(b: GraphBuilder, q: str, k: str, v: str, heads: int) -> str:
    """Q (K^T V): no softmax, so the smaller product comes first (SSA of Spikformer, SDSA-3 of Meta-SpikeFormer)."""
    q, k, v = (_heads(b, x, heads, path=n) for x, n in ((q, "q"), (k, "k"), (v, "v")))
    context = b.add("matmul", [k, v], path="ssa_kv", transpose_a=True)
    return b.add("matmul", [q, context], path="ssa_qkv")


def _masked_sum(b: GraphBuilder, q: str, k: str, v: str) -> str:
    """SDSA-1: spikes of q and k meet in a mask, their column sums fire, and gate v; no product of matrices."""
    mask = b.add("elementwise", [k, v], path="kv_mask", fn="mul")
    total = b.add("reduce", [mask], path="kv_sum", fn="sum", axes=(2, 3), keepdims=True)
    return b.add("elementwise", [q, neuron(b, total, path="kv_lif")], path="gate", fn="mul")


@model("spikformer_8_384", family="spikformer", summary="Spikformer-8-384, T 4", source=SPIKFORMER, width=384, spike_first=False)
@model("spikformer_8_512", family="spikformer", summary="Spikformer-8-512, T 4", source=SPIKFORMER, width=512, spike_first=False)
@model("spikformer_8_768", family="spikformer", summary="Spikformer-8-768, T 4", source=SPIKFORMER, width=768, spike_first=False)
@model("spikingformer_8_384", family="spikformer", summary="Spikingformer-8-384, T 4", source=SPIKINGFORMER, width=384)
@model("spikingformer_8_512", family="spikformer", summary="Spikingformer-8-512, T 4", source=SPIKINGFORMER, width=512)
@model("spikingformer_8_768", family="spikformer", summary="Spikingformer-8-768, T 4", source=SPIKINGFORMER, width=768)
@model(
    "spike_driven_8_384",
    family="spikformer",
    summary="Spike-driven Transformer-8-384, T 4",
    source=SPIKE_DRIVEN,
    width=384,
    attention="sdsa1",
)
@model(
    "spike_driven_6_512",
    family="spikformer",
    summary="Spike-driven Transformer-6-512, T 4",
    source=SPIKE_DRIVEN,
    depth=6,
    attention="sdsa1",
)
@model(
    "spike_driven_8_512",
    family="spikformer",
    summary="Spike-driven Transformer-8-512, T 4",
    source=SPIKE_DRIVEN,
    width=512,
    attention="sdsa1",
)
@model(
    "spike_driven_10_512",
    family="spikformer",
    summary="Spike-driven Transformer-10-512, T 4",
    source=SPIKE_DRIVEN,
    depth=10,
    attention="sdsa1",
)
@model(
    "spike_driven_8_768",
    family="spikformer",
    summary="Spike-driven Transformer-8-768, T 4",
    source=SPIKE_DRIVEN,
    width=768,
    attention="sdsa1",
)
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
) -> Graph:
    """Patch embedding by convolutions, blocks of spiking attention and MLP, mean over tokens and timesteps, a linear head.

    `spike_first`: neurons stand before each convolution (Spikingformer, Spike-driven), which only sees spikes; else behind (Spikformer).
    """
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = _stem(b, b.input("image", (batch, 3, image_size, image_size)), width, spike_first=spike_first)
    for i in range(depth):
        with b.scope(f"block.{i}"):
            x = _block(b, x, width, heads, attention, spike_first=spike_first)
    x = neuron(b, x, path="head_lif") if attention == "sdsa1" else x
    x = b.add("reduce", [x], path="mean", fn="mean", axes=(2, 3))
    return b.finish([linear(b, x, num_classes, path="head")])


def _stem(b: GraphBuilder, x: str, width: int, *, spike_first: bool) -> str:
    widths = (width // 8, width // 4, width // 2, width)
    with b.scope("patch_embed"):
        for i, w in enumerate(widths):
            name = "proj" if i == 0 else f"proj{i}"
            x = neuron(b, x, path=f"{name}_lif") if spike_first and i else x
            x = _conv_bn(b, x, w, 3, name) if i == 0 else _numbered(b, x, w, 3, "proj", i)
            x = x if spike_first else neuron(b, x, path=f"{name}_lif")
            x = _pool(b, x, path=f"maxpool{i}")
        skip = x
        x = neuron(b, x, path="rpe_lif") if spike_first else x
        x = _conv_bn(b, x, width, 3, "rpe")
        x = x if spike_first else neuron(b, x, path="rpe_lif")
        return add(b, x, skip, path="rpe_add")


def _numbered(b: GraphBuilder, x: str, width: int, kernel: int, stem: str, number: int) -> str:
    """A convolution and its norm under the names of the public code (`proj_conv1`, `proj_bn1`)."""
    x = conv(b, x, width, kernel, path=f"{stem}_conv{number}")
    return norm(b, x, "batch", path=f"{stem}_bn{number}")


def _block(b: GraphBuilder, x: str, width: int, heads: int, attention: str, *, spike_first: bool) -> str:
    with b.scope("attn"):
        entry = neuron(b, x, path="proj_lif") if spike_first else x
        q, k, v = (neuron(b, _conv_bn(b, entry, width, 1, n), path=f"{n}_lif") for n in ("q", "k", "v"))
        if attention == "sdsa1":
            y = _masked_sum(b, q, k, v)
        else:
            y = _image(b, _linear_attention(b, q, k, v, heads), q, path="attn")
            y = neuron(b, y, path="attn_lif")
        y = _conv_bn(b, y, width, 1, "proj", bias=True)
        y = y if spike_first else neuron(b, y, path="proj_lif")
    x = add(b, x, y, path="attn_add")
    with b.scope("mlp"):
        for n, w in (("fc1", 4 * width), ("fc2", width)):
            y = neuron(b, x if n == "fc1" else y, path=f"{n}_lif") if spike_first else (x if n == "fc1" else y)
            y = _conv_bn(b, y, w, 1, n, bias=True)
            y = y if spike_first else neuron(b, y, path=f"{n}_lif")
    return add(b, x, y, path="mlp_add")


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
            y = neuron(b, _image(b, _linear_attention(b, q, k, v, heads), q, path="attn"), path="attn_lif")
            y = _rep_conv(b, y, "proj")
        x = add(b, x, y, path="attn_add")
        with b.scope("mlp"):
            y = norm(b, conv(b, neuron(b, x, path="fc1_lif"), 4 * width, 1, path="fc1_conv", bias=True), "batch", path="fc1_bn")
            y = norm(b, conv(b, neuron(b, y, path="fc2_lif"), width, 1, path="fc2_conv", bias=True), "batch", path="fc2_bn")
        return add(b, x, y, path="mlp_add")


@model(
    "keyword_spotter",
    family="spiking_mlp",
    summary="keyword spotting on Loihi: 390-256-256-29, 10 timesteps",
    source="Blouw et al. 2019, Benchmarking keyword spotting efficiency on neuromorphic hardware, arXiv:1812.01739",
)
def keyword_spotter(*, name: str = "keyword_spotter", batch: int = 1, copies: int = 0, layers: int = 10, timesteps: int = 10) -> Graph:
    """Dense spiking layers; with `copies` the scaled family of the benchmark: so many stacks of `layers` layers of 256 side by side."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = b.input("features", (batch, 390))
    for i in range(2 if not copies else 1):
        x = neuron(b, linear(b, x, 256, path=f"layer{i}"), path=f"lif{i}")
    ends = [x]
    for copy in range(copies):
        y = x
        for i in range(layers):
            y = neuron(b, linear(b, y, 256, path=f"copy{copy}.layer{i}"), path=f"copy{copy}.lif{i}")
        ends.append(y)
    outputs = [linear(b, y, 29, path=f"output{i}" if i else "output") for i, y in enumerate(ends)]
    return b.finish(outputs)


@model(
    "pilotnet_lif",
    family="pilotnet",
    summary="PilotNet with LIF neurons, 16 timesteps",
    source="lava-dl, PilotNet LIF; Bojarski et al. 2016, arXiv:1604.07316",
)
def pilotnet_lif(*, name: str = "pilotnet_lif", batch: int = 1, timesteps: int = 16) -> Graph:
    """Five convolutions and four dense layers over images of 200 x 66."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = neuron(b, b.input("image", (batch, 3, 66, 200)), path="input_lif")
    shapes = ((24, (2, 2), (0, 0)), (36, (2, 2), (0, 0)), (48, (2, 2), (0, 0)), (64, (2, 1), (1, 0)), (64, (1, 1), (0, 0)))
    for i, (width, stride, padding) in enumerate(shapes, start=1):
        weights = b.weight((width, b.shape(x)[1], 3, 3), name=f"conv{i}.weight")
        x = b.add("conv", [x, weights], path=f"conv{i}", stride=stride, padding=padding)
        x = neuron(b, x, path=f"conv{i}_lif")
    x = b.add("reshape", [x], path="flatten", shape=(batch, 2560))
    for i, width in enumerate((100, 50, 10, 1), start=1):
        x = neuron(b, linear(b, x, width, path=f"dense{i}", bias=False), path=f"dense{i}_lif")
    return b.finish([x])
