"""`hwsim calibrate`."""

from __future__ import annotations

from functools import partial

import click

from hwsim.cli import output


@click.command()
@click.argument("family", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def calibrate(family: str | None, as_json: bool) -> None:
    """Fit the constants of a family anew.

    Without FAMILY the families that can be calibrated are listed. The data folder is that of the environment variable
    HWSIM_DATA; the constants are written to the shelf `targets/FAMILY/fitted`, those of `surrogate` to `surrogates`.

    \b
    Examples:
      hwsim calibrate
      hwsim calibrate gpu
    """
    from hwsim import validation

    lines = validation.calibrate(family, tell=partial(click.echo, err=True)) if family else families()
    if as_json:
        return output.show_json(lines)
    for line in lines:
        click.echo(line)
    return None


def families() -> list[str]:
    """Families that have a calibration."""
    from hwsim import validation

    return sorted({s.name.partition("-")[0] for s in validation.SUITES.values() if s.fit})
