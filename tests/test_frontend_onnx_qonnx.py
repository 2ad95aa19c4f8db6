"""Quantisers of QONNX as number formats, and the values of weights in our layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedOp
from hwsim.frontends.onnx import FRONTEND
from hwsim.graph import Graph

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from hwsim.testing.onnx_models import constant, model, node, weight  # noqa: E402

DOMAIN = "qonnx.custom_op.general"


def quant(x: str, out: str, **attrs: Any) -> Any:
    given = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attrs}
    return node("Quant", f"{x} {out}_s {out}_z {out}_b", out, domain=given.pop("domain", DOMAIN), **given)


def parameters(out: str, bits: int, scale: Any = 1.0, zero: Any = 0.0) -> list[Any]:
    return [constant(f"{out}_s", scale), constant(f"{out}_z", zero), constant(f"{out}_b", float(bits))]


def quantised(nodes: list[Any], weights: list[Any], shape: list[int] | None = None, opset: int = 13) -> Any:
    made = model(nodes, {"x": shape or [1, 6]}, weights, opset=opset)
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return made


def dense(scale: Any = 0.125, bits: int = 4, after: Any = 0.25, **attrs: Any) -> Any:
    nodes = [quant("w", "qw"), node("MatMul", "x qw", "a"), node("Add", "a bias", "c"), node("Relu", "c", "r"), quant("r", "y", **attrs)]
    weights = [weight("w", 6, 3), weight("bias", 3), *parameters("qw", bits, scale), *parameters("y", 6, after)]
    return quantised(nodes, weights)


def formats(graph: Graph) -> dict[str, str]:
    return {name: str(t.dtype) for name, t in graph.tensors.items()}


def test_scales_that_are_powers_of_two_move_the_binary_point() -> None:
    graph = FRONTEND.load(dense(signed=0))
    assert [n.kind for n in graph.nodes] == ["linear", "activation"]
    assert formats(graph)["w"] == "ap_fixed<4,1>"
    assert formats(graph)[graph.nodes[0].outputs[0]] == "fp32"
    assert formats(graph)[graph.outputs[0]] == "ap_ufixed<6,4,ap_rnd_conv,ap_sat>"
    assert formats(graph)["bias"] == "fp32"
    assert "quantization" not in graph.attrs
    assert graph.values["w"].shape == (3, 6)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"narrow": 1}, "ap_fixed<6,4,ap_rnd_conv,ap_sat_sym>"),
        ({"rounding_mode": "FLOOR"}, "ap_fixed<6,4,ap_trn,ap_sat>"),
        ({"domain": "onnx.brevitas"}, "ap_fixed<6,4,ap_rnd_conv,ap_sat>"),
    ],
)
def test_modes(attrs: dict[str, Any], expected: str) -> None:
    graph = FRONTEND.load(dense(**attrs))
    assert formats(graph)[graph.outputs[0]] == expected


def test_other_scales_are_remembered_beside_whole_numbers() -> None:
    graph = FRONTEND.load(dense(scale=0.3, after=0.7))
    assert formats(graph)["w"] == "ap_fixed<4,4>"
    assert graph.attrs["quantization"]["w"] == {"scale": [pytest.approx(0.3)], "zero_point": [0.0]}
    assert graph.outputs[0] in graph.attrs["quantization"]
    assert [n.attrs.get("fn") for n in graph.nodes] == [None, "relu", "identity"]
    stored = onnx.numpy_helper.to_array(weight("w", 6, 3))
    np.testing.assert_allclose(graph.values["w"], (stored / np.float32(0.3)).T, rtol=1e-5)


def test_a_scale_a_channel_follows_its_weight_through_a_transpose() -> None:
    scale = np.array([[0.5], [0.3], [0.2]])
    nodes = [quant("w", "qw"), node("Transpose", "qw", "t", perm=[1, 0]), node("MatMul", "x t")]
    stored = weight("w", 3, 6)
    graph = FRONTEND.load(quantised(nodes, [stored, *parameters("qw", 8, scale)]))
    expected = onnx.numpy_helper.to_array(stored) / scale
    np.testing.assert_allclose(graph.values["w"], expected, rtol=1e-5)


def test_a_quantiser_of_an_input_or_of_a_tensor_that_others_read_stays() -> None:
    nodes = [quant("x", "q"), node("MatMul", "q w", "a"), quant("a", "b"), node("Add", "a b")]
    graph = FRONTEND.load(quantised(nodes, [weight("w", 6, 6), *parameters("q", 8, 0.5), *parameters("b", 8)]))
    assert [n.attrs.get("fn", n.kind) for n in graph.nodes] == ["identity", "linear", "identity", "add"]
    assert formats(graph)[graph.nodes[0].outputs[0]] == "ap_fixed<8,7,ap_rnd_conv,ap_sat>"


def test_formats_pass_what_changes_no_number() -> None:
    nodes = [quant("x", "q"), node("MaxPool", "q", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p")]
    graph = FRONTEND.load(quantised(nodes, parameters("q", 5), [1, 3, 4, 4]))
    assert {formats(graph)[n.outputs[0]] for n in graph.nodes} == {"ap_fixed<5,5,ap_rnd_conv,ap_sat>"}


def test_one_bit() -> None:
    made = node("BipolarQuant", "w s", "qw", domain=DOMAIN)
    graph = FRONTEND.load(quantised([made, node("MatMul", "x qw")], [weight("w", 6, 2), constant("s", 1.0)]))
    assert formats(graph)["w"] == "ap_uint<1>"


def test_truncation_keeps_the_upper_bits() -> None:
    made = node("Trunc", "x s z i o", "y", domain=DOMAIN, rounding_mode="FLOOR")
    numbers = {"s": 0.125, "z": 0.0, "i": 8.0, "o": 5.0}
    graph = FRONTEND.load(quantised([made], [constant(k, v) for k, v in numbers.items()]))
    assert formats(graph)[graph.outputs[0]] == "ap_fixed<5,5,ap_trn,ap_sat>"


def test_small_floats() -> None:
    names = dict(zip("abcdefg", (1.0, 4.0, 3.0, 7.0, 448.0, 0.0, 0.0), strict=True))
    made = node("FloatQuant", "x a b c d e", "y", domain=DOMAIN)
    graph = FRONTEND.load(quantised([made], [constant(k, v) for k, v in names.items()]))
    assert formats(graph)[graph.outputs[0]] == "fp8_e4m3"


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"bits": 90}, "bits; one width of 1 to 64 is known"), ({"rounding_mode": "SIDEWAYS"}, "rounding mode 'SIDEWAYS'")],
)
def test_what_is_not_known_is_listed(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(UnsupportedOp) as error:
        FRONTEND.load(dense(**change))
    assert expected in str(error.value)


def test_old_operator_sets_are_read_where_quantisers_are() -> None:
    made = dense()
    made.opset_import[0].version = 11
    assert FRONTEND.load(made).parameters == 21
    made.opset_import[0].version = 8
    with pytest.raises(InputError, match="operator set 8; supported are 9 to 22"):
        FRONTEND.load(made)


def array_of(proto: Any) -> np.ndarray:
    return onnx.numpy_helper.to_array(proto)


def test_values_of_products_are_turned_to_rows_of_outputs() -> None:
    square, plain = weight("sq", 6, 6), weight("g", 4, 6)
    square.CopyFrom(onnx.numpy_helper.from_array(np.arange(36, dtype=np.float32).reshape(6, 6), "sq"))
    nodes = [node("MatMul", "x sq", "a"), node("Gemm", "a g b", transB=1)]
    graph = FRONTEND.load(model(nodes, {"x": [1, 6]}, [square, plain, weight("b", 4)]))
    np.testing.assert_array_equal(graph.values["sq"], array_of(square).T)
    np.testing.assert_array_equal(graph.values["g"], array_of(plain))
    np.testing.assert_array_equal(graph.values["b"], array_of(weight("b", 4)))


def test_values_of_convolutions_and_norms() -> None:
    kernel = weight("k", 4, 2, 3, 3)
    nodes = [node("Conv", "x k", "c"), node("BatchNormalization", "c s b m v")]
    vectors = [weight(n, 4) for n in "sbmv"]
    graph = FRONTEND.load(model(nodes, {"x": [1, 2, 8, 8]}, [kernel, *vectors]))
    assert set(graph.values) == {"k", "s", "b", "m", "v"}
    np.testing.assert_array_equal(graph.values["k"], array_of(kernel))


@pytest.mark.parametrize("external", [False, True])
def test_large_weights_are_read_from_the_file_when_asked_for(tmp_path: Path, external: bool) -> None:
    large = np.random.default_rng(0).normal(size=(700, 600)).astype(np.float32)
    made = model([node("MatMul", "x w")], {"x": [1, 700]}, [onnx.numpy_helper.from_array(large, "w")])
    path = tmp_path / "large.onnx"
    onnx.save(made, str(path), save_as_external_data=external, location="large.data", size_threshold=0)
    graph = hwsim.load(path)
    np.testing.assert_array_equal(graph.values["w"], large.T)
    if external:
        (tmp_path / "large.data").unlink()
        assert "w" not in hwsim.load(path).values


def test_a_file_that_changed_is_an_error(tmp_path: Path) -> None:
    large = np.zeros((700, 600), dtype=np.float32)
    path = tmp_path / "large.onnx"
    onnx.save(model([node("MatMul", "x w")], {"x": [1, 700]}, [onnx.numpy_helper.from_array(large, "w")]), str(path))
    graph = hwsim.load(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot read .* again"):
        graph.values["w"]
