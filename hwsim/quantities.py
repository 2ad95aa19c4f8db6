"""Numbers with their sources, as they stand on the shelves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim import units
from hwsim.errors import InputError, UnknownName

STATUSES = ("measured", "datasheet", "published", "fitted", "assumed", "given")
"""Where a number comes from; `given` is what the caller set."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number in SI units."""

    value: Any
    unit: str = ""
    source: str = ""
    status: str = "assumed"
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """What a field of a description may hold."""

    unit: str = ""
    required: bool = True
    default: float = 0.0
    doc: str = ""
    positive: bool = True
    least: float = 0.0
    """A smaller value is taken for a forgotten unit."""


_KEYS = ("value", "source", "status", "low", "high", "note")


def decode(name: str, raw: Any, *, unit: str, sources: Mapping[str, str], where: str) -> Quantity:
    """One quantity from `{value, source, status[, low, high, note]}`.

    Raises:
        UnknownName: a wrong key or status.
        InputError: a key is missing, the value has another unit or is not finite, or low and high do not enclose it.
    """
    at = f"{where}, field {name!r}"
    if not isinstance(raw, Mapping):
        raise InputError(f"{at}: found {raw!r}; expected {{value: {units.example(unit)}, source: ..., status: ...}}")
    for key in raw:
        if key not in _KEYS:
            raise UnknownName(f"key of {at}:", str(key), _KEYS)
    if missing := [key for key in ("value", "source", "status") if key not in raw]:
        raise InputError(f"{at}: {', '.join(missing)} missing; every number needs a value, a source and a status")
    if raw["status"] not in STATUSES:
        raise UnknownName(f"status of {at}:", str(raw["status"]), STATUSES)
    value = _finite(raw["value"], unit, at)
    low, high = (None if raw.get(key) is None else _finite(raw[key], unit, at) for key in ("low", "high"))
    if not (value if low is None else low) <= value <= (value if high is None else high):
        raise InputError(f"{at}: found the value {value:g} outside its range, {low} to {high}; expected low <= value <= high")
    source = str(raw["source"])
    return Quantity(value, unit, sources.get(source, source), raw["status"], low, high, str(raw.get("note") or ""))


def _finite(raw: Any, unit: str, at: str) -> float:
    try:
        number = units.parse(raw, unit)
    except InputError as error:
        raise InputError(f"{at}: {error}") from None
    if not math.isfinite(number):
        raise InputError(f"{at}: found {raw!r}; expected a finite number")
    return number


def decode_all(raw: Mapping[str, Any], fields: Mapping[str, Field], *, sources: Mapping[str, str], where: str) -> dict[str, Quantity]:
    """All quantities of a description, defaults filled in.

    Raises:
        UnknownName: a key that is no field.
        InputError: a required field is missing, or a value is not positive where it must be.
    """
    for name in raw:
        if name not in fields:
            raise UnknownName(f"field in {where}:", str(name), fields)
    require(where, [n for n, f in fields.items() if f.required and n not in raw])
    found = {n: decode(n, raw[n], unit=fields[n].unit, sources=sources, where=where) for n in fields if n in raw}
    for name, field in fields.items():
        if name not in found:
            found[name] = Quantity(field.default, field.unit, "not stated by the description", "assumed")
        else:
            check_range(f"{where}, field {name!r}", found[name].value, field)
    return found


def check_range(at: str, value: float, field: Field) -> None:
    """Complain about a number that a field cannot have.

    Raises:
        InputError: not positive (negative, where the field is optional), or so small that its unit must be missing.
    """
    if field.required and field.positive and not value > 0:
        raise InputError(f"{at}: found {value!r}; expected more than 0")
    if not value >= 0:
        raise InputError(f"{at}: found {value!r}; expected 0 or more")
    if 0 < value < field.least:
        raise InputError(f"{at}: found {value:g} {field.unit}; expected at least {field.least:g} {field.unit}; is its prefix missing?")


def require(where: str, missing: Iterable[str]) -> None:
    """Complain about missing fields, all at once.

    Raises:
        InputError: there are some.
    """
    if missing := list(missing):
        raise InputError(f"{where}: field(s) {', '.join(map(repr, missing))} missing; add them, or `extends:` a device that has them")
