"""Additive surrogates: cost = sum over rows of closed form x exp(g(features)), g a small network that starts at zero.

The sum keeps what the closed form knows of size; g learns how far a row is off, from its own features alone, so a network of more rows than
were ever seen is still a sum of rows that were.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.mlp import Mlp


class AdditiveRecipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="additive"):
    """How an additive surrogate is trained."""

    width: int = 96
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""
    epochs: int = 20
    networks_per_step: int = 128
    learning_rate: float = 3e-3
    """Peak of a one-cycle schedule."""
    weight_decay: float = 1e-3
    shrinkage: float = 1e-3
    """Weight of the mean square of g: a row that the sums say nothing of keeps its closed form."""
    beta: float = 0.05
    """Error of the logarithm at which the loss turns from square to absolute."""
    hidden_features: tuple[str, ...] = ()
    """Features that the network does not see."""


def train(
    data: Graphs, recipe: AdditiveRecipe, *, names: tuple[str, ...], seed: int, progress: Callable[[int, float], None] | None = None
) -> Mlp:
    """One network, trained on one thread.

    Args:
        names: of the features.
        progress: called after each epoch with its number and mean loss.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    mean, scale = standardised(data.features, names, recipe.hidden_features)
    net = _network(torch, data.features.shape[1], recipe)
    x = torch.from_numpy(((data.features - mean) / scale).astype(np.float32))
    cost, target = (torch.from_numpy(a.astype(np.float32)) for a in (data.cost[:, 0], np.log(data.measured[:, 0])))
    order, steps = np.random.default_rng(seed), max(1, len(data) // recipe.networks_per_step)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps)
    for epoch in range(recipe.epochs):
        total = 0.0
        for chosen in np.array_split(order.permutation(len(data)), steps):
            loss = _loss(torch, net, data, chosen, x, cost, target, recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        if progress:
            progress(epoch, total / steps)
    return _exported(net, mean, scale)


def standardised(features: np.ndarray, names: tuple[str, ...], hidden: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(mean, scale) of each feature; one that is not seen gets a scale so large that it says nothing."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    seen = np.array([name not in hidden for name in names]) & (scale > 1e-9)
    return mean, np.where(seen, scale, 1e12)


def _network(torch: Any, inputs: int, recipe: AdditiveRecipe) -> Any:
    sizes, layers = [inputs, *[recipe.width] * recipe.depth], []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    last = torch.nn.Linear(sizes[-1], 1)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Sequential(*layers, last)


def _loss(torch: Any, net: Any, data: Graphs, chosen: np.ndarray, x: Any, cost: Any, target: Any, recipe: AdditiveRecipe) -> Any:
    rows = torch.from_numpy(data.rows(chosen))
    owner = torch.from_numpy(np.repeat(np.arange(len(chosen)), np.diff(data.start)[chosen]))
    g = net(x[rows])[:, 0]
    total = torch.zeros(len(chosen)).index_add_(0, owner, cost[rows] * torch.exp(g.clamp(-LIMIT, LIMIT)))
    error = torch.nn.functional.smooth_l1_loss(torch.log(total), target[torch.from_numpy(chosen)], beta=recipe.beta)
    return error + recipe.shrinkage * (g**2).mean()


LIMIT = 3.0
"""Most that g may be, either way: a factor of twenty."""


def _exported(net: Any, mean: np.ndarray, scale: np.ndarray) -> Mlp:
    layers = [
        (m.weight.detach().numpy().astype(np.float64), m.bias.detach().numpy().astype(np.float64)) for m in net if hasattr(m, "weight")
    ]
    return Mlp(mean, scale, tuple(layers))


def predicted(members: tuple[Mlp, ...], data: Graphs) -> tuple[np.ndarray, np.ndarray]:
    """(logarithm of each network's cost, spread of the members' logarithms), shape `(networks,)` each; rows take the members' mean g."""
    factors = [np.clip(member(data.features), -LIMIT, LIMIT) for member in members]
    spread = np.std([np.log(_total(data, g)) for g in factors], axis=0)
    return np.log(np.maximum(_total(data, np.mean(factors, axis=0)), data.least[:, 0])), spread


def _total(data: Graphs, g: np.ndarray) -> np.ndarray:
    return data.total(np.maximum(data.cost * np.exp(g)[:, None], data.floor))[:, 0]
