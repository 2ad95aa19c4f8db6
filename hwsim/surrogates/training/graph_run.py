"""Trained networks over graphs as a surrogate on the shelf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from hwsim.surrogates.domain import Domain
from hwsim.surrogates.graph_model import KIND
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks import arrays
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training.outcomes import Outcome
from hwsim.surrogates.training.recipe import Recipe, plain
from hwsim.surrogates.training.residual import card, seen, tables

AGREE = 0.99
"""Share of the judged networks on which members agree as well as is asked of what is trusted."""


def stored(
    recipe: Recipe, data: Graphs, members: Sequence[Any], outcomes: Sequence[Outcome], spread: np.ndarray, groups: np.ndarray
) -> Stored:
    """What is written to a folder.

    Args:
        recipe: what was trained.
        data: everything that it was trained on.
        members: trained networks.
        outcomes: what was judged, by metric.
        spread: of the members' logarithms when judged, shape `(networks, metrics)`.
        groups: of the networks, for tables, shape `(networks,)`.
    """
    from hwsim.surrogates.training.run import suite_of

    weights = {f"member{i}.{name}": value for i, member in enumerate(members) for name, value in arrays(member).items()}
    weights |= Domain.fit(data).arrays() | seen(data)
    metrics = {
        "suite": suite_of(recipe),
        "networks": len(data),
        "metrics": {o.metric: tables(o, groups[o.networks]) for o in outcomes},
    }
    return Stored(recipe.name, _config(recipe, data, spread, len(members)), weights, metrics, card(recipe, metrics, 0))


def _config(recipe: Recipe, data: Graphs, spread: np.ndarray, members: int) -> dict[str, Any]:
    devices = sorted(set(data.labels["device"].tolist())) if "device" in data.labels else []
    return {
        "family": recipe.family,
        "kind": KIND,
        "auto": recipe.auto,
        "members": members,
        "model": msgspec.to_builtins(recipe.model),
        "features": list(data.feature_names),
        "metrics": list(data.metrics),
        "readout": list(data.readout),
        "trusted": {
            "mapping": dict(recipe.trusted.mapping),
            "devices": list(recipe.trusted.devices) or devices,
            "graph_without": list(recipe.trusted.graph_without),
            "spread": [round(float(v), 6) for v in np.nanquantile(spread, AGREE, axis=0)],
        },
        "recipe": plain(recipe),
    }
