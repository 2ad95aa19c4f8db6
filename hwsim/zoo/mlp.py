"""Small dense networks."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, linear
from hwsim.zoo.registry import model


@model(
    "jet_tagger",
    family="mlp",
    summary="jet substructure classifier, 16-64-32-32-5",
    source="Duarte et al. 2018, Fast inference of deep neural networks in FPGAs for particle physics, arXiv:1804.06913",
)
def mlp(*, name: str = "mlp", batch: int = 1, num_inputs: int = 16, widths: tuple[int, ...] = (64, 32, 32), num_classes: int = 5) -> Graph:
    """Dense layers with ReLU, softmax at the end."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = b.input("features", (batch, num_inputs))
    for i, width in enumerate(widths, start=1):
        x = act(b, linear(b, x, width, path=f"fc{i}"), "relu", path=f"relu{i}")
    return b.finish([b.add("softmax", [linear(b, x, num_classes, path="output")], path="softmax")])
