"""Factors to the closed form of kinds of rows, from costs of whole networks: what learning starts from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.errors import UnknownName
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks import LIMIT

TRUST = 1e-3
"""Weight of the closed form as it is, a network: a kind that the sums say nothing of keeps a factor near 1."""
FEWEST = 5
"""Networks that a kind binds before it gets a factor of its own in a metric that takes the longest row."""


def kind_factors(graphs: Graphs, kinds: Sequence[str]) -> np.ndarray:
    """Logarithm of the factor of each kind and metric, shape `(kinds + 1, metrics)`; the last is that of rows of no kind.

    Non-negative least squares on relative errors where rows add up; where the longest row counts, the median ratio over the networks
    that rows of a kind bind. No factor is beyond `LIMIT`.

    Raises:
        UnknownName: a kind that is no feature.
    """
    member = kinds_of(graphs.features, [_place(graphs.feature_names, kind) for kind in kinds])
    found = np.zeros((len(kinds) + 1, len(graphs.metrics)))
    for m, how in enumerate(graphs.readout):
        one = graphs.metric(graphs.metrics[m])
        if len(one):
            rows = member if len(one) == len(graphs) else member[graphs.rows(np.flatnonzero(~np.isnan(graphs.measured[:, m])))]
            found[:, m] = (_adding if how == "sum" else _longest)(one, rows, len(kinds) + 1)
    return np.clip(found, -LIMIT, LIMIT)


def kinds_of(features: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Number of the kind of each row, shape `(rows,)`: the first column that is above one half, else the number of columns."""
    flags = np.concatenate([features[:, list(columns)] > 0.5, np.ones((len(features), 1), dtype=bool)], axis=1)
    return flags.argmax(axis=1)


def _place(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise UnknownName("feature", name, names)
    return list(names).index(name)


def _adding(one: Graphs, kind: np.ndarray, count: int) -> np.ndarray:
    from scipy.optimize import nnls

    sums = np.zeros((len(one), count))
    np.add.at(sums, (one.owner, kind), one.cost[:, 0])
    size = one.measured[:, 0] + offset(one.metrics[0])
    trust = np.sqrt(TRUST * len(one))
    wanted = np.concatenate([np.maximum(one.measured[:, 0] - one.rest[:, 0], 0.0) / size, np.full(count, trust)])
    return np.log(np.maximum(nnls(np.concatenate([sums / size[:, None], trust * np.eye(count)]), wanted)[0], 1e-9))


def _longest(one: Graphs, kind: np.ndarray, count: int) -> np.ndarray:
    add = offset(one.metrics[0])
    ratio = np.log((one.measured[:, 0] + add) / (one.closed_form[:, 0] + add))
    top = np.maximum.reduceat(one.cost[:, 0], one.start[:-1])
    binds = np.flatnonzero(one.cost[:, 0] == np.repeat(top, one.sizes))
    bound = kind[binds[np.searchsorted(binds, one.start[:-1])]]
    return np.array([np.median(ratio[bound == k]) if np.sum(bound == k) >= FEWEST else np.median(ratio) for k in range(count)])
