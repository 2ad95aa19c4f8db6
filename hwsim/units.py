"""Text with units at the edge, SI inside."""

from __future__ import annotations

import re

from hwsim.errors import InputError

_LARGE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_SMALL = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_BINARY = {"Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3, "Ti": 1024.0**4}
_PREFIXES = {**_BINARY, **_LARGE, **_SMALL}
UNITS = (
    *["s", "m", "B", "b", "B/s", "Hz", "W", "J", "FLOP", "FLOP/s", "OP", "OP/s", "V", "J/B", "J/FLOP", "FLOP/clk", "OP/clk", "B/clk", "1"],
    "",
)
"""Dimensions that quantities may have; `1` and the empty one are plain numbers."""
_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


def parse(value: str | float | int, unit: str) -> float:
    """`value` in SI; text may carry a prefixed unit of the given dimension.

    >>> parse("1.555 TB/s", "B/s")
    1555000000000.0
    >>> parse("40 MiB", "B")
    41943040.0

    Raises:
        InputError: not a number, or another dimension.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"found {value!r}; expected a number or a text with a unit, such as {example(unit)!r}")
    if not isinstance(value, str):
        return _number(value)
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise InputError(f"found {value!r}; expected a number with the unit {unit or '(none)'}, such as {example(unit)!r}")
    return float(match[1].replace("_", "")) * _scale(match[2], unit, value)


def _number(value: float | int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"found a number of {len(str(value))} digits; expected one below 1e308") from None


def _scale(found: str, unit: str, value: str) -> float:
    if not found:
        return 1.0
    plain = {"1": "", "": ""}.get(unit, unit)
    if plain and found.endswith(plain) and found[: -len(plain)] in _PREFIXES:
        return _PREFIXES[found[: -len(plain)]]
    raise InputError(f"found {value!r} with the unit {found!r}; expected {plain or 'a plain number'}, such as {example(unit)!r}")


def example(unit: str) -> str:
    """A well-formed text of that dimension."""
    return {"": "80", "1": "80", "s": "3 us", "B": "80 GB", "B/s": "1.555 TB/s", "Hz": "1.41 GHz"}.get(unit, f"12 {unit}")


_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
_BINARY_STEPS = ((1024.0**4, "Ti"), (1024.0**3, "Gi"), (1024.0**2, "Mi"), (1024.0, "Ki"), (1.0, ""))


def format_si(value: float, unit: str = "", *, digits: int = 3) -> str:
    """`value` for people: three significant digits and a prefix; plain bytes in binary prefixes.

    >>> format_si(0.00732, "s"), format_si(26306674688, "B"), format_si(2.039e12, "B/s")
    ('7.32 ms', '24.5 GiB', '2.04 TB/s')
    """
    if value != value or value in (float("inf"), float("-inf")):
        return f"{value} {unit}".strip()
    for scale, prefix in _BINARY_STEPS if unit == "B" else _STEPS:
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            return f"{_digits(value / scale, digits)} {prefix}{unit}".strip()
    return f"{_digits(value, digits)} {unit}".strip()


def _digits(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    rounded = abs(float(f"{value:.{digits}g}"))
    return f"{value:.{max(0, digits - len(str(int(rounded))))}f}" if rounded >= 1 else f"{value:.{digits}g}"
