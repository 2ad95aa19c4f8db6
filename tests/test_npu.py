"""The NPU family: lowering, formats, what binds, and what the fit left on the shelf."""

from __future__ import annotations

import numpy as np
import pytest

import hwsim
from hwsim import shelf
from hwsim.errors import UnknownName
from hwsim.targets.npu import TARGET
from hwsim.targets.npu.constants import NpuConstants, npu_constants, sources
from hwsim.targets.npu.cost import rates
from hwsim.targets.npu.features import NAMES
from hwsim.targets.npu.lower import KINDS, lower
from hwsim.targets.npu.mapping import NpuMapping


@pytest.fixture(scope="module")
def mobilenet():
    return hwsim.load("mobilenet_v2")


def column(program, name):
    return getattr(program.tables[0].columns, name) @ program.tables[0].count


def test_lowering_keeps_the_work(mobilenet):
    program = lower(mobilenet, NpuMapping())
    assert column(program, "macs") + column(program, "vector_macs") == mobilenet.macs
    assert column(program, "vector_macs") == 20_716_416  # seventeen depthwise convolutions
    kinds = program.tables[0].columns.kind
    assert program.tables[0].count[kinds == KINDS.index("depthwise")].sum() == 17
    assert np.all(program.tables[0].columns.padded_macs >= program.tables[0].columns.macs)


def test_formats_set_bytes_and_rates(mobilenet):
    float_b, int_b = (lower(mobilenet, NpuMapping(dtype=d)).memory.weights_b for d in ("fp16", "w8a8"))
    assert float_b == 2 * int_b
    device, constants = TARGET.device("snapdragon-8-elite"), npu_constants()
    peaks = {d: rates(device, NpuMapping(dtype=d), constants).op_per_s for d in ("fp16", "w8a8", "w8a16", "w16a16")}
    assert peaks["w8a8"] > peaks["w8a16"] > peaks["w16a16"]
    assert peaks["fp16"] == device.fp16_op_per_s


def test_quantized_networks_are_faster_and_newer_chips_too(mobilenet):
    def seconds(device, dtype):
        return float(hwsim.estimate(mobilenet, device, dtype=dtype, runtime="qnn_dlc").cost.latency_s)

    chips = ("qcs8450", "qcs8550", "snapdragon-8-gen-3", "snapdragon-8-elite")
    for dtype in ("fp16", "w8a8", "w8a16"):
        times = [seconds(chip, dtype) for chip in chips]
        assert times == sorted(times, reverse=True)
    assert seconds("qcs8550", "w8a8") < seconds("qcs8550", "fp16")


def test_names_of_chips_and_boards():
    assert shelf.find("Samsung Galaxy S25").stem == "snapdragon-8-elite"
    assert shelf.find("SA7255P").stem == "qcs8275"


def test_float_is_fp16_and_other_formats_are_refused():
    assert NpuMapping.of(dtype="float") == NpuMapping()
    with pytest.raises(UnknownName, match="unknown format of an NPU 'int4'"):
        NpuMapping.of(dtype="int4")
    with pytest.raises(UnknownName, match="unknown runtime of an NPU 'eager'"):
        NpuMapping.of(runtime="eager")


def test_features_have_names(mobilenet):
    device, mapping = TARGET.device("qcs8550"), NpuMapping(dtype="w8a8", runtime="onnx")
    program = lower(mobilenet, mapping)
    found = TARGET.row_features(program, device=device, mapping=mapping)
    assert found.shape == (program.row_count, len(NAMES))
    assert np.all(np.isfinite(found))
    one = {name: found[0, NAMES.index(name)] for name in ("w8a8", "onnx", "fp16")}
    assert one == {"w8a8": 1.0, "onnx": 1.0, "fp16": 0.0}


def test_rows_add_up(mobilenet):
    device, mapping = TARGET.device("qcs8550"), NpuMapping()
    program = lower(mobilenet, mapping)
    cost = TARGET.cost(program, device=device, mapping=mapping)
    rows = TARGET.row_costs(program, device=device, mapping=mapping)
    assert float(cost.latency_s) == pytest.approx(rows.sum() + device.dispatch_s)
    twice = TARGET.cost_with(program, device=device, mapping=mapping, row_factor={"latency_s": np.full(program.row_count, 2.0)})
    assert float(twice.latency_s) == pytest.approx(2 * rows.sum() + device.dispatch_s)


def test_every_constant_was_fitted():
    assert set(sources()) == {f for f in vars(NpuConstants()) if f != "w16"}
    assert npu_constants() != NpuConstants()


def test_what_npus_leave_to_the_cpu_is_said():
    import hwsim.testing.graphs as graphs

    graph = graphs.GRAPHS["convnet"]()
    assert not hwsim.estimate(graph, "qcs8550", runtime="onnx").warnings
    left = hwsim.estimate(graph, "qcs6490", runtime="onnx")
    assert left.warnings == ("on qcs6490 ONNX Runtime left all measured networks to the CPU; this is the time of the NPU",)
    assert not left.latency_interval.validated
