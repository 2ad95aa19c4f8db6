"""`hwsim operations`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import options, output
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.conventions import OperationEnergy


@click.command()
@click.argument("model", required=False)
@click.option("--list", "listed", is_flag=True, help="The conventions, their energies and sources.")
@click.option("--convention", "names", metavar="NAME", multiple=True, help="A convention, once or several times [default: all].")
@click.option("--rates", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Firing rates by layer: CSV, JSON or a log.")
@options.load_options
@click.option("--layers", is_flag=True, help="Every layer, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def operations(
    model: str | None, listed: bool, names: tuple[str, ...], rates: Path | None, layers: bool, as_json: bool, **given: Any
) -> None:
    """Energy by counting operations, under the conventions of papers.

    No device: multiply-accumulates and accumulates on spikes, each at a published energy. Such a number is not that of a chip.

    \b
    Examples:
      hwsim operations --list
      hwsim operations spikingformer_8_512
      hwsim operations spikingformer_8_512 --convention strict-binary --rates rates.csv --layers
      hwsim operations meta_spikeformer_8_384 --pass reparameterise
      hwsim operations resnet50 --convention bitnet-45nm --json
    """
    from hwsim import api
    from hwsim.conventions import CONVENTIONS, convention, operation_energy
    from hwsim.rates import Rates

    chosen = [convention(n) for n in names or CONVENTIONS]
    if listed:
        return _list(chosen, as_json)
    if model is None:
        raise click.UsageError("Missing argument 'MODEL'; --list shows the conventions alone.")
    graph, known = api.load(model, **given), Rates.read(rates) if rates else None
    found = [operation_energy(graph, convention=c, rates=known) for c in chosen]
    if as_json:
        return output.show_json([_plain(e) for e in found])
    _show(found, layers=layers)
    return None


def _list(chosen: Sequence[Any], as_json: bool) -> None:
    from hwsim.report.conventions import LIST_HEADS, LIST_RIGHT, list_rows, sources
    from hwsim.report.tables import listing

    if as_json:
        return output.show_json([{**asdict(c), "constants_j": dict(c.constants_j)} for c in chosen])
    output.show(listing(LIST_HEADS, list_rows(chosen), right=LIST_RIGHT), "", *sources(chosen))
    return None


def _plain(e: OperationEnergy) -> dict[str, Any]:
    totals = {"energy_j": e.energy_j, "macs": e.macs, "acs": e.acs, "mean_rate": e.mean_rate, "timesteps": e.timesteps}
    rows = [asdict(layer) for layer in e.layers]
    return {"model": e.graph.name, "convention": e.convention.name, "source": e.convention.source, **totals, "layers": rows}


def _show(found: list[OperationEnergy], *, layers: bool) -> None:
    from hwsim.report.conventions import HEADS, RIGHT, assumed, rows, sources
    from hwsim.report.tables import listing

    first = found[0]
    output.show(f"{first.graph.name}; {first.timesteps} timesteps", "", listing(HEADS, rows(found), right=RIGHT))
    output.show(
        "",
        *sources(e.convention for e in found) if len(found) == 1 else ("--list shows energies and sources",),
        *filter(None, [assumed(found)]),
    )
    for e in found if layers else ():
        heads = ("Layer", "Dense", "Rate", "MACs", "ACs", "Energy")
        listed = [
            (x.path, format_si(x.dense_ops), f"{x.rate:.3f}", format_si(x.macs), format_si(x.acs), format_si(x.energy_j, "J"))
            for x in e.layers
        ]
        output.show("", e.convention.name, listing(heads, listed, right=(1, 2, 3, 4, 5)))
