"""`hwsim targets`."""

from __future__ import annotations

from typing import Any

import click

from hwsim.cli import output
from hwsim.cli.group import LazyGroup

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(cls=LazyGroup)
def targets() -> None:
    """Known devices: list them, show one, check a device file."""


@targets.command("list")
@click.option("--family", help="Only devices of this family.")
@_JSON
def list_(family: str | None, as_json: bool) -> None:
    """List the known devices.

    \b
    Examples:
      hwsim targets list
      hwsim targets list --family gpu
    """
    loaded = _families(family)
    rows = [{"name": d, "family": f, "summary": t.summary} for f, t in loaded.items() for d in sorted(t.devices())]
    if as_json:
        return output.show_json(rows)
    from hwsim.report.tables import listing

    output.show(listing(("Device", "Family"), [(r["name"], r["family"]) for r in rows]))
    output.show("", *(f"{name}: {t.summary}" for name, t in loaded.items()))
    return None


def _families(wanted: str | None) -> dict[str, Any]:
    """Families by name; one that cannot be imported is named on stderr, and does not hide the others."""
    from hwsim import plugins

    found: dict[str, Any] = {}
    for name in [wanted] if wanted else sorted(plugins.available("hwsim.targets")):
        try:
            found[name] = plugins.load("hwsim.targets", name)
        except (ImportError, AttributeError) as error:
            click.echo(f"warning: the target family {name!r} cannot be loaded: {error}", err=True)
    return found


@targets.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> None:
    """Every quantity of a device with its value, unit, status and source.

    \b
    Examples:
      hwsim targets show a100-sxm-80gb
      hwsim targets show my-chip.yaml --json
    """
    from hwsim import api

    target, device = api.find(name)
    if as_json:
        return output.show_json(_plain(target.family, device))
    from rich.text import Text

    from hwsim.report.tables import quantity_tables

    output.show(
        Text.assemble((device.name, "bold"), f" ({target.family}: {target.summary})"), "", *quantity_tables("Quantity", device.sources)
    )
    return None


def _plain(family: str, device: Any) -> dict[str, Any]:
    from msgspec import to_builtins

    from hwsim.report.json import json_value, source_document

    quantities = {name: to_builtins(source_document(q)) for name, q in device.sources.items()}
    return json_value({"name": device.name, "family": family, "quantities": quantities})


@targets.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_JSON
def check(file: str, as_json: bool) -> None:
    """Check a device file: unknown keys, units, missing fields; say which numbers are assumed.

    \b
    Examples:
      hwsim targets check my-chip.yaml
    """
    from hwsim import api

    target, device = api.find(file)
    assumed = {name: q for name, q in device.sources.items() if q.status == "assumed"}
    if as_json:
        return output.show_json({**_plain(target.family, device), "assumed": sorted(assumed)})
    from hwsim.report.tables import quantity_tables

    output.show(f"{file}: a valid {target.family} device, {len(device.sources)} quantities, {len(assumed)} of them assumed")
    if assumed:
        output.show("", *quantity_tables("Quantity", assumed))
    return None
