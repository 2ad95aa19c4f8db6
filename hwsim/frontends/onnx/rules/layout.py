"""Shapes, copies, constants and sequences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.dtypes import dtype
from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.evaluate import range_length, reshape_target, slices
from hwsim.frontends.onnx.values import DTYPES, Value, dtype_of, known
from hwsim.ops import Shape
from hwsim.ops.core import axis_of, broadcast


def viewed(c: Call, x: Value, shape: Shape, *, perm: tuple[int, ...] | None = None) -> Value:
    """`x` in another shape or order of axes: a note for stored tensors, a node for others."""
    if x.tensor is None and x.items is None and (x.stored or x.quantized or x.array is not None):
        array = None if x.array is None else (np.transpose(x.array, perm) if perm else x.array.reshape(shape))
        quantized = None if x.quantized is None else viewed(c, x.quantized, shape, perm=perm)
        steps = (*x.steps, ("perm", perm) if perm else ("shape", shape))
        return replace(x, shape=shape, array=array, quantized=quantized, steps=steps)
    if perm:
        return c.emit("transpose", [x], perm=perm)
    return x if shape == x.shape else c.emit("reshape", [x], shape=shape)


def _reshape(c: Call) -> Value:
    target = reshape_target(c[0].shape, c.ints(1) or [], allow_zero=bool(c.attr("allowzero", 0)))
    if target.count(-1) == 1:
        rest = -math.prod(target)
        target[target.index(-1)] = c[0].size // rest if rest else 0
    if math.prod(target) != c[0].size or any(s < 0 for s in target):
        raise ValueError(f"{list(c[0].shape)} cannot become {c.ints(1)}")
    return viewed(c, c[0], tuple(target))


def _transpose(c: Call) -> Value:
    rank = len(c[0].shape)
    perm = tuple(axis_of(a, rank) for a in c.attr("perm", range(rank - 1, -1, -1)))
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"{list(perm)} is no permutation of the axes of {list(c[0].shape)}")
    return viewed(c, c[0], tuple(c[0].shape[a] for a in perm), perm=perm) if perm != tuple(range(rank)) else c[0]


def _flatten(c: Call) -> Value:
    shape, axis = c[0].shape, c.attr("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return viewed(c, c[0], (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _squeeze(c: Call) -> Value:
    shape, axes = c[0].shape, c.ints(1, "axes")
    gone = {i for i, s in enumerate(shape) if s == 1} if axes is None else {axis_of(a, len(shape)) for a in axes}
    if any(shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of {list(shape)} are not all of size 1")
    return viewed(c, c[0], tuple(s for i, s in enumerate(shape) if i not in gone))


def _unsqueeze(c: Call) -> Value:
    axes = c.ints(1, "axes") or []
    rank = len(c[0].shape) + len(axes)
    new, rest = {axis_of(a, rank) for a in axes}, iter(c[0].shape)
    return viewed(c, c[0], tuple(1 if i in new else next(rest) for i in range(rank)))


def _concat(c: Call) -> Value:
    parts = [v for v in c.inputs if v is not None and (v.size or len(v.shape) > 1)] or [c[0]]
    return parts[0] if len(parts) == 1 else c.emit("concat", parts, axis=c.attr("axis", 0), dtype=parts[0].dtype)


def _split(c: Call) -> list[Value]:
    axis = axis_of(c.attr("axis", 0), len(c[0].shape))
    size, count = c[0].shape[axis], len(c.outputs)
    each = -(-size // count)
    sizes = c.ints(1, "split") or [max(0, min(each, size - i * each)) for i in range(count)]
    return c.emit_many("split", [c[0]], axis=axis, sizes=tuple(sizes))


def _slice(c: Call) -> Value:
    shape = c[0].shape
    starts, ends, axes, steps = (c.ints(i) for i in range(1, 5))
    axes = None if axes is None else [axis_of(a, len(shape)) for a in axes]
    parts = slices(shape, starts or [], ends or [], axes, steps)
    new = tuple(len(range(size)[part]) for size, part in zip(shape, parts, strict=True))
    return c[0] if new == shape and all((p.step or 1) > 0 for p in parts) else c.emit("slice", [c[0]], shape=new, dtype=c[0].dtype)


def _pad(c: Call) -> Value:
    rank, pads, axes = len(c[0].shape), c.ints(1, "pads") or [], c.ints(3)
    order = list(range(rank)) if axes is None else [axis_of(a, rank) for a in axes]
    pairs = [(0, 0)] * rank
    for axis, before, after in zip(order, pads[: len(order)], pads[len(order) :], strict=True):
        pairs[axis] = (before, after)
    return c[0] if not any(map(any, pairs)) else c.emit("pad", [c[0]], pads=tuple(pairs), mode=c.attr("mode", "constant"))


def _expand(c: Call) -> Value:
    shape = broadcast([c[0].shape, tuple(c.ints(1) or [])])
    return c[0] if shape == c[0].shape else c.emit("expand", [c[0]], shape=shape)


def _tile(c: Call) -> Value:
    shape = tuple(s * r for s, r in zip(c[0].shape, c.ints(1) or [], strict=True))
    return c[0] if shape == c[0].shape else c.emit("tile", [c[0]], shape=shape)


def _depth_to_space(c: Call) -> Value:
    n, channels, height, width = c[0].shape
    b = c.attr("blocksize", 1)
    inner, perm = (
        ((b, b, channels // b**2), (0, 3, 4, 1, 5, 2)) if c.attr("mode", "DCR") == "DCR" else ((channels // b**2, b, b), (0, 1, 4, 2, 5, 3))
    )
    x = c.emit("reshape", [c[0]], shape=(n, *inner, height, width))
    return c.emit("reshape", [c.emit("transpose", [x], perm=perm)], shape=(n, channels // b**2, height * b, width * b))


def _space_to_depth(c: Call) -> Value:
    n, channels, height, width = c[0].shape
    b = c.attr("blocksize", 1)
    x = c.emit("reshape", [c[0]], shape=(n, channels, height // b, b, width // b, b))
    return c.emit("reshape", [c.emit("transpose", [x], perm=(0, 3, 5, 1, 2, 4))], shape=(n, channels * b**2, height // b, width // b))


def _shape(c: Call) -> Value:
    return known(np.array(c[0].shape[slice(c.attr("start", 0), c.attr("end"))], dtype=np.int64))


def _constant(c: Call) -> Value:
    if "value" in c.attrs:
        return _tensor_constant(c, c.attrs["value"])
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    for name, kind in kinds.items():
        if name in c.attrs:
            return replace(known(np.array(c.attrs[name], dtype=kind)), stored=None)
    raise Unsupported("text or sparse")


def _tensor_constant(c: Call, value: Any) -> Value:
    """The value of a Constant node; named as if it were an initializer, because it may be a weight."""
    name = c.outputs[0]
    if isinstance(value, np.ndarray):
        found = known(value)
        return replace(found, stored=name) if found.dtype.is_float and found.size > 1 else found
    return c.importer.stored.add(value, name=name)


def _fill(c: Call) -> Value:
    value = c.attr("value")
    fmt = dtype("fp32") if value is None else dtype_of(value.dtype)
    return c.emit("generate", [], shape=tuple(c.ints(0) or []), fn="fill", dtype=fmt)


def _range(c: Call) -> Value:
    bounds = [c.numbers(i) for i in range(3)]
    length = range_length(*(b[0] for b in bounds if b is not None))
    return c.emit("generate", [], shape=(length,), fn="range", dtype=c[0].dtype)


def _random(c: Call) -> Value:
    shape = tuple(c.attr("shape", ())) if not c.inputs else c[0].shape
    code = c.attr("dtype")
    fmt = dtype(DTYPES[code]) if code else (c[0].dtype if c.inputs else dtype("fp32"))
    return c.emit("generate", [c[0]] if c.inputs else [], shape=shape, fn="random", dtype=fmt)


def _one_hot(c: Call) -> Value:
    depth = (c.ints(1) or [0])[0]
    axis = c.attr("axis", -1) % (len(c[0].shape) + 1)
    return c.emit("generate", [c[0]], shape=(*c[0].shape[:axis], depth, *c[0].shape[axis:]), fn="one_hot", dtype=c[2].dtype)


def _split_to_sequence(c: Call) -> Value:
    axis = axis_of(c.attr("axis", 0), len(c[0].shape))
    size, given = c[0].shape[axis], c.ints(1)
    each = 1 if given is None else given[0]
    sizes = given if given is not None and c[1].shape else [min(each, size - i) for i in range(0, size, max(1, each))]
    if len(sizes) > 4096:
        raise Unsupported(f"{len(sizes)} parts")
    parts = c.emit_many("split", [c[0]], axis=axis, sizes=tuple(sizes))
    if given is None and not c.attr("keepdims", 1):
        parts = [c.emit("reshape", [p], shape=(*p.shape[:axis], *p.shape[axis + 1 :])) for p in parts]
    return _sequence(parts)


def _sequence(parts: list[Value]) -> Value:
    return Value((), dtype("int64"), items=tuple(parts))


def _members(c: Call) -> tuple[Value, ...]:
    if c[0].items is None:
        raise ValueError("operand 0 is no sequence")
    return c[0].items


def _concat_sequence(c: Call) -> Value:
    parts, axis = list(_members(c)), c.attr("axis", 0)
    if c.attr("new_axis", 0):
        axis %= len(parts[0].shape) + 1
        parts = [c.emit("reshape", [p], shape=(*p.shape[:axis], 1, *p.shape[axis:])) for p in parts]
    return c.emit("concat", parts, axis=axis, dtype=parts[0].dtype)


def _identity(c: Call) -> Value:
    """The operand; older exporters so share the bytes of equal tensors, which only makes those of one repeated number no tied weights."""
    stored = c.importer.stored
    if c[0].stored and c[0].dtype.is_float and stored.uniform(c[0].stored):
        return replace(c[0], stored=stored.alias(c[0].stored, c.outputs[0]))
    return c[0]


RULES: dict[str, Callable[[Call], Any]] = {
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Shape": _shape,
    "Size": lambda c: known(np.array(c[0].size, dtype=np.int64)),
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "Range": _range,
    "Identity": _identity,
    "Dropout": lambda c: c[0],
    "EyeLike": lambda c: c.emit("generate", [], shape=c[0].shape, fn="eye", dtype=c[0].dtype),
    "Trilu": lambda c: c.emit("elementwise", [c[0]], fn="where"),
    "ReverseSequence": lambda c: c.emit("copy", [c[0]]),
    "CumSum": lambda c: c.emit("cumulative", [c[0]], axis=(c.ints(1) or [0])[0]),
    "OneHot": _one_hot,
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"), _random),
    "SplitToSequence": _split_to_sequence,
    "SequenceConstruct": lambda c: _sequence([v for v in c.inputs if v is not None]),
    "SequenceAt": lambda c: _members(c)[(c.ints(1) or [0])[0]],
    "SequenceLength": lambda c: known(np.array(len(_members(c)), dtype=np.int64)),
    "ConcatFromSequence": _concat_sequence,
}
