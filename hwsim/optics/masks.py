"""Fourier masks: the spectra that a modulator of finite depth shows for kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.arrays import Array
from hwsim.optics.backend import Backend
from hwsim.optics.bench import Bench
from hwsim.optics.geometry import Geometry


@dataclass(frozen=True)
class Mask:
    """Transfer functions of one frame for a block of kernels."""

    sign: float
    """Of this frame in the sum."""
    spectra: tuple[Array, ...]
    """Half spectra, shape `(groups, out, in, rows, columns // 2 + 1)` each; two where the field has an imaginary part."""


def masks(kernels: Array, *, bench: Bench, at: Geometry, backend: Backend, split: bool) -> list[Mask]:
    """The masks of kernels of shape `(groups, out, in, rows, columns)`: one, or one for either sign."""
    xp = backend.xp
    spread = _on_frame(kernels, at=at, backend=backend)
    if not split or bench.linear:
        positive = not split
        parts = [(1.0, xp.abs(spread) if positive else spread)]
    else:
        parts = [(1.0, xp.clip(spread, 0.0, None)), (-1.0, xp.clip(-spread, 0.0, None))]
    if bench.linear and split and bench.detection == "intensity":
        both = [_spectra(xp.clip(s * spread, 0.0, None), bench=bench, at=at, backend=backend)[0] for s in (1.0, -1.0)]
        return [Mask(1.0, (both[0] - both[1],))]
    return [Mask(sign, _spectra(part, bench=bench, at=at, backend=backend)) for sign, part in parts]


def _on_frame(kernels: Array, *, at: Geometry, backend: Backend) -> Array:
    """Kernels turned by 180 degrees, as light convolves, their middle at the origin of the frame."""
    xp, (rows, columns) = backend.xp, at.span
    frames = backend.zeros((*kernels.shape[:-2], *at.frame))
    frames[..., 0 : rows : at.dilation[0], 0 : columns : at.dilation[1]] = xp.flip(kernels, axis=(-2, -1))
    return xp.roll(frames, (-at.centre[0], -at.centre[1]), axis=(-2, -1))


def _spectra(kernel: Array, *, bench: Bench, at: Geometry, backend: Backend) -> tuple[Array, ...]:
    """Transfer functions of one non-negative kernel (or, of an ideal bench, of any)."""
    if bench.detection == "intensity":
        return (_incoherent(kernel, bench=bench, at=at, backend=backend),)
    shown = quantised_mask(backend.spectrum(kernel), bench=bench, backend=backend)
    if bench.misalignment_px == 0:
        return (shown,)
    return _shifted(backend.frames(shown, at.frame), pixels=bench.misalignment_px, at=at, backend=backend)


def _incoherent(kernel: Array, *, bench: Bench, at: Geometry, backend: Backend) -> Array:
    """The mask is a pupil; the kernel is the square of what it does to a point: its root is shown."""
    if math.isinf(bench.mask_bits):
        return backend.spectrum(kernel)
    pupil = quantised_mask(backend.spectrum(backend.xp.sqrt(kernel)), bench=bench, backend=backend)
    return backend.spectrum(backend.frames(pupil, at.frame) ** 2)


def _shifted(kernel: Array, *, pixels: float, at: Geometry, backend: Backend) -> tuple[Array, Array]:
    """A mask beside the axis turns the phase along the kernel; the real and the imaginary part of what it does."""
    xp = backend.xp
    turn = [2 * math.pi * pixels / side * _centred(side, backend) for side in at.frame]
    phase = turn[0][:, None] + turn[1][None, :]
    return backend.spectrum(kernel * xp.cos(phase)), backend.spectrum(kernel * xp.sin(phase))


def _centred(side: int, backend: Backend) -> Array:
    place = backend.xp.arange(side, dtype=backend.like.dtype, device=backend.like.device)
    return (place + side // 2) % side - side // 2


def quantised_mask(spectrum: Array, *, bench: Bench, backend: Backend) -> Array:
    """A spectrum with 2^b - 1 steps of amplitude up to its own largest, and 2^b steps of phase."""
    if math.isinf(bench.mask_bits):
        return spectrum
    xp = backend.xp
    amplitude = quantised(xp.abs(spectrum), bits=bench.mask_amplitude_bits or bench.mask_bits, backend=backend)
    turn = 2 * math.pi / round(2**bench.mask_bits)
    phase = xp.round(xp.atan2(xp.imag(spectrum), xp.real(spectrum)) / turn) * turn
    return backend.polar(amplitude, phase)


def quantised(values: Array, *, bits: float, backend: Backend) -> Array:
    """Non-negative frames in 2^b - 1 steps up to the largest value of each."""
    if math.isinf(bits):
        return values
    step = backend.peak(values)[1] / (round(2**bits) - 1)
    return backend.xp.round(values / step) * step
