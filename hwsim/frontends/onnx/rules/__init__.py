"""ONNX operator -> nodes of our graph, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwsim.errors import HwsimError
from hwsim.frontends.onnx.rules import dense, index, layout, microsoft, norms, pointwise, qonnx, quantized, sequence

Rule = Callable[[Any], Any]


def _merged(*tables: Mapping[str, Rule]) -> Mapping[str, Rule]:
    """All tables in one; a name in two of them is a mistake."""
    found: dict[str, Rule] = {}
    for table in tables:
        if twice := sorted(set(found) & set(table)):
            raise HwsimError(f"two rules for the ONNX operator(s) {', '.join(twice)}; keep one")
        found.update(table)
    return MappingProxyType(found)


RULES = _merged(
    dense.RULES, index.RULES, layout.RULES, microsoft.RULES, norms.RULES, pointwise.RULES, qonnx.RULES, quantized.RULES, sequence.RULES
)
"""Operator name (with its domain, where that is not ONNX's own) to rule."""
