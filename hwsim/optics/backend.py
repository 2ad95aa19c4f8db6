"""What numpy and torch do differently: random numbers, devices, element types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hwsim.arrays import Array, namespace
from hwsim.errors import InputError

PLANE = (-2, -1)
"""Axes of a frame."""
SMALL = 32
"""Side of a frame up to which matrices are used."""


@dataclass(frozen=True)
class Backend:
    """One array library with a stream of random numbers."""

    xp: Any
    generator: Any
    like: Array

    @classmethod
    def of(cls, like: Array, *, seed: int) -> Backend:
        """The library of an array, its random numbers begun at `seed`.

        Raises:
            InputError: an array of another library than numpy or torch, or not of real numbers.
        """
        if isinstance(like, np.ndarray):
            import array_api_compat.numpy as xp

            _real(like, kinds=(np.float32, np.float64))
            return cls(xp, np.random.default_rng(seed), like)
        xp = namespace(like)
        if not xp.__name__.endswith("torch"):
            raise InputError(f"found an array of {type(like).__name__}; expected numpy or torch to simulate")
        import torch

        _real(like, kinds=(torch.float32, torch.float64))
        return cls(xp, torch.Generator(device=like.device).manual_seed(seed), like)

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Standard normal numbers."""
        if isinstance(self.generator, np.random.Generator):
            return self.generator.standard_normal(shape, dtype=self.like.dtype)
        import torch

        return torch.randn(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Zeros of the type of the data."""
        return self.xp.zeros(shape, dtype=self.like.dtype, device=self.like.device)

    def polar(self, amplitude: Array, phase: Array) -> Array:
        """Complex numbers."""
        if isinstance(amplitude, np.ndarray):
            found: Any = np.empty(amplitude.shape, dtype=np.result_type(amplitude.dtype, np.complex64))
            np.multiply(amplitude, np.cos(phase), out=found.real)
            np.multiply(amplitude, np.sin(phase), out=found.imag)
            return found
        import torch

        return torch.polar(amplitude, phase)

    def spectrum(self, frames: Array) -> Array:
        """Half spectrum of real frames, shape `(..., rows, columns // 2 + 1)`."""
        return self.xp.fft.rfftn(frames, axes=PLANE)

    def frames(self, spectra: Array, size: tuple[int, int], *, lit: tuple[int, int] | None = None) -> Array:
        """Real frames of half spectra; of `lit` rows and columns, those at the corner, where that is given.

        Small frames are cheaper as products with the matrices of the transform than as FFTs.
        """
        rows, columns = lit or size
        if max(size) > SMALL:
            return self.xp.fft.irfftn(spectra, s=size, axes=PLANE)[..., :rows, :columns]
        along, across = self._inverse(size, (rows, columns))
        turned = self.xp.matmul(along, spectra)
        return self.xp.matmul(self._real_pairs(turned), across)

    def _inverse(self, size: tuple[int, int], lit: tuple[int, int]) -> tuple[Array, Array]:
        """Inverse transform of columns (complex), and of half rows to real numbers, real and imaginary parts in turn."""
        along, across = _matrices(size, lit, double="64" in str(self.like.dtype))
        if isinstance(self.like, np.ndarray):
            return along, across
        return self.xp.asarray(along, device=self.like.device), self.xp.asarray(across, device=self.like.device)

    def _real_pairs(self, values: Array) -> Array:
        """Complex numbers `(..., n)` as real ones `(..., 2 n)`."""
        if isinstance(values, np.ndarray):
            return np.ascontiguousarray(values).view(self.like.dtype)
        import torch

        return torch.view_as_real(values.contiguous()).flatten(-2)

    def peak(self, frames: Array) -> tuple[Array, Array]:
        """Largest value of each frame, and what to divide by (1 where a frame is dark); shape `(..., 1, 1)`."""
        top = self.xp.max(frames, axis=PLANE, keepdims=True)
        return top, self.xp.where(top > 0, top, self.xp.ones_like(top))


@lru_cache(maxsize=32)
def _matrices(size: tuple[int, int], lit: tuple[int, int], *, double: bool) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = size
    along = np.exp(2j * np.pi * np.outer(np.arange(lit[0]), np.arange(rows)) / rows) / rows
    half = np.arange(columns // 2 + 1)
    twice = np.where((half == 0) | (2 * half == columns), 1.0, 2.0) / columns
    turn = twice[:, None] * np.exp(2j * np.pi * np.outer(half, np.arange(lit[1])) / columns)
    across = np.stack([turn.real, -turn.imag], axis=1).reshape(-1, lit[1])
    return along.astype(np.complex128 if double else np.complex64), across.astype(np.float64 if double else np.float32)


def _real(array: Array, *, kinds: tuple[Any, ...]) -> None:
    if array.dtype not in kinds:
        raise InputError(f"found numbers of {array.dtype}; expected float32 or float64")
