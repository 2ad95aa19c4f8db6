"""What every surrogate on the shelf shares: whom it speaks for, where it is trusted, how far off it was."""

from __future__ import annotations

from typing import Any

from hwsim import plugins
from hwsim.cost import Program
from hwsim.errors import InputError
from hwsim.estimate import Interval
from hwsim.surrogates.store import Stored


def check_family(stored: Stored, program: Program) -> None:
    """Refuse a program that a surrogate does not speak for.

    Raises:
        InputError: it is of another family.
    """
    check_family_name(stored, program.family)


def check_family_name(stored: Stored, asked: str) -> None:
    """Refuse a family that a surrogate does not speak for.

    Raises:
        InputError: it is another one.
    """
    family = stored.config["family"]
    if asked != family:
        raise InputError(f"surrogate {stored.name!r} speaks for {family}; this is a program of the family {asked!r}")


def target_of(stored: Stored) -> Any:
    """The family, if it still computes the features that a surrogate was trained on.

    Raises:
        InputError: it does not.
    """
    family = stored.config["family"]
    target: Any = plugins.load("hwsim.targets", family)
    if tuple(getattr(target, "feature_names", ())) != tuple(stored.config["features"]):
        raise InputError(f"surrogate {stored.name!r} was trained on other features of the family {family!r}; train it anew")
    return target


def trusted(stored: Stored, program: Program, *, device: Any, mapping: Any) -> bool:
    """Whether device (by name, or `vendor:NAME`), mapping and kind of network are among those that it was judged on."""
    where = stored.config["trusted"]
    chosen = all(str(getattr(mapping, name)) in values for name, values in where["mapping"].items())
    board = not {str(getattr(device, "name", "")), f"vendor:{getattr(device, 'vendor', '')}"}.isdisjoint(where["devices"])
    return chosen and board and not any(name in program.graph.attrs for name in where.get("graph_without", ()))


def ranged(stored: Stored, domain: str, value: float) -> Interval:
    """The range of a value by the errors that a domain of its metrics left."""
    held = stored.metrics["intervals"]
    entry, label = held[domain], f"{stored.metrics['suite']}/{domain}"
    return Interval(value * entry["low_ratio"], value * entry["high_ratio"], held["level"], label, entry["median_ape"])
