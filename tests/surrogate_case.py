"""Folders of hls4ml projects and tables of measurements for tests: the closed form times what a tool might differ by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import hwsim

PART = "xcu250-figd2104-2L-e"


def keras_json(sizes: list[int]) -> str:
    """A multilayer perceptron as Keras writes its architecture."""
    start = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, sizes[0]], "dtype": "float32"}}
    layers = [
        {
            "class_name": "Dense",
            "config": {"name": f"fc{i}", "units": n, "activation": "relu" if i < len(sizes) - 2 else "linear", "use_bias": True},
        }
        for i, n in enumerate(sizes[1:])
    ]
    return json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": [start, *layers]}})


def config(reuse: int) -> str:
    """hls4ml's configuration of a project."""
    return (
        f"Backend: Vitis\nProjectName: net\nKerasModel: !keras_model 'keras_model.json'\nPart: {PART}\nClockPeriod: 5\n"
        "ClockUncertainty: 27%\nIOType: io_parallel\nHLSConfig:\n  Model:\n    Precision:\n      default: ap_fixed<16,6>\n"
        f"    ReuseFactor: {reuse}\n    Strategy: Resource\n"
    )


def csynth(values: dict[str, float]) -> str:
    """A csynth.xml of Vitis HLS."""
    v = {name: round(value) for name, value in values.items()}
    return (
        "<profile><ReportVersion><Version>2023.2</Version></ReportVersion>"
        f"<UserAssignments><Part>{PART}</Part><TopModelName>net</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>"
        "<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>3.4</EstimatedClockPeriod></SummaryOfTimingAnalysis>"
        f"<SummaryOfOverallLatency><Best-caseLatency>{v['cycles']}</Best-caseLatency><Worst-caseLatency>{v['cycles']}</Worst-caseLatency>"
        f"<Interval-min>{v['interval_cycles']}</Interval-min><Interval-max>{v['interval_cycles']}</Interval-max></SummaryOfOverallLatency>"
        "</PerformanceEstimates><AreaEstimates><Resources>"
        f"<BRAM_18K>{v['bram18']}</BRAM_18K><DSP>{v['dsp']}</DSP><FF>{v['ff']}</FF><LUT>{v['lut']}</LUT><URAM>0</URAM>"
        "</Resources></AreaEstimates></profile>"
    )


def projects(folder: Path, count: int, *, lut: float = 1.3, noise: float = 0.03) -> Path:
    """Projects whose LUT are `lut` times the closed form, FF half as far off, the rest as it says."""
    from hwsim.surrogates.metrics import value_of

    draw = np.random.default_rng(0)
    for i in range(count):
        sizes = [int(n) for n in draw.choice([8, 12, 16, 24, 32], 3)] + [5]
        reuse = int(draw.choice([2, 4]))
        where = folder / f"p{i:03}"
        report = where / "net_prj" / "solution1" / "syn" / "report"
        report.mkdir(parents=True)
        (where / "keras_model.json").write_text(keras_json(sizes))
        (where / "hls4ml_config.yml").write_text(config(reuse))
        cost = hwsim.estimate(str(where / "keras_model.json"), "xcu250", hls_config=str(where / "hls4ml_config.yml")).cost
        off = {"lut": lut * np.exp(noise * draw.normal()), "ff": 1 + (lut - 1) / 2}
        names = ("lut", "ff", "dsp", "bram18", "cycles", "interval_cycles")
        (report / "csynth.xml").write_text(csynth({name: value_of(cost, name) * off.get(name, 1.0) for name in names}))
    return folder
