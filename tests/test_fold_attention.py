"""Hand-written attention becomes one node with the same work."""

from __future__ import annotations

from collections import Counter

import pytest

from hwsim.graph import Graph, GraphBuilder
from hwsim.passes.fold_attention import FoldAttention


def grouped(*, flat: bool = False, swapped: bool = False) -> Graph:
    """Four query heads over two key heads; with (batch * heads, ...) products if `flat`, v p^T if `swapped`."""
    b = GraphBuilder("grouped")
    q, k, v = b.input("q", (2, 4, 16, 8)), b.input("k", (2, 2, 24, 8)), b.input("v", (2, 2, 24, 8))
    k, v = (b.add("reshape", [x], shape=(2, 2, 1, 24, 8)) for x in (k, v))
    k, v = (b.add("reshape", [b.add("expand", [x], shape=(2, 2, 2, 24, 8))], shape=(2, 4, 24, 8)) for x in (k, v))
    if flat:
        q, k, v = (b.add("reshape", [x], shape=(8, *b.shape(x)[2:])) for x in (q, k, v))
    last = (0, 2, 1) if flat else (0, 1, 3, 2)
    scores = b.add("matmul", [b.add("elementwise", [q], fn="mul"), b.add("transpose", [k], perm=last)])
    scores = b.add("elementwise", [scores, b.input("mask", (1, 16, 24))], fn="add")
    scores = b.add("elementwise", [scores, b.weight(b.shape(scores)[1:])], fn="add")
    p = b.add("softmax", [scores])
    y = b.add("matmul", [b.add("transpose", [v], perm=last), b.add("transpose", [p], perm=last)]) if swapped else b.add("matmul", [p, v])
    return b.finish([y])


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_grouped_queries(flat: bool, swapped: bool) -> None:
    graph = grouped(flat=flat, swapped=swapped)
    folded = FoldAttention()(graph)
    kinds = Counter(n.kind for n in folded.nodes)
    assert kinds["attention"] == 1
    assert not kinds["matmul"] and not kinds["softmax"]
    assert (folded.macs, folded.parameters) == (graph.macs, graph.parameters)
    assert folded.tensors[folded.outputs[0]].shape == graph.tensors[graph.outputs[0]].shape
    attention = next(n for n in folded.nodes if n.kind == "attention")
    assert folded.tensors[attention.inputs[1]].shape == ((1, 8, 24, 8) if flat else (2, 2, 24, 8))
    assert len(attention.inputs) == 4


def test_nothing_to_fold_is_the_same_object() -> None:
    b = GraphBuilder("plain")
    graph = b.finish([b.add("softmax", [b.input("x", (2, 3))])])
    assert FoldAttention()(graph) is graph


def test_scores_read_elsewhere_stay() -> None:
    b = GraphBuilder("map")
    q = b.input("q", (1, 2, 4, 8))
    p = b.add("softmax", [b.add("matmul", [q, q], transpose_b=True)])
    graph = b.finish([b.add("matmul", [p, q]), p])
    assert FoldAttention()(graph) is graph


def test_scale_a_head_moves_to_the_queries() -> None:
    b = GraphBuilder("cosine")
    q = b.input("q", (1, 2, 4, 8))
    scores = b.add("elementwise", [b.add("matmul", [q, q], transpose_b=True), b.weight((2, 1, 1))], fn="mul")
    folded = FoldAttention()(b.finish([b.add("matmul", [b.add("softmax", [scores]), q])]))
    assert [n.kind for n in folded.nodes] == ["elementwise", "attention"]
    assert folded.parameters == 2
