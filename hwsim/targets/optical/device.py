"""A 4f bench as the cost functions see it: modulator, Fourier mask, camera, laser, converters, and the electronics beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import Field, Quantity
from hwsim.targets.optical.tiling import apertures

DETECTIONS = ("coherent", "intensity")
"""What the camera's values mean: the field itself (its sign known or irrelevant), or its square."""

FIELDS: Mapping[str, Field] = {
    "input_x": Field("1", doc="columns of the input modulator, pixels"),
    "input_y": Field("1", doc="rows of the input modulator"),
    "mask_x": Field("1", doc="columns of the Fourier mask"),
    "mask_y": Field("1", doc="rows of the Fourier mask"),
    "camera_x": Field("1", doc="columns of the camera"),
    "camera_y": Field("1", doc="rows of the camera"),
    "input_bits": Field("1", doc="bits that the input modulator resolves"),
    "mask_bits": Field("1", doc="bits that the mask resolves, of amplitude and of phase"),
    "camera_bits": Field("1", doc="bits of the camera's converter, on intensity"),
    "input_refresh_s": Field("s", positive=False, doc="time in which the input modulator shows a new frame"),
    "mask_refresh_s": Field("s", positive=False, doc="the same of the mask"),
    "exposure_s": Field("s", positive=False, doc="exposure of a frame"),
    "readout_pixel_per_s": Field("1", positive=False, doc="camera pixels read out a second; 0: not charged"),
    "laser_w": Field("W", positive=False, doc="light that the laser emits"),
    "wall_plug_efficiency": Field("1", required=False, default=1.0, doc="light over electric power of the laser"),
    "optical_efficiency": Field("1", required=False, default=1.0, doc="share of the laser's light that reaches the camera"),
    "quantum_efficiency": Field("1", required=False, default=1.0, doc="electrons a photon on the camera"),
    "wavelength_m": Field("m", required=False, default=532e-9, doc="wavelength of the laser"),
    "dac_j": Field("J", positive=False, doc="energy of converting a value for the input modulator, at 8 bits"),
    "mask_dac_j": Field("J", positive=False, doc="the same for the mask"),
    "adc_j": Field("J", positive=False, doc="energy of converting a camera pixel, at 8 bits"),
    "detector_j": Field("J", positive=False, doc="energy of the receiver of a camera pixel and frame, at 8 bits"),
    "static_w": Field("W", positive=False, doc="power of modulators, camera and drivers whatever they do"),
    "read_noise_e": Field("1", required=False, default=0.0, doc="read noise of a camera pixel, electrons rms"),
    "full_well_e": Field("1", required=False, default=0.0, doc="electrons that a camera pixel holds; 0: no limit"),
    "crosstalk_frac": Field("1", required=False, default=0.0, doc="share of a pixel's light that its neighbours get"),
    "misalignment_px": Field("1", required=False, default=0.0, doc="shift of the mask against the optical axis, pixels"),
    "electronics_op_per_s": Field("1", positive=False, doc="operations a second of the co-processor; 0: not charged"),
    "electronics_op_j": Field("J", positive=False, doc="energy of one of them"),
    "electronics_b_per_s": Field("B/s", positive=False, doc="bytes a second of its memory; 0: not charged"),
    "electronics_b_j": Field("J", positive=False, doc="energy of a byte"),
    "electronics_w": Field("W", positive=False, doc="power of the co-processor whatever it does"),
}
"""Every quantity of a bench. What has to be stated even where it is 0 ("not charged") is required: nothing is free by omission."""


@dataclass(frozen=True, kw_only=True)
class OpticalDevice:
    """A 4f bench. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`.

    Raises:
        InputError: bits or pixels below 1, a camera larger than modulator or mask, a share outside of 0 to 1.
    """

    name: str
    vendor: str = "generic"
    architecture: str = "4f"
    detection: str = "coherent"
    input_x: Array
    input_y: Array
    mask_x: Array
    mask_y: Array
    camera_x: Array
    camera_y: Array
    input_bits: Array
    mask_bits: Array
    camera_bits: Array
    input_refresh_s: Array
    mask_refresh_s: Array
    exposure_s: Array
    readout_pixel_per_s: Array
    laser_w: Array
    wall_plug_efficiency: Array = 1.0
    optical_efficiency: Array = 1.0
    quantum_efficiency: Array = 1.0
    wavelength_m: Array = 532e-9
    dac_j: Array
    mask_dac_j: Array
    adc_j: Array
    detector_j: Array
    static_w: Array
    read_noise_e: Array = 0.0
    full_well_e: Array = 0.0
    crosstalk_frac: Array = 0.0
    misalignment_px: Array = 0.0
    electronics_op_per_s: Array
    electronics_op_j: Array
    electronics_b_per_s: Array
    electronics_b_j: Array
    electronics_w: Array
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "optical"

    def __post_init__(self) -> None:
        if self.detection not in DETECTIONS:
            raise UnknownName("detection of a 4f bench", self.detection, DETECTIONS)
        for part in ("input", "mask", "camera"):
            for name, unit in ((f"{part}_x", "pixel"), (f"{part}_y", "pixel"), (f"{part}_bits", "bit")):
                _check(self, name, getattr(self, name) < 1, f"at least 1 {unit}")
        for name in ("wall_plug_efficiency", "optical_efficiency", "quantum_efficiency"):
            value = getattr(self, name)
            _check(self, name, (value <= 0) | (value > 1), "more than 0 and at most 1")
        for axis in "xy":
            self._check_camera(axis, "input", "the input modulator")
            self._check_camera(axis, "mask", "the Fourier mask")

    def _check_camera(self, axis: str, other: str, what: str) -> None:
        """Of a single bench; a column may hold such points, whose surplus pixels stay dark."""
        size, limit = getattr(self, f"camera_{axis}"), getattr(self, f"{other}_{axis}")
        if isinstance(size, int | float) and isinstance(limit, int | float):
            expected = f"no more than {other}_{axis}, {limit:g}: {what} limits the field of view"
            _check(self, f"camera_{axis}", size > limit, expected)

    @property
    def capabilities(self) -> tuple[float, float] | None:
        """The aperture, on which lowering depends where kernels must not be split; None of a column of benches."""
        x, y = apertures(self)
        return (x, y) if isinstance(x, float) and isinstance(y, float) else None

    @classmethod
    def from_shelf(cls, name: str) -> OpticalDevice:
        """The bench called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such bench, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        words = described(name, family="optical", fields=FIELDS, text=("vendor", "architecture"), other=("detection",))
        return cls(**{**words, "detection": str(words["detection"] or DETECTIONS[0])})

    def with_overrides(self, overrides: Mapping[str, Any], /) -> OpticalDevice:
        """A copy with other quantities; text carries units, arrays are columns of points, `(points, 1)`.

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="an optical bench")


def _check(device: OpticalDevice, name: str, wrong: Array, expected: str) -> None:
    known = isinstance(wrong, bool | np.ndarray | np.generic)  # what is still to be computed, or another library's, is not looked at
    if known and bool(np.any(wrong)):
        raise InputError(f"{device.name}, field {name!r}: found {_shown(getattr(device, name))}; expected {expected}")


def _shown(value: Array) -> str:
    return f"{value:g}" if isinstance(value, int | float) else f"a column of {value.shape[0]}"
