"""The zoo: published parameter counts, and agreement with timm and transformers."""

from __future__ import annotations

import importlib.util

import pytest

import hwsim
from hwsim.errors import InputError, UnknownName
from hwsim.zoo import info, names

PUBLISHED = {
    "resnet18": 11_689_512,  # timm, torchvision
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "mobilenet_v2": 3_504_872,
    "vit_ti16": 5_717_416,
    "vit_s16": 22_050_664,
    "vit_b16": 86_567_656,
    "vit_l16": 304_326_632,
    "bert_base": 109_482_240,  # transformers, BertModel
    "bert_large": 335_141_888,
    "gpt2": 124_439_808,  # transformers, GPT2LMHeadModel
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
    "llama2_7b": 6_738_415_616,  # model cards
    "llama2_13b": 13_015_864_320,
    "llama3_8b": 8_030_261_248,
    "llama3_70b": 70_553_706_496,
    "llama3_2_1b": 1_235_814_400,
    "mistral_7b": 7_241_732_096,
    "qwen2_5_7b": 7_615_616_512,
    "mamba_130m": 129_135_360,  # state-spaces/mamba-130m
    "jet_tagger": 4_389,
    "lenet5": 61_706,
}
TWINS = {
    "resnet18": "timm:resnet18",
    "resnet50": "timm:resnet50",
    "mobilenet_v2": "timm:mobilenetv2_100",
    "vit_b16": "timm:vit_base_patch16_224",
}
LANGUAGE_TWINS = {
    "bert_base": "hf:bert-base-uncased",
    "gpt2": "hf:gpt2",
    "llama3_8b?num_layers=2": (
        "hf:LlamaConfig?num_hidden_layers=2&vocab_size=128256&num_key_value_heads=8&intermediate_size=14336&head=causal_lm"
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name: str) -> None:
    assert hwsim.load(name).parameters == PUBLISHED[name]


@pytest.mark.parametrize("name", names())
def test_every_model_has_facts(name: str) -> None:
    model = info(name)
    assert model.summary
    assert model.source
    assert model.options["batch"] == 1


@pytest.mark.parametrize("name", TWINS)
def test_images_agree_with_timm(name: str) -> None:
    pytest.importorskip("torch")
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    ours, theirs = hwsim.load(name, batch=2), hwsim.load(TWINS[name], batch=2)
    assert (ours.parameters, ours.macs) == (theirs.parameters, theirs.macs)


@pytest.mark.parametrize("name", LANGUAGE_TWINS)
def test_language_agrees_with_transformers(name: str) -> None:
    pytest.importorskip("transformers")
    ours, theirs = (hwsim.load(n, batch=2, seq_len=64) for n in (name, LANGUAGE_TWINS[name]))
    assert (ours.parameters, ours.macs) == (theirs.parameters, theirs.macs)


def test_macs_scale_with_the_batch() -> None:
    assert hwsim.load("resnet18", batch=6).macs == 6 * hwsim.load("resnet18").macs


def test_options_of_a_name() -> None:
    assert hwsim.load("zoo:llama3_8b?num_layers=1&vocab_size=1000", seq_len=8).parameters == 226_308_096
    assert hwsim.load("jet_tagger?widths=8,8").parameters == 16 * 8 + 8 + 8 * 8 + 8 + 8 * 5 + 5


@pytest.mark.parametrize(
    "name,message",
    [
        ("resnet50?depth=3", "unknown option of resnet50: 'depth'. Did you mean 'depths' or 'width'"),
        ("resnet50?width=wide", "resnet50, option 'width': found 'wide'; expected a value like 64"),
        ("resnet50?width=0", "resnet50, option 'width': found '0'; expected 1 or more"),
        ("zoo:resnet51", "unknown zoo model 'resnet51'. Did you mean 'resnet"),
    ],
)
def test_wrong_options(name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        hwsim.load(name)
    assert str(error.value).startswith(message)


def test_images_take_no_sequence() -> None:
    with pytest.raises(InputError, match=r"^resnet50 takes no sequence, found seq_len=4; its options are "):
        hwsim.load("resnet50", seq_len=4)


def test_unknown_models_suggest() -> None:
    with pytest.raises(UnknownName) as error:
        hwsim.load("resnet5")
    assert str(error.value).startswith("unknown model 'resnet5'. Did you mean 'resnet")
