"""Accuracy of the closed forms on devices that the fit did not see; skipped where the measurements are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim import validation
from hwsim.accuracy import conformal_ratios

BARS = {
    # (suite, group): most median %, most mean %
    ("gpu-gemm", "bf16 gemm"): (13, 20),
    ("gpu-gemm", "fp32 linear"): (20, None),
    ("gpu-attention", "all"): (20, None),
    ("gpu-elementwise", "all"): (20, None),
}


@pytest.fixture(scope="module")
def reports() -> dict[str, validation.Report]:
    return {}


@pytest.mark.parametrize("suite,group", BARS)
def test_left_out_devices(suite: str, group: str, data_dir: Path, reports: dict[str, validation.Report]) -> None:
    pytest.importorskip("scipy")
    if suite not in reports:
        found, skipped = validation.run([suite])
        if skipped:
            pytest.skip(skipped[0])
        reports[suite] = found[0]
    report = reports[suite]
    row = {r.group: r for r in (report.overall, *report.by_group)}[group]
    median, mean = BARS[suite, group]
    assert row.median <= median
    assert mean is None or row.mean <= mean
    assert row.median < row.roofline_median


def test_absent_data_are_skipped_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    reports, skipped = validation.run(["gpu-gemm"])
    assert reports == []
    expected = tmp_path / "gpu" / "aiconfigurator" / "a100_sxm" / "trtllm-1.0.0" / "gemm_perf.parquet"
    assert skipped == [f"gpu-gemm: no measured data at {str(expected)!r}; set HWSIM_DATA to the folder that holds 'gpu'/"]


def test_error_rows_are_what_they_say() -> None:
    measured = np.array([1.0, 2.0, 4.0, 8.0])
    row = validation.error_row("x", measured, measured * np.array([1.1, 0.9, 1.2, 1.0]), 2 * measured)
    assert (row.n, row.spearman) == (4, 1.0)
    assert row.median == pytest.approx(10)
    assert row.mean == pytest.approx(10)
    assert row.roofline_median == pytest.approx(100)


@pytest.mark.parametrize("n", [9, 18, 19, 40, 200])
def test_conformal_ranges_hold_a_further_row_nine_times_in_ten(n: int):
    draws = np.exp(np.random.default_rng(n).normal(0.1, 0.3, (2000, n + 1)))
    held = [low <= row[-1] <= high for row in draws for low, high in [conformal_ratios(row[:-1])]]
    assert 0.88 <= np.mean(held) <= 0.95


def test_fewer_than_nine_rows_give_no_range():
    assert np.isnan(conformal_ratios(np.ones(8))).all()
