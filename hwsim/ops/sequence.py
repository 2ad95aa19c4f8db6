"""Scans, recurrences and Fourier transforms: one node each, with formulas of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import GraphError, UnknownName
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, axis_of, register, streamed

STATE_BYTES = 4
"""Recurrent states are kept in fp32 by the known kernels."""


def _selective_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    x, delta, a = shapes[:3]
    if len(x) != 3 or delta != x or len(a) != 2 or a[0] != x[1]:
        raise GraphError(f"selective_scan: x {x}, delta {delta}, A {a}; expected (B, D, L), (B, D, L), (D, N)")
    return (x,)


def _selective_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    """h = exp(delta A) h + delta B x; y = C h + D x (Mamba, arXiv 2312.00752, eq. 2)."""
    batch, channels, _ = inputs[0].shape
    states = inputs[2].shape[1]
    steps = inputs[0].size * states
    state_b = batch * channels * states * STATE_BYTES
    return streamed(inputs, outputs, macs=steps, ops=4 * steps + 2 * inputs[0].size, special=steps, state_b=state_b)


register(
    Op(
        "selective_scan",
        _selective_shapes,
        _selective_work,
        inputs=(5, 7),
        stateful=True,
        summary="Mamba's scan; operands x (B, D, L), delta (B, D, L), A (D, N), B (B, N, L), C (B, N, L), D (D), z (B, D, L)",
    )
)


def _ssd_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    x, _, _, b = shapes[:4]
    if len(x) != 4 or len(b) != 4 or x[:2] != b[:2] or x[2] % b[2]:
        raise GraphError(f"ssd: x {x} and B {b}; expected (batch, L, heads, P) and (batch, L, groups, N)")
    return (x,)


def _ssd_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    """Chunked matrix form of Mamba-2 (arXiv 2405.21060, section 6): inside chunks, chunk states, outputs from states."""
    batch, length, heads, width = inputs[0].shape
    groups, states = inputs[3].shape[2:]
    chunk = min(attrs["chunk"], length)
    inner = batch * length * chunk * (groups * states + heads * width)
    across = 2 * batch * length * heads * width * states
    decay = batch * length * chunk * heads
    return streamed(
        inputs, outputs, macs=inner + across, ops=2 * decay, special=decay, state_b=batch * heads * width * states * STATE_BYTES
    )


register(
    Op(
        "ssd",
        _ssd_shapes,
        _ssd_work,
        {"chunk": 256},
        inputs=(5, 7),
        stateful=True,
        summary="Mamba-2's scan by chunks; operands x (B, L, H, P), dt (B, L, H), A (H), B and C (B, L, G, N), D (H)",
    )
)

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def _recurrent_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["cell"] not in _GATES:
        raise UnknownName("recurrent cell", attrs["cell"], _GATES)
    x, weight, recurrent = shapes[:3]
    rows = _GATES[attrs["cell"]] * recurrent[-1] * attrs["directions"]
    if len(x) != 3 or weight != (rows, x[2]) or recurrent[0] != rows:
        raise GraphError(f"{attrs['cell']}: x {x}, W {weight}, R {recurrent}; expected (B, L, I), (gates H dirs, I), (gates H dirs, H)")
    return ((x[0], x[1], recurrent[1] * attrs["directions"]),)


def _recurrent_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    batch, length, _ = inputs[0].shape
    out = outputs[0].size
    macs = batch * length * (inputs[1].size + inputs[2].size)
    state_b = batch * outputs[0].shape[-1] * STATE_BYTES * (2 if attrs["cell"] == "lstm" else 1)
    return streamed(inputs, outputs, macs=macs, ops=6 * out, special=(_GATES[attrs["cell"]] + 1) * out, state_b=state_b)


register(
    Op(
        "recurrent",
        _recurrent_shapes,
        _recurrent_work,
        {"cell": REQUIRED, "directions": 1},
        inputs=(3, 4),
        stateful=True,
        summary="LSTM, GRU or plain RNN layer; operands x (B, L, I), W, R, bias",
    )
)


def _fft_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    shape = list(shapes[0])
    axes = [axis_of(a, len(shape)) for a in attrs["axes"]]
    for axis, length in zip(axes, attrs["n"] or (), strict=False):
        shape[axis] = length
    if attrs["real"] and not attrs["inverse"]:
        shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    elif attrs["real"] and not attrs["n"]:
        shape[axes[-1]] = 2 * (shape[axes[-1]] - 1)
    return (tuple(shape),)


def fft_ops(size: int, points: int, *, real: bool) -> int:
    """Real operations of `size / points` transforms of `points`: 5 n log2 n complex, half of it real (Cooley and Tukey 1965)."""
    return math.ceil((2.5 if real else 5.0) * size * math.log2(max(points, 2)))


def _fft_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    full = inputs[0] if not attrs["inverse"] or not attrs["real"] else outputs[0]
    points = math.prod(full.shape[axis_of(a, len(full.shape))] for a in attrs["axes"])
    return streamed(inputs, outputs, ops=fft_ops(full.size, points, real=attrs["real"]))


register(
    Op(
        "fft",
        _fft_shapes,
        _fft_work,
        {"axes": (-1,), "n": None, "real": False, "inverse": False},
        summary="discrete Fourier transform over axes",
    )
)
