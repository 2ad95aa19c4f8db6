"""`hwsim train`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from hwsim.cli import output

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--from", "start", metavar="NAME", help="Take this surrogate to a device of which --data holds a few measurements.")
@click.option(
    "--data",
    metavar="SET",
    help="A data set (name, folder, .parquet or .csv) instead of the recipe's, or without any recipe; with --from a CSV file.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PATH", help="Folder [default: the shelf of surrogates]; with --from a CSV file."
)
@click.option(
    "--on", "device", metavar="DEVICE", help="With --from: what a table without a column `device` was measured on; name or YAML file."
)
@click.option("--map", "columns", type=_FILE, metavar="FILE", help="With --from: what the columns of a CSV table are.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Instead of the recipe's; give it once a member.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep checkpoints and logs there; a training that was stopped goes on there.",
)
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on from what --folder holds.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="Processes or GPUs that train together.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a page with learning curves, parity plots, errors and coverage.")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as JSON.")
def train(
    recipe: Path | None,
    start: str | None,
    data: str | None,
    out: Path | None,
    as_json: bool,
    device: str | None,
    columns: Path | None,
    **given: Any,
) -> None:
    """Train a surrogate from a recipe, or from measurements alone.

    Parts of the data are left out in turn to judge it, then it is trained on everything. Without a recipe the data set says which family,
    metrics and groups there are, and a linear correction of the closed form is learned that few rows can bear; the recipe that
    was followed is written beside it. With --from, a surrogate is taken to a new device by 3 to some hundred networks that were
    measured there; one of a search space predicts the rest of the table.
    Networks need hwsim[torch], trees scikit-learn. Progress goes to stderr.

    \b
    Examples:
      hwsim train --data mine --out my-surrogate
      hwsim train surrogates/gpu-networks/recipe.yaml
      hwsim train my-recipe.yaml --out my-surrogates/gpu --epochs 5 --seed 0 --html report.html
      hwsim train my-recipe.yaml --folder run --devices 2
      hwsim train --from gpu-networks --data my.csv --on my-gpu.yaml --out my-gpu
      hwsim train --from few-shot-fbnet --data my.csv --out predicted.csv
    """
    if start is not None:
        if data is None or recipe is not None:
            raise click.UsageError("--from and --data go together, without a recipe")
        return _from(start, data, out, device=device, columns=columns, as_json=as_json)
    if device is not None or columns is not None:
        raise click.UsageError("--on and --map go with --from")
    if recipe is None and data is None:
        raise click.UsageError("give a recipe, or measurements with --data, or --from with --data")
    if out is not None and out.is_file():
        raise click.UsageError(f"--out {out} is a file; a recipe writes a folder")
    if recipe is None and out is None:
        raise click.UsageError("--data without a recipe needs --out, the folder of the surrogate")
    from hwsim import api

    tell = partial(click.echo, err=True)
    found = api.train(recipe, data=data, out=out, tell=tell, **given)
    if as_json:
        output.show_json(dict(found.stored.metrics))
    else:
        output.show(found.stored.card.strip())
    click.echo(f"wrote {found.folder}", err=True)
    return None


def _from(start: str, data: str, out: Path | None, *, device: str | None, columns: Path | None, as_json: bool) -> None:
    from hwsim.surrogates import samples, store

    if store.read(start).config.get("family") == samples.FAMILY:
        if device is not None or columns is not None:
            raise click.UsageError(f"--on and --map are for surrogates of networks; {start} takes a table of architectures")
        return _few(start, Path(data), out, as_json=as_json)
    if out is None or out.is_file():
        raise click.UsageError("--from needs --out, the folder of the new surrogate")
    from hwsim.surrogates.training import tuning

    tell = partial(click.echo, err=True)
    networks = tuning.from_table(start, data, device=device, columns=columns, tell=tell)
    stored = tuning.tune(start, networks, source=data, called=out.name, tell=tell)
    where = store.write(stored, where=out)
    if as_json:
        output.show_json(dict(stored.metrics))
    else:
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
