"""Convolutions on a simulated 4f bench; one code for numpy and torch.

A pair of an input and an output channel is a frame (two or four with signs): the image on the modulator, its spectrum times the
mask, the camera behind the second lens. Channels are summed in electronics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwsim.arrays import Array
from hwsim.errors import InputError
from hwsim.optics.backend import Backend
from hwsim.optics.bench import PASSES, Bench
from hwsim.optics.camera import detected
from hwsim.optics.geometry import Geometry, Window
from hwsim.optics.masks import Mask, masks, quantised

BLOCK = 1 << 17
"""Pixels that are worked on at once: what a processor's cache holds."""
Span = tuple[slice, slice]


@dataclass(frozen=True)
class Programmed:
    """Kernels as masks, for images of one size; `convolve` takes it instead of the kernels."""

    at: Geometry
    groups: int
    shape: tuple[int, ...]
    """Of the kernels, `(groups, out, in, rows, columns)`."""
    negative: bool
    bench: Bench
    blocks: tuple[tuple[Span, list[Mask]], ...]

    @property
    def size_b(self) -> int:
        """Memory of the masks."""
        return sum(math.prod(s.shape) * s.itemsize for _, block in self.blocks for mask in block for s in mask.spectra)


def convolve(
    images: Array,
    kernels: Array | Programmed,
    *,
    bench: Bench,
    stride: Window = 1,
    padding: Window = 0,
    dilation: Window = 1,
    groups: int = 1,
    seed: int | None = None,
) -> Array:
    """Convolution as networks have it (`torch.nn.functional.conv2d` without bias), on the bench.

    Args:
        images: shape `(batch, in, rows, columns)`, float32 or float64, numpy or torch.
        kernels: shape `(out, in / groups, rows, columns)`, or the masks that `program` made of them.
        seed: of the noise, instead of the bench's.

    Returns:
        Shape `(batch, out, rows, columns)`. Each sample is scaled by itself: it does not depend on its neighbours.

    Raises:
        InputError: shapes that do not belong together, or signs that the bench does not show.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, w = rng.random((1, 2, 8, 8)), rng.normal(size=(3, 2, 3, 3))
    >>> convolve(x, w, bench=Bench(input_bits=8, mask_bits=8, camera_bits=8), padding=1).shape
    (1, 3, 8, 8)
    """
    backend = Backend.of(images, seed=bench.seed if seed is None else seed)
    if isinstance(kernels, Programmed):
        ready, blocks = kernels, iter(kernels.blocks)
    else:
        ready = _prepared(images.shape, kernels, bench=bench, stride=stride, padding=padding, dilation=dilation, groups=groups)
        blocks = _blocks(kernels, ready, backend=backend, batch=images.shape[0])
    shown_at = _modulated(images, ready, backend=backend)
    out = backend.zeros((images.shape[0], *ready.shape[:2], *ready.at.out))
    for (g, o), block in blocks:
        _expose(out, shown_at, block, g=g, o=o, ready=ready, backend=backend)
    return backend.xp.reshape(out, (images.shape[0], ready.shape[0] * ready.shape[1], *ready.at.out))


def program(
    kernels: Array,
    image: tuple[int, int],
    *,
    bench: Bench,
    stride: Window = 1,
    padding: Window = 0,
    dilation: Window = 1,
    groups: int = 1,
) -> Programmed:
    """The masks of kernels for images of `image` rows and columns, to be used again and again.

    Raises:
        InputError: as `convolve`.
    """
    shape = (1, kernels.shape[1] * groups, *image)
    ready = _prepared(shape, kernels, bench=bench, stride=stride, padding=padding, dilation=dilation, groups=groups)
    blocks = tuple(_blocks(kernels, ready, backend=Backend.of(kernels, seed=0), batch=1))
    return replace(ready, blocks=blocks)


def ideal(images: Array, kernels: Array, *, stride: Window = 1, padding: Window = 0, dilation: Window = 1, groups: int = 1) -> Array:
    """The same convolution on a bench without errors; arguments as for `convolve`."""
    return convolve(images, kernels, bench=Bench(), stride=stride, padding=padding, dilation=dilation, groups=groups)


def frame_count(images: tuple[int, ...], kernels: tuple[int, ...], *, signs: str) -> int:
    """Frames that a convolution takes: a pair of channels, a sample and a pass each.

    Args:
        images: shape `(batch, in, rows, columns)`.
        kernels: shape `(out, in / groups, rows, columns)`.
        signs: unsigned, kernel or both.
    """
    return PASSES[signs] * images[0] * kernels[0] * kernels[1]


def _prepared(
    images: tuple[int, ...], kernels: Array, *, bench: Bench, stride: Window, padding: Window, dilation: Window, groups: int
) -> Programmed:
    if len(images) != 4 or len(kernels.shape) != 4:
        raise InputError(
            f"images {tuple(images)} and kernels {tuple(kernels.shape)}; expected (batch, in, rows, columns) and (out, in, ...)"
        )
    out, each = kernels.shape[:2]
    if groups < 1 or images[1] != each * groups or out % groups:
        raise InputError(
            f"images have {images[1]} channels, kernels are {tuple(kernels.shape)} with groups={groups}; expected {each * groups} channels "
            f"and a number of outputs that the groups divide"
        )
    at = Geometry.of(images[2:], kernels.shape[2:], stride=stride, padding=padding, dilation=dilation, frame_px=int(bench.frame_px))
    return Programmed(at, groups, (groups, out // groups, each, *kernels.shape[2:]), bool((kernels < 0).any()), bench, ())


def _blocks(kernels: Array, ready: Programmed, *, backend: Backend, batch: int) -> Iterator[tuple[Span, list[Mask]]]:
    """Masks for as many kernels at once as the cache holds frames of."""
    groups, outs, each = ready.shape[:3]
    grouped = backend.xp.reshape(kernels, ready.shape)
    if grouped.dtype != backend.like.dtype:
        raise InputError(f"images are {backend.like.dtype} and kernels {grouped.dtype}; expected one type")
    room = max(1, BLOCK // (each * ready.at.frame[0] * ready.at.frame[1]))
    wide, deep = min(outs, room), max(1, min(groups, room // outs))
    split = ready.negative or PASSES.get(ready.bench.signs, 0) > 1
    for g in range(0, groups, deep):
        for o in range(0, outs, wide):
            span = slice(g, min(g + deep, groups)), slice(o, min(o + wide, outs))
            yield span, masks(grouped[span], bench=ready.bench, at=ready.at, backend=backend, split=split)


@dataclass(frozen=True)
class _Shown:
    """Spectra of what the modulator shows."""

    parts: list[tuple[float, Array]]
    """Sign and spectra of shape `(batch, groups, 1, in, rows, columns // 2 + 1)`."""


def _modulated(images: Array, ready: Programmed, *, backend: Backend) -> _Shown:
    """Images on the modulator, positive and negative parts apart where there are negative ones."""
    xp, bench = backend.xp, ready.bench
    negative = bool((images < 0).any())
    way = bench.passes(negative_image=negative, negative_kernel=ready.negative)
    grouped = xp.reshape(images, (images.shape[0], ready.groups, 1, ready.shape[2], *images.shape[2:]))
    parts = [(1.0, xp.clip(grouped, 0.0, None)), (-1.0, xp.clip(-grouped, 0.0, None))] if way == "both" else [(1.0, grouped)]
    found = [(sign, quantised(part, bits=bench.input_bits, backend=backend)) for sign, part in parts]
    if bench.linear:
        found = [(1.0, sum(sign * part for sign, part in found))]
    return _Shown([(sign, backend.spectrum(_framed(part, ready.at, backend))) for sign, part in found])


def _framed(images: Array, at: Geometry, backend: Backend) -> Array:
    frames = backend.zeros((*images.shape[:-2], *at.frame))
    (top, left), (rows, columns) = at.centre, at.image  # so that the lit part of the camera begins at the corner of the frame
    frames[..., top : top + rows, left : left + columns] = images
    return frames


def _expose(out: Array, shown_at: _Shown, block: list[Mask], *, g: slice, o: slice, ready: Programmed, backend: Backend) -> None:
    """All frames of a block of kernels, added up over channels and written to their place in `out`."""
    kernels = (g.stop - g.start) * (o.stop - o.start) * ready.shape[2]
    samples = max(1, BLOCK // (kernels * ready.at.frame[0] * ready.at.frame[1]))
    for b in range(0, out.shape[0], samples):
        found = 0.0
        for image_sign, spectra in shown_at.parts:
            for mask in block:
                passed = [spectra[b : b + samples, g] * m for m in mask.spectra]
                found = found + image_sign * mask.sign * _read(passed, ready=ready, backend=backend)
        _place(out[b : b + samples, g, o], found, ready.at)


def _read(passed: list[Array], *, ready: Programmed, backend: Backend) -> Array:
    """Camera values of spectra behind the mask, summed over input channels."""
    if ready.bench.linear:
        return backend.frames(backend.xp.sum(passed[0], axis=3), ready.at.frame, lit=ready.at.full)
    fields = [backend.frames(p, ready.at.frame, lit=ready.at.full) for p in passed]
    return detected(fields, bench=ready.bench, backend=backend)


def _place(out: Array, found: Array, at: Geometry) -> None:
    (rows, top, bottom), (columns, left, right) = at.kept(0), at.kept(1)
    if top + bottom < at.out[0] and left + right < at.out[1]:
        out[..., top : at.out[0] - bottom, left : at.out[1] - right] = found[..., rows, columns]
