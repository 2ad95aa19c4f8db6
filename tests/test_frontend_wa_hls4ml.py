"""Records of the wa-hls4ml benchmark, on records written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.errors import InputError, UnknownName
from hwsim.frontends.wa_hls4ml import FRONTEND, records, reports
from hwsim.testing import FrontendCase


def entry(class_name: str, before: list[Any], after: list[Any], **more: Any) -> dict[str, Any]:
    common = {"parameters": 0, "trainable_parameters": 0, "dtype": "float32", "reuse_factor": 4}
    return {"class_name": class_name, "input_shape": [None, *before], "output_shape": [None, *after], **common, **more}


def full_record() -> dict[str, Any]:
    layers = [
        {**entry("InputLayer", [12, 3], [12, 3], name="inp", inbound_layers=[]), "input_shape": [[None, 12, 3]]},
        entry(
            *("QConv1D", [12, 3], [10, 4]),
            **{"name": "c1", "channels": 3, "filters": 4, "kernel_size": [3], "strides": [1], "padding": "valid", "use_bias": True},
            inbound_layers=["inp"],
        ),
        entry("Activation", [10, 4], [10, 4], activation="relu"),
        entry("MaxPooling1D", [10, 4], [5, 4], name="pool", inbound_layers=["c1"]),
        entry("Flatten", [5, 4], [20], name="flat", inbound_layers=["pool"]),
        entry("QDense", [20], [6], name="fc", neurons=6, use_bias=False, inbound_layers=["flat"]),
        entry("QActivation", [6], [6], name="act", activation="quantized_relu(8,2)", inbound_layers=["fc"]),
    ]
    return {
        "meta_data": {"uuid": "u-1", "model_name": "tiny", "artifacts_file": "u-1.tar.gz"},
        "model_config": layers,
        "hls_config": {
            "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 4, "Strategy": "Resource", "BramFactor": 10**9},
            "LayerName": {"c1": {"ReuseFactor": 12, "Precision": {"weight": "fixed<8,1>"}}},
            "clock_period": 5,
            "io_type": "io_stream",
        },
        "resource_report": {"bram": "1.5", "dsp": "7", "ff": "900", "lut": "800", "uram": "0"},
        "hls_resource_report": {"bram": "4", "dsp": "7", "ff": "1000", "lut": "1900", "uram": "0"},
        "latency_report": {"cycles_min": "70", "cycles_max": "72", "target_clock": "5.00", "estimated_clock": "4.4"},
        "target_part": "xcu250-figd2104-2L-e",
        "vivado_version": "2023.2",
        "hls4ml_version": "1.1.0",
    }


def short_record() -> dict[str, Any]:
    return {
        "uuid": "s-1",
        "model_name": "short",
        "layers": [
            {"class_name": "Dense", "n_in": 8, "n_out": 4, "use_bias": True, "reuse_factor": 8, "activation": "tanh"},
            {"class_name": "Dense", "n_in": 4, "n_out": 2, "use_bias": False, "reuse_factor": 4, "activation": None},
        ],
        "precision": "weight fixed<8,2>; act 16b",
        "reuse_factor": 8,
        "strategy": "resource",
        "io_type": "io_parallel (assumed)",
        "resource_report": {"bram": 1, "dsp": 3, "ff": 10, "lut": 20},
        "latency_report": {"cycles_min": 9, "cycles_max": 9, "target_clock": 10.0},
        "target_part": "xcu200-fsgd2104-2-e",
        "vivado_version": "2020.1",
    }


class TestConformance(FrontendCase):
    frontend = FRONTEND

    @pytest.fixture
    def source(self) -> Any:
        return full_record()


def test_a_record_is_a_network_with_a_configuration_and_reports() -> None:
    graph = hwsim.load(full_record())
    assert graph.name == "tiny"
    assert [(n.name, n.kind) for n in graph.nodes] == [
        *(("c1", "conv"), ("c1_relu", "activation"), ("pool", "pool"), ("flat", "reshape"), ("fc", "linear"), ("act", "activation")),
    ]
    assert graph.nodes[2].inputs == ("c1_relu:0",)
    assert graph.attrs["hls_config"] == {
        "Backend": "Vitis",
        "Part": "xcu250-figd2104-2L-e",
        "ClockPeriod": 5.0,
        "IOType": "io_stream",
        "HLSConfig": {key: full_record()["hls_config"][key] for key in ("Model", "LayerName")},
    }
    assert graph.attrs["reports"]["resource_report"]["bram"] == 1.5
    assert graph.attrs["reports"]["latency_report"]["cycles_max"] == 72
    assert graph.attrs["versions"] == {"vivado_version": "2023.2", "hls4ml_version": "1.1.0"}
    assert str(graph.tensors["act:0"].dtype) == "ap_ufixed<8,2,ap_rnd_conv,ap_sat>"


def test_the_configuration_is_one_that_hls4ml_would_take() -> None:
    config = pytest.importorskip("hwsim.targets.fpga.config")
    read = config.HlsConfig.read(hwsim.load(full_record()).attrs["hls_config"])
    assert read.reuse_factor("c1", "Conv1D") == 12


def test_short_records() -> None:
    graph = FRONTEND.load(short_record())
    assert [n.name for n in graph.nodes] == ["dense_0", "dense_0_tanh", "dense_1"]
    assert graph.parameters == 8 * 4 + 4 + 4 * 2
    assert graph.attrs["hls_config"] == {
        "Backend": "Vivado",
        "Part": "xcu200-fsgd2104-2-e",
        "ClockPeriod": 10.0,
        "IOType": "io_parallel",
        "HLSConfig": {
            "Model": {
                "Precision": {"default": "ap_fixed<16,6>", "weight": "fixed<8,2>", "bias": "fixed<8,2>"},
                "ReuseFactor": 8,
                "Strategy": "resource",
            }
        },
    }


@pytest.mark.parametrize("name", ["records.json", "records.jsonl"])
@pytest.mark.parametrize("record", [1, "1", "s-1", "short"])
def test_records_in_a_file(tmp_path: Path, name: str, record: int | str) -> None:
    path, both = tmp_path / name, [full_record(), short_record()]
    path.write_text(json.dumps(both) if name.endswith(".json") else "\n".join(map(json.dumps, both)) + "\n")
    assert hwsim.load(path).name == "tiny"
    assert hwsim.load(path, record=record).name == "short"
    assert len(list(records(path))) == 2


def test_branches() -> None:
    record = full_record()
    dense = entry("Dense", [8], [8], name="a", neurons=8, use_bias=True, inbound_layers=["inp"])
    record["model_config"] = [
        entry("InputLayer", [8], [8], name="inp"),
        dense,
        entry("Activation", [8], [8], activation="relu"),
        {**entry("Add", [8], [8], name="sum", inbound_layers=["a", "inp"]), "input_shape": [[None, 8], [None, 8]]},
    ]
    graph = FRONTEND.load(record)
    assert graph.nodes[-1].inputs == ("a_relu:0", "inp")


def test_windows_of_pools_are_those_that_fit() -> None:
    record = full_record()
    record["model_config"][3]["output_shape"] = [None, 4, 4]
    record["model_config"][4]["input_shape"] = [None, 4, 4]
    assert FRONTEND.load(record).tensors["pool:0"].shape == (1, 4, 4)


def test_empty_reports_are_left_out() -> None:
    assert reports({**full_record(), "resource_report": {}, "latency_report": None}).keys() == {"hls_resource_report"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_config": []}, "record 'tiny' has no list `model_config`; expected the layers of the network"),
        ({"model_config": [3]}, "record 'tiny': layer 0 is '3'; expected a mapping with `class_name`"),
        ({"model_config": [{"class_name": "Dense", "neurons": 3}]}, "a Dense without input_shape; expected a list of sizes, batch first"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as error:
        FRONTEND.load({**full_record(), **change})
    assert expected in str(error.value)


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with pytest.raises(InputError, match="cannot read"):
        hwsim.load(path)
    path.write_text('{"model_config": [], "resource_report": {}}\n{"broken": ')
    with pytest.raises(InputError, match="not JSON"):
        hwsim.load(path, record=5)
    path.write_text(json.dumps(full_record()))
    with pytest.raises(InputError, match="no record 5; expected a number from 0 to 0"):
        hwsim.load(path, record=5)
    with pytest.raises(UnknownName, match="Did you mean 'record'"):
        hwsim.load(path, recrod=5)
