"""`hwsim train`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from hwsim.cli import output


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--from", "start", metavar="NAME", help="Take this surrogate to a device of which --data holds a few measurements.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="With --from: columns architecture and latency (UNIT); empty latencies are predicted.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PATH", help="Folder [default: the shelf of surrogates]; with --from a CSV file."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as JSON.")
def train(recipe: Path | None, start: str | None, data: Path | None, out: Path | None, epochs: int | None, as_json: bool) -> None:
    """Train a surrogate from a recipe.

    Or take one to a new device with --from and --data: what was measured there predicts the rest of the table.
    With a recipe, parts of the data are left out in turn to judge it, then it is trained on everything.
    Additive models need hwsim[torch], trees scikit-learn.

    \b
    Examples:
      hwsim train surrogates/gpu-networks/recipe.yaml
      hwsim train my-recipe.yaml --out my-surrogates/gpu --epochs 5
      hwsim train --from few-shot-fbnet --data my.csv --out predicted.csv
    """
    if start is not None or data is not None:
        if start is None or data is None or recipe is not None:
            raise click.UsageError("--from and --data go together, without a recipe")
        return _few(start, data, out, as_json=as_json)
    if recipe is None:
        raise click.UsageError("give a recipe, or --from with --data")
    if out is not None and out.is_file():
        raise click.UsageError(f"--out {out} is a file; a recipe writes a folder")
    import msgspec

    from hwsim.surrogates import store
    from hwsim.surrogates.training import recipe as recipes
    from hwsim.surrogates.training import run
    from hwsim.surrogates.training.additive import AdditiveRecipe

    chosen = recipes.read(recipe)
    if epochs is not None:
        if not isinstance(chosen.model, AdditiveRecipe):
            raise click.UsageError(f"--epochs is for additive models; {recipe} trains trees (model: trees)")
        chosen = msgspec.structs.replace(chosen, model=msgspec.structs.replace(chosen.model, epochs=epochs))
    stored = run.train(chosen, tell=partial(click.echo, err=True))
    where = store.write(stored, where=out)
    if as_json:
        return output.show_json(dict(stored.metrics))
    output.show(stored.card.strip())
    click.echo(f"wrote {where}", err=True)
    return None


def _few(start: str, data: Path, out: Path | None, *, as_json: bool) -> None:
    from hwsim.report.tables import listing
    from hwsim.surrogates import samples
    from hwsim.units import format_si

    given = samples.read(data)
    found = samples.predict(start, given)
    if out is not None:
        output.write(out, samples.filled(given, found))
    order = found.mean.argsort()
    rows = [(given.architectures[given.asked[i]], float(found.mean[i]), float(found.low[i]), float(found.high[i])) for i in order]
    if as_json:
        return output.show_json([dict(zip(("architecture", "latency_s", "low_s", "high_s"), row, strict=True)) for row in rows])
    shown = [(name, *(format_si(value, "s") for value in values)) for name, *values in rows]
    output.show(listing(("architecture", "latency", "low", "high"), shown, right=(1, 2, 3)))
    return None
