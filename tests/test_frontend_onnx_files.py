"""The ONNX front end: symbolic dimensions, damaged files, files that are no models."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import InputError, UnknownName
from hwsim.frontends.onnx import FRONTEND
from hwsim.graph import Graph

onnx = pytest.importorskip("onnx")
from hwsim.testing.onnx_models import branch, constant, ints, model, node, weight  # noqa: E402


def load(*args: Any, batch: int | None = None, seq_len: int | None = None, dims: Any = None, allow: bool = False, **kwargs: Any) -> Graph:
    return FRONTEND.load(model(*args, **kwargs), batch=batch, seq_len=seq_len, dims=dims or {}, allow_unsupported=allow)


def out_shape(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


def message(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


# -- dimensions ------------------------------------------------------------------------------------------------------------------


RELU = [node("Relu", "x")]


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
    assert "has 1.15e+18 elements; at most 1.1e+12 are believed. Is the file damaged?" in message(RELU, {"x": [2**30, 2**30]}, [])


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
    assert message(nodes, {"x": [1, 8]}, []) == ("net: node 'Add' (Add) uses 'b' before any node makes it (a cycle, or a missing tensor)")
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


def test_nested_subgraphs() -> None:
    deep = branch([node("Relu", "x", "z")], "z")
    for _ in range(20):
        deep = branch([node("If", "c", "z", then_branch=deep)], "z")
    top = node("If", "c", then_branch=deep)
    assert "subgraphs are nested more than 16 deep" in message([top], {"x": [1]}, [constant("c", True, bool)])


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
