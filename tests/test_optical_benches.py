"""The benches of the shelf: every number with a source, published values exact, what is assumed with its range."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import shelf, units, yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import STATUSES
from hwsim.targets.optical.device import FIELDS, OpticalDevice

NAMES = tuple(shelf.devices("optical"))
CHARGED = tuple(n for n in NAMES if n != "fatnet")
PUBLISHED = {
    "fatnet": {"input_x": "2160", "camera_y": "2160", "input_refresh_s": "1 us", "mask_refresh_s": "1 us"},
    "fast-slm-2mhz": {"input_x": "2160", "input_refresh_s": "0.5 us", "dac_j": "10 pJ", "adc_j": "3.5 pJ", "wall_plug_efficiency": "0.12"},
    "dmd-10khz": {"input_refresh_s": "100 us", "mask_refresh_s": "100 us", "adc_j": "2.6 pJ"},
    "lcos": {"adc_j": "2.6 pJ", "wall_plug_efficiency": "0.12"},
}
CHOICES = ("input_x", "input_y", "mask_x", "mask_y", "camera_x", "camera_y", "input_bits", "mask_bits", "camera_bits", "wavelength_m")
"""What is chosen, not uncertain."""


def test_the_shelf_holds_these_benches() -> None:
    assert set(NAMES) == {"fatnet", "lcos", "dmd-10khz", "fast-slm-2mhz", "optical-generic"}


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source_and_a_status(name: str) -> None:
    device = OpticalDevice.from_shelf(name)
    assert set(device.sources) == set(FIELDS)
    for field, q in device.sources.items():
        assert q.source, field
        assert q.status in STATUSES, field


@pytest.mark.parametrize("name", CHARGED)
def test_what_is_charged_and_assumed_has_a_range(name: str) -> None:
    device = OpticalDevice.from_shelf(name)
    for field, q in device.sources.items():
        if field not in CHOICES and q.source != "not stated by the description":
            assert q.low is not None, field
            assert q.high is not None, field
            assert q.low < q.high, field


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values(name: str) -> None:
    device = OpticalDevice.from_shelf(name)
    for field, value in PUBLISHED[name].items():
        assert getattr(device, field) == pytest.approx(units.parse(value, FIELDS[field].unit)), field
        assert device.sources[field].status == "published", field


def test_fatnet_charges_frames_and_nothing_else() -> None:
    device = OpticalDevice.from_shelf("fatnet")
    free = [n for n, f in FIELDS.items() if f.required and not f.positive and not n.endswith("refresh_s")]
    assert {getattr(device, n) for n in free} == {0.0}
    assert all(device.sources[n].note == "not charged" for n in free if n != "exposure_s")


@pytest.mark.parametrize("name", CHARGED)
def test_the_others_charge_everything(name: str) -> None:
    device = OpticalDevice.from_shelf(name)
    assert all(getattr(device, n) > 0 for n, f in FIELDS.items() if f.required)


def test_two_frames_are_the_published_operation() -> None:
    assert 2 * OpticalDevice.from_shelf("fatnet").input_refresh_s == pytest.approx(2e-6)
    assert 4 * OpticalDevice.from_shelf("fast-slm-2mhz").input_refresh_s == pytest.approx(2e-6)


def write(folder: Path, **fields: object) -> str:
    path = folder / "mine.yaml"
    lines = "\n".join(f"  {k}: {{value: {v}, source: me, status: given}}" for k, v in fields.items())
    path.write_text(f"extends: optical-generic\nname: mine\nfields:\n{lines}\n", encoding="utf-8")
    return str(path)


def test_a_bench_of_ones_own(tmp_path: Path) -> None:
    device = OpticalDevice.from_shelf(write(tmp_path, input_x=4096, adc_j="1 pJ"))
    assert (device.name, device.input_x, device.adc_j, device.detection) == ("mine", 4096.0, 1e-12, "coherent")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_x": 0}, "field 'input_x': found 0.0; expected more than 0"),
        ({"camera_y": -4}, "field 'camera_y': found -4.0; expected more than 0"),
        (
            {"camera_x": 9000},
            "mine, field 'camera_x': found 9000; expected no more than input_x, 1024: the input modulator limits the field of view",
        ),
        ({"mask_bits": 0.25}, "mine, field 'mask_bits': found 0.25; expected at least 1 bit"),
        ({"input_y": 0.5}, "mine, field 'input_y': found 0.5; expected at least 1 pixel"),
    ],
)
def test_impossible_files_are_refused(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        OpticalDevice.from_shelf(write(tmp_path, **fields))
    assert str(error.value).endswith(message)


def test_unknown_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown field in .*mine.yaml: 'pixels'"):
        OpticalDevice.from_shelf(write(tmp_path, pixels=3))


def test_files_name_no_other_family() -> None:
    assert not [n for n in NAMES if yaml12.load(shelf.devices("optical")[n]).get("family", "optical") != "optical"]
