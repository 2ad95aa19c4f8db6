"""BERT and GPT-2."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, heads, linear, merged, norm
from hwsim.zoo.registry import model

BERT = "Devlin et al. 2019, BERT, arXiv:1810.04805"
GPT2 = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners"


@model("bert_base", family="bert", summary="BERT-base encoder with pooler", source=BERT)
@model("bert_large", family="bert", summary="BERT-large encoder with pooler", source=BERT, width=1024, num_layers=24, num_heads=16)
def bert(
    *,
    name: str = "bert",
    batch: int = 1,
    seq_len: int = 128,
    vocab_size: int = 30522,
    width: int = 768,
    num_layers: int = 12,
    num_heads: int = 12,
    max_positions: int = 512,
) -> Graph:
    """BERT as transformers' BertModel; `seq_len` tokens a sample."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, seq_len=seq_len)
    ids = b.input("input_ids", (batch, seq_len), "int64")
    with b.scope("embeddings"):
        x = b.add("embedding", [b.weight((vocab_size, width), name="word_embeddings.weight"), ids], path="word_embeddings", dtype="fp32")
        segments = b.constant((batch, seq_len), "int64", name="token_type_ids")
        table = b.weight((2, width), name="token_type_embeddings.weight")
        x = add(b, x, b.add("embedding", [table, segments], path="token_type_embeddings", dtype="fp32"), path="add")
        positions = b.constant((1, seq_len), "int64", name="position_ids")
        table = b.weight((max_positions, width), name="position_embeddings.weight")
        x = add(b, x, b.add("embedding", [table, positions], path="position_embeddings", dtype="fp32"), path="add")
        x = norm(b, x, "layer", path="LayerNorm")
    for i in range(num_layers):
        with b.scope(f"encoder.layer.{i}"):
            x = _bert_layer(b, x, num_heads=num_heads)
    first = b.add("reshape", [b.add("slice", [x], shape=(batch, 1, width), path="pooler")], shape=(batch, width), path="pooler")
    return b.finish([x, act(b, linear(b, first, width, path="pooler.dense"), "tanh", path="pooler.activation")])


def _bert_layer(b: GraphBuilder, x: str, *, num_heads: int) -> str:
    width = b.shape(x)[-1]
    with b.scope("attention"):
        q, k, v = (heads(b, linear(b, x, width, path=f"self.{n}"), num_heads, path="self") for n in ("query", "key", "value"))
        y = linear(b, merged(b, b.add("attention", [q, k, v], path="self.sdpa"), path="self"), width, path="output.dense")
        x = norm(b, add(b, y, x, path="output.add"), "layer", path="output.LayerNorm")
    y = act(b, linear(b, x, 4 * width, path="intermediate.dense"), "gelu", path="intermediate.act")
    y = linear(b, y, width, path="output.dense")
    return norm(b, add(b, y, x, path="output.add"), "layer", path="output.LayerNorm")


@model("gpt2", family="gpt2", summary="GPT-2 small, 124 M", source=GPT2)
@model("gpt2_medium", family="gpt2", summary="GPT-2 medium", source=GPT2, width=1024, num_layers=24, num_heads=16)
@model("gpt2_large", family="gpt2", summary="GPT-2 large", source=GPT2, width=1280, num_layers=36, num_heads=20)
@model("gpt2_xl", family="gpt2", summary="GPT-2 XL", source=GPT2, width=1600, num_layers=48, num_heads=25)
def gpt2(
    *,
    name: str = "gpt2",
    batch: int = 1,
    seq_len: int = 1024,
    vocab_size: int = 50257,
    width: int = 768,
    num_layers: int = 12,
    num_heads: int = 12,
    max_positions: int = 1024,
) -> Graph:
    """GPT-2 with its tied head, logits of every position."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, seq_len=seq_len)
    table = b.weight((vocab_size, width), name="transformer.wte.weight")
    x = b.add("embedding", [table, b.input("input_ids", (batch, seq_len), "int64")], path="transformer.wte", dtype="fp32")
    positions = b.constant((1, seq_len), "int64", name="position_ids")
    where = b.add(
        "embedding", [b.weight((max_positions, width), name="transformer.wpe.weight"), positions], path="transformer.wpe", dtype="fp32"
    )
    x = add(b, x, where, path="transformer.add")
    for i in range(num_layers):
        with b.scope(f"transformer.h.{i}"):
            x = _gpt2_layer(b, x, num_heads=num_heads)
    x = norm(b, x, "layer", path="transformer.ln_f")
    return b.finish([b.add("linear", [x, table], path="lm_head")])


def _gpt2_layer(b: GraphBuilder, x: str, *, num_heads: int) -> str:
    width = b.shape(x)[-1]
    qkv = linear(b, norm(b, x, "layer", path="ln_1"), 3 * width, path="attn.c_attn")
    parts = b.add_many("split", [qkv], sizes=(width, width, width), path="attn")
    q, k, v = (heads(b, p, num_heads, path="attn") for p in parts)
    y = b.add("attention", [q, k, v], causal=True, cached=True, path="attn.sdpa")
    x = add(b, x, linear(b, merged(b, y, path="attn"), width, path="attn.c_proj"), path="add1")
    y = act(b, linear(b, norm(b, x, "layer", path="ln_2"), 4 * width, path="mlp.c_fc"), "gelu_tanh", path="mlp.act")
    return add(b, x, linear(b, y, width, path="mlp.c_proj"), path="add2")
