"""`timm:NAME`: models of PyTorch Image Models, without weights."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import torch

from hwsim.errors import InputError, MissingExtra, UnknownName
from hwsim.frontends.torch.export import Example

_DETECTION_OPERATORS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[Any] = []


def import_timm() -> Any:
    """The timm module.

    A torchvision that does not fit the installed torch fails for want of its detection operators, which no classifier
    uses: their signatures are declared, and the import is tried again.

    Raises:
        MissingExtra: timm is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("timm")
        except ImportError as error:
            raise MissingExtra("timm", "torch") from error
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            declare_torchvision_operators()
            return importlib.import_module("timm")


def declare_torchvision_operators() -> None:
    """Signatures of torchvision's detection operators, and a clean slate for modules whose import failed half-way."""
    if not _libraries:
        _libraries.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _libraries[0].define(_DETECTION_OPERATORS.replace("nms", name, 1))
    for name in [n for n in sys.modules if n.split(".")[0] in ("timm", "torchvision")]:
        del sys.modules[name]


def create(name: str, *, batch: int, seq_len: int | None, options: dict[str, Any]) -> tuple[torch.nn.Module, Example, dict[str, Any]]:
    """The model, its input and facts.

    Raises:
        UnknownName: timm has no such model.
        InputError: the model does not take an option, or not that image size.
    """
    timm = import_timm()
    if not timm.is_model(name.split(".")[0]):
        raise UnknownName("timm model", name, timm.list_models())
    size = options.pop("img_size", None)
    model = _sized(timm, name, size, options)
    return model, *example(model, batch=batch, size=size)


def _sized(timm: Any, name: str, size: Any, options: dict[str, Any]) -> Any:
    """With `img_size` where it differs from the model's own; convolutional networks do not take it and do not need it."""
    model = _create(timm, name, options)
    if size is None or _size(size) == tuple(model.default_cfg["input_size"][-2:]):
        return model
    try:
        return _create(timm, name, {"img_size": size, **options})
    except InputError:
        return model


def _create(timm: Any, name: str, options: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            return timm.create_model(name, pretrained=False, **options).eval()
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise InputError(f"timm:{name} cannot be built with {options or 'its defaults'}: {error}") from error


def example(model: Any, *, batch: int, size: Any = None) -> tuple[Example, dict[str, Any]]:
    """An image of the model's size, or of `size` (one number or two)."""
    channels, *own = model.default_cfg["input_size"]
    height, width = _size(size) if size is not None else own
    facts = {"img_size": height if height == width else (height, width)}
    device = next((p.device for p in model.parameters()), torch.device("meta"))
    return Example((torch.empty(batch, channels, height, width, device=device),)), facts


def _size(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
