"""A 4f bench as the simulation sees it: what each of its parts does to the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from hwsim.arrays import Array, as_array, namespace
from hwsim.errors import InputError, UnknownName

DETECTIONS = ("coherent", "intensity")
SIGNS = ("unsigned", "kernel", "both", "auto")
PASSES = {"unsigned": 1, "kernel": 2, "both": 4}
"""Frames of one pair of channels, by the way that signs are shown."""
PLANCK_J_S, LIGHT_M_PER_S = 6.62607015e-34, 299792458.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One bench; by default all its parts are ideal. Infinite bits or photons switch a source of error off.

    Raises:
        InputError: a value out of range.
        UnknownName: a detection or a way of showing signs that does not exist.
    """

    input_bits: float = math.inf
    """Bits of the input modulator, on amplitude (on intensity with `detection="intensity"`)."""
    mask_bits: float = math.inf
    """Bits of the Fourier mask: 2^b - 1 steps of amplitude, 2^b steps of phase."""
    mask_amplitude_bits: float = 0.0
    """Bits of the mask's amplitude where they differ from those of its phase; 0: the same."""
    camera_bits: float = math.inf
    """Bits of the camera's converter, on intensity."""
    photons: float = math.inf
    """Detected photons at the brightest pixel of a frame."""
    read_noise_e: float = 0.0
    """Read noise of a pixel, electrons rms."""
    full_well_e: float = 0.0
    """Electrons that a pixel holds: the exposure stops there; 0: no limit."""
    detection: str = "coherent"
    """`coherent`: fields add, the camera sees their square, the root is taken; `intensity`: intensities add."""
    signs: str = "auto"
    """`unsigned`: one frame, nothing is negative; `kernel`: positive and negative kernels apart; `both`: the image, too (four frames);
    `auto`: the least of them that shows the data."""
    crosstalk_frac: float = 0.0
    """Share of a camera pixel's light that its four neighbours get."""
    misalignment_px: float = 0.0
    """Shift of the mask against the optical axis, mask pixels in both directions; intensities do not feel it."""
    frame_px: int = 0
    """Side of the frame (and of the mask) in pixels; 0: as small as image and kernel allow."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        for name in ("input_bits", "mask_bits", "camera_bits"):
            _expect(name, getattr(self, name), least=1.0, what="at least 1 bit")
        if not self.photons > 0:
            raise InputError(f"photons is {self.photons!r}; expected more than 0 at the brightest pixel (math.inf: no shot noise)")
        for name in ("mask_amplitude_bits", "read_noise_e", "full_well_e", "misalignment_px", "frame_px"):
            _expect(name, getattr(self, name), least=0.0, what="0 or more")
        if not 0 <= self.crosstalk_frac < 1:
            raise InputError(f"crosstalk_frac is {self.crosstalk_frac!r}; expected a share, 0 to below 1")
        if self.detection not in DETECTIONS:
            raise UnknownName("detection", self.detection, DETECTIONS)
        if self.signs not in SIGNS:
            raise UnknownName("way of showing signs", self.signs, SIGNS)

    @classmethod
    def of(cls, device: Any, mapping: Any = None, **changes: Any) -> Bench:
        """The bench of an optical device (`hwsim.targets.optical`), with the signs of a mapping and values changed.

        Args:
            changes: fields of `Bench`; those that are None keep the device's value.

        Raises:
            InputError: not an optical device, or a quantity that is a column of points.
            UnknownName: a changed field that does not exist.
        """
        if getattr(device, "family", None) != "optical":
            what = f"{device.name!r} of the family {device.family!r}" if hasattr(device, "family") else repr(device)
            raise InputError(f"found {what}; expected an optical bench (`hwsim targets list --family optical`)")
        known = [f.name for f in fields(cls)]
        found = {name: _number(device, name) for name in known if name not in ("detection", "signs") and hasattr(device, name)}
        found |= {"photons": float(photons_of(device)), "detection": device.detection}
        if mapping is not None:
            found["signs"] = mapping.signs
        for name in changes:
            if name not in known:
                raise UnknownName("field of a bench:", name, known)
        return cls(**{**found, **{k: v for k, v in changes.items() if v is not None}})

    @property
    def electrons(self) -> float:
        """Electrons at the brightest pixel: the photons, or what the pixel holds."""
        return min(self.photons, self.full_well_e or math.inf)

    @property
    def shot(self) -> bool:
        """Whether there is shot noise."""
        return math.isfinite(self.photons)

    @property
    def read_noise(self) -> float:
        """Read noise as a share of full scale."""
        return self.read_noise_e / self.electrons

    @property
    def linear(self) -> bool:
        """Whether the frames of a sum may be added before the camera: nothing behind the mask acts on single frames."""
        camera = math.isinf(self.camera_bits) and not self.shot and self.read_noise == 0 and self.crosstalk_frac == 0
        mask = math.isinf(self.mask_bits) and self.misalignment_px == 0
        return camera and (mask or self.detection == "intensity")

    def passes(self, *, negative_image: bool, negative_kernel: bool) -> str:
        """How signs are shown, `auto` decided by the data.

        Raises:
            InputError: the data have signs that this bench does not show.
        """
        needed = "both" if negative_image else "kernel" if negative_kernel else "unsigned"
        if self.signs == "auto":
            return needed
        if PASSES[self.signs] < PASSES[needed]:
            what = "the image" if negative_image else "the kernel"
            raise InputError(f"{what} has negative values, which signs={self.signs!r} does not show; use signs={needed!r} or signs='auto'")
        return self.signs


def photons_of(device: Any) -> Array:
    """Detected photons at a camera pixel and frame, the light spread evenly over the camera; infinite where the device charges no light.

    Scalars or columns of points, as the fields of the device.
    """
    xp = namespace(device.laser_w, device.exposure_s, device.input_refresh_s, device.camera_x, device.camera_y)
    frame_s = xp.where(as_array(xp, device.exposure_s) > 0, device.exposure_s, device.input_refresh_s)
    light_j = device.laser_w * device.optical_efficiency * frame_s
    photon_j = PLANCK_J_S * LIGHT_M_PER_S / device.wavelength_m
    found = light_j / photon_j * device.quantum_efficiency / (device.camera_x * device.camera_y)
    return xp.where(as_array(xp, found) > 0, found, math.inf)


def _expect(name: str, value: float, *, least: float, what: str) -> None:
    if not value >= least:
        raise InputError(f"{name} is {value!r}; expected {what}")


def _number(device: Any, name: str) -> float:
    try:
        return float(getattr(device, name))
    except (TypeError, ValueError):
        raise InputError(f"{device.name}: {name!r} is a column of points; expected a single number to simulate") from None
