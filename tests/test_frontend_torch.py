"""The torch front end: conversion of single operators, attention, names, refusals."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from typing import Any, ClassVar

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from hwsim.errors import GraphError, InputError, UnknownName, UnsupportedOp  # noqa: E402
from hwsim.frontends.torch import FRONTEND  # noqa: E402
from hwsim.frontends.torch.einsum import explicit  # noqa: E402
from hwsim.frontends.torch.export import given  # noqa: E402
from hwsim.frontends.torch.rules import RULES, rule  # noqa: E402
from hwsim.graph import Graph  # noqa: E402
from hwsim.testing import FrontendCase  # noqa: E402


class Function(nn.Module):
    """A function with modules, as a module."""

    def __init__(self, function: Any, **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def load(source: Any, *, batch: int | None = None, seq_len: int | None = None, allow_unsupported: bool = False, **options: Any) -> Graph:
    return FRONTEND.load(source, batch=batch, seq_len=seq_len, dims={}, allow_unsupported=allow_unsupported, **options)


def traced(function: Any, *shapes: tuple[int, ...], **modules: Any) -> Graph:
    return load(Function(function, **modules), inputs=[torch.zeros(s) for s in shapes])


def kinds(graph: Graph) -> Counter[str]:
    return Counter(node.kind for node in graph.nodes)


def counted(function: Any, *shapes: tuple[int, ...]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function(None, *[torch.zeros(s) for s in shapes])
    return counter.get_total_flops() // 2


class TestConformance(FrontendCase):
    frontend = FRONTEND
    foreign: ClassVar = (object(), 3, None, "no-such-model", "no/such/file.xyz", "resnet50", "model.onnx", [1])

    @pytest.fixture
    def source(self) -> Any:
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
        net.default_cfg = {"input_size": (3, 16, 16)}
        return net.eval()

    @pytest.fixture
    def unsupported_source(self) -> Any:
        net = Function(lambda self, x: torch.special.bessel_j0(torch.special.airy_ai(x)))
        net.default_cfg = {"input_size": (3, 4, 4)}
        return net


class TestModules:
    def test_paths_and_weights_keep_their_names(self) -> None:
        net = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 2)))
        graph = load(net, inputs=(3, 4))
        assert [(n.kind, n.path) for n in graph.nodes] == [("linear", "0"), ("activation", "1.0"), ("linear", "1.1")]
        assert [t.name for t in graph.weights] == ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]
        assert graph.attrs["batch"] == 3

    def test_tied_weights_count_once(self) -> None:
        embed = nn.Embedding(10, 8)
        graph = load(
            Function(lambda m, x: F.linear(m.embed(x), m.embed.weight), embed=embed), inputs=[torch.zeros(2, 5, dtype=torch.int64)]
        )
        assert graph.parameters == 80

    def test_weights_under_two_names_count_once(self) -> None:
        a, b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        b.weight = a.weight
        graph = load(nn.Sequential(a, b), inputs=(1, 4))
        assert [t.name for t in graph.weights] == ["0.weight"]
        assert graph.macs == 32

    def test_unused_weights_count_too(self) -> None:
        graph = traced(lambda m, x: m.used(x), (2, 4), used=nn.Linear(4, 4), idle=nn.Linear(4, 7))
        assert graph.parameters == 20 + 35
        assert graph.macs == 32

    def test_running_statistics_are_no_parameters(self) -> None:
        graph = load(nn.BatchNorm2d(4), inputs=(1, 4, 2, 2))
        assert graph.parameters == 8
        assert len(graph.nodes[0].inputs) == 5

    def test_what_leads_nowhere_is_dropped(self) -> None:
        graph = traced(lambda m, x: (x.exp().sum(), x + 1)[1], (2, 2))
        assert kinds(graph) == {"elementwise": 1}

    def test_a_module_stays_as_it_was(self) -> None:
        net = nn.Sequential(nn.Dropout(), nn.Linear(4, 4))
        net[0].eval()
        graph = load(net, inputs=(1, 4))
        assert kinds(graph) == {"linear": 1}
        assert (net.training, net[0].training, net[1].training) == (True, False, True)

    def test_batch_resizes_given_inputs(self) -> None:
        net = Function(lambda m, x, w: x @ w)
        graph = load(net, batch=8, inputs=[(2, 3, 4), (4, 5)])
        assert graph.macs == 8 * 3 * 4 * 5

    def test_inputs_by_name(self) -> None:
        net = nn.Embedding(10, 4)
        assert load(net, inputs={"input": torch.zeros(2, 3, dtype=torch.int32)}).tensors["input"].shape == (2, 3)
        example = given({"input_ids": (1, 2), "attention_mask": (1, 2), "x": (1, 2)}, device=torch.device("meta"))
        assert [v.dtype for v in example.kwargs.values()] == [torch.int64, torch.bool, torch.float32]

    def test_an_exported_program(self) -> None:
        program = torch.export.export(nn.Linear(4, 2), (torch.zeros(3, 4),), strict=False)
        graph = load(program)
        assert (graph.parameters, graph.macs, graph.attrs["batch"]) == (10, 24, 3)
        with pytest.raises(InputError, match="exported for batch 3, found batch=5"):
            load(program, batch=5)

    def test_graphs_can_be_pickled(self) -> None:
        graph = load(nn.Linear(4, 2), inputs=(1, 4))
        assert pickle.loads(pickle.dumps(graph)) == graph

    def test_low_precision_is_kept(self) -> None:
        net = nn.Linear(4, 2).to(torch.bfloat16)
        graph = load(net, inputs=[torch.zeros(1, 4, dtype=torch.bfloat16)])
        assert {t.dtype.name for t in graph.tensors.values()} == {"bf16"}


class TestRefusals:
    @pytest.mark.parametrize("name", ["model.pt", "a/b.pth", "net.pkl", "net.pt2", "x.ckpt"])
    def test_pickles(self, name: str) -> None:
        assert FRONTEND.accepts(name)
        with pytest.raises(InputError) as error:
            load(name)
        assert str(error.value) == (
            f"{name!r} is a pickle or an archive that may hold one, and reading it can run any code; nothing was read or executed. "
            "Expected a live module, an exported program, a `timm:`, `torchvision:` or `hf:` name, or an ONNX file: "
            "load the file yourself and pass the module to hwsim.load."
        )

    def test_no_inputs(self) -> None:
        with pytest.raises(InputError, match=r"Linear: nothing says what it is called with. Pass inputs=\(1, 3, 224, 224\)"):
            load(nn.Linear(4, 2))

    def test_inputs_that_are_none(self) -> None:
        with pytest.raises(InputError, match="expected a tensor or a shape of integers"):
            load(nn.Linear(4, 2), inputs=["x"])

    def test_control_flow_on_data(self) -> None:
        with pytest.raises(InputError, match="torch.export cannot capture it"):
            traced(lambda m, x: x if x.sum() > 0 else -x, (2,))

    def test_every_missing_rule_is_listed(self) -> None:
        with pytest.raises(UnsupportedOp) as error:
            traced(lambda m, x: torch.special.bessel_j0(x) + torch.special.bessel_j1(m.act(x)), (2,), act=nn.ReLU())
        assert [name for _, name in error.value.operators] == ["aten.special_bessel_j0.default", "aten.special_bessel_j1.default"]

    def test_two_rules_for_one_operator(self) -> None:
        with pytest.raises(Exception, match="'relu' has two rules"):
            rule("relu")(RULES["relu"])


EINSUMS = {
    "bik,bjk->bij": [(2, 3, 5), (2, 4, 5)],
    "bhwc,hkc->bhwk": [(2, 3, 4, 5), (3, 6, 5)],
    "...ij,jk->...ik": [(2, 3, 4, 5), (5, 6)],
    "bi,ij,bj->b": [(2, 3), (3, 4), (2, 4)],
    "bij,bj->bij": [(2, 3, 4), (2, 4)],
    "bij->bj": [(2, 3, 4)],
    "bnd,d": [(2, 3, 4), (4,)],
    "nd,ne->de": [(7, 3), (7, 4)],
    "i,j->ji": [(3,), (4,)],
}


class TestOperators:
    @pytest.mark.parametrize("equation", EINSUMS)
    def test_einsum_does_what_torch_does(self, equation: str) -> None:
        def function(module: Any, *tensors: Any) -> Any:
            return torch.einsum(equation, *tensors)

        graph = traced(function, *EINSUMS[equation])
        assert graph.macs == counted(function, *EINSUMS[equation])

    def test_einsum_with_a_diagonal(self) -> None:
        with pytest.raises(GraphError, match="without repeated letters"):
            explicit("ii->i", [2])

    def test_in_place_writes_into_views_reach_the_reader(self) -> None:
        def function(m: Any, x: Any) -> Any:
            y = x * 1
            y[:, :2] = x[:, 2:]
            y[..., 0].mul_(2)
            y.view(2, -1).add_(1)
            return y

        found = kinds(traced(function, (2, 4, 6)))
        assert found["elementwise"] == 3
        assert found["scatter"] == 2
        assert found["copy"] == 1

    def test_in_place_on_results(self) -> None:
        graph = traced(lambda m, x: F.relu_(m.fc(x)).add_(1), (2, 4), fc=nn.Linear(4, 4))
        assert [n.kind for n in graph.nodes] == ["linear", "activation", "elementwise"]

    def test_reshape_copies_where_strides_demand(self) -> None:
        assert kinds(traced(lambda m, x: x.transpose(0, 1).reshape(-1), (2, 3))) == {"transpose": 1, "copy": 1, "reshape": 1}
        assert kinds(traced(lambda m, x: x.reshape(-1), (2, 3))) == {"reshape": 1}

    def test_padding_that_cuts(self) -> None:
        graph = traced(lambda m, x: F.pad(x, (1, -1, 0, 2)), (1, 1, 6, 6))
        assert kinds(graph) == {"slice": 1, "pad": 1}
        assert graph.tensors[graph.outputs[0]].shape == (1, 1, 8, 6)

    def test_recurrent_layers(self) -> None:
        graph = traced(lambda m, x: m.rnn(x)[0], (7, 2, 16), rnn=nn.LSTM(16, 32, 2, bidirectional=True))
        assert kinds(graph) == {"recurrent": 4, "concat": 2, "transpose": 2}
        assert graph.macs == 14 * 2 * (128 * 16 + 128 * 32) + 14 * 2 * (128 * 64 + 128 * 32)
        assert graph.tensors[graph.outputs[0]].shape == (7, 2, 64)

    def test_fourier_transforms(self) -> None:
        def function(m: Any, x: Any) -> Any:
            return torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho") * 2, s=(6, 6)) + torch.fft.fft2(x).real

        graph = traced(function, (2, 6, 6))
        assert [(n.attrs["axes"], n.attrs["real"], n.attrs["inverse"]) for n in graph.nodes if n.kind == "fft"] == [
            ((-2, -1), True, False),
            ((-2, -1), True, True),
            ((-2, -1), False, False),
        ]

    def test_experts_as_a_grouped_product(self) -> None:
        offsets = torch.tensor([2, 4, 6, 8], dtype=torch.int32)
        net = Function(lambda m, x, w: torch._grouped_mm(x, w, m.offsets), offsets=offsets)
        inputs = [torch.zeros(8, 16, dtype=torch.bfloat16), torch.zeros(4, 16, 32, dtype=torch.bfloat16)]
        assert load(net, inputs=inputs).macs == 8 * 16 * 32

    OTHERS: ClassVar = {
        "pools": lambda m, x: (
            F.adaptive_avg_pool2d(x, 2) + F.max_pool2d(x, 3, 2, 1, ceil_mode=True)[..., :2, :2] + F.avg_pool2d(x, 4)[..., :1]
        ),
        "resize": lambda m, x: F.interpolate(F.interpolate(x, scale_factor=2, mode="bilinear"), size=5, mode="bicubic"),
        "unfold": lambda m, x: F.fold(F.unfold(x, 3, padding=1), (8, 8), 3, padding=1),
        "shuffle": lambda m, x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2) + F.channel_shuffle(x, 2),
        "sorted": lambda m, x: x.sort(-1)[0] + x.topk(8)[0] + x.argsort(-1) + x.cumsum(-1) + torch.gather(x, -1, x.argsort(-1)),
        "reductions": lambda m, x: x.max(-1)[0] + x.max() + x.amax(-1) + torch.max(x, x * 2).mean((-1,)) + x.std(-1) + x.norm(dim=-1),
        "selection": lambda m, x: (
            torch.where(x > 0, x, -x).masked_fill(x > 1, 0) + torch.tril(x) + torch.stack([x, x]).sum(0) + x.roll(1, 0)
        ),
        "copies": lambda m, x: x.repeat(2, 1, 1, 1)[:1] + x.flip(0) + x.movedim(0, -1).movedim(-1, 0) + x.repeat_interleave(2, 0)[:1],
        "functions": lambda m, x: (
            F.hardswish(x) + F.gelu(x, approximate="tanh") + F.relu6(x) + x.pow(2) + x.clamp(0, 1) + F.softplus(x) + x**3
        ),
        "splits": lambda m, x: torch.cat([*x.chunk(2, 1), *x.split([1, 3], 1), *x.unbind(0)[0][None].tensor_split(2, 1)], 1),
        "made": lambda m, x: x + torch.arange(8) + torch.ones_like(x) + x.new_zeros(8) + torch.linspace(0, 1, 8) + torch.eye(8),
        "norms": lambda m, x: (
            F.layer_norm(x, (8,)) + F.group_norm(x, 2) + F.instance_norm(x) + F.normalize(x) + F.local_response_norm(x, 2)
        ),
        "complex": lambda m, x: torch.view_as_real(torch.view_as_complex(x.reshape(1, 4, 8, 4, 2)) * torch.polar(x[..., :4], x[..., 4:])),
        "products": lambda m, x: (
            torch.addmm(x[0, 0], x[0, 0], x[0, 0]) + torch.baddbmm(x[0], x[0], x[0]) + torch.tensordot(x, x, ([1, 3], [1, 3])).sum()
        ),
    }

    @pytest.mark.parametrize("name", OTHERS)
    def test_shapes_follow_torch(self, name: str) -> None:
        """The converter itself compares every result with the shape that torch found."""
        graph = traced(self.OTHERS[name], (1, 4, 8, 8))
        assert graph.macs == counted(self.OTHERS[name], (1, 4, 8, 8))


class TestAttention:
    def attention(self, function: Any, *shapes: tuple[int, ...]) -> tuple[Graph, Any]:
        graph = traced(function, *shapes)
        (node,) = [n for n in graph.nodes if n.kind == "attention"]
        return graph, node

    def test_one_node_and_causal_keeps_a_cache(self) -> None:
        graph, node = self.attention(lambda m, q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (2, 4, 5, 8))
        assert node.attrs == {"causal": True, "window": None, "kv_len": 0, "cached": True}
        assert graph.macs == 2 * 2 * 4 * 5 * 5 * 8

    @pytest.mark.parametrize("shape", [(4, 5, 8), (5, 8), (2, 3, 4, 5, 8)])
    def test_other_ranks(self, shape: tuple[int, ...]) -> None:
        graph, _ = self.attention(lambda m, q: F.scaled_dot_product_attention(q, q, q), shape)
        assert graph.macs == 2 * math.prod(shape) * 5

    def test_grouped_queries(self) -> None:
        graph, node = self.attention(lambda m, q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True), (2, 8, 5, 16), (2, 2, 5, 16))
        assert [graph.tensors[n].shape[1] for n in node.inputs] == [8, 2, 2]

    def test_repeated_heads_become_groups(self) -> None:
        def function(m: Any, q: Any, k: Any) -> Any:
            k = k[:, :, None].expand(2, 2, 4, 5, 16).reshape(2, 8, 5, 16)
            return F.scaled_dot_product_attention(q, k, k)

        graph, node = self.attention(function, (2, 8, 5, 16), (2, 2, 5, 16))
        assert [graph.tensors[n].shape[1] for n in node.inputs] == [8, 2, 2]
        assert not kinds(graph)["copy"]

    def test_a_mask_is_the_fourth_operand(self) -> None:
        graph, node = self.attention(lambda m, q, b: F.scaled_dot_product_attention(q, q, q, attn_mask=b), (2, 4, 5, 8), (4, 5, 5))
        assert graph.tensors[node.inputs[3]].shape == (4, 5, 5)

    def test_written_out_by_hand(self) -> None:
        def function(m: Any, q: Any, b: Any) -> Any:
            return (q @ q.transpose(-2, -1) * 0.3 + b).softmax(-1) @ q

        graph, node = self.attention(function, (2, 4, 5, 8), (4, 5, 5))
        assert len(node.inputs) == 4
        assert graph.macs == counted(function, (2, 4, 5, 8), (4, 5, 5))

    @pytest.mark.parametrize("weights", [False, True])
    def test_torchs_own_layer(self, weights: bool) -> None:
        layer = nn.MultiheadAttention(64, 4, batch_first=True)
        graph = traced(lambda m, x: m.layer(x, x, x, need_weights=weights)[0], (2, 10, 64), layer=layer)
        assert kinds(graph)["attention"] == 1
        assert graph.macs == 20 * 64 * 64 * 4 + 2 * 2 * 10 * 10 * 64


class TestTimm:
    @pytest.fixture(autouse=True)
    def _needs_timm(self) -> None:
        pytest.importorskip("hwsim.frontends.torch.timm_models").import_timm()

    def test_a_name(self) -> None:
        graph = load("timm:resnet18", batch=2)
        assert (graph.parameters, graph.macs) == (11_689_512, 2 * 1_814_073_344)
        assert graph.attrs == {"source": "timm:resnet18", "batch": 2, "img_size": 224}
        assert graph.nodes[0].path == "conv1"

    def test_options(self) -> None:
        graph = load("timm:vit_tiny_patch16_224?img_size=96&num_classes=10")
        assert graph.tensors[graph.outputs[0]].shape == (1, 10)
        assert graph.attrs["img_size"] == 96
        assert kinds(graph)["attention"] == 12

    def test_unknown(self) -> None:
        with pytest.raises(UnknownName, match="unknown timm model 'resnet5'. Did you mean 'resnet50'"):
            load("timm:resnet5")
        with pytest.raises(InputError, match="cannot be built with {'no_such': 1}"):
            load("timm:resnet18?no_such=1")
        with pytest.raises(InputError, match="option 'deep' has no value"):
            load("timm:resnet18?deep")


class TestHuggingFace:
    @pytest.fixture(autouse=True)
    def _needs_transformers(self) -> None:
        pytest.importorskip("transformers")

    def test_a_language_model_keeps_a_cache(self) -> None:
        graph = load(
            "hf:LlamaConfig?hidden_size=64&num_hidden_layers=2&num_attention_heads=4&num_key_value_heads=2&head=causal_lm", seq_len=16
        )
        nodes = [n for n in graph.nodes if n.kind == "attention"]
        assert [(n.path, n.attrs["causal"], n.attrs["cached"], len(n.inputs)) for n in nodes] == [
            (f"model.layers.{i}.self_attn", True, True, 3) for i in (0, 1)
        ]
        assert graph.state_b == 2 * 16 * 2 * 2 * 16 * 4
        assert graph.attrs["seq_len"] == 16

    def test_one_token_is_still_attention(self) -> None:
        graph = load("hf:gpt2?n_layer=2", seq_len=1, batch=3)
        assert kinds(graph)["attention"] == 2
        assert all(n.attrs["cached"] for n in graph.nodes if n.kind == "attention")
        assert graph.attrs["batch"] == 3

    def test_a_sliding_window(self) -> None:
        graph = load(
            "hf:mistral-7b?num_hidden_layers=1&sliding_window=32&hidden_size=64&num_attention_heads=4&num_key_value_heads=2", seq_len=64
        )
        assert [n.attrs["window"] for n in graph.nodes if n.kind == "attention"] == [32]

    def test_an_encoder_keeps_none(self) -> None:
        graph = load("hf:bert-base-uncased?num_hidden_layers=1")
        assert graph.state_b == 0
        assert graph.attrs["seq_len"] == 128

    def test_encoder_and_decoder(self) -> None:
        graph = load("hf:t5-small?num_layers=1&num_decoder_layers=1", seq_len=8)
        assert [(n.attrs["causal"], n.path) for n in graph.nodes if n.kind == "attention"] == [
            (False, "encoder.block.0.layer.0.SelfAttention"),
            (True, "decoder.block.0.layer.0.SelfAttention"),
            (False, "decoder.block.0.layer.1.EncDecAttention"),
        ]

    @pytest.mark.parametrize(
        ("name", "kind"), [("mamba-130m?num_hidden_layers=2", "selective_scan"), ("mamba2-130m?num_hidden_layers=2", "ssd")]
    )
    def test_scans_are_one_node(self, name: str, kind: str) -> None:
        graph = load(f"hf:{name}", seq_len=32)
        assert kinds(graph)[kind] == 2
        assert len(graph.nodes) < 120
        assert kinds(load(f"hf:{name}", seq_len=32, scans="unrolled"))[kind] == 0

    def test_experts(self) -> None:
        small = "hidden_size=64&intermediate_size=128&num_hidden_layers=1&num_attention_heads=4&num_key_value_heads=2&vocab_size=100"
        graph = load(f"hf:mixtral-8x7b?{small}", seq_len=16)
        assert sum(w.macs for n, w in zip(graph.nodes, graph.work, strict=True) if n.path.endswith("experts")) == 16 * 2 * 64 * 128 * 3

    def test_a_live_model(self) -> None:
        from transformers import BertConfig, BertModel

        model = BertModel(BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=50))
        graph = load(model, batch=2, seq_len=8)
        assert graph.parameters == sum(p.numel() for p in model.parameters())
        assert (graph.name, graph.attrs["batch"], graph.attrs["seq_len"]) == ("BertModel", 2, 8)

    def test_organisations_and_variants_of_a_name(self) -> None:
        graph = load(
            "hf:meta-llama/Llama-2-7b-chat-hf?num_hidden_layers=1&hidden_size=64&num_attention_heads=4&intermediate_size=64", seq_len=4
        )
        assert kinds(graph)["attention"] == 1

    def test_unknown(self) -> None:
        with pytest.raises(UnknownName, match="unknown transformers checkpoint or configuration class 'bert-bas-uncased'. Did you mean"):
            load("hf:bert-bas-uncased")
        with pytest.raises(UnknownName, match="unknown option of LlamaConfig 'hiden_size'. Did you mean 'hidden_size'"):
            load("hf:LlamaConfig?hiden_size=3")
        with pytest.raises(UnknownName, match="unknown head 'lm'"):
            load("hf:LlamaConfig?head=lm")
        with pytest.raises(InputError, match="transformers cannot build it with head 'causal_lm'"):
            load("hf:ViTConfig?head=causal_lm")
