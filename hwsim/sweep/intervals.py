"""Interval arithmetic on expressions: which side of a `maximum` or `minimum` wins wherever the columns stay within their bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hwsim.sweep.nodes import Node

Range = tuple[float, float]
Bounds = Mapping[str, Range]
"""Least and largest value by column (or `column#row`)."""
ALL: Range = (-math.inf, math.inf)
SLACK = 1e-9
"""Share by which a side must win, so that rounding decides nothing."""
RISING = {
    **{"ceil": math.ceil, "floor": math.floor, "rint": round, "trunc": math.trunc, "sqrt": math.sqrt},
    **{"exp": math.exp, "log": math.log, "log2": math.log2},
}


def decided(op: str, a: Node, b: Node, bounds: Bounds, ranges: dict[int, Range]) -> Node | None:
    """The argument that a `maximum` or `minimum` always is; None where it depends on the point."""
    (a_low, a_high), (b_low, b_high) = range_of(a, bounds, ranges), range_of(b, bounds, ranges)
    if a_low >= b_high + SLACK * abs(b_high):
        return a if op == "maximum" else b
    if b_low >= a_high + SLACK * abs(a_high):
        return b if op == "maximum" else a
    return None


def range_of(node: Node, bounds: Bounds, ranges: dict[int, Range]) -> Range:
    """Bounds of a node of width 1, from those of the columns."""
    stack = [node]
    while stack:
        last = stack[-1]
        missing = [a for a in last.args if a.number not in ranges]
        if missing and last.number not in ranges:
            stack.extend(missing)
            continue
        stack.pop()
        if last.number not in ranges:
            ranges[last.number] = _range(last, [ranges[a.number] for a in last.args], bounds)
    return ranges[node.number]


def _range(node: Node, args: list[Range], bounds: Bounds) -> Range:
    if node.value is not None:
        return float(node.value[0]), float(node.value[0])
    if node.op == "column":
        return bounds.get(node.param, ALL)
    try:
        low, high = _of(node, args)
    except (ValueError, OverflowError, ZeroDivisionError):
        return ALL
    return ALL if math.isnan(low) or math.isnan(high) else (low, high)


def _of(node: Node, args: list[Range]) -> Range:
    op = node.op
    if op in RISING:
        return tuple(v if math.isinf(v) and v > 0 else float(RISING[op](v)) for v in args[0])  # type: ignore[return-value]
    if op == "lookup":
        return float(node.param.min()), float(node.param.max())
    if op == "where":
        return min(args[1][0], args[2][0]), max(args[1][1], args[2][1])
    if op == "power" and args[1][0] == args[1][1] and args[0][0] >= 0:
        ends = [v ** args[1][0] for v in args[0]]
        return min(ends), max(ends)
    rule = PAIRS.get(op)
    return rule(*args) if rule else ALL


def _times(a: Range, b: Range) -> Range:
    ends = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return min(ends), max(ends)


def _over(a: Range, b: Range) -> Range:
    return ALL if b[0] <= 0 <= b[1] else _times(a, (1 / b[1], 1 / b[0]))


PAIRS = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "subtract": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "multiply": _times,
    "divide": _over,
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "negative": lambda a: (-a[1], -a[0]),
    "float": lambda a: (0.0, 1.0),
}
