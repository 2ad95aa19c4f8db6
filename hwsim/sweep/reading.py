"""Values of an axis from text: `64:256:8`, `1TB/s..8TB/s x32 log`, `8,16,32`, `fp16,int8`; and from lists."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName
from hwsim.sweep.axes import Choices, Interval, Steps, Values
from hwsim.units import format_si, parse


@dataclass(frozen=True)
class Kind:
    """What an axis may hold."""

    name: str
    """Of the axis."""
    unit: str = ""
    numeric: bool = True
    integer: bool = False
    outer: bool = False
    scale: float = 1.0
    """What plain numbers are multiplied by (ns of a clock period)."""
    check: Callable[[Any], Any] | None = None
    """Complains about a value that cannot be."""

    @property
    def examples(self) -> str:
        """Well-formed texts."""
        if not self.numeric:
            return f"{self.name}=a,b"
        if self.unit in ("", "1"):
            return f"{self.name}=64:256:8, {self.name}='64..256 x32 log' or {self.name}=64,128"
        low, high = _ENDS.get(self.unit, (f"1 {self.unit}", f"8 {self.unit}"))
        return f"{self.name}='{low}..{high} x32 log' or {self.name}='{low},{high}'"


_ENDS = {"s": ("2 ns", "10 ns"), "B": ("16 GB", "80 GB"), "B/s": ("1 TB/s", "8 TB/s"), "Hz": ("1 GHz", "2 GHz")}


def read(raw: Any, kind: Kind) -> Values:
    """The values of an axis.

    Args:
        raw: a text, a number, a list or array, a mapping `{low, high[, count, log]}` or `{start, stop, step}`, or Values.

    Raises:
        InputError: no values, a range that is empty or runs backwards, another unit, a value that cannot be.
    """
    try:
        values = _read(raw, kind)
        _checked(values, kind)
    except InputError as error:
        raise InputError(f"axis {kind.name!r}: {error}") from None
    return values


def _read(raw: Any, kind: Kind) -> Values:
    if isinstance(raw, Choices | Steps | Interval):
        return raw
    if isinstance(raw, Mapping):
        return _from_mapping(raw, kind)
    if isinstance(raw, str):
        return _from_text(raw, kind)
    if isinstance(raw, np.ndarray):
        raw = raw.tolist()
    if isinstance(raw, Iterable):
        return _listed(list(raw), kind)
    return _listed([raw], kind)


_OPTIONS = re.compile(r"^(.*?)((?:\s*(?<![A-Za-z])x\s*-?\d+|\s+(?:log|linear))*)\s*$", re.S)


def _from_text(text: str, kind: Kind) -> Values:
    found = _OPTIONS.match(text.strip())
    body, options = (found[1], found[2].replace("x ", "x").split()) if found else (text, [])
    if kind.numeric and ".." in body:
        low, _, high = body.partition("..")
        counts = [int(o[1:]) for o in options if o[0] == "x"]
        return _range(low, high, count=counts[0] if counts else None, log="log" in options, kind=kind, said=text)
    if options:
        raise InputError(f"found {text!r}; 'x' and 'log' go with a range, such as {kind.examples}")
    if kind.numeric and ":" in body:
        parts = body.split(":")
        if len(parts) != 3:
            raise InputError(f"found {text!r}; expected start:stop:step, such as {kind.examples}")
        return _stepped(*parts, kind=kind, said=text)
    return _listed(_split(body), kind)


def _split(text: str) -> list[str]:
    """Parts between commas that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<([") - (letter in ">)]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


_RANGE_KEYS, _STEP_KEYS = ("low", "high", "count", "log"), ("start", "stop", "step")


def _from_mapping(raw: Mapping[str, Any], kind: Kind) -> Values:
    for key in raw:
        if key not in (*_RANGE_KEYS, *_STEP_KEYS):
            raise UnknownName("key", str(key), (*_RANGE_KEYS, *_STEP_KEYS))
    said = ", ".join(f"{k}: {v}" for k, v in raw.items())
    if set(raw) == set(_STEP_KEYS):
        return _stepped(raw["start"], raw["stop"], raw["step"], kind=kind, said=said)
    if not {"low", "high"} <= set(raw) or set(raw) & set(_STEP_KEYS):
        raise InputError(f"found {{{said}}}; expected {{low, high, count, log}} or {{start, stop, step}}")
    return _range(raw["low"], raw["high"], count=raw.get("count"), log=bool(raw.get("log")), kind=kind, said=said)


def _number(raw: Any, kind: Kind) -> float:
    value = parse(raw.strip() if isinstance(raw, str) else raw, kind.unit)
    if kind.scale != 1.0 and (not isinstance(raw, str) or raw.strip()[-1:].isdigit()):
        value *= kind.scale
    if not math.isfinite(value):
        raise InputError(f"found {raw!r}; expected a finite number")
    if kind.integer and value != int(value):
        raise InputError(f"found {raw!r}; expected a whole number")
    return value


def _range(low: Any, high: Any, *, count: Any, log: bool, kind: Kind, said: str) -> Values:
    if not kind.numeric:
        raise InputError(f"found the range {said!r}; its values are no numbers; list them, such as {kind.examples}")
    start, stop = _number(low, kind), _number(high, kind)
    _ordered(start, stop, said, kind)
    if log and start <= 0:
        raise InputError(f"found {said!r}; a logarithmic range starts above 0")
    if count is None:
        if kind.outer:
            raise InputError(f"found {said!r}; every value makes a program of its own, so say how many: {said} x8, or list them")
        return Interval(start, stop, log, kind.integer)
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise InputError(f"found {said!r}; expected at least 2 values, such as x32")
    steps = Steps(start, stop, count, log, kind.integer)
    if kind.integer or kind.outer:
        values = np.unique(steps.take(np.arange(count)))
        return Choices(tuple(_plain(v, kind) for v in values.tolist()))
    return steps


def _ordered(start: float, stop: float, said: str, kind: Kind) -> None:
    if start > stop:
        raise InputError(f"the range {said!r} runs backwards; expected the smaller end first, such as {kind.examples}")
    if start == stop:
        raise InputError(
            f"the range {said!r} is empty: both ends are {format_si(start, kind.unit.replace('1', ''))}; expected {kind.examples}"
        )


def _stepped(low: Any, high: Any, step: Any, *, kind: Kind, said: str) -> Values:
    if not kind.numeric:
        raise InputError(f"found the range {said!r}; its values are no numbers; list them, such as {kind.examples}")
    start, stop, width = _number(low, kind), _number(high, kind), _number(step, kind)
    _ordered(start, stop, said, kind)
    if not width > 0:
        raise InputError(f"found {said!r} with the step {step}; expected a step above 0")
    count = int((stop - start) / width * (1 + 1e-12) + 1e-9) + 1
    if kind.outer:
        return Choices(tuple(_plain(start + i * width, kind) for i in range(count)))
    return Steps(start, start + (count - 1) * width, count, integer=kind.integer) if count > 1 else Choices((start,))


def _listed(items: Sequence[Any], kind: Kind) -> Values:
    if not items:
        raise InputError(f"has no values; expected {kind.examples}")
    found = [_plain(_number(v, kind), kind) if kind.numeric else _word(v) for v in items]
    for i, value in enumerate(found):
        if value in found[:i]:
            raise InputError(f"{value!r} is given twice")
    return Choices(tuple(found))


def _plain(value: float, kind: Kind) -> float:
    return int(value) if kind.integer or (kind.outer and value == int(value)) else value


def _word(raw: Any) -> Any:
    """A text as it is, a truth value, or a tuple in brackets: `(64,32,32)`."""
    if not isinstance(raw, str):
        return tuple(raw) if isinstance(raw, list) else raw
    text = raw.strip()
    if text.startswith("(") and text.endswith(")"):
        return tuple(int(t) if t.isdigit() else t for t in _split(text[1:-1]))
    return {"true": True, "false": False}.get(text.lower(), text)


def _checked(values: Values, kind: Kind) -> None:
    """Have the owner of the quantity look at the ends of a range, or at all listed values."""
    if kind.check is not None:
        for value in values.items if isinstance(values, Choices) else (values.low, values.high):  # pyright: ignore[reportAttributeAccessIssue]
            kind.check(value)


def shown(values: Values, unit: str = "") -> Any:
    """The values as a sweep file says them; what `read` takes."""
    if isinstance(values, Choices):
        return [_said(v, unit) for v in values.items]
    ends = {"low": _said(values.low, unit), "high": _said(values.high, unit)}  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(values, Steps):
        ends["count"] = values.count
    return {**ends, **({"log": True} if values.log else {})}  # pyright: ignore[reportAttributeAccessIssue]


def _said(value: Any, unit: str) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if unit in ("", "1") or not isinstance(value, int | float):
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
    return f"{value:.17g} {unit}" if value != float(f"{value:g}") else f"{value:g} {unit}"
