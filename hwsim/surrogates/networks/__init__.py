"""Networks that learn costs from graphs of rows: built from a recipe, asked for costs. torch is imported when one is built.

A network is called with a batch and gives the logarithm of each network's cost, shape `(networks, metrics)`, plus `offset` where a metric
counts things: `log(cost + 1)`. Kinds that learn factors also give `factors`, the logarithm of what each row takes over its closed form.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks.recipes import Factored, NetworkRecipe

KINDS = {
    "additive": "hwsim.surrogates.networks.factored:Additive",
    "additive-gnn": "hwsim.surrogates.networks.messages:AdditiveGnn",
    "gin": "hwsim.surrogates.networks.messages:Gin",
    "gatv2": "hwsim.surrogates.networks.messages:Gatv2",
    "transformer": "hwsim.surrogates.networks.pooled:RowTransformer",
    "gps": "hwsim.surrogates.networks.messages:Gps",
}
"""`module:class` of each kind of recipe; `messages` needs torch_geometric."""
LIMIT = 3.0
"""Most that the logarithm of a factor may be, either way, beside calibration: a factor of twenty."""
ROWS = 8192
"""Rows that are answered at once, so that memory stays small."""


def kind_of(recipe: NetworkRecipe) -> str:
    """Name of the kind of a recipe."""
    return str(recipe.__struct_config__.tag)


def shaped(recipe: NetworkRecipe, *, feature_names: Sequence[str], metrics: Sequence[str], readout: Sequence[str]) -> Any:
    """An untrained network with nothing yet known of the data; its weights are drawn from torch's generator.

    Raises:
        InputError: torch or torch_geometric is not installed.
        UnknownName: a feature of the recipe that does not exist.
    """
    module, _, name = KINDS[kind_of(recipe)].partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise InputError(f"surrogates of kind {kind_of(recipe)!r} need {error.name}; install hwsim[surrogates]") from None
    return found(recipe, feature_names=tuple(feature_names), metrics=tuple(metrics), readout=tuple(readout))


def build(recipe: NetworkRecipe, graphs: Graphs, *, seed: int) -> Any:
    """A network before training: scales of features, calibration of the closed form and range of labels are those of the training set.

    Raises:
        InputError: torch or torch_geometric is not installed.
        UnknownName: a feature of the recipe that does not exist.
    """
    import torch

    torch.manual_seed(seed)
    model = shaped(recipe, feature_names=graphs.feature_names, metrics=graphs.metrics, readout=graphs.readout)
    model.adopt(graphs)
    return model


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Weights and what was taken from the training set, by name."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def restored(
    recipe: NetworkRecipe,
    weights: Mapping[str, np.ndarray],
    *,
    feature_names: Sequence[str],
    metrics: Sequence[str],
    readout: Sequence[str],
) -> Any:
    """The network whose `arrays` these are, ready to answer or to be trained further."""
    import torch

    model = shaped(recipe, feature_names=feature_names, metrics=metrics, readout=readout)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return model.eval()


def factors(model: Any, graphs: Graphs) -> np.ndarray:
    """Logarithm of what each row takes over its closed form, shape `(rows, metrics)`, float64; only of kinds that learn factors."""
    return factors_of((model,), graphs)[0]


def factors_of(members: Sequence[Any], graphs: Graphs) -> np.ndarray:
    """`factors` of several networks of one kind, shape `(members, rows, metrics)`."""
    return _asked(members, graphs, lambda member, batch: member.factors(batch))


def logs(members: Sequence[Any], graphs: Graphs) -> np.ndarray:
    """Logarithm of each network's cost and offset as members of one kind say it, shape `(members, networks, metrics)`, float64."""
    return _asked(members, graphs, lambda member, batch: member(batch))


def _asked(members: Sequence[Any], graphs: Graphs, ask: Callable[[Any, Any], Any]) -> np.ndarray:
    import torch

    from hwsim.surrogates.networks.batch import Batches

    torch.set_num_threads(1)
    for member in members:
        if member.training:
            member.eval()
    batches, found = Batches(graphs, needs=members[0].needs), []
    with torch.inference_mode():
        for part in parts(graphs.sizes):
            batch = batches.of(part)
            found.append(np.stack([ask(member, batch).double().numpy() for member in members]))
    return np.concatenate(found, axis=1)


def parts(sizes: np.ndarray, *, rows: int = ROWS) -> list[np.ndarray]:
    """Networks by number, cut into runs of about `rows` rows."""
    cut = np.flatnonzero(np.diff(np.cumsum(sizes) // rows)) + 1
    return np.split(np.arange(len(sizes)), cut)


def answers(members: Sequence[Any], graphs: Graphs) -> tuple[np.ndarray, np.ndarray]:
    """(costs, spread of the members' logarithms), shape `(networks, metrics)` each.

    Factors are averaged row by row, pooled costs network by network. Factors never take a row below its physics, nothing a network below
    what its host allows.
    """
    add = np.array([offset(name) for name in graphs.metrics])
    if isinstance(members[0].recipe, Factored):
        rows = factors_of(members, graphs)
        spread = np.std([np.log(with_factors(members[0].recipe, graphs, g) + add) for g in rows], axis=0) if len(rows) > 1 else 0.0
        found = with_factors(members[0].recipe, graphs, np.mean(rows, axis=0))
    else:
        said = logs(members, graphs)
        found, spread = np.exp(np.mean(said, axis=0)) - add, np.std(said, axis=0)
    return np.maximum(found, graphs.least), np.broadcast_to(spread, found.shape)


def with_factors(recipe: Factored, graphs: Graphs, rows: np.ndarray) -> np.ndarray:
    """Costs of networks, shape `(networks, metrics)`, whose rows take `exp(rows)` times their closed form."""
    grain = recipe.grain * np.array([offset(name) for name in graphs.metrics])
    return graphs.total(np.maximum((graphs.cost + grain) * np.exp(rows), graphs.floor))


def predicted(members: Any, graphs: Graphs) -> np.ndarray:
    """Costs in the metrics' units, shape `(networks, metrics)`, of one network or of several together."""
    return answers(members if isinstance(members, Sequence) else (members,), graphs)[0]
