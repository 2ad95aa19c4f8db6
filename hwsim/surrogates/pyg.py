"""Graphs and data sets as a dataset of PyG: one `Data` a network, for models that are written against torch_geometric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data, Dataset

from hwsim.surrogates.graphs import Graphs


class GraphsDataset(Dataset):
    """A view of `Graphs`, which are neither copied nor written anywhere.

    A network has `x` (features), `edge_index`, `y` (what was measured, not a number where it was not), and `cost`, `floor` (rows), `rest`,
    `least` (network); all float32, metrics along the last axis. Labels are attributes of the same name.

    Args:
        graphs: the networks.
        transform: called with each `Data` that is taken.
    """

    def __init__(self, graphs: Graphs, *, transform: Any = None) -> None:
        super().__init__(None, transform)
        self.graphs = graphs

    @classmethod
    def of(cls, source: str, *, family: str | None = None, metrics: Sequence[str] = (), transform: Any = None) -> GraphsDataset:
        """The data set of that name, folder or file; rows that cannot be lowered are left out.

        Raises:
            InputError: no such file, or nothing in it can be used.
            UnknownName: no data set of that name, or no such metric.
            DataMissing: its rows have not been built.
        """
        from hwsim.datasets.store import read
        from hwsim.surrogates.training.lowered import graphs_of

        return cls(graphs_of(read(source), family=family, metrics=metrics), transform=transform)

    def len(self) -> int:
        """Networks."""
        return len(self.graphs)

    def get(self, idx: int) -> Data:
        """One network."""
        graphs = self.graphs
        rows = slice(graphs.start[idx], graphs.start[idx + 1])
        edges = graphs.edges[:, graphs.edge_start[idx] : graphs.edge_start[idx + 1]] - graphs.start[idx]
        found = Data(
            x=_tensor(graphs.features[rows]),
            edge_index=torch.from_numpy(np.ascontiguousarray(edges, dtype=np.int64)),
            y=_tensor(graphs.measured[idx : idx + 1]),
            cost=_tensor(graphs.cost[rows]),
            floor=_tensor(graphs.floor[rows]),
            rest=_tensor(graphs.rest[idx : idx + 1]),
            least=_tensor(graphs.least[idx : idx + 1]),
        )
        for name, values in graphs.labels.items():
            found[name] = str(values[idx])
        return found


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
