"""Text of Verilog: registered shift-and-add networks in which equal parts are built once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Term:
    """A signal times a power of two, perhaps negated, with the range of the signal."""

    name: str
    low: int
    high: int
    shift: int = 0
    negative: bool = False

    @property
    def bits(self) -> int:
        """Width of the signal."""
        return signed_bits(self.low, self.high)


def signed_bits(low: int, high: int) -> int:
    """Bits of two's complement that hold low..high.

    >>> signed_bits(-4, 3), signed_bits(0, 4), signed_bits(0, 0)
    (3, 4, 1)
    """
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Canonical signed digits of a number: (exponent, +1 or -1), lowest first.

    >>> signed_digits(7), signed_digits(-6)
    ([(0, -1), (3, 1)], [(1, 1), (3, -1)])
    """
    digits, exponent = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((exponent, digit))
            value -= digit
        value >>= 1
        exponent += 1
    return digits


@dataclass
class Netlist:
    """Lines of a module under construction; equal registers are made once."""

    limit: int
    """Bits after which sums wrap."""
    lines: list[str] = field(default_factory=list)
    made: dict[tuple[object, ...], Term] = field(default_factory=dict)

    def register(self, low: int, high: int, expression: str, key: tuple[object, ...]) -> Term:
        """A signed register of what `expression` is."""
        if key not in self.made:
            term = Term(f"n{len(self.made)}", low, high)
            self.lines.append(f"  reg signed [{term.bits - 1}:0] {term.name};")
            self.lines.append(f"  always @(posedge clk) {term.name} <= {expression};")
            self.made[key] = term
        return self.made[key]

    def delay(self, term: Term) -> Term:
        """The term one clock later."""
        return replace(self.register(term.low, term.high, term.name, ("delay", term.name)), shift=term.shift, negative=term.negative)

    def add(self, a: Term, b: Term) -> Term:
        """Their sum, one clock later."""
        if (b.shift, b.name, b.negative) < (a.shift, a.name, a.negative):
            a, b = b, a
        shift, gap, minus = a.shift, b.shift - a.shift, a.negative != b.negative
        spread = sorted((-b.low << gap, -b.high << gap)) if minus else [b.low << gap, b.high << gap]
        low, high = self._wrapped(a.low + spread[0], a.high + spread[1])
        text = f"{a.name} {'-' if minus else '+'} ({b.name} <<< {gap})"
        return replace(self.register(low, high, text, ("add", a.name, b.name, gap, minus)), shift=shift, negative=a.negative)

    def _wrapped(self, low: int, high: int) -> tuple[int, int]:
        half = 1 << (self.limit - 1)
        return (low, high) if -half <= low and high < half else (-half, half - 1)

    def tree(self, terms: Sequence[Term], levels: int) -> Term:
        """The sum of terms after `levels` clocks, neighbours added pairwise; one left over is first in the next round."""
        found = list(terms)
        for _ in range(levels):
            pairs = [self.add(found[i], found[i + 1]) for i in range(0, len(found) - 1, 2)]
            found = ([self.delay(found[-1])] if len(found) % 2 else []) + pairs
        return found[0]


def levels(count: int) -> int:
    """Depth of a binary tree over `count` leaves.

    >>> [levels(n) for n in (0, 1, 2, 3, 8, 9)]
    [0, 0, 1, 2, 3, 4]
    """
    return max(count - 1, 0).bit_length()


def select(choices: Sequence[str], index: str, bits: int) -> str:
    """A multiplexer over `choices` as nested conditionals on the bits of `index`."""
    if len(choices) == 1:
        return choices[0]
    half = 1 << (bits - 1)
    low = select(choices[:half], index, bits - 1)
    return low if len(choices) <= half else f"({index}[{bits - 1}] ? {select(choices[half:], index, bits - 1)} : {low})"


def words(values: Sequence[int], bits: int) -> int:
    """Values side by side as one unsigned number, the first in the lowest bits."""
    return sum((int(v) & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(values))


def part(bus: str, index: int, bits: int) -> str:
    """A slice of a bus of equal words."""
    return f"{bus}[{index * bits + bits - 1}:{index * bits}]"
