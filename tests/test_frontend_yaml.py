"""Hand-written networks: the examples of the docs, every short form, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hwsim import ops, yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.frontends.yaml_graph import FRONTEND
from hwsim.frontends.yaml_rules import SHORT
from hwsim.graph import Graph

PAGE = Path(__file__).parent.parent / "docs" / "yaml-graphs.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def load(text: str, **options: Any) -> Graph:
    return FRONTEND.load(yaml12.loads(text), **options)


def one(op: str, shape: str = "[1, 8]", more: str = "") -> Graph:
    return load(f"graph: {{inputs: {{x: {shape}}}, nodes: [{{op: {op}{', ' + more if more else ''}}}]}}")


def shape_of(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


def test_jet_tagger_of_the_docs() -> None:
    graph = load(EXAMPLES[0])
    assert (graph.macs, graph.parameters) == (4256, 4389)
    assert "4,389 parameters" in PAGE.read_text(encoding="utf-8")
    assert load(EXAMPLES[0], batch=64).macs == 64 * 4256
    assert [n.path for n in graph.nodes if n.kind == "linear"] == ["fc1", "fc2", "fc3", "output"]


def test_tiny_transformer_of_the_docs() -> None:
    graph = load(EXAMPLES[1])
    assert graph.parameters == 2 * (12 * 64 * 64 + 13 * 64) + 2 * 1000 * 64 + 2 * 64
    tokens = 128
    assert graph.macs == tokens * (2 * 12 * 64 * 64 + 1000 * 64) + 2 * 2 * tokens * tokens * 64
    assert graph.attrs["seq_len"] == 128
    assert shape_of(load(EXAMPLES[1], seq_len=32, batch=2)) == (2, 32, 1000)
    assert {n.path for n in graph.nodes if n.kind == "attention"} == {"blocks.0.attn", "blocks.1.attn"}
    assert all(graph.tensors[n.outputs[0]].dtype.name == "fp16" for n in graph.nodes)


def test_all_examples_load() -> None:
    assert [load(text).name for text in EXAMPLES] == ["jet-tagger", "tiny-transformer", "graph"]


@pytest.mark.parametrize(
    ("op", "shape", "more", "result", "parameters"),
    [
        ("linear", "[2, 8]", "units: 4", (2, 4), 36),
        ("linear", "[2, 8]", "units: 4, bias: false", (2, 4), 32),
        ("conv", "[1, 3, 9, 9]", "channels: 8, kernel: 3, padding: same, stride: 2", (1, 8, 5, 5), 224),
        ("conv", "[1, 8, 9]", "channels: 8, kernel: 3, groups: 8", (1, 8, 7), 32),
        ("conv", "[1, 8, 4, 4]", "channels: 4, kernel: 2, stride: 2, transposed: true", (1, 4, 8, 8), 132),
        ("layer_norm", "[2, 8]", "", (2, 8), 16),
        ("rms_norm", "[2, 8]", "", (2, 8), 8),
        ("batch_norm", "[2, 8, 3]", "", (2, 8, 3), 16),
        ("group_norm", "[2, 8, 3]", "groups: 2", (2, 8, 3), 16),
        ("instance_norm", "[2, 8, 3]", "", (2, 8, 3), 0),
        ("max_pool", "[1, 2, 8, 8]", "kernel: 2", (1, 2, 4, 4), 0),
        ("avg_pool", "[1, 2, 8, 8]", "kernel: 3, stride: 1, padding: 1", (1, 2, 8, 8), 0),
        ("global_avg_pool", "[1, 2, 8, 8]", "", (1, 2, 1, 1), 0),
        ("flatten", "[2, 3, 4]", "", (2, 12), 0),
        ("reshape", "[2, 3, 4]", "shape: [6, -1]", (6, 4), 0),
        ("transpose", "[2, 3, 4]", "perm: [2, 0, 1]", (4, 2, 3), 0),
        ("split", "[2, 8]", "sizes: [3, 5]", (2, 3), 0),
        ("softmax", "[2, 8]", "", (2, 8), 0),
        ("gelu", "[2, 8]", "", (2, 8), 0),
        ("concat", "[2, 8]", "in: [x, x], axis: 0", (4, 8), 0),
        ("add", "[2, 8]", "in: [x, x]", (2, 8), 0),
        ("lstm", "[2, 5, 8]", "units: 6", (2, 5, 6), 4 * 6 * (8 + 6 + 2)),
        ("gru", "[2, 5, 8]", "units: 6, directions: 2, bias: false", (2, 5, 12), 2 * 3 * 6 * 14),
        ("rnn", "[2, 5, 8]", "units: 6", (2, 5, 6), 6 * 16),
        ("self_attention", "[2, 5, 8]", "heads: 4, kv_heads: 2, bias: false", (2, 5, 8), 2 * 64 + 2 * 32),
        ("attention", "[1, 2, 5, 8]", "in: [x, x, x], causal: true", (1, 2, 5, 8), 0),
    ],
)
def test_short_forms(op: str, shape: str, more: str, result: tuple[int, ...], parameters: int) -> None:
    graph = one(op, shape, more)
    assert (shape_of(graph), graph.parameters) == (result, parameters)


def test_every_short_form_is_in_the_docs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in SHORT if f"`{name}`" not in page] == []
    assert not set(SHORT) & {"reduce", "gather"}
    doubled = {"linear", "conv", "embedding", "reshape", "transpose", "concat", "split", "softmax", "attention"}
    assert set(SHORT) & set(ops.kinds()) == doubled


def test_embedding_density_and_formats() -> None:
    graph = load(
        """
graph:
  name: spikes
  dims: {n: 4}
  dtype: fp16
  inputs: {x: {shape: [1, 2*n], density: 0.25}}
  nodes:
    - {op: linear, units: n // 2, weight_dtype: int8, weight_density: 0.5, density: 0.1, dtype: int8, path: fc}
"""
    )
    assert graph.tensors["x"].density == 0.25
    assert (graph.tensors["fc.weight"].dtype.name, graph.tensors["fc.weight"].density) == ("int8", 0.5)
    result = graph.tensors[graph.outputs[0]]
    assert (result.shape, result.dtype.name, result.density) == ((1, 2), "int8", 0.1)


def test_repeat_makes_new_weights() -> None:
    graph = load("graph: {inputs: {x: [1, 8]}, nodes: [{repeat: 3, path: body, nodes: [{op: linear, units: 8, path: fc}]}]}")
    assert [t.name for t in graph.weights] == [f"body.{i}.fc.{part}" for i in range(3) for part in ("weight", "bias")]


def refused(text: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(text, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph: {inputs: {x: [1]}, node: []}", "unknown key in graph: graph: 'node'. Did you mean 'nodes' or 'name'?"),
        ("graph: {inputs: {x: [1]}, nodes: []}", "graph: nodes: found []; expected a list of nodes"),
        ("graph: {nodes: [{op: relu}]}", "graph: inputs is nothing; expected names with shapes, such as {x: [batch, 16]}"),
        (
            "graph: {inputs: {x: [1, 8]}, nodes: [{op: linear, unit: 3}]}",
            "graph: nodes[0] (linear): unknown key 'unit'. Did you mean 'units' or 'out' or 'in'?",
        ),
        (
            "graph: {inputs: {x: [1, 8]}, nodes: [{op: linear}]}",
            "graph: nodes[0] (linear): 'units' is missing; expected a whole number or a dimension",
        ),
        (
            "graph: {inputs: {x: [1, 8]}, nodes: [{op: linaer, units: 3}]}",
            "graph: nodes[0] (linaer): unknown operator 'linaer'. Did you mean 'linear' or 'bilinear'?",
        ),
        ("graph: {inputs: {x: [b, 8]}, nodes: [{op: relu}]}", "unknown dimension in graph: input 'x': 'b'. Known: none."),
        (
            "graph: {inputs: {x: [1, 8]}, nodes: [{op: relu, in: z}]}",
            "unknown tensor in graph: nodes[0] (relu): 'z'. Known: x.",
        ),
        (
            "graph: {inputs: {x: [1, 8]}, nodes: [{op: relu, density: 2}]}",
            "graph: nodes[0] (relu): density is 2; expected a share from 0 to 1",
        ),
        (
            "graph: {inputs: {x: [1, 8], y: [1, 7]}, nodes: [{op: add, in: [x, y]}]}",
            "graph: nodes[0] (add): shapes (1, 8), (1, 7) do not broadcast",
        ),
        (
            "graph: {dims: {n: ~}, inputs: {x: [n]}, nodes: [{op: relu}]}",
            "graph: dimension 'n' has no default; give it: --dim n=1 (dims={'n': 1})",
        ),
        (
            "graph: {inputs: {x: [1]}, nodes: [{repeat: 99999, nodes: [{repeat: 99999, nodes: [{op: relu}]}]}]}",
            "graph: nodes[0]: nodes[0]: nodes[0] (relu): more than 100,000 nodes; expected a network of real size",
        ),
    ],
)
def test_messages(text: str, message: str) -> None:
    if "linaer" in text:
        assert refused(text).startswith("graph: nodes[0] (linaer): unknown operator 'linaer'. Did you mean 'linear'")
    elif "99999" in text:
        assert "more than 100,000 nodes" in refused(text)
    elif "Did you mean" in message:
        assert refused(text).startswith(message.partition(" or ")[0].rstrip("?"))
    else:
        assert refused(text) == message


def test_batch_without_a_dimension() -> None:
    assert refused("graph: {dims: {rows: 2}, inputs: {x: [rows]}, nodes: [{op: relu}]}", batch=2) == (
        "graph: batch is given, but the network has no dimension of that name; its dims: rows"
    )
    with pytest.raises(UnknownName, match="Did you mean 'rows'"):
        load("graph: {dims: {rows: 2}, inputs: {x: [rows]}, nodes: [{op: relu}]}", dims={"row": 2})


def test_accepts_by_content(tmp_path: Path) -> None:
    graph, device = tmp_path / "net.yaml", tmp_path / "device.yaml"
    graph.write_text(EXAMPLES[0])
    device.write_text("name: x\nfamily: gpu\n")
    assert FRONTEND.accepts(graph)
    assert FRONTEND.accepts(str(tmp_path / "missing.yaml"))
    assert not FRONTEND.accepts(device)
    assert not FRONTEND.accepts("resnet50")
    assert FRONTEND.load(graph).name == "jet-tagger"
