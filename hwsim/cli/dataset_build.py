"""`hwsim datasets build` for measured sets, one's own tables and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hwsim.cli import output
from hwsim.cli.group import Lazy
from hwsim.errors import HwsimError

_OUT = click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Folder of the data set.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was built as JSON.")
_DIGESTS = click.option(
    "--sha256", "digests", multiple=True, metavar="HEX", help="What a fetched file must have; one an address, in their order."
)
_BOUNDS = click.option("--bounds/--no-bounds", default=True, show_default=True, help="Compare times with the physical bound.")


def tell(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)


@dataclass(frozen=True, slots=True)
class Measured(Lazy):
    """The command that builds a measured set of the shelf; `reference` is its name."""

    def load(self) -> click.Command:
        """Make the command."""
        return _command(self.reference, self.summary)


def measured() -> dict[str, Lazy]:
    """Commands of the measured sets on the shelf; a recipe that cannot be read is left out here, and `hwsim datasets list` says why."""
    from hwsim.datasets.recipe import RECIPE, read_recipe
    from hwsim.datasets.store import folders

    found: dict[str, Lazy] = {}
    for name, folder in folders().items():
        try:
            recipe = read_recipe(folder / RECIPE)
        except HwsimError:
            continue
        if recipe.adapter is not None:
            found[name] = Measured(name, recipe.summary[:1].upper() + recipe.summary[1:] + ".")
    return found


def _command(name: str, summary: str) -> click.Command:
    text = f"""{summary}

    Reads the data folder (HWSIM_DATA), or with --download the address in the recipe, and writes rows.parquet, recipe.yaml and card.md;
    rows with a fault go to apart.parquet.

    \b
    Examples:
      hwsim datasets build {name} --out {name}
    """

    @click.command(name, help=text)
    @_OUT
    @click.option("--download", "fetch", is_flag=True, help="Fetch the source from the address in its recipe, and check its SHA-256.")
    @_BOUNDS
    @_JSON
    def command(out: Path, fetch: bool, bounds: bool, as_json: bool) -> None:
        from hwsim.datasets.adapters import build

        done(lambda: build(name, out, bounds=bounds, fetch=fetch, tell=tell), out, as_json)

    return command


@click.command("csv")
@click.argument("table")
@click.option(
    "--map", "mapping", type=click.Path(path_type=Path), required=True, metavar="FILE", help="What the columns are (docs/datasets.md)."
)
@_DIGESTS
@_OUT
@_BOUNDS
@_JSON
def csv(table: str, mapping: Path, digests: tuple[str, ...], out: Path, bounds: bool, as_json: bool) -> None:
    """Make a data set of one's own measurements: a table, and a file that says what its columns are.

    TABLE is a .csv or .csv.gz file, or its address (https://), which is fetched. Writes rows.parquet, recipe.yaml and card.md; rows with a
    fault go to apart.parquet with the reason.

    \b
    Examples:
      hwsim datasets build csv my.csv --map map.yaml --out mine
    """
    from hwsim.datasets.adapters import build_csv
    from hwsim.datasets.download import local
    from hwsim.datasets.recipe import read_columns

    columns = read_columns(mapping)
    done(lambda: build_csv(local([table], digests, tell=tell)[0], columns, out, bounds=bounds, tell=tell), out, as_json)


@click.command("wa-hls4ml")
@click.argument("files", nargs=-1, required=True, metavar="FILE|URL...")
@_DIGESTS
@_OUT
@_JSON
def records(files: tuple[str, ...], digests: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Make a data set of records of the wa-hls4ml benchmark.

    FILEs are its .json or .jsonl files, URLs addresses of such files, which are fetched; a row is a report, after logic synthesis or of C
    synthesis.

    \b
    Examples:
      hwsim datasets build wa-hls4ml train/*.json --out wa-hls4ml
      hwsim datasets build wa-hls4ml https://HOST/a.json --sha256 HEX --out wa-hls4ml
    """
    from hwsim.datasets.adapters import build_records
    from hwsim.datasets.download import local

    done(lambda: build_records(local(files, digests, tell=tell), out, tell=tell), out, as_json)


def done(build: Callable[[], Any], out: Path, as_json: bool) -> None:
    """Build, and say what was built and what was kept apart."""
    found = build()
    faulty = int(found.bad.sum())
    if as_json:
        output.show_json({"folder": str(out), "rows": len(found.data) - faulty, "apart": faulty, "metrics": found.data.metrics})
    for line in found.lines(most=5):
        click.echo(line, err=True)
    apart = f", {faulty:,} kept apart in {out / 'apart.parquet'}" if faulty else ""
    click.echo(f"wrote {len(found.data) - faulty:,} row(s) to {out / 'rows.parquet'}{apart}", err=True)
