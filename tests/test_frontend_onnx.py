"""The ONNX front end: operators against hand counts, folding, module paths."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from hwsim.errors import UnsupportedOp
from hwsim.frontends.onnx import FRONTEND
from hwsim.graph import Graph

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from hwsim.testing.onnx_models import BOOL, FLOAT, INT64, UINT8, branch, constant, ints, model, node, result, weight  # noqa: E402


def load(*args: Any, batch: int | None = None, seq_len: int | None = None, dims: Any = None, allow: bool = False, **kwargs: Any) -> Graph:
    return FRONTEND.load(model(*args, **kwargs), batch=batch, seq_len=seq_len, dims=dims or {}, allow_unsupported=allow)


def out_shape(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


def test_conv_auto_pad_and_groups() -> None:
    weights = [weight("w", 16, 4, 3, 3), weight("b", 16)]
    graph = load([node("Conv", "x w b", auto_pad="SAME_UPPER", strides=[2, 2], group=2)], {"x": [1, 8, 15, 15]}, weights)
    assert out_shape(graph) == (1, 16, 8, 8)
    assert graph.macs == 16 * 64 * 4 * 9
    assert graph.parameters == 16 * 4 * 9 + 16


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_conv_dimensions(dims: int) -> None:
    graph = load([node("Conv", "x w")], {"x": [2, 3, *[8] * dims]}, [weight("w", 5, 3, *[3] * dims)])
    assert out_shape(graph) == (2, 5, *[6] * dims)
    assert graph.macs == 2 * 5 * 6**dims * 3 * 3**dims


def test_conv_transpose_output_shape() -> None:
    graph = load([node("ConvTranspose", "x w", strides=[2, 2], output_shape=[16, 16])], {"x": [1, 8, 8, 8]}, [weight("w", 8, 4, 3, 3)])
    assert out_shape(graph) == (1, 4, 16, 16)
    assert graph.macs == 8 * 64 * 4 * 9


def test_gemm_and_matmul_are_linear() -> None:
    nodes = [node("Gemm", "x w b", "h", transB=1), node("MatMul", "h v", "g"), node("Add", "g c")]
    graph = load(nodes, {"x": [4, 16]}, [weight("w", 32, 16), weight("b", 32), weight("v", 32, 8), weight("c", 8)])
    assert [n.kind for n in graph.nodes] == ["linear", "linear"]
    assert graph.macs == 4 * (16 * 32 + 32 * 8)
    assert graph.parameters == 16 * 32 + 32 + 32 * 8 + 8


def test_tied_embedding_is_one_weight() -> None:
    nodes = [node("Gather", "table ids", "h"), node("Transpose", "table", "t", perm=[1, 0]), node("MatMul", "h t")]
    graph = load(nodes, {"ids": ([2, 7], INT64)}, [weight("table", 100, 16)])
    assert [n.kind for n in graph.nodes] == ["embedding", "linear"]
    assert graph.parameters == 1600
    assert graph.macs == 14 * 1600


def test_qdq_keeps_integers() -> None:
    scales = [constant("s", 0.1), constant("z", 0, np.int8)]
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w s z", "e"),
        node("Conv", "d e"),
    ]
    graph = load(nodes, {"x": [1, 8, 8, 8]}, [*scales, weight("w", 16, 8, 3, 3, dtype=np.int8)])
    assert [n.kind for n in graph.nodes] == ["quantize", "conv"]
    assert [graph.tensors[n].dtype.name for n in graph.nodes[1].inputs] == ["int8", "int8"]
    assert graph.weight_b == 16 * 8 * 9


def test_qlinear_and_integer_products() -> None:
    scales = [constant("s", 0.1), constant("z", 0, np.uint8)]
    nodes = [node("QLinearConv", "x s z w s z s z", "h"), node("Flatten", "h", "f"), node("MatMulInteger", "f v")]
    weights = [weight("w", 2, 4, 1, 1, dtype=np.uint8), weight("v", 32, 3, dtype=np.uint8)]
    graph = load(nodes, {"x": ([1, 4, 4, 4], UINT8)}, [*scales, *weights])
    assert graph.macs == 16 * 8 + 96
    assert graph.tensors[graph.outputs[0]].dtype.name == "int32"


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent(op: str, gates: int) -> None:
    weights = [weight("w", 2, gates * 8, 5), weight("r", 2, gates * 8, 8), weight("b", 2, gates * 16)]
    graph = load([node(op, "x w r b", direction="bidirectional", hidden_size=8)], {"x": [7, 3, 5]}, weights)
    assert out_shape(graph) == (7, 2, 3, 8)
    assert graph.macs == 21 * 2 * gates * 8 * (5 + 8)
    assert graph.parameters == 2 * gates * 8 * (5 + 8 + 2)


def test_last_state_of_a_recurrent_layer() -> None:
    graph = load([node("LSTM", "x w r", "- y", hidden_size=8)], {"x": [7, 3, 5]}, [weight("w", 1, 32, 5), weight("r", 1, 32, 8)])
    assert out_shape(graph) == (1, 3, 8)


@pytest.mark.parametrize(
    ("equation", "a", "b", "shape", "macs"),
    [
        ("bhid,bhjd->bhij", [2, 4, 5, 8], [2, 4, 6, 8], (2, 4, 5, 6), 2 * 4 * 5 * 6 * 8),
        ("bij,jk->bik", [2, 3, 4], [4, 5], (2, 3, 5), 2 * 3 * 4 * 5),
        ("ab,cb->ca", [3, 4], [5, 4], (5, 3), 60),
        ("abc,c->b", [2, 3, 4], [4], (3,), 12),
        ("i,j", [3], [4], (3, 4), 12),
    ],
)
def test_einsum(equation: str, a: list[int], b: list[int], shape: tuple[int, ...], macs: int) -> None:
    graph = load([node("Einsum", "a b", equation=equation)], {"a": a, "b": b}, [])
    assert (out_shape(graph), graph.macs) == (shape, macs)


def test_matmul_of_vectors() -> None:
    assert out_shape(load([node("MatMul", "a b")], {"a": [4], "b": [2, 4, 3]}, [])) == (2, 3)
    assert out_shape(load([node("MatMul", "a b")], {"a": [2, 3, 4], "b": [4]}, [])) == (2, 3)


def test_resize_pool_and_norms() -> None:
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Resize", "p - scales", "r", mode="linear"),
        node("InstanceNormalization", "r g b", "i"),
        node("LRN", "i", "l", size=3),
        node("GlobalAveragePool", "l"),
    ]
    scales = constant("scales", [1, 1, 2, 2])
    graph = load(nodes, {"x": [1, 4, 9, 9]}, [scales, weight("g", 4), weight("b", 4)])
    assert [n.kind for n in graph.nodes] == ["pool", "resize", "norm", "norm", "pool"]
    assert [graph.tensors[n.outputs[0]].shape[-1] for n in graph.nodes] == [5, 10, 10, 10, 1]


def test_dft() -> None:
    graph = load([node("DFT", "x", axis=1, onesided=1)], {"x": [2, 64, 1]}, [])
    assert out_shape(graph) == (2, 33, 2)
    assert graph.work[1].ops == 2.5 * 128 * 6


def test_depth_to_space_top_k_and_reduce() -> None:
    nodes = [node("DepthToSpace", "x", "d", blocksize=2), node("ReduceMean", "d axes", "r", keepdims=0), node("TopK", "r k", "y i")]
    graph = load(nodes, {"x": [1, 8, 3, 3]}, [ints("axes", 2, 3), ints("k", 1)])
    assert out_shape(graph) == (1, 1)


def shape_subgraph() -> list[Any]:
    """x (batch, seq, 8) to (batch, seq * 2, 4) by way of Shape, Gather, Mul, Unsqueeze, Concat."""
    return [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "batch"),
        node("Gather", "s one", "seq"),
        node("Mul", "seq two", "long"),
        node("Unsqueeze", "batch axis", "u"),
        node("Unsqueeze", "long axis", "v"),
        node("Concat", "u v four", "target", axis=0),
        node("Reshape", "x target", "z"),
        node("MatMul", "z w"),
    ]


SHAPES = [
    constant("zero", 0, np.int64),
    constant("one", 1, np.int64),
    constant("two", 2, np.int64),
    ints("axis", 0),
    ints("four", 4),
]


def test_shape_subgraphs_are_computed() -> None:
    graph = load(shape_subgraph(), {"x": ["batch", "seq", 8]}, [*SHAPES, weight("w", 4, 6)], batch=2, seq_len=5)
    assert [n.kind for n in graph.nodes] == ["reshape", "linear"]
    assert out_shape(graph) == (2, 10, 6)
    assert (graph.attrs["batch"], graph.attrs["seq_len"], dict(graph.attrs["dims"])) == (2, 5, {"batch": 2, "seq": 5})


def attention_nodes() -> list[Any]:
    return [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "s"),
        node("Mul", "s scale", "t"),
        node("Add", "t mask", "u"),
        node("Softmax", "u", "p", axis=-1),
        node("MatMul", "p v"),
    ]


def test_attention_is_folded() -> None:
    inputs = {"q": [2, 4, 16, 8], "k": [2, 4, 24, 8], "v": [2, 4, 24, 8], "mask": [2, 1, 16, 24]}
    graph = load(attention_nodes(), inputs, [constant("scale", 0.3)])
    assert [n.kind for n in graph.nodes] == ["attention"]
    assert graph.nodes[0].inputs == ("q", "k", "v", "mask")
    assert graph.macs == 2 * 4 * 16 * 24 * 16


def test_attention_map_that_is_returned_is_not_folded() -> None:
    inputs = {"q": [2, 4, 16, 8], "k": [2, 4, 24, 8], "v": [2, 4, 24, 8], "mask": [2, 1, 16, 24]}
    made = model(attention_nodes(), inputs, [constant("scale", 0.3)])
    made.graph.output.append(result("p"))
    graph = FRONTEND.load(made)
    assert Counter(n.kind for n in graph.nodes)["matmul"] == 2
    assert graph.macs == 2 * 4 * 16 * 24 * 16


def test_layer_norm_and_gelu_are_folded() -> None:
    nodes = [
        node("ReduceMean", "x axes", "m"),
        node("Sub", "x m", "d"),
        node("Pow", "d two", "q"),
        node("ReduceMean", "q axes", "n"),
        node("Add", "n eps", "e"),
        node("Sqrt", "e", "r"),
        node("Div", "d r", "z"),
        node("Mul", "z layer.g", "zg"),
        node("Add", "zg layer.b", "h"),
        node("Div", "h root", "h1"),
        node("Erf", "h1", "h2"),
        node("Add", "h2 one", "h3"),
        node("Mul", "h h3", "h4"),
        node("Mul", "h4 half"),
    ]
    numbers = {"two": 2, "eps": 1e-5, "root": 1.4, "one": 1, "half": 0.5}
    constants = [ints("axes", -1), *(constant(name, value) for name, value in numbers.items())]
    graph = load(nodes, {"x": [2, 5, 16]}, [*constants, weight("layer.g", 16), weight("layer.b", 16)])
    assert [(n.kind, n.attrs["fn"]) for n in graph.nodes] == [("norm", "layer"), ("activation", "gelu")]
    assert graph.parameters == 32


def test_batch_norm_statistics_are_no_parameters() -> None:
    weights = [weight(n, 4) for n in ("g", "b", "mean", "var")]
    graph = load([node("BatchNormalization", "x g b mean var")], {"x": [1, 4, 5, 5]}, weights)
    assert graph.parameters == 8
    assert graph.weight_b == 16 * 4


def test_condition_that_is_known_is_followed() -> None:
    branches = [branch([node(op, "x", "z")], "z") for op in ("Relu", "Tanh")]
    made = node("If", "c", then_branch=branches[0], else_branch=branches[1])
    graph = load([made], {"x": [4]}, [constant("c", False, bool)])
    assert [n.attrs["fn"] for n in graph.nodes] == ["tanh"]


def test_constant_weights_and_microsoft_operators() -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weight("", 8, 12)),
        node("MatMul", "x w", "h"),
        node("MultiHeadAttention", "a b c", "att", domain="com.microsoft", num_heads=2),
        node("SkipLayerNormalization", "att x g", "y", domain="com.microsoft"),
    ]
    nodes.insert(2, node("Split", "h", "a b c", axis=2, num_outputs=3))
    nodes[-1].input[1] = "a"
    graph = load(nodes, {"x": [1, 6, 8]}, [weight("g", 4)])
    assert graph.parameters == 96 + 4
    assert graph.macs == 6 * 96 + 2 * 36 * 4


def test_module_paths() -> None:
    nodes = [node("Conv", "x w", "h", name="/layer1/layer1.0/conv1/Conv"), node("Conv", "h body.conv.weight")]
    graph = load(nodes, {"x": [1, 3, 8, 8]}, [weight("w", 4, 3, 1, 1), weight("body.conv.weight", 4, 4, 1, 1)])
    assert [n.path for n in graph.nodes] == ["layer1.0.conv1", "body.conv"]


def test_unsupported_operators_are_all_listed() -> None:
    nodes = [node("Bernoulli2", "x", "a", name="/head/one"), node("Relu", "a", "b"), node("STFT2", "b", name="/tail/two")]
    info = [helper.make_tensor_value_info(n, FLOAT, ["batch", 4]) for n in "ay"]
    with pytest.raises(UnsupportedOp) as caught:
        load(nodes, {"x": ["batch", 4]}, [], batch=3, value_info=info)
    assert caught.value.operators == (("head", "Bernoulli2"), ("tail", "STFT2"))
    graph = load(nodes, {"x": ["batch", 4]}, [], batch=3, value_info=info, allow=True)
    assert [n.kind for n in graph.nodes] == ["unsupported", "activation", "unsupported"]
    assert out_shape(graph) == (3, 4)
    assert graph.coverage_frac == pytest.approx(1 / 3)


def test_loops_are_unsupported() -> None:
    body = helper.make_graph([node("Identity", "c", "d")], "body", [], [helper.make_tensor_value_info("d", BOOL, [])])
    with pytest.raises(UnsupportedOp, match=r"1 node\(s\) use operators without a rule:\n  here: Loop"):
        load([node("Loop", "n c x", body=body, name="/here/Loop")], {"x": [1], "n": ([], INT64), "c": ([], BOOL)}, [])
