"""A spiking network for gestures seen by an event camera, as mapped on Loihi."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import conv, linear
from hwsim.zoo.registry import model
from hwsim.zoo.spiking import neuron


@model(
    "dvs_gesture",
    family="spiking_cnn",
    summary="DVS gestures, 32 x 32 events, four convolutions, 128 timesteps",
    source="Boyle et al., SANA-FE: simulating advanced neuromorphic architectures for fast exploration, arXiv:2309.08073, snn/dvs.yaml",
)
def dvs_gesture(*, name: str = "dvs_gesture", batch: int = 1, timesteps: int = 128) -> Graph:
    """18,678 neurons: events counted into a frame that drives 1,024 of them, convolutions without padding, a dense layer of 11."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = neuron(b, b.input("frame", (batch, 1, 32, 32)), path="input")
    for i, (width, stride) in enumerate(((16, 2), (32, 1), (64, 1), (11, 1)), start=1):
        x = neuron(b, conv(b, x, width, 3, path=f"conv{i}", stride=stride, padding=0), path=f"conv{i}_lif")
    x = b.add("reshape", [x], path="flatten", shape=(batch, 891))
    return b.finish([neuron(b, linear(b, x, 11, path="dense", bias=False), path="dense_lif")])
