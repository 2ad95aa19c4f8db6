"""Laws of the optical cost functions: more is never slower, finer is never cheaper, a sweep is its single estimates."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.api import lowered
from hwsim.sweep import evaluate
from hwsim.targets.optical import TARGET
from hwsim.targets.optical.cost import conversion_j, detection_j
from hwsim.targets.optical.device import FIELDS

MODELS = ("fatnet", "lenet5", "convshare_vit?num_layers=1", "mobilenet_v2?image_size=64", "fat_unet?image_size=40")
DEVICES = ("fatnet", "lcos", "dmd-10khz", "fast-slm-2mhz", "optical-generic")
SIDES = ("input_x", "input_y", "mask_x", "mask_y", "camera_x", "camera_y")
TILINGS = ("auto", "batch", "channel")
device_of = cache(TARGET.device)


@cache
def program(model: str, batch: int) -> Any:
    return lowered(TARGET, hwsim.load(model, batch=batch), device=None, mapping=TARGET.mapping())


def cost(model: str, device: Any, *, batch: int = 3, **options: Any) -> Any:
    return TARGET.cost(program(model, batch), device=device, mapping=TARGET.mapping(**options))


models, devices, tilings = st.sampled_from(MODELS), st.sampled_from(DEVICES), st.sampled_from(TILINGS)


@settings(deadline=None, max_examples=60)
@given(model=models, name=devices, tiling=tilings, side=st.integers(5, 400), more=st.integers(0, 300), batch=st.sampled_from([1, 3, 50]))
def test_more_pixels_are_never_slower(model: str, name: str, tiling: str, side: int, more: int, batch: int) -> None:
    small, large = (replace(device_of(name), **dict.fromkeys(SIDES, float(n))) for n in (side, side + more))
    times = [float(cost(model, d, tiling=tiling, batch=batch).latency_s) for d in (small, large)]
    assert times[1] <= times[0] * (1 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(
    model=models,
    name=devices,
    tiling=tilings,
    field=st.sampled_from(["input_refresh_s", "mask_refresh_s", "exposure_s"]),
    factor=st.floats(0.1, 1.0),
)
def test_a_faster_modulator_or_camera_is_never_slower(model: str, name: str, tiling: str, field: str, factor: float) -> None:
    device = device_of(name)
    faster = replace(device, **{field: getattr(device, field) * factor})
    assert float(cost(model, faster, tiling=tiling).latency_s) <= float(cost(model, device, tiling=tiling).latency_s) * (1 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(
    model=models,
    name=devices,
    tiling=tilings,
    field=st.sampled_from(["input_bits", "mask_bits", "camera_bits"]),
    more=st.floats(0.0, 6.0),
)
def test_more_bits_are_never_cheaper(model: str, name: str, tiling: str, field: str, more: float) -> None:
    device = device_of(name)
    finer = replace(device, **{field: getattr(device, field) + more})
    energies = [float(cost(model, d, tiling=tiling).energy_j.total) for d in (device, finer)]
    assert energies[1] >= energies[0] * (1 - 1e-9)


@settings(deadline=None, max_examples=30)
@given(model=models, name=devices, signs=st.sampled_from(["kernel", "both"]), tiling=tilings)
def test_signs_cost_frames(model: str, name: str, signs: str, tiling: str) -> None:
    bare, signed = (cost(model, device_of(name), signs=s, tiling=tiling).extra for s in ("unsigned", signs))
    if tiling != "auto":
        assert float(signed["frames"]) == {"kernel": 2, "both": 4}[signs] * float(bare["frames"])
    assert float(signed["frames_s"]) >= float(bare["frames_s"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", DEVICES)
def test_auto_is_the_faster_tiling_layer_by_layer(model: str, name: str) -> None:
    auto, batch, channel = (cost(model, device_of(name), tiling=t).row_latency_s for t in TILINGS)
    np.testing.assert_allclose(auto, np.minimum(batch, channel), rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_rows_and_parts_add_up(model: str) -> None:
    c = cost(model, device_of("optical-generic"))
    np.testing.assert_allclose(np.sum(c.row_latency_s), c.latency_s)
    np.testing.assert_allclose(np.sum(c.row_energy_j), c.energy_j.total)
    np.testing.assert_allclose(sum(v for _, v in c.row_parts_s.items()), c.row_latency_s)
    named = sum(c.row_extra[f"{part}_j"] for part in ("optics", "conversion", "electronics", "static"))
    np.testing.assert_allclose(named, c.row_energy_j)


@pytest.mark.parametrize("tiling", TILINGS)
def test_a_sweep_is_its_single_estimates(tiling: str) -> None:
    rng, count = np.random.default_rng(3), 25
    device, known, mapping = device_of("optical-generic"), program("fatnet", 3), TARGET.mapping(tiling=tiling)
    vary = {name: getattr(device, name) * rng.uniform(0.5, 2.0, count) for name in FIELDS if not name.endswith(("efficiency", "_x", "_y"))}
    vary |= {name: np.floor(rng.uniform(20, 900, count)) for name in SIDES[:4]}
    vary |= {"camera_x": np.minimum(vary["input_x"], vary["mask_x"]), "camera_y": np.minimum(vary["input_y"], vary["mask_y"])}
    swept = evaluate(TARGET, known, device=device, mapping=mapping, vary=vary, chunk=7)
    for i in range(count):
        single = replace(device, **{name: float(values[i]) for name, values in vary.items()})
        c = TARGET.cost(known, device=single, mapping=mapping)
        assert swept.latency_s[i] == pytest.approx(float(c.latency_s), rel=1e-12)
        assert swept.energy_j[i] == pytest.approx(float(c.energy_j.total), rel=1e-12)


def test_converters_go_through_their_two_published_points() -> None:
    from hwsim.targets.optical.cost import ADC_DOUBLING_BITS, DAC_DOUBLING_BITS

    assert conversion_j(10e-12, 4, DAC_DOUBLING_BITS) == pytest.approx(1.5e-12, rel=0.005)
    assert conversion_j(3.5e-12, 4, ADC_DOUBLING_BITS) == pytest.approx(0.9e-12, rel=0.005)


def test_detection_is_3_1_fj_at_4_bits_and_49_fj_at_8() -> None:
    """Thermal noise of 5 pA/rtHz at 1 GHz and 1 A/W."""
    snr = 10 ** ((6.02 * 8 + 1.76) / 10)
    at_8_bits = snr**0.5 * 5e-12 / (1.0 * 1e9**0.5)
    assert at_8_bits == pytest.approx(49e-15, rel=0.02)
    assert detection_j(at_8_bits, 4) == pytest.approx(3.1e-15, rel=0.01)
