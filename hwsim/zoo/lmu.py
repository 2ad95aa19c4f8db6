"""LMUFormer and its spiking twin: streaming keyword recognition with a Legendre memory (arXiv:2402.04882).

The sequence is time: neurons of the spiking network step from sample to sample, so one pass over all samples is one timestep of the graph.
A pass over one sample (`seq_len` 1) is what a stream costs: convolutions see a window, the memory takes one state update.
"""

from __future__ import annotations

from hwsim.errors import UnknownName
from hwsim.graph import Graph, GraphBuilder
from hwsim.ops.lmu import MODES
from hwsim.zoo.layers import act, add, linear, norm
from hwsim.zoo.registry import model
from hwsim.zoo.spiking import neuron

LMUFORMER = "Liu et al. 2024, LMUFormer: low complexity yet powerful spiking model with Legendre memory units, arXiv:2402.04882"


@model("lmuformer", family="lmuformer", summary="LMUFormer on speech commands, 1.62 M", source=LMUFORMER)
@model("spiking_lmuformer", family="lmuformer", summary="spiking LMUFormer on speech commands, 1.69 M", source=LMUFORMER, spiking=True)
def lmuformer(
    *,
    name: str = "lmuformer",
    batch: int = 1,
    seq_len: int = 128,
    in_channels: int = 128,
    width: int = 256,
    depth: int = 1,
    mlp_ratio: int = 4,
    num_classes: int = 35,
    spiking: bool = False,
    memory: str = "parallel",
) -> Graph:
    """Convolutions over time, blocks of Legendre memory and MLP, a linear head for each sample, mean over samples.

    `memory`: parallel (Fourier transforms over all samples) or sequential (a state update a sample); one sample is always sequential.

    Raises:
        UnknownName: another mode of the memory.
    """
    if memory not in MODES:
        raise UnknownName(f"memory of {name}:", memory, MODES)
    mode = "sequential" if seq_len == 1 else memory
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, seq_len=seq_len)
    x = b.add("transpose", [b.input("spectrogram", (batch, seq_len, in_channels))], perm=(0, 2, 1), path="patch_embed.permute")
    with b.scope("patch_embed"):
        x = (_spiking_tokens if spiking else _tokens)(b, x, width)
    for i in range(depth):
        with b.scope(f"block.{i}"):
            x = add(b, x, _attention(b, x, mode, spiking=spiking), path="attn_add")
            x = add(b, x, (_spiking_mlp if spiking else _mlp)(b, x, mlp_ratio * width), path="mlp_add")
    x = _fire(b, x, "head_bn", "head_lif") if spiking else x
    x = linear(b, b.add("transpose", [x], perm=(0, 2, 1), path="head_permute"), num_classes, path="head")
    return b.finish([b.add("reduce", [x], fn="mean", axes=(1,), path="mean")])


def _conv(b: GraphBuilder, x: str, width: int, taps: int, *, path: str, bias: bool = False) -> str:
    with b.scope(path):
        weights = [b.weight((width, b.shape(x)[1], taps))] + ([b.weight((width,), name="bias")] if bias else [])
        return b.add("conv", [x, *weights], padding=taps // 2)


def _fire(b: GraphBuilder, x: str, norm_path: str, path: str) -> str:
    return neuron(b, norm(b, x, "batch", path=norm_path), path=path)


def _tokens(b: GraphBuilder, x: str, width: int) -> str:
    for i in range(4):
        x = act(b, _conv(b, x, width, 3, path=f"conv_layers.{i}.0"), "relu", path=f"conv_layers.{i}.1")
        x = norm(b, x, "batch", path=f"conv_layers.{i}.3")
    return add(b, x, _conv(b, x, width, 3, path="rpe_conv"), path="rpe_add")


def _spiking_tokens(b: GraphBuilder, x: str, width: int) -> str:
    for number in ("", "1", "2"):
        x = _fire(b, _conv(b, x, width, 3, path=f"proj_conv{number}"), f"proj_bn{number}", f"proj_lif{number}")
    x = _conv(b, x, width, 3, path="proj_conv3")
    return add(b, x, _conv(b, _fire(b, x, "proj_bn3", "proj_lif3"), width, 3, path="rpe_conv"), path="rpe_add")


def _attention(b: GraphBuilder, x: str, mode: str, *, spiking: bool) -> str:
    width = b.shape(x)[1]
    with b.scope("attn"):
        x = _fire(b, x, "prev_bn", "prev_lif") if spiking else x
        with b.scope("lmu"):
            y = _cell(b, x, width, mode, spiking=spiking)
        return norm(b, _conv(b, y, width, 1, path="proj_conv", bias=True), "batch", path="proj_bn")


def _cell(b: GraphBuilder, x: str, width: int, mode: str, *, spiking: bool) -> str:
    """A signal out of all channels, its memory, and a dense layer over memory and channels; (batch, channels, samples) to the same."""
    size, samples = (2 if spiking else 1) * width, b.shape(x)[2]

    def fire(y: str, stem: str) -> str:
        return _fire(b, y, f"bn_{stem}", f"f_{stem}") if spiking else (y if stem == "m" else act(b, y, "relu", path=f"f_{stem}"))

    tokens = b.add("transpose", [x], perm=(0, 2, 1), path="tokens")
    u = fire(b.add("transpose", [linear(b, tokens, 1, path="W_u")], perm=(0, 2, 1), path="signal"), "u")
    fixed = (("A", (size, size)), ("B", (size, 1))) if mode == "sequential" else (("fft_H", (size, samples + 1, 2)),)
    m = fire(b.add("lmu_memory", [u, *(b.constant(shape, name=n) for n, shape in fixed)], size=size, mode=mode, path="memory"), "m")
    both = b.add("transpose", [b.add("concat", [m, x], axis=1, path="state")], perm=(0, 2, 1), path="state")
    return fire(b.add("transpose", [linear(b, both, width, path="W_h")], perm=(0, 2, 1), path="hidden"), "h")


def _mlp(b: GraphBuilder, x: str, hidden: int) -> str:
    width = b.shape(x)[1]
    with b.scope("mlp"):
        for n, w, fn in (("fc1", hidden, "gelu"), ("fc2", width, "relu")):
            x = act(b, norm(b, _conv(b, x, w, 1, path=f"{n}_conv", bias=True), "batch", path=f"{n}_bn"), fn, path=f"{n}_lif")
    return x


def _spiking_mlp(b: GraphBuilder, x: str, hidden: int) -> str:
    width = b.shape(x)[1]
    with b.scope("mlp"):
        for n, w in (("fc1", hidden), ("fc2", width)):
            x = _conv(b, _fire(b, x, f"{n}_bn", f"{n}_lif"), w, 1, path=f"{n}_conv", bias=True)
    return x
