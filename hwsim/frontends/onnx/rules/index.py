"""Gathers, scatters, sorting, resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.rules.dense import is_stored
from hwsim.frontends.onnx.values import Value
from hwsim.ops.core import axis_of


def _gather(c: Call) -> Value:
    table, indices = c[0], c[1]
    axis = axis_of(c.attr("axis", 0), len(table.shape))
    if is_stored(table) and axis == 0 and len(table.shape) == 2 and table.real:
        return c.emit("embedding", [c.weight(table), indices], dtype=table.dtype)
    shape = (*table.shape[:axis], *indices.shape, *table.shape[axis + 1 :])
    if _contiguous(c, indices):
        return c.emit("slice", [table], shape=shape, dtype=table.dtype)
    return c.emit("gather", [table, indices], shape=shape, axis=axis, dtype=table.dtype)


def _contiguous(c: Call, indices: Value) -> bool:
    """Whether known indices pick one place, or neighbours in order."""
    array = c.importer.numbers(indices)
    if array is None:
        return False
    flat = array.ravel()
    return len(array.shape) <= 1 and bool((flat[1:] == flat[:-1] + 1).all())


def _gather_nd(c: Call) -> Value:
    data, indices, batch = c[0], c[1], c.attr("batch_dims", 0)
    shape = (*indices.shape[:-1], *data.shape[batch + indices.shape[-1] :])
    return c.emit("gather", [data, indices], shape=shape, dtype=data.dtype)


def _gather_elements(c: Call) -> Value:
    return c.emit("gather", [c[0], c[1]], shape=c[1].shape, axis=c.attr("axis", 0), dtype=c[0].dtype)


def _scatter(c: Call) -> Value:
    reduction = c.attr("reduction", "none")
    return c.emit(
        "scatter", [c[0], c[1], c[2]], axis=c.attr("axis", 0), reduce=None if reduction == "none" else reduction, dtype=c[0].dtype
    )


def _top_k(c: Call) -> list[Value]:
    return c.emit_many("topk", [c[0]], k=(c.ints(1) or [0])[0], axis=c.attr("axis", -1), dtype=[c[0].dtype, "int64"])


def _resize(c: Call) -> Value:
    x, mode = c[0], c.attr("mode", "nearest")
    if c.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("keep_aspect_ratio_policy")
    shape = _resized(c, x)
    if shape == x.shape:
        return x
    if shape[:2] != x.shape[:2]:
        return c.emit("gather", [x], shape=shape)
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(shape) - 2]
    return c.emit("resize", [x], size=shape[2:], mode={"nearest": "nearest", "linear": linear, "cubic": "bicubic"}[mode])


def _resized(c: Call, x: Value) -> tuple[int, ...]:
    scales, sizes = c.numbers(2), c.ints(3)
    axes = [axis_of(a, len(x.shape)) for a in c.attr("axes", range(len(x.shape)))]
    given = sizes if sizes else [int(x.shape[a] * s) for a, s in zip(axes, scales if scales is not None else [], strict=True)]
    shape = list(x.shape)
    for axis, size in zip(axes, given, strict=True):
        shape[axis] = size
    return tuple(shape)


def _grid_sample(c: Call) -> Value:
    return c.emit("grid_sample", [c[0], c[1]], shape=(*c[0].shape[:2], *c[1].shape[1:-1]))


def _col2im(c: Call) -> Value:
    image, block = c.ints(1) or [], c.ints(2) or []
    channels = c[0].shape[1]
    for size in block:
        channels //= size
    return c.emit("fold", [c[0]], shape=(c[0].shape[0], channels, *image), kernel=tuple(block))


RULES: dict[str, Callable[[Call], Any]] = {
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "Scatter": _scatter,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "TensorScatter": _scatter,
    "TopK": _top_k,
    "Resize": _resize,
    "GridSample": _grid_sample,
    "Col2Im": _col2im,
}
