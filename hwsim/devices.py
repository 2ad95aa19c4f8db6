"""What the device classes of all families share: reading a description from the shelf, and changing quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

from hwsim import shelf
from hwsim.arrays import Array
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import Field, Quantity, check_range, decode_all
from hwsim.units import parse

COMMON = ("name", "family", "summary", "released", "sources", "fields", "aliases")


def described(
    name: str, *, family: str, fields: Mapping[str, Field], text: tuple[str, ...] = (), other: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Keyword arguments of a device class from the description called `name`, or from the YAML file at that path.

    Args:
        fields: the quantities of the family.
        text: top-level keys with a word each, `generic` by default.
        other: top-level keys that the family reads itself, handed on as they are.

    Raises:
        UnknownName: no such device, or an unknown key or field in its file.
        InputError: a field is missing or wrong.
    """
    raw = shelf.description(name, family=family)
    for key in raw:
        if key not in (*COMMON, *text, *other):
            raise UnknownName(f"key in {name}:", str(key), (*COMMON, *text, *other))
    found = decode_all(raw["fields"], fields, sources=raw["sources"], where=name)
    proper = name if name.endswith((".yaml", ".yml")) else shelf.find(name, family=family).stem
    words = {key: str(raw.get(key, "generic")) for key in text}
    numbers = {key: quantity.value for key, quantity in found.items()}
    return {"name": str(raw.get("name", proper)), "sources": found, **words, **{k: raw.get(k) for k in other}, **numbers}


def overridden(device: Any, overrides: Mapping[str, Any], *, fields: Mapping[str, Field], noun: str) -> Any:
    """A copy of a device with other quantities; text carries units (`"4.8 TB/s"`), arrays are columns of points, `(points, 1)`.

    Raises:
        UnknownName: no such field.
        InputError: neither number, text nor array, a wrong unit, or a value out of range.
    """
    changed: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in fields:
            raise UnknownName(f"quantity of {noun}", key, fields)
        changed[key] = _value(key, value, fields[key])
    given = {k: Quantity(v, fields[k].unit, "given by the caller", "given") for k, v in changed.items()}
    return replace(device, **changed, sources={**device.sources, **given})


def _value(key: str, value: Any, field: Field) -> Array:
    if hasattr(value, "shape") and not isinstance(value, Real):
        return value
    try:
        number = parse(float(value) if isinstance(value, Real) and not isinstance(value, bool) else value, field.unit)
    except InputError as error:
        raise InputError(f"quantity {key!r}: {error}") from None
    check_range(f"quantity {key!r}", number, field)
    return number
