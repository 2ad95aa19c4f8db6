"""Firing rates out of what other people's programs print: logs of operation counters, JSON by timestep or by module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hwsim.errors import InputError

Row = tuple[str, Any, float]
"""Name, rate (or q, k, v), and what to multiply it with."""
_TUPLE = re.compile(r"^\('([^']+)', \w+\(.*\), array\(\[(.+)\]\)\)\s*$")
_MODULE = re.compile(r"^(\s*)\((\w+)\): (\w+)\(")
_SPIKES = re.compile(r"([\d.]+)% Spike Rate")
_ATTENTION = re.compile(r"^\[\[.*\]\]\s*$")
_TIMESTEP = re.compile(r"^t(\d+)$")


def log_rows(text: str, where: str) -> list[Row]:
    """Rates of a log: `('layer', Conv2d(...), array([dense, acs, macs, percent]))` lines as Spikingformer's energy code prints them with
    its list of q, k and v by block, or a printed module tree with `% Spike Rate` (syops-counter).

    Raises:
        InputError: the text has neither.
    """
    rows = [(m[1], float(m[2].split(",")[-1]), 0.01) for line in text.splitlines() if (m := _TUPLE.match(line.strip()))]
    rows = rows or list(_tree(text))
    if not rows:
        raise InputError(
            f"{where}: no firing rates found; expected CSV with `layer` and `rate`, JSON, or a log with lines of "
            "`array([dense, acs, macs, percent])` or `% Spike Rate`"
        )
    return rows + _attention(text)


def _tree(text: str) -> Iterator[Row]:
    """A printed torch module: indentation is the path; a neuron's rate may stand on the next line."""
    stack: list[tuple[int, str]] = []
    for line in text.splitlines():
        if m := _MODULE.match(line):
            stack = [(depth, name) for depth, name in stack if depth < len(m[1])] + [(len(m[1]), m[2])]
        if stack and (rate := _SPIKES.search(line)):
            yield ".".join(name for _, name in stack), float(rate[1]), 0.01


def _attention(text: str) -> list[Row]:
    lists = [ast.literal_eval(line) for line in text.splitlines() if _ATTENTION.match(line) and len(line) < 100_000]
    blocks = next((found for found in lists if all(len(b) == 3 for b in found)), [])
    return [(f"block.{i}.attn", dict(zip("qkv", map(float, rates), strict=True)), 1.0) for i, rates in enumerate(blocks)]


def json_rows(content: Mapping[str, Any]) -> list[Row]:
    """Rows of a JSON object: `{layer: rate}`, modules nested to any depth, or one such object a timestep (`t0`, `t1` ...; their mean).

    A layer may be a list of rates, one a timestep, too.
    """
    if content and all(_TIMESTEP.match(name) and isinstance(part, Mapping) for name, part in content.items()):
        steps = [{n: v for n, v, _ in json_rows(part)} for part in content.values()]
        return [(name, _mean([step[name] for step in steps if name in step]), 1.0) for name in steps[0]]
    return list(_flat(content, ""))


def _flat(content: Mapping[str, Any], scope: str) -> Iterator[Row]:
    for name, value in content.items():
        path = f"{scope}.{name}" if scope else str(name)
        if isinstance(value, Mapping) and not set(value) <= {"q", "k", "v", "rate", "integer"}:
            yield from _flat(value, path)
        else:
            yield path, _mean(value) if isinstance(value, list) else value, 1.0


def _mean(values: list[Any]) -> Any:
    """Mean over timesteps; what is no list of numbers is left for the reader to refuse."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else values
