"""Hyper-parameters of published checkpoints: what their config.json says beyond the defaults of the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Checkpoint:
    """A configuration class of transformers with options, and the head that the checkpoint is used with."""

    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    head: str = "base"


def _lm(config: str, **options: Any) -> Checkpoint:
    return Checkpoint(config, options, "causal_lm")


def _llama(hidden: int, layers: int, heads: int, inner: int, **options: Any) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner}
    return _lm("LlamaConfig", **sizes, **options)


def _qwen2(hidden: int, layers: int, heads: int, kv_heads: int, inner: int, *, vocab: int = 152064, tied: bool = False) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads}
    return _lm("Qwen2Config", **sizes, intermediate_size=inner, vocab_size=vocab, tie_word_embeddings=tied, max_position_embeddings=32768)


def _qwen3(hidden: int, layers: int, heads: int, inner: int, **options: Any) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": 8}
    return _lm("Qwen3Config", **sizes, intermediate_size=inner, head_dim=128, vocab_size=151936, **options)


def _gpt2(width: int, layers: int, heads: int) -> Checkpoint:
    return _lm("GPT2Config", n_embd=width, n_layer=layers, n_head=heads)


def _bert(hidden: int, layers: int, heads: int, inner: int, vocab: int, config: str = "BertConfig", **options: Any) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner}
    return Checkpoint(config, {**sizes, "vocab_size": vocab, **options})


def _vit(hidden: int, layers: int, heads: int, inner: int, patch: int = 16, size: int = 224) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner}
    return Checkpoint("ViTConfig", {**sizes, "patch_size": patch, "image_size": size, "num_labels": 1000}, "image_classification")


def _t5(width: int, inner: int, layers: int, heads: int, size: int = 64) -> Checkpoint:
    sizes = {"d_model": width, "d_ff": inner, "num_layers": layers, "num_heads": heads, "d_kv": size}
    return Checkpoint("T5Config", sizes, "seq2seq_lm")


def _whisper(width: int, layers: int, heads: int) -> Checkpoint:
    sides = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
             (("layers", layers), ("attention_heads", heads), ("ffn_dim", 4 * width))}  # fmt: skip
    return Checkpoint("WhisperConfig", {"d_model": width, **sides}, "base")


def _mamba(hidden: int, layers: int) -> Checkpoint:
    return _lm("MambaConfig", hidden_size=hidden, num_hidden_layers=layers, vocab_size=50280)


def _mamba2(hidden: int, layers: int) -> Checkpoint:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_heads": hidden // 32, "head_dim": 64}
    return _lm("Mamba2Config", **sizes, n_groups=1, state_size=128, vocab_size=50288, tie_word_embeddings=True)


_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}
_LLAMA3 = {"vocab_size": 128256, "max_position_embeddings": 131072, "num_key_value_heads": 8}
_OPT = {"vocab_size": 50272, "max_position_embeddings": 2048}

CHECKPOINTS: dict[str, Checkpoint] = {
    "bert-base-uncased": _bert(768, 12, 12, 3072, 30522),
    "bert-base-cased": _bert(768, 12, 12, 3072, 28996),
    "bert-large-uncased": _bert(1024, 24, 16, 4096, 30522),
    "bert-large-cased": _bert(1024, 24, 16, 4096, 28996),
    "distilbert-base-uncased": Checkpoint("DistilBertConfig"),
    "roberta-base": _bert(768, 12, 12, 3072, 50265, "RobertaConfig", **_ROBERTA),
    "roberta-large": _bert(1024, 24, 16, 4096, 50265, "RobertaConfig", **_ROBERTA),
    "albert-base-v2": _bert(768, 12, 12, 3072, 30000, "AlbertConfig"),
    "electra-base-discriminator": _bert(768, 12, 12, 3072, 30522, "ElectraConfig", embedding_size=768),
    "fnet-base": Checkpoint("FNetConfig"),
    "gpt2": _gpt2(768, 12, 12),
    "gpt2-medium": _gpt2(1024, 24, 16),
    "gpt2-large": _gpt2(1280, 36, 20),
    "gpt2-xl": _gpt2(1600, 48, 25),
    "opt-125m": _lm("OPTConfig", **_OPT),
    "opt-1.3b": _lm(
        "OPTConfig", hidden_size=2048, num_hidden_layers=24, num_attention_heads=32, ffn_dim=8192, word_embed_proj_dim=2048, **_OPT
    ),
    "opt-6.7b": _lm(
        "OPTConfig", hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, ffn_dim=16384, word_embed_proj_dim=4096, **_OPT
    ),
    "llama-2-7b": _llama(4096, 32, 32, 11008),
    "llama-2-13b": _llama(5120, 40, 40, 13824),
    "llama-2-70b": _llama(8192, 80, 64, 28672, num_key_value_heads=8),
    "llama-3-8b": _llama(4096, 32, 32, 14336, **_LLAMA3),
    "llama-3-70b": _llama(8192, 80, 64, 28672, **_LLAMA3),
    "llama-3.1-8b": _llama(4096, 32, 32, 14336, **_LLAMA3),
    "llama-3.1-70b": _llama(8192, 80, 64, 28672, **_LLAMA3),
    "llama-3.1-405b": _llama(16384, 126, 128, 53248, **_LLAMA3),
    "llama-3.2-1b": _llama(2048, 16, 32, 8192, tie_word_embeddings=True, **_LLAMA3),
    "llama-3.2-3b": _llama(3072, 28, 24, 8192, head_dim=128, tie_word_embeddings=True, **_LLAMA3),
    "tinyllama-1.1b": _llama(2048, 22, 32, 5632, num_key_value_heads=4),
    "mistral-7b": _lm("MistralConfig", sliding_window=4096),
    "mistral-7b-v0.3": _lm("MistralConfig", sliding_window=None, vocab_size=32768),
    "qwen2.5-0.5b": _qwen2(896, 24, 14, 2, 4864, vocab=151936, tied=True),
    "qwen2.5-1.5b": _qwen2(1536, 28, 12, 2, 8960, vocab=151936, tied=True),
    "qwen2.5-7b": _qwen2(3584, 28, 28, 4, 18944),
    "qwen2.5-14b": _qwen2(5120, 48, 40, 8, 13824),
    "qwen2.5-32b": _qwen2(5120, 64, 40, 8, 27648),
    "qwen2.5-72b": _qwen2(8192, 80, 64, 8, 29568),
    "qwen3-0.6b": _qwen3(1024, 28, 16, 3072, tie_word_embeddings=True),
    "qwen3-1.7b": _qwen3(2048, 28, 16, 6144, tie_word_embeddings=True),
    "qwen3-4b": _qwen3(2560, 36, 32, 9728, tie_word_embeddings=True),
    "qwen3-8b": _qwen3(4096, 36, 32, 12288),
    "qwen3-14b": _qwen3(5120, 40, 40, 17408),
    "qwen3-32b": _qwen3(5120, 64, 64, 25600),
    "mixtral-8x7b": _lm("MixtralConfig"),
    "gemma-2b": _lm(
        "GemmaConfig", hidden_size=2048, num_hidden_layers=18, num_attention_heads=8, num_key_value_heads=1, intermediate_size=16384
    ),
    "gemma-7b": _lm("GemmaConfig"),
    "phi-2": _lm("PhiConfig", hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, intermediate_size=10240),
    "vit-base-patch16-224": _vit(768, 12, 12, 3072),
    "vit-large-patch16-224": _vit(1024, 24, 16, 4096),
    "vit-huge-patch14-224": _vit(1280, 32, 16, 5120, patch=14),
    "dinov2-base": Checkpoint("Dinov2Config", {"image_size": 518, "patch_size": 14}),
    "swin-tiny-patch4-window7-224": Checkpoint("SwinConfig", {"num_labels": 1000}, "image_classification"),
    "t5-small": _t5(512, 2048, 6, 8),
    "t5-base": _t5(768, 3072, 12, 12),
    "t5-large": _t5(1024, 4096, 24, 16),
    "whisper-tiny": _whisper(384, 4, 6),
    "whisper-base": _whisper(512, 6, 8),
    "whisper-small": _whisper(768, 12, 12),
    "mamba-130m": _mamba(768, 24),
    "mamba-370m": _mamba(1024, 48),
    "mamba-790m": _mamba(1536, 48),
    "mamba-1.4b": _mamba(2048, 48),
    "mamba-2.8b": _mamba(2560, 64),
    "mamba2-130m": _mamba2(768, 24),
    "mamba2-370m": _mamba2(1024, 48),
    "mamba2-780m": _mamba2(1536, 48),
    "mamba2-1.3b": _mamba2(2048, 48),
    "mamba2-2.7b": _mamba2(2560, 64),
}
"""Lower-case name without the organisation to what to build."""
