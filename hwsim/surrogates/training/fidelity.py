"""Many cheap labels before few expensive ones: networks learn a tool's estimate, or the closed form, and then what was measured.

Cheap labels are brought to the level of the expensive ones first: metric by metric, by how far the closed form is off on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np

from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks import build
from hwsim.surrogates.networks.recipes import NetworkRecipe

STEP = 64
"""Least networks of a step on cheap labels."""
Fit = Callable[..., Any]
"""`Loop.fit`: from network, graphs, recipe, seed, validation and a name of the run to the network trained."""


class Cheap(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a network learns first."""

    data: str = ""
    """Training set, data set or file, as the recipe's own; empty: the recipe's own networks."""
    labels: Literal["measured", "closed-form"] = "measured"
    """`closed-form` needs no measurement: designs without any will do."""
    epochs: int = 25


@dataclass(frozen=True)
class Before:
    """Cheap labels, and what must not be learned from them."""

    graphs: Graphs
    epochs: int
    names: np.ndarray
    """Of each cheap network, as `left_out.by` has them; empty texts where nothing is to be left out."""

    def begun(self, recipe: NetworkRecipe, kept: Graphs, *, unseen: np.ndarray, seed: int, fit: Fit, name: str) -> Any:
        """A network that has learned the cheap labels and now waits for the expensive ones.

        Args:
            recipe: of the network.
            kept: the expensive part.
            unseen: names that are left out.
            seed: of the weights and the order.
            fit: trains it.
            name: of the run.
        """
        known = np.flatnonzero(~np.isin(self.names, unseen))
        first = levelled(self.graphs.take(known), kept)
        model = build(recipe, concatenated([first, kept]), seed=seed)
        step = max(recipe.networks_per_step, STEP)
        quick = msgspec.structs.replace(recipe, epochs=self.epochs, patience=0, networks_per_step=step)
        return fit(model, first, recipe=quick, seed=seed, validation=None, name=f"{name}-cheap")


def before(cheap: Cheap, found: Graphs, own: Graphs, *, by: str) -> Before:
    """Cheap labels for a training set.

    Args:
        cheap: what the recipe says of them.
        found: the networks of `cheap.data`.
        own: the training set.
        by: label by which networks are left out.

    Raises:
        InputError: the networks' own measurements, asked for as cheap ones; or features of another family.
        UnknownName: a metric of the training set that the cheap one does not have.
    """
    if not cheap.data and cheap.labels == "measured":
        raise InputError("cheap: found neither `data` nor `labels: closed-form`; expected one of them: what is learned first")
    if found.feature_names != own.feature_names:
        raise InputError(f"cheap: {cheap.data!r} has other features than the training set; expected networks of the same family")
    for metric in own.metrics:
        if metric not in found.metrics:
            raise UnknownName(f"metric of the cheap labels {cheap.data!r}:", metric, found.metrics)
    some = found.only(own.metrics)
    if cheap.labels == "closed-form":
        return Before(replace(some, measured=some.closed_form), cheap.epochs, np.full(len(some), ""))
    known = np.flatnonzero(np.isfinite(some.measured).any(axis=1))
    names = found.labels[by] if by in found.labels else np.full(len(found), "")
    return Before(some.take(known), cheap.epochs, names[known])


def levelled(cheap: Graphs, expensive: Graphs) -> Graphs:
    """Cheap labels times the ratio of the medians of measured over closed form, plus one for counts."""
    add = np.array([offset(name) for name in cheap.metrics])
    shift = np.exp(_level(expensive, add) - _level(cheap, add))
    return replace(cheap, measured=np.maximum((cheap.measured + add) * shift - add, 0.0))


def _level(graphs: Graphs, add: np.ndarray) -> np.ndarray:
    """Median logarithm of measured over closed form, shape `(metrics,)`; 0 where nothing was measured."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log((graphs.measured + add) / (graphs.closed_form + add))
    return np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.0 for column in ratio.T])
