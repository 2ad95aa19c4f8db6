"""Parts of graphs as tensors: own index arithmetic, no lists of graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hwsim.surrogates.graphs import Graphs, runs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks import encodings


@dataclass(frozen=True)
class Batch:
    """Several networks; rows, edges and networks are those of the batch."""

    x: torch.Tensor
    """Features, shape `(rows, features)`."""
    cost: torch.Tensor
    """Closed form, shape `(rows, metrics)`."""
    floor: torch.Tensor
    """Shape `(rows, metrics)`."""
    owner: torch.Tensor
    """Network of each row, shape `(rows,)`."""
    start: torch.Tensor
    """First row of each network and the end, shape `(networks + 1,)`."""
    edges: torch.Tensor
    """Shape `(2, edges)`."""
    rest: torch.Tensor
    """Shape `(networks, metrics)`."""
    least: torch.Tensor
    """Shape `(networks, metrics)`."""
    target: torch.Tensor
    """Logarithm of what was measured, and the offset; not a number where it was not; shape `(networks, metrics)`."""
    extra: torch.Tensor
    """What the network needs besides (`Batches`), shape `(rows, columns)`."""

    def __len__(self) -> int:
        return len(self.start) - 1


NEEDS: dict[str, Callable[[Graphs], np.ndarray]] = {"": encodings.none, "places": encodings.places, "structure": encodings.structure}
"""What a kind of network needs of each row beside its features."""


class Batches:
    """All networks of some graphs, of which batches are taken.

    Args:
        graphs: the networks.
        needs: a name in `NEEDS`.
        device: where batches go.
    """

    def __init__(self, graphs: Graphs, *, needs: str = "", device: str = "cpu") -> None:
        self.graphs, self.device = graphs, device
        self.extra = NEEDS[needs](graphs)
        self.columns = {
            name: getattr(graphs, name).astype(np.float32, copy=False) for name in ("features", "cost", "floor", "rest", "least")
        }
        with np.errstate(divide="ignore", invalid="ignore"):
            add = np.array([offset(name) for name in graphs.metrics])
            self.target = np.log(graphs.measured + add).astype(np.float32)
        self.size, self.edge_count = graphs.sizes, np.diff(graphs.edge_start)

    def __len__(self) -> int:
        return len(self.graphs)

    def of(self, chosen: np.ndarray) -> Batch:
        """These networks."""
        graphs, sizes = self.graphs, self.size[chosen]
        rows, start = runs(graphs.start, chosen), np.concatenate([[0], np.cumsum(sizes)])
        moved = np.repeat(start[:-1] - graphs.start[:-1][chosen], self.edge_count[chosen])
        edges = graphs.edges[:, runs(graphs.edge_start, chosen)] + moved
        by_row = (self.columns[name][rows] for name in ("features", "cost", "floor"))
        by_network = (self.columns[name][chosen] for name in ("rest", "least"))
        owner = np.repeat(np.arange(len(chosen)), sizes)
        held = (*by_row, owner, start, edges, *by_network, self.target[chosen], self.extra[rows])
        return Batch(*(torch.from_numpy(np.ascontiguousarray(a)).to(self.device) for a in held))
