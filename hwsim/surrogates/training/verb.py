"""What `hwsim.train` does: choose the recipe, train, write the folder and the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from hwsim.errors import InputError
from hwsim.surrogates import store
from hwsim.surrogates.networks.recipes import NetworkRecipe
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training import default, residual, run
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training.lowered import Lowered, family_of, from_dataset
from hwsim.surrogates.training.outcomes import Outcome
from hwsim.surrogates.training.recipe import Recipe
from hwsim.surrogates.training.residual import ResidualRecipe

Tell = Callable[[str], None]
RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Trained:
    """A surrogate that was trained."""

    stored: Stored
    folder: Path
    """Where it was written: `hwsim.estimate(..., method=f"surrogate:{folder}")`."""
    recipe: Recipe
    outcomes: tuple[Outcome, ...] = field(default=(), repr=False)
    """Each network beside its prediction by members that did not see it, by metric."""


def train(
    recipe: str | Path | Recipe | None = None,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    epochs: int | None = None,
    seeds: Sequence[int] = (),
    html: str | Path | None = None,
    tell: Tell | None = None,
    **loop: Any,
) -> Trained:
    """See `hwsim.api.train`."""
    found: Lowered | None = None
    if recipe is None:
        if data is None or out is None:
            raise InputError("no recipe; expected one, or a data set and a folder (data=..., out=...)")
        found, chosen = _from_data(str(data), Path(out), tell)
    else:
        chosen = recipe if isinstance(recipe, Recipe) else recipes.read(recipe)
        if data is not None:
            chosen = msgspec.structs.replace(chosen, data=str(data))
    chosen = changed(chosen, epochs=epochs, seeds=seeds)
    if html is not None and loop.get("folder") is None and isinstance(chosen.model, NetworkRecipe):
        with TemporaryDirectory() as logs:
            return _done(recipe, chosen, found, out, html, tell, {**loop, "folder": Path(logs)})
    return _done(recipe, chosen, found, out, html, tell, loop)


def _done(
    recipe: Any,
    chosen: Recipe,
    found: Lowered | None,
    out: str | Path | None,
    html: str | Path | None,
    tell: Tell | None,
    loop: dict[str, Any],
) -> Trained:
    """Train, write the folder and the page."""
    outcomes: list[Outcome] = []
    stored = _trained(chosen, found, outcomes, tell, loop)
    where = store.write(stored, where=None if out is None else Path(out))
    if recipe is None or isinstance(recipe, Recipe):
        (where / RECIPE).write_text(default.text(chosen), encoding="utf-8")
    done = Trained(stored, where, chosen, tuple(outcomes))
    if html is not None:
        _report(done, Path(html), loop.get("folder"))
    return done


def changed(recipe: Recipe, *, epochs: int | None = None, seeds: Sequence[int] = ()) -> Recipe:
    """The recipe with other epochs and seeds.

    Raises:
        InputError: its model has no epochs.
    """
    if epochs is not None:
        if not hasattr(recipe.model, "epochs"):
            raise InputError(f"--epochs is for networks; recipe {recipe.name!r} trains a model of the kind {kind_of(recipe)!r}")
        recipe = msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, epochs=epochs))
    return msgspec.structs.replace(recipe, seeds=tuple(seeds)) if seeds else recipe


def kind_of(recipe: Recipe) -> str:
    """Kind of its model."""
    return str(recipe.model.__struct_config__.tag)


def _from_data(source: str, out: Path, tell: Tell | None) -> tuple[Lowered, Recipe]:
    from hwsim.datasets.store import read

    if source in recipes.DATA and not recipes.is_dataset(source):
        raise InputError(f"{source!r} is a training set that needs a recipe; expected a data set, such as `hwsim datasets build` writes")
    family = family_of(read(source))
    found = from_dataset(source, family=family, tell=tell)
    return found, default.default_recipe(found, source=source, name=out.name, family=family)


def _trained(recipe: Recipe, data: Lowered | None, outcomes: list[Outcome], tell: Tell | None, loop: dict[str, Any]) -> Stored:
    if not isinstance(recipe.model, NetworkRecipe) and (loop.get("folder") is not None or loop.get("devices", 1) > 1):
        raise InputError(f"--folder and --devices are for networks; recipe {recipe.name!r} trains a model of the kind {kind_of(recipe)!r}")
    if isinstance(recipe.model, ResidualRecipe):
        stored, judged = residual.train(recipe, data or residual.load(recipe, tell=tell), tell=tell)
        outcomes += judged
        return stored
    return run.train(recipe, tell=tell, outcomes=outcomes, **loop)


def _report(done: Trained, where: Path, folder: Any) -> None:
    from hwsim.report.surrogate_html import training_html

    try:
        where.write_text(training_html(done, folder=None if folder is None else Path(folder)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {str(where)!r}: {error.strerror or error}") from None
