"""How a convolution becomes frames of a 4f bench, in closed form: tiles, blocks of images, pieces of kernels.

A tile holds an image of M pixels and the tail of a kernel of N, T = M + N - 1 a side; n = floor(Rx / Tx) floor(Ry / Ty) tiles share a
mask. Tiles hold images of the batch, s C_in C_out / g ceil(B / n) frames, or channels that are summed optically, s C_out ceil(C_in / n) B
frames (channel tiling: Li et al. 2020). What exceeds the aperture is cut: images into overlapping blocks (overlap-save), further tiles;
kernels into pieces, further passes whose results electronics adds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace

LEAST = 1e-9
"""Guards quotients of whole numbers against rounding."""


NEVER = 1e30
"""Blocks of what does not fit at all: finite, so that nothing becomes undefined, but beyond every budget."""


@dataclass(frozen=True)
class Cut:
    """One axis of a convolution on an aperture, arrays that broadcast to `(points, rows)`."""

    tile: Array
    """Pixels that a tile takes."""
    blocks: Array
    """Parts of the image."""
    pieces: Array
    """Parts of the kernel."""
    shown: Array
    """Pixels of the image that are shown, overlaps of blocks twice."""


@dataclass(frozen=True)
class Plan:
    """Counts of one inference by layer, arrays that broadcast to `(points, rows)`."""

    tiles: Array
    """Tiles of a frame."""
    kinds: Array
    """Different masks, signs not counted."""
    frames: Array
    pixels: Array
    """Camera values that are converted."""
    sums: Array
    """Values that are added up to each output."""
    shown: Array
    """Input values if every frame is written anew."""
    held: Array
    """Input values if an input stays until all its masks have been shown."""


def ceiling(xp: Any, value: Array) -> Array:
    """The next whole number, rounding errors forgiven."""
    return xp.ceil(value * (1.0 - LEAST))


def cut(xp: Any, image: Array, kernel: Array, results: Array, aperture: Array, *, split_kernels: bool) -> Cut:
    """The cheapest way to bring an axis onto the aperture: whole, the image cut, the kernel cut, or both.

    Of an aperture of R pixels R - N + 1 results are free of what wraps around at its edge: a block each (overlap-save).

    Args:
        results: pixels of the result that are wanted, before a stride drops some.

    Where the kernel is larger than the aperture and must not be split, there are `NEVER` blocks.
    """
    whole = image + kernel - 1.0 <= aperture
    one = xp.ones_like(image + kernel + results + aperture)
    ways = [(ceiling(xp, results / _least(xp, aperture - kernel + 1.0)), one, aperture >= kernel)]
    if split_kernels:
        half = _least(xp, xp.floor((aperture * one + 1.0) / 2.0))
        ways += [(one, ceiling(xp, kernel / _least(xp, aperture - image + 1.0)), aperture >= image)]
        ways += [(ceiling(xp, results / _least(xp, aperture - half + 1.0)), ceiling(xp, kernel / half), one > 0)]
    blocks, pieces = one * NEVER, one
    for b, p, possible in ways:
        better = possible & (b * p < blocks * pieces)
        blocks, pieces = xp.where(better, b, blocks), xp.where(better, p, pieces)
    blocks, pieces = xp.where(whole, one, blocks), xp.where(whole, one, pieces)
    tile = xp.where(whole, image + kernel - 1.0, aperture * one)
    return Cut(tile, blocks, pieces, image + (blocks - 1.0) * (ceiling(xp, kernel / pieces) - 1.0))


def _least(xp: Any, value: Array) -> Array:
    return xp.where(value < 1.0, 1.0 + 0.0 * value, value)


def apertures(device: Any) -> tuple[Array, Array]:
    """Columns and rows that input modulator, mask and camera have in common, whole pixels."""
    x, y = ([getattr(device, f"{part}_{axis}") for part in ("input", "mask", "camera")] for axis in "xy")
    return _whole(-larger(larger(-x[0], -x[1]), -x[2])), _whole(-larger(larger(-y[0], -y[1]), -y[2]))


def larger(a: Array, b: Array) -> Array:
    """The larger of two, element by element; scalars stay scalars."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return max(a, b)
    return namespace(a, b).where(a > b, a, b)


def _whole(value: Array) -> Array:
    return float(math.floor(value)) if isinstance(value, int | float) else namespace(value).floor(value)


def plan(c: Any, device: Any, mapping: Any, *, channel: bool) -> Plan:
    """Counts of every layer with tiles for the batch, or (`channel`) for channels.

    Args:
        c: `PassColumns`, shape `(rows,)`.
        device: pixels as scalars or `(points, 1)`.
    """
    rx, ry = apertures(device)
    xp = namespace(c.images, rx, ry)
    x = cut(xp, c.image_x, c.kernel_x, c.results_x, rx, split_kernels=mapping.split_kernels)
    y = cut(xp, c.image_y, c.kernel_y, c.results_y, ry, split_kernels=mapping.split_kernels)
    tiles = xp.floor(rx / x.tile + LEAST) * xp.floor(ry / y.tile + LEAST)
    images, pieces = c.images * x.blocks * y.blocks, x.pieces * y.pieces
    inner = ceiling(xp, c.inner / tiles) if channel else c.inner + 0.0 * tiles
    kinds = c.outer * inner * pieces
    shows = images if channel else ceiling(xp, images / tiles)
    masks, inputs = mapping.masks_per_operation, mapping.inputs_per_operation
    values = c.images * x.shown * y.shown
    return Plan(
        tiles=tiles,
        kinds=kinds,
        frames=masks * inputs * kinds * shows,
        pixels=masks * inputs * kinds * c.images * c.out_x * c.out_y,
        sums=masks * inputs * inner * pieces,
        shown=masks * inputs * c.outer * c.inner * pieces * values,
        held=inputs * c.inner * c.groups * values,
    )


def either(xp: Any, first: Plan, second: Plan, prefer_second: Array) -> Plan:
    """`second` where preferred, else `first`."""
    return Plan(**{name: xp.where(prefer_second, getattr(second, name), value) for name, value in vars(first).items()})
