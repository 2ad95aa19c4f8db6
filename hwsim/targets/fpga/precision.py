"""Fixed-point formats as HLS tools spell them: `ap_fixed<W,I,Q,O>`, `ap_uint<W>`, `ac_fixed<W,I,S,Q,O>`, `fixed<16,6>`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from hwsim.errors import InputError

ROUNDING = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
SATURATION = ("WRAP", "SAT", "SAT_ZERO", "SAT_SYM")
MAX_WIDTH = 1024
EXPECTED = "expected a format such as ap_fixed<16,6>, ap_fixed<16,6,AP_RND,AP_SAT>, ap_ufixed<8,0>, ap_int<8> or ac_fixed<16,6,true>"


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A fixed-point number format."""

    width: int
    """Bits in all."""
    integer: int
    """Bits left of the binary point, sign included; may be negative or exceed the width."""
    signed: bool = True
    rounding: str = "TRN"
    saturation: str = "WRAP"

    @property
    def fractional(self) -> int:
        """Bits right of the binary point."""
        return self.width - self.integer

    @property
    def plain(self) -> FixedPoint:
        """The same numbers with truncation and wrap-around, which cost nothing."""
        return replace(self, rounding="TRN", saturation="WRAP")

    def __str__(self) -> str:
        sign = "" if self.signed else "u"
        modes = "" if (self.rounding, self.saturation) == ("TRN", "WRAP") else f",{self.rounding},{self.saturation}"
        return f"ap_{sign}fixed<{self.width},{self.integer}{modes}>"


_PATTERN = re.compile(r"(?P<family>ap_|ac_)?(?P<unsigned>u?)(?P<kind>fixed|int)\s*<(?P<arguments>[^<>]*)>")


@lru_cache(maxsize=4096)
def parse(text: str) -> FixedPoint:
    """The format that `text` spells.

    >>> parse("ap_fixed<16, 6, AP_RND, AP_SAT>")
    FixedPoint(width=16, integer=6, signed=True, rounding='RND', saturation='SAT')
    >>> str(parse("ac_fixed<8,1,false>")), str(parse("ap_uint<4>"))
    ('ap_ufixed<8,1>', 'ap_ufixed<4,4>')

    Raises:
        InputError: not such a format, or a width outside 1..1024.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise InputError(f"precision {text!r} cannot be read; {EXPECTED}")
    arguments = [a.strip() for a in match["arguments"].split(",")]
    signed = not match["unsigned"]
    if match["family"] == "ac_" and len(arguments) > (at := 2 if match["kind"] == "fixed" else 1):
        signed = _truth(arguments.pop(at), text)
    width, integer = _widths(arguments, match["kind"], text)
    return FixedPoint(width, integer, signed, *_modes(arguments[1 if match["kind"] == "int" else 2 :], text))


def _widths(arguments: list[str], kind: str, text: str) -> tuple[int, int]:
    needed = 1 if kind == "int" else 2
    try:
        numbers = [int(a) for a in arguments[:needed]]
    except ValueError:
        raise InputError(f"precision {text!r} has a width that is no whole number; {EXPECTED}") from None
    if len(numbers) < needed:
        raise InputError(f"precision {text!r} lacks its integer bits; {EXPECTED}")
    if not 1 <= numbers[0] <= MAX_WIDTH:
        raise InputError(f"precision {text!r} is {numbers[0]} bits wide; expected 1 to {MAX_WIDTH}")
    return numbers[0], numbers[-1]


def _truth(text: str, whole: str) -> bool:
    if text.lower() not in ("true", "false", "0", "1"):
        raise InputError(f"precision {whole!r} has the sign {text!r}; expected true or false")
    return text.lower() in ("true", "1")


def _modes(arguments: list[str], text: str) -> tuple[str, str]:
    chosen = ["TRN", "WRAP"]
    for i, (argument, known) in enumerate(zip(arguments, (ROUNDING, SATURATION), strict=False)):
        mode = argument.upper().removeprefix("AP_").removeprefix("AC_")
        if mode not in known:
            raise InputError(f"precision {text!r} has the mode {argument!r}; expected one of {', '.join(known)}")
        chosen[i] = mode
    return chosen[0], chosen[1]
