"""Pooling over windows and over everything."""

from __future__ import annotations

from hwsim.frontends.keras.context import Call, Value
from hwsim.frontends.keras.rules.common import is_first, same_padding, sizes, spatial
from hwsim.frontends.keras.rules.conv import dims_of


def _function(c: Call) -> str:
    return "max" if "Max" in c.layer.class_name else "avg"


def _window(c: Call) -> Value:
    dims = dims_of(c)
    kernel = sizes(c, "pool_size", dims, 2)
    stride = sizes(c, "strides", dims, kernel)
    x = spatial(c, c.x)
    space = x.shape[2:] if is_first(c) else x.shape[1:-1]
    padding = same_padding(space, kernel, stride, (1,) * dims) if str(c.get("padding", "valid")).lower() == "same" else 0
    attrs = {"fn": _function(c), "kernel": kernel, "stride": stride, "padding": padding}
    return c.moved("pool", x, **attrs) if attrs["fn"] == "max" else c.emit("pool", [x], **attrs)


def _whole(c: Call) -> Value:
    """A pooling to one place; over a sequence that stands channels last, a reduction."""
    dims, keep = dims_of(c), bool(c.get("keepdims", False))
    if dims == 1 and not is_first(c) and not c.x.first:
        return c.emit("reduce", [c.x], fn="max" if _function(c) == "max" else "mean", axes=(1,), keepdims=keep)
    x = spatial(c, c.x)
    attrs = {"fn": _function(c), "output_size": (1,) * dims}
    value = c.moved("pool", x, **attrs) if attrs["fn"] == "max" else c.emit("pool", [x], **attrs)
    if keep:
        return value
    size = x.shape[1] if is_first(c) else x.shape[-1]
    return c.moved("reshape", value, suffix=":flat", first=False, shape=(x.shape[0], size))


_SIZES = ("1D", "2D", "3D")
RULES = {
    **{f"{q}{kind}Pooling{d}": _window for q in ("", "Q") for kind in ("Max", "Average") for d in _SIZES},
    **{f"{q}Global{kind}Pooling{d}": _whole for q in ("", "Q") for kind in ("Max", "Average") for d in _SIZES},
}
