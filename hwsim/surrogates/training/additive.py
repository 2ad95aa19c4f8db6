"""Additive surrogates: cost = sum over rows of closed form x exp(g(features)), g a small network that starts at zero.

The sum keeps what the closed form knows of size; g learns how far a row is off, from its own features alone, so a network of more rows than
were ever seen is still a sum of rows that were.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import Mlp
from hwsim.surrogates.networks import LIMIT, build
from hwsim.surrogates.networks.recipes import AdditiveRecipe


def train(data: Graphs, recipe: AdditiveRecipe, *, names: tuple[str, ...], seed: int) -> Mlp:
    """One network for one metric, trained on one thread, as plain arrays; `names` are those of the features."""
    from hwsim.surrogates.training.loop import fit

    given = replace(data, feature_names=names)
    found = fit(build(recipe, given, seed=seed), given, recipe=recipe, seed=seed)
    return Mlp(found.model.mean.double().numpy(), found.model.scale.double().numpy(), tuple(found.model.linear()))


def predicted(members: tuple[Mlp, ...], data: Graphs) -> tuple[np.ndarray, np.ndarray]:
    """(logarithm of each network's cost, spread of the members' logarithms), shape `(networks,)` each; rows take the members' mean g."""
    factors = [np.clip(member(data.features), -LIMIT, LIMIT) for member in members]
    spread = np.std([np.log(_total(data, g)) for g in factors], axis=0)
    return np.log(np.maximum(_total(data, np.mean(factors, axis=0)), data.least[:, 0])), spread


def _total(data: Graphs, g: np.ndarray) -> np.ndarray:
    return data.total(np.maximum(data.cost * np.exp(g)[:, None], data.floor))[:, 0]
