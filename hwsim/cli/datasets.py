"""`hwsim datasets`."""

from __future__ import annotations

from pathlib import Path

import click

from hwsim.cli import output
from hwsim.cli.group import Lazy, LazyGroup

BUILDERS = {
    "fpga-yosys": Lazy(
        "hwsim.datasets.fpga_yosys.command:command",
        "Label generated FPGA circuits: resources by Yosys, cycles by Verilator, frequency by nextpnr.",
    ),
    "sanafe": Lazy(
        "hwsim.datasets.sanafe.command:command",
        "Label random spiking networks on Loihi: events, energy and simple time by SANA-FE.",
    ),
    "hls4ml-reports": Lazy("hwsim.cli.hls_reports:command", "Collect the reports of one's own hls4ml projects into one table."),
}
"""Data sets that hwsim can make: name to the command that makes it, imported when it runs."""


@click.group(cls=LazyGroup)
def datasets() -> None:
    """Data sets: list them, build one."""


@datasets.group(cls=LazyGroup, lazy=BUILDERS)
def build() -> None:
    """Build a data set, or collect one from files.

    \b
    Examples:
      hwsim datasets build hls4ml-reports my-hls-test --out reports.csv
      hwsim datasets build fpga-yosys --help
    """


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List what can be built, and the data sets that come with hwsim.

    \b
    Examples:
      hwsim datasets list
    """
    builders = {name: found.summary for name, found in BUILDERS.items()}
    shelf = {path.name: _title(path) for path in _shelf()}
    if as_json:
        return output.show_json({"builders": builders, "datasets": shelf})
    from hwsim.report.tables import listing

    output.show(listing(("Build", ""), list(builders.items())))
    if shelf:
        output.show("", listing(("Data set", ""), list(shelf.items())))
    return None


def _shelf() -> list[Path]:
    from hwsim import shelf

    return sorted(path for folder in shelf.folders("datasets") for path in folder.iterdir() if path.is_dir())


def _title(folder: Path) -> str:
    """First line of a data set's card."""
    card = folder / "card.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    return next((line.lstrip("# ").strip() for line in lines if line.strip()), "")
