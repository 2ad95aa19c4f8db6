"""Numbers with their sources, as they stand on the shelves."""

from __future__ import annotations

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


_KEYS = ("value", "source", "status", "low", "high", "note")


def decode(name: str, raw: Any, *, unit: str, sources: Mapping[str, str], where: str) -> Quantity:
    """One quantity from `{value, source, status[, low, high, note]}`.

    Raises:
        InputError: a wrong key, unit, status or source.
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
    try:
        value, low, high = (None if raw.get(k) is None else units.parse(raw[k], unit) for k in ("value", "low", "high"))
    except InputError as error:
        raise InputError(f"{at}: {error}") from None
    source = str(raw["source"])
    return Quantity(value, unit, sources.get(source, source), raw["status"], low, high, str(raw.get("note", "")))


def decode_all(
    raw: Mapping[str, Any], fields: Mapping[str, Field], *, sources: Mapping[str, str], where: str
) -> dict[str, Quantity]:
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
        elif field.required and field.positive and not found[name].value > 0:
            raise InputError(f"{where}, field {name!r}: found {found[name].value!r}; expected more than 0")
        elif not found[name].value >= 0:
            raise InputError(f"{where}, field {name!r}: found {found[name].value!r}; expected 0 or more")
    return found


def require(where: str, missing: Iterable[str]) -> None:
    """Complain about missing fields, all at once.

    Raises:
        InputError: there are some.
    """
    if missing := list(missing):
        raise InputError(f"{where}: field(s) {', '.join(map(repr, missing))} missing; add them, or `extends:` a device that has them")
