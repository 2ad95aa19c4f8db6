"""Accuracy of the closed forms on devices that the fit did not see; skipped where the measurements are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import validation

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
    import numpy as np

    measured = np.array([1.0, 2.0, 4.0, 8.0])
    row = validation.error_row("x", measured, measured * np.array([1.1, 0.9, 1.2, 1.0]), 2 * measured)
    assert (row.n, row.spearman) == (4, 1.0)
    assert row.median == pytest.approx(10)
    assert row.mean == pytest.approx(10)
    assert row.roofline_median == pytest.approx(100)
