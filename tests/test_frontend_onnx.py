"""The ONNX front end: operators against hand counts, dimensions, damaged files, agreement with the torch route."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.frontends.onnx import FRONTEND
from hwsim.graph import Graph

onnx = pytest.importorskip("onnx")
helper, numpy_helper, F, I = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def weight(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.random.default_rng(0).integers(1, 100, shape).astype(dtype), name)


def ints(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes: list[Any], inputs: dict[str, Any], weights: list[Any], *, opset: int = 18, output: str = "y", value_info: Any = ()) -> Any:
    """A model whose inputs are name to shape (fp32) or (shape, type)."""
    rows = {n: (s, F) if isinstance(s, list) else s for n, s in inputs.items()}
    declared = [helper.make_tensor_value_info(n, t, s) for n, (s, t) in rows.items()]
    out = helper.make_tensor_value_info(output, F, None)
    graph = helper.make_graph(nodes, "net", declared, [out], weights, value_info=list(value_info))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])


def load(*args: Any, batch: int | None = None, seq_len: int | None = None, dims: Any = None, allow: bool = False, **kwargs: Any) -> Graph:
    return FRONTEND.load(model(*args, **kwargs), batch=batch, seq_len=seq_len, dims=dims or {}, allow_unsupported=allow)


def node(op: str, inputs: str, output: str = "y", **attrs: Any) -> Any:
    names = [n if n != "-" else "" for n in inputs.split()]
    return helper.make_node(op, names, output.split(), name=attrs.pop("name", ""), **attrs)


def out_shape(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


def test_conv_auto_pad_and_groups() -> None:
    graph = load([node("Conv", "x w b", auto_pad="SAME_UPPER", strides=[2, 2], group=2)], {"x": [1, 8, 15, 15]}, [weight("w", 16, 4, 3, 3), weight("b", 16)])
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
    graph = load(nodes, {"ids": ([2, 7], I)}, [weight("table", 100, 16)])
    assert [n.kind for n in graph.nodes] == ["embedding", "linear"]
    assert graph.parameters == 1600
    assert graph.macs == 14 * 1600


def test_qdq_keeps_integers() -> None:
    scales = [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.int8(0), "z")]
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
    scales = [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.uint8(0), "z")]
    nodes = [node("QLinearConv", "x s z w s z s z", "h"), node("Flatten", "h", "f"), node("MatMulInteger", "f v")]
    int8 = onnx.TensorProto.UINT8
    graph = load(nodes, {"x": ([1, 4, 4, 4], int8)}, [*scales, weight("w", 2, 4, 1, 1, dtype=np.uint8), weight("v", 32, 3, dtype=np.uint8)])
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
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
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
    numpy_helper.from_array(np.int64(0), "zero"),
    numpy_helper.from_array(np.int64(1), "one"),
    numpy_helper.from_array(np.int64(2), "two"),
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
    graph = load(attention_nodes(), inputs, [numpy_helper.from_array(np.float32(0.3), "scale")])
    assert [n.kind for n in graph.nodes] == ["attention"]
    assert graph.nodes[0].inputs == ("q", "k", "v", "mask")
    assert graph.macs == 2 * 4 * 16 * 24 * 16


def test_attention_map_that_is_returned_is_not_folded() -> None:
    inputs = {"q": [2, 4, 16, 8], "k": [2, 4, 24, 8], "v": [2, 4, 24, 8], "mask": [2, 1, 16, 24]}
    made = model(attention_nodes(), inputs, [numpy_helper.from_array(np.float32(0.3), "scale")])
    made.graph.output.append(helper.make_tensor_value_info("p", F, None))
    graph = FRONTEND.load(made)
    assert Counter(n.kind for n in graph.nodes)["matmul"] == 2
    assert graph.macs == 2 * 4 * 16 * 24 * 16


def scalar(name: str, value: float) -> Any:
    return numpy_helper.from_array(np.float32(value), name)


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
    constants = [ints("axes", -1), scalar("two", 2), scalar("eps", 1e-5), scalar("root", 1.4), scalar("one", 1), scalar("half", 0.5)]
    graph = load(nodes, {"x": [2, 5, 16]}, [*constants, weight("layer.g", 16), weight("layer.b", 16)])
    assert [(n.kind, n.attrs["fn"]) for n in graph.nodes] == [("norm", "layer"), ("activation", "gelu")]
    assert graph.parameters == 32


def test_batch_norm_statistics_are_no_parameters() -> None:
    weights = [weight(n, 4) for n in ("g", "b", "mean", "var")]
    graph = load([node("BatchNormalization", "x g b mean var")], {"x": [1, 4, 5, 5]}, weights)
    assert graph.parameters == 8
    assert graph.weight_b == 16 * 4


def test_condition_that_is_known_is_followed() -> None:
    def branch(op: str) -> Any:
        return helper.make_graph([node(op, "x", "z")], "branch", [], [helper.make_tensor_value_info("z", F, None)])

    made = node("If", "c", then_branch=branch("Relu"), else_branch=branch("Tanh"))
    graph = load([made], {"x": [4]}, [numpy_helper.from_array(np.array(False), "c")])
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
    info = [helper.make_tensor_value_info(n, F, ["batch", 4]) for n in "ay"]
    with pytest.raises(UnsupportedOp) as caught:
        load(nodes, {"x": ["batch", 4]}, [], batch=3, value_info=info)
    assert caught.value.operators == (("head", "Bernoulli2"), ("tail", "STFT2"))
    graph = load(nodes, {"x": ["batch", 4]}, [], batch=3, value_info=info, allow=True)
    assert [n.kind for n in graph.nodes] == ["unsupported", "activation", "unsupported"]
    assert out_shape(graph) == (3, 4)
    assert graph.coverage_frac == pytest.approx(1 / 3)


def test_loops_are_unsupported() -> None:
    body = helper.make_graph([node("Identity", "c", "d")], "body", [], [helper.make_tensor_value_info("d", onnx.TensorProto.BOOL, [])])
    with pytest.raises(UnsupportedOp, match=r"1 node\(s\) use operators without a rule:\n  here: Loop"):
        load([node("Loop", "n c x", body=body, name="/here/Loop")], {"x": [1], "n": ([], I), "c": ([], onnx.TensorProto.BOOL)}, [])


# -- dimensions ------------------------------------------------------------------------------------------------------------------


RELU = [node("Relu", "x")]


def message(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


def test_unbound_dimensions() -> None:
    assert message(RELU, {"x": ["batch", "time", 8]}, []) == (
        "net: no value for the symbolic dimension(s) 'batch', 'time' of the input(s) 'x' ['batch', 'time', 8]. "
        "Give them: --dim batch=1 --dim time=128 (dims={'batch': 1, 'time': 128})"
    )


def test_bindings() -> None:
    assert out_shape(load(RELU, {"x": ["N", "time", 8]}, [], batch=3, dims={"time": 4})) == (3, 4, 8)
    assert out_shape(load(RELU, {"x": ["whatever", 8]}, [], batch=3)) == (3, 8)
    assert out_shape(load(RELU, {"x": [None, 8]}, [], batch=3)) == (3, 8)
    assert out_shape(load(RELU, {"x": ["batch_size", "past + seq"]}, [], batch=3, dims={"past": 4, "seq": 2})) == (3, 6)
    assert out_shape(load(RELU, {"x": [3, 8]}, [], batch=3)) == (3, 8)


def test_fixed_batch_cannot_change() -> None:
    assert message(RELU, {"x": [1, 8]}, [], batch=3) == (
        "net: batch=3 cannot be set: no input has a symbolic dimension for it ('x' has [1, 8]). Leave batch out, or export the model "
        "with a dynamic axis: torch.onnx.export(..., dynamo=True, dynamic_shapes=({0: 'batch'},))"
    )


def test_unknown_and_impossible_dimensions() -> None:
    with pytest.raises(UnknownName, match=r"unknown dimension of net 'batc'\. Did you mean 'batch'\?"):
        load(RELU, {"x": ["batch", 8]}, [], dims={"batc": 3})
    assert message(RELU, {"x": ["batch", 8]}, [], dims={"batch": -1}) == (
        "net: dimension 'batch' is given as -1; expected a whole number from 0 to 4294967296"
    )
    assert "has 1.1e+18 elements; at most 1.1e+12 are believed. Is the file damaged?" in message(RELU, {"x": [2**30, 2**30]}, [])


# -- files that are no models ----------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        FRONTEND.load(str(path))
    return str(caught.value).replace(str(path.parent), "DIR")


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/hwsim-was-unpickled"),))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(Bomb()))
    assert refused(path) == (
        "DIR/model.onnx: this is a Python pickle (an old PyTorch checkpoint?), not an ONNX model; hwsim never unpickles, because that "
        "runs code from the file. Instead, export the model in the program it comes from: "
        "torch.onnx.export(model, args, 'model.onnx', dynamo=True)"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    assert refused(path).startswith("DIR/model.onnx: this is a PyTorch checkpoint (a zip file with a pickle inside), not an ONNX model;")
    assert not Path("/tmp/hwsim-was-unpickled").exists()


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert refused(path) == "no file 'DIR/model.onnx'; expected an ONNX model"
    path.write_bytes(b"")
    assert refused(path) == "DIR/model.onnx: the file is empty; expected an ONNX model"
    path.write_text("hello, this is no model")
    assert refused(path).startswith("DIR/model.onnx: not an ONNX model, or a truncated one (23 bytes,")
    path.write_bytes(model(RELU, {"x": [1, 8]}, [weight("w", 1000)]).SerializeToString()[:-30])
    assert "truncated" in refused(path)
    path.unlink()
    path.mkdir()
    assert refused(path) == "'DIR/model.onnx' is a directory; expected an ONNX file, such as 'DIR/model.onnx/model.onnx'"


def test_operator_sets() -> None:
    assert message(RELU, {"x": [1, 8]}, [], opset=11) == (
        "net: operator set 11; supported are 13 to 22. Export with opset_version=18, "
        "or convert: onnx.version_converter.convert_version(model, 18)"
    )
    for opset in (13, 22):
        assert out_shape(load(RELU, {"x": [1, 8]}, [], opset=opset)) == (1, 8)


def test_cycles_and_missing_tensors() -> None:
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")]
    assert message(nodes, {"x": [1, 8]}, []) == (
        "net: node 'Add' (Add) uses 'b' before any node makes it (a cycle, or a missing tensor)"
    )
    assert message([node("Relu", "x", "z")], {"x": [1]}, []) == "net: no node makes the output 'y'"


def test_shapes_that_do_not_fit() -> None:
    assert message([node("MatMul", "x w", name="fc")], {"x": [1, 8]}, [weight("w", 9, 4)]).startswith("net: node 'fc' (MatMul): ")
    assert message([node("Conv", "x", name="c")], {"x": [1, 8]}, []) == "net: node 'c' (Conv): 1 operand(s); operand 1 is missing"


def external(tmp_path: Path, location: str) -> Path:
    made = model([node("MatMul", "x w")], {"x": [1, 8]}, [weight("w", 8, 4)])
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_external_weights_need_not_be_there(tmp_path: Path) -> None:
    assert FRONTEND.load(external(tmp_path, "weights/model.bin")).parameters == 32


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../b", "C:\\x", ""])
def test_external_weights_stay_in_the_directory(tmp_path: Path, location: str) -> None:
    assert refused(external(tmp_path, location)) == (
        f"DIR/model.onnx: initializer 'w': its data is said to lie at {location!r}; expected a file in the directory of the model. "
        "hwsim reads nothing outside of it"
    )


def test_external_link_to_outside(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert "hwsim reads nothing outside of it" in refused(external(tmp_path, "link/passwd"))


def test_external_shape_constants_are_read(tmp_path: Path) -> None:
    made = model([node("Reshape", "x target")], {"x": [1, 8]}, [ints("target", 2, 4)])
    tensor = made.graph.initializer[0]
    (tmp_path / "data").write_bytes(b"\0" * 8 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "data"), ("offset", "8"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    assert out_shape(FRONTEND.load(tmp_path / "model.onnx")) == (2, 4)


def test_nested_subgraphs(tmp_path: Path) -> None:
    inner = helper.make_graph([node("Relu", "x", "z")], "g", [], [helper.make_tensor_value_info("z", F, None)])
    for _ in range(24):
        made = node("If", "c", "z", then_branch=inner, else_branch=inner)
        inner = helper.make_graph([made], "g", [], [helper.make_tensor_value_info("z", F, None)]) if len(str(inner)) < 1e5 else inner
    deep = inner
    for _ in range(20):
        made = helper.make_node("If", ["c"], ["z"], then_branch=deep)
        deep = helper.make_graph([made], "g", [], [helper.make_tensor_value_info("z", F, None)])
    top = helper.make_node("If", ["c"], ["y"], then_branch=deep)
    assert "subgraphs are nested more than 16 deep" in message([top], {"x": [1]}, [numpy_helper.from_array(np.array(True), "c")])


def test_large_weights_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    made = model([node("MatMul", "x w", "h"), node("MatMul", "h v")], {"x": [1, 1024]}, [weight("w", 1024, 512), weight("v", 512, 4)])
    path.write_bytes(made.SerializeToString())
    from hwsim.frontends.onnx import reading

    read = reading.read(path)
    assert len(read.SerializeToString()) < path.stat().st_size - 2_000_000
    assert FRONTEND.load(path).parameters == 1024 * 512 + 512 * 4


def test_onnx_is_imported_late() -> None:
    code = "import sys, hwsim.frontends.onnx, hwsim.frontends.yaml_graph; assert not {'onnx', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_accepts() -> None:
    assert FRONTEND.accepts("a/b.onnx")
    assert FRONTEND.accepts(Path("b.ONNX"))
    assert not FRONTEND.accepts("resnet50")
    assert not FRONTEND.accepts(3)


# -- agreement with the torch route ----------------------------------------------------------------------------------------------


def text_model(name: str) -> Any:
    transformers = pytest.importorskip("transformers")
    small = {"vocab_size": 100, "bos_token_id": 0, "eos_token_id": 0}
    if name == "bert":
        config = transformers.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=100)
        return transformers.BertModel(config)
    if name == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, use_cache=False, **small))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(use_cache=False, **sizes, **small))


def image_model(name: str) -> tuple[Any, tuple[int, ...]]:
    """A timm model, or a plain one of the same kind of layers."""
    try:
        import timm
    except (ImportError, RuntimeError):
        pytest.skip("timm does not import here")
    created = timm.create_model(name)
    return created, (1, *created.default_cfg["input_size"])


def exported(network: Any, inputs: Any, path: Path, **options: Any) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    given = {"kwargs": inputs} if isinstance(inputs, dict) else {"args": inputs}
    torch.onnx.export(network, **given, f=str(path), dynamo=True, opset_version=20, verbose=False, external_data=False, **options)
    return path


def agree(network: Any, inputs: Any, path: Path) -> None:
    torch_frontend = pytest.importorskip("hwsim.frontends.torch").FRONTEND
    ours = FRONTEND.load(exported(network, inputs, path, optimize=False))
    theirs = torch_frontend.load(network, inputs=inputs, batch=None, seq_len=None, dims={}, allow_unsupported=False)
    assert (ours.macs, ours.parameters) == (theirs.macs, theirs.parameters)
    count = [Counter(n.kind for n in g.nodes) for g in (ours, theirs)]
    for kind in ("linear", "conv", "matmul", "attention", "embedding"):
        assert count[0][kind] == count[1][kind]
    assert ours.parameters == sum(p.numel() for p in network.parameters())


quiet = pytest.mark.filterwarnings("ignore")


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_text_models_agree_with_torch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    inputs = {"input_ids": torch.zeros(2, 12, dtype=torch.int64)}
    agree(text_model(name).eval(), inputs, tmp_path / "model.onnx")


@quiet
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "resnet18" else [pytest.mark.slow])
        for name in (
            "resnet18",
            "mobilenetv3_small_050",
            "vit_tiny_patch16_224",
            "swin_tiny_patch4_window7_224",
            "convnext_atto",
            "efficientformer_l1",
        )
    ],
)
def test_image_models_agree_with_torch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network, shape = image_model(name)
    agree(network.eval(), (torch.zeros(*shape),), tmp_path / "model.onnx")


@quiet
def test_what_the_exporter_left_out_is_noted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).eval()
    nn.init.zeros_(network[4].bias)
    graph = FRONTEND.load(exported(network, (torch.zeros(1, 3, 8, 8),), tmp_path / "model.onnx"))
    assert graph.attrs["source_parameters"] == sum(p.numel() for p in network.parameters())
    assert graph.attrs["notes"] == ("the exporter folded 1 batch norm(s) and dropped 1 zero bias(es): the source model has 26 parameters more",)
