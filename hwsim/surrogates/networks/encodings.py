"""Where a row stands in its network, as numbers: distance from the input, Laplacian and random-walk encodings.

Sources: Dwivedi et al. 2023, Benchmarking Graph Neural Networks (Laplacian eigenvectors); Dwivedi et al. 2022, Graph Neural Networks with
Learnable Structural and Positional Representations (random walks); Rampasek et al. 2022, Recipe for a General, Powerful, Scalable Graph
Transformer.
"""

from __future__ import annotations

import numpy as np

from hwsim.surrogates.graphs import Graphs

EIGENVECTORS, STEPS = 4, 6
"""Laplacian eigenvectors beside the constant one, and steps of random walks."""


def none(graphs: Graphs) -> np.ndarray:
    """Nothing, shape `(rows, 0)`."""
    return np.zeros((len(graphs.features), 0), dtype=np.float32)


def places(graphs: Graphs) -> np.ndarray:
    """Fewest edges from a row that no other row feeds, shape `(rows, 1)`, float32; the first row stands for these where there are none."""
    return _distances(graphs, *graphs.edges)[:, None].astype(np.float32)


def _distances(graphs: Graphs, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    far = len(graphs.features)
    found = np.where(np.bincount(target, minlength=far) == 0, 0, far)
    closed = np.minimum.reduceat(found, graphs.start[:-1]) > 0
    found[graphs.start[:-1][closed]] = 0
    while True:
        nearer = found.copy()
        np.minimum.at(nearer, target, found[source] + 1)
        if np.array_equal(nearer, found):
            return np.where(found == far, 0, found)
        found = nearer


def structure(graphs: Graphs) -> np.ndarray:
    """Eigenvectors, returns of random walks, distances from the input and to the output; shape `(rows, 4 + 6 + 2)`, float32.

    Networks of the same shape share the work. An eigenvector's sign is chosen so that its largest entry is positive.
    """
    known: dict[bytes, np.ndarray] = {}
    found = []
    for i, first in enumerate(graphs.start[:-1]):
        edges, count = graphs.edges[:, graphs.edge_start[i] : graphs.edge_start[i + 1]] - first, int(graphs.sizes[i])
        key = count.to_bytes(4, "little") + edges.tobytes()
        if key not in known:
            known[key] = _structure(edges, count)
        found.append(known[key])
    ends = [np.log1p(_distances(graphs, *pair))[:, None] for pair in (graphs.edges, graphs.edges[::-1])]
    return np.concatenate([np.concatenate(found), *ends], axis=1).astype(np.float32)


def _structure(edges: np.ndarray, count: int) -> np.ndarray:
    joined = np.zeros((count, count))
    joined[edges[0], edges[1]] = joined[edges[1], edges[0]] = 1.0
    degree = np.maximum(joined.sum(axis=1), 1.0)
    laplacian = np.eye(count) - joined / np.sqrt(degree[:, None] * degree)
    vectors = np.linalg.eigh(laplacian)[1][:, 1 : EIGENVECTORS + 1]
    largest = np.take_along_axis(vectors, np.abs(vectors).round(9).argmax(axis=0)[None], axis=0)
    held = np.zeros((count, EIGENVECTORS + STEPS))
    held[:, : vectors.shape[1]] = vectors * np.where(largest < 0, -1.0, 1.0)
    step, walk = joined / degree[:, None], np.eye(count)
    for i in range(STEPS):
        walk = walk @ step
        held[:, EIGENVECTORS + i] = np.diag(walk)
    return held
