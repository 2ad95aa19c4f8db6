"""The Keras front end on small configurations written here; neither Keras nor h5py is needed for most of them."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import HwsimError, InputError, MissingExtra, UnknownName, UnsupportedOp
from hwsim.frontends.keras import FRONTEND
from hwsim.graph import Graph
from hwsim.testing import FrontendCase


def layer(class_name: str, name: str, *, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": {"name": name, **config}, "registered_name": None}


def sequential(shape: list[int | None], *layers: dict[str, Any], name: str = "net") -> dict[str, Any]:
    first = layer("InputLayer", "x", batch_shape=[None, *shape], dtype="float32")
    return {"module": "keras", "class_name": "Sequential", "config": {"name": name, "layers": [first, *layers]}}


def jet_tagger() -> dict[str, Any]:
    hidden = [layer("Dense", f"fc{i}", units=u, activation="relu", use_bias=True) for i, u in enumerate((64, 32, 32), 1)]
    return sequential([16], *hidden, layer("Dense", "output", units=5, activation="softmax", use_bias=True), name="jet")


def images(*layers: dict[str, Any], shape: tuple[int | None, ...] = (8, 8, 3)) -> Graph:
    return FRONTEND.load(sequential(list(shape), *layers))


def kinds(graph: Graph) -> list[tuple[str, str]]:
    return [(node.name, node.kind) for node in graph.nodes]


def result(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


@pytest.fixture
def json_file(tmp_path: Path) -> Path:
    path = tmp_path / "jet.json"
    path.write_text(json.dumps(jet_tagger()))
    return path


class TestConformance(FrontendCase):
    frontend = FRONTEND

    @pytest.fixture
    def source(self, json_file: Path) -> Any:
        return json_file

    @pytest.fixture
    def unsupported_source(self) -> Any:
        dense = layer("Dense", "fc", units=4)
        odd = {**layer("Sharpen", "odd", module="my.package"), "inbound_nodes": [[["fc", 0, 0, {}]]]}
        last = {**layer("Dense", "last", units=2), "inbound_nodes": [v3_call(("odd", (None, 4)))]}
        first = layer("InputLayer", "x", batch_shape=[None, 4])
        dense["inbound_nodes"] = [[["x", 0, 0, {}]]]
        config = {"name": "n", "layers": [first, dense, odd, last], "input_layers": [["x", 0, 0]], "output_layers": [["last", 0, 0]]}
        return {"class_name": "Functional", "config": config}


def v3_call(*inputs: tuple[str, tuple[int | None, ...]]) -> dict[str, Any]:
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": list(shape), "dtype": "float32", "keras_history": [name, 0, 0]}}
        for name, shape in inputs
    ]
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": {"mask": None}}


def test_layers_and_activations_are_called_as_hls4ml_calls_them(json_file: Path) -> None:
    graph = hwsim.load(json_file)
    assert [name for name, _ in kinds(graph)] == [
        *("fc1", "fc1_relu", "fc2", "fc2_relu", "fc3", "fc3_relu"),
        *("output", "output_softmax"),
    ]
    assert graph.parameters == 4389
    assert graph.macs == 16 * 64 + 64 * 32 + 32 * 32 + 32 * 5
    assert graph.inputs == ("x",)
    assert graph.attrs["layer_classes"]["fc1_relu"] == "Dense"


def test_images_have_their_channels_first_in_the_graph() -> None:
    graph = images(
        layer("Conv2D", "c1", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", activation="relu"),
        layer("MaxPooling2D", "p", pool_size=[2, 2], strides=None, padding="valid"),
        layer("Dropout", "drop", rate=0.5),
        layer("Flatten", "flat"),
        layer("Dense", "fc", units=10, activation="linear"),
    )
    assert kinds(graph) == [("c1", "conv"), ("c1_relu", "activation"), ("p", "pool"), ("flat", "reshape"), ("fc", "linear")]
    assert graph.tensors["x"].shape == (1, 3, 8, 8)
    assert graph.tensors["c1:0"].shape == (1, 4, 4, 4)
    assert graph.nodes[0].attrs["padding"] == ((0, 1), (0, 1))
    assert result(graph) == (1, 10)
    assert "layout_nodes" not in graph.attrs


@pytest.mark.parametrize(
    ("found", "shape", "expected"),
    [
        (layer("DepthwiseConv2D", "l", kernel_size=[3, 3], depth_multiplier=2), (8, 8, 3), (1, 6, 6, 6)),
        (layer("SeparableConv2D", "l", filters=5, kernel_size=[3, 3], padding="same"), (8, 8, 3), (1, 5, 8, 8)),
        (layer("Conv2DTranspose", "l", filters=5, kernel_size=[3, 3], strides=[2, 2], padding="same"), (8, 8, 3), (1, 5, 16, 16)),
        (layer("Conv2DTranspose", "l", filters=5, kernel_size=[3, 3], strides=[2, 2]), (8, 8, 3), (1, 5, 17, 17)),
        (layer("Conv2DTranspose", "l", filters=5, kernel_size=[2, 2], strides=[3, 3]), (8, 8, 3), (1, 5, 24, 24)),
        (layer("Conv1D", "l", filters=5, kernel_size=[4], padding="causal", dilation_rate=[2]), (9, 3), (1, 5, 9)),
        (layer("AveragePooling2D", "l", pool_size=[3, 3], strides=[2, 2], padding="same"), (8, 8, 3), (1, 3, 4, 4)),
        (layer("GlobalAveragePooling2D", "l"), (8, 8, 3), (1, 3)),
        (layer("GlobalMaxPooling1D", "l", keepdims=True), (9, 3), (1, 3, 1)),
        (layer("ZeroPadding2D", "l", padding=[[1, 0], [2, 1]]), (8, 8, 3), (1, 3, 9, 11)),
        (layer("Cropping2D", "l", cropping=[[1, 0], [2, 1]]), (8, 8, 3), (1, 3, 7, 5)),
        (layer("UpSampling2D", "l", size=[2, 3]), (8, 8, 3), (1, 3, 16, 24)),
        (layer("UpSampling1D", "l", size=2), (9, 3), (1, 3, 18)),
        (layer("Reshape", "l", target_shape=[-1, 3]), (8, 8, 3), (1, 64, 3)),
        (layer("Permute", "l", dims=[2, 1]), (9, 3), (1, 3, 9)),
        (layer("LSTM", "l", units=7), (9, 3), (1, 7)),
        (layer("GRU", "l", units=7, return_sequences=True, reset_after=True), (9, 3), (1, 9, 7)),
        (layer("Dense", "l", units=7), (9, 3), (1, 9, 7)),
        (layer("Dense", "l", units=7), (8, 8, 3), (1, 7, 8, 8)),
        (layer("Embedding", "l", input_dim=10, output_dim=4), (9,), (1, 9, 4)),
        (layer("RepeatVector", "l", n=3), (9,), (1, 3, 9)),
        (layer("LayerNormalization", "l", axis=[-1]), (9, 3), (1, 9, 3)),
        (layer("EinsumDense", "l", equation="abc,cd->abd", output_shape=[None, 5], bias_axes="d"), (9, 3), (1, 9, 5)),
        (layer("EinsumDense", "l", equation="abc,bcd->abd", output_shape=[None, 5]), (9, 3), (1, 9, 5)),
        (layer("EinsumDense", "l", equation="abc,cde->abde", output_shape=[None, 2, 4]), (9, 3), (1, 9, 2, 4)),
    ],
)
def test_shapes(found: dict[str, Any], shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert result(images(found, shape=shape)) == expected


@pytest.mark.parametrize(
    ("found", "parameters"),
    [
        (layer("SeparableConv2D", "l", filters=5, kernel_size=[3, 3]), 3 * 9 + 3 * 5 + 5),
        (layer("BatchNormalization", "l"), 2 * 3),
        (layer("BatchNormalization", "l", scale=False), 3),
        (layer("PReLU", "l", shared_axes=[1, 2]), 3),
    ],
)
def test_parameters(found: dict[str, Any], parameters: int) -> None:
    assert images(found).parameters == parameters


def test_separable_convolutions_are_two_layers() -> None:
    graph = images(layer("SeparableConv2D", "sep", filters=5, kernel_size=[3, 3], activation="relu"))
    assert kinds(graph) == [("sep_depthwise", "conv"), ("sep_pointwise", "conv"), ("sep_relu", "activation")]


def test_a_sequence_that_meets_both_worlds_is_transposed_once() -> None:
    graph = images(layer("Conv1D", "c", filters=4, kernel_size=[3]), layer("LSTM", "l", units=5), shape=(9, 3))
    assert kinds(graph) == [("c", "conv"), ("l:layout", "transpose"), ("l", "recurrent"), ("l:last", "slice")]
    assert graph.attrs["layout_nodes"] == ("l:layout",)


def test_bidirectional_layers_have_weights_for_both_directions() -> None:
    inner = layer("GRU", "g", units=5, reset_after=True, return_sequences=True)
    graph = images(layer("Bidirectional", "b", layer=inner, merge_mode="concat"), shape=(9, 3))
    assert result(graph) == (1, 9, 10)
    assert graph.parameters == 2 * 3 * (5 * 3 + 5 * 5 + 2 * 5)


def functional(*layers: dict[str, Any], inputs: Any, outputs: Any) -> dict[str, Any]:
    return {"class_name": "Functional", "config": {"name": "f", "layers": list(layers), "input_layers": inputs, "output_layers": outputs}}


def residual(*, version: int) -> dict[str, Any]:
    def called(found: dict[str, Any], *names: str) -> dict[str, Any]:
        node = [[n, 0, 0, {}] for n in names] if version == 2 else v3_call(*((n, (None, 4)) for n in names))
        return {**found, "inbound_nodes": [node] if names else []}

    first = called(layer("InputLayer", "x", batch_shape=[None, 4]))
    a, b = called(layer("Dense", "a", units=4, activation="relu"), "x"), called(layer("Dense", "b", units=4), "a")
    total = called(layer("Add", "sum"), "b", "x")
    ends: list[Any] = [["x", 0, 0]], [["sum", 0, 0]]
    return functional(total, b, a, first, inputs=ends[0], outputs=ends[1] if version == 2 else ends[1][0])


@pytest.mark.parametrize("version", [2, 3])
def test_functional_models_of_both_formats(version: int) -> None:
    graph = FRONTEND.load(residual(version=version))
    assert kinds(graph) == [("a", "linear"), ("a_relu", "activation"), ("b", "linear"), ("sum", "elementwise")]
    assert graph.nodes[-1].inputs == ("b:0", "x")


def test_a_layer_used_twice_shares_nothing_but_its_name() -> None:
    first = {**layer("InputLayer", "x", batch_shape=[None, 4]), "inbound_nodes": []}
    shared = {**layer("Dense", "d", units=4), "inbound_nodes": [[["x", 0, 0, {}]], [["d", 0, 0, {}]]]}
    graph = FRONTEND.load(functional(first, shared, inputs=[["x", 0, 0]], outputs=[["d", 1, 0]]))
    assert kinds(graph) == [("d", "linear"), ("d_0", "linear")]


def test_models_inside_of_models() -> None:
    inner = sequential([8], layer("Dense", "deep", units=3, activation="tanh"), name="inner")
    inner["config"]["layers"][0]["config"]["name"] = "inner_in"
    graph = FRONTEND.load(sequential([4], layer("Dense", "first", units=8), {**inner, "name": "inner"}, layer("Dense", "end", units=2)))
    assert [(n.name, n.path) for n in graph.nodes] == [
        ("first", "first"),
        ("deep", "inner.deep"),
        ("deep_tanh", "inner.deep"),
        ("end", "end"),
    ]


def test_attention() -> None:
    x = {**layer("InputLayer", "x", batch_shape=[None, 6, 8]), "inbound_nodes": []}
    call = {"args": [], "kwargs": {k: v3_call(("x", (None, 6, 8)))["args"][0] for k in ("query", "value")}}
    mha = {**layer("MultiHeadAttention", "mha", num_heads=2, key_dim=3, use_bias=True), "inbound_nodes": [call]}
    graph = FRONTEND.load(functional(x, mha, inputs=["x", 0, 0], outputs=["mha", 0, 0]))
    assert result(graph) == (1, 6, 8)
    assert graph.parameters == 3 * (8 * 6 + 6) + 6 * 8 + 8


def bits(b: int, i: int, **more: Any) -> dict[str, Any]:
    return {"class_name": "quantized_bits", "config": {"bits": b, "integer": i, "keep_negative": True, "alpha": 1, **more}}


def test_quantisers_become_formats() -> None:
    graph = FRONTEND.load(
        sequential(
            [16],
            layer("QDense", "q1", module="qkeras", units=4, kernel_quantizer=bits(6, 0), bias_quantizer=bits(7, 2), activation="linear"),
            layer("QActivation", "act", module="qkeras", activation="quantized_relu(6, 2)"),
            layer("QDense", "q2", module="qkeras", units=4, kernel_quantizer="ternary()", use_bias=False, activation=bits(9, 3)),
            layer("QActivation", "soft", module="qkeras", activation={"class_name": "quantized_tanh", "config": {"bits": 5}}),
        )
    )
    formats = {name: str(t.dtype) for name, t in graph.tensors.items()}
    assert formats["q1.kernel"] == "ap_fixed<6,1>"
    assert formats["q1.bias"] == "ap_fixed<7,3>"
    assert formats["q1:0"] == "fp32"
    assert formats["act:0"] == "ap_ufixed<6,2,ap_rnd_conv,ap_sat>"
    assert formats["q2.kernel"] == "ap_int<2>"
    assert formats["q2_quantized_bits:0"] == "ap_fixed<9,4,ap_rnd_conv,ap_sat>"
    assert formats["soft:0"] == "ap_fixed<5,1,ap_rnd_conv,ap_sat>"
    assert [n.attrs.get("fn") for n in graph.nodes] == [None, "relu", None, "identity", "hard_tanh"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("binary(alpha=1)", "ap_uint<1>"), ("stochastic_ternary()", "ap_int<2>"), ("quantized_bits(8, 8)", "ap_int<8>")],
)
def test_weights_of_few_values(text: str, expected: str) -> None:
    graph = FRONTEND.load(sequential([4], layer("QDense", "q", module="qkeras", units=2, kernel_quantizer=text)))
    assert str(graph.tensors["q.kernel"].dtype) == expected


def test_formats_flow_through_what_changes_no_number() -> None:
    graph = images(layer("QActivation", "a", activation="quantized_relu(4)"), layer("MaxPooling2D", "p"), layer("Flatten", "f"))
    assert {str(t.dtype) for t in graph.tensors.values() if t.role == "activation"} == {"ap_ufixed<4,0,ap_rnd_conv,ap_sat>"}


def test_pruning_wrappers_are_taken_off() -> None:
    inner = layer("Dense", "fc", units=4, activation="relu")
    graph = FRONTEND.load(sequential([3], layer("PruneLowMagnitude", "prune_low_magnitude_fc", layer=inner)))
    assert kinds(graph) == [("fc", "linear"), ("fc_relu", "activation")]


def message(source: Any, **options: Any) -> str:
    with pytest.raises((InputError, UnknownName)) as error:
        FRONTEND.load(source, **options)
    return str(error.value)


def test_lambda_layers_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedOp) as error:
        FRONTEND.load(sequential([3], layer("Lambda", "square", function={"class_name": "__lambda__"}), layer("Dense", "fc", units=2)))
    assert error.value.operators == (
        ("square", "Lambda (holds code, which is never run; replace it by layers that say what they compute)"),
    )


def test_all_layers_without_a_rule_are_listed() -> None:
    with pytest.raises(UnsupportedOp) as error:
        FRONTEND.load(sequential([3], layer("Densee", "one", units=2), layer("Mine>Dense", "two", units=2), layer("Zzz", "three")))
    assert [where for where, _ in error.value.operators] == ["one", "two", "three"]
    assert "did you mean 'Dense'?" in error.value.operators[0][1]
    assert "code is never loaded" in error.value.operators[1][1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"class_name": "Sequential", "config": {}},
            "Keras model: `config` has no list `layers`; expected the layers of the model, found None",
        ),
        ({"class_name": "MyNet", "config": {"units": 3}}, "a class of its own; expected Sequential or Functional"),
        (sequential([None, 4], layer("Dense", "d", units=2)), "Pass dims={'x.1': ...}, or seq_len"),
        (sequential([4], layer("Dense", "d")), "layer 'd' (Dense): its configuration has no 'units'. Is the file complete?"),
        (
            sequential([4], layer("Conv2D", "c", filters=2, kernel_size=[3, 3])),
            "it slides over 2 dimension(s), but its input has the shape (1, 4)",
        ),
        (sequential([4], layer("Dense", "d", units=2, activation="frelu")), "activation 'frelu'"),
        (sequential([4], layer("QDense", "d", units=2, kernel_quantizer="quantized_bit(4)")), "Did you mean 'quantized_bits'"),
        (
            sequential([4], layer("QDense", "d", units=2, kernel_quantizer="quantized_bits(0)")),
            "0 bits, 0 of them integer; expected 1 to 64",
        ),
        (sequential([4], layer("QDense", "d", units=2, kernel_quantizer="__import__('os').x()")), "cannot be read"),
        (sequential([4], layer("Concatenate", "c", axis=7)), "axis 7 of a tensor of shape (1, 4)"),
    ],
)
def test_what_is_wrong_is_said(source: dict[str, Any], expected: str) -> None:
    assert expected in message(source)


def test_free_sizes_are_given_by_the_caller() -> None:
    source = sequential([None, 4], layer("Dense", "d", units=2))
    assert result(FRONTEND.load(source, seq_len=7)) == (1, 7, 2)
    assert result(FRONTEND.load(source, dims={"x.1": 5}, batch=2)) == (2, 5, 2)


def test_circles_are_found() -> None:
    source = residual(version=2)
    next(x for x in source["config"]["layers"] if x["config"]["name"] == "a")["inbound_nodes"] = [[["b", 0, 0, {}]]]
    assert "depends on itself (a circle)" in message(source)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.keras", b"PK\x03\x04 truncated", "not a .keras file, or a truncated one"),
        ("a.keras", b"", "the file is empty"),
        ("a.h5", b"not hdf5", "not an HDF5 file"),
        ("a.json", b'{"class_name": "Sequential", "config": ', "not JSON"),
        ("a.json", b'[{"class_name": 1, "config": 2}]', "no Keras model"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert FRONTEND.accepts(path)
    assert expected in message(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert message(tmp_path / "x.keras") == f"no file {str(tmp_path / 'x.keras')!r}; expected a Keras model"
    assert "is a directory" in message(str(tmp_path / "folder.keras")) if (tmp_path / "folder.keras").mkdir() is None else True


def test_an_archive_without_an_architecture(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    assert "a zip file without config.json" in message(tmp_path / "a.keras")


def archived(path: Path, weights: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(jet_tagger()))
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
    return path


def test_an_archive_without_weights_has_none(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    graph = FRONTEND.load(archived(tmp_path / "a.keras"))
    assert len(graph.values) == 0
    assert graph.parameters == 4389


def test_without_h5py_the_architecture_is_read_and_h5_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert FRONTEND.load(archived(tmp_path / "a.keras", b"junk")).parameters == 4389
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n rest")
    with pytest.raises(MissingExtra, match=r"needs 'h5py', which is not installed. Run: pip install 'hwsim\[keras\]'"):
        FRONTEND.load(tmp_path / "a.h5")


def test_damaged_weights_in_an_archive(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    assert "its weights cannot be read" in message(archived(tmp_path / "a.keras", b"junk"))


def write_h5(path: Path, *, architecture: bool = True, shape: tuple[int, ...] = (16, 64)) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        if architecture:
            file.attrs["model_config"] = json.dumps(jet_tagger())
        group = file.create_group("model_weights/fc1/fc1")
        group["kernel:0"] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        group["bias:0"] = np.ones(64, dtype=np.float32)
        file["model_weights/linked"] = h5py.ExternalLink("/etc/hostname", "/")
    return path


def test_weights_of_an_h5_file_are_in_our_layout(tmp_path: Path) -> None:
    graph = hwsim.load(write_h5(tmp_path / "a.h5"))
    assert set(graph.values) == {"fc1.kernel", "fc1.bias"}
    assert np.array_equal(graph.values["fc1.kernel"], np.arange(1024, dtype=np.float32).reshape(16, 64).T)


def test_weights_beside_an_architecture(tmp_path: Path, json_file: Path) -> None:
    weights = write_h5(tmp_path / "w.h5", architecture=False)
    assert "weights without an architecture" in message(weights)
    assert "fc1.bias" in FRONTEND.load(json_file, weights=weights).values


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", shape=(15, 64))
    expected = f"{path}: layer 'fc1' (Dense): the file holds a kernel of shape (15, 64); the architecture expects (16, 64)"
    assert message(path) == expected


def test_options_are_checked(json_file: Path) -> None:
    assert "Did you mean 'weights'" in message(json_file, weight="x")


JUNK = (None, -1, 0, 1e300, float("nan"), "x", "", [], {}, [None], [10**9], "same", True, 10**12, [[1, 2], [3]], "a,b->c")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, item in items for p in ((*path, key), *places(item, (*path, key)))]


def test_damaged_configurations_end_in_errors_of_ours() -> None:
    rng = random.Random(7)
    images_of_all_kinds = [
        layer("UpSampling2D", "u", size=[2, 2]),
        layer("ZeroPadding2D", "z", padding=1),
        layer("Conv2DTranspose", "t", filters=3, kernel_size=3),
        layer("Reshape", "r", target_shape=[-1]),
        layer("QDense", "q", units=2, kernel_quantizer=bits(4, 0)),
    ]
    sources = [jet_tagger(), residual(version=2), residual(version=3), sequential([8, 8, 3], *images_of_all_kinds)]
    for _ in range(1500):
        broken = copy.deepcopy(rng.choice(sources))
        for _ in range(2):
            *outer, last = rng.choice(places(broken) or [("name",)])
            at = broken
            for key in outer:
                at = at[key]
            at[last] = copy.deepcopy(rng.choice(JUNK))
        with contextlib.suppress(HwsimError):
            FRONTEND.load(broken)
