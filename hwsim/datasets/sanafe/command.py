"""The command that builds the data set."""

from __future__ import annotations

from pathlib import Path

import click

from hwsim.datasets.generators.folder import describe
from hwsim.datasets.sanafe import build
from hwsim.datasets.sanafe.run import VARIABLE, interpreter
from hwsim.errors import HwsimError


@click.command("sanafe")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("sanafe"), show_default=True, help="Folder.")
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Networks.")
@click.option("--jobs", "workers", type=click.IntRange(1), default=1, show_default=True, help="Simulations at once.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the sampled list.")
@click.option("--python", metavar="PATH", envvar=VARIABLE, help=f"Python that has SANA-FE; else {VARIABLE}, else this one.")
def command(out: Path, count: int, workers: int, seed: int, python: str | None) -> None:
    """Label random spiking networks on Loihi: events, energy and simple time by SANA-FE.

    SANA-FE (GPL-3) runs as a program of its own; `python -m venv V` and `V/bin/pip install sanafe` give it a place. Rows are appended to
    OUT/networks.csv, failures to OUT/failures.csv; run the same command again and it goes on where it stopped.

    \b
    Examples:
      hwsim datasets build sanafe --out labels --count 20 --python V/bin/python
    """
    try:
        made, failed = build.build(build.jobs(count=count, seed=seed), out=out, python=interpreter(python), workers=workers)
        describe(out, "sanafe")
    except HwsimError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{made} rows added to {out / 'networks.csv'}; {failed} failed (see {out / 'failures.csv'})")
