"""The bench against the wave optics of torchoptics (two lenses, four focal lengths); skipped where that is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.optics import Bench, convolve

torchoptics = pytest.importorskip("torchoptics")
torch = pytest.importorskip("torch")

PIXELS, IMAGE, KERNEL = 128, 20, 9
WAVELENGTH_M, PITCH_M = 532e-9, 10e-6
FOCAL_M = PIXELS * PITCH_M**2 / WAVELENGTH_M
"""At this focal length the Fourier plane has the pitch of the image."""


def centred(values: np.ndarray) -> np.ndarray:
    """Values in the middle of the plane, around the sample `PIXELS // 2`."""
    plane = np.zeros((PIXELS, PIXELS))
    first = PIXELS // 2 - len(values) // 2
    plane[first : first + len(values), first : first + len(values)] = values
    return plane


def smooth(plane: np.ndarray) -> np.ndarray:
    """Without the finest detail, which a lens of finite size loses."""
    frequency = np.fft.fftfreq(PIXELS)
    low = np.exp(-2 * (2 * np.pi) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    return np.clip(np.fft.ifft2(np.fft.fft2(plane) * low).real, 0, None)


def wave_optics(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Root of the intensity behind two lenses with the kernel's spectrum between them, turned upright."""
    elements: Any = torchoptics.elements
    torchoptics.set_default_spacing(PITCH_M)
    torchoptics.set_default_wavelength(WAVELENGTH_M)
    mask = torch.from_numpy(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(centred(kernel)))))
    lenses = [elements.Lens((2 * PIXELS, 2 * PIXELS), FOCAL_M, z=z * FOCAL_M) for z in (1, 3)]
    system = torchoptics.System(lenses[0], elements.Modulator(mask, z=2 * FOCAL_M), lenses[1])
    found = system.measure_at_z(torchoptics.Field(torch.from_numpy(image).to(torch.complex128)), z=4 * FOCAL_M)
    return found.intensity().sqrt().numpy()[::-1, ::-1]


def test_the_bench_is_wave_optics() -> None:
    rng = np.random.default_rng(0)
    image, kernel = smooth(centred(rng.random((IMAGE, IMAGE)))), rng.random((KERNEL, KERNEL))
    bench = convolve(image[None, None], kernel[None, None, ::-1, ::-1].copy(), bench=Bench(camera_bits=48), padding=KERNEL // 2)[0, 0]
    waves = wave_optics(image, kernel)
    waves = waves * (waves * bench).sum() / (waves**2).sum()
    assert np.sqrt(np.mean((waves - bench) ** 2) / np.mean(bench**2)) < 2e-3
