"""Number formats: width and family of every tensor element."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hwsim.errors import InputError, UnknownName

Family = Literal["float", "int", "fixed", "bool"]


@dataclass(frozen=True, slots=True)
class DType:
    """A number format. `bits` is the storage width; `integer_bits` (sign included) is for fixed point only."""

    name: str
    bits: int
    family: Family
    integer_bits: int | None = None

    @property
    def bytes(self) -> float:
        """Storage per element in bytes (may be a fraction: int4 is 0.5)."""
        return self.bits / 8

    @property
    def is_float(self) -> bool:
        """Whether the format has an exponent."""
        return self.family == "float"

    def __str__(self) -> str:
        return self.name


_CATALOGUE = {
    d.name: d
    for d in (
        DType("fp64", 64, "float"),
        DType("fp32", 32, "float"),
        DType("tf32", 32, "float"),
        DType("bf16", 16, "float"),
        DType("fp16", 16, "float"),
        DType("fp8_e4m3", 8, "float"),
        DType("fp8_e5m2", 8, "float"),
        DType("fp4_e2m1", 4, "float"),
        DType("complex64", 64, "float"),
        DType("complex128", 128, "float"),
        DType("int64", 64, "int"),
        DType("int32", 32, "int"),
        DType("int16", 16, "int"),
        DType("int8", 8, "int"),
        DType("uint8", 8, "int"),
        DType("int4", 4, "int"),
        DType("int2", 2, "int"),
        DType("ternary", 2, "int"),
        DType("binary", 1, "int"),
        DType("bool", 8, "bool"),
    )
}
_ALIASES = {
    "float64": "fp64",
    "double": "fp64",
    "float32": "fp32",
    "float": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "fp8": "fp8_e4m3",
    "e4m3": "fp8_e4m3",
    "e5m2": "fp8_e5m2",
    "float8_e4m3fn": "fp8_e4m3",
    "float8_e5m2": "fp8_e5m2",
    "fp4": "fp4_e2m1",
    "uint4": "int4",
    "int1": "binary",
    "uint16": "int16",
    "uint32": "int32",
    "uint64": "int64",
}
_FIXED = re.compile(r"(?:ap_|ac_)?u?fixed\s*<\s*(\d+)\s*,\s*(-?\d+)\s*(?:,[^>]*)?>")
_INTEGER = re.compile(r"(?:ap_|ac_)u?int\s*<\s*(\d+)\s*(?:,[^>]*)?>")


@lru_cache(maxsize=1024)
def dtype(name: str | DType) -> DType:
    """The format called `name`: a catalogue name, an alias (`float16`), `ap_fixed<W,I>` or `ap_int<W>`.

    Raises:
        UnknownName: no such format.
        InputError: a fixed-point width outside 1..1024.
    """
    if isinstance(name, DType):
        return name
    key = name.strip().lower()
    if match := _FIXED.fullmatch(key):
        return _fixed(key, int(match[1]), int(match[2]))
    if match := _INTEGER.fullmatch(key):
        return _fixed(key, int(match[1]), int(match[1]))
    try:
        return _CATALOGUE[_ALIASES.get(key, key)]
    except KeyError:
        raise UnknownName("dtype", name, [*_CATALOGUE, "ap_fixed<W,I>"]) from None


def _fixed(name: str, width: int, integer: int) -> DType:
    if not 1 <= width <= 1024:
        raise InputError(f"fixed-point width {width} in {name!r}; expected 1 to 1024 bits")
    return DType(name.replace(" ", ""), width, "fixed", integer)


def names() -> tuple[str, ...]:
    """Names of the catalogue, without the open family `ap_fixed<W,I>`."""
    return tuple(_CATALOGUE)
