"""State-space language models."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, linear, mul, norm
from hwsim.zoo.registry import model

MAMBA = "Gu and Dao 2023, Mamba, arXiv:2312.00752"
MAMBA2 = "Dao and Gu 2024, Transformers are SSMs, arXiv:2405.21060"


@model("mamba_130m", family="mamba", summary="Mamba 130M, tied head", source=MAMBA)
@model("mamba_790m", family="mamba", summary="Mamba 790M, tied head", source=MAMBA, width=1536, num_layers=48)
def mamba(
    *,
    name: str = "mamba",
    batch: int = 1,
    seq_len: int = 1024,
    vocab_size: int = 50280,
    width: int = 768,
    num_layers: int = 24,
    state_size: int = 16,
    expand: int = 2,
    conv_size: int = 4,
) -> Graph:
    """Causal language model of selective scans."""
    b, x, table = _start(name, batch, seq_len, vocab_size, width)
    for i in range(num_layers):
        with b.scope(f"backbone.layers.{i}"):
            y = norm(b, x, "rms", path="norm")
            with b.scope("mixer"):
                y = _mixer(b, y, inner=expand * width, states=state_size, taps=conv_size)
            x = add(b, x, y, path="add")
    return _finish(b, x, table)


def _start(name: str, batch: int, seq_len: int, vocab_size: int, width: int) -> tuple[GraphBuilder, str, str]:
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, seq_len=seq_len)
    table = b.weight((vocab_size, width), name="backbone.embeddings.weight")
    x = b.add("embedding", [table, b.input("input_ids", (batch, seq_len), "int64")], path="backbone.embeddings", dtype="fp32")
    return b, x, table


def _finish(b: GraphBuilder, x: str, table: str) -> Graph:
    return b.finish([b.add("linear", [norm(b, x, "rms", path="backbone.norm_f"), table], path="lm_head")])


def _causal_conv(b: GraphBuilder, x: str, taps: int) -> str:
    """Depthwise over time, (batch, channels, length) to the same."""
    _batch, channels, _length = b.shape(x)
    with b.scope("conv1d"):
        weights = [b.weight((channels, 1, taps)), b.weight((channels,), name="bias")]
        y = b.add("conv", [x, *weights], padding=((taps - 1, 0),), groups=channels)
    return act(b, y, "silu", path="act")


def _mixer(b: GraphBuilder, x: str, *, inner: int, states: int, taps: int) -> str:
    _batch, _length, width = b.shape(x)
    rank = -(-width // 16)
    both = b.add("transpose", [linear(b, x, 2 * inner, path="in_proj", bias=False)], perm=(0, 2, 1))
    x, gate = b.add_many("split", [both], sizes=(inner, inner), axis=1)
    x = _causal_conv(b, x, taps)
    flat = linear(b, b.add("transpose", [x], perm=(0, 2, 1)), rank + 2 * states, path="x_proj", bias=False)
    step, key, read = b.add_many("split", [flat], sizes=(rank, states, states))
    delta = act(b, linear(b, step, inner, path="dt_proj"), "softplus", path="dt_proj")
    operands = [b.add("transpose", [t], perm=(0, 2, 1)) for t in (delta, key, read)]
    decay, skip = b.weight((inner, states), name="A_log"), b.weight((inner,), name="D")
    y = b.add("selective_scan", [x, operands[0], decay, operands[1], operands[2], skip], path="scan")
    y = b.add("transpose", [mul(b, y, act(b, gate, "silu", path="gate"), path="gate")], perm=(0, 2, 1))
    return linear(b, y, width, path="out_proj", bias=False)


@model("mamba2_130m", family="mamba", summary="Mamba-2 130M, tied head", source=MAMBA2)
@model("mamba2_1_3b", family="mamba", summary="Mamba-2 1.3B, tied head", source=MAMBA2, width=2048, num_layers=48)
def mamba2(
    *,
    name: str = "mamba2",
    batch: int = 1,
    seq_len: int = 1024,
    vocab_size: int = 50288,
    width: int = 768,
    num_layers: int = 24,
    state_size: int = 128,
    head_size: int = 64,
    groups: int = 1,
    chunk: int = 256,
) -> Graph:
    """Causal language model of chunked state-space duals."""
    b, x, table = _start(name, batch, seq_len, vocab_size, width)
    for i in range(num_layers):
        with b.scope(f"backbone.layers.{i}"):
            y = norm(b, x, "rms", path="norm")
            with b.scope("mixer"):
                y = _mixer2(b, y, states=state_size, size=head_size, groups=groups, chunk=chunk)
            x = add(b, x, y, path="add")
    return _finish(b, x, table)


def _mixer2(b: GraphBuilder, x: str, *, states: int, size: int, groups: int, chunk: int) -> str:
    batch, length, width = b.shape(x)
    inner, count = 2 * width, 2 * width // size
    mixed = inner + 2 * groups * states
    flat = linear(b, x, inner + mixed + count, path="in_proj", bias=False)
    gate, xbc, step = b.add_many("split", [flat], sizes=(inner, mixed, count))
    xbc = _causal_conv(b, b.add("transpose", [xbc], perm=(0, 2, 1)), 4)
    value, key, read = b.add_many("split", [b.add("transpose", [xbc], perm=(0, 2, 1))], sizes=(inner, groups * states, groups * states))
    step = act(b, add(b, step, b.weight((count,), name="dt_bias"), path="dt"), "softplus", path="dt")
    value = b.add("reshape", [value], shape=(batch, length, count, size))
    key, read = (b.add("reshape", [t], shape=(batch, length, groups, states)) for t in (key, read))
    decay, skip = b.weight((count,), name="A_log"), b.weight((count,), name="D")
    y = b.add("ssd", [value, step, decay, key, read, skip], chunk=min(chunk, length), path="ssd")
    y = mul(b, b.add("reshape", [y], shape=(batch, length, inner)), act(b, gate, "silu", path="gate"), path="gate")
    return linear(b, norm(b, y, "rms", path="norm"), width, path="out_proj", bias=False)
