"""Laws of the GPU cost functions, on whole programs: more hardware is never slower, parts add up, namespaces agree."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.api import find, lowered
from hwsim.sweep import evaluate
from hwsim.targets.gpu import TARGET
from hwsim.targets.gpu.device import NUMERIC

MODELS = (
    "resnet18",
    "mobilenet_v2",
    "vit_ti16",
    "llama3_2_1b?num_layers=2&vocab_size=1000&seq_len=64",
    "mamba_130m?num_layers=2&seq_len=64",
)
DEVICES = ("v100-sxm2-16gb", "a100-sxm-80gb", "l40s", "h100-sxm-80gb", "mi210")
GROWS = ("sm_count", "clock_hz", "dram_b_per_s", "l2_b", "l2_b_per_clk", "power_limit_w", "fp16_tensor_flop_per_clk")


@cache
def program(model: str, runtime: str = "compile", batch: int = 1, dtype: str = "fp16") -> tuple[Any, Any]:
    mapping = TARGET.mapping(runtime=runtime, dtype=dtype)
    return lowered(TARGET, hwsim.load(model, batch=batch), device=None, mapping=mapping), mapping


def latency(model: str, device: Any, **options: Any) -> float:
    known, mapping = program(model, **options)
    return float(TARGET.cost(known, device=device, mapping=mapping).latency_s)


@settings(deadline=None, max_examples=60)
@given(
    model=st.sampled_from(MODELS),
    name=st.sampled_from(DEVICES),
    field=st.sampled_from(GROWS),
    factor=st.floats(1.0, 4.0),
    runtime=st.sampled_from(["eager", "compile", "tensorrt"]),
)
def test_more_hardware_is_never_slower(model: str, name: str, field: str, factor: float, runtime: str) -> None:
    _, device = find(name)
    grown = replace(device, **{field: getattr(device, field) * factor})
    assert latency(model, grown, runtime=runtime) <= latency(model, device, runtime=runtime) * (1 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(
    model=st.sampled_from(MODELS),
    name=st.sampled_from(DEVICES),
    batch=st.sampled_from([1, 2, 3, 8, 32]),
    runtime=st.sampled_from(["eager", "compile", "tensorrt"]),
)
def test_twice_the_batch_is_slower_but_at_most_twice(model: str, name: str, batch: int, runtime: str) -> None:
    _, device = find(name)
    once, twice = (latency(model, device, batch=b, runtime=runtime) for b in (batch, 2 * batch))
    assert once * (1 - 1e-9) <= twice <= 2 * once * (1 + 1e-9)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", DEVICES)
def test_totals_are_the_sum_of_the_parts(model: str, name: str) -> None:
    estimate = hwsim.estimate(hwsim.load(model, batch=4), name, runtime="tensorrt")
    assert estimate.latency_s == pytest.approx(sum(layer.latency_s for layer in estimate.layers))
    assert estimate.energy_j == pytest.approx(sum(layer.energy_j for layer in estimate.layers))
    assert estimate.program.graph.macs == sum(layer.macs for layer in estimate.layers)
    for layer in estimate.layers:
        assert layer.latency_s >= max(layer.parts_s["compute"], layer.parts_s["memory"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("runtime", ["eager", "compile", "tensorrt"])
def test_power_stays_under_the_limit_and_time_above_the_roofline(model: str, name: str, runtime: str) -> None:
    estimate = hwsim.estimate(hwsim.load(model, batch=16), name, runtime=runtime)
    assert 0 < estimate.power_w <= float(estimate.device.power_limit_w) * (1 + 1e-9)
    assert estimate.latency_s >= 2 * sum_macs_on_tensor(estimate) / estimate.device.peak_op_per_s("fp16")


def sum_macs_on_tensor(estimate: hwsim.Estimate) -> int:
    """Multiply-adds outside of masked attention and of scans, which run on other units."""
    return sum(layer.macs for layer in estimate.layers if layer.kind in ("conv", "linear", "matmul"))


def points(device: Any, convert: Any) -> Any:
    columns = {n: convert(np.array([[0.5], [1.0], [1.7]]) * getattr(device, n)) for n in NUMERIC if getattr(device, n)}
    return replace(device, **columns)


@pytest.mark.parametrize("model", MODELS)
def test_namespaces_agree(model: str) -> None:
    strict = pytest.importorskip("array_api_strict")
    torch = pytest.importorskip("torch")
    known, mapping = program(model)
    _, device = find("a100-sxm-80gb")
    expected = TARGET.cost(known, device=points(device, np.asarray), mapping=mapping)
    for convert in (torch.as_tensor, strict.asarray):
        table = [replace(t, columns=converted(t.columns, convert), count=convert(t.count)) for t in known.tables]
        got = TARGET.cost(replace(known, tables=tuple(table)), device=points(device, convert), mapping=mapping)
        np.testing.assert_allclose(np.asarray(got.latency_s), expected.latency_s, rtol=1e-9)
        np.testing.assert_allclose(np.asarray(got.row_latency_s), expected.row_latency_s, rtol=1e-9)
        np.testing.assert_allclose(np.asarray(got.energy_j.total), expected.energy_j.total, rtol=1e-9)


def converted(columns: Any, convert: Any) -> Any:
    def each(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return convert(value)
        return tuple(each(v) for v in value) if isinstance(value, tuple) else value

    return replace(columns, **{name: each(value) for name, value in vars(columns).items()})


@pytest.mark.parametrize("model", MODELS)
def test_a_sweep_is_many_single_estimates(model: str) -> None:
    known, mapping = program(model)
    _, device = find("a100-sxm-80gb")
    rng = np.random.default_rng(0)
    vary = {"sm_count": rng.uniform(20, 200, 7), "dram_b_per_s": rng.uniform(3e11, 8e12, 7)}
    swept = evaluate(TARGET, known, device=device, mapping=mapping, vary=vary, chunk=3)
    for i in range(7):
        single = TARGET.cost(known, device=replace(device, **{k: float(v[i]) for k, v in vary.items()}), mapping=mapping)
        assert swept.latency_s[i] == pytest.approx(float(single.latency_s), rel=1e-9)
        assert swept.energy_j[i] == pytest.approx(float(single.energy_j.total), rel=1e-9)


def test_gradients_of_device_quantities() -> None:
    torch = pytest.importorskip("torch")
    known, mapping = program("resnet18", runtime="tensorrt")
    tables = [replace(t, columns=converted(t.columns, torch.as_tensor), count=torch.as_tensor(t.count)) for t in known.tables]
    _, device = find("a100-sxm-80gb")
    bandwidth = torch.tensor([[device.dram_b_per_s]], dtype=torch.float64, requires_grad=True)
    cost = TARGET.cost(replace(known, tables=tuple(tables)), device=replace(device, dram_b_per_s=bandwidth), mapping=mapping)
    cost.latency_s.sum().backward()
    assert bandwidth.grad is not None
    assert bandwidth.grad.item() < 0
