"""What a point must satisfy, as text: `fits and latency < 2us`. Read by a parser of our own over Python's syntax tree; nothing is run."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.arrays import Array, namespace
from hwsim.errors import InputError, UnknownName
from hwsim.units import UNITS, format_si, parse

UNIT_OF = {"latency_s": "s", "interval_s": "s", "energy_j": "J", "power_w": "W", "throughput_per_s": "1/s", "memory_b": "B", "fits": "bool"}
"""Metrics that every family has, and their units."""
SHORT = {
    "latency": "latency_s",
    "interval": "interval_s",
    "energy": "energy_j",
    "power": "power_w",
    "throughput": "throughput_per_s",
    "memory": "memory_b",
}
"""What may be said for them."""
EXAMPLE = '"fits and latency < 2us"'
_SUFFIXES = (("_b_per_s", "B/s"), ("_per_s", "1/s"), ("_s", "s"), ("_j", "J"), ("_w", "W"), ("_b", "B"), ("_hz", "Hz"))


def unit_of(metric: str) -> str:
    """Unit of a metric, by its name; empty for counts."""
    return UNIT_OF.get(metric) or next((unit for suffix, unit in _SUFFIXES if metric.endswith(suffix)), "")


def metric_name(text: str, known: Iterable[str]) -> str:
    """The metric (or axis) that a name stands for: `latency` for `latency_s`, `LUT` for `lut`, `sm_count` for `device.sm_count`.

    Raises:
        UnknownName: there is none.
    """
    known = tuple(known)
    for name in (text, SHORT.get(text.lower(), text), text.lower()):
        if name in known:
            return name
    tails = [name for name in known if name.partition(".")[2] == text]
    if len(tails) == 1:
        return tails[0]
    raise UnknownName("metric or axis", text, [*known, *(short for short, name in SHORT.items() if name in known)])


@dataclass(frozen=True)
class Constraint:
    """One condition.

    >>> import numpy as np
    >>> c = constraints("latency < 2us and fits", known={"latency_s": "s", "fits": "bool"})
    >>> [x.text for x in c], c[0].mask({"latency_s": np.array([1e-6, 3e-6])})
    (['latency < 2us', 'fits'], array([ True, False]))
    """

    text: str
    """As it was given."""
    names: tuple[str, ...]
    """Metrics and axes that it needs."""
    test: Callable[[Mapping[str, Array]], Array] = field(repr=False, compare=False)
    """From values by name to truth values."""
    gap: Callable[[Mapping[str, Array]], Array] | None = field(default=None, repr=False, compare=False)
    """By what share the left side is over the limit on the right (negative: under it); None of other conditions."""

    def excess(self, values: Mapping[str, Array]) -> np.ndarray:
        """How far each point is from holding: 0 where it holds, the share over the limit of a comparison, 1 for other conditions."""
        holds = np.asarray(self.mask(values))
        if self.gap is None:
            return np.where(holds, 0.0, 1.0)
        with np.errstate(all="ignore"):
            over = np.nan_to_num(np.asarray(self.gap(values), dtype=np.float64), nan=1e9, posinf=1e9)
        return np.where(holds, 0.0, np.maximum(over, 1e-12))

    def mask(self, values: Mapping[str, Array]) -> Array:
        """Where it holds, shape of the values; false where one of them is not a number."""
        with np.errstate(all="ignore"):
            return self.test(values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.text, dict.fromkeys(self.names, "?"))


def _again(text: str, known: Mapping[str, str]) -> Constraint:
    return constraints(text, known=known)[0]


def constraints(*texts: str, known: Mapping[str, str]) -> tuple[Constraint, ...]:
    """Conditions of these texts, taken apart at each top-level `and`, so that each can be counted for itself.

    Args:
        known: names of metrics and axes to their units; `bool` and `text` for those that are no numbers, `?` where any unit will do.

    Raises:
        UnknownName: a name that is neither.
        InputError: no condition, something other than comparisons, arithmetic, and, or, not; or units that do not match.
    """
    return tuple(part for text in texts for part in _Reader(text, known).conditions())


_QUOTED = r"'[^']*'|\"[^\"]*\""
_LAYERED = r"[A-Za-z_]\w*\.\w+\[[^\]]*\]"
_NUMBER = r"(?<![\w.])(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(rf"({_QUOTED})|({_LAYERED})|({_NUMBER})(?:\s*(%|(?!and\b|or\b|not\b|in\b|is\b|if\b)[A-Za-zµμ]+(?:/[A-Za-z]+)?))?")
_COMPARE = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_FUNCTIONS = ("abs", "sqrt", "log2", "log10")


@dataclass(frozen=True)
class _Term:
    """A piece of an expression: how to compute it, its unit (None: of arithmetic, not followed), and whether it was written as a number."""

    compute: Callable[[Mapping[str, Array]], Any]
    unit: str | None
    literal: str = ""
    gap: Callable[[Mapping[str, Array]], Any] | None = None


class _Reader:
    """Turns one text into conditions."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self.whole, self.known = text, known
        self.marks: dict[str, str] = {}
        self.used: list[str] = []

    def conditions(self) -> Iterable[Constraint]:
        marked = _TOKEN.sub(self._mark, self.whole)
        try:
            body = ast.parse(marked.strip(), mode="eval").body
        except SyntaxError:
            raise InputError(
                f"constraint {self.whole!r} cannot be read; expected comparisons joined by and, or, not, such as {EXAMPLE}"
            ) from None
        parts = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        for part in parts:
            self.used = []
            term = self._truth(part)
            yield Constraint(self._shown(part), tuple(dict.fromkeys(self.used)), term.compute, term.gap)

    def _mark(self, found: re.Match[str]) -> str:
        name = f"_q{len(self.marks)}_"
        self.marks[name] = found[0]
        return name

    def _shown(self, node: ast.AST) -> str:
        return re.sub(r"_q\d+_", lambda m: self.marks[m[0]], ast.unparse(node))

    def _truth(self, node: ast.expr) -> _Term:
        term = self._term(node)
        if term.unit not in ("bool", "?"):
            raise InputError(f"constraint {self.whole!r}: {self._shown(node)!r} is no condition; compare it, such as {EXAMPLE}")
        return term

    def _term(self, node: ast.expr) -> _Term:
        if isinstance(node, ast.Name | ast.Attribute):
            return self._name(node)
        if isinstance(node, ast.BoolOp):
            return self._joined(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.Call):
            return self._called(node)
        raise self._refused(node)

    def _refused(self, node: ast.AST) -> InputError:
        return InputError(
            f"constraint {self.whole!r}: {self._shown(node)!r} is not allowed; expected names, numbers with units, comparisons, "
            f"+ - * /, {', '.join(_FUNCTIONS)}, and, or, not"
        )

    def _name(self, node: ast.Name | ast.Attribute) -> _Term:
        text = ast.unparse(node)
        raw = self.marks.get(text, text)
        if raw is not text and not raw[0].isalpha() and raw[0] != "_":
            return self._literal(raw)
        try:
            name = metric_name(raw, self.known)
        except UnknownName as error:
            raise InputError(f"constraint {self.whole!r}: {error}") from None
        self.used.append(name)
        return _Term(lambda values: values[name], self.known[name])

    def _literal(self, raw: str) -> _Term:
        if raw[0] in "'\"":
            return _Term(lambda _: raw[1:-1], "text", raw)
        number, unit = _quantity(raw, self.whole)
        return _Term(lambda _: np.float64(number), unit, raw)

    def _joined(self, node: ast.BoolOp) -> _Term:
        terms = [self._truth(v).compute for v in node.values]
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        return _Term(lambda values: _reduced(join, [t(values) for t in terms]), "bool")

    def _unary(self, node: ast.UnaryOp) -> _Term:
        if isinstance(node.op, ast.Not):
            inner = self._truth(node.operand).compute
            return _Term(lambda values: inner(values) == False, "bool")  # noqa: E712 - of an array
        if isinstance(node.op, ast.USub):
            term = self._number(node.operand)
            return _Term(lambda values: -term.compute(values), term.unit, term.literal)
        raise self._refused(node)

    def _arithmetic(self, node: ast.BinOp) -> _Term:
        act = _ARITHMETIC.get(type(node.op))
        if act is None:
            raise self._refused(node)
        left, right = self._number(node.left), self._number(node.right)
        return _Term(lambda values: act(left.compute(values), right.compute(values)), None)

    def _number(self, node: ast.expr) -> _Term:
        term = self._term(node)
        if term.unit in ("bool", "text"):
            raise InputError(f"constraint {self.whole!r}: {self._shown(node)!r} is no number")
        return term

    def _called(self, node: ast.Call) -> _Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or len(node.args) != 1 or node.keywords:
            raise self._refused(node)
        inner = self._number(node.args[0])
        return _Term(lambda values: getattr(namespace(inner.compute(values)), name)(inner.compute(values)), None)

    def _compared(self, node: ast.Compare) -> _Term:
        terms = [self._term(n) for n in (node.left, *node.comparators)]
        tests = [_COMPARE.get(type(op)) for op in node.ops]
        if None in tests:
            raise self._refused(node)
        for left, right in pairwise(terms):
            self._check(node, left, right)
        computes = [t.compute for t in terms]

        def test(values: Mapping[str, Array]) -> Array:
            found = [c(values) for c in computes]
            return _reduced(operator.and_, [t(a, b) for t, a, b in zip(tests, found, found[1:], strict=False)])  # pyright: ignore[reportOptionalCall]

        return _Term(test, "bool", gap=_gap(node.ops, terms))

    def _check(self, node: ast.AST, left: _Term, right: _Term) -> None:
        """Refuse to compare what has different units; a plain number goes with all of them."""
        units = {left.unit, right.unit}
        if None in units or "?" in units or len(units) == 1 or (units <= {"", "1"}):
            return
        if "" in units and any(t.unit == "" and t.literal for t in (left, right)) and not units & {"text", "bool"}:
            return
        said = " with ".join(_unit_words(t.unit) for t in (left, right))
        raise InputError(f"constraint {self.whole!r}: {self._shown(node)!r} compares {said}; expected the same unit on both sides")


def _gap(ops: list[ast.cmpop], terms: list[_Term]) -> Callable[[Mapping[str, Array]], Any] | None:
    sign = {ast.Lt: 1.0, ast.LtE: 1.0, ast.Gt: -1.0, ast.GtE: -1.0}.get(type(ops[0]))
    if len(ops) > 1 or sign is None or any(t.unit in ("text", "bool") for t in terms):
        return None
    left, right = (t.compute for t in terms)
    return lambda values: sign * (left(values) - right(values)) / np.maximum(np.abs(right(values)), 1e-300)


def _unit_words(unit: str | None) -> str:
    return {"": "a plain number", "1": "a plain number", "text": "a text", "bool": "a condition"}.get(unit or "", f"{unit}")


def _reduced(join: Callable[[Any, Any], Any], parts: list[Any]) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = join(found, part)
    return found


def _quantity(raw: str, where: str) -> tuple[float, str]:
    """SI value and unit of a number as written; `%` is a hundredth."""
    if raw.endswith("%"):
        return float(raw[:-1]) / 100, ""
    for unit in sorted(UNITS, key=len, reverse=True):
        try:
            return parse(raw, unit), unit if raw.strip()[-1].isalpha() else ""
        except InputError:
            continue
    raise InputError(f"constraint {where!r}: found {raw!r}; expected a number with a unit such as us, mJ, W, GB, TB/s")


@dataclass(frozen=True)
class Objective:
    """A metric and which way is better."""

    metric: str
    maximise: bool = False

    @property
    def text(self) -> str:
        """As it is given on the command line."""
        return f"max:{self.metric}" if self.maximise else self.metric


def objectives(text: str | Iterable[str], *, known: Iterable[str]) -> tuple[Objective, ...]:
    """Objectives as `latency,energy,max:throughput`; less is better, but of a throughput more.

    Raises:
        UnknownName: no such metric.
        InputError: none, or one twice.
    """
    known = tuple(known)
    items = [t.strip() for t in (text.split(",") if isinstance(text, str) else text) if t.strip()]
    found = [_objective(item, known) for item in items]
    names = [o.metric for o in found]
    if not found or len(set(names)) != len(names):
        raise InputError(f"objectives {text!r}; expected different metrics, such as latency,energy")
    return tuple(found)


def _objective(item: str, known: tuple[str, ...]) -> Objective:
    sense, colon, name = item.partition(":")
    if colon and sense not in ("min", "max"):
        raise UnknownName("sense of an objective", sense, ("min", "max"))
    metric = metric_name(name if colon else item, known)
    return Objective(metric, sense == "max" if colon else metric == "throughput_per_s")


def shown(metric: str, value: float) -> str:
    """A value of a metric for people."""
    unit = unit_of(metric)
    if unit == "bool":
        return "yes" if value else "no"
    if unit:
        return format_si(value, unit)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
