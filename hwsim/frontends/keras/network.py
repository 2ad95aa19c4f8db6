"""A model's configuration -> layers and who calls them with what, the same for all versions of the format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwsim.errors import InputError

MOST_LAYERS = 100_000
DEEPEST = 16
"""Models inside of models."""
MODELS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor of a functional model: output `tensor` of call `call` of a layer."""

    layer: str
    call: int = 0
    tensor: int = 0
    shape: tuple[int | None, ...] | None = field(default=None, compare=False)
    """As the file states it, where it does."""


@dataclass(frozen=True, slots=True)
class Call:
    """One application of a layer: tensors by position and by argument name."""

    inputs: tuple[Ref, ...]
    named: Mapping[str, Ref] = field(default_factory=dict)

    @property
    def refs(self) -> tuple[Ref, ...]:
        """All tensors that it reads."""
        return (*self.inputs, *self.named.values())


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as the file describes it."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    module: str = ""
    calls: tuple[Call, ...] = ()
    network: Network | None = None
    """The model that this layer is, if it is one."""


@dataclass(frozen=True, slots=True)
class Network:
    """Layers by name, with the tensors that enter and leave."""

    name: str
    layers: Mapping[str, Layer]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]

    def shape_of(self, ref: Ref) -> tuple[int | None, ...] | None:
        """Shape of a tensor where some reader of it states one."""
        stated = (r.shape for layer in self.layers.values() for call in layer.calls for r in call.refs if r == ref)
        return next((shape for shape in stated if shape is not None), None)


def network_of(model: Any, *, where: str, depth: int = 0) -> Network:
    """The network that a model's configuration describes.

    Raises:
        InputError: it is none, or not Sequential or functional.
    """
    name = str(model.get("class_name")) if isinstance(model, Mapping) else ""
    config = model.get("config") if isinstance(model, Mapping) else None
    if not name or not isinstance(config, Mapping | list):
        raise InputError(f"{where}: no Keras model: expected `class_name` and `config`, found {_shown(model)}")
    if depth > DEEPEST:
        raise InputError(f"{where}: models are nested more than {DEEPEST} deep")
    if name.rpartition(">")[2] not in MODELS and not (isinstance(config, Mapping) and "layers" in config):
        raise InputError(
            f"{where}: the model is a {name!r}, a class of its own; expected {' or '.join(MODELS[:2])}, because only those say "
            "what they compute. Rebuild it with keras.Model(inputs, outputs), or export it to ONNX"
        )
    settings = {"layers": config} if isinstance(config, list) else config
    layers = [_layer(raw, where=where, depth=depth) for raw in _layers(settings, where)]
    title = str(settings.get("name") or name.lower())
    if name == "Sequential" or "input_layers" not in settings:
        return _sequential(title, layers, settings, where=where)
    return _functional(title, layers, settings, where=where)


def _layers(settings: Mapping[str, Any], where: str) -> list[Any]:
    layers = settings.get("layers")
    if not isinstance(layers, list) or not layers:
        raise InputError(f"{where}: `config` has no list `layers`; expected the layers of the model, found {_shown(layers)}")
    if len(layers) > MOST_LAYERS:
        raise InputError(f"{where}: {len(layers):,} layers; at most {MOST_LAYERS:,} are read. Is the file damaged?")
    return layers


def _layer(raw: Any, *, where: str, depth: int) -> Layer:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("config"), Mapping) or "class_name" not in raw:
        raise InputError(f"{where}: a layer is {_shown(raw)}; expected a mapping with `class_name` and `config`")
    config, class_name = raw["config"], str(raw["class_name"])
    built = raw.get("build_config")
    if isinstance(built, Mapping):
        config = {**config, "_build_shape": built.get("input_shape")}
    name = str(raw.get("name") or config.get("name") or class_name.lower())
    nested = class_name.rpartition(">")[2] in MODELS or ("layers" in config and "input_layers" in config)
    return Layer(
        class_name,
        name,
        config,
        str(raw.get("module") or _home(raw.get("registered_name"))),
        _calls(raw.get("inbound_nodes"), where=f"{where}: layer {name!r}"),
        network_of(raw, where=f"{where}: model {name!r}", depth=depth + 1) if nested else None,
    )


def _calls(raw: Any, *, where: str) -> tuple[Call, ...]:
    try:
        return tuple(_call(c) for c in raw or ())
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"{where}: `inbound_nodes` is {_shown(raw)}; expected a list of the tensors that it reads") from None


def _home(registered: Any) -> str:
    return str(registered).rpartition(">")[0] if registered else ""


def _call(raw: Any) -> Call:
    """Keras 3: `{args, kwargs}`; Keras 2: `[[layer, call, tensor, kwargs], ...]`."""
    if isinstance(raw, Mapping):
        named = {str(k): next(_refs(v)) for k, v in (raw.get("kwargs") or {}).items() if any(True for _ in _refs(v))}
        return Call(tuple(_refs(raw.get("args"))), named)
    inputs, named = list(_refs(raw)), {}
    for item in raw if isinstance(raw, list) else ():
        if isinstance(item, list) and len(item) > 3 and isinstance(item[3], Mapping):
            named |= {str(k): next(_refs(v)) for k, v in item[3].items() if any(True for _ in _refs(v))}
    return Call(tuple(inputs), named)


def _refs(value: Any) -> Iterator[Ref]:
    """Tensors in what a call was given, in order."""
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") == "__keras_tensor__" and isinstance(config, Mapping):
            shape = config.get("shape")
            yield Ref(*_history(config["keras_history"]), shape=tuple(shape) if isinstance(shape, list) else None)
            return
        for item in value.values():
            yield from _refs(item)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(isinstance(v, int) for v in value[1:3]):
            yield Ref(*_history(value))
            return
        for item in value:
            yield from _refs(item)


def _history(value: Sequence[Any]) -> tuple[str, int, int]:
    return str(value[0]), int(value[1]), int(value[2])


def _sequential(name: str, layers: list[Layer], settings: Mapping[str, Any], *, where: str) -> Network:
    if layers[0].class_name != "InputLayer":
        layers = [_made_input(layers[0], settings, where=where), *layers]
    chained: dict[str, Layer] = {}
    for before, layer in zip([None, *layers], layers, strict=False):
        if layer.name in chained:
            raise InputError(f"{where}: two layers are called {layer.name!r}; expected names of their own")
        calls = () if before is None else (Call((Ref(before.name),)),)
        chained[layer.name] = Layer(layer.class_name, layer.name, layer.config, layer.module, calls, layer.network)
    return Network(name, chained, (Ref(layers[0].name),), (Ref(layers[-1].name),))


def _made_input(first: Layer, settings: Mapping[str, Any], *, where: str) -> Layer:
    """The input of a Sequential model that has no layer for it."""
    if first.network is not None:
        inner = first.network.layers[first.network.inputs[0].layer]
        return Layer("InputLayer", f"{first.name}_input", inner.config)
    found = (first.config.get(key) for key in ("batch_input_shape", "batch_shape", "_build_shape"))
    shape = next((s for s in (*found, settings.get("build_input_shape")) if isinstance(s, list)), None)
    if shape is None:
        raise InputError(
            f"{where}: nothing states the shape of the input, because the model was never built; "
            "start it with an Input layer, or call model.build(...), and save it again"
        )
    return Layer("InputLayer", f"{first.name}_input", {"batch_shape": shape, "dtype": first.config.get("dtype")})


def _functional(name: str, layers: list[Layer], settings: Mapping[str, Any], *, where: str) -> Network:
    by_name = {layer.name: layer for layer in layers}
    inputs, outputs = (_ends(settings.get(key), key, where=where) for key in ("input_layers", "output_layers"))
    lost = {r.layer for r in (*inputs, *outputs, *(r for layer in layers for c in layer.calls for r in c.refs))} - set(by_name)
    if not outputs or lost:
        raise InputError(f"{where}: " + (f"layer(s) {sorted(lost)} are used but not described" if lost else "no `output_layers`"))
    return Network(name, by_name, inputs, outputs)


def _ends(raw: Any, key: str, *, where: str) -> tuple[Ref, ...]:
    try:
        return tuple(_refs(raw))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"{where}: `{key}` is {_shown(raw)}; expected a list of [layer, 0, 0]") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
