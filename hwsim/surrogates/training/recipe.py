"""Recipes: what a surrogate is trained on, how, and what is left out to judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from hwsim import yaml12
from hwsim.datasets.recipe import RECIPE
from hwsim.datasets.store import folders
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.networks.recipes import AdditiveRecipe, AnyNetwork, NetworkRecipe
from hwsim.surrogates.training.corrected import CorrectedRecipe
from hwsim.surrogates.training.fidelity import Cheap
from hwsim.surrogates.training.residual import ResidualRecipe
from hwsim.surrogates.training.tabular import TreesRecipe

DATA = {
    "timm-networks": "hwsim.surrogates.training.gpu_networks:load",
    "ai-hub-networks": "hwsim.surrogates.training.npu_networks:load",
    "aiconfigurator-operators": "hwsim.surrogates.training.operators:load",
    "fpga-dense1": "hwsim.surrogates.training.fpga:load_dense1",
    "fpga-dense2": "hwsim.surrogates.training.fpga:load_dense2",
}
"""Training sets by name: `module:function` that gives `Graphs` (for additive models) or measured operators (for trees)."""

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class LeftOut(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is left out to judge a surrogate."""

    by: str
    """Label whose values stay together (`family`, `device`)."""
    folds: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Parts that the values are dealt into; 0: each value on its own."""


class Trusted(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where `auto` and error bars may rest on a surrogate."""

    mapping: dict[str, list[str]] = {}
    """Values of mapping options."""
    devices: tuple[str, ...] = ()
    """Names, or `vendor:NAME`; empty: those that it was trained on."""
    graph_without: tuple[str, ...] = ()
    """Attributes of graphs that are of another kind (`seq_len`: networks that read tokens)."""


class Recipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A surrogate before it is trained."""

    name: str
    summary: str
    family: str
    data: str
    """Name of a training set (`DATA`), a data set (of the shelf, a folder, a `.parquet` file), or a file that `Graphs.save` wrote."""
    left_out: LeftOut
    trusted: Trusted = Trusted()
    seeds: tuple[int, ...] = (0, 1, 2)
    groups: tuple[str, ...] = ("device",)
    """Labels whose combinations have error tables and ranges of their own."""
    model: AnyNetwork | TreesRecipe | ResidualRecipe | CorrectedRecipe = AdditiveRecipe()
    """Of the kind that `kind` names, `additive` where it is not given."""
    metrics: tuple[str, ...] = ()
    """Which of the training set's metrics are learned; empty: all of them."""
    cheap: Cheap | None = None
    """Labels that networks learn before those of `data`: many that cost little."""
    auto: _Positive | None = None
    """Rank among the surrogates that `--method auto` may take; None: it takes it not."""


def read(path: str | Path) -> Recipe:
    """A recipe from a YAML file.

    Raises:
        InputError: the file cannot be read, or a field is unknown, missing or wrong.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no recipe {str(path)!r}; expected a YAML file with name, family, data, left_out (see docs/surrogates.md)")
    try:
        found = msgspec.convert(_with_kind(yaml12.load(file)), Recipe)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}") from None
    if found.cheap is not None and not isinstance(found.model, NetworkRecipe):
        raise InputError(
            f"{path}: cheap: only networks learn cheap labels first; found a model of kind {found.model.__struct_config__.tag!r}"
        )
    if found.data not in DATA and not found.data.endswith(".safetensors") and not is_dataset(found.data):
        raise UnknownName(f"training set in {path}:", found.data, (*DATA, *folders()))
    return found


def is_dataset(data: str) -> bool:
    """Whether this names a data set: one of the shelf, a folder of one, or a table."""
    return (Path(data) / RECIPE).is_file() or Path(data).suffix.lower() in (".parquet", ".csv") or data in folders()


def _with_kind(loaded: Any) -> Any:
    model = loaded.get("model") if isinstance(loaded, dict) else None
    return {**loaded, "model": {"kind": "additive", **model}} if isinstance(model, dict) else loaded


def plain(recipe: Recipe) -> dict[str, Any]:
    """As plain data, for a configuration that is kept."""
    return msgspec.to_builtins(recipe)
