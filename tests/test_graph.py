"""Graph: construction, verification, derived facts, storage."""

from __future__ import annotations

import pytest

from hwsim import GraphBuilder, store
from hwsim.dtypes import dtype
from hwsim.errors import GraphError, InputError, UnknownName
from hwsim.graph import Graph, Node, Tensor


def mlp(batch: int = 4) -> Graph:
    b = GraphBuilder("mlp", batch=batch)
    x = b.input("x", (batch, 16))
    with b.scope("fc1"):
        h = b.add("linear", [x, b.weight((64, 16)), b.weight((64,), name="bias")])
    h = b.add("activation", [h], fn="relu", path="act")
    shared = b.weight((64, 64), name="shared")
    h = b.add("linear", [h, shared], path="fc2")
    h = b.add("linear", [h, shared], path="fc3")
    return b.finish([h])


def test_counts_share_weights() -> None:
    graph = mlp()
    assert graph.parameters == 64 * 16 + 64 + 64 * 64
    assert graph.macs == 4 * (64 * 16 + 2 * 64 * 64)
    assert [n.path for n in graph.nodes] == ["fc1", "act", "fc2", "fc3"]


def test_networkx_follows_data_flow() -> None:
    graph = mlp().to_networkx()
    assert list(graph.edges) == [("fc1", "act"), ("act", "fc2"), ("fc2", "fc3")]


def test_cycle_is_an_error() -> None:
    x = Tensor("x", (1, 2), dtype("fp32"), "input")
    a, c = (Tensor(n, (1, 2), dtype("fp32")) for n in "ac")
    nodes = (Node("n1", "elementwise", ("x", "c"), ("a",), {"fn": "add"}), Node("n2", "activation", ("a",), ("c",), {"fn": "relu"}))
    with pytest.raises(GraphError) as error:
        Graph("g", nodes, {t.name: t for t in (x, a, c)}, ("x",), ("c",))
    assert str(error.value) == "graph 'g', node 'n1' (elementwise): uses 'c' before any node makes it (a cycle, or a missing tensor)"


def test_wrong_shape_is_an_error() -> None:
    x, y = Tensor("x", (1, 2), dtype("fp32"), "input"), Tensor("y", (1, 3), dtype("fp32"))
    with pytest.raises(GraphError) as error:
        Graph("g", (Node("n", "activation", ("x",), ("y",), {"fn": "relu"}),), {"x": x, "y": y}, ("x",), ("y",))
    assert str(error.value) == "graph 'g', node 'n' (activation): output shape ((1, 3),); expected ((1, 2),)"


def test_unknown_kind_and_attribute_suggest() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (1, 2))
    with pytest.raises(UnknownName, match="unknown operator kind 'lineer'. Did you mean 'linear'"):
        b.add("lineer", [x])
    with pytest.raises(UnknownName, match="unknown attribute of operator 'softmax' 'axes'. Did you mean 'axis'?"):
        b.add("softmax", [x], axes=1)
    with pytest.raises(GraphError, match=r"^operator 'topk' needs attribute\(s\) 'k', found none$"):
        b.add("topk", [x])


def test_mismatched_operands_say_where() -> None:
    b = GraphBuilder("g")
    with pytest.raises(GraphError) as error:
        b.add("linear", [b.input("x", (1, 5)), b.weight((4, 6))], path="head")
    assert str(error.value) == (
        "graph 'g', node 'head' (linear): linear: input (1, 5) does not match weight (4, 6); expected (..., in) and (out, in)"
    )


def test_store_round_trip(tmp_path) -> None:
    graph = mlp()
    store.save(graph, tmp_path / "g.hwsim")
    again = store.read(tmp_path / "g.hwsim")
    assert again == graph
    assert again.macs == graph.macs


@pytest.mark.parametrize("data", [b"", b"\x80\x04junk", b"[]", b"\x97"])
def test_store_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(InputError, match="not a stored graph"):
        store.loads(data)
