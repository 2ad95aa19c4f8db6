"""Local rewriting of a graph: nodes replaced in place, what becomes unused removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hwsim import ops
from hwsim.dtypes import DType
from hwsim.graph import Graph, Node, Tensor, infer
from hwsim.ops import Shape


class Rewriter:
    """Collects replacements of nodes of one graph.

    >>> from hwsim.graph import GraphBuilder
    >>> b = GraphBuilder("twice")
    >>> y = b.add("activation", [b.add("activation", [b.input("x", (4,))], fn="relu")], fn="relu")
    >>> rewriter = Rewriter(b.finish([y]))
    >>> second = rewriter.graph.producer[y]
    >>> with rewriter.replacing(second):
    ...     _ = rewriter.emit("copy", ["x"], output=y)
    >>> [node.kind for node in rewriter.finish().nodes]
    ['copy']
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors = dict(graph.tensors)
        self._new: dict[str, list[Node]] = {}
        self._makers: dict[str, Node] = {}
        self._names = {node.name for node in graph.nodes}
        self._place: Node | None = None

    @contextmanager
    def replacing(self, node: Node) -> Iterator[None]:
        """What is emitted inside stands in the place of `node`; one of the emitted nodes must make each output still in use."""
        self._place, self._new[node.name] = node, []
        try:
            yield
        finally:
            self._place = None

    def emit(self, kind: str, inputs: Sequence[str], *, output: str | None = None, dtype: DType | None = None, **attrs: Any) -> str:
        """Add a node with one result; `output`: an existing tensor that it makes instead of a new one. Returns the result."""
        assert self._place is not None, "emit outside of replacing"
        op = ops.get(kind)
        complete = op.complete(attrs)
        name = self._fresh(f"{self._place.name}/{kind}")
        shape = infer(op, [self.tensors[i].shape for i in inputs], complete, where=f"node {name!r} ({kind})")[0]
        result = output or f"{name}:0"
        old = self.tensors.get(result)
        self.tensors[result] = Tensor(result, shape, dtype or (old or self.tensors[inputs[0]]).dtype)
        node = self._makers[result] = Node(name, kind, tuple(inputs), (result,), complete, self._place.path)
        self._new[self._place.name].append(node)
        return result

    def maker(self, name: str) -> Node | None:
        """The node that makes `name`, emitted ones included."""
        return self._makers.get(name) or self.graph.producer.get(name)

    def reshaped(self, name: str, shape: Shape) -> str:
        """`name` in another shape (itself if it has it already)."""
        return name if self.tensors[name].shape == shape else self.emit("reshape", [name], shape=shape)

    def finish(self) -> Graph:
        """The rewritten graph without what nobody reads any more; the same object if nothing was replaced."""
        if not self._new:
            return self.graph
        nodes = self._alive([n for old in self.graph.nodes for n in self._new.get(old.name, [old])])
        return self.graph.replace(nodes=tuple(nodes), tensors=self._used(nodes))

    def _alive(self, nodes: Sequence[Node]) -> list[Node]:
        """`nodes` without what only replaced nodes read, and what was emitted in vain."""
        touched = [n for n in self.graph.nodes if n.name in self._new] + [n for new in self._new.values() for n in new]
        suspects = {name for node in touched for name in (*node.inputs, *node.outputs)}
        read, kept = set(self.graph.outputs), []
        for node in reversed(nodes):
            if suspects.intersection(node.outputs) and not read.intersection(node.outputs):
                suspects.update(node.inputs)
                continue
            read.update(node.inputs)
            kept.append(node)
        return kept[::-1]

    def _used(self, nodes: Sequence[Node]) -> dict[str, Tensor]:
        """Tensors of `nodes`, and of those without a maker all but the constants that lost their readers."""
        made = {name for node in nodes for name in node.outputs}
        read = {name for node in nodes for name in node.inputs}
        was_read = self.graph.consumers
        return {
            name: t
            for name, t in self.tensors.items()
            if name in made or t.role in ("input", "weight") or (t.role == "constant" and (name in read or name not in was_read))
        }

    def _fresh(self, name: str) -> str:
        unique, count = name, 1
        while unique in self._names:
            unique, count = f"{name}#{count}", count + 1
        self._names.add(unique)
        return unique


def lonely(graph: Graph, node: Node) -> bool:
    """Whether one node at most reads each result of `node`, and none leaves the graph."""
    return all(len(graph.consumers.get(name, ())) <= 1 and name not in graph.outputs for name in node.outputs)


def makers(graph: Graph, names: Iterable[str]) -> list[Node]:
    """The nodes that make `names`."""
    return [graph.producer[name] for name in names if name in graph.producer]
