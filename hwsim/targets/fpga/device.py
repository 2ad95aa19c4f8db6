"""An FPGA part as the cost functions see it: what it has of each resource, and what it draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.quantities import Field, Quantity

FIELDS: Mapping[str, Field] = {
    "lut": Field("1", doc="look-up tables (Intel: ALMs count as two)"),
    "ff": Field("1", doc="flip-flops"),
    "dsp": Field("1", required=False, doc="DSP slices"),
    "bram18": Field("1", required=False, doc="block RAM in halves of 18 Kb (Intel: M20K blocks; ECP5: EBR)"),
    "bram_bits": Field("1", required=False, default=18432.0, doc="bits of one of those blocks"),
    "uram": Field("1", required=False, doc="UltraRAM blocks of 288 Kb"),
    "lutram": Field("1", required=False, doc="LUTs that can be memory"),
    "io_pins": Field("1", required=False, doc="user I/O pins of the usual package"),
    "slr_count": Field("1", required=False, default=1.0, doc="super logic regions (dies)"),
    "lut_inputs": Field("1", required=False, default=6.0, doc="inputs of a LUT"),
    "dsp_a_width": Field("1", required=False, default=27.0, doc="wider operand of a DSP multiplier, bits"),
    "dsp_b_width": Field("1", required=False, default=18.0, doc="narrower operand, bits"),
    "process_nm": Field("1", required=False, default=16.0, doc="process node"),
    "clock_limit_hz": Field(
        "Hz", required=False, default=7.0e8, least=1e6, doc="fastest clock of the global clock tree at this speed grade"
    ),
    "static_power_w": Field("W", required=False, default=1.0, doc="device static power at 25 degrees C"),
    "board_power_w": Field("W", required=False, default=0.0, doc="of a board: everything around the part (memory, processor, regulators)"),
    "core_v": Field("V", required=False, default=0.85, doc="core voltage"),
}
"""Every quantity of an FPGA: unit, whether a description must state it, default, meaning."""


@dataclass(frozen=True, kw_only=True)
class FpgaDevice:
    """Resources of a part. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`."""

    name: str
    vendor: str = "generic"
    architecture: str = "generic"
    speed_grade: str = "generic"
    lut: Array
    ff: Array
    dsp: Array = 0.0
    bram18: Array = 0.0
    bram_bits: Array = 18432.0
    uram: Array = 0.0
    lutram: Array = 0.0
    io_pins: Array = 0.0
    slr_count: Array = 1.0
    lut_inputs: Array = 6.0
    dsp_a_width: Array = 27.0
    dsp_b_width: Array = 18.0
    process_nm: Array = 16.0
    clock_limit_hz: Array = 7.0e8
    static_power_w: Array = 1.0
    board_power_w: Array = 0.0
    core_v: Array = 0.85
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "fpga"

    @classmethod
    def from_shelf(cls, name: str) -> FpgaDevice:
        """The part called `name`, or described by the YAML file at that path.

        >>> FpgaDevice.from_shelf("xcu250").dsp
        12288.0

        Raises:
            UnknownName: no such part, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        return cls(**described(name, family="fpga", fields=FIELDS, text=("vendor", "architecture", "speed_grade")))

    def with_overrides(self, overrides: Mapping[str, Any], /) -> FpgaDevice:
        """A copy with other quantities; text carries units, arrays are columns of points, `(points, 1)`.

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="an FPGA")

    @property
    def capacity(self) -> Mapping[str, Array]:
        """What there is of each resource, by the names of reports."""
        return {"LUT": self.lut, "FF": self.ff, "DSP": self.dsp, "BRAM18": self.bram18, "URAM": self.uram}
