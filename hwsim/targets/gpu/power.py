"""Power and energy of GPU kernels: static power, energy an operation and a byte, and the limit that slows the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace


@dataclass(frozen=True)
class PowerConstants:
    """Constants of the power model; the shelf holds the fitted values (`targets/gpu/fitted/power.yaml`)."""

    static_frac: float = 0.2
    """Power while a kernel runs that depends on nothing it does, as a share of the power limit."""
    busy_frac: float = 0.1
    """Power of the SMs while they issue, at full use of their arithmetic, as a share of the power limit."""
    exponent: float = 0.5
    """Power of the arithmetic's use that the issue power goes with (below 1: waiting costs, too)."""
    dram_j_per_b: float = 40e-12
    """Energy a byte of DRAM traffic."""
    op_share: float = 0.5
    """Energy of a tensor operation, in units of the power limit over the peak of the datasheet."""


def kernel_energy(
    time_s: Array, op_j: Array, dram_b: Array, used_frac: Array, *, device: Any, constants: PowerConstants
) -> tuple[Array, Array, Array]:
    """(arithmetic, memory, static) energy of kernels in J, each kernel's mean power capped by the limit.

    Args:
        time_s: duration; op_j: energy of the arithmetic; dram_b: DRAM traffic; shapes `(kernels,)` or `(points, kernels)`.
        used_frac: seconds that the arithmetic would take at the unit's peak; over `time_s` it is the use of the unit.
    """
    xp = namespace(time_s, op_j, device.power_limit_w)
    limit_j = device.power_limit_w * time_s
    idle_j = device.idle_power_w * time_s
    static_j = xp.maximum(constants.static_frac * limit_j, idle_j)
    use = xp.minimum(used_frac / time_s, 1.0 + 0.0 * time_s)
    issue_j = constants.busy_frac * limit_j * use**constants.exponent
    memory_j = constants.dram_j_per_b * dram_b
    dynamic = op_j + issue_j + memory_j
    room_j = xp.maximum(limit_j - static_j, 0.0 * limit_j)
    capped = xp.minimum(1.0 + 0.0 * dynamic, room_j / xp.maximum(dynamic, 1e-30 + 0.0 * dynamic))
    return (op_j + issue_j) * capped, memory_j * capped, static_j


def vector_energy_j(name: str, *, device: Any, at_16nm_j: float, exponent: float) -> Array:
    """Energy of one operation on vector units: falls with the process node, and with the rate of the format."""
    return at_16nm_j * (device.process_nm / 16.0) ** exponent * device.fp32_flop_per_clk / device.op_per_clk(name, tensor=False)


def op_energy_j(name: str, *, device: Any, op_j: Mapping[str, float], share: float) -> Array:
    """Energy of one operation in the format `name`; formats scale with the rate of their unit.

    An architecture without a measured value takes `share` of the power limit over the fp16 peak.
    """
    known = op_j.get(device.architecture)
    base = device.op_per_clk("fp16")
    if known is None:
        known = share * device.power_limit_w / (base * device.sm_count * device.clock_hz)
    return known * base / device.op_per_clk(name)
