"""Automatic mixed precision, as PyTorch's autocast does it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.dtypes import DType, dtype
from hwsim.graph import Graph, Node, Tensor

LOW = frozenset({"linear", "matmul", "conv", "attention", "recurrent", "selective_scan", "ssd"})
"""Kinds that run in the low precision."""
HIGH_NORMS = frozenset({"layer", "rms", "group", "l2"})
HIGH_FUNCTIONS = frozenset({"exp", "log", "pow", "rsqrt", "reciprocal", "softplus", "log1p", "expm1"})
"""What runs in fp32 (torch.amp, 'CUDA Ops that can autocast to float32')."""


@dataclass(frozen=True)
class Autocast:
    """Low precision for matrix products and convolutions, fp32 for softmax and layer norms, the widest input elsewhere."""

    low: str = "fp16"
    """fp16 or bf16."""

    def __call__(self, graph: Graph) -> Graph:
        """A graph with `cast` nodes where a low-precision operator reads fp32; weights stay fp32 in memory but are read in `low`."""
        return _Caster(graph, dtype(self.low)).run()


class _Caster:
    def __init__(self, graph: Graph, low: DType) -> None:
        self.graph, self.low, self.high = graph, low, dtype("fp32")
        self.tensors = dict(graph.tensors)
        self.nodes: list[Node] = []
        self.casts: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self._visit(node)
        return self.graph.replace(nodes=tuple(self.nodes), tensors=self.tensors)

    def _visit(self, node: Node) -> None:
        if node.kind in LOW:
            node = replace(node, inputs=tuple(self._lowered(name, node) for name in node.inputs))
        target = self._format(node)
        self.nodes.append(node)
        for name in node.outputs:
            tensor = self.graph.tensors[name]
            self.tensors[name] = replace(tensor, dtype=target) if target and _floating(tensor) else tensor

    def _format(self, node: Node) -> DType | None:
        if node.kind in LOW:
            return self.low
        if node.kind == "softmax" or (node.kind == "norm" and node.attrs["fn"] in HIGH_NORMS):
            return self.high
        if node.kind in ("activation", "elementwise") and node.attrs["fn"] in HIGH_FUNCTIONS:
            return self.high
        if node.kind in ("cast", "dequantize", "generate", "quantize"):
            return None
        flowing = [self.tensors[n] for n in node.inputs if self.tensors[n].role in ("activation", "input") and _floating(self.tensors[n])]
        return max((t.dtype for t in flowing), key=lambda d: d.bits, default=None)

    def _lowered(self, name: str, node: Node) -> str:
        tensor = self.tensors[name]
        if not _floating(tensor) or tensor.dtype.bits <= self.low.bits:
            return name
        if tensor.role in ("weight", "constant"):
            return self._cached_weight(name, tensor)
        if name not in self.casts:
            new = Tensor(f"{name}:{self.low}", tensor.shape, self.low)
            self.tensors[new.name] = new
            self.nodes.append(Node(f"{name}:cast", "cast", (name,), (new.name,), {"to": self.low.name}, node.path))
            self.casts[name] = new.name
        return self.casts[name]

    def _cached_weight(self, name: str, tensor: Tensor) -> str:
        self.tensors[name] = replace(tensor, dtype=self.low)
        return name


def _floating(tensor: Tensor) -> bool:
    return tensor.dtype.is_float and not tensor.dtype.name.startswith("complex")
