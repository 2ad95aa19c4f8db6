"""Fitted constants of the FPGA family, a set for each stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from hwsim import shelf
from hwsim.quantities import Quantity

BASE = "csynth"
"""The stage that others are a correction of, where they have no fit of their own."""


@cache
def stage_constants(stage: str) -> Mapping[str, float]:
    """Coefficients of a stage by name.

    A stage takes the coefficients of `csynth` for what it has no fit of, times `scale.<template>.<metric>` (documented corrections);
    the circuits of the stage `yosys` are our own and share nothing with it.
    """
    own = {name: float(q.value) for name, q in sources(stage).items()}
    if stage in (BASE, "yosys"):
        return MappingProxyType(own)
    prefixes = {name.rpartition(".")[0] for name in own if not name.startswith("scale.")}
    merged = {}
    for name, value in stage_constants(BASE).items():
        prefix = name.rpartition(".")[0]
        if prefix not in prefixes:
            merged[name] = value * own.get(f"scale.{prefix}", own.get(f"scale.{prefix.rpartition('.')[2]}", 1.0))
    return MappingProxyType(merged | own)


def sources(stage: str) -> Mapping[str, Quantity]:
    """Where the constants of a stage come from."""
    return shelf.fitted("fpga", stage)
