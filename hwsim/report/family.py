"""What a family adds to the reports of its estimates: highlights among the totals, columns of its instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from hwsim.report.tables import PathText, plain_table

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Layer


def family_of(estimate: Estimate) -> Any:
    """The target of an estimate; None where it is not installed any more."""
    from hwsim import plugins

    name = estimate.program.family
    return plugins.load("hwsim.targets", name) if name in plugins.available("hwsim.targets") else None


def highlights(estimate: Estimate) -> Mapping[str, str]:
    """Lines that the family wants among the totals (`Target.highlights`), and ranges where it shows them (`Target.shows_range`)."""
    family = family_of(estimate)
    told = getattr(family, "highlights", None)
    return {**(told(estimate.cost, mapping=estimate.mapping) if told else {}), **_range_lines(family, estimate)}


def _range_lines(family: Any, estimate: Estimate) -> Mapping[str, str]:
    if not getattr(family, "shows_range", False):
        return {}
    from hwsim.ranges import constant_ranges, words

    return words(constant_ranges(family, estimate.program, device=estimate.device, mapping=estimate.mapping))


def pictures(estimate: Estimate) -> Sequence[tuple[str, str, str]]:
    """Title, drawing and remark of the pictures that the family adds to the page (`Target.pictures`)."""
    drawn = getattr(family_of(estimate), "pictures", None)
    return drawn(estimate) if drawn else ()


def instance_columns(estimate: Estimate) -> Mapping[str, str]:
    """Headings by resource or fact of a layer (`Target.instance_columns`); empty where layers have none of their own."""
    return getattr(family_of(estimate), "instance_columns", {}) if estimate.cost.row_resources else {}


def instance_value(layer: Layer, key: str) -> float:
    """A resource or a fact of a layer."""
    return layer.resources.get(key, layer.extra.get(key, 0.0))


def instance_words(estimate: Estimate, key: str) -> Sequence[str]:
    """Words that a column's whole numbers stand for (`Target.instance_words`); none where they are numbers."""
    return getattr(family_of(estimate), "instance_words", {}).get(key, ())


def instance_cell(layer: Layer, key: str, words: Sequence[str] = ()) -> str:
    """As it is printed, the number or its word; `-` for none."""
    value = instance_value(layer, key)
    return words[int(value)] if words else f"{value:,.0f}" if value else "-"


def instance_tables(estimate: Estimate, *, top: int) -> list[Any]:
    """Instances in schedule order with their resources; beyond `top` the largest ones."""
    columns = instance_columns(estimate)
    if not columns:
        return []
    layers, first = list(estimate.layers), next(iter(estimate.cost.row_resources))
    if len(layers) > top:
        kept = sorted(layers, key=lambda layer: -instance_value(layer, first))[:top]
        layers = [layer for layer in layers if layer in kept]
    words = {key: instance_words(estimate, key) for key in columns}
    table = plain_table("Layer", "Kind", *columns.values(), right=range(2, 2 + len(columns)), tight=True)
    for layer in layers:
        table.add_row(PathText(layer.name), Text(layer.kind), *(Text(instance_cell(layer, key, words[key])) for key in columns))
    return [Text(), Text("Instances", style="bold"), table]
