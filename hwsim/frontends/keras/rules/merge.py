"""Layers of several tensors."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.frontends.keras.context import Call, Unsupported, Value

FUNCTIONS = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Average": "average", "Maximum": "maximum", "Minimum": "minimum"}


def _alike(c: Call) -> list[Value]:
    """The tensors in one layout, that of the first image or sequence."""
    rank = max(len(v.shape) for v in c.inputs)
    first = next((v.first for v in c.inputs if len(v.shape) == rank), False)
    return [c.layout(v, first=first) for v in c.inputs]


def _merged(fn: str) -> Callable[[Call], Value]:
    return lambda c: c.emit("elementwise", _alike(c), fn=fn)


def _concatenate(c: Call) -> Value:
    values = _alike(c)
    return c.emit("concat", values, axis=values[0].axis(int(c.get("axis", -1))))


def _dot(c: Call) -> Value:
    """Products along one axis of each: (batch, .., k) with (batch, .., k)."""
    if len(c.inputs) != 2:
        raise Unsupported(f"{len(c.inputs)} tensors")
    a, b = (c.layout(v, first=False) for v in c.inputs)
    axes = c.get("axes", -1)
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    left, right = (int(x) % len(v.shape) for x, v in zip(pair, (a, b), strict=True))
    if max(len(a.shape), len(b.shape)) > 3 or min(left, right) == 0:
        raise Unsupported(f"axes {axes!r} of {a.shape} and {b.shape}")
    batch = a.shape[0]
    flat_a, flat_b = len(a.shape) == 2, len(b.shape) == 2
    a = c.moved("reshape", a, suffix=":left", shape=(batch, 1, a.shape[1])) if flat_a else a
    b = c.moved("reshape", b, suffix=":right", shape=(batch, 1, b.shape[1])) if flat_b else b
    value = c.emit("matmul", [a, b], transpose_a=not flat_a and left == 1, transpose_b=flat_b or right == 2)
    shape = value.shape
    kept = (shape[0], *(s for s, gone in zip(shape[1:], (flat_a, flat_b), strict=True) if not gone))
    wanted = kept if len(kept) > 1 else (batch, 1)
    return value if wanted == shape else c.moved("reshape", value, suffix=":flat", shape=wanted)


RULES = {**{name: _merged(fn) for name, fn in FUNCTIONS.items()}, "Concatenate": _concatenate, "Dot": _dot}
