"""How networks that learn costs are built and trained, kind by kind; plain data."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]


class NetworkRecipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="kind"):
    """What all kinds share."""

    width: Count = 64
    """Units of each hidden layer."""
    depth: Count = 3
    """Hidden layers, or layers that pass messages."""
    epochs: Count = 40
    networks_per_step: Count = 128
    learning_rate: float = 3e-3
    """Peak of a one-cycle schedule."""
    weight_decay: float = 1e-3
    beta: float = 0.05
    """Error of the logarithm at which the loss turns from square to absolute."""
    hidden_features: tuple[str, ...] = ()
    """Features that the network does not see."""
    patience: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Epochs without a better validation error after which training stops, with the best weights; 0: all epochs, the last weights."""
    validation: Share = 0.1
    """Share of the groups (`left_out.by`) that patience watches and that are not trained on."""
    dropout: Share = 0.0


class Factored(NetworkRecipe, frozen=True, kw_only=True):
    """Kinds that learn a factor to the closed form of each row."""

    shrinkage: float = 1e-3
    """Weight of the mean square of the logarithm of factors: a row that the networks say nothing of keeps its closed form."""
    calibrate: tuple[str, ...] = ()
    """Features, 1 or 0, that tell kinds of rows apart; each kind gets a non-negative factor a metric before training; none: no factors."""
    grain: float = 0.0
    """Added to the closed form of each row where a metric counts things, so that a row for which it says 0 may take some."""


class Pooled(NetworkRecipe, frozen=True, kw_only=True):
    """Kinds that learn a network's cost from a summary of its rows."""

    heads: Count = 4
    """Of attention; divides `width`."""
    bounded: bool = True
    """Whether answers stay in the range of the labels of the training set."""


class AdditiveRecipe(Factored, frozen=True, kw_only=True, tag="additive"):
    """Factors from a row's own features."""

    width: Count = 96
    depth: Count = 2
    epochs: Count = 20


class AdditiveGnnRecipe(Factored, frozen=True, kw_only=True, tag="additive-gnn"):
    """Factors from a row and the rows around it (GraphSAGE, messages along edges and against them)."""

    depth: Count = 2


class GinRecipe(Pooled, frozen=True, kw_only=True, tag="gin"):
    """Graph isomorphism network, pooled."""


class Gatv2Recipe(Pooled, frozen=True, kw_only=True, tag="gatv2"):
    """Graph attention (GATv2), pooled."""


class TransformerRecipe(Pooled, frozen=True, kw_only=True, tag="transformer"):
    """Transformer over rows as tokens, in order, read out at a token of its own."""


class GpsRecipe(Pooled, frozen=True, kw_only=True, tag="gps"):
    """Graph transformer (GPS) with Laplacian, random-walk and distance encodings, pooled."""


AnyNetwork = AdditiveRecipe | AdditiveGnnRecipe | GinRecipe | Gatv2Recipe | TransformerRecipe | GpsRecipe
