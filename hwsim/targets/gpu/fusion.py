"""Which graph nodes run as one kernel, by the habits of a runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwsim.graph import Graph, Node
from hwsim.targets.gpu.runtimes import Runtime

EXTERN = frozenset(
    {"linear", "matmul", "conv", "attention", "recurrent", "selective_scan", "ssd", "lmu_memory", "fft", "sort", "topk", "scatter"}
)
"""Kinds that library kernels run."""
MOVES = frozenset({"copy", "transpose"})
"""Layout kinds that a code generator writes as point-wise kernels."""
STRIDED = frozenset(
    {"matmul", "attention", "activation", "elementwise", "cast", "norm", "softmax", "reduce", "copy", "quantize", "dequantize"}
)
"""Kinds that read a transposed operand through its strides, so that the transposition costs nothing."""


def category(node: Node) -> str:
    """What fusion sees: a batch norm at inference is a scale and a shift, point by point."""
    return "pointwise" if node.kind == "norm" and node.attrs["fn"] == "batch" else node.op.category


@dataclass
class Group:
    """Nodes of one kernel, in order; the anchor names it."""

    nodes: list[Node] = field(default_factory=list)
    size: int = 0
    """Elements of the iteration space."""
    extern: bool = False
    reduces: bool = False

    @property
    def anchor(self) -> Node:
        """The node that the kernel is named after: the library kernel, the reduction, or the first."""
        if self.extern or len(self.nodes) == 1:
            return self.nodes[0]
        return next((node for node in self.nodes if category(node) == "reduction"), self.nodes[0])


class Fuser:
    """Groups the nodes of a graph. A node may join only the latest group among its producers, so groups stay in order."""

    def __init__(self, graph: Graph, runtime: Runtime, *, channels_last: bool) -> None:
        self.graph, self.runtime, self.channels_last = graph, runtime, channels_last
        self.root: dict[str, str] = {}
        self.owner: dict[str, int] = {}
        self.groups: list[Group] = []
        self.fixed = {t.name for t in graph.tensors.values() if t.role in ("weight", "constant")}

    def run(self) -> list[Group]:
        """All groups, in an order that respects data flow."""
        for node in self.graph.nodes:
            self._visit(node)
        return self.groups

    def storage(self, name: str) -> str:
        """The tensor whose memory `name` is a view of."""
        return self.root.get(name, name)

    def _visit(self, node: Node) -> None:
        if self._is_free(node):
            self._alias(node)
        elif self.runtime.folds_constants and self._is_constant(node):
            self.fixed.update(node.outputs)
        else:
            self._place(node)

    def _is_free(self, node: Node) -> bool:
        return (
            node.op.category in ("view", "unsupported")
            or (node.kind == "transpose" and self._strided(node))
            or (node.kind == "cast" and self.graph.tensors[node.inputs[0]].dtype == self.graph.tensors[node.outputs[0]].dtype)
            or (node.kind in ("activation", "elementwise") and node.attrs["fn"] == "identity")
        )

    def _is_constant(self, node: Node) -> bool:
        return all(self.storage(name) in self.fixed for name in node.inputs)

    def _alias(self, node: Node) -> None:
        source = self.storage(node.inputs[0]) if node.inputs else ""
        for name in node.outputs:
            self.root[name] = source or name
            if source in self.owner:
                self.owner[name] = self.owner[source]

    def _strided(self, node: Node) -> bool:
        """A transposition that its readers undo through strides, or one between the two orders of image memory."""
        shape, perm = self.graph.tensors[node.inputs[0]].shape, node.attrs["perm"]
        moved = [axis for axis in perm if shape[axis] > 1]
        if moved == sorted(moved):
            return True
        if self.channels_last and _between_layouts(perm):
            return True
        readers = self.graph.consumers.get(node.outputs[0], ())
        return bool(readers) and all(self._reads_strides(reader) for reader in readers)

    def _reads_strides(self, node: Node) -> bool:
        if node.kind in STRIDED:
            return True
        if node.kind in ("slice", "split", "expand", "transpose"):
            return all(self._reads_strides(r) for out in node.outputs for r in self.graph.consumers.get(out, ()))
        return False

    def _place(self, node: Node) -> None:
        what = category(node)
        latest = max((self.owner.get(self.root.get(name, name), -1) for name in node.inputs), default=-1)
        if latest >= 0 and self._joins(node, what, self.groups[latest]):
            index = latest
        else:
            index = len(self.groups)
            self.groups.append(Group(extern=node.kind in EXTERN, size=self._space(node, what)))
        group = self.groups[index]
        group.nodes.append(node)
        group.reduces |= what == "reduction"
        for name in node.outputs:
            self.owner[name] = index

    def _space(self, node: Node, what: str) -> int:
        """Elements that a generated kernel walks over."""
        names = (*node.outputs, *node.inputs) if what == "reduction" else node.outputs
        return max((self.graph.tensors[name].size for name in names), default=0)

    def _joins(self, node: Node, what: str, group: Group) -> bool:
        if group.extern:
            return self.runtime.fuses_epilogue and what == "pointwise" and self._output_size(node) == group.size
        if not self.runtime.fuses_pointwise or node.kind in EXTERN:
            return False
        if what == "reduction" and node.kind != "pool":
            return not group.reduces and self._space(node, what) == group.size
        if what == "pointwise" or node.kind in MOVES:
            return self._output_size(node) in (group.size, self._output_size(group.nodes[-1]))
        return False

    def _output_size(self, node: Node) -> int:
        return self.graph.tensors[node.outputs[0]].size


def _between_layouts(perm: Sequence[int]) -> bool:
    """NCHW to NHWC or back, in two or three dimensions."""
    rank = len(perm)
    return rank in (4, 5) and tuple(perm) in ((0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1)))
