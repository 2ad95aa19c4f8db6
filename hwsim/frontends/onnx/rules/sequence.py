"""Recurrent layers, Fourier transforms, attention of operator set 23."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.values import Value

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def _recurrent(cell: str) -> Callable[[Call], list[Value]]:
    def rule(c: Call) -> list[Value]:
        x = c[0]
        batch, length = x.shape[:2] if c.attr("layout", 0) else (x.shape[1], x.shape[0])
        directions, rows, width = c[1].shape
        hidden = c[2].shape[2]
        x = c.emit("reshape", [x], shape=(batch, length, width))
        weights = [c.weight(c[1], (directions * rows, width)), c.weight(c[2], (directions * rows, hidden))]
        extra = [c.weight(c[3])] if c.has(3) else []
        y = c.emit("recurrent", [x, *weights, *extra], cell=cell, directions=directions)
        return _results(c, y, batch=batch, length=length, directions=directions, hidden=hidden)

    return rule


def _results(c: Call, y: Value, *, batch: int, length: int, directions: int, hidden: int) -> list[Value]:
    """Y, Y_h and Y_c in ONNX's layout; they are parts of one buffer."""
    first = bool(c.attr("layout", 0))
    shape = (batch, length, directions, hidden) if first else (length, directions, batch, hidden)
    last = (batch, directions, hidden) if first else (directions, batch, hidden)
    wanted = [*c.outputs, "", "", ""]
    states = [c.emit("slice", [y], shape=last) if name else y for name in wanted[1:3]]
    return [c.emit("reshape", [y], shape=shape), *states][: max(1, len(c.outputs))]


def _fft(c: Call) -> Value:
    """DFT: real numbers have a last axis of 1, complex ones of 2, which our graph holds as complex numbers."""
    x, inverse, onesided = c[0], bool(c.attr("inverse", 0)), bool(c.attr("onesided", 0))
    if x.shape[-1] not in (1, 2):
        raise ValueError(f"last axis of {list(x.shape)}; expected 1 or 2")
    axis = (c.ints(2) or [c.attr("axis", -2 if c.has(2) or "axis" not in c.attrs else 1)])[0]
    axis %= len(x.shape)
    length = c.ints(1)
    real = x.shape[-1] == 1
    if onesided and (inverse or not real):
        raise Unsupported("one-sided, of complex numbers")
    flat = c.emit("slice", [x], shape=x.shape[:-1], dtype=x.dtype if real else "complex64")
    y = c.emit("fft", [flat], axes=(axis,), n=tuple(length) if length else None, real=onesided, inverse=inverse, dtype="complex64")
    return c.emit("expand", [y], shape=(*y.shape, 2), dtype=x.dtype)


RULES: dict[str, Callable[[Call], Any]] = {**{name: _recurrent(name.lower()) for name in ("LSTM", "GRU", "RNN")}, "DFT": _fft}
