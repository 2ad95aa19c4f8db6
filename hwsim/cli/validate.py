"""`hwsim validate`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from hwsim.cli import output
from hwsim.errors import DataMissing


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every validation.")
@click.option(
    "--write", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="Write one table a validation, and the intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def validate(names: tuple[str, ...], everything: bool, write: Path | None, as_json: bool) -> None:
    """Recompute the error tables from measured data.

    Without NAMES the available validations are listed. The data folder is that of the environment variable HWSIM_DATA.

    \b
    Examples:
      hwsim validate
      hwsim validate gpu-gemm gpu-conv
      hwsim validate --all --write docs/accuracy
    """
    from hwsim import validation

    if not names and not everything:
        return _list(as_json)
    reports, skipped = validation.run(names, write=write, tell=partial(click.echo, err=True))
    for line in skipped:
        click.echo(f"skipped {line}", err=True)
    _show(reports, as_json)
    if skipped and not reports:
        raise DataMissing("nothing could be validated: every validation was skipped")
    return None


def _list(as_json: bool) -> None:
    from hwsim import validation

    rows = [(s.name, s.summary) for s in validation.SUITES.values()]
    if as_json:
        return output.show_json([{"name": name, "summary": summary} for name, summary in rows])
    from hwsim.report.tables import listing

    output.show(listing(("validation", "error of"), rows))
    return None


def _show(reports: list[Any], as_json: bool) -> None:
    if as_json:
        return output.show_json([_plain(r) for r in reports])
    from hwsim import validation
    from hwsim.report.tables import error_table

    for report in reports:
        output.show(error_table(report), "", *filter(None, [validation.text_of(report.suite)]))
    output.show(
        "Absolute percentage errors; rank: Spearman's coefficient; roof: errors of a plain roofline; exact, within 2: shares of the rows."
    )
    return None


def _plain(report: Any) -> dict[str, Any]:
    from hwsim.report.json import json_value

    groups = {name: [asdict(row) for row in getattr(report, name)] for name in ("by_device", "by_group", "by_both")}
    return json_value(
        {"name": report.suite.name, "unit": report.suite.unit, "overall": report.overall and asdict(report.overall), **groups}
    )
