"""The one schema of all reports, and the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

STAGES = ("csynth", "vsynth", "routed")
"""csynth: the HLS tool's estimate; vsynth: after logic synthesis; routed: after place and route."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What one tool says about a design, or about one module of it; None where it says nothing."""

    design: str = ""
    module: str = ""
    """Empty: the whole design."""
    stage: str = "csynth"
    tool: str = ""
    tool_version: str = ""
    part: str = ""
    target_clock_s: float | None = None
    estimated_clock_s: float | None = None
    latency_min_cycles: int | None = None
    latency_max_cycles: int | None = None
    interval_min_cycles: int | None = None
    interval_max_cycles: int | None = None
    bram18: float | None = None
    """Blocks of 18 Kb; reports that count tiles of 36 Kb are converted."""
    dsp: float | None = None
    ff: float | None = None
    lut: float | None = None
    uram: float | None = None
    wns_s: float | None = None
    """Worst negative slack."""
    state: str = ""
    """The tool's own word for how far the design is, such as Synthesized or Routed."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """hls4ml's configuration of the project."""
    source: str = ""
    """File, relative to the folder that was read."""


COLUMNS = tuple(f.name for f in fields(Row))


def number(text: str | None) -> float | None:
    """A number in a cell; None for `-`, `undef`, `?` and the like.

    >>> number("4.370"), number("1,234"), number("undef"), number(None)
    (4.37, 1234.0, None, None)
    """
    try:
        found = float((text or "").strip().replace(",", "").removeprefix("~"))
    except ValueError:
        return None
    return found if abs(found) < 1e18 else None


def whole(text: str | None) -> int | None:
    """A whole number in a cell, likewise."""
    found = number(text)
    return None if found is None else int(found)


def ns(text: str | None) -> float | None:
    """Nanoseconds in a cell, in seconds.

    >>> ns("5.00")
    5e-09
    """
    found = number((text or "").replace("ns", ""))
    return None if found is None else round(found * 1e-9, 15)
