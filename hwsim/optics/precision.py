"""The simulation against a published-style table of errors: one source of error at a time, and all together.

Conventions of the table: a uniform random image of 32x32 pixels in a frame of 64x64, a kernel of 3x3 normal numbers in two passes,
coherent detection; each frame is exposed so that its brightest pixel is full scale; the error is the rms of the difference over the rms
of the exact full convolution, averaged over images and kernels.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path
from hwsim.errors import InputError
from hwsim.optics.bench import Bench
from hwsim.optics.simulation import convolve, ideal

IMAGE, KERNEL, FRAME = 32, 3, 64
SAMPLES = 400
"""Pairs of image and kernel that are averaged."""
TABLE = Bench(signs="kernel", frame_px=FRAME)
_PARTS = {"input SLM": "input_bits", "mask amp+phase": "mask_bits", "mask phase only quantised": "mask_bits", "camera ADC": "camera_bits"}


def bench_of(setting: str) -> Bench | None:
    """The bench of a row of the table; None for the one without errors.

    Raises:
        InputError: a text of another form.

    >>> bench_of("camera ADC 8 bit").camera_bits
    8.0
    """
    if setting.startswith("ideal"):
        return None
    if found := re.fullmatch(r"(.*) (\d+) bit", setting):
        amplitude = math.inf if "phase only" in setting else 0.0
        return replace(TABLE, mask_amplitude_bits=amplitude, **{_PARTS[found[1]]: float(found[2])})
    if found := re.fullmatch(r"shot noise, (\S+) photons at full-scale pixel", setting):
        return replace(TABLE, photons=float(found[1]))
    if found := re.fullmatch(r"all: (\d+)-bit SLMs\+ADC, (\S+) ph", setting):
        bits = float(found[1])
        return replace(TABLE, input_bits=bits, mask_bits=bits, camera_bits=bits, photons=float(found[2]))
    raise InputError(f"found the setting {setting!r}; expected one source of error with its bits or photons, or `all: ...`")


def table_error(bench: Bench, *, samples: int = SAMPLES, seed: int = 0) -> float:
    """Relative rms error of one pair of channels, averaged over `samples` pairs."""
    rng = np.random.default_rng(seed)
    images = rng.random((1, samples, IMAGE, IMAGE))
    kernels = rng.normal(size=(samples, 1, KERNEL, KERNEL))
    sizes: dict[str, Any] = {"padding": KERNEL - 1, "groups": samples}
    exact = ideal(images, kernels, **sizes)
    found = convolve(images, kernels, bench=bench, **sizes)
    error, scale = (np.sqrt(np.mean(v**2, axis=(0, 2, 3))) for v in (found - exact, exact))
    return float(np.mean(error / scale))


def validation_rows() -> dict[str, Any]:
    """Each entry of the table, simulated.

    Raises:
        DataMissing: the table is absent.
    """
    with data_path("accelerators", "fft4f_precision.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["setting"], float(row["rel_rms_err"]), bench_of(row["setting"])) for row in csv.DictReader(file)]
    kept = [(setting, error, bench) for setting, error, bench in rows if bench is not None]
    return {
        "device": np.full(len(kept), "4f bench"),
        "group": np.array([setting for setting, _, _ in kept]),
        "measured": np.array([error for _, error, _ in kept]),
        "predicted": np.array([table_error(bench) for _, _, bench in kept]),
    }
