"""`hwsim datasets`."""

from __future__ import annotations

from pathlib import Path

import click

from hwsim.cli import output
from hwsim.cli.dataset_build import measured
from hwsim.cli.group import Lazy, LazyGroup
from hwsim.cli.status import ExitStatus

BUILDERS: dict[str, Lazy] = {
    "fpga-yosys": Lazy(
        "hwsim.datasets.fpga_yosys.command:command",
        "Label generated FPGA circuits: resources by Yosys, cycles by Verilator, frequency by nextpnr.",
    ),
    "fpga-networks": Lazy(
        "hwsim.datasets.fpga_yosys.command:networks",
        "Label generated FPGA networks, 1 to 20 dense layers as one circuit: resources by Yosys, cycles by Verilator.",
    ),
    "torch-cpu": Lazy("hwsim.datasets.generators.command:cpu", "Time networks on this machine's processor with PyTorch."),
    "torch-cuda": Lazy(
        "hwsim.datasets.generators.command:cuda", "Time networks on this machine's GPU with PyTorch, and its power by NVML."
    ),
    "sanafe": Lazy(
        "hwsim.datasets.sanafe.command:command",
        "Label random spiking networks on Loihi: events, energy and simple time by SANA-FE.",
    ),
    "hls4ml-reports": Lazy("hwsim.cli.hls_reports:command", "Collect the reports of one's own hls4ml projects into one table."),
    "csv": Lazy(
        "hwsim.cli.dataset_build:csv", "Make a data set of one's own measurements: a table, and a file that says what its columns are."
    ),
    "wa-hls4ml": Lazy("hwsim.cli.dataset_build:records", "Make a data set of records of the wa-hls4ml benchmark."),
    **measured(),
}
"""Data sets that hwsim can make: name to the command that makes it, imported when it runs."""


@click.group(cls=LazyGroup)
def datasets() -> None:
    """Data sets: list, show, check and build them."""


@datasets.group(cls=LazyGroup, lazy=BUILDERS)
def build() -> None:
    """Build a data set, or collect one from files.

    \b
    Examples:
      hwsim datasets build timm-networks --out timm
      hwsim datasets build csv my.csv --map map.yaml --out mine
      hwsim datasets build hls4ml-reports my-hls-test --out reports.csv
    """


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List what can be built, and the data sets that come with hwsim.

    \b
    Examples:
      hwsim datasets list
    """
    from hwsim.datasets.recipe import RECIPE, read_recipe
    from hwsim.datasets.store import folders

    builders = {name: found.summary for name, found in BUILDERS.items()}
    recipes = {name: (folder, read_recipe(folder / RECIPE)) for name, folder in folders().items()}
    shelf = {name: recipe.summary for name, (folder, recipe) in recipes.items() if (folder / recipe.rows).is_file()}
    if as_json:
        return output.show_json({"builders": builders, "datasets": shelf})
    from hwsim.report.tables import listing

    output.show(listing(("Build", ""), list(builders.items())))
    if shelf:
        output.show("", listing(("Data set", ""), list(shelf.items())))
    return None


@datasets.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print recipe and columns as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show one: its card, where it comes from, and its rows where they are built.

    NAME is one of the shelf, or the folder of one that was built.

    \b
    Examples:
      hwsim datasets show fpga-yosys
      hwsim datasets show timm --json
    """
    import msgspec

    from hwsim.datasets import store
    from hwsim.datasets.recipe import CARD, RECIPE, read_recipe

    folder = store.folder_of(name)
    recipe = read_recipe(folder / RECIPE)
    data = store.read(folder) if (folder / recipe.rows).is_file() else None
    rows = None if data is None else {"rows": len(data), "columns": list(data.columns), "metrics": data.metrics, "splits": _sizes(data)}
    if as_json:
        return output.show_json({"recipe": msgspec.to_builtins(recipe), "built": rows})
    card = folder / CARD
    output.show(card.read_text(encoding="utf-8").strip() if card.is_file() else f"# {recipe.name}", "")
    output.show(f"Licence: {recipe.licence}", f"Source: {recipe.source.text}")
    if rows is None:
        return output.show(f"No rows here; build them: hwsim datasets build {recipe.name} --out {recipe.name}")
    parts = ", ".join(f"{name} {size:,}" for name, size in rows["splits"].items())
    output.show(f"Rows: {rows['rows']:,}{f' ({parts})' if parts else ''}")
    return output.show("Metrics: " + ", ".join(name if unit == "1" else f"{name} ({unit})" for name, unit in rows["metrics"].items()))


def _sizes(data: object) -> dict[str, int]:
    return {name: len(data.split(name)) for name in data.splits}  # pyright: ignore[reportAttributeAccessIssue]


@datasets.command("check")
@click.argument("source", metavar="NAME|FILE")
@click.option("--map", "mapping", type=click.Path(path_type=Path), metavar="FILE", help="What the columns of a CSV table are.")
@click.option("--bounds/--no-bounds", default=True, show_default=True, help="Compare times with the physical bound; may load networks.")
@click.option("--all", "every", is_flag=True, help="Every faulty row, not five of a kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def check(source: str, mapping: Path | None, bounds: bool, every: bool, as_json: bool) -> int:
    """Check measured rows: columns, units, labels, values, splits.

    NAME is one of the shelf or the folder of one that was built, FILE a .parquet or .csv table. Each fault is reported with file, row (the
    first is 1) and column. The status is 3 where there is one.

    \b
    Examples:
      hwsim datasets check fpga-yosys
      hwsim datasets check my.csv --map map.yaml
    """
    from hwsim.cli.dataset_build import tell
    from hwsim.datasets.check import check as look
    from hwsim.datasets.recipe import read_columns
    from hwsim.datasets.store import read

    found = look(read(source, columns=read_columns(mapping) if mapping else None), bounds=bounds, tell=tell)
    faulty = int(found.bad.sum())
    if as_json:
        faults = [
            {"row": row + 1, "column": f.column, "fault": said}
            for f in found.findings
            for row, said in zip(f.rows.tolist(), f.said, strict=True)
        ]
        output.show_json({"file": found.data.where, "rows": len(found.data), "faulty": faulty, "bounded": found.bounded, "faults": faults})
    else:
        for line in found.lines(most=None if every else 5):
            click.echo(line)
        click.echo(f"{found.data.name}: {len(found.data):,} row(s), {faulty:,} with a fault; physical bound known for {found.bounded:,}")
    return int(ExitStatus.BAD_INPUT if faulty else ExitStatus.OK)


@datasets.command("survey")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--write", "path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the tables as Markdown.")
@click.option("--bounds/--no-bounds", default=True, show_default=True, help="Compare times with the physical bound; may load networks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def survey(names: tuple[str, ...], path: Path | None, bounds: bool, as_json: bool) -> None:
    """Read and check every measured set: rows that are sound, rows kept apart and why.

    NAME are sets of the shelf; without any, all whose source is in the data folder (HWSIM_DATA), and the files that no set reads.

    \b
    Examples:
      hwsim datasets survey mcu-boards loihi-runs
      hwsim datasets survey --write docs/datasets-table.md
    """
    import msgspec

    from hwsim.cli.dataset_build import tell
    from hwsim.datasets import survey as surveys
    from hwsim.report.tables import listing

    found = surveys.survey(names, bounds=bounds, tell=tell)
    if path is not None:
        output.write(path, surveys.markdown(found, [] if names else surveys.unread()))
    if as_json:
        return output.show_json([msgspec.to_builtins(s) for s in found])
    if path is None:
        rows = [(s.name, f"{s.rows:,}", f"{s.apart:,}", "; ".join(f"{n:,} {why}" for why, n in s.reasons.items())) for s in found]
        output.show(listing(("Data set", "Rows", "Apart", "Why"), rows, right=(1, 2)))
    return None
