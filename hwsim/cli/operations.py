"""`hwsim operations`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import output
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.conventions import OperationEnergy


@click.command()
@click.argument("model")
@click.option("--convention", "names", metavar="NAME", multiple=True, help="A convention, once or several times [default: all].")
@click.option("--rates", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Firing rates by layer: CSV or JSON.")
@click.option("--layers", is_flag=True, help="Every layer, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def operations(model: str, names: tuple[str, ...], rates: Path | None, layers: bool, as_json: bool) -> None:
    """Energy by counting operations, under the conventions of papers.

    No device: multiply-accumulates and accumulates on spikes, each at a published energy. Such a number is not that of a chip.

    \b
    Examples:
      hwsim operations spikingformer_8_512
      hwsim operations spikingformer_8_512 --convention strict-binary --rates rates.csv --layers
      hwsim operations resnet50 --convention bitnet-45nm --json
    """
    from hwsim import api
    from hwsim.conventions import CONVENTIONS, convention, operation_energy
    from hwsim.rates import Rates

    graph, given = api.load(model), Rates.read(rates) if rates else None
    found = [operation_energy(graph, convention=convention(n), rates=given) for n in names or CONVENTIONS]
    if as_json:
        return output.show_json([_plain(e) for e in found])
    _show(found, layers=layers)
    return None


def _plain(e: OperationEnergy) -> dict[str, Any]:
    totals = {"energy_j": e.energy_j, "macs": e.macs, "acs": e.acs, "mean_rate": e.mean_rate, "timesteps": e.timesteps}
    rows = [asdict(layer) for layer in e.layers]
    return {"model": e.graph.name, "convention": e.convention.name, "source": e.convention.source, **totals, "layers": rows}


def _show(found: list[OperationEnergy], *, layers: bool) -> None:
    from hwsim.report.tables import listing

    first = found[0]
    heads = ("Convention", "Energy", "MACs", "ACs", "Mean rate", "Counts")
    rows = [
        (e.convention.name, format_si(e.energy_j, "J"), format_si(e.macs), format_si(e.acs), f"{e.mean_rate:.3f}", e.convention.summary)
        for e in found
    ]
    output.show(f"{first.graph.name}; {first.timesteps} timesteps", "", listing(heads, rows, right=(1, 2, 3, 4)))
    assumed = sum(layer.assumed for layer in first.layers)
    if assumed:
        output.show("", f"firing rates of {assumed} layers are assumed; give them with --rates FILE")
    for e in found if layers else ():
        heads = ("Layer", "Dense", "Rate", "MACs", "ACs", "Energy")
        listed = [
            (x.path, format_si(x.dense_ops), f"{x.rate:.3f}", format_si(x.macs), format_si(x.acs), format_si(x.energy_j, "J"))
            for x in e.layers
        ]
        output.show("", e.convention.name, listing(heads, listed, right=(1, 2, 3, 4, 5)))
