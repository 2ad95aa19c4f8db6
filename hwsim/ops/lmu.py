"""The memory of a Legendre memory unit: the linear state-space system m' = A m + B u with fixed A and B."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import GraphError, UnknownName
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, register, streamed
from hwsim.ops.sequence import STATE_BYTES, fft_ops

MODES = ("parallel", "sequential")
"""All samples of a sequence at once through Fourier transforms, or one state update a sample."""


def _shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["mode"] not in MODES:
        raise UnknownName("mode of lmu_memory:", attrs["mode"], MODES)
    (signal,) = shapes[:1]
    if len(signal) != 3:
        raise GraphError(f"lmu_memory: input {signal}; expected (batch, signals, samples)")
    if attrs["size"] < 1:
        raise GraphError(f"lmu_memory: size is {attrs['size']}; expected 1 or more states a signal")
    return ((signal[0], signal[1] * attrs["size"], signal[2]),)


def _work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    """Parallel: transforms of length 2 N, N samples (Chilkuri and Eliasmith 2021, arXiv:2102.11417, equation 26); sequential: A m + B u."""
    batch, signals, samples = inputs[0].shape
    states = batch * signals * attrs["size"]
    state_b = states * STATE_BYTES
    if attrs["mode"] == "sequential":
        return streamed(inputs, outputs, macs=samples * states * (attrs["size"] + 1), state_b=state_b)
    length = 2 * samples
    transforms = fft_ops(length * (batch * signals + states), length, real=True)
    return streamed(inputs, outputs, ops=transforms + 6 * states * (samples + 1), state_b=state_b)


register(
    Op(
        "lmu_memory",
        _shapes,
        _work,
        {"size": REQUIRED, "mode": "parallel"},
        inputs=(1, 3),
        stateful=True,
        summary="Legendre memory, (batch, signals, samples) to (batch, signals x size, samples); `mode` parallel: by Fourier transforms, "
        "impulse response as an operand; sequential: operands A (size, size) and B (size, 1), one update a sample",
    )
)
