"""Fit the closed form of the error to simulations of random benches: `hwsim calibrate optical`, or `python -m hwsim.optics.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.optics.bench import DETECTIONS, Bench
from hwsim.optics.error_model import STATISTICS, TERMS, relative_error
from hwsim.optics.measures import relative_rms
from hwsim.optics.simulation import convolve, ideal

FIT_COUNT, FIT_SEED = 900, 1
CHECK_COUNT, CHECK_SEED, CHECK_DRAWS = 100, 20261121, 4
"""The seed was drawn when the closed form was done; the check averages draws of image and kernels, as one alone scatters by a tenth."""
WIDE_SEED = 4
SIZES = (8, 12, 16, 24, 32, 48, 64)
KERNELS, CHANNELS = (1, 2, 3, 5, 7, 11), (1, 2, 4, 8)
WIDE_KERNELS, WIDE_CHANNELS = (3, 5, 11, 17), (1, 8, 32, 128)
"""Of the further layers that hold the closed form where networks are: kernels beyond the image, many channels."""
MOST_VALUES = 8 * 64 * 64
"""Pixels of an image, all channels together."""


@dataclass(frozen=True)
class Case:
    """A random bench with a random layer."""

    bench: Bench
    kernel: int
    size: int
    channels: int


def cases(count: int, *, seed: int, wide: bool = False) -> list[Case]:
    """Random benches (4 to 12 bits each, 1e2 to 1e7 photons, some with read noise and a full well) with random layers."""
    rng = np.random.default_rng(seed)
    return [_case(rng, wide=wide) for _ in range(count)]


def _case(rng: np.random.Generator, *, wide: bool) -> Case:
    bits = rng.integers(4, 13, 3)
    size = int(rng.choice(SIZES))
    bench = Bench(
        input_bits=float(bits[0]),
        mask_bits=float(bits[1]),
        camera_bits=float(bits[2]),
        photons=float(10 ** rng.uniform(2, 7)),
        read_noise_e=float(rng.choice((0.0, rng.uniform(0.5, 10)))),
        full_well_e=float(rng.choice((0.0, 10 ** rng.uniform(3.5, 5.5)))),
        detection=str(rng.choice(DETECTIONS)),
        signs=str(rng.choice(tuple(STATISTICS))),
        seed=int(rng.integers(1 << 31)),
    )
    kernels = [k for k in WIDE_KERNELS if k < 2 * size] if wide else [k for k in KERNELS if k <= size]
    channels = [c for c in WIDE_CHANNELS if c * size**2 <= MOST_VALUES] if wide else CHANNELS
    return Case(bench, int(rng.choice(kernels)), size, int(rng.choice(channels)))


def simulated(case: Case, *, draws: int = 1) -> float:
    """Relative rms error of the simulation: 128 output channels, the mean over random images and kernels."""
    return float(np.mean([_drawn(case, case.bench.seed + 1009 * i) for i in range(draws)]))


def _drawn(case: Case, seed: int) -> float:
    rng = np.random.default_rng(seed)
    images = rng.random((1, case.channels, case.size, case.size), dtype=np.float32)
    shape = (128, case.channels, case.kernel, case.kernel)
    unsigned = case.bench.signs == "unsigned"
    kernels = rng.random(shape, dtype=np.float32) if unsigned else rng.standard_normal(shape, dtype=np.float32)
    images = 2 * images - 1 if case.bench.signs == "both" else images
    same = ((case.kernel // 2, (case.kernel - 1) // 2), (case.kernel // 2, (case.kernel - 1) // 2))
    found = convolve(images, kernels, bench=case.bench, padding=same, seed=seed)
    return relative_rms(found, ideal(images, kernels, padding=same))


def predicted(listed: Sequence[Case], constants: Mapping[str, Mapping[str, float]] | None = None) -> np.ndarray:
    """The closed form for the same benches, shape `(cases,)`; `constants` by detection and signs (`coherent.kernel`)."""
    found = np.zeros(len(listed))
    for kind, here in _by_kind(listed).items():
        detection, signs = kind.split(".")
        own = constants[kind] if constants else None
        found[here] = relative_error(**_columns([listed[i] for i in here]), detection=detection, signs=signs, constants=own)
    return found


def _by_kind(listed: Sequence[Case]) -> dict[str, list[int]]:
    """Places of the cases by detection and signs."""
    found: dict[str, list[int]] = {}
    for i, case in enumerate(listed):
        found.setdefault(f"{case.bench.detection}.{case.bench.signs}", []).append(i)
    return found


def _columns(listed: Sequence[Case]) -> dict[str, np.ndarray]:
    names = ("input_bits", "mask_bits", "camera_bits", "photons", "read_noise_e", "full_well_e")
    of_bench = {name: np.array([getattr(c.bench, name) for c in listed], dtype=float) for name in names}
    return {**of_bench, **{name: np.array([getattr(c, name) for c in listed], dtype=float) for name in ("kernel", "size", "channels")}}


def fitted(listed: Sequence[Case], errors: np.ndarray) -> dict[str, dict[str, float]]:
    """Constants by detection and signs that leave the least log errors, large ones weighing more than in least squares."""
    return {kind: _fitted([listed[i] for i in here], errors[here], kind) for kind, here in _by_kind(listed).items()}


def _fitted(listed: Sequence[Case], errors: np.ndarray, kind: str) -> dict[str, float]:
    from scipy.optimize import least_squares

    detection, _, signs = kind.partition(".")
    start = {name: v for name, v in TERMS[detection].items() if signs == "unsigned" or not name.startswith("common")}
    powers = np.array([name.endswith("_power") for name in start])

    def named(values: np.ndarray) -> dict[str, float]:
        return {name: float(v) for name, v in zip(start, np.where(powers, values, np.exp(values)), strict=True)}

    def miss(values: np.ndarray) -> np.ndarray:
        log = np.log(predicted(listed, {kind: named(values)}) / errors)
        return log * np.abs(log) ** 0.5

    given = np.array(list(start.values()))
    first = np.where(powers, given, np.log(np.where(powers, 1.0, given)))
    return named(least_squares(miss, first, bounds=(first - 3, first + 3)).x)


def validation_rows() -> dict[str, Any]:
    """Random benches that the fit did not see: simulated and predicted relative error."""
    listed = cases(CHECK_COUNT, seed=CHECK_SEED)
    return {
        "device": np.array([f"{c.bench.detection} detection" for c in listed]),
        "group": np.array([f"signs {c.bench.signs}" for c in listed]),
        "measured": np.array([simulated(c, draws=CHECK_DRAWS) for c in listed]),
        "predicted": predicted(listed),
    }


def write(*, count: int = FIT_COUNT) -> Path:
    """Fit on random benches and write `targets/optical/fitted/error.yaml`."""
    listed = cases(count, seed=FIT_SEED) + cases(count // 2, seed=WIDE_SEED, wide=True)
    return save(listed, np.array([simulated(c) for c in listed]))


def save(listed: Sequence[Case], errors: np.ndarray) -> Path:
    """Fit to simulated errors and write the constants, with what the fit left."""
    constants = fitted(listed, errors)
    miss = np.abs(predicted(listed, constants) / errors - 1)
    source = (
        f"least log errors on {len(listed)} simulations of random benches (4 to 12 bits, 1e2 to 1e7 photons); left on them: "
        f"median {100 * np.median(miss):.1f} %, worst {100 * np.max(miss):.0f} %"
    )
    lines = ["# Written by `hwsim calibrate optical`; do not edit.", "name: error", "sources:", f'  fit: "{source}"', "constants:"]
    for kind in sorted(constants):
        lines += [f"  {kind}.{name}: {{value: {value:.5g}, source: fit, status: fitted}}" for name, value in constants[kind].items()]
    path = shelf.checkout("targets") / "optical" / "fitted" / "error.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shelf.fitted.cache_clear()
    return path


if __name__ == "__main__":
    print(write())
