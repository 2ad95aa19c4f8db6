"""The GPUs of the shelf against their datasheets, and devices that people describe themselves."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import devices, shelf, yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import Quantity
from hwsim.targets.gpu import device as module
from hwsim.targets.gpu.device import FIELDS, NUMERIC, PROCESS_NM, GpuDevice

NAMES = tuple(shelf.devices("gpu"))
EXPECTED = """
    a10 a100-pcie-40gb a100-pcie-80gb a100-sxm-40gb a100-sxm-80gb a30 a40 b200-sxm generic h100-pcie-80gb h100-sxm-80gb h200-sxm l4 l40s
    mi100 mi210 mi250 mi300x p100-pcie-16gb p4 rtx-3090 rtx-4090 rtx-5090 rtx-pro-6000-blackwell-maxq rtx-pro-6000-blackwell-server
    rtx-pro-6000-blackwell-workstation t4 titan-xp v100-pcie-32gb v100-sxm2-16gb v100-sxm2-32gb
"""
VECTOR = ("fp32", "fp64")
"""Formats whose peak may be stated for the vector units where there are tensor units, too."""


def device(name: str = "a100-sxm-80gb") -> GpuDevice:
    return GpuDevice.from_shelf(name)


def own_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_shelf_has_the_devices_that_it_should() -> None:
    assert set(EXPECTED.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_peaks_agree_with_the_datasheet(name: str) -> None:
    found = device(name)
    assert found.check, f"{name} states no peak to check against"
    for fmt, peak in found.check.items():
        candidates = [float(found.peak_op_per_s(fmt))]
        candidates += [float(found.peak_op_per_s(fmt, tensor=False))] if fmt in VECTOR else []
        assert min(abs(c / peak - 1) for c in candidates) < 0.02, (fmt, peak, candidates)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_in_sane_ranges(name: str) -> None:
    d = device(name)
    assert d.name == name
    assert 10 <= d.sm_count <= 400 and d.sm_count == int(d.sm_count)
    assert 0.8e9 <= d.clock_hz <= 3.2e9
    assert 100e9 <= d.dram_b_per_s <= 10e12
    assert 8 * 2**30 <= d.dram_b <= 300 * 2**30
    assert 2 * 2**20 <= d.l2_b <= 256 * 2**20
    assert 64 * 2**10 <= d.shared_b <= 228 * 2**10
    assert 5 <= d.idle_power_w < 0.25 * d.power_limit_w <= 0.25 * 1400
    assert d.fp64_flop_per_clk <= d.fp32_flop_per_clk
    assert d.tf32_tensor_flop_per_clk <= d.fp16_tensor_flop_per_clk
    assert d.architecture == "generic" or d.architecture in PROCESS_NM


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name: str) -> None:
    quantities = device(name).sources
    assert set(quantities) == set(FIELDS) == set(NUMERIC)
    for field, q in quantities.items():
        stated = q.source != "not stated by the description"
        assert " " in q.source, f"{name}, {field}: the source {q.source!r} is a key that `sources:` does not have"
        assert stated or q.value == FIELDS[field].default
        assert q.value == getattr(device(name), field)


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_have_a_summary_of_their_own(name: str) -> None:
    content = yaml12.load(shelf.find(name))
    assert content["summary"] and isinstance(content.get("aliases", []), list)
    assert set(content) <= {*devices.COMMON, "vendor", "architecture", "check", "extends"}


def test_a_citation_stays_with_the_fields_of_its_file() -> None:
    h200 = device("h200-sxm").sources
    assert h200["sm_count"].source.startswith("NVIDIA H100 Tensor Core GPU Architecture whitepaper")
    assert h200["dram_b_per_s"].source == "NVIDIA H200 Tensor Core GPU datasheet (2023)"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a100-sxm-80gb", "a100_sxm"),
        ("a100-pcie-80gb", "a100_pcie"),
        ("a30", "a30"),
        ("h100-sxm-80gb", "h100_sxm"),
        ("h100-pcie-80gb", "h100_pcie"),
        ("h200-sxm", "h200_sxm"),
        ("b200-sxm", "b200_sxm"),
        ("l4", "l4"),
        ("l40s", "l40s"),
    ],
)
def test_devices_agree_with_those_of_aiconfigurator(name: str, file: str, data_dir: Path) -> None:
    path = data_dir / "gpu" / "aiconfigurator" / "systems" / f"{file}.yaml"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    theirs, ours = yaml12.load(path)["gpu"], device(name)
    assert ours.dram_b_per_s == pytest.approx(theirs["mem_bw"], rel=0.04)
    assert ours.dram_b == pytest.approx(theirs["mem_capacity"], rel=0.07)
    assert ours.peak_op_per_s("bf16") == pytest.approx(theirs["bfloat16_tc_flops"], rel=0.02)
    assert ours.peak_op_per_s("int8") == pytest.approx(theirs["int8_tc_flops"], rel=0.02)
    assert ours.power_limit_w == theirs["power"]


@pytest.mark.parametrize(
    ("name", "fmt", "rate", "tensor"),
    [
        ("v100-sxm2-16gb", "fp16", 1024, True),
        ("v100-sxm2-16gb", "bf16", 128, False),
        ("t4", "bf16", 128, False),
        ("t4", "tf32", 128, False),
        ("p4", "fp16", 256, False),
        ("titan-xp", "fp16", 256, False),
        ("p100-pcie-16gb", "fp16", 256, False),
        ("p100-pcie-16gb", "int8", 128, False),
        ("p100-pcie-16gb", "fp4", 128, False),
        ("a100-sxm-80gb", "fp32", 128, False),
        ("a100-sxm-80gb", "fp8_e4m3", 2048, True),
        ("a100-sxm-80gb", "fp64", 128, True),
        ("h100-sxm-80gb", "int4", 8192, True),
        ("h100-sxm-80gb", "fp4", 8192, True),
        ("b200-sxm", "fp4", 32768, True),
        ("l4", "fp64", 4, False),
        ("mi210", "fp32", 256, True),
        ("mi210", "tf32", 256, True),
        ("mi210", "fp8_e5m2", 1024, True),
        ("a100-sxm-80gb", "ap_fixed<8,3>", 4096, True),
        ("a100-sxm-80gb", "ap_fixed<18,8>", 128, False),
        ("a100-sxm-80gb", "binary", 8192, True),
    ],
)
def test_a_format_without_a_unit_takes_the_next_one(name: str, fmt: str, rate: float, tensor: bool) -> None:
    found = device(name)
    assert (found.op_per_clk(fmt), found.uses_tensor(fmt)) == (rate, tensor)


def test_vector_units_alone() -> None:
    found = device()
    rates = {fmt: found.op_per_clk(fmt, tensor=False) for fmt in ("fp64", "fp32", "fp16", "bf16", "int8")}
    assert rates == {"fp64": 64, "fp32": 128, "fp16": 512, "bf16": 128, "int8": 128}
    assert device("p4").op_per_clk("fp16", tensor=False) == 256


def test_overrides_are_read_with_units_and_remembered() -> None:
    found = device().with_overrides(
        {"sm_count": 132, "dram_b_per_s": "4.8 TB/s", "power_limit_w": np.int64(700), "fp8_tensor_flop_per_clk": 0}
    )
    assert (found.sm_count, found.dram_b_per_s, found.power_limit_w) == (132.0, 4.8e12, 700.0)
    assert found.sources["dram_b_per_s"] == Quantity(4.8e12, "B/s", "given by the caller", "given")
    assert found.sources["l2_b"] == device().sources["l2_b"]
    assert found.peak_op_per_s("fp16") == 132 * 1.41e9 * 2048


def test_overrides_may_be_columns_of_points() -> None:
    sms = np.array([[10.0], [20.0], [40.0]])
    found = device("p4").with_overrides({"sm_count": sms, "fp16_flop_per_clk": np.array([[2.0], [256.0], [512.0]])})
    assert found.op_per_clk("fp16").tolist() == [[256.0], [256.0], [512.0]]
    assert found.peak_op_per_s("fp32").tolist() == (sms * 1063e6 * 256).tolist()


def test_overrides_may_be_torch_scalars_with_gradients() -> None:
    torch = pytest.importorskip("torch")
    clock = torch.tensor(1.41e9, dtype=torch.float64, requires_grad=True)
    device().with_overrides({"clock_hz": clock}).peak_op_per_s("fp16").backward()
    assert clock.grad.item() == 108 * 2048


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dram_bw": 1}, "unknown quantity of a GPU 'dram_bw'. Did you mean 'dram_b' or 'dram_b_per_s'?"),
        ({"dram_b_per_s": "4.8 TB"}, "quantity 'dram_b_per_s': found '4.8 TB' with the unit 'TB'; expected B/s, such as '1.555 TB/s'"),
        ({"dram_b_per_s": 4800}, "quantity 'dram_b_per_s': found 4800 B/s; expected at least 1e+06 B/s; is its prefix missing?"),
        ({"clock_hz": 1410}, "quantity 'clock_hz': found 1410 Hz; expected at least 1e+06 Hz; is its prefix missing?"),
        ({"sm_count": 0}, "quantity 'sm_count': found 0.0; expected more than 0"),
        ({"sm_count": -4}, "quantity 'sm_count': found -4.0; expected more than 0"),
        ({"idle_power_w": -4}, "quantity 'idle_power_w': found -4.0; expected 0 or more"),
        ({"idle_power_w": float("nan")}, "quantity 'idle_power_w': found nan; expected 0 or more"),
        ({"sm_count": None}, "quantity 'sm_count': found None; expected a number or a text with a unit, such as '80'"),
        ({"sm_count": [1, 2]}, "quantity 'sm_count': found [1, 2]; expected a number or a text with a unit, such as '80'"),
    ],
)
def test_wrong_overrides_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        device().with_overrides(overrides)
    assert str(error.value) == message


def test_a_gpu_in_ten_lines(tmp_path: Path) -> None:
    text = """\
extends: generic
summary: My GPU
vendor: nvidia
architecture: ada
sources: {datasheet: "My GPU datasheet (2030)"}
fields:
  sm_count: {value: 46, source: datasheet, status: datasheet}
  clock_hz: {value: 2.475 GHz, source: datasheet, status: datasheet}
  dram_b_per_s: {value: 504 GB/s, source: datasheet, status: datasheet}
  power_limit_w: {value: 200, source: datasheet, status: datasheet}
"""
    found = device(own_file(tmp_path, text))
    assert (found.sm_count, found.architecture, found.dram_b_per_s) == (46, "ada", 504e9)
    assert found.sources["sm_count"].source == "My GPU datasheet (2030)"
    assert found.sources["l2_b"].status == "assumed"
    assert found.peak_op_per_s("fp16") == 46 * 2.475e9 * 2048


def test_the_generic_gpu_states_and_explains_every_field() -> None:
    path = shelf.find("generic")
    assert set(yaml12.load(path)["fields"]) == set(FIELDS)


def test_the_least_that_a_description_needs(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        device(own_file(tmp_path, "fields: {}"))
    missing = "'sm_count', 'clock_hz', 'fp32_flop_per_clk', 'dram_b_per_s', 'dram_b', 'l2_b', 'power_limit_w'"
    assert str(error.value) == f"{tmp_path}/mine.yaml: field(s) {missing} missing; add them, or `extends:` a device that has them"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("felds: {}", "unknown key in {path}: 'felds'. Did you mean 'fields'?"),
        ("fields: {sm_cout: 5}", "unknown field in {path}: 'sm_cout'. Did you mean 'sm_count'?"),
        ("check: {fp17: 1 TFLOP/s}", "unknown format in `check:` of {path}: 'fp17'. Did you mean 'fp16' or 'fp8' or 'fp4'?"),
        ("check: {fp16: 1 TB/s}", "{path}, `check:`: found '1 TB/s' with the unit 'TB/s'; expected FLOP/s, such as '12 FLOP/s'"),
        ("check: {int8: 1 TFLOP/s}", "{path}, `check:`: found '1 TFLOP/s' with the unit 'TFLOP/s'; expected OP/s, such as '12 OP/s'"),
        (
            "fields: {l2_b: 6 MiB}",
            "{path}, field 'l2_b': found '6 MiB'; expected {{value: 80 GB, source: ..., status: ...}}",
        ),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = own_file(tmp_path, f"extends: t4\n{text}")
    with pytest.raises(InputError) as error:
        device(path)
    assert str(error.value) == message.format(path=path)


def test_an_unknown_device() -> None:
    with pytest.raises(UnknownName) as error:
        device("a100-smx-80gb")
    assert str(error.value) == "unknown device 'a100-smx-80gb'. Did you mean 'a100-sxm-80gb' or 'h100-sxm-80gb' or 'a100-sxm-40gb'?"


def test_documentation_runs() -> None:
    assert doctest.testmod(module).failed == 0
