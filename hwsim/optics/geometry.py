"""Where image, kernel and result stand in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import InputError

Pair = tuple[int, int]
Window = int | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes along (rows, columns) of one convolution on the bench."""

    image: Pair
    kernel: Pair
    """Taps."""
    dilation: Pair
    stride: Pair
    before: Pair
    """Zeros in front of the image."""
    out: Pair
    frame: Pair

    @classmethod
    def of(
        cls, image: Sequence[int], kernel: Sequence[int], *, stride: Window, padding: Window, dilation: Window, frame_px: int = 0
    ) -> Geometry:
        """Sizes from the arguments of a convolution; `padding` may be p, (p, p) or (before, after) a direction.

        Raises:
            InputError: the kernel does not fit into the padded image, or the frame holds less than image and kernel together.
        """
        steps, spread = pair(stride, "stride"), pair(dilation, "dilation")
        if min(*steps, *spread) < 1:
            raise InputError(f"found stride {steps} and dilation {spread}; expected at least 1")
        pads = _pads(padding)
        span = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
        out = [(i + sum(p) - s) // t + 1 for i, p, s, t in zip(image, pads, span, steps, strict=True)]
        if min(out) < 1 or any(i + sum(p) < s for i, p, s in zip(image, pads, span, strict=True)):
            raise InputError(
                f"a kernel of {shown(kernel)} with dilation {spread} needs {shown(span)} pixels, found an image of {shown(image)} "
                f"with padding {pads}; pad the image or take a smaller kernel"
            )
        needed = [i + s - 1 for i, s in zip(image, span, strict=True)]
        if frame_px and frame_px < max(needed):
            raise InputError(f"frame_px is {frame_px}; image and kernel together need {shown(needed)} pixels, give at least {max(needed)}")
        frame = (frame_px, frame_px) if frame_px else (fast(needed[0]), fast(needed[1]))
        return cls(_two(image), _two(kernel), spread, steps, (pads[0][0], pads[1][0]), _two(out), frame)

    @property
    def span(self) -> Pair:
        """Pixels between the first and the last tap, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))  # pyright: ignore[reportReturnType]

    @property
    def centre(self) -> Pair:
        """Place of the kernel's middle."""
        return self.span[0] // 2, self.span[1] // 2

    @property
    def full(self) -> Pair:
        """Rows and columns of the frame that light can reach."""
        return self.image[0] + self.span[0] - 1, self.image[1] + self.span[1] - 1

    def kept(self, axis: int) -> tuple[slice, int, int]:
        """What of the lit part is the result: a slice, and how many rows of zeros belong in front of it and behind it."""
        step, lit, first = self.stride[axis], self.full[axis], self.span[axis] - 1 - self.before[axis]
        front = max(0, -(first // step)) if first < 0 else 0
        front = min(front, self.out[axis])
        start = first + front * step
        count = max(0, min(self.out[axis] - front, (lit - 1 - start) // step + 1 if start < lit else 0))
        return slice(start, start + max(count - 1, 0) * step + 1 if count else start, step), front, self.out[axis] - front - count


def pair(value: Window, what: str) -> Pair:
    """One number for both directions, or two.

    Raises:
        InputError: neither.
    """
    items = (value, value) if isinstance(value, int) else tuple(value)
    if len(items) != 2:
        raise InputError(f"{what} is {value!r}; expected a whole number or two of them")
    return int(items[0]), int(items[1])


def _pads(padding: Window) -> tuple[Pair, Pair]:
    items = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(items) != 2 or any(not isinstance(p, int) and len(p) != 2 for p in items):
        raise InputError(f"padding is {padding!r}; expected p, (p, p) or ((before, after), (before, after))")
    rows, columns = ((p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in items)
    if min(*rows, *columns) < 0:
        raise InputError(f"padding is {padding!r}; expected 0 or more")
    return rows, columns


def _two(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def shown(sizes: Sequence[int]) -> str:
    """`3x3`."""
    return "x".join(str(int(s)) for s in sizes)


def fast(length: int) -> int:
    """The least even length from `length` on with no prime factor above 5, which FFTs like."""
    while length % 2 or _rest(length) > 1:
        length += 1
    return length


def _rest(n: int) -> int:
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n
