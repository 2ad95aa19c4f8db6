"""YAML, quantities and the device shelf: values with sources, errors with places."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import shelf, yaml12
from hwsim.errors import HwsimError, InputError, UnknownName
from hwsim.quantities import STATUSES
from hwsim.targets.gpu.device import FIELDS, GpuDevice

DEVICES = sorted(shelf.devices("gpu"))
ASKED = [
    "p100-pcie-16gb",
    "v100-sxm2-16gb",
    "t4",
    "a100-sxm-40gb",
    "a100-sxm-80gb",
    "a100-pcie-40gb",
    "a100-pcie-80gb",
    "a10",
    "a40",
    "l4",
    "l40s",
    "h100-sxm-80gb",
    "h100-pcie-80gb",
    "h200-sxm",
    "b200-sxm",
    "rtx-3090",
    "rtx-4090",
    "rtx-5090",
    "rtx-pro-6000-blackwell-server",
    "rtx-pro-6000-blackwell-maxq",
    "mi100",
    "mi210",
    "mi250",
    "mi300x",
    "generic",
]


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_yaml_reads_numbers_as_people_write_them() -> None:
    assert yaml12.loads("a: 312e12\nb: no\nc: 1e-9\nd: 12:30\ne: 007\nf: .inf") == {
        "a": 312e12,
        "b": "no",
        "c": 1e-9,
        "d": "12:30",
        "e": 7,
        "f": float("inf"),
    }


@pytest.mark.parametrize(
    "text,message",
    [
        ("a: 1\na: 2", "YAML text, line 2, column 1: the key 'a' stands twice"),
        ("a: &x 1\nb: *x", "YAML text, line 2, column 4: aliases (*name) are not accepted"),
        (
            "a: !!python/name:os.system",
            "YAML text, line 1, column 4: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_yaml_refuses(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        yaml12.loads(text)
    assert str(error.value) == message


def test_every_asked_device_is_there() -> None:
    assert set(ASKED) <= set(DEVICES)


@pytest.mark.parametrize("name", DEVICES)
def test_every_quantity_has_a_source(name: str) -> None:
    device = GpuDevice.from_shelf(name)
    assert set(device.sources) == set(FIELDS)
    for quantity in device.sources.values():
        assert quantity.source
        assert quantity.status in STATUSES


@pytest.mark.parametrize("name", DEVICES)
def test_peaks_agree_with_the_datasheet(name: str) -> None:
    device = GpuDevice.from_shelf(name)
    for fmt, peak in device.check.items():
        assert device.peak_op_per_s(fmt) == pytest.approx(peak, rel=0.02), fmt


def test_ten_lines_describe_a_gpu(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "extends: generic\nname: my-gpu\nsources: {mine: my datasheet 2026}\nfields:\n"
        "  sm_count: {value: 100, source: mine, status: datasheet}\n  dram_b_per_s: {value: 2 TB/s, source: mine, status: datasheet}\n",
    )
    device = GpuDevice.from_shelf(path)
    assert (device.name, device.sm_count, device.dram_b_per_s) == ("my-gpu", 100, 2e12)
    assert device.sources["sm_count"].source == "my datasheet 2026"
    assert shelf.family_of(path) == "gpu"


@pytest.mark.parametrize(
    "text,message",
    [
        (
            "extends: generic\nfields: {sm_cuont: {value: 1, source: x, status: assumed}}",
            "unknown field in {path}: 'sm_cuont'. Did you mean 'sm_count'?",
        ),
        ("fields: {}", None),
        (
            "extends: generic\nfields: {sm_count: {value: 1 GHz, source: x, status: assumed}}",
            "{path}, field 'sm_count': found '1 GHz' with the unit 'GHz'; expected a plain number, such as '80'",
        ),
        (
            "extends: generic\nfields: {sm_count: {value: 10, source: x}}",
            "{path}, field 'sm_count': status missing; every number needs a value, a source and a status",
        ),
        (
            "extends: generic\nfields: {sm_count: 10}",
            "{path}, field 'sm_count': found 10; expected {{value: 80, source: ..., status: ...}}",
        ),
        (
            "extends: generic\nfields: {sm_count: {value: 10, source: x, status: guessed}}",
            None,
        ),
        (
            "extends: generic\nfields: {sm_count: {value: -1, source: x, status: assumed}}",
            "{path}, field 'sm_count': found -1.0; expected more than 0",
        ),
        ("extends: generic\nspeed: 3", "unknown key in {path}: 'speed'. Known:"),
        ("[1, 2]", "{path}: found list; expected a mapping with `fields:`"),
    ],
)
def test_wrong_device_files(tmp_path: Path, text: str, message: str | None) -> None:
    path = write(tmp_path, text)
    with pytest.raises(HwsimError) as error:
        GpuDevice.from_shelf(path)
    if message is not None:
        assert str(error.value).startswith(message.format(path=path).replace("{{", "{").replace("}}", "}"))


def test_extending_in_a_circle(tmp_path: Path) -> None:
    path = write(tmp_path, f"extends: {tmp_path / 'mine.yaml'}\nfields: {{}}")
    with pytest.raises(InputError, match="extends itself"):
        GpuDevice.from_shelf(path)


def test_unknown_device_suggests() -> None:
    with pytest.raises(UnknownName) as error:
        GpuDevice.from_shelf("a100-sxm-80g")
    assert str(error.value).startswith("unknown device 'a100-sxm-80g'. Did you mean 'a100-sxm-80gb'")


def test_overrides_read_units_and_are_marked() -> None:
    device = GpuDevice.from_shelf("a100-sxm-80gb").with_overrides({"dram_b_per_s": "4.8 TB/s", "sm_count": 132})
    assert (device.dram_b_per_s, device.sm_count) == (4.8e12, 132)
    assert device.sources["sm_count"].status == "given"
    with pytest.raises(UnknownName) as error:
        device.with_overrides({"sm_counts": 3})
    assert str(error.value).startswith("unknown quantity of a GPU 'sm_counts'. Did you mean 'sm_count'")
    with pytest.raises(InputError) as wrong:
        device.with_overrides({"sm_count": "0"})
    assert str(wrong.value) == "quantity 'sm_count': found '0'; expected more than 0"


def test_extra_shelves_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "targets" / "gpu"
    folder.mkdir(parents=True)
    (folder / "house-gpu.yaml").write_text("extends: a10\nfields: {}\n")
    monkeypatch.setenv("HWSIM_PATH", str(tmp_path))
    assert GpuDevice.from_shelf("house-gpu").sm_count == 72


def test_formats_without_a_unit_fall_back() -> None:
    volta = GpuDevice.from_shelf("v100-sxm2-16gb")
    assert volta.op_per_clk("bf16") == volta.fp32_flop_per_clk
    assert volta.op_per_clk("fp8_e4m3") == volta.fp16_tensor_flop_per_clk
    assert volta.op_per_clk("ap_fixed<8,3>") == volta.int8_tensor_op_per_clk
    assert not volta.uses_tensor("fp32")
