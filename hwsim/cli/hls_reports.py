"""`hwsim datasets build hls4ml-reports`."""

from __future__ import annotations

from pathlib import Path

import click

from hwsim.cli import output
from hwsim.datasets.hls_reports import Reports, Row, collect
from hwsim.datasets.hls_reports.write import plain, write


@click.command("hls4ml-reports")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Write a table (.csv, .json, .parquet), or a data set.")
@click.option("--modules/--no-modules", default=True, show_default=True, help="Rows of single modules, too.")
@click.option("--json", "as_json", is_flag=True, help="Print all rows as JSON.")
def command(folder: Path, out: Path | None, modules: bool, as_json: bool) -> None:
    """Collect the reports of one's own hls4ml projects into one table.

    With a folder to write to (a name without ending) the rows become a data set. Reads csynth.xml of Vivado HLS and Vitis HLS,
    vivado_synth.rpt, utilisation and timing reports of Vivado, and report.json of hls4ml, in FOLDER and below. Stages stand in rows of
    their own: csynth, vsynth, routed. Progress goes to stderr.

    \b
    Examples:
      hwsim datasets build hls4ml-reports my-hls-test
      hwsim datasets build hls4ml-reports projects --out reports.csv
      hwsim datasets build hls4ml-reports projects --out mine
      hwsim datasets build hls4ml-reports projects --no-modules --json
    """
    found = collect(folder, tell=lambda line: click.echo(line, err=True))
    rows = found.rows if modules else found.designs
    for name, reason in found.problems:
        click.echo(f"skipped {name}: {reason}", err=True)
    click.echo(f"{len(rows)} row(s) of {len({r.design for r in rows})} design(s) from {found.read} report(s)", err=True)
    if out is not None and not out.suffix:
        from hwsim.cli.dataset_build import done, tell
        from hwsim.datasets.adapters import build_reports

        done(lambda: build_reports(folder, rows, out, tell=tell), out, as_json=False)
    elif out is not None:
        write(rows, out)
        click.echo(f"wrote {out}", err=True)
    if as_json:
        output.show_json([plain(row) for row in rows])
    elif out is None:
        _show(found)


def _show(found: Reports) -> None:
    from hwsim.report.tables import listing

    names = ("Design", "Stage", "Cycles", "Interval", "LUT", "FF", "DSP", "BRAM18", "Clock ns", "Slack ns")
    output.show(listing(names, [_cells(row) for row in found.designs]))


def _cells(row: Row) -> tuple[str, ...]:
    def ns(value: float | None) -> str:
        return "" if value is None else f"{value * 1e9:.2f}"

    counts = (row.latency_max_cycles, row.interval_max_cycles, row.lut, row.ff, row.dsp, row.bram18)
    return (row.design, row.stage, *("" if c is None else f"{c:,.0f}" for c in counts), ns(row.estimated_clock_s), ns(row.wns_s))
