"""Small spiking networks that were measured on chips."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import linear
from hwsim.zoo.registry import model
from hwsim.zoo.spiking import neuron


@model(
    "keyword_spotter",
    family="spiking_mlp",
    summary="keyword spotting on Loihi: 390-256-256-29, 10 timesteps",
    source="Blouw et al. 2019, Benchmarking keyword spotting efficiency on neuromorphic hardware, arXiv:1812.01739",
)
def keyword_spotter(*, name: str = "keyword_spotter", batch: int = 1, copies: int = 0, layers: int = 10, timesteps: int = 10) -> Graph:
    """Dense spiking layers; with `copies` the scaled family of the benchmark: so many stacks of `layers` layers of 256 side by side."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = b.input("features", (batch, 390))
    for i in range(2 if not copies else 1):
        x = neuron(b, linear(b, x, 256, path=f"layer{i}"), path=f"lif{i}")
    ends = [x]
    for copy in range(copies):
        y = x
        for i in range(layers):
            y = neuron(b, linear(b, y, 256, path=f"copy{copy}.layer{i}"), path=f"copy{copy}.lif{i}")
        ends.append(y)
    outputs = [linear(b, y, 29, path=f"output{i}" if i else "output") for i, y in enumerate(ends)]
    return b.finish(outputs)


@model(
    "pilotnet_lif",
    family="pilotnet",
    summary="PilotNet with LIF neurons, 16 timesteps",
    source="lava-dl, PilotNet LIF; Bojarski et al. 2016, arXiv:1604.07316",
)
@model(
    "pilotnet_sdnn",
    family="pilotnet",
    summary="PilotNet with sigma-delta neurons, frames encoded outside, a timestep a frame",
    source="lava-dl, PilotNet SDNN; Bojarski et al. 2016, arXiv:1604.07316",
    timesteps=1,
    encoded=True,
)
def pilotnet_lif(*, name: str = "pilotnet_lif", batch: int = 1, timesteps: int = 16, encoded: bool = False) -> Graph:
    """Five convolutions and four dense layers over images of 200 x 66.

    `encoded`: what comes in are spikes already (sigma-delta neurons count as leaky ones here); else neurons turn the image into spikes.
    """
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = b.input("image", (batch, 3, 66, 200))
    x = x if encoded else neuron(b, x, path="input_lif")
    shapes = ((24, (2, 2), (0, 0)), (36, (2, 2), (0, 0)), (48, (2, 2), (0, 0)), (64, (2, 1), (1, 0)), (64, (1, 1), (0, 0)))
    for i, (width, stride, padding) in enumerate(shapes, start=1):
        weights = b.weight((width, b.shape(x)[1], 3, 3), name=f"conv{i}.weight")
        x = b.add("conv", [x, weights], path=f"conv{i}", stride=stride, padding=padding)
        x = neuron(b, x, path=f"conv{i}_lif")
    x = b.add("reshape", [x], path="flatten", shape=(batch, 2560))
    for i, width in enumerate((100, 50, 10, 1), start=1):
        x = neuron(b, linear(b, x, width, path=f"dense{i}", bias=False), path=f"dense{i}_lif")
    return b.finish([x])


@model(
    "oxford",
    family="spiking_mlp",
    summary="spike trains to a drawing of Oxford: 200-256-200, 2000 timesteps",
    source="lava-dl, Oxford tutorial; spike trains after Zenke and Ganguli 2018, SuperSpike, arXiv:1705.11146",
)
def oxford(*, name: str = "oxford", batch: int = 1, timesteps: int = 2000) -> Graph:
    """Two dense spiking layers."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    x = b.input("spikes", (batch, 200))
    for i, width in enumerate((256, 200), start=1):
        x = neuron(b, linear(b, x, width, path=f"dense{i}", bias=False), path=f"dense{i}_lif")
    return b.finish([x])
