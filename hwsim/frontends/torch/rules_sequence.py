"""Rules of recurrent layers, Fourier transforms and state-space scans."""

from __future__ import annotations

import math
from typing import Any

from hwsim.frontends.torch.rules import Call, rule


@rule("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> tuple[str, ...]:
    """Layers and directions one after the other; the last states are views of the outputs."""
    x = call.need("input")
    first = bool(call["batch_first"])
    x = x if first else call.transpose(x, (1, 0, 2))
    params = call.many("params")
    for _ in range(int(call["num_layers"])):
        x = _layer(call, x, params)
    states = [call.add("slice", [x], like=f, shape=tuple(f.shape)) for f in call.fake[1:]]
    return (x if first else call.transpose(x, (1, 0, 2)), *states)


def _layer(call: Call, x: str, params: list[str]) -> str:
    """One layer; takes its weights from the front of `params`."""
    parts = []
    cell = "rnn" if call.operator.startswith("rnn") else call.operator
    for _ in range(2 if call["bidirectional"] else 1):
        count = 4 if call["has_biases"] else 2
        weight, state_weight, *bias = params[:count]
        projection = call.shape_of(state_weight)[1] != call.shape_of(state_weight)[0] // {"lstm": 4, "gru": 3, "rnn": 1}[cell]
        del params[: count + projection]
        parts.append(call.add("recurrent", [x, weight, state_weight, *bias[:1]], cell=cell))
    return parts[0] if len(parts) == 1 else call.add("concat", parts, axis=-1)


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> Any:
    """One step: a sequence of length one."""
    kind = call.operator.split("_")[0]
    x = call.need("input")
    x = call.reshape(x, (call.shape_of(x)[0], 1, call.shape_of(x)[-1]))
    y = call.add("recurrent", [x, call.need("w_ih"), call.need("w_hh"), *call.tensors("b_ih")], cell=kind)
    if not isinstance(call.fake, list | tuple):
        return call.reshape(y, call.shape)
    y = call.reshape(y, call.fake[0].shape)
    return y, y


_FFTS = [f"fft_{sign}{kind}fft{dims}" for sign in ("", "i") for kind in ("", "r", "h") for dims in ("", "2", "n")]


@rule(*_FFTS)
def fourier(call: Call) -> str:
    """All axes, the last two (`fft2`) or one; `n` and `s` pad or cut before a forward transform."""
    x, inverse = call.need("self"), call.operator.startswith("fft_i")
    rank = len(call.shape)
    axes, lengths = _fft_axes(call, rank)
    real = "rfft" in call.operator or "hfft" in call.operator
    if not inverse or not real:
        x = _padded(call, x, axes, lengths)
    n = tuple(call.shape[a] for a in axes) if inverse and real else None
    return call.add("fft", [x], axes=axes, n=n, real=real, inverse=inverse)


def _fft_axes(call: Call, rank: int) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    given, lengths = call.get("dim"), call.get("s", call.get("n"))
    lengths = (lengths,) if isinstance(lengths, int) else tuple(lengths) if lengths else None
    if isinstance(given, int):
        given = (given,)
    count = len(lengths) if lengths else rank
    axes = tuple(given) if given is not None else tuple(range(-count, 0))
    return tuple(a % rank - rank for a in axes), lengths


def _padded(call: Call, x: str, axes: tuple[int, ...], lengths: tuple[int, ...] | None) -> str:
    shape = list(call.shape_of(x))
    for axis, length in zip(axes, lengths or (), strict=False):
        shape[axis] = length
    if tuple(shape) == call.shape_of(x):
        return x
    if math.prod(shape) < math.prod(call.shape_of(x)):
        return call.add("slice", [x], like=call.input_fake("self"), shape=tuple(shape))
    pads = tuple((0, max(0, n - s)) for n, s in zip(shape, call.shape_of(x), strict=True))
    return call.add("pad", [x], like=call.input_fake("self"), pads=pads)


@rule("fft_fftfreq", "fft_rfftfreq")
def frequencies(call: Call) -> str:
    """A range of frequencies."""
    return call.add("generate", [], shape=call.shape, fn=call.operator)


@rule("stft")
def stft(call: Call) -> str:
    """Frames, then a transform each."""
    frames = math.prod(call.shape) // call.shape[-2]
    x = call.add("tile", [call.need("self")], like=call.input_fake("self"), shape=(frames, call["n_fft"]))
    y = call.add("fft", [x], axes=(-1,), real=True)
    return call.add("slice", [y], shape=call.shape)


@rule("hwsim.selective_scan")
def selective_scan(call: Call) -> str:
    """Mamba's scan."""
    return call.add("selective_scan", call.tensors("x", "delta", "a", "b", "c", "d", "z"))


@rule("hwsim.ssd")
def ssd(call: Call) -> str:
    """Mamba-2's scan."""
    return call.add("ssd", call.tensors("x", "dt", "a", "b", "c", "d"), chunk=call["chunk"])
