"""The table of single sources of error, and the closed form against simulations that its fit did not see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import validation
from hwsim.errors import InputError, UnknownName
from hwsim.optics import Bench, fit, precision
from hwsim.optics.error_model import relative_error

BENCH: dict[str, Any] = {"input_bits": 8, "mask_bits": 8, "camera_bits": 8, "photons": 1e5, "kernel": 3, "size": 32}


def test_the_table_within_a_fifth(data_dir: Path) -> None:
    pytest.importorskip("scipy")
    (found,), skipped = validation.run(["optical-precision"])
    assert not skipped
    assert found.overall is not None
    assert (found.overall.n, len(found.by_group)) == (28, 28)
    assert {row.group: round(row.worst, 1) for row in found.by_group if row.worst > 20} == {}


@pytest.mark.parametrize(
    ("setting", "error"), [("input SLM 4 bit", 0.040), ("camera ADC 6 bit", 0.043), ("all: 8-bit SLMs+ADC, 100000 ph", 0.018)]
)
def test_entries_that_need_no_data(setting: str, error: float) -> None:
    bench = precision.bench_of(setting)
    assert bench is not None
    assert precision.table_error(bench) == pytest.approx(error, rel=0.2)


def test_settings_of_the_table() -> None:
    assert precision.bench_of("ideal pos/neg split") is None
    assert precision.bench_of("mask phase only quantised 6 bit") == Bench(
        signs="kernel", frame_px=64, mask_bits=6.0, mask_amplitude_bits=math.inf
    )
    with pytest.raises(InputError) as found:
        precision.bench_of("lens 3 bit mm")
    assert str(found.value) == "found the setting 'lens 3 bit mm'; expected one source of error with its bits or photons, or `all: ...`"


def test_fresh_benches_within_a_quarter() -> None:
    """A part of the suite optical-error-model, whose table holds all 100."""
    listed = fit.cases(20, seed=fit.CHECK_SEED)
    miss = np.abs(fit.predicted(listed) / np.array([fit.simulated(c, draws=fit.CHECK_DRAWS) for c in listed]) - 1)
    assert np.median(miss) < 0.08
    assert np.mean(miss < 0.25) >= 0.95


@pytest.mark.slow
def test_all_fresh_benches() -> None:
    pytest.importorskip("scipy")
    (found,), _ = validation.run(["optical-error-model"])
    assert found.overall is not None
    assert found.overall.n == 100
    assert found.overall.median < 8
    assert found.overall.p90 < 20


def test_the_fit_does_not_see_the_benches_of_the_check() -> None:
    assert not {c.bench.seed for c in fit.cases(fit.FIT_COUNT, seed=fit.FIT_SEED)} & {
        c.bench.seed for c in fit.cases(fit.CHECK_COUNT, seed=fit.CHECK_SEED)
    }


@pytest.mark.parametrize("detection", ["coherent", "intensity"])
@pytest.mark.parametrize("signs", ["unsigned", "kernel", "both"])
def test_better_parts_are_never_worse(detection: str, signs: str) -> None:
    at = {**BENCH, "detection": detection, "signs": signs, "read_noise_e": 2.0}
    for name, better in (("input_bits", np.arange(1, 17)), ("mask_bits", np.arange(1, 17)), ("photons", np.geomspace(10, 1e9, 30))):
        assert np.all(np.diff(relative_error(**{**at, name: better})) <= 0), name
    for name, worse in (("read_noise_e", np.linspace(0, 50, 20)), ("full_well_e", np.geomspace(1e6, 100, 20))):
        assert np.all(np.diff(relative_error(**{**at, name: worse})) >= 0), name


def test_a_perfect_bench_has_no_error() -> None:
    none = {**BENCH, **dict.fromkeys(("input_bits", "mask_bits", "camera_bits", "photons"), math.inf)}
    assert float(relative_error(**none)) == 0


def test_columns_of_points_and_kernels() -> None:
    photons, kernels = np.geomspace(1e2, 1e7, 5)[:, None], np.array([1.0, 3.0, 5.0])
    found = relative_error(**{**BENCH, "photons": photons, "kernel": kernels})
    assert found.shape == (5, 3)
    assert found[2, 1] == pytest.approx(float(relative_error(**{**BENCH, "photons": float(photons[2, 0])})))


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_other_libraries(library: str) -> None:
    xp = pytest.importorskip(library)
    photons = xp.asarray([1e3, 1e5], dtype=xp.float64)
    found = relative_error(**{**BENCH, "photons": photons})
    expected = relative_error(**{**BENCH, "photons": np.array([1e3, 1e5])})
    assert [float(v) for v in found] == pytest.approx(list(expected))


def test_what_the_closed_form_does_not_know() -> None:
    with pytest.raises(UnknownName) as found:
        relative_error(**BENCH, detection="heterodyne")
    assert str(found.value) == "unknown detection 'heterodyne'. Known: coherent, intensity."
    with pytest.raises(UnknownName) as found:
        relative_error(**BENCH, signs="auto")
    assert str(found.value) == "unknown way of showing signs 'auto'. Known: both, kernel, unsigned."
