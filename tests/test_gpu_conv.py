"""Laws, namespaces and errors of the convolution model on GPUs."""

from __future__ import annotations

import re
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.datasets.locate import data_path
from hwsim.errors import DataMissing, InputError
from hwsim.targets.gpu.kernels.conv import ConvConstants, conv_columns, conv_time

A100 = {
    "sm_count": 108.0, "clock_hz": 1410e6, "fp64_flop_per_clk": 64.0, "fp32_flop_per_clk": 128.0, "fp16_flop_per_clk": 512.0,
    "fp64_tensor_flop_per_clk": 128.0, "fp32_tensor_flop_per_clk": 0.0, "tf32_tensor_flop_per_clk": 1024.0,
    "fp16_tensor_flop_per_clk": 2048.0, "bf16_tensor_flop_per_clk": 2048.0, "fp8_tensor_flop_per_clk": 0.0,
    "fp4_tensor_flop_per_clk": 0.0, "int8_tensor_op_per_clk": 4096.0, "int4_tensor_op_per_clk": 8192.0, "dram_b_per_s": 1555e9,
    "l2_b": 40e6, "l2_b_per_clk": 64.0, "power_limit_w": 400.0, "idle_power_w": 50.0, "energy_scale": 7 / 12,
}  # fmt: skip
CONSTANTS = ConvConstants()
SHAPES = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 256),
        "in_channels": st.integers(1, 2048),
        "out_channels": st.integers(1, 2048),
        "size": st.integers(7, 300),
        "kernel": st.sampled_from([1, 3, 5, 7]),
        "stride": st.sampled_from([1, 2]),
        "dtype": st.sampled_from(["fp32", "tf32", "fp16", "bf16", "int8"]),
        "eager": st.sampled_from([0, 1]),
        "call": st.sampled_from(["queued", "engine", "framework"]),
        "split_k": st.sampled_from([0, 1]),
        "warm_l2_frac": st.sampled_from([0.0, 0.5, 1.0]),
        "depthwise": st.booleans(),
    }
)


def latency(shape: dict[str, Any], constants: ConvConstants = CONSTANTS, **device: float) -> float:
    s = dict(shape)
    channels, depthwise = s.pop("in_channels"), s.pop("depthwise")
    size, kernel, stride = (s.pop(name) for name in ("size", "kernel", "stride"))
    outputs = channels if depthwise else s.pop("out_channels")
    s.pop("out_channels", None)
    columns = conv_columns(
        in_channels=channels, out_channels=outputs, groups=channels if depthwise else 1, input_size=[size, size],
        kernel_size=[kernel, kernel], stride=[stride, stride], padding=[kernel // 2, kernel // 2], **s,
    )  # fmt: skip
    return float(conv_time(columns, device=SimpleNamespace(**{**A100, **device}), constants=constants).latency_s)


def not_more(a: float, b: float) -> bool:
    return a <= b * (1 + 1e-9)


@settings(max_examples=300, deadline=None)
@given(SHAPES, st.sampled_from(["sm_count", "clock_hz", "dram_b_per_s", "l2_b"]), st.floats(1.001, 4.0), st.floats(0.1, 3.0))
def test_more_hardware_is_never_slower(shape: dict[str, Any], name: str, factor: float, scale: float) -> None:
    base = {"power_limit_w": 70.0, name: A100[name] * scale}
    assert not_more(latency(shape, **{**base, name: base[name] * factor}), latency(shape, **base))


@settings(max_examples=300, deadline=None)
@given(SHAPES, st.sampled_from(["batch", "in_channels", "out_channels", "size"]), st.integers(1, 100))
def test_more_work_is_never_faster(shape: dict[str, Any], name: str, more: int) -> None:
    assert not_more(latency(shape), latency({**shape, name: shape[name] + more}))


@settings(max_examples=300, deadline=None)
@given(SHAPES)
def test_twice_the_batch_costs_at_most_twice(shape: dict[str, Any]) -> None:
    cold = {**shape, "warm_l2_frac": 0.0}
    assert not_more(latency({**cold, "batch": 2 * cold["batch"]}), 2 * latency(cold))


@settings(max_examples=100, deadline=None)
@given(SHAPES)
def test_never_below_the_physical_bound(shape: dict[str, Any]) -> None:
    cold = {**shape, "warm_l2_frac": 0.0}
    positions = ((shape["size"] - 1) // shape["stride"] + 1) ** 2
    output_b = shape["batch"] * positions * (shape["in_channels"] if shape["depthwise"] else shape["out_channels"])
    assert latency(cold) >= output_b / A100["dram_b_per_s"]


def columns_in(xp: Any) -> Any:
    values = [[1, 8, 32, 4], [64, 3, 256, 96], [128, 32, 256, 96], [56, 224, 14, 28], [3, 7, 1, 3], [1, 2, 1, 1], [1, 1, 1, 96]]
    batch, cin, cout, size, kernel, stride, groups = (xp.asarray([float(v) for v in row], dtype=xp.float64) for row in values)
    return conv_columns(
        batch=batch, in_channels=cin, out_channels=cout, input_size=[size, size], kernel_size=[kernel, kernel],
        stride=[stride, stride], padding=[(kernel - 1) / 2] * 2, groups=groups, dtype=["fp32", "fp16", "int8", "fp32"],
        call=["queued", "engine", "framework", "queued"], eager=xp.asarray([1.0, 0.0, 0.0, 1.0], dtype=xp.float64), warm_l2_frac=0.5,
    )  # fmt: skip


def points_in(xp: Any) -> SimpleNamespace:
    column = lambda a, b: xp.asarray([[a], [b]], dtype=xp.float64)  # noqa: E731
    return SimpleNamespace(**{**A100, "sm_count": column(108.0, 40.0), "power_limit_w": column(400.0, 70.0)})


@pytest.mark.parametrize("name", ["torch", "array_api_strict"])
def test_namespaces_agree(name: str) -> None:
    xp = pytest.importorskip(name)
    expected = conv_time(columns_in(np), device=points_in(np), constants=CONSTANTS)
    found = conv_time(columns_in(xp), device=points_in(xp), constants=CONSTANTS)
    assert expected.latency_s.shape == (2, 4)
    for part in fields(expected):
        np.testing.assert_allclose(np.asarray(getattr(found, part.name)), getattr(expected, part.name), rtol=1e-12)


def test_one_and_three_dimensions_are_the_same_gemm() -> None:
    def total(size: list[int], kernel: list[int]) -> float:
        columns = conv_columns(batch=4, in_channels=64, out_channels=64, input_size=size, kernel_size=kernel, dtype="fp16")
        return float(conv_time(columns, device=SimpleNamespace(**A100), constants=CONSTANTS).latency_s)

    assert total([4096], [1]) == total([64, 64], [1, 1]) == total([16, 16, 16], [1, 1, 1])


def test_winograd_only_where_it_exists() -> None:
    shape = {"batch": 32, "in_channels": 256, "out_channels": 256, "kernel_size": [3, 3], "input_size": [30, 30]}
    plain = conv_columns(**shape)
    dilated = conv_columns(**{**shape, "input_size": [32, 32]}, dilation=[2, 2])
    seconds = [conv_time(c, device=SimpleNamespace(**A100), constants=CONSTANTS).compute_s for c in (plain, dilated)]
    assert plain.flop == dilated.flop
    assert 1.2 < seconds[1] / seconds[0] < 4.0


def test_wrong_dimensions_say_what_to_give() -> None:
    message = (
        "convolution with [2, 1, 2, 2, 2] entries of input size, kernel size, stride, padding and dilation; "
        "expected 1, 2 or 3 of each, one a spatial dimension"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        conv_columns(batch=1, in_channels=1, out_channels=1, input_size=[8, 8], kernel_size=[3])


def test_unknown_format_is_refused() -> None:
    message = (
        "no convolution model for dtype ['fp12']; expected one of ['bf16', 'fp16', 'fp32', 'fp4', 'fp64', 'fp8', 'int4', 'int8', 'tf32']"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        conv_columns(batch=1, in_channels=1, out_channels=1, input_size=[8], kernel_size=[3], dtype="fp12")


def test_a_hundred_thousand_devices_in_about_a_second() -> None:
    columns = columns_in(np)
    columns = replace(columns, **{f.name: _tiled(getattr(columns, f.name)) for f in fields(columns)})
    count = np.linspace(20.0, 200.0, 20_000)[:, None]
    start = time.process_time()
    found = conv_time(columns, device=SimpleNamespace(**{**A100, "sm_count": count}), constants=CONSTANTS)
    assert found.latency_s.shape == (20_000, 24)
    assert time.process_time() - start < 2.0


def _tiled(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple((v[0], _tiled(v[1])) if isinstance(v, tuple) else _tiled(v) for v in value)
    return np.tile(value, 6)


def test_constants_on_the_shelf_are_the_model_s() -> None:
    constants = ConvConstants.from_shelf()
    assert is_dataclass(constants)
    assert 0 < constants.vector_frac <= 1
    assert constants.winograd_gain <= 2.25


def test_missing_data_say_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    path = str(tmp_path / "gpu" / "deepbench" / "conv.csv")
    message = f"no measured data at {path!r}; set HWSIM_DATA to the folder that holds 'gpu'/"
    with pytest.raises(DataMissing, match=re.escape(message)):
        data_path("gpu", "deepbench", "conv.csv")


def test_errors_on_measurements_stay_bounded() -> None:
    pytest.importorskip("pandas")
    calibrate = pytest.importorskip("hwsim.targets.gpu.calibrate.conv")
    try:
        rows = calibrate.sample(calibrate.load_rows(), 3000, seed=1)
    except DataMissing as missing:
        pytest.skip(str(missing))
    predicted = calibrate.predict_s(rows, ConvConstants.from_shelf())
    error = np.abs(predicted / rows["measured_s"] - 1)
    medians = {name: np.median(error[calibrate.groups_of(rows) == name]) for name in ("neusight fp32", "tensorrt fp16")}
    assert medians["neusight fp32"] < 0.20
    assert medians["tensorrt fp16"] < 0.15
