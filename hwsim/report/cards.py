"""Cards of totals for the HTML report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from hwsim.report import text
from hwsim.report.family import highlights
from hwsim.report.svg import colour
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.estimate import Estimate

_MEMORY_COLOURS = {"weights": "compute", "activations": "memory", "state": "overhead", "reserved": "static"}


def cards(e: Estimate) -> str:
    """All cards of an estimate."""
    return f'<div class="cards">{"".join(_cards(e))}</div>'


def _cards(e: Estimate) -> Iterator[str]:
    first = "Time to first token" if e.decode is not None or e.phase == "prefill" else "Latency"
    yield card(first, format_si(e.latency_s, "s"), text.interval(e.latency_interval, "s"))
    if e.decode is not None:
        yield card("Time per output token", format_si(e.decode.latency_s, "s"), text.interval(e.decode.latency_interval, "s"))
    for label, words in highlights(e).items():
        yield card(label, *_split(words))
    rate = e if e.decode is None else e.decode
    yield card("Throughput" if e.decode is None else "Decode throughput", *_split(text.throughput(rate)))
    yield card("Energy", format_si(e.energy_j, "J"), "; ".join(filter(None, (text.interval(e.energy_interval, "J"), _energy_parts(e)))))
    yield card("Mean power", format_si(e.power_w, "W"))
    yield _verdict_card(e)
    yield _memory_card(e)
    yield bound_card("What binds", e)
    if e.decode is not None:
        yield bound_card("What binds in decode", e.decode)


def _split(words: str) -> tuple[str, str]:
    value, _, more = words.partition(", ")
    return value, more


def card(label: str, value: str, more: str = "", *, kind: str = "", inner: str = "", wide: bool = False) -> str:
    """A label, a large value, a small line."""
    body = f'<div class="value {kind}">{escape(value)}</div>{inner}<div class="more">{escape(more)}</div>'
    return f'<div class="card{" wide" if wide else ""}"><div class="label">{escape(label)}</div>{body}</div>'


def _energy_parts(e: Estimate) -> str:
    return ", ".join(f"{name} {format_si(float(value), 'J')}" for name, value in e.cost.energy_j.items() if float(value) > 0)


def _memory_card(e: Estimate) -> str:
    fullest = max((x for x in (e, e.decode) if x is not None), key=lambda x: float(x.memory.total_b))
    memory, frac = fullest.memory, text.used_frac(fullest)
    parts = {name: float(getattr(memory, f"{name}_b")) for name in _MEMORY_COLOURS}
    shown = {name: b for name, b in parts.items() if b > 0}
    whole = max(float(memory.total_b), float(memory.capacity_b) if frac is not None else 0.0) or 1.0
    inner = stack({_MEMORY_COLOURS[name]: b / whole for name, b in shown.items()})
    of = "" if frac is None else f" of {format_si(float(memory.capacity_b), 'B')}, {text.percent(frac)}"
    inner += legend({name: f"{name} {format_si(b, 'B')}" for name, b in shown.items()}, _MEMORY_COLOURS)
    return card("Memory", f"{format_si(float(memory.total_b), 'B')}{of}", inner=inner, wide=True)


def _verdict_card(e: Estimate) -> str:
    reasons = text.misfits(e)
    coverage = f"{text.percent(e.coverage_frac)} of the nodes have a rule" if e.coverage_frac < 1 else ""
    return card(
        "Verdict",
        "does not fit" if reasons else "fits",
        "; ".join([*reasons, coverage] if coverage else reasons),
        kind="bad" if reasons else "good",
    )


def bound_card(label: str, e: Estimate) -> str:
    """Share of the time by what binds it."""
    shares = e.bound_share()
    top = next(iter(shares), "nothing")
    named = {name: f"{name} {text.percent(frac)}" for name, frac in shares.items()}
    return card(label, top, inner=stack(shares) + legend(named))


def stack(shares: Mapping[str, float]) -> str:
    """Shares as one bar."""
    inner = "".join(f'<i class="{colour(name)}" style="width:{100 * frac:.2f}%"></i>' for name, frac in shares.items())
    return f'<div class="stack">{inner}</div>'


def legend(names: Mapping[str, str | None] | Iterable[str], colours: Mapping[str, str] | None = None) -> str:
    """A coloured square a name; the mapping's values are the texts shown."""
    shown = names if isinstance(names, Mapping) else dict.fromkeys(names)
    items = "".join(f'<span><i class="{colour((colours or {}).get(n, n))}"></i>{escape(label or n)}</span>' for n, label in shown.items())
    return f'<div class="legend">{items}</div>'
