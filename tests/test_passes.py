"""Passes: what they change, and what they leave."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.passes.autocast import Autocast
from hwsim.passes.dead import DropDead
from hwsim.passes.fold_batch_norm import FoldBatchNorm
from hwsim.passes.kv_cache import WithKvCache
from hwsim.passes.precision import CastPrecision

LLAMA = "llama3_2_1b?num_layers=2&vocab_size=1000"


def test_half_precision_halves_the_bytes() -> None:
    graph = hwsim.load("resnet18")
    half = CastPrecision("fp16")(graph)
    assert half.weight_b == graph.weight_b / 2
    assert (half.macs, half.parameters) == (graph.macs, graph.parameters)


def test_weights_alone() -> None:
    graph = CastPrecision("bf16", weights="int4")(hwsim.load(LLAMA, seq_len=8))
    formats = {len(t.shape): t.dtype.name for t in graph.weights}
    assert formats == {1: "bf16", 2: "int4"}


def test_integers_stay() -> None:
    graph = CastPrecision("fp16")(hwsim.load("bert_base", seq_len=8))
    assert graph.tensors["input_ids"].dtype.name == "int64"


def test_autocast_is_pytorchs() -> None:
    graph = Autocast("fp16")(hwsim.load("vit_ti16"))
    formats = {n.path.split(".")[-1]: graph.tensors[n.outputs[0]].dtype.name for n in graph.nodes}
    assert formats["norm1"] == "fp32"
    assert formats["qkv"] == formats["sdpa"] == "fp16"
    assert formats["add1"] == "fp32"
    assert any(n.kind == "cast" for n in graph.nodes)
    assert graph.macs == hwsim.load("vit_ti16").macs


def test_folded_batch_norm_leaves_a_bias() -> None:
    graph = hwsim.load("resnet18")
    folded = FoldBatchNorm()(graph)
    assert not any(n.kind == "norm" for n in folded.nodes)
    assert folded.macs == graph.macs
    channels = sum(graph.tensors[n.outputs[0]].shape[1] for n in graph.nodes if n.kind == "norm")
    assert folded.parameters == graph.parameters - channels


def test_cache_of_a_decode_step() -> None:
    graph = WithKvCache(kv_len=99)(hwsim.load(LLAMA, seq_len=1, batch=3))
    layers, heads, size = 2, 8, 64
    assert graph.state_b == 3 * layers * 2 * heads * size * 100 * 4
    with pytest.raises(InputError, match=r"^kv_len -1; expected 0 or more$"):
        WithKvCache(kv_len=-1)(graph)


def test_a_window_bounds_the_cache() -> None:
    graph = WithKvCache(kv_len=32768)(hwsim.load("mistral_7b?num_layers=1", seq_len=1))
    attention = next(n for n in graph.nodes if n.kind == "attention")
    assert attention.attrs["kv_len"] == 4095


def test_dead_nodes_go_and_parameters_stay() -> None:
    b = hwsim.GraphBuilder("g")
    x = b.input("x", (1, 4))
    live = b.add("activation", [x], fn="relu", path="live")
    b.add("linear", [x, b.weight((8, 4))], path="dead")
    graph = DropDead()(b.finish([live]))
    assert [n.path for n in graph.nodes] == ["live"]
    assert graph.parameters == 32
