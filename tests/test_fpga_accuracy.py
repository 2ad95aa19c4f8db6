"""Agreement of the FPGA closed forms with tool reports that the fit did not see; skipped where the reports are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import validation

AT_LEAST = {
    ("fpga-dense-csynth", "resource / cycles"): {"exact": 91},
    ("fpga-dense-csynth", "resource / interval_cycles"): {"exact": 96},
    ("fpga-dense-csynth", "resource / DSP, 8 bits and more"): {"exact": 95},
    ("fpga-dense-csynth", "resource / BRAM18"): {"r2": 0.99},
    ("fpga-dense-csynth", "resource / synthesises"): {"exact": 96},
    ("fpga-dense-csynth", "latency / synthesises"): {"exact": 85},
    ("fpga-dense-vsynth", "two layers / cycles"): {"exact": 99},
    ("fpga-dense-vsynth", "two layers / BRAM18"): {"exact": 70, "r2": 0.8},
    ("fpga-dense-vsynth", "two layers / DSP, 8 bits and more"): {"exact": 100},
    ("fpga-mlp-csynth", "dense module / cycles"): {"within_two": 70},
    ("fpga-ci-csynth", "cycles"): {"within_two": 70},
    ("fpga-yosys", "cycles"): {"exact": 100},
    ("fpga-yosys", "interval"): {"exact": 100},
    ("fpga-yosys", "dsp"): {"exact": 100},
}
"""(suite, row) to the least that a statistic may be."""
AT_MOST = {
    ("fpga-dense-csynth", "resource / LUT"): {"smape": 15},
    ("fpga-dense-csynth", "resource / FF"): {"smape": 15},
    ("fpga-dense-vsynth", "two layers / LUT"): {"smape": 10},
    ("fpga-dense-vsynth", "two layers / FF"): {"smape": 2},
    ("fpga-mlp-csynth", "dense module / LUT"): {"smape": 25},
    ("fpga-mlp-csynth", "dense module / DSP"): {"smape": 15},
    ("fpga-cnn-csynth", "cycles"): {"smape": 5},
    ("fpga-cnn-csynth", "LUT"): {"smape": 35},
    ("fpga-cnn-csynth", "BRAM18"): {"smape": 35},
    ("fpga-energy", "board / energy"): {"p90": 30},
    ("fpga-yosys", "lut"): {"smape": 12},
    ("fpga-yosys", "ff"): {"smape": 12},
}
SUITES = sorted({suite for suite, _ in (*AT_LEAST, *AT_MOST)})


@pytest.mark.parametrize("suite", SUITES)
def test_designs_that_the_fit_did_not_see(suite: str, data_dir: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("scipy")
    found, skipped = validation.run([suite])
    if skipped:
        pytest.skip(skipped[0])
    rows = {r.group: r for r in (*found[0].by_group, *found[0].by_both)}
    for bars, holds in ((AT_LEAST, float.__ge__), (AT_MOST, float.__le__)):
        for (name, row), statistics in bars.items():
            for statistic, bar in statistics.items() if name == suite else ():
                value = float(getattr(rows[row], statistic))
                assert holds(value, float(bar)), f"{row}: {statistic} {value:.2f}, bar {bar}"
