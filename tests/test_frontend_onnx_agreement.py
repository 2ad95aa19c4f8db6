"""The same network by way of ONNX and by way of torch.export: equal work and equal parameters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hwsim.frontends.onnx import FRONTEND


def text_model(name: str) -> Any:
    transformers = pytest.importorskip("hwsim.frontends.torch.huggingface").import_transformers()
    small = {"vocab_size": 100, "bos_token_id": 0, "eos_token_id": 0}
    if name == "bert":
        config = transformers.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=100)
        return transformers.BertModel(config)
    if name == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, use_cache=False, **small))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(use_cache=False, **sizes, **small))


def image_model(name: str) -> tuple[Any, tuple[int, ...]]:
    """A timm model and the shape of its input."""
    created = pytest.importorskip("hwsim.frontends.torch.timm_models").import_timm().create_model(name)
    return created, (1, *created.default_cfg["input_size"])


def exported(network: Any, inputs: Any, path: Path, **options: Any) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    given = {"kwargs": inputs} if isinstance(inputs, dict) else {"args": inputs}
    torch.onnx.export(network, **given, f=str(path), dynamo=True, opset_version=20, verbose=False, external_data=False, **options)
    return path


def agree(network: Any, inputs: Any, path: Path) -> None:
    torch_frontend = pytest.importorskip("hwsim.frontends.torch").FRONTEND
    ours = FRONTEND.load(exported(network, inputs, path, optimize=False))
    theirs = torch_frontend.load(network, inputs=inputs, batch=None, seq_len=None, dims={}, allow_unsupported=False)
    assert (ours.macs, ours.parameters) == (theirs.macs, theirs.parameters)
    count = [Counter(n.kind for n in g.nodes) for g in (ours, theirs)]
    for kind in ("linear", "conv", "matmul", "attention", "embedding"):
        assert count[0][kind] == count[1][kind]
    assert ours.parameters == sum(p.numel() for p in network.parameters())


quiet = pytest.mark.filterwarnings("ignore")


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_text_models_agree_with_torch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    inputs = {"input_ids": torch.zeros(2, 12, dtype=torch.int64)}
    agree(text_model(name).eval(), inputs, tmp_path / "model.onnx")


@quiet
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "resnet18" else [pytest.mark.slow])
        for name in (
            "resnet18",
            "mobilenetv3_small_050",
            "vit_tiny_patch16_224",
            "swin_tiny_patch4_window7_224",
            "convnext_atto",
            "efficientformer_l1",
        )
    ],
)
def test_image_models_agree_with_torch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network, shape = image_model(name)
    agree(network.eval(), (torch.zeros(*shape),), tmp_path / "model.onnx")


@quiet
def test_what_the_exporter_left_out_is_noted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).eval()
    nn.init.zeros_(network[4].bias)
    graph = FRONTEND.load(exported(network, (torch.zeros(1, 3, 8, 8),), tmp_path / "model.onnx"))
    assert graph.attrs["source_parameters"] == sum(p.numel() for p in network.parameters())
    note = "the exporter folded 1 batch norm(s) and dropped 1 zero bias(es): the source model has 26 parameters more"
    assert graph.attrs["notes"] == (note,)
