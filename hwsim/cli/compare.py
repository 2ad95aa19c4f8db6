"""`hwsim compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import options, output

if TYPE_CHECKING:
    from hwsim.estimate import Estimate


@click.command()
@click.argument("model")
@options.on_option(multiple=True)
@options.workload_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md) instead of a table.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a self-contained page.")
def compare(model: str, on: tuple[str, ...], as_json: bool, html: Path | None, **given: Any) -> None:
    """One network on several devices, side by side.

    Devices may be of several families. An option that only one family has is given as --map FAMILY.KEY=VALUE.

    \b
    Examples:
      hwsim compare resnet50 --on a100-sxm-80gb --on l4 --on my-chip.yaml --batch 8
      hwsim compare resnet50 --on a100-sxm-80gb --on null --map gpu.dtype=fp16
      hwsim compare llama3_8b --on h100-sxm-80gb --on mi300x --seq-len 2048 --json
    """
    from hwsim import api

    results = api.compare(model, on, **options.api_arguments(given))
    if html:
        from hwsim.report.html import comparison_html

        output.write(html, comparison_html(results))
    _show(results, as_json=as_json)
    if given["must_fit"]:
        output.check_fit(results)


def _show(results: list[Estimate], *, as_json: bool) -> None:
    if as_json:
        from hwsim.report.json import comparison_dict

        return output.show_json(comparison_dict(results))
    from hwsim.report.tables import comparison_renderable

    output.show(*comparison_renderable(results))
    return None
