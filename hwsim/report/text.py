"""Words and numbers for people, shared by the terminal and the HTML report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwsim.estimate import plain
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate, Interval
    from hwsim.quantities import Quantity


def percent(frac: float) -> str:
    """A share: `34.1 %`, `100 %`."""
    return f"{100 * frac:.0f} %" if frac >= 0.9995 else f"{100 * frac:.1f} %"


def count(value: float) -> str:
    """A count with a prefix: `4.09 G`; `-` for none."""
    return format_si(float(value)) if value else "-"


def bar(frac: float, width: int) -> str:
    """A horizontal bar in eighths of a character."""
    eighths = round(min(max(frac, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def interval(given: Interval, unit: str) -> str:
    """`7.1 ms to 8.9 ms (90 % of gpu-conv)`, or `not validated`."""
    if given.low is None or given.high is None:
        return "not validated"
    return f"{format_si(given.low, unit)} to {format_si(given.high, unit)} ({100 * given.level:.0f} % of {given.domain})"


def shape(estimate: Estimate) -> str:
    """Batch, lengths and phase."""
    attrs = estimate.program.graph.attrs
    words = [f"batch {estimate.batch}"]
    words += [f"{label} {attrs[name]}" for name, label in (("seq_len", "tokens"), ("kv_len", "cache")) if attrs.get(name)]
    return ", ".join([*words, *([estimate.phase] if estimate.phase else [])])


def mapping(estimate: Estimate) -> str:
    """The options of the mapping that are set."""
    if (words := getattr(estimate.mapping, "words", None)) is not None:
        return words
    given = {name: value for name, value in plain(estimate.mapping).items() if value not in (None, "", 0.0, False)}
    return ", ".join(f"{name} {value}" for name, value in given.items())


def misfits(estimate: Estimate) -> tuple[str, ...]:
    """Why the estimate, or its decode step, does not fit."""
    step = () if estimate.decode is None else tuple(f"in decode, {reason}" for reason in estimate.decode.reasons)
    return (*estimate.reasons, *step)


def verdict(estimate: Estimate) -> str:
    """`fits`, or `does not fit: it needs ...`."""
    reasons = misfits(estimate)
    return f"does not fit: {'; '.join(reasons)}" if reasons else "fits"


def throughput(estimate: Estimate) -> str:
    """Samples a second, and tokens a second where there are tokens."""
    tokens = tokens_per_s(estimate)
    if estimate.phase == "decode" and tokens is not None:
        return f"{rate(tokens)} tokens/s"
    samples = f"{rate(estimate.throughput_per_s)} samples/s"
    return samples if tokens is None else f"{samples}, {rate(tokens)} tokens/s"


def tokens_per_s(estimate: Estimate) -> float | None:
    """Tokens that go through a second, where the network takes a sequence."""
    length = 1 if estimate.phase == "decode" else estimate.program.graph.attrs.get("seq_len")
    return estimate.throughput_per_s * length if length else None


def rate(per_s: float) -> str:
    """A rate: whole numbers up to ten million, then with a prefix."""
    return f"{per_s:,.0f}" if 100 <= per_s < 1e7 else format_si(per_s)


def resource(estimate: Estimate, name: str) -> str:
    """`1,069 of 12,288, 8.7 %`, and the range where there is one."""
    item, given = estimate.cost.resources[name], estimate.resource_intervals.get(name)
    used, available = float(item.used), float(item.available)
    words = f"{used:,.0f} of {available:,.0f}" + (f", {percent(used / available)}" if available else "")
    if given is None or given.low is None or given.high is None or not used:
        return words
    return f"{words}   {given.low:,.0f} to {given.high:,.0f} ({100 * given.level:.0f} %)"


def resources(estimate: Estimate) -> tuple[str, ...]:
    """Names of the resources that the device has or the network needs."""
    return tuple(n for n, r in estimate.cost.resources.items() if float(r.used) > 0 or float(r.available) > 0)


def used_frac(estimate: Estimate) -> float | None:
    """Share of the memory that is needed; None where the capacity is unknown."""
    capacity = float(estimate.memory.capacity_b)
    return float(estimate.memory.total_b) / capacity if math.isfinite(capacity) and capacity > 0 else None


def ratio(value: float, reference: float) -> str:
    """`value` relative to `reference`: `2.1x`."""
    if not reference:
        return "-"
    times = value / reference
    return f"{times:,.0f}x" if times >= 1000 else f"{times:.3g}x"


def quantity(q: Quantity) -> str:
    """Value with unit, and its range where known."""
    return f"{value_of(q)} ({range_of(q)})" if range_of(q) else value_of(q)


def value_of(q: Quantity) -> str:
    """Value with unit."""
    return number(q.value, q.unit) if isinstance(q.value, int | float) else str(q.value)


def range_of(q: Quantity) -> str:
    """Range with unit; empty where it is not known."""
    return "" if q.low is None or q.high is None else f"{number(q.low, q.unit)} to {number(q.high, q.unit)}"


def source_of(q: Quantity) -> str:
    """Source, with the remark."""
    return "; ".join(x for x in (q.source, q.note) if x)


def number(value: float, unit: str) -> str:
    """A value with its unit in at most four digits; plain numbers and rates a clock without a prefix."""
    if unit in ("", "1") or unit.endswith("/clk") or value == 0:
        return f"{value:,.6g}" + (f" {unit}" if unit not in ("", "1") else "")
    digits, _, prefixed = format_si(value, unit, digits=4).partition(" ")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {prefixed}"


def memory(estimate: Estimate) -> str:
    """Used and available in one unit: `0.71/79.2 GiB`."""
    total, capacity = float(estimate.memory.total_b), float(estimate.memory.capacity_b)
    if not math.isfinite(capacity) or capacity <= 0:
        return format_si(total, "B")
    shown, unit = format_si(capacity, "B").split(" ")
    return f"{_digits(total * float(shown) / capacity)}/{shown} {unit}"


def _digits(value: float) -> str:
    return "<0.01" if 0 < value < 0.01 else f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
