"""Layers that move data."""

from __future__ import annotations

import math

from hwsim.frontends.keras.context import Call, Value, ours
from hwsim.frontends.keras.layout import channels_before_space
from hwsim.frontends.keras.rules.common import is_first, sizes, spatial
from hwsim.frontends.keras.rules.conv import dims_of
from hwsim.ops import Shape


def _flatten(c: Call) -> Value:
    batch, *rest = c.x.shape
    return c.moved("reshape", c.x, first=False, shape=(batch, math.prod(rest)))


def _reshaped(c: Call, shape: Shape) -> Value:
    """Another shape; its channels stand where the layers that follow want them, because only sizes matter."""
    first = len(shape) > 2 and _wanted(c, len(shape))
    return c.moved("reshape", c.x, first=first, shape=ours(shape, first=first))


def _wanted(c: Call, rank: int) -> bool:
    network = c.importer.network
    for name in c.path[:-1]:
        inner = network.layers[name].network
        assert inner is not None
        network = inner
    return channels_before_space(network, c.layer.name, rank=rank)


def _reshape(c: Call) -> Value:
    batch, *rest = c.x.shape
    target = [int(s) for s in (c.config.get("target_shape") or c.need("newshape"))]
    if target.count(-1) == 1:
        known = math.prod(s for s in target if s != -1)
        target[target.index(-1)] = math.prod(rest) // known if known else 0
    return _reshaped(c, (batch, *target))


def _permute(c: Call) -> Value:
    dims = (0, *(int(d) for d in c.need("dims")))
    x = c.layout(c.x, first=False)
    return c.moved("transpose", x, perm=dims)


def _pairs(c: Call, key: str, dims: int) -> list[tuple[int, int]]:
    value = c.get(key, 1)
    items = [value] * dims if isinstance(value, int) else list(value)
    if dims == 1 and len(items) == 2:
        items = [items]
    return [(int(p), int(p)) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in items]


def _zero_padding(c: Call) -> Value:
    dims = dims_of(c)
    return c.moved("pad", spatial(c, c.x), pads=((0, 0), (0, 0), *_pairs(c, "padding", dims)))


def _cropping(c: Call) -> Value:
    x = spatial(c, c.x)
    shape = c.importer.builder.shape(x.tensor)
    cut = [s - sum(p) for s, p in zip(shape[2:], _pairs(c, "cropping", dims_of(c)), strict=True)]
    return c.moved("slice", x, shape=(*shape[:2], *cut))


def _up_sampling(c: Call) -> Value:
    dims = dims_of(c)
    x = spatial(c, c.x)
    space = x.shape[2:] if is_first(c) else x.shape[1:-1]
    size = tuple(s * f for s, f in zip(space, sizes(c, "size", dims, 2), strict=True))
    mode = str(c.get("interpolation", "nearest"))
    if mode == "nearest":
        return c.moved("resize", x, size=size, mode=mode)
    return c.emit("resize", [x], size=size, mode={"lanczos3": "bicubic", "lanczos5": "bicubic"}.get(mode, mode))


def _repeated(c: Call) -> Value:
    batch, size = c.x.shape
    count = int(c.need("n"))
    value = c.moved("reshape", c.x, suffix=":rows", shape=(batch, 1, size))
    return c.moved("tile", value, shape=(batch, count, size))


RULES = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeated,
    **{f"ZeroPadding{d}D": _zero_padding for d in (1, 2, 3)},
    **{f"Cropping{d}D": _cropping for d in (1, 2, 3)},
    **{f"UpSampling{d}D": _up_sampling for d in (1, 2, 3)},
}
