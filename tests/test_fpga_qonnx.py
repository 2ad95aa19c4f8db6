"""A QONNX model through the FPGA family: the number formats that hls4ml 1.3 builds of the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.targets.fpga.design import build

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from hwsim.testing.onnx_models import constant  # noqa: E402

DOMAIN = "qonnx.custom_op.general"
AUTO = {"Model": {"Precision": {"default": "ap_fixed<16,6>", "result": "auto", "accum": "auto"}, "ReuseFactor": 1, "Strategy": "Latency"}}
BUILT = [  # class, result, weight, bias: as hls4ml 1.3 gives them
    ("Activation", "ap_fixed<8,4,RND_CONV,SAT>", None, None),
    ("Dense", "ap_fixed<19,11>", "ap_fixed<6,2>", "ap_fixed<8,3>"),
    ("Activation", "ap_ufixed<7,4,RND_CONV,SAT>", None, None),
    ("Dense", "ap_fixed<10,6,RND_CONV,SAT>", "ap_fixed<6,2>", "ap_fixed<8,3>"),
]


class Network:
    """Two dense layers between quantisers."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def quant(self, x: str, y: str, bits: int, scale: float, *, signed: int = 1) -> None:
        self.stored += [constant(f"{y}_s", scale), constant(f"{y}_z", 0.0), constant(f"{y}_b", float(bits))]
        attrs = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND"}
        self.nodes.append(helper.make_node("Quant", [x, f"{y}_s", f"{y}_z", f"{y}_b"], [y], domain=DOMAIN, **attrs))

    def dense(self, x: str, y: str, n_in: int, n_out: int) -> None:
        self.stored += [constant(f"{y}_w", self.rng.normal(size=(n_in, n_out))), constant(f"{y}_c", self.rng.normal(size=n_out))]
        self.quant(f"{y}_w", f"{y}_wq", 6, 2**-4)
        self.quant(f"{y}_c", f"{y}_cq", 8, 2**-5)
        self.nodes += [helper.make_node("MatMul", [x, f"{y}_wq"], [f"{y}_m"]), helper.make_node("Add", [f"{y}_m", f"{y}_cq"], [y])]

    def model(self) -> Any:
        self.quant("x", "xq", 8, 2**-4)
        self.dense("xq", "d1", 16, 8)
        self.nodes.append(helper.make_node("Relu", ["d1"], ["r"]))
        self.quant("r", "rq", 7, 2**-3, signed=0)
        self.dense("rq", "d2", 8, 4)
        self.quant("d2", "y", 10, 2**-4)
        ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, s]) for n, s in (("x", 16), ("y", 4))]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)], ir_version=8)


def test_formats_are_those_that_hls4ml_builds() -> None:
    layers = [x for x in build(hwsim.load(Network().model()), AUTO) if x.kind != "Input"]
    found = [(x.kind, *(str(x.precision[v]) if v in x.precision else None for v in ("result", "weight", "bias"))) for x in layers]
    assert found == BUILT


def test_hls4ml_builds_them_still(tmp_path: Path) -> None:
    hls4ml = pytest.importorskip("hls4ml", reason="hls4ml is not installed; its formats are those written above")
    wrapper = pytest.importorskip("qonnx.core.modelwrapper")
    cleanup = pytest.importorskip("qonnx.util.cleanup")
    from hwsim.targets.fpga.precision import parse

    model = cleanup.cleanup_model(wrapper.ModelWrapper(Network().model()))
    config = hls4ml.utils.config.config_from_onnx_model(model, granularity="name", backend="Vivado", default_precision="ap_fixed<16,6>")
    built = hls4ml.converters.convert_from_onnx_model(model, output_dir=str(tmp_path), backend="Vivado", hls_config=config)

    def plain(fmt: Any) -> Any:
        return parse("ap_" + str(fmt).removesuffix(",0>") + ">" if str(fmt).endswith(",0>") else str(fmt)).plain

    layers = [x for x in built.get_layers() if x.class_name != "Input"]
    assert [x.class_name for x in layers] == [kind for kind, *_ in BUILT]
    assert [plain(x.get_output_variable().type.precision) for x in layers] == [parse(result).plain for _, result, *_ in BUILT]
