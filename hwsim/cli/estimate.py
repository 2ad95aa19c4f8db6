"""`hwsim estimate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import options, output

if TYPE_CHECKING:
    from hwsim.estimate import Estimate

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model")
@options.on_option(multiple=False)
@options.workload_options
@click.option("--convention", "conventions", metavar="NAME", multiple=True, help="Count operations as papers do, too (operations --list).")
@click.option("--rates", type=_FILE, metavar="FILE", help="Firing rates by layer: CSV, JSON or the log of a counter.")
@click.option("--depth", type=click.IntRange(min=1), help="Fold layers at this depth of module paths (1: layer1, 2: layer1.0).")
@click.option("--top", type=click.IntRange(min=1), default=25, show_default=True, help="Rows of the layer table, the slowest ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md) instead of tables.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a self-contained page with plots.")
@click.option("--trace", type=_FILE, metavar="FILE", help="Write Chrome trace events (ui.perfetto.dev).")
@click.option("--quiet", "-q", is_flag=True, help="Totals only.")
def estimate(
    model: str,
    on: str,
    conventions: tuple[str, ...],
    rates: Path | None,
    depth: int | None,
    top: int,
    as_json: bool,
    html: Path | None,
    trace: Path | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Latency, energy and memory of one network on one device.

    MODEL is a name (`hwsim models list`; llama3_8b?num_layers=4, timm:resnet50, hf:bert-base-uncased) or a file (.onnx, .keras, .nir,
    .yaml).

    \b
    Examples:
      hwsim estimate resnet50 --on a100-sxm-80gb --batch 8
      hwsim estimate llama3_8b --on h100-sxm-80gb --seq-len 2048 --dtype bf16
      hwsim estimate net.onnx --on l4 --dim height=640 --html report.html
      hwsim estimate resnet50 --on a100-sxm-80gb --set dram_b_per_s='4.8 TB/s'
      hwsim estimate resnet50 --on my-chip.yaml --must-fit --json
      hwsim estimate jet_tagger --on xcu250 --strategy resource --reuse-factor 4
      hwsim estimate spikingformer_8_512 --on loihi2 --convention strict-binary --rates rates.csv
      hwsim estimate net.nir --on loihi1 --map timesteps=32 --map rates=rates.csv
      hwsim estimate resnet18 --on loihi2 --pass 'rate-coded?timesteps=16'
      hwsim estimate tagger.keras --on zcu102 --hls-config hls4ml.yml --stage vsynth
    """
    from hwsim import api

    arguments = {**options.api_arguments(given), **({} if rates is None else {"rates": rates})}
    result = api.estimate(model, on, conventions=conventions, **arguments)
    _write_files(result, html=html, trace=trace, quiet=quiet)
    if as_json:
        output.show_json(result.to_dict())
    else:
        _print(result, depth=depth, top=top, quiet=quiet)
    if given["must_fit"]:
        output.check_fit([result])


def _print(result: Estimate, **view: Any) -> None:
    from hwsim.report.terminal import estimate_renderable

    output.show(estimate_renderable(result, **view))


def _write_files(result: Estimate, *, html: Path | None, trace: Path | None, quiet: bool) -> None:
    if html:
        output.write(html, result.to_html(), quiet=quiet)
    if trace:
        output.write(trace, json.dumps(result.to_trace()), quiet=quiet)
