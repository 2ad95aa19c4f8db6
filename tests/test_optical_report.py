"""Effective bits, pictures and array libraries of the optical family."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.optics.bench import photons_of
from hwsim.optics.error_model import relative_error
from hwsim.optics.measures import effective_bits
from hwsim.targets.optical import TARGET
from hwsim.targets.optical.pictures import MOST_LAYERS, energy_bars, pictures, time_bars, trade
from hwsim.targets.optical.precision import bits_of


def test_effective_bits_are_those_of_the_error_model() -> None:
    e = hwsim.estimate("lenet5", "optical-generic")
    device = e.device
    own = {name: getattr(device, name) for name in ("input_bits", "mask_bits", "camera_bits", "read_noise_e", "full_well_e")}
    error = relative_error(**own, photons=photons_of(device), kernel=5, size=32, channels=1, detection="coherent", signs="kernel")
    assert e.layers[0].extra["effective_bits"] == pytest.approx(float(effective_bits(error)))
    convolutions = [layer.extra["effective_bits"] for layer in e.layers if layer.kind == "conv"]
    assert float(e.cost.extra["effective_bits"]) == pytest.approx(min(convolutions))


def test_precision_can_be_left_out() -> None:
    e = hwsim.estimate("lenet5", "optical-generic", error_model=False)
    assert "effective_bits" not in e.cost.extra
    assert e.latency_s == hwsim.estimate("lenet5", "optical-generic").latency_s


def test_more_light_and_more_bits_are_more_precise() -> None:
    e = hwsim.estimate("lenet5", "optical-generic")
    light = float(e.device.laser_w) * np.logspace(-2, 2, 9)
    found = bits_of(e.program, device=e.device, mapping=e.mapping, vary={"laser_w": light})
    assert np.all(np.diff(found) >= 0)
    depths = np.arange(3.0, 12.0)
    found = bits_of(e.program, device=e.device, mapping=e.mapping, vary={"camera_bits": depths})
    assert np.all(np.diff(found) > 0)


def test_the_trade_has_a_front() -> None:
    found = trade(TARGET, hwsim.estimate("lenet5", "optical-generic"))
    order = np.argsort(found.energy_j[found.front])
    assert found.front.sum() > 3
    assert np.all(np.diff(found.effective_bits[found.front][order]) > 0)
    for energy, bits in zip(found.energy_j, found.effective_bits, strict=True):
        better = found.front & (found.energy_j <= energy) & (found.effective_bits >= bits)
        assert better.any()


def test_pictures_of_a_charged_bench() -> None:
    e = hwsim.estimate("lenet5", "optical-generic")
    assert [title for title, *_ in pictures(TARGET, e)] == [
        "time by layer and cause",
        "energy by layer and cause",
        "energy against precision",
    ]
    page = e.to_html()
    for words in ("camera readout beyond them", "Energy by layer and cause", "this bench", "8 bits, laser x 1"):
        assert words in page


def test_pictures_of_what_charges_nothing() -> None:
    assert [title for title, *_ in pictures(TARGET, hwsim.estimate("lenet5", "fatnet"))] == ["time by layer and cause"]


def test_long_networks_show_their_longest_layers() -> None:
    e = hwsim.estimate("resnet50", "optical-generic")
    for drawn in (time_bars(e), energy_bars(e)):
        assert drawn.count("<g data-tip") == MOST_LAYERS


def test_other_array_libraries_give_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    mapping = TARGET.mapping(error_model=False)
    device = TARGET.device("optical-generic")
    program = TARGET.lower(hwsim.load("lenet5"), device=device, mapping=mapping)
    expected = TARGET.cost(program, device=device, mapping=mapping)

    def moved(columns: Any) -> Any:
        return type(columns)(**{f.name: torch.as_tensor(getattr(columns, f.name)) for f in fields(columns)})

    tables = tuple(replace(t, columns=moved(t.columns)) for t in program.tables)
    laser = torch.tensor([[float(device.laser_w)]], dtype=torch.float64, requires_grad=True)
    found = TARGET.cost(replace(program, tables=tables), device=replace(device, laser_w=laser), mapping=mapping)
    assert float(found.latency_s.detach()) == pytest.approx(float(expected.latency_s))
    assert float(found.energy_j.total.detach()) == pytest.approx(float(expected.energy_j.total))
    found.energy_j.total.sum().backward()
    assert float(laser.grad) == pytest.approx(float(expected.latency_s) * 0.998 / 0.12, rel=0.01)
