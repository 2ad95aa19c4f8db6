"""One network from several sources gives one answer on an FPGA."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

import hwsim

WIDTHS = (64, 32, 32)
OPTIONS: tuple[dict[str, Any], ...] = (
    {"strategy": "resource", "reuse_factor": 4},
    {"strategy": "resource", "reuse_factor": 8, "io_type": "io_stream"},
    {"strategy": "latency", "precision": "ap_fixed<12,4>", "stage": "vsynth"},
)


def answer(source: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    e = hwsim.estimate(source, "xcu250", **options)
    used = {name: round(float(item.used), 6) for name, item in e.cost.resources.items()}
    return e.latency_s, float(e.cost.interval_s), used, [layer.kind for layer in e.layers]


@pytest.fixture
def keras_file(tmp_path: Path) -> str:
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 16], "name": "x"}}]
    for i, units in enumerate(WIDTHS, start=1):
        layers.append({"class_name": "Dense", "config": {"name": f"fc{i}", "units": units, "activation": "relu", "use_bias": True}})
    layers.append({"class_name": "Dense", "config": {"name": "output", "units": 5, "activation": "softmax", "use_bias": True}})
    path = tmp_path / "jet.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "jet", "layers": layers}}))
    return str(path)


def module() -> Any:
    nn = pytest.importorskip("torch").nn
    parts: OrderedDict[str, Any] = OrderedDict()
    for i, (a, b) in enumerate(zip((16, *WIDTHS), WIDTHS, strict=False), start=1):
        parts[f"fc{i}"], parts[f"relu{i}"] = nn.Linear(a, b), nn.ReLU()
    parts["output"], parts["softmax"] = nn.Linear(WIDTHS[-1], 5), nn.Softmax(-1)
    return nn.Sequential(parts).to("meta").eval()


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_keras_and_zoo_agree(keras_file: str, options: dict[str, Any]) -> None:
    assert answer(keras_file, options) == answer("jet_tagger", options)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_torch_and_zoo_agree(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    graph = hwsim.load(module(), inputs=(torch.zeros(1, 16, device="meta"),))
    assert answer(graph, options) == answer("jet_tagger", options)


@pytest.mark.parametrize("options", OPTIONS[:2], ids=lambda o: "-".join(map(str, o.values())))
def test_onnx_and_zoo_agree(tmp_path: Path, options: dict[str, Any]) -> None:
    """Weights of the file count under the latency strategy, so they are compared where they do not."""
    onnx = pytest.importorskip("onnx")
    import numpy as np

    rng, nodes, weights, x = np.random.default_rng(0), [], [], "x"
    for i, (a, b) in enumerate(zip((16, *WIDTHS), (*WIDTHS, 5), strict=True), start=1):
        weights += [
            onnx.numpy_helper.from_array(rng.normal(size=shape).astype("float32"), f"{n}{i}") for n, shape in (("w", (b, a)), ("b", (b,)))
        ]
        nodes.append(onnx.helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [f"y{i}"], name=f"fc{i}", transB=1))
        kind = "Softmax" if i == 4 else "Relu"
        nodes.append(onnx.helper.make_node(kind, [f"y{i}"], [f"a{i}"], name=f"act{i}"))
        x = f"a{i}"
    ends = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, size]) for n, size in (("x", 16), (x, 5))]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "jet", ends[:1], ends[1:], weights), opset_imports=[onnx.helper.make_opsetid("", 18)]
    )
    path = tmp_path / "jet.onnx"
    onnx.save(model, str(path))
    assert answer(str(path), options) == answer("jet_tagger", options)
