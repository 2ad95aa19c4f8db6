"""Llama and its relatives: RMS norm, rotary positions, grouped keys, gated MLP."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, heads, linear, merged, mul, norm
from hwsim.zoo.registry import model

LLAMA2 = "Touvron et al. 2023, Llama 2, arXiv:2307.09288"
LLAMA3 = "Grattafiori et al. 2024, The Llama 3 Herd of Models, arXiv:2407.21783"
MISTRAL = "Jiang et al. 2023, Mistral 7B, arXiv:2310.06825"
QWEN = "Qwen Team 2024, Qwen2.5 Technical Report, arXiv:2412.15115"


@model("llama2_7b", family="llama", summary="Llama 2 7B", source=LLAMA2, vocab_size=32000, hidden=11008, num_kv_heads=32)
@model(
    "llama2_13b",
    family="llama",
    summary="Llama 2 13B",
    source=LLAMA2,
    vocab_size=32000,
    hidden=13824,
    num_kv_heads=40,
    num_heads=40,
    width=5120,
    num_layers=40,
)
@model("llama3_8b", family="llama", summary="Llama 3 8B", source=LLAMA3)
@model("llama3_70b", family="llama", summary="Llama 3 70B", source=LLAMA3, width=8192, num_layers=80, num_heads=64, hidden=28672)
@model("llama3_2_1b", family="llama", summary="Llama 3.2 1B, tied head", source=LLAMA3, width=2048, num_layers=16, hidden=8192, tied=True)
@model("mistral_7b", family="llama", summary="Mistral 7B v0.1, sliding window", source=MISTRAL, vocab_size=32000, window=4096)
@model(
    "qwen2_5_7b",
    family="llama",
    summary="Qwen2.5 7B",
    source=QWEN,
    vocab_size=152064,
    width=3584,
    num_layers=28,
    num_heads=28,
    num_kv_heads=4,
    hidden=18944,
    qkv_bias=True,
)
def llama(
    *,
    name: str = "llama",
    batch: int = 1,
    seq_len: int = 1024,
    vocab_size: int = 128256,
    width: int = 4096,
    num_layers: int = 32,
    num_heads: int = 32,
    num_kv_heads: int = 8,
    hidden: int = 14336,
    window: int | None = None,
    tied: bool = False,
    qkv_bias: bool = False,
) -> Graph:
    """Causal language model, logits of every position."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, seq_len=seq_len)
    table = b.weight((vocab_size, width), name="model.embed_tokens.weight")
    x = b.add("embedding", [table, b.input("input_ids", (batch, seq_len), "int64")], path="model.embed_tokens", dtype="fp32")
    angles = [b.constant((1, 1, seq_len, width // num_heads), name=f"rotary.{f}") for f in ("cos", "sin")]
    for i in range(num_layers):
        with b.scope(f"model.layers.{i}"):
            with b.scope("self_attn"):
                y = norm(b, x, "rms", path="input_layernorm")
                y = _attention(b, y, angles, num_heads=num_heads, num_kv_heads=num_kv_heads, window=window, bias=qkv_bias)
            x = add(b, x, y, path="add1")
            with b.scope("mlp"):
                y = _gated_mlp(b, norm(b, x, "rms", path="post_attention_layernorm"), hidden)
            x = add(b, x, y, path="add2")
    x = norm(b, x, "rms", path="model.norm")
    return b.finish([b.add("linear", [x, table], path="lm_head") if tied else linear(b, x, vocab_size, path="lm_head", bias=False)])


def _attention(b: GraphBuilder, x: str, angles: list[str], *, num_heads: int, num_kv_heads: int, window: int | None, bias: bool) -> str:
    width = b.shape(x)[-1]
    size = width // num_heads
    q = heads(b, linear(b, x, width, path="q_proj", bias=bias), num_heads)
    k, v = (heads(b, linear(b, x, num_kv_heads * size, path=f"{n}_proj", bias=bias), num_kv_heads) for n in "kv")
    q, k = (_rotated(b, t, angles) for t in (q, k))
    y = b.add("attention", [q, k, v], causal=True, cached=True, window=window, path="sdpa")
    return linear(b, merged(b, y), width, path="o_proj", bias=False)


def _rotated(b: GraphBuilder, x: str, angles: list[str]) -> str:
    """x cos + rotate_half(x) sin."""
    half = b.shape(x)[-1] // 2
    first, second = b.add_many("split", [x], sizes=(half, half), path="rotary")
    turned = b.add("concat", [act(b, second, "neg", path="rotary"), first], axis=-1, path="rotary")
    return add(b, mul(b, x, angles[0], path="rotary"), mul(b, turned, angles[1], path="rotary"), path="rotary")


def _gated_mlp(b: GraphBuilder, x: str, hidden: int) -> str:
    gate = act(b, linear(b, x, hidden, path="gate_proj", bias=False), "silu", path="act_fn")
    y = mul(b, gate, linear(b, x, hidden, path="up_proj", bias=False), path="mul")
    return linear(b, y, b.shape(x)[-1], path="down_proj", bias=False)
