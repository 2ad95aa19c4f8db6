"""Graph and configuration -> hls4ml's layers: small networks whose result is known by hand; formats; statistics of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import load
from hwsim.errors import InputError, UnsupportedOp
from hwsim.graph import Graph, GraphBuilder
from hwsim.targets.fpga import infer
from hwsim.targets.fpga.design import build
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.precision import FixedPoint, parse
from hwsim.targets.fpga.weights import of_values, quantise
from hwsim.zoo.layers import act, add, conv, linear, norm

AUTO = {"default": "ap_fixed<16,6>", "result": "auto", "accum": "auto", "weight": "auto", "bias": "auto", "scale": "auto", "param": "auto"}


def kinds(layers: tuple[HlsLayer, ...]) -> list[tuple[str, str]]:
    return [(x.name, x.kind) for x in layers]


def named(layers: tuple[HlsLayer, ...]) -> dict[str, HlsLayer]:
    return {x.name: x for x in layers}


def mlp(**options: Any) -> Graph:
    b = GraphBuilder("mlp")
    x = b.input("x", (1, 16))
    x = linear(b, x, 32, path="d1", bias=options.get("bias", True))
    x = norm(b, x, "batch", path="bn")
    x = act(b, x, "relu", path="r1")
    x = linear(b, x, 5, path="d2")
    return b.finish([b.add("softmax", [x], path="sm")])


def image(*, padding: int = 1, residual: bool = False) -> Graph:
    b = GraphBuilder("cnn")
    x = b.input("img", (1, 3, 8, 8))
    x = act(b, conv(b, x, 4, 3, path="c1", padding=padding, bias=True), "relu", path="a1")
    if residual:
        x = add(b, conv(b, x, 4, 3, path="c2"), x, path="sum")
    x = conv(b, x, 6, 1, path="c3")
    x = b.add("pool", [x], fn="max", kernel=2, path="pool")
    x = b.add("reshape", [x], shape=(1, 6 * b.shape(x)[2] ** 2), path="flat")
    return b.finish([linear(b, x, 2, path="out")])


def test_jet_tagger_as_it_is() -> None:
    layers = build(load("jet_tagger"), {"Model": {"ReuseFactor": 7, "Strategy": "Resource"}})
    assert kinds(layers) == [
        ("fc1", "Dense"), ("relu1", "Activation"), ("fc2", "Dense"), ("relu2", "Activation"), ("fc3", "Dense"),
        ("relu3", "Activation"), ("output", "Dense"), ("softmax", "Softmax"),
    ]  # fmt: skip
    assert [(x.n_in, x.n_out, x.reuse_factor) for x in layers if x.kind == "Dense"] == [(16, 64, 8), (64, 32, 8), (32, 32, 8), (32, 5, 8)]
    assert {str(x.precision[v]) for x in layers for v in ("result", "input")} == {"ap_fixed<16,6>"}
    softmax = layers[-1]
    assert (softmax.implementation, softmax.table_size, softmax.operation) == ("stable", 1024, "softmax")
    assert str(softmax.precision["exp_table"]) == "ap_fixed<18,8,RND,SAT>"
    assert [x.inputs for x in layers[:3]] == [(), ("fc1",), ("relu1",)]
    assert build(load("jet_tagger"), keep_inputs=True)[1].inputs == ("features",)


def test_formats_grow_with_the_sum() -> None:
    layers = named(build(load("jet_tagger"), {"Model": {"Precision": AUTO}}))
    # 16 x 16 bits, 16 terms: 32 + 4 bits, one more for the bias; the activation goes back to the model's format
    assert str(layers["fc1"].precision["accum"]) == str(layers["fc1"].result) == "ap_fixed<37,17>"
    assert str(layers["relu1"].result) == "ap_fixed<16,6>"
    assert str(layers["fc2"].result) == "ap_fixed<39,19>"
    assert str(layers["output"].result) == "ap_fixed<38,18>"
    assert str(layers["fc1"].precision["weight"]) == "ap_fixed<16,6>"


def test_a_maximum_cuts_inferred_formats() -> None:
    layers = named(build(load("jet_tagger"), {"Model": {"Precision": {**AUTO, "maximum": "ap_fixed<24,12>"}}}))
    assert str(layers["fc1"].result) == "ap_fixed<24,12>"


def test_batch_norm_is_folded_only_where_the_format_is_open() -> None:
    assert kinds(build(mlp())) == [("d1", "Dense"), ("bn", "BatchNormalization"), ("r1", "Activation"), ("d2", "Dense"), ("sm", "Softmax")]
    folded = build(mlp(bias=False), {"Model": {"Precision": AUTO}})
    assert kinds(folded) == [("d1", "Dense"), ("r1", "Activation"), ("d2", "Dense"), ("sm", "Softmax")]
    assert folded[0].nodes == ("d1", "bn")
    assert folded[0].use_bias
    assert str(folded[0].precision["bias"]) == "ap_fixed<16,6>"


def test_no_bias_is_a_single_bit() -> None:
    layers = build(mlp(bias=False))
    assert not layers[0].use_bias
    assert str(layers[0].precision["bias"]) == "ap_ufixed<1,1>"


def test_quantised_weights_keep_a_batch_norm_apart() -> None:
    b = GraphBuilder("q")
    x = b.input("x", (1, 8))
    x = b.add("linear", [x, b.weight((4, 8), "ap_fixed<6,1>", name="w")], path="d")
    x = norm(b, x, "batch", path="bn")
    layers = build(b.finish([x]), {"Model": {"Precision": AUTO}})
    assert kinds(layers) == [("d", "Dense"), ("bn", "BatchNormalization")]
    assert str(layers[0].precision["weight"]) == "ap_fixed<6,1>"


def test_formats_of_the_source_win_over_the_model_and_not_over_the_layer() -> None:
    b = GraphBuilder("q")
    x = b.input("x", (1, 8))
    x = b.add("linear", [x, b.weight((4, 8), "ap_fixed<6,1>", name="w"), b.weight((4,), "ap_fixed<7,2>", name="b")], path="d")
    x = b.add("activation", [x], fn="relu", path="r", dtype="ap_ufixed<4,2,AP_RND,AP_SAT>")
    graph = b.finish([x])
    assert [str(f) for f in (build(graph)[0].precision["weight"], build(graph)[1].result)] == ["ap_fixed<6,1>", "ap_ufixed<4,2,RND,SAT>"]
    given = build(graph, {"LayerName": {"d": {"Precision": {"weight": "ap_fixed<9,2>"}}}})
    assert [str(given[0].precision[v]) for v in ("weight", "bias")] == ["ap_fixed<9,2>", "ap_fixed<7,2>"]


def test_quantisers_hand_their_format_to_the_layer_before() -> None:
    b = GraphBuilder("q")
    x = b.input("x", (1, 8))
    x = linear(b, x, 4, path="d")
    x = b.add("quantize", [x], to="ap_fixed<5,2,RND,SAT>", path="q")
    layers = build(b.finish([x]), {"Model": {"Precision": AUTO}})
    assert kinds(layers) == [("d", "Dense")]
    assert (str(layers[0].result), layers[0].nodes) == ("ap_fixed<5,2,RND,SAT>", ("d", "q"))


def test_image_network_in_parallel() -> None:
    layers = build(image())
    assert kinds(layers) == [
        ("c1", "Conv2D"), ("a1", "Activation"), ("c3", "PointwiseConv2D"), ("pool", "Pooling2D"), ("flat", "Reshape"), ("out", "Dense"),
    ]  # fmt: skip
    first = layers[0]
    assert (first.in_shape, first.out_shape, first.n_in, first.n_out) == ((8, 8, 3), (8, 8, 4), 27, 4)
    assert (first.kernel, first.padding, first.implementation) == ((3, 3), (1, 1, 1, 1), "linebuffer")
    assert layers[-1].n_in == 6 * 16


def test_streams_pad_clone_and_transpose() -> None:
    layers = build(image(residual=True), io_type="io_stream")
    assert kinds(layers) == [
        ("zp2d_c1", "ZeroPadding2D"), ("c1", "Conv2D"), ("a1", "Activation"), ("clone_a1", "Clone"), ("zp2d_c2", "ZeroPadding2D"),
        ("c2", "Conv2D"), ("sum", "Merge"), ("c3", "PointwiseConv2D"), ("pool", "Pooling2D"), ("transpose_pool_0", "Transpose"),
        ("flat", "Reshape"), ("out", "Dense"),
    ]  # fmt: skip
    by_name = named(layers)
    assert (by_name["c1"].in_shape, by_name["c1"].padding) == ((10, 10, 3), (0, 0, 0, 0))
    assert by_name["sum"].inputs == ("c2", "clone_a1")
    assert by_name["zp2d_c1"].nodes == ()


def test_pooling_bits() -> None:
    b = GraphBuilder("p")
    x = b.add("pool", [b.input("x", (1, 2, 6, 6))], fn="avg", kernel=3, path="p")
    layer = build(b.finish([x]), {"Model": {"Precision": AUTO}})[0]
    # nine numbers: 4 bits for the sum, 4 for the division
    assert (layer.operation, str(layer.precision["accum"]), str(layer.result)) == ("average", "ap_fixed<24,10>", "ap_fixed<16,6>")


def test_global_pooling_takes_the_squeeze_with_it() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (1, 4, 6, 6))
    x = b.add("pool", [x], fn="avg", output_size=1, path="gap")
    x = b.add("reshape", [x], shape=(1, 4), path="squeeze")
    layers = build(b.finish([linear(b, x, 2, path="out")]))
    assert kinds(layers) == [("gap", "GlobalPooling2D"), ("out", "Dense")]
    assert layers[0].nodes == ("gap", "squeeze")


def test_dense_on_a_matrix_is_a_pointwise_convolution() -> None:
    b = GraphBuilder("m")
    layers = build(b.finish([linear(b, b.input("x", (1, 6, 8)), 4, path="d")]))
    assert (kinds(layers), layers[0].kernel, layers[0].out_shape) == ([("d", "PointwiseConv1D")], (1,), (6, 4))


def test_depthwise_and_recurrent() -> None:
    b = GraphBuilder("d")
    x = conv(b, b.input("x", (1, 4, 8, 8)), 4, 3, path="dw", groups=4, padding=0)
    depthwise = build(b.finish([x]), {"Model": {"Precision": AUTO, "ReuseFactor": 5, "Strategy": "Resource"}})[0]
    assert (depthwise.kind, depthwise.n_in, depthwise.n_out, depthwise.groups) == ("DepthwiseConv2D", 9, 4, 4)
    assert (depthwise.reuse_factor, str(depthwise.result)) == (4, "ap_fixed<37,17>")
    b = GraphBuilder("r")
    weights = [b.weight((32, 5)), b.weight((32, 8)), b.weight((32,))]
    x = b.add("recurrent", [b.input("x", (1, 7, 5)), *weights], cell="lstm", path="rnn")
    x = b.add("slice", [x], shape=(1, 8), path="last")
    layer = build(b.finish([x]), {"Model": {"ReuseFactor": 6, "Strategy": "Resource"}})[0]
    assert (layer.kind, layer.n_in, layer.n_out, layer.out_shape, layer.return_sequences) == ("LSTM", 5, 32, (8,), False)
    assert (layer.reuse_factor, layer.recurrent_reuse_factor, layer.nodes) == (5, 4, ("rnn", "last"))


def test_attention_is_two_products_and_a_softmax() -> None:
    b = GraphBuilder("a")
    q, k, v = (b.input(n, (1, 2, 5, 4)) for n in "qkv")
    layers = build(b.finish([b.add("attention", [q, k, v], path="mha")]))
    assert kinds(layers) == [("mha_QK", "Einsum"), ("mha_softmax", "Softmax"), ("mha_aV", "Einsum")]
    assert [(x.n_in, x.n_out) for x in (layers[0], layers[2])] == [(4, 5), (5, 4)]


def test_multi_head_attention_of_keras_is_seven_layers() -> None:
    settings = {"num_heads": 2, "key_dim": 4, "value_dim": 4, "name": "mha", "use_bias": True}
    shape = [None, 6, 8]
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": shape, "dtype": "float32", "keras_history": ["x0", 0, 0]}}
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x0", "batch_shape": shape}, "name": "x0", "inbound_nodes": []},
        {
            "class_name": "MultiHeadAttention",
            "config": settings,
            "name": "mha",
            "build_config": {"shapes_dict": {"query_shape": shape, "value_shape": shape}},
            "inbound_nodes": [{"args": [tensor, tensor], "kwargs": {}}],
        },
    ]
    model = {"name": "m", "layers": layers, "input_layers": [["x0", 0, 0]], "output_layers": [["mha", 0, 0]]}
    found = build(load({"class_name": "Functional", "config": model}))
    assert kinds(found) == [
        ("mha_query", "EinsumDense"), ("mha_key", "EinsumDense"), ("mha_value", "EinsumDense"), ("mha_QK", "Einsum"),
        ("mha_softmax", "Softmax"), ("mha_aV", "Einsum"), ("mha_output", "EinsumDense"),
    ]  # fmt: skip
    assert found[-1].out_shape == (6, 8)


def test_scales_of_quantised_weights_are_a_layer() -> None:
    quantizer = {"class_name": "quantized_bits", "config": {"bits": 6, "integer": 0, "alpha": "auto_po2"}}
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x0", "batch_input_shape": [None, 16]}},
        {"class_name": "QDense", "config": {"name": "d", "units": 8, "kernel_quantizer": quantizer, "bias_quantizer": None}},
        {"class_name": "QDense", "config": {"name": "e", "units": 4, "kernel_quantizer": "quantized_bits(6, 0, alpha=1)"}},
    ]
    graph = load({"class_name": "Sequential", "config": {"name": "q", "layers": layers}})
    found = build(graph, {"Model": {"Precision": AUTO}})
    assert kinds(found) == [("d", "Dense"), ("d_alpha", "ApplyAlpha"), ("e", "Dense")]
    assert [str(x.precision["weight"]) for x in (found[0], found[2])] == ["ap_fixed<6,1>"] * 2
    # 16 terms of 16 x 6 bits and a bias; then a scale of 16 bits and a bias
    assert [str(x.result) for x in found[:2]] == ["ap_fixed<27,12>", "ap_fixed<44,19>"]


def test_operators_that_cannot_be_are_listed_together() -> None:
    b = GraphBuilder("no")
    x = b.input("x", (1, 4, 8, 8))
    x = b.add("conv", [x, b.weight((4, 2, 3, 3))], groups=2, path="grouped")
    x = b.add("activation", [x], fn="gelu", path="act")
    with pytest.raises(UnsupportedOp) as caught:
        build(b.finish([x]))
    assert [name for name, _ in caught.value.operators] == ["grouped", "act"]
    assert "2 groups of 4 channels; hls4ml has 1 group, or one a channel. Split it by hand" in str(caught.value)


def test_streams_copy_at_most_seven_times() -> None:
    b = GraphBuilder("fan")
    x = linear(b, b.input("x", (1, 4)), 4, path="d")
    graph = b.finish([linear(b, x, 2, path=f"o{i}") for i in range(8)])
    assert len(build(graph)) == 9
    with pytest.raises(InputError, match="layer 'd': 8 layers read its stream; hls4ml copies a stream at most 7 times"):
        build(graph, io_type="io_stream")


def test_the_configuration_may_come_with_the_graph() -> None:
    graph = load("jet_tagger")
    told = graph.replace(attrs={**graph.attrs, "hls_config": {"IOType": "io_stream", "HLSConfig": {"Model": {"ReuseFactor": 3}}}})
    assert build(told)[0].reuse_factor == 3


fixed = st.builds(FixedPoint, st.integers(2, 24), st.integers(-4, 20), st.booleans())


def bounds(f: FixedPoint) -> tuple[float, float]:
    top = 2.0 ** (f.integer - f.signed)
    return (-top if f.signed else 0.0, top - 2.0**-f.fractional)


@given(fixed, fixed)
def test_sums_and_unions_hold_every_value(a: FixedPoint, b: FixedPoint) -> None:
    (a0, a1), (b0, b1) = bounds(a), bounds(b)
    low, high = bounds(infer.total(a, b))
    assert low <= a0 + b0 and a1 + b1 <= high
    low, high = bounds(infer.union(a, b))
    assert low <= min(a0, b0) and max(a1, b1) <= high
    assert infer.union(a, b).fractional >= max(a.fractional, b.fractional) or a == b


@given(fixed, fixed, fixed, st.integers(1, 4096))
def test_a_sum_of_products_never_overflows(x: FixedPoint, w: FixedPoint, b: FixedPoint, n: int) -> None:
    found = infer.product_sum(x, w, b, n_ops=n, maximum=None)
    largest = n * max(abs(p * q) for p in bounds(x) for q in bounds(w)) + max(map(abs, bounds(b)))
    low, high = bounds(found)
    assert high >= largest - 2.0**-found.fractional or -low >= largest
    assert found.fractional >= max(x.fractional + w.fractional, b.fractional)


@pytest.mark.parametrize("value", [0.0, 0.25, 0.3, -0.7, 1.0, 5.5, 1e-3])
def test_constants_are_stored_to_eight_bits(value: float) -> None:
    found = infer.constant(value)
    assert found.width <= 8 + found.signed
    assert abs(quantise([value], found)[0] * 2.0**-found.fractional - value) <= 2.0**-found.fractional


def test_weights_in_their_format() -> None:
    seen = of_values([[0.5, -0.75], [0.0, 0.01]], parse("ap_fixed<8,2>"))
    assert (seen.zeros_frac, seen.digits, seen.known) == (0.5, 0.75, True)
    assert quantise([1.9, -2.1, 0.6], parse("ap_fixed<4,2>")).tolist() == [7, 7, 2]
    assert quantise([1.9, -2.1, 0.6], parse("ap_fixed<4,2,AP_RND,AP_SAT>")).tolist() == [7, -8, 2]


def test_weight_values_of_the_graph_are_counted() -> None:
    b = GraphBuilder("v")
    values = np.array([[0.5, 0.0, 0.0, 0.75]])
    x = b.add("linear", [b.input("x", (1, 4)), b.weight((1, 4), name="w", values=values)], path="d")
    known = build(b.finish([x]))[0].weights
    assert (known.known, known.zeros_frac, known.digits) == (True, 0.5, 0.75)
    assert not build(load("jet_tagger"))[0].weights.known
