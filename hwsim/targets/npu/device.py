"""An NPU as the cost functions see it: matrix unit, vector unit, tightly coupled memory, DRAM, and the time to start things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.quantities import Field, Quantity

FIELDS: Mapping[str, Field] = {
    "int8_op_per_s": Field("1", doc="operations a second of the matrix unit on 8-bit integers, as networks reach it; a MAC is two"),
    "fp16_op_per_s": Field("1", doc="the same in fp16"),
    "vector_b_per_s": Field("B/s", doc="bytes of values a second that the vector unit works on"),
    "dram_b_per_s": Field("B/s", doc="memory bandwidth that the NPU reaches"),
    "tcm_b": Field("B", doc="tightly coupled memory, which holds activations between operators"),
    "dram_b": Field("B", doc="memory of the board"),
    "launch_s": Field("s", positive=False, doc="time that an operator takes at least"),
    "dispatch_s": Field("s", positive=False, doc="time that an inference takes beside its operators"),
    "int8_op_j": Field("J", positive=False, doc="energy of an operation on 8-bit integers"),
    "fp16_op_j": Field("J", positive=False, doc="the same in fp16"),
    "dram_b_j": Field("J", positive=False, doc="energy of a byte from DRAM"),
    "static_w": Field("W", positive=False, doc="power whatever it does, memory included"),
}
"""Every quantity of an NPU; all are required: nothing is free by omission."""


@dataclass(frozen=True, kw_only=True)
class NpuDevice:
    """An NPU. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`."""

    name: str
    vendor: str = "generic"
    architecture: str = "generic"
    int8_op_per_s: Array
    fp16_op_per_s: Array
    vector_b_per_s: Array
    dram_b_per_s: Array
    tcm_b: Array
    dram_b: Array
    launch_s: Array
    dispatch_s: Array
    int8_op_j: Array
    fp16_op_j: Array
    dram_b_j: Array
    static_w: Array
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "npu"

    @classmethod
    def from_shelf(cls, name: str) -> NpuDevice:
        """The NPU called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such NPU, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        return cls(**described(name, family="npu", fields=FIELDS, text=("vendor", "architecture")))

    def with_overrides(self, overrides: Mapping[str, Any], /) -> NpuDevice:
        """A copy with other quantities; text carries units, arrays are columns of points, `(points, 1)`.

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="an NPU")
