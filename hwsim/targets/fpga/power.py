"""Power of a design: activity of its resources times their energy a clock, and the board around it.

Energies a clock and resource at 16 nm and 0.85 V are of the order of vendors' power estimators at the usual toggle rate of 12.5 %;
they scale with capacitance (process) and the square of the voltage. Boards are anchored at measured rows (docs/accuracy/fpga-energy.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from hwsim import shelf
from hwsim.arrays import Array
from hwsim.targets.fpga.device import FpgaDevice

REFERENCE_NM, REFERENCE_V = 16.0, 0.85


def dynamic_power_w(used: Mapping[str, Array], *, device: FpgaDevice, clock_hz: Array) -> dict[str, Array]:
    """Power by cause, of resources that toggle at the clock.

    Args:
        used: counts by resource, any shape that broadcasts with `clock_hz`.
    """
    scale = clock_hz * (device.process_nm / REFERENCE_NM) * (device.core_v / REFERENCE_V) ** 2
    joules = {name: float(q.value) for name, q in shelf.fitted("fpga", "energy").items()}
    return {
        "logic": used["LUT"] * joules["lut_j"] * scale,
        "clock": used["FF"] * joules["ff_j"] * scale,
        "DSP": used["DSP"] * joules["dsp_j"] * scale,
        "BRAM18": (used["BRAM18"] + used["URAM"] * 8) * joules["bram18_j"] * scale,
    }
