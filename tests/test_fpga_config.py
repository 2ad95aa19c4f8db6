"""hls4ml configurations: reading, look-up order, messages for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim import load
from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga.config import HlsConfig, with_halves
from hwsim.targets.fpga.design import build
from hwsim.targets.fpga.precision import parse

HLS = {
    "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 4, "Strategy": "Resource", "BramFactor": 1000000000, "TraceOutput": False},
    "LayerType": {"Dense": {"Precision": {"weight": "ap_fixed<8,2>"}, "ReuseFactor": 8}},
    "LayerName": {
        "fc1": {"Precision": {"weight": "fixed<18,8,RND,SAT,0>", "result": "auto"}, "Strategy": "Latency"},
        "fc2": {"Precision": "ap_ufixed<9,3>", "TableSize": 512, "ParallelizationFactor": 2},
    },
}
WHOLE = {
    "Backend": "vitis",
    "Part": "xcu250-figd2104-2L-e",
    "ClockPeriod": 5,
    "ClockUncertainty": "27%",
    "IOType": "io_stream",
    "OutputDir": "prj",
    "ProjectName": "jets",
    "HLSConfig": HLS,
}


def test_layer_name_wins_over_type_over_model() -> None:
    config = HlsConfig.read(HLS)
    assert config.precision("fc1", "Dense", "weight") == parse("ap_fixed<18,8,RND,SAT>")
    assert config.precision("fc1", "Dense", "result") is None
    assert config.precision("fc2", "Dense", "weight") == parse("ap_ufixed<9,3>")
    assert config.precision("fc3", "Dense", "weight") == parse("ap_fixed<8,2>")
    assert config.precision("fc3", "Dense", "bias") == parse("ap_fixed<16,6>")
    assert [config.reuse_factor(n, k) for n, k in (("fc1", "Dense"), ("relu", "Activation"))] == [8, 4]
    assert [config.strategy(n, "Dense") for n in ("fc1", "fc2")] == ["latency", "resource"]


def test_names_do_not_mind_case_as_in_hls4ml() -> None:
    config = HlsConfig.read({"LayerName": {"FC1": {"ReuseFactor": 3}}})
    assert config.reuse_factor("fc1", "Dense") == 3


def test_paths_of_torch_modules_count_in_the_spelling_of_hls4ml() -> None:
    config = HlsConfig.read({"LayerName": {"block_0_fc": {"ReuseFactor": 3}, "_1": {"ReuseFactor": 5}}})
    assert [config.reuse_factor(n, "Dense") for n in ("block.0.fc", "1", "2")] == [3, 5, 1]
    config.check_layers(["block.0.fc", "1"])


def test_attributes_come_from_the_layer_and_never_from_the_model() -> None:
    config = HlsConfig.read({"Model": {"TableSize": 256}, "LayerName": {"fc2": {"TableSize": 512}}})
    assert config.attribute("fc2", "Softmax", "table_size", 1024) == 512
    assert config.attribute("fc3", "Softmax", "table_size", 1024) == 1024


def test_whole_configuration_states_backend_part_and_clock() -> None:
    config = HlsConfig.read(WHOLE)
    assert (config.backend, config.io_type, config.part) == ("Vitis", "io_stream", "xcu250-figd2104-2L-e")
    assert config.clock_period_s == pytest.approx(5e-9)
    assert config.clock_uncertainty_frac == pytest.approx(0.27)


def test_uncertainty_in_ns_is_a_share_of_the_period() -> None:
    config = HlsConfig.read({"ClockPeriod": 5, "ClockUncertainty": "1.25ns", "HLSConfig": {}})
    assert config.clock_uncertainty_frac == pytest.approx(0.25)


@pytest.mark.parametrize("data", [HLS, WHOLE, {}])
def test_text_reads_back_to_the_same(data: dict[str, Any]) -> None:
    config = HlsConfig.read(data)
    again = HlsConfig.read(config.text)
    assert again == config
    assert hash(again) == hash(config)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(WHOLE))
    (tmp_path / "c.yml").write_text(
        "KerasModel: !keras_model m.h5\nBackend: Vivado\nHLSConfig:\n  Model: {Precision: 'ap_fixed<8,3>', ReuseFactor: 2}\n"
    )
    assert HlsConfig.read(tmp_path / "c.json") == HlsConfig.read(WHOLE)
    read = HlsConfig.read(str(tmp_path / "c.yml"))
    assert (read.default, read.reuse_factor("x", "Dense")) == (parse("ap_fixed<8,3>"), 2)


def test_defaults_are_those_of_hls4ml() -> None:
    config = HlsConfig.read({})
    assert (config.default, config.reuse_factor("x", "Dense"), config.strategy("x", "Dense")) == (parse("ap_fixed<16,6>"), 1, "latency")


def test_auto_for_the_whole_network_has_everything_inferred() -> None:
    config = HlsConfig.of(precision="auto")
    assert config.precision("x", "Dense", "result") is None
    assert config.precision("x", "Dense", "weight") == parse("ap_fixed<16,6>")


def test_changes_keep_the_rest() -> None:
    config = HlsConfig.read(HLS).with_model(reuse_factor=16, precision="ap_fixed<10,4>")
    assert config.reuse_factor("relu", "Activation") == 16
    assert (config.default, config.strategy("fc2", "Dense")) == (parse("ap_fixed<10,4>"), "resource")


@pytest.mark.parametrize("name", ["latency", "Latency", "resource", "Unrolled", "ResourceUnrolled", "DistributedArithmetic", "DA", "da"])
def test_spellings_of_strategies(name: str) -> None:
    expected = {"l": "latency", "r": "resource", "u": "unrolled", "d": "distributed_arithmetic"}[name[0].lower()]
    expected = "unrolled" if name == "ResourceUnrolled" else expected
    assert HlsConfig.of(strategy=name).strategy("x", "Dense") == expected


def test_halves_of_a_separable_convolution_take_its_settings() -> None:
    config = HlsConfig.read(
        {"LayerName": {"s": {"Precision": {"depthwise": "ap_fixed<6,1>", "pointwise_accum": "ap_fixed<20,9>"}, "ReuseFactor": 2}}}
    )
    halves = with_halves(config, ["s_depthwise", "s_pointwise"])
    assert halves.precision("s_depthwise", "DepthwiseConv2D", "weight") == parse("ap_fixed<6,1>")
    assert halves.precision("s_pointwise", "Conv2D", "accum") == parse("ap_fixed<20,9>")
    assert halves.precision("s_pointwise", "Conv2D", "weight") == parse("ap_fixed<16,6>")
    assert [halves.reuse_factor(n, "Conv2D") for n in ("s_depthwise", "s_pointwise")] == [2, 2]
    halves.check_layers(["s_depthwise", "s_pointwise"])


WRONG = [
    ({"Model": {"ReuseFactr": 1}}, UnknownName, "unknown field in Model: 'ReuseFactr'. Did you mean 'ReuseFactor' or"),
    ({"Model": {"Strategy": "Resorce"}}, UnknownName, "unknown strategy in Model: Strategy: 'Resorce'. Did you mean 'Resource'?"),
    ({"Modl": {}}, UnknownName, "unknown field in HLSConfig: 'Modl'. Did you mean 'Model'"),
    ({"LayerType": {"Dens": {}}}, UnknownName, "unknown layer type in LayerType: 'Dens'. Did you mean 'Dense'"),
    ({"Backend": "Vits", "HLSConfig": {}}, UnknownName, "unknown backend 'Vits'. Did you mean 'Vitis'"),
    ({"IOType": "io_serial", "HLSConfig": {}}, UnknownName, "unknown IOType 'io_serial'. Did you mean 'io_stream' or 'io_parallel'?"),
    ({"Clok": 5, "HLSConfig": {}}, UnknownName, "unknown field in HLS configuration: 'Clok'."),
    ({"Model": {"ReuseFactor": 0}}, InputError, "Model: ReuseFactor is 0; expected at least 1"),
    ({"Model": {"ReuseFactor": 2.5}}, InputError, "Model: ReuseFactor is 2.5; expected a whole number of at least 1"),
    ({"LayerName": {"a": {"ReuseFactor": -4}}}, InputError, "LayerName 'a': ReuseFactor is -4; expected at least 1"),
    ({"LayerName": {"a": 3}}, InputError, "LayerName 'a': found 3; expected a mapping such as {Precision: ap_fixed<16,6>, ReuseFactor: 4}"),
    (
        {"LayerName": {"a": {"Precision": {"weight": "ap_fixed<-1,2>"}}}},
        InputError,
        "LayerName 'a': Precision.weight: precision 'ap_fixed<-1,2>' is -1 bits wide; expected 1 to 1024",
    ),
    (
        {"LayerName": {"a": {"Precision": "ap_fixed<8>"}}},
        InputError,
        "LayerName 'a': Precision: precision 'ap_fixed<8>' lacks its integer bits; expected a format such as ap_fixed<16,6>",
    ),
    ({"LayerName": {"a": {"table_t": "float"}}}, InputError, "LayerName 'a': table_t: precision 'float' cannot be read"),
    ({"Model": {"Precision": "auto"}}, InputError, "Model: Precision.default is 'auto'; expected a format such as ap_fixed<16,6>"),
    ({"ClockPeriod": "fast", "HLSConfig": {}}, InputError, "ClockPeriod is 'fast'; expected a time in ns, such as 5"),
    ({"ClockUncertainty": "a lot", "HLSConfig": {}}, InputError, "ClockUncertainty is 'a lot'; expected a share such as '12.5%'"),
    (["Model"], InputError, "HLS configuration: found a list; expected a mapping, a JSON text or a path"),
    ("{nonsense", InputError, "HLS configuration: not JSON"),
    ("/nowhere/config.yml", InputError, "cannot read the HLS configuration '/nowhere/config.yml'"),
]


@pytest.mark.parametrize(("data", "kind", "message"), WRONG)
def test_what_is_wrong_is_named(data: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        HlsConfig.read(data)
    assert str(caught.value).startswith(message)


NETWORK_WRONG = [
    ({"LayerName": {"fc9": {"ReuseFactor": 2}}}, UnknownName, "unknown layer in LayerName: 'fc9'. Did you mean 'fc3' or 'fc2' or 'fc1'?"),
    (
        {"LayerName": {"fc1": {"ReuseFactor": 2000}}},
        InputError,
        "LayerName 'fc1': ReuseFactor is 2000; expected at most 1024, the multiplications of this layer",
    ),
    (
        {"LayerName": {"fc1": {"ReuseFactor": 2, "Strategy": "DA"}}},
        InputError,
        "layer 'fc1': ReuseFactor is 2 with the strategy distributed_arithmetic; expected 1",
    ),
]


@pytest.mark.parametrize(("data", "kind", "message"), NETWORK_WRONG)
def test_what_does_not_fit_the_network_is_named(data: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build(load("jet_tagger"), data)
    assert str(caught.value) == message


def test_parallelization_factor_of_a_layer_has_to_divide_its_positions() -> None:
    with pytest.raises(InputError) as caught:
        build(load("lenet5"), {"LayerName": {"conv1": {"ParallelizationFactor": 5}}})
    assert str(caught.value) == (
        "LayerName 'conv1': ParallelizationFactor is 5; expected a divisor of its 784 output positions: "
        "1, 2, 4, 7, 8, 14, 16, 28, 49, 56, 98, 112"
    )


def test_a_model_wide_reuse_factor_that_is_too_large_is_resolved() -> None:
    layers = build(load("jet_tagger"), {"Model": {"ReuseFactor": 100_000, "Strategy": "Resource"}})
    assert [(x.reuse_requested, x.reuse_factor) for x in layers if x.kind == "Dense"] == [
        (100_000, 1024), (100_000, 2048), (100_000, 1024), (100_000, 160)
    ]  # fmt: skip


def test_the_accelerator_backend_is_that_of_vivado():
    import hwsim

    ip, board = (hwsim.estimate("jet_tagger", "pynq-z2", backend=name) for name in ("Vivado", "VivadoAccelerator"))
    assert (ip.latency_s, ip.cost.resources["LUT"].used) == (board.latency_s, board.cost.resources["LUT"].used)
