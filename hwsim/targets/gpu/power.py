"""Power and energy of GPU kernels: static power, energy an operation and a byte, and the limit that slows the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array


@dataclass(frozen=True)
class PowerConstants:
    """Constants of the power model; the shelf holds the fitted values (`targets/gpu/fitted/power.yaml`)."""

    static_frac: float = 0.2
    """Power while a kernel runs that depends on nothing it does, as a share of the power limit."""
    dram_j_per_b: float = 40e-12
    """Energy a byte of DRAM traffic."""
    op_share: float = 0.9
    """Energy of an operation where none was measured, in units of the power limit over the fp16 peak of the datasheet."""
    op_j: Mapping[str, float] = field(default_factory=dict)
    """Energy of one fp16 tensor operation by architecture, where it was measured."""


PROCESS_NM = {
    "pascal": 16.0,
    "volta": 12.0,
    "turing": 12.0,
    "ampere": 7.0,
    "ada": 5.0,
    "hopper": 5.0,
    "blackwell": 5.0,
    "cdna1": 7.0,
    "cdna2": 6.0,
    "cdna3": 5.0,
}
"""Process node of an architecture in nm (vendors' names of it; GA102 is 8 nm and counted as 7)."""
NEWEST_NM = 5.0
"""Process node of an architecture that is not listed."""


def vector_energy_j(name: str, *, device: Any, at_16nm_j: float, exponent: float) -> Array:
    """Energy of one operation on vector units: falls with the process node, and with the rate of the format."""
    node = PROCESS_NM.get(device.architecture, NEWEST_NM)
    return at_16nm_j * (node / 16.0) ** exponent * device.fp32_flop_per_clk / device.op_per_clk(name, tensor=False)


def op_energy_j(name: str, *, device: Any, op_j: Mapping[str, float], share: float) -> Array:
    """Energy of one operation in the format `name`; formats scale with the rate of their unit.

    An architecture without a measured value takes `share` of the power limit over the fp16 peak.
    """
    known = op_j.get(device.architecture)
    base = device.op_per_clk("fp16")
    if known is None:
        known = share * device.power_limit_w / (base * device.sm_count * device.clock_hz)
    return known * base / device.op_per_clk(name)
