"""`hwsim surrogates`."""

from __future__ import annotations

import click

from hwsim.cli import output


@click.group()
def surrogates() -> None:
    """Trained surrogates: list them, show one."""


@surrogates.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List the surrogates on the shelf.

    \b
    Examples:
      hwsim surrogates list
    """
    from hwsim.report.tables import listing
    from hwsim.surrogates import store

    found = [store.read(name) for name in store.names()]
    if as_json:
        return output.show_json([{"name": s.name, "family": s.config["family"], "summary": s.config["recipe"]["summary"]} for s in found])
    rows = [(s.name, f"{s.config['family']}: {s.config['recipe']['summary']}") for s in found]
    output.show(listing(("surrogate", "predicts"), rows))
    return None


@surrogates.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print configuration and metrics as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show one: what it was trained on, how far off it is, where it is trusted.

    \b
    Examples:
      hwsim surrogates show gpu-networks
    """
    from hwsim.surrogates import store

    stored = store.read(name)
    if as_json:
        return output.show_json({"name": stored.name, "config": dict(stored.config), "metrics": dict(stored.metrics)})
    trusted = stored.config["trusted"]
    output.show(
        stored.card.strip(),
        "",
        f"Trusted on {', '.join(trusted['devices'])}",
        *(f"  {k}: {', '.join(v)}" for k, v in trusted["mapping"].items()),
    )
    return None
