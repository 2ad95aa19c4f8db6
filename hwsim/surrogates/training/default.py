"""A recipe for a data set that comes without one: what it says of itself, and strong shrinkage while it is small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwsim.surrogates.training.lowered import Lowered
from hwsim.surrogates.training.recipe import LeftOut, Recipe, Trusted
from hwsim.surrogates.training.residual import ResidualRecipe

FEW = 5
"""Architectures from which on they are left out whole; of fewer, single rows are."""
FOLDS = 20
"""Parts that many architectures are dealt into."""
LEAST = 9
"""Networks that a group needs for a range of its own."""
GROUPS = ("stage", "device", "runtime", "dtype", "io_type", "strategy")
"""Labels that may have error tables of their own."""
CHOICES = ("stage", "io_type", "backend", "multiplier", "runtime", "dtype", "layout")
"""Options of mappings beyond whose values nothing is trusted."""


def default_recipe(data: Lowered, *, source: str, name: str, family: str) -> Recipe:
    """The recipe that `hwsim train --data SOURCE` follows.

    Args:
        data: networks of the source.
        source: name, folder or file of the data set.
        name: of the surrogate.
        family: of the devices.
    """
    labels = data.graphs.labels
    architectures = len(set(labels["architecture"].tolist()))
    by = "architecture" if architectures >= FEW else "row"
    count = architectures if by == "architecture" else len(data.graphs)
    return Recipe(
        name=name,
        summary=f"{', '.join(data.graphs.metrics)} of networks like those of {Path(source).name}",
        family=family,
        data=source,
        left_out=LeftOut(by=by, folds=FOLDS if count > FOLDS else 0),
        trusted=Trusted(mapping={option: sorted(set(labels[option].tolist())) for option in CHOICES if option in labels}),
        groups=_groups(data),
        model=ResidualRecipe(),
        seeds=(0,),
    )


def _groups(data: Lowered) -> tuple[str, ...]:
    """The first label of which at least two values have enough networks; else the device."""
    for name in GROUPS:
        counts = np.unique(data.graphs.labels.get(name, np.array([""])), return_counts=True)[1]
        if np.sum(counts >= LEAST) >= 2:
            return (name,)
    return ("device",)


def text(recipe: Recipe) -> str:
    """A recipe as YAML, to change and train again."""
    import msgspec
    import yaml

    kept = _said(msgspec.to_builtins(recipe))
    head = "# Written by `hwsim train --data`; change it and train again: hwsim train recipe.yaml\n"
    return head + yaml.safe_dump(kept, sort_keys=False, width=140)


def _said(value: Any) -> Any:
    """Without what is empty."""
    if not isinstance(value, dict):
        return list(value) if isinstance(value, tuple) else value
    return {name: _said(inner) for name, inner in value.items() if inner not in (None, {}, [], ())}
