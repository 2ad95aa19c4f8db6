"""Networks of the published FPGA designs, by the names that rows of `fpga-designs` have for them."""

from __future__ import annotations

from functools import cache

from hwsim.datasets import hls_cnn_designs, hls_designs
from hwsim.errors import DataMissing
from hwsim.graph import Graph

READERS = {
    "dense1": lambda: [*hls_designs.dense1("resource")[0], *hls_designs.dense1("latency")[0]],
    "dense2": hls_designs.dense2,
    "argykokk": hls_designs.argykokk,
    "kebl": hls_cnn_designs.kebl,
    "tutorial": hls_cnn_designs.tutorial,
    "ci": lambda: hls_cnn_designs.continuous_integration()[0],
    "routed": hls_designs.routed,
}
"""Source of a design to the function that reads its designs."""


def network(name: str) -> Graph | None:
    """The network of a design such as `dense1:dense_32_64_8b`; None where no design has that name, or its source is not there."""
    source, mark, design = name.partition(":")
    if not mark or source not in READERS:
        return None
    try:
        return _networks(source).get(design)
    except DataMissing:
        return None


@cache
def _networks(source: str) -> dict[str, Graph]:
    found = {design.name: design.graph for design in READERS[source]()}
    return {**_attempts(), **found} if source == "dense1" else found


def _attempts() -> dict[str, Graph]:
    """Layers that the tool gave up on, too."""
    rows = [row for strategy in ("resource", "latency") for row in hls_designs.dense1(strategy)[1].itertuples()]
    sizes = {str(row.model_name): (int(row.d_in), int(row.d_out)) for row in rows}
    return {name: hls_designs._mlp(f"dense_{i}_{o}", (i, o)) for name, (i, o) in sizes.items()}
