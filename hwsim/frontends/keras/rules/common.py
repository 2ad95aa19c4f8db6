"""What several rules share: activations inside of layers, quantisers, sizes a dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.dtypes import DType
from hwsim.frontends.keras.context import Call, Unsupported, Value
from hwsim.frontends.keras.quantizers import Quantizer, quantizer
from hwsim.frontends.keras.weights import Role

FUNCTIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "leaky_relu": "leaky_relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "elu": "elu",
    "selu": "selu",
    "celu": "celu",
    "gelu": "gelu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "softplus": "softplus",
    "softsign": "softsign",
    "exponential": "exp",
    "hard_sigmoid": "hard_sigmoid",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "hard_tanh": "hard_tanh",
    "log_sigmoid": "log_sigmoid",
    "threshold": "threshold",
}
"""Activations of Keras by our names."""
PARAMETERS = {"leaky_relu": 0.2, "elu": 1.0}
"""Slopes of activations that are given by name alone (Keras' defaults)."""
NAMES = {"swish": "silu"}
"""What a layer for an activation is called after, where that is not its name."""


def name_of(setting: Any) -> str:
    """Name of an activation as it stands in a configuration: text, a mapping, or nothing."""
    if isinstance(setting, Mapping):
        inner = setting.get("config")
        named = inner if isinstance(inner, str) else setting.get("class_name")
        setting = named if named != "function" else inner
    return str(setting or "linear").rpartition(">")[2]


def is_quantizer(setting: Any) -> bool:
    """Whether an activation is a quantiser of QKeras."""
    name = name_of(setting)
    return name.startswith(("quantized_", "binary", "ternary", "stochastic_", "bernoulli"))


def apply(c: Call, x: Value, setting: Any, *, suffix: str = "", axis: int = -1) -> Value:
    """The activation `setting` of `x`; none for `linear`.

    Raises:
        Unsupported: a function that we have no name for.
    """
    if is_quantizer(setting):
        return quantized(c, x, quantizer(setting, where=c.where), suffix=suffix)
    name = name_of(setting).lower()
    if name == "linear":
        return x
    if name in ("softmax", "log_softmax"):
        return c.emit("softmax", [x], suffix=suffix, axis=x.axis(axis), log=name == "log_softmax")
    fn = FUNCTIONS.get(name) or FUNCTIONS.get(_snake(name))
    if fn is None:
        raise Unsupported(f"activation {name!r}")
    if fn in PARAMETERS:
        c.importer.parameters[f"{c.name}{suffix}"] = PARAMETERS[fn]
    return c.emit("activation", [x], suffix=suffix, fn=fn)


def _snake(name: str) -> str:
    return {"leakyrelu": "leaky_relu", "softplus": "softplus"}.get(name, name)


def quantized(c: Call, x: Value, q: Quantizer | None, *, suffix: str = "") -> Value:
    """`x` through a quantiser."""
    if q is None:
        return x
    return c.emit("activation", [x], suffix=suffix, fn=q.function, dtype=q.activation_format())


def finished(c: Call, x: Value) -> Value:
    """`x` with the activation of the layer, in a node called `<layer>_<activation>` as hls4ml has it."""
    setting = c.config.get("activation")
    name = name_of(setting)
    return apply(c, x, setting, suffix=f"_{NAMES.get(name, name.partition('(')[0])}")


def weight_format(c: Call, key: str) -> DType | None:
    """Format of a weight under the quantiser `<key>_quantizer`."""
    found = quantizer(c.config.get(f"{key}_quantizer"), where=c.where)
    if found is not None and found.settings.get("alpha") not in (None, 1, 1.0):
        c.importer.scaled.append(c.name)
    return None if found is None else found.weight_format()


def bias(c: Call, size: int, *, position: int, hint: str = "") -> list[str]:
    """The bias of a layer, where it has one."""
    if not c.get("use_bias", True):
        return []
    return [c.weight("bias", (size,), Role(("bias",), position, hint), dtype=weight_format(c, "bias"))]


def sizes(c: Call, key: str, dims: int, default: Any = 1) -> tuple[int, ...]:
    """A setting with one number a dimension."""
    value = c.get(key, default)
    items = (value,) * dims if isinstance(value, int) else tuple(int(v) for v in value)
    if len(items) != dims:
        raise ValueError(f"{key} is {value!r}; expected {dims} number(s)")
    return items


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Padding that keeps the size at stride 1, the odd one after."""
    pads = []
    for i, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-i // s) - 1) * s + d * (k - 1) + 1 - i, 0)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def is_first(c: Call) -> bool:
    """Whether Keras itself has the channels before space here."""
    return c.get("data_format", "channels_last") == "channels_first"


def spatial(c: Call, x: Value) -> Value:
    """`x` with channels before space in our tensor, whatever the order of Keras."""
    return c.layout(x, first=not is_first(c))


def transposed(*axes: int) -> Callable[[np.ndarray], np.ndarray]:
    """The change of layout that permutes axes."""
    return lambda array: np.transpose(array, axes)
