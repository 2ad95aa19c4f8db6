"""Names of the zoo, and the front end that builds them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwsim.errors import HwsimError, InputError, UnknownName
from hwsim.graph import Graph

MODULES = (
    "cnn",
    "mobile",
    "vit",
    "text",
    "llama",
    "mamba",
    "mlp",
    "spiking",
    "meta_spikeformer",
    "spiking_small",
    "dvs",
    "lmu",
    "spike_yolo",
    "fatnet",
    "unet",
    "convshare",
    "stages",
    "nas_bench",
    "super_resolution",
    "yolo",
)


@dataclass(frozen=True)
class Model:
    """One architecture."""

    name: str
    family: str
    summary: str
    source: str
    build: Callable[..., Graph]
    preset: Mapping[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """Option to default, the preset's values included."""
        found = {n: p.default for n, p in inspect.signature(self.build).parameters.items() if n != "name"}
        return {**found, **self.preset}


_MODELS: dict[str, Model] = {}


def model(name: str, *, family: str, summary: str, source: str, **preset: Any) -> Callable[[Callable[..., Graph]], Callable[..., Graph]]:
    """Register a builder under `name`, with values of its options.

    Raises:
        HwsimError: the name is taken.
    """

    def add(build: Callable[..., Graph]) -> Callable[..., Graph]:
        if name in _MODELS:
            raise HwsimError(f"zoo model {name!r} is registered twice; pick another name")
        _MODELS[name] = Model(name, family, summary, source, build, preset)
        return build

    return add


@cache
def _imported() -> None:
    for module in MODULES:
        importlib.import_module(f"hwsim.zoo.{module}")


def _all() -> dict[str, Model]:
    _imported()
    return _MODELS


def names() -> tuple[str, ...]:
    """All models, by name."""
    return tuple(sorted(_all()))


def info(name: str) -> Model:
    """The model called `name`.

    Raises:
        UnknownName: there is none.
    """
    try:
        return _all()[name]
    except KeyError:
        raise UnknownName("zoo model", name, _MODELS) from None


class ZooFrontend:
    """Front end for zoo names; options stand after a question mark."""

    name = "zoo"

    def accepts(self, source: Any) -> bool:
        """A zoo name, with or without `zoo:` and options."""
        return isinstance(source, str) and (source.startswith("zoo:") or source.partition("?")[0] in _all())

    def names(self) -> tuple[str, ...]:
        """All models, by name."""
        return names()

    def load(
        self, source: str, *, batch: int | None, seq_len: int | None, dims: Mapping[str, int], allow_unsupported: bool, **options: Any
    ) -> Graph:
        """Build a model of the zoo.

        Raises:
            UnknownName: no such model or option.
            InputError: an option with a value of the wrong kind.
        """
        name, _, query = source.removeprefix("zoo:").partition("?")
        chosen = info(name)
        pairs = (item.partition("=") for item in query.split("&") if item)
        given: dict[str, Any] = {**{key: value for key, _, value in pairs}, **options, **dims}
        sizes = {k: v for k, v in {"batch": batch, "seq_len": seq_len}.items() if v is not None}
        if "seq_len" in sizes and "seq_len" not in chosen.options:
            raise InputError(f"{name} takes no sequence, found seq_len={seq_len}; its options are {', '.join(chosen.options)}")
        typed = {key: _typed(chosen, key, value) for key, value in {**sizes, **given}.items()}
        return chosen.build(name=name, **{**chosen.preset, **typed})


def checked_option(name: str, key: str, value: Any) -> Any:
    """The value of an option of the model called `name`, in its type.

    Raises:
        UnknownName: no such model or option.
        InputError: a value of the wrong kind.
    """
    return _typed(info(name), key, value)


def _typed(chosen: Model, key: str, value: Any) -> Any:
    if key not in chosen.options:
        raise UnknownName(f"option of {chosen.name}:", key, chosen.options)
    default = chosen.options[key]
    try:
        typed = _as(type(default), value)
    except (ValueError, TypeError):
        raise InputError(f"{chosen.name}, option {key!r}: found {value!r}; expected a value like {default!r}") from None
    if isinstance(typed, int) and not isinstance(typed, bool) and typed < 1:
        raise InputError(f"{chosen.name}, option {key!r}: found {value!r}; expected 1 or more")
    return typed


def _as(kind: type, value: Any) -> Any:
    if kind is bool and isinstance(value, str):
        return _bool(value)
    if kind is tuple:
        return tuple(int(v) for v in (value.split(",") if isinstance(value, str) else value))
    return value if kind is type(None) else kind(value)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text.lower() in ("true", "1")


FRONTEND = ZooFrontend()
