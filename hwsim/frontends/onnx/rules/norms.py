"""Normalisation, softmax, reductions and pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.rules.dense import window
from hwsim.frontends.onnx.values import Value


def _weights(c: Call, *indices: int) -> list[str]:
    return [c.weight(c[i]) for i in indices if c.has(i)]


def _batch(c: Call) -> Value:
    stored = [c.constant(c[i]) for i in (3, 4)]
    return c.emit("norm", [c[0], *_weights(c, 1, 2), *stored], fn="batch", axes=(1,))


def trailing_axes(c: Call, default: int = -1) -> tuple[int, ...]:
    """Axes from `axis` to the last."""
    rank, axis = len(c[0].shape), c.attr("axis", default)
    return tuple(range(axis % rank, rank))


def _layer(fn: str) -> Callable[[Call], Value]:
    return lambda c: c.emit("norm", [c[0], *_weights(c, 1, 2)], fn=fn, axes=trailing_axes(c))


def _instance(c: Call) -> Value:
    return c.emit("norm", [c[0], *_weights(c, 1, 2)], fn="instance", axes=tuple(range(2, len(c[0].shape))))


def _group(c: Call) -> Value:
    return c.emit("norm", [c[0], *_weights(c, 1, 2)], fn="group", groups=c.attr("num_groups", 1), axes=(1,))


def _softmax(*, log: bool) -> Callable[[Call], Value]:
    return lambda c: c.emit("softmax", [c[0]], axis=c.attr("axis", -1), log=log)


def _reduce(fn: str) -> Callable[[Call], Value]:
    def rule(c: Call) -> Value:
        axes = c.ints(1, "axes")
        if not axes and c.attr("noop_with_empty_axes", 0):
            return c[0]
        return c.emit("reduce", [c[0]], fn=fn, axes=tuple(axes) if axes else None, keepdims=bool(c.attr("keepdims", 1)))

    return rule


def _arg(fn: str) -> Callable[[Call], Value]:
    def rule(c: Call) -> Value:
        return c.emit("reduce", [c[0]], fn=fn, axes=(c.attr("axis", 0),), keepdims=bool(c.attr("keepdims", 1)), dtype="int64")

    return rule


def _pool(fn: str) -> Callable[[Call], Value]:
    def rule(c: Call) -> Value:
        if len(c.outputs) > 1 and c.outputs[1]:
            raise Unsupported("with indices")
        kernel = list(c.attr("kernel_shape", []))
        attrs: dict[str, Any] = window(c, c[0].shape, kernel)
        return c.emit("pool", [c[0]], fn=fn, kernel=tuple(kernel), ceil=bool(c.attr("ceil_mode", 0)), **attrs)

    return rule


def _global_pool(fn: str) -> Callable[[Call], Value]:
    return lambda c: c.emit("pool", [c[0]], fn=fn, output_size=1)


RULES = {
    "BatchNormalization": _batch,
    "LayerNormalization": _layer("layer"),
    "RMSNormalization": _layer("rms"),
    "SimplifiedLayerNormalization": _layer("rms"),
    "InstanceNormalization": _instance,
    "GroupNormalization": _group,
    "LpNormalization": lambda c: c.emit("norm", [c[0]], fn="l2", axes=(c.attr("axis", -1),)),
    "MeanVarianceNormalization": lambda c: c.emit("norm", [c[0]], fn="layer", axes=tuple(c.attr("axes", [0, 2, 3]))),
    "LRN": lambda c: c.emit("norm", [c[0]], fn="local_response", size=c.attr("size", 5), axes=(1,)),
    "Softmax": _softmax(log=False),
    "LogSoftmax": _softmax(log=True),
    "ReduceSum": _reduce("sum"),
    "ReduceMean": _reduce("mean"),
    "ReduceMax": _reduce("max"),
    "ReduceMin": _reduce("min"),
    "ReduceProd": _reduce("prod"),
    "ReduceL1": _reduce("norm"),
    "ReduceL2": _reduce("norm"),
    "ReduceSumSquare": _reduce("norm"),
    "ReduceLogSum": _reduce("sum"),
    "ReduceLogSumExp": _reduce("logsumexp"),
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "LpPool": _pool("lp"),
    "GlobalAveragePool": _global_pool("avg"),
    "GlobalMaxPool": _global_pool("max"),
    "GlobalLpPool": _global_pool("lp"),
}
