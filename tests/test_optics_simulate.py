"""`hwsim simulate`: layers and networks, the table, JSON, and errors in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hwsim.cli import cli, main
from hwsim.errors import InputError, UnknownName
from hwsim.graph import GraphBuilder
from hwsim.optics import Bench
from hwsim.optics.layers import conv_layers, network_layers, simulate_layer, written_layer

SMALL = "conv?in=4&out=6&kernel=3&size=8"


def run(*args: str) -> Any:
    found = CliRunner().invoke(cli, ["simulate", *args])
    assert found.exit_code == 0, found.output
    return found


def test_a_written_layer_as_json() -> None:
    found = json.loads(run(SMALL, "--on", "lcos", "--bits", "8", "--photons", "1e5", "--channels", "all", "--json").stdout)
    assert (found["model"], found["target"], found["electronics"]) == (SMALL, "lcos", [])
    assert (found["bench"]["camera_bits"], found["bench"]["photons"]) == (8, 1e5)
    (layer,) = found["layers"]
    assert (layer["kernel"], layer["signs"], layer["sampled"], layer["frames"]) == ([6, 4, 3, 3], "kernel", None, 3 * 2 * 24)
    assert layer["least"] <= layer["error"] <= layer["most"]
    assert layer["effective_bits"] == pytest.approx(-np.log2(layer["error"] * 12**0.5))
    assert layer["snr_db"] == pytest.approx(-20 * np.log10(layer["error"]))
    assert layer["closed_form_error"] == pytest.approx(layer["error"], rel=0.5)


def test_the_same_command_says_the_same() -> None:
    first, again, other = (run(SMALL, "--on", "lcos", "--json", "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


def test_a_network_as_a_table() -> None:
    found = run("lenet5", "--on", "fatnet", "--samples", "1", "--photons", "1e4")
    assert "coherent detection; 8, 8, 8 bits (modulator, mask, camera); 10.0 k photons" in found.stdout
    assert [line.split()[0] for line in found.stdout.splitlines() if line.startswith("conv")] == ["conv1", "conv2"]
    assert "conv1: 1 -> 6, 5x5 on 32x32" in found.stderr
    assert "--channels all takes every one" in found.stdout
    # tanh lets negative values through, images are not negative
    assert [line.split()[5] for line in found.stdout.splitlines() if line.startswith("conv")] == ["kernel", "both"]


def test_weights_come_from_an_onnx_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.zeros((2, 1, 3, 3), dtype=np.float32)
    weights[:, 0, 1, 1] = 1
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="/c/Conv", pads=[1, 1, 1, 1])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 1, 8, 8)), ("y", (1, 2, 8, 8))))
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    layers, left, found = network_layers(str(path))
    assert (len(layers), left) == (1, [])
    assert np.array_equal(found[layers[0].weight], weights)
    # One tap has a flat spectrum: the mask shows it without error, and one pass is enough.
    (layer,) = json.loads(run(str(path), "--on", "fatnet", "--mask-bits", "4", "--json").stdout)["layers"]
    assert (layer["signs"], layer["sampled"]) == ("unsigned", None)
    assert layer["error"] < 0.02


def test_other_convolutions_stay_in_electronics() -> None:
    b = GraphBuilder("mixed", batch=1)
    x = b.add("conv", [b.input("x", (1, 4, 8, 8)), b.weight((4, 4, 3, 3))], path="plain", padding=1)
    x = b.add("conv", [x, b.weight((4, 2, 2, 2))], path="up", stride=2, transposed=True)
    line = b.add("reshape", [x], shape=(1, 2, 256), path="flat")
    graph = b.finish([b.add("conv", [line, b.weight((2, 2, 3))], path="line")])
    layers, left = conv_layers(graph)
    assert [layer.path for layer in layers] == ["plain"]
    assert left == ["up: transposed convolution", "line: 1-d convolution"]


def test_signs_follow_what_is_in_front() -> None:
    b = GraphBuilder("signs", batch=1)
    x = b.add("conv", [b.input("x", (1, 4, 8, 8)), b.weight((4, 4, 3, 3))], path="a", padding=1)
    y = b.add("activation", [b.add("conv", [x, b.weight((4, 4, 3, 3))], path="b", padding=1)], fn="relu", path="relu")
    z = b.add("elementwise", [y, y], fn="add", path="sum")
    pooled = b.add("pool", [z], fn="avg", kernel=2, path="pool")
    graph = b.finish([b.add("conv", [pooled, b.weight((4, 4, 3, 3))], path="c")])
    assert [layer.negative_image for layer in conv_layers(graph)[0]] == [False, True, False]


def test_samples_of_large_layers_are_said() -> None:
    bench = Bench(camera_bits=8)
    depthwise = simulate_layer(written_layer("conv?in=64&out=64&groups=64&size=12"), bench, max_channels=4)
    assert (depthwise.sampled, depthwise.frames) == ((4, 4), 8)
    wide = simulate_layer(written_layer("conv?in=64&out=32&size=300"), bench, max_channels=2, max_pixels=32)
    assert (wide.sampled, wide.image) == ((2, 2), (300, 300))
    assert simulate_layer(written_layer("conv?in=4&out=4&size=12"), bench, max_channels=None).sampled is None


BAD: list[tuple[list[str], str]] = [
    (["conv?kernal=3", "--on", "lcos"], "unknown option of conv: 'kernal'. Did you mean 'kernel'?"),
    (["conv?in=0", "--on", "lcos"], "conv, option 'in': found '0'; expected a whole number of at least 1"),
    (["conv?in=6&groups=4", "--on", "lcos"], "conv: found in=6, out=64, groups=4; expected channels that the groups divide"),
    ([SMALL, "--on", "l4"], "found 'l4' of the family 'gpu'; expected an optical bench (`hwsim targets list --family optical`)"),
    ([SMALL, "--on", "lcos", "--photons", "0"], "photons is 0.0; expected more than 0 at the brightest pixel (math.inf: no shot noise)"),
    ([SMALL, "--on", "lcos", "--detection", "intensiti"], "unknown detection 'intensiti'. Did you mean 'intensity'?"),
    (["jet_tagger", "--on", "lcos"], "jet_tagger: found no 2-d convolution; expected at least one to simulate"),
    (
        ["lenet5", "--on", "lcos", "--layer", "fc"],
        "lenet5: found 2 2-d convolutions, none with 'fc' in its path; expected at least one to simulate",
    ),
]


@pytest.mark.parametrize(("args", "message"), BAD, ids=[" ".join(args)[:40] for args, _ in BAD])
def test_what_is_refused(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *args]) != 0
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {message}"


def test_bits_below_one_are_refused() -> None:
    found = CliRunner().invoke(cli, ["simulate", SMALL, "--on", "lcos", "--camera-bits", "0.5"])
    assert "0.5 is not in the range x>=1" in found.output


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"conv: found weights of shape \(2, 2, 3, 3\); expected \(6, 4, 3, 3\)"):
        simulate_layer(written_layer(SMALL), Bench(), kernels=np.zeros((2, 2, 3, 3)))
    with pytest.raises(UnknownName, match="unknown option of conv: 'x'"):
        written_layer("conv?x=1")
