"""`torchvision:NAME`: models of torchvision, some of which timm does not have (segmentation, video, GoogLeNet), without weights."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch

from hwsim.errors import InputError, MissingExtra, UnknownName
from hwsim.frontends.torch.export import Example

IMAGE, CLIP, FRAMES = 224, 112, 16
"""Pixels a side of an image and of a video's frame, and frames of a clip, where nothing is said."""
SWITCHED_OFF = ("aux_logits", "init_weights")
"""Options that inference has no use for, off unless given."""


def import_models() -> Any:
    """`torchvision.models`, also of a torchvision that does not fit the installed torch.

    Raises:
        MissingExtra: torchvision is not installed.
    """
    from hwsim.frontends.torch.timm_models import declare_torchvision_operators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from torchvision import models
        except ImportError as error:
            raise MissingExtra("torchvision", "torch") from error
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            declare_torchvision_operators()
            from torchvision import models
    return models


def create(name: str, *, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[torch.nn.Module, Example, dict[str, Any]]:
    """The model, its input and facts; `img_size` is one number or two, `frames` is of video models.

    Raises:
        UnknownName: torchvision has no such model.
        InputError: the model does not take an option, or wants more than an image or a clip.
    """
    models = import_models()
    known = [n for n in models.list_models() if not _other_inputs(models, n)]
    if name not in known:
        raise UnknownName("torchvision model", name, known)
    video = ".video." in models.get_model_builder(name).__module__ + "."
    size, frames = options.pop("img_size", CLIP if video else IMAGE), options.pop("frames", FRAMES)
    module = _built(models, name, options)
    sides = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    shape = (batch, 3, frames, *sides) if video else (batch, 3, *sides)
    return module, Example((torch.empty(shape, device="meta"),)), {"img_size": size, **({"frames": frames} if video else {})}


def _built(models: Any, name: str, options: dict[str, Any]) -> torch.nn.Module:
    known = inspect.signature(inspect.unwrap(models.get_model_builder(name))).parameters
    takes = {"googlenet": SWITCHED_OFF, "inception_v3": SWITCHED_OFF}.get(name, ())
    off = dict.fromkeys(takes, False) | ({"weights_backbone": None} if "weights_backbone" in known else {})
    place = "cpu" if name.startswith("regnet") else "meta"  # RegNet reads its widths from tensors
    try:
        with warnings.catch_warnings(), torch.device(place):
            warnings.simplefilter("ignore")
            return models.get_model(name, weights=None, **{**off, **options}).eval().to("meta")
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise InputError(f"torchvision:{name} cannot be built with {options or 'its defaults'}: {error}") from error


def _other_inputs(models: Any, name: str) -> bool:
    """Whether a model is quantized, or wants lists of images or pairs of them."""
    module = models.get_model_builder(name).__module__
    return any(f".{part}." in module for part in ("quantization", "detection", "optical_flow"))
