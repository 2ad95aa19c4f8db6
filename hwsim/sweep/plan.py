"""What a sweep is to find, checked against what its points have, before the work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from hwsim.errors import HwsimError, InputError
from hwsim.sweep.axes import Axis, Choices, Interval
from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.constraints import Constraint, Objective, constraints, objectives, shown, unit_of
from hwsim.sweep.pointwise import Evaluator, metrics, spread
from hwsim.sweep.space import Space

TRIED_BLOCKS = 16
"""Blocks that are tried for one that can be built."""
PROBES = 1024
"""Points that are looked at before the work starts."""
MOST_COMBINATIONS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """A space, and what is asked of it."""

    space: Space
    constraints: tuple[Constraint, ...]
    objectives: tuple[Objective, ...]
    """Of the front; at least one."""
    best: Objective
    top: int
    known: Mapping[str, str]
    """Metrics and axes to their units."""
    warnings: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    """Metrics that the caller adds."""
    search: bool = False
    """Whether a sampler chooses the points."""


def plan(
    space: Space,
    *,
    where: Sequence[str] = ("fits",),
    pareto: str | Sequence[str] = (),
    best: str = "",
    top: int = 10,
    search: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Plan:
    """What is asked, checked.

    Args:
        where: conditions, texts as `constraints` reads them.
        pareto: objectives of the front, `latency,energy`; without them the one of `best`.
        best: metric of the best point and of the top list, `max:` before it where more is better; by default the first objective,
            else latency.
        top: length of the list.
        extra: metrics that the caller adds, and their units.
        search: a sampler chooses the points; else some of them are looked at, to warn of conditions that hold nowhere among them.

    Raises:
        UnknownName: a metric that does not exist.
        InputError: a condition that cannot be read, or never holds whatever the metrics are; a network that cannot be built at all.
    """
    block = first_block(_numbered(space))
    inner = block.outer.inner
    known = (
        {name: unit_of(name) for name in metrics(block, inner.columns(0, 1))}
        | {a.name: axis_unit(a) for a in space.axes}
        | dict(extra or {})
    )
    wanted = (
        objectives(best, known=known) if best else (objectives(pareto, known=known) if pareto else objectives("latency", known=known))[:1]
    )
    if len(wanted) != 1:
        raise InputError(f"best {best!r}; expected one metric, such as latency (several: --pareto)")
    if top < 1:
        raise InputError(f"a list of the best {top}; expected 1 or more")
    asked = constraints(*where, known=known)
    _possible(space, asked)
    front = objectives(pareto, known=known) if pareto else wanted
    for o in (*front, *wanted):
        if known[o.metric] in ("text", "bool"):
            raise InputError(f"objective {o.text!r} is no number; expected a metric such as latency, energy, memory")
    return Plan(space, asked, front, wanted[0], top, known, () if search else _probed(space, asked), tuple(extra or ()), search)


def _numbered(space: Space) -> Space:
    """The space with the ends of those ranges that have no steps, so that it has a first point."""
    if space.sampling != "grid" or all(len(a.values) for a in space.axes):
        return space
    ends = {a.name: Choices((a.values.low, a.values.high)) for a in space.axes if isinstance(a.values, Interval)}
    return replace(space, axes=tuple(replace(a, values=ends.get(a.name, a.values)) for a in space.axes))


def axis_unit(axis: Axis) -> str:
    """Unit of an axis; `text` and `bool` of those that are no numbers."""
    values = axis.values
    if not isinstance(values, Choices) or values.numeric:
        return axis.unit
    return "bool" if all(isinstance(v, bool) for v in values.items) else "text"


def first_block(space: Space) -> Block:
    """The first block that can be built.

    Raises:
        HwsimError: none of the first few; what the first one complains of.
    """
    preparing, trouble = Preparing(), None
    for number in range(min(space.outer_count, TRIED_BLOCKS)):
        try:
            block = preparing(space.block(number))
            _ = block.places
            return block
        except HwsimError as error:
            trouble = trouble or error
    raise trouble or InputError("the sweep has no points")


def _possible(space: Space, asked: Sequence[Constraint]) -> None:
    """Refuse conditions on axes alone that no combination of their values satisfies."""
    axes = {a.name: a for a in space.axes}
    for c in asked:
        mine = [axes[n] for n in c.names if n in axes]
        sizes = [len(a.values) for a in mine]
        if not mine or len(mine) < len(c.names) or 0 in sizes or prod(sizes) > MOST_COMBINATIONS:
            continue
        digits = np.unravel_index(np.arange(prod(sizes)), sizes)
        values = {a.name: a.values.take(d) for a, d in zip(mine, digits, strict=True)}
        if not np.any(c.mask(values)):
            raise InputError(f"the constraint {c.text!r} never holds: {'; '.join(range_words(a) for a in mine)}")


def range_words(axis: Axis) -> str:
    """An axis and what it covers, in words."""
    values = axis.values
    if isinstance(values, Choices) and not (values.numeric and len(values) > 6):
        return f"{axis.name} is {', '.join(_shown(v, axis.unit) for v in values.items[:6])}{' ...' if len(values) > 6 else ''}"
    ends = (min(values.items), max(values.items)) if isinstance(values, Choices) else (values.low, values.high)  # pyright: ignore[reportAttributeAccessIssue]
    return f"{axis.name} is {_shown(ends[0], axis.unit)} to {_shown(ends[1], axis.unit)}"


def _shown(value: Any, unit: str) -> str:
    from hwsim.units import format_si

    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return format_si(value, unit) if unit else f"{value:,.6g}"


def _probed(space: Space, asked: Sequence[Constraint]) -> tuple[str, ...]:
    """Warnings of conditions that hold at none of some points, spread over the space."""
    values = probe(space, PROBES)
    if not values:
        return ()
    count = len(next(iter(values.values())))
    found = []
    for c in asked:
        if not np.any(c.mask(values)):
            found.append(f"the constraint {c.text!r} holds at none of {count:,} points looked at first{_closest(c, values)}")
    return tuple(found)


def _closest(c: Constraint, values: Mapping[str, np.ndarray]) -> str:
    """What the metrics of a condition are among the points."""
    said = []
    for name in c.names:
        v = values[name]
        if v.dtype.kind == "f" and np.any(np.isfinite(v)):
            v = v[np.isfinite(v)]
            said.append(f"{name} is {shown(name, float(v.min()))} to {shown(name, float(v.max()))}")
    return f" ({', '.join(said)})" if said else ""


def probe(space: Space, count: int) -> dict[str, np.ndarray]:
    """Axes and metrics of up to `count` points drawn evenly, from at most 8 programs; those that cannot be built are not a number."""
    return Evaluator(space).at(spread(space, count, most_blocks=8))
