"""What numpy and torch do differently: random numbers, devices, element types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array, namespace
from hwsim.errors import InputError

PLANE = (-2, -1)
"""Axes of a frame."""


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

    def spectrum(self, frames: Array) -> Array:
        """Half spectrum of real frames, shape `(..., rows, columns // 2 + 1)`."""
        return self.xp.fft.rfftn(frames, axes=PLANE)

    def frames(self, spectra: Array, size: tuple[int, int]) -> Array:
        """Real frames of half spectra."""
        return self.xp.fft.irfftn(spectra, s=size, axes=PLANE)

    def peak(self, frames: Array) -> tuple[Array, Array]:
        """Largest value of each frame, and what to divide by (1 where a frame is dark); shape `(..., 1, 1)`."""
        top = self.xp.max(frames, axis=PLANE, keepdims=True)
        return top, self.xp.where(top > 0, top, self.xp.ones_like(top))


def _real(array: Array, *, kinds: tuple[Any, ...]) -> None:
    if array.dtype not in kinds:
        raise InputError(f"found numbers of {array.dtype}; expected float32 or float64")
