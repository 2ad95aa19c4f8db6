"""Relative error of a convolution on a 4f bench as a closed form: a pure array function whose constants are fitted to the simulation.

The variances of the sources add. Each follows from the statistics of one frame: image values uniform up to full scale, normal kernels
(uniform ones where nothing is negative). With n taps a frame has the mean m = n mu_x mu_w and the spread s = sqrt(n <w^2> var x); its
brightest pixel is m + z s, with z from the number of pixels; that pixel is the camera's full scale. With coherent light the root of an
intensity u = a^2 with variance V(u) has the variance V / 4 (u + c sqrt V): at dark pixels the root saturates, which is what makes the
camera the weak part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from hwsim import shelf
from hwsim.arrays import Array, as_array, namespace
from hwsim.errors import UnknownName
from hwsim.optics.bench import DETECTIONS, PASSES

SHARES = 12
NODES = tuple(NormalDist().inv_cdf((i + 0.5) / SHARES) for i in range(SHARES))
"""Middles of equal shares of a normal distribution."""
TERMS: Mapping[str, Mapping[str, float]] = {
    "coherent": {
        "input": 1.0,
        "amplitude": 1.0,
        "phase": 1.0,
        "edge": 1.0,
        "camera": 1.0,
        "shot": 1.0,
        "dark": 0.1,
        "few": 5.0,
        "few_power": 1.5,
        "border": 10.0,
        "common_camera": 3.0,
        "common_mask": 3.0,
        "peak": 1.0,
        "taps_power": 0.0,
        "side_power": 0.0,
    },
    "intensity": {
        "input": 1.0,
        "amplitude": 1.0,
        "phase": 1.0,
        "stray": 1.0,
        "camera": 1.0,
        "shot": 1.0,
        "common_mask": 3.0,
        "peak": 1.0,
        "taps_power": 0.0,
        "side_power": 0.0,
    },
}
"""Factors of the terms before a fit: about what the statistics say by themselves."""


@dataclass(frozen=True)
class Statistics:
    """Moments of what is shown in one frame."""

    image_mean: float
    image_square: float
    kernel_mean: float
    kernel_square: float
    root_mean: float
    """Mean of the root of kernel values: a pupil shows roots."""
    image_dark_frac: float
    """Share of the image that is exactly zero."""
    kernel_lit_frac: float
    """Share of the taps that are not."""
    signal_mean: float
    """Mean of image times kernel over all frames of a pair, signs included."""
    signal_square: float


STATISTICS: Mapping[str, Statistics] = {
    "unsigned": Statistics(1 / 2, 1 / 3, 1 / 2, 1 / 3, 2 / 3, 0.0, 1.0, 1 / 4, 1 / 9),
    "kernel": Statistics(1 / 2, 1 / 3, 1 / math.sqrt(2 * math.pi), 1 / 2, 0.41109, 0.0, 0.5, 0.0, 1 / 3),
    "both": Statistics(1 / 4, 1 / 6, 1 / math.sqrt(2 * math.pi), 1 / 2, 0.41109, 0.5, 0.5, 0.0, 1 / 3),
}
"""Uniform images (0 to 1, or -1 to 1) and uniform (0 to 1) or normal kernels, by the way that signs are shown."""


def relative_error(
    *,
    input_bits: Array,
    mask_bits: Array,
    camera_bits: Array,
    photons: Array,
    read_noise_e: Array = 0.0,
    full_well_e: Array = 0.0,
    kernel: Array,
    size: Array,
    channels: Array = 1,
    detection: str = "coherent",
    signs: str = "kernel",
    constants: Mapping[str, float] | None = None,
) -> Array:
    """Relative rms error of a convolution on a 4f bench; `effective_bits` makes bits of it.

    Everything broadcasts (numpy, torch and other Array-API libraries); infinite bits and photons switch a source off.

    Args:
        input_bits, mask_bits, camera_bits: of the input modulator, of amplitude and phase of the mask, of the camera.
        photons: detected at the brightest pixel of a frame.
        read_noise_e: electrons rms.
        full_well_e: electrons at which the exposure stops; 0: no limit.
        kernel: taps along a side (the root of their number).
        size: pixels along a side of the image.
        channels: input channels that are summed to an output (per group).
        detection: coherent or intensity.
        signs: unsigned, kernel or both (1, 2 or 4 frames).
        constants: by name; by default those fitted to the simulation (`targets/optical/fitted/error.yaml`).

    Raises:
        UnknownName: a detection or a way of showing signs that does not exist.

    >>> e = relative_error(input_bits=8, mask_bits=8, camera_bits=8, photons=1e5, kernel=3, size=32)
    >>> 0.01 < float(e) < 0.04
    True
    """
    _check_names(detection, signs)
    xp = namespace(input_bits, mask_bits, camera_bits, photons, read_noise_e, full_well_e, kernel, size, channels)
    kernel, size, channels, photons, full_well_e = (_real(xp, v) for v in (kernel, size, channels, photons, full_well_e))
    input_bits, mask_bits, camera_bits = (_real(xp, v) for v in (input_bits, mask_bits, camera_bits))
    at = STATISTICS[signs]
    own = fitted_constants(detection, signs) if constants is None else constants
    frame = _Frame(xp, at, kernel, size, own["peak"])
    electrons = xp.where(full_well_e > 0, xp.minimum(photons, full_well_e), photons)
    steps = _Noise(
        converter=own["camera"] / (_levels(xp, camera_bits) - 1) ** 2 / 12,
        read=as_array(xp, (read_noise_e / electrons) ** 2),
        shot=own["shot"] * xp.where(photons > 1e300, 0.0, 1 / electrons),
    )
    coherent = detection == "coherent"
    camera = _roots(frame, steps, own) if coherent else _intensities(frame, steps)
    mask, shared = (_mask_coherent if coherent else _mask_incoherent)(frame, mask_bits, own)
    shown = own["input"] * frame.covered * frame.taps * at.kernel_square * PASSES_OF_KERNEL[signs] / (_levels(xp, input_bits) - 1) ** 2 / 12
    each = shown + PASSES[signs] * (mask + frame.peak**2 * camera)
    if signs == "unsigned":
        each = each + (channels - 1) * (own["common_mask"] * shared + (_bias(frame, steps, camera, own) if coherent else 0.0))
    return xp.sqrt(channels * each / _signal(frame, channels))


def _check_names(detection: str, signs: str) -> None:
    if detection not in DETECTIONS:
        raise UnknownName("detection", detection, DETECTIONS)
    if signs not in STATISTICS:
        raise UnknownName("way of showing signs", signs, STATISTICS)


def _real(xp: Any, value: Array) -> Array:
    """A plain number as a floating-point array; arrays and traced columns stay what they are."""
    return as_array(xp, float(value)) if isinstance(value, int | float) else value


def _levels(xp: Any, bits: Array) -> Array:
    """2^b."""
    return xp.exp(math.log(2) * bits)


PASSES_OF_KERNEL = {"unsigned": 1, "kernel": 2, "both": 2}
"""Parts that a kernel is shown in."""


@dataclass(frozen=True)
class _Noise:
    """Variances of an intensity, as shares of full scale."""

    converter: Array
    read: Array
    shot: Array
    """At full scale; it grows with the light."""

    @property
    def dark(self) -> Array:
        """What is there without light."""
        return self.converter + self.read


class _Frame:
    """Amplitude (or, without coherence, intensity) in one frame."""

    def __init__(self, xp: Any, at: Statistics, kernel: Array, size: Array, peak: float) -> None:
        self.xp, self.at = xp, at
        self.taps = kernel**2.0
        self.side = size + kernel - 1
        self.fill = (size / self.side) ** 2
        self.covered, self.covered_square = _coverage(kernel, size)
        inside = xp.minimum(kernel, size) ** 2.0
        sums = inside**2 * at.kernel_mean**2 + inside * (at.kernel_square - at.kernel_mean**2)
        self.mean = at.image_mean * sums**0.5
        self.spread = (inside * at.kernel_square * (at.image_square - at.image_mean**2)) ** 0.5
        pixels = 2 * xp.log(size**2.0)
        bounded = (sums**0.5 * (1 - at.image_mean) / self.spread) ** 2
        self.peak = self.mean + peak * (1 / (1 / bounded**2 + 1 / pixels**2)) ** 0.25 * self.spread
        self.lit = xp.maximum(inside * at.kernel_lit_frac, xp.ones_like(inside))


def _signal(frame: _Frame, channels: Array) -> Array:
    """Mean square of the exact result."""
    at = frame.at
    mean = channels * frame.taps * at.signal_mean
    return frame.covered_square * mean**2 + channels * frame.covered * frame.taps * (at.signal_square - at.signal_mean**2)


def _coverage(kernel: Array, size: Array) -> tuple[Array, Array]:
    """Mean share of the taps that lie on the image where its border is padded with half a kernel, and the mean of its square."""
    half = (kernel - 1) / 2
    lost = half * (half + 1) / kernel
    lost_square = 2 * lost - half * (half + 1) * (2 * half + 1) / (3 * kernel**2)
    return (1 - lost / size) ** 2, (1 - lost_square / size) ** 2


def _roots(frame: _Frame, noise: _Noise, factor: Mapping[str, float]) -> Array:
    """Mean variance of the root of a noisy intensity over the amplitudes of a frame: normal ones, and evenly spread ones.

    Where few products add up to a pixel, and at the border of the image, all amplitudes down to nothing are as frequent.
    """
    total, dark = 0.0, factor["dark"]
    for node in NODES:
        light = ((frame.mean + node * frame.spread) / frame.peak) ** 2
        variance = noise.dark + noise.shot * light
        total = total + variance / (light + dark * variance**0.5) / 4
    even = noise.dark / (dark * noise.dark**0.5 + 1e-24) ** 0.5 * _arc(dark * noise.dark**0.5) / 4 + noise.shot / 4
    few = factor["few"] * frame.lit ** -factor["few_power"] * (1 + factor["border"] * (1 - frame.fill))
    share = few / (1 + few)
    nothing = frame.at.image_dark_frac**frame.lit
    clipped = noise.read / (noise.dark + 1e-30) ** 0.5 * HALF_NORMAL
    return (1 - nothing) * ((1 - share) * total / len(NODES) + share * even) + nothing * clipped


def _bias(frame: _Frame, noise: _Noise, camera: Array, factor: Mapping[str, float]) -> Array:
    """Square of what rounding takes from the mean of a root, in all channels alike; where signs alternate it cancels."""
    rounding = noise.converter / (noise.dark + noise.shot * (frame.mean / frame.peak) ** 2 + 1e-30)
    return factor["common_camera"] * (camera * rounding * frame.peak**2 / frame.mean) ** 2


def _arc(square: Array) -> Array:
    """About atan(1 / x) of the root of `square`, from plain powers."""
    return (square + (2 / math.pi) ** 2) ** -0.5


def _intensities(frame: _Frame, noise: _Noise) -> Array:
    """Mean variance of a noisy intensity; a pixel without light reads 0 unless there is read noise, of which half is cut off."""
    nothing = frame.at.image_dark_frac**frame.lit
    return (1 - nothing) * noise.converter + (1 - nothing / 2) * noise.read + noise.shot * frame.covered * frame.mean / frame.peak


HALF_NORMAL = 1 / math.sqrt(2 * math.pi)
"""Mean of a standard normal number that is cut off at 0."""


def _depth(frame: _Frame, mask_bits: Array, *, top: Array, square: Array, factor: Mapping[str, float]) -> Array:
    """Mean square error of a spectrum whose largest value is `top` and whose mean square beside that is `square`.

    An amplitude that no step reaches is lost as a whole, which bounds its error; one tap has a flat spectrum, shown without error.
    """
    amplitude = factor["amplitude"] * top**2 / (_levels(frame.xp, mask_bits) - 1) ** 2 / 12
    phase = factor["phase"] * square * (2 * math.pi / _levels(frame.xp, mask_bits)) ** 2 / 12
    powers = frame.taps ** factor["taps_power"] * (frame.side / 32) ** factor["side_power"]
    return (amplitude * square / (amplitude + square) + phase) * (1 - 1 / frame.taps) * powers


def _mask_coherent(frame: _Frame, mask_bits: Array, factor: Mapping[str, float]) -> tuple[Array, Array]:
    """Noise of the spectrum on the varying part of the image, and, where the image ends, on its mean; and what channels share of it."""
    at, top = frame.at, frame.taps * frame.at.kernel_mean
    wrong = _depth(frame, mask_bits, top=top, square=frame.taps * (at.kernel_square - at.kernel_mean**2), factor=factor)
    seen = at.image_square - at.image_mean**2 + factor["edge"] * (1 - frame.fill) * at.image_mean**2
    found = wrong * frame.fill * seen
    return found, (found / frame.mean) ** 2


def _mask_incoherent(frame: _Frame, mask_bits: Array, factor: Mapping[str, float]) -> tuple[Array, Array]:
    """The point spread |h + d|^2 is wrong where there are taps (2 h d), and everywhere by the stray light d^2."""
    at = frame.at
    wrong = _depth(frame, mask_bits, top=frame.taps * at.root_mean, square=frame.taps * (at.kernel_mean - at.root_mean**2), factor=factor)
    crossed = 4 * frame.taps * at.kernel_mean * wrong / frame.side**2 * at.image_square
    stray = (wrong * frame.fill * at.image_mean) ** 2
    return crossed + factor["stray"] * stray, stray


def fitted_constants(detection: str, signs: str) -> Mapping[str, float]:
    """The constants on the shelf; those before a fit where there is none."""
    shelved = shelf.fitted("optical", "error")
    start = TERMS[detection]
    return {
        name: float(shelved[key].value) if (key := f"{detection}.{signs}.{name}") in shelved else value for name, value in start.items()
    }
