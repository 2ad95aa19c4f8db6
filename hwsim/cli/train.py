"""`hwsim train`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from hwsim.cli import output


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="Where to [default: the shelf of surrogates]."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as JSON.")
def train(recipe: Path, out: Path | None, epochs: int | None, as_json: bool) -> None:
    """Train a surrogate from a recipe.

    Parts of the data are left out in turn to judge it, then it is trained on everything. Needs hwsim[torch].

    \b
    Examples:
      hwsim train surrogates/gpu-networks/recipe.yaml
      hwsim train my-recipe.yaml --out my-surrogates/gpu --epochs 5
    """
    from dataclasses import replace

    import msgspec

    from hwsim.surrogates import store
    from hwsim.surrogates.training import recipe as recipes
    from hwsim.surrogates.training import run

    chosen = recipes.read(recipe)
    if epochs is not None:
        chosen = msgspec.structs.replace(chosen, model=replace(chosen.model, epochs=epochs))
    stored = run.train(chosen, tell=partial(click.echo, err=True))
    where = store.write(stored, where=out)
    if as_json:
        return output.show_json(dict(stored.metrics))
    output.show(stored.card.strip())
    click.echo(f"wrote {where}", err=True)
    return None
