"""Which tensors of a graph are spikes, and which neurons fire them."""

from __future__ import annotations

from hwsim.graph import Graph, Node
from hwsim.ops.spiking import SPIKING


class Spikes:
    """Which tensors of a graph are spikes."""

    THROUGH = frozenset({"reshape", "transpose", "slice", "split", "expand", "copy", "concat", "pad", "delay"})

    def __init__(self, graph: Graph, *, integers_fire: bool) -> None:
        self.graph, self.integers_fire = graph, integers_fire
        self._known: dict[str, bool] = {}

    def fires(self, tensor: str) -> bool:
        """Whether a tensor is 0 or 1 (or, where they count, a sum of such)."""
        if tensor not in self._known:
            node = self.graph.producer.get(tensor)
            self._known[tensor] = node is not None and self._made_of_spikes(node)
        return self._known[tensor]

    def _made_of_spikes(self, node: Node) -> bool:
        if node.kind == "neuron":
            return node.attrs["model"] in SPIKING and (self.integers_fire or node.attrs["levels"] == 1)
        if node.kind == "previous":
            return True
        if node.kind in self.THROUGH or (node.kind == "pool" and node.attrs.get("fn") == "max"):
            return all(self.fires(t) for t in node.inputs)
        if node.kind == "elementwise" and (node.attrs["fn"] == "mul" or (self.integers_fire and node.attrs["fn"] == "add")):
            return all(self.fires(t) for t in node.inputs)
        return False

    def origin(self, tensor: str) -> str:
        """The tensor that a view shows."""
        node = self.graph.producer.get(tensor)
        return self.origin(node.inputs[0]) if node is not None and node.kind in self.THROUGH else tensor

    def sources(self, tensor: str) -> tuple[str, ...]:
        """Module paths whose output a spiking tensor is, nearest first: the node behind views and pools, the neurons behind that.

        A sum, a gate or several tensors side by side fire at a rate of their own: what is behind them says nothing.
        """
        node = self.graph.producer.get(tensor)
        if node is None or not self.fires(tensor):
            return ()
        single = node.kind != "neuron" and len(node.inputs) == 1
        return (node.path, *(self.sources(node.inputs[0]) if single else ()))

    def averaged(self, tensor: str) -> bool:
        """Whether a tensor is a mean over the image and the timesteps, which is made once."""
        node = self.graph.producer.get(tensor)
        return node is not None and node.kind == "reduce" and node.attrs["fn"] == "mean"
