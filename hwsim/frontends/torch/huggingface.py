"""`hf:NAME`: models of transformers from a configuration class or a published checkpoint's hyper-parameters, offline."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from hwsim.errors import InputError, MissingExtra, UnknownName
from hwsim.frontends.torch.checkpoints import CHECKPOINTS
from hwsim.frontends.torch.export import Example

SEQ_LEN = 128
"""Tokens of a text model where nothing is said."""
SCANS = ("fused", "unrolled")
HEADS = {
    "base": "AutoModel",
    "causal_lm": "AutoModelForCausalLM",
    "masked_lm": "AutoModelForMaskedLM",
    "seq2seq_lm": "AutoModelForSeq2SeqLM",
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "question_answering": "AutoModelForQuestionAnswering",
    "image_classification": "AutoModelForImageClassification",
    "semantic_segmentation": "AutoModelForSemanticSegmentation",
    "universal_segmentation": "AutoModelForUniversalSegmentation",
    "object_detection": "AutoModelForObjectDetection",
    "depth_estimation": "AutoModelForDepthEstimation",
    "audio_classification": "AutoModelForAudioClassification",
    "video_classification": "AutoModelForVideoClassification",
    "speech_seq2seq": "AutoModelForSpeechSeq2Seq",
    "ctc": "AutoModelForCTC",
    "pretraining": "AutoModelForPreTraining",
}


def import_transformers() -> Any:
    """The transformers module, told to stay offline.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from hwsim.frontends.torch.timm_models import declare_torchvision_operators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import transformers
        except ImportError as error:
            raise MissingExtra("transformers", "torch") from error
        try:
            import torchvision  # noqa: F401
        except ImportError:
            pass
        except RuntimeError:
            declare_torchvision_operators()
    return transformers


def create(name: str, *, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[torch.nn.Module, Example, dict[str, Any]]:
    """The model, its inputs and facts.

    Raises:
        UnknownName: neither a checkpoint of the table nor a configuration class; an unknown head.
        InputError: the configuration does not take an option, or no model has that head.
    """
    transformers = import_transformers()
    calling = {key: options.pop(key) for key in ("img_size", "samples", "decoder_len") if key in options}
    class_name, known, head = _looked_up(transformers, name)
    head = options.pop("head", head)
    if head not in HEADS:
        raise UnknownName("head", head, HEADS)
    config = _config(transformers, class_name, {**known, **options}, where=name)
    model = _model(transformers, config, head, where=name)
    return model, *example(model, batch=batch, seq_len=seq_len, options=calling)


def _looked_up(transformers: Any, name: str) -> tuple[str, dict[str, Any], str]:
    if (short := _short(name)) in CHECKPOINTS:
        found = CHECKPOINTS[short]
        return found.config, dict(found.options), found.head
    if name.endswith("Config") and hasattr(transformers, name):
        return name, {}, "base"
    classes = [n for n in dir(transformers) if n.endswith("Config")]
    raise UnknownName("transformers checkpoint or configuration class", name, [*CHECKPOINTS, *classes])


_VARIANTS = ("-hf", "-chat", "-instruct", "-it", "-v0.1", "-v0.2")


def _short(name: str) -> str:
    """A checkpoint's name without organisation and without what does not change its sizes (`-hf`, `-instruct`)."""
    short = name.split("/")[-1].lower().removeprefix("meta-")
    while short not in CHECKPOINTS and short.endswith(_VARIANTS):
        short = short.removesuffix(next(v for v in _VARIANTS if short.endswith(v)))
    return short


def _config(transformers: Any, class_name: str, options: dict[str, Any], *, where: str) -> Any:
    config_class = getattr(transformers, class_name)
    known = {"num_labels"} | set(config_class().to_dict()) | set(getattr(config_class, "attribute_map", {}))
    if wrong := [key for key in options if key not in known]:
        raise UnknownName(f"option of {class_name}", wrong[0], known)
    try:
        return config_class(**options)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"hf:{where}: {class_name} does not take {options}: {error}") from error


def _model(transformers: Any, config: Any, head: str, *, where: str) -> torch.nn.Module:
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            model = getattr(transformers, HEADS[head]).from_config(config)
    except (ValueError, RuntimeError, NotImplementedError, ImportError, OSError) as error:
        text = (str(error).strip().splitlines() or [""])[0]
        raise InputError(f"hf:{where}: transformers cannot build it with head {head!r} on the meta device: {text}") from error
    on_meta = all(p.device.type == "meta" for p in model.parameters())
    return model.eval() if on_meta else model.eval().to("meta")


def example(model: Any, *, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[Example, dict[str, Any]]:
    """Inputs by the name of the model's main one; options: `img_size`, `samples` (audio), `decoder_len`.

    Raises:
        InputError: an input that is not known here.
    """
    config, name = model.config, model.main_input_name
    device = next((p.device for p in model.parameters()), torch.device("meta"))
    makers = {
        "input_ids": _tokens,
        "pixel_values": _pixels,
        "pixel_values_videos": _pixels,
        "input_values": _audio,
        "input_features": _features,
    }
    if name not in makers:
        raise InputError(f"{type(model).__name__} wants {name!r}, and its shape is not known; pass inputs={{{name!r}: (1, ...)}}")
    shape, facts = makers[name](config, batch, seq_len, options)
    kind = torch.int64 if name == "input_ids" else next((p.dtype for p in model.parameters()), torch.float32)
    kwargs = {name: torch.empty(shape, dtype=kind, device=device)}
    if "decoder_input_ids" in inspect.signature(model.forward).parameters:
        length = options.get("decoder_len", seq_len or (SEQ_LEN if name == "input_ids" else 1))
        kwargs["decoder_input_ids"] = torch.empty((batch, length), dtype=torch.int64, device=device)
    if hasattr(model, "logit_scale") and hasattr(config, "vision_config") and name == "input_ids":
        shape, more = _pixels(config, batch, seq_len, options)
        kwargs["pixel_values"], facts = torch.empty(shape, device=device), {**facts, **more}
    return Example(kwargs=kwargs), facts


def _tokens(config: Any, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    length = seq_len or SEQ_LEN
    return (batch, length), {"seq_len": length}


def _pixels(config: Any, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    inner = [config, *(getattr(config, n, None) for n in ("vision_config", "backbone_config", "encoder"))]
    size = options.get("img_size") or next((s for c in inner if (s := getattr(c, "image_size", None))), 224)
    height, width = (size, size) if isinstance(size, int) else size
    channels = next((s for c in inner if (s := getattr(c, "num_channels", None))), 3)
    frames = getattr(config, "num_frames", None)
    shape = (batch, channels, height, width) if not frames else (batch, frames, channels, height, width)
    return shape, {"img_size": size}


def _audio(config: Any, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    if bins := getattr(config, "num_mel_bins", None):
        return (batch, getattr(config, "max_length", 1024), bins), {}
    samples = options.get("samples", 16000)
    return (batch, samples), {"samples": samples}


def _features(config: Any, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    return (batch, config.num_mel_bins, 2 * config.max_source_positions), {}


@contextmanager
def traceable(module: torch.nn.Module, *, scans: str = "fused") -> Iterator[None]:
    """Transformers models without caches, with causal flags instead of materialised masks, and with scans as operators.

    `scans="unrolled"` captures the reference code of state-space models instead, operator by operator.

    Raises:
        UnknownName: another value of `scans`.
    """
    if scans not in SCANS:
        raise UnknownName("way to capture scans", scans, SCANS)
    if not hasattr(module, "main_input_name"):
        yield
        return
    from transformers import masking_utils

    from hwsim.frontends.torch.scans import as_operators

    with ExitStack() as stack:
        for config in _configs(module):
            stack.enter_context(mock.patch.object(config, "use_cache", False))
        for name, stand_in in (("is_torchdynamo_exporting", lambda: False), ("find_packed_sequence_indices", lambda position_ids: None)):
            if hasattr(masking_utils, name):
                stack.enter_context(mock.patch.object(masking_utils, name, stand_in))
        if scans == "fused":
            stack.enter_context(as_operators())
        yield


def _configs(module: torch.nn.Module) -> list[Any]:
    found = {id(c): c for m in module.modules() if hasattr(c := getattr(m, "config", None), "use_cache")}
    return list(found.values())
