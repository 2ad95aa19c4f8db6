"""Operation counts under conventions of papers, as tables; the same words in the terminal and in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.conventions import Convention, OperationEnergy

TITLE = "Operation counts, as papers do"
NOTE = "A published energy an operation each: no chip, and no part of the energy above."
HEADS = ("Convention", "Energy", "Memory", "MACs", "ACs", "Mean rate", "Counts")
RIGHT = (1, 2, 3, 4, 5)
LIST_HEADS = ("Convention", "Multiply", "Add", "MAC", "Memory", "Energies of", "Counts")
LIST_RIGHT = (1, 2, 3, 4)


def rows(counted: Iterable[OperationEnergy]) -> list[tuple[str, ...]]:
    """A row a convention, without its source."""
    return [
        (
            e.convention.name,
            format_si(e.energy_j, "J"),
            format_si(e.memory_j, "J") if e.memory_j else "-",
            format_si(e.macs) if e.macs else "-",
            format_si(e.acs) if e.acs else "-",
            f"{e.mean_rate:.3f}" if e.spiking_ops else "-",
            e.convention.summary,
        )
        for e in counted
    ]


def sources(conventions: Iterable[Convention]) -> list[str]:
    """Where each convention, and its energies, come from."""
    return [f"{c.name}: {c.source}" for c in conventions]


def assumed(counted: Sequence[OperationEnergy]) -> str:
    """A line about firing rates that nobody gave; empty where all are known."""
    most = max((e.assumed_count for e in counted), default=0)
    return f"firing rates of {most} layers are assumed; give them with --rates FILE" if most else ""


def list_rows(conventions: Iterable[Convention]) -> list[tuple[str, ...]]:
    """A row a convention: its energies in picojoules an operation (memory: a byte)."""
    return [
        (
            c.name,
            *(f"{1e12 * c.constants_j[n]:.4g} pJ" for n in ("multiply", "add", "mac")),
            f"{1e12 * c.memory_j_per_b:.4g} pJ/B" if c.memory_j_per_b else "-",
            f"{c.number_format}, {c.node}",
            c.summary,
        )
        for c in conventions
    ]
