"""Small computations on shapes and indices, done while a model is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.frontends.onnx.values import DTYPES, MOST_KNOWN, NUMPY

Arrays = Sequence[Any]
Attrs = Mapping[str, Any]
Rule = Callable[[Arrays, Attrs], Any]


class TooLarge(Exception):
    """The result has more elements than are followed."""


def evaluate(operator: str, arrays: Arrays, attrs: Attrs) -> list[np.ndarray] | None:
    """Results of `operator` on known numbers; None where it has no rule, does not fit, or the result is large."""
    rule = RULES.get(operator)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = rule(arrays, attrs)
    except (
        TooLarge,
        ValueError,
        IndexError,
        TypeError,
        KeyError,
        ZeroDivisionError,
        OverflowError,
        ArithmeticError,
        MemoryError,
        AttributeError,
    ):
        return None
    found = [np.asarray(r) for r in (result if isinstance(result, list) else [result])]
    return found if all(r.size <= MOST_KNOWN for r in found) else None


def _fits(shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(int(s) for s in shape)
    if math.prod(shape) > MOST_KNOWN or any(s < 0 for s in shape):
        raise TooLarge
    return shape


def _binary(function: Callable[[Any, Any], Any]) -> Rule:
    def rule(arrays: Arrays, attrs: Attrs) -> Any:
        _fits(np.broadcast_shapes(arrays[0].shape, arrays[1].shape))
        return function(arrays[0], arrays[1])

    return rule


def _divide(a: Any, b: Any) -> Any:
    if a.dtype.kind not in "iu":
        return np.divide(a, b).astype(a.dtype)
    if not np.all(b):
        raise ZeroDivisionError
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def _many(function: Callable[[Any, Any], Any]) -> Rule:
    def rule(arrays: Arrays, attrs: Attrs) -> Any:
        _fits(np.broadcast_shapes(*(a.shape for a in arrays)))
        result = arrays[0]
        for other in arrays[1:]:
            result = function(result, other)
        return result

    return rule


def _unary(function: Callable[[Any], Any]) -> Rule:
    return lambda arrays, attrs: function(arrays[0]).astype(arrays[0].dtype)


def _axes(arrays: Arrays, attrs: Attrs, index: int = 1) -> tuple[int, ...] | None:
    if len(arrays) > index and arrays[index] is not None:
        return tuple(int(a) for a in np.ravel(arrays[index]))
    return tuple(attrs["axes"]) if "axes" in attrs else None


def _unsqueeze(arrays: Arrays, attrs: Attrs) -> Any:
    return np.expand_dims(arrays[0], _axes(arrays, attrs) or ())


def _squeeze(arrays: Arrays, attrs: Attrs) -> Any:
    return np.squeeze(arrays[0], _axes(arrays, attrs))


def reshape_target(source: Sequence[int], target: Sequence[int], *, allow_zero: bool) -> list[int]:
    """ONNX's meaning of 0 in the target of a Reshape: the size of the source there."""
    return [source[i] if s == 0 and not allow_zero and i < len(source) else int(s) for i, s in enumerate(target)]


def _reshape(arrays: Arrays, attrs: Attrs) -> Any:
    return arrays[0].reshape(reshape_target(arrays[0].shape, arrays[1], allow_zero=bool(attrs.get("allowzero"))))


def _concat(arrays: Arrays, attrs: Attrs) -> Any:
    _fits([sum(a.size for a in arrays)])
    return np.concatenate(arrays, axis=attrs["axis"])


def _gather(arrays: Arrays, attrs: Attrs) -> Any:
    axis = attrs.get("axis", 0)
    _fits([arrays[0].size // max(1, arrays[0].shape[axis]), arrays[1].size])
    return np.take(arrays[0], arrays[1], axis=axis)


def _gather_nd(arrays: Arrays, attrs: Attrs) -> Any:
    if attrs.get("batch_dims"):
        raise TooLarge
    data, indices = arrays[:2]
    _fits([*indices.shape[:-1], *data.shape[indices.shape[-1] :]])
    return data[tuple(np.moveaxis(indices, -1, 0))]


def slices(shape: Sequence[int], starts: Any, ends: Any, axes: Any, steps: Any) -> tuple[slice, ...]:
    """Python slices with ONNX's meaning of starts, ends, axes and steps."""
    found = [slice(None)] * len(shape)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop = None if int(step) < 0 and int(end) < -shape[axis] else int(end)
        found[int(axis)] = slice(int(start), stop, int(step))
    return tuple(found)


def _slice(arrays: Arrays, attrs: Attrs) -> Any:
    padded = [*arrays, None, None][:5]
    return arrays[0][slices(arrays[0].shape, *padded[1:5])]


def _expand(arrays: Arrays, attrs: Attrs) -> Any:
    shape = _fits(np.broadcast_shapes(arrays[0].shape, tuple(int(s) for s in arrays[1])))
    return np.broadcast_to(arrays[0], shape)


def _fill(arrays: Arrays, attrs: Attrs) -> Any:
    value = attrs.get("value", np.zeros(1, np.float32))
    return np.full(_fits(arrays[0]), np.ravel(value)[0], dtype=value.dtype)


def _range(arrays: Arrays, attrs: Attrs) -> Any:
    start, limit, delta = (np.ravel(a)[0] for a in arrays)
    _fits([range_length(start, limit, delta)])
    return np.arange(start, limit, delta, dtype=arrays[0].dtype)


def range_length(start: Any, limit: Any, delta: Any) -> int:
    """Elements of a Range."""
    return max(0, math.ceil((float(limit) - float(start)) / float(delta)))


def _tile(arrays: Arrays, attrs: Attrs) -> Any:
    _fits([s * int(r) for s, r in zip(arrays[0].shape, arrays[1], strict=True)])
    return np.tile(arrays[0], arrays[1])


def _cast(arrays: Arrays, attrs: Attrs) -> Any:
    return arrays[0].astype(NUMPY[DTYPES[attrs["to"]]])


def _where(arrays: Arrays, attrs: Attrs) -> Any:
    _fits(np.broadcast_shapes(*(a.shape for a in arrays)))
    return np.where(*arrays)


def _reduce(function: Callable[..., Any]) -> Rule:
    def rule(arrays: Arrays, attrs: Attrs) -> Any:
        axes = _axes(arrays, attrs)
        if not axes and attrs.get("noop_with_empty_axes"):
            return arrays[0]
        return function(arrays[0], axis=axes or None, keepdims=bool(attrs.get("keepdims", 1))).astype(arrays[0].dtype)

    return rule


def _cumsum(arrays: Arrays, attrs: Attrs) -> Any:
    if attrs.get("exclusive") or attrs.get("reverse"):
        raise TooLarge
    return np.cumsum(arrays[0], axis=int(np.ravel(arrays[1])[0]), dtype=arrays[0].dtype)


def _split(arrays: Arrays, attrs: Attrs) -> Any:
    if len(arrays) < 2 or arrays[1] is None:
        raise TooLarge
    return list(np.split(arrays[0], np.cumsum(arrays[1])[:-1], axis=attrs.get("axis", 0)))


def _trilu(arrays: Arrays, attrs: Attrs) -> Any:
    k = int(np.ravel(arrays[1])[0]) if len(arrays) > 1 and arrays[1] is not None else 0
    return np.triu(arrays[0], k) if attrs.get("upper", 1) else np.tril(arrays[0], k)


def _nonzero(arrays: Arrays, attrs: Attrs) -> Any:
    return np.array(np.nonzero(arrays[0]), dtype=np.int64)


def _gather_elements(arrays: Arrays, attrs: Attrs) -> Any:
    return np.take_along_axis(arrays[0], arrays[1], axis=attrs.get("axis", 0))


RULES: dict[str, Rule] = {
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(_divide),
    "Mod": _binary(np.mod),
    "Pow": _binary(lambda a, b: np.power(a, b).astype(a.dtype)),
    "Equal": _binary(np.equal),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Xor": _binary(np.logical_xor),
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    "Sum": _many(np.add),
    "Not": lambda arrays, attrs: np.logical_not(arrays[0]),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Ceil": _unary(np.ceil),
    "Floor": _unary(np.floor),
    "Round": _unary(np.round),
    "Sign": _unary(np.sign),
    "Sqrt": _unary(np.sqrt),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Reciprocal": _unary(np.reciprocal),
    "Identity": lambda arrays, attrs: arrays[0],
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": lambda arrays, attrs: np.transpose(arrays[0], attrs.get("perm")),
    "Flatten": lambda arrays, attrs: arrays[0].reshape(math.prod(arrays[0].shape[: attrs.get("axis", 1)]), -1),
    "Concat": _concat,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "Slice": _slice,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "ConstantOfShape": _fill,
    "Range": _range,
    "Cast": _cast,
    "CastLike": lambda arrays, attrs: arrays[0].astype(arrays[1].dtype),
    "Where": _where,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "CumSum": _cumsum,
    "Trilu": _trilu,
    "NonZero": _nonzero,
    "Size": lambda arrays, attrs: np.asarray(arrays[0].size, dtype=np.int64),
}
"""Operators that are computed when all their operands are known."""
