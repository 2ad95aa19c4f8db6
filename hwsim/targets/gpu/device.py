"""A GPU as the cost functions see it: rates a clock and SM, bandwidths, sizes, power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hwsim.arrays import Array
from hwsim.devices import described, overridden
from hwsim.dtypes import DType, dtype
from hwsim.errors import InputError, UnknownName
from hwsim.quantities import Field, Quantity
from hwsim.units import parse

FIELDS: Mapping[str, Field] = {
    "sm_count": Field("1", doc="streaming multiprocessors (NVIDIA) or compute units (AMD)"),
    "clock_hz": Field("Hz", least=1e6, doc="clock that the peak rates of the datasheet are stated for"),
    "fp64_flop_per_clk": Field("FLOP/clk", required=False, doc="vector units, a clock and SM; a fused multiply-add is 2"),
    "fp32_flop_per_clk": Field("FLOP/clk", doc="vector units, a clock and SM"),
    "fp16_flop_per_clk": Field("FLOP/clk", required=False, doc="vector units, packed"),
    "fp64_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor (matrix) units, dense; 0 where there are none"),
    "fp32_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="matrix units in full fp32 (AMD)"),
    "tf32_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor units"),
    "fp16_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor units, fp32 accumulation"),
    "bf16_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor units, fp32 accumulation"),
    "fp8_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor units, fp32 accumulation"),
    "fp4_tensor_flop_per_clk": Field("FLOP/clk", required=False, doc="tensor units"),
    "int8_tensor_op_per_clk": Field("OP/clk", required=False, doc="tensor units, or dp4a on vector units"),
    "int4_tensor_op_per_clk": Field("OP/clk", required=False, doc="tensor units"),
    "special_op_per_clk": Field("OP/clk", required=False, default=16.0, doc="exp, rsqrt ... a clock and SM"),
    "dram_b_per_s": Field("B/s", least=1e6, doc="DRAM bandwidth"),
    "dram_b": Field("B", least=1e6, doc="DRAM capacity"),
    "l2_b": Field("B", least=1e3, doc="last-level cache"),
    "l2_b_per_clk": Field(
        "B/clk", required=False, default=64.0, doc="width of an SM's port to the L2, of which kernels achieve a fitted share"
    ),
    "shared_b": Field("B", required=False, default=65536.0, doc="shared memory an SM"),
    "register_b": Field("B", required=False, default=262144.0, doc="register file an SM"),
    "power_limit_w": Field("W", doc="power limit of the board"),
    "idle_power_w": Field("W", required=False, default=40.0, doc="power of the board with a context open and nothing running"),
}
"""Every quantity of a GPU: unit, whether a description must state it, default, meaning."""

PROCESS_NM = {
    "pascal": 16.0,
    "volta": 12.0,
    "turing": 12.0,
    "ampere": 7.0,
    "ada": 5.0,
    "hopper": 5.0,
    "blackwell": 5.0,
    "blackwell_rtx": 5.0,
    "cdna1": 7.0,
    "cdna2": 6.0,
    "cdna3": 5.0,
}
"""Process node of an architecture in nm (vendors' names of it; GA102 is 8 nm and counted as 7)."""
NEWEST_NM = 5.0
"""Process node of an architecture that is not listed."""

_FALLBACK = {
    "fp64": ("fp64_tensor_flop_per_clk", "fp64_flop_per_clk", "fp32_flop_per_clk"),
    "fp32": ("fp32_tensor_flop_per_clk", "fp32_flop_per_clk"),
    "tf32": ("tf32_tensor_flop_per_clk", "fp32_tensor_flop_per_clk", "fp32_flop_per_clk"),
    "fp16": ("fp16_tensor_flop_per_clk", "fp16_flop_per_clk", "fp32_flop_per_clk"),
    "bf16": ("bf16_tensor_flop_per_clk", "fp32_flop_per_clk"),
    "fp8": ("fp8_tensor_flop_per_clk", "fp16_tensor_flop_per_clk", "fp16_flop_per_clk", "fp32_flop_per_clk"),
    "fp4": ("fp4_tensor_flop_per_clk", "fp8_tensor_flop_per_clk", "fp16_tensor_flop_per_clk", "fp32_flop_per_clk"),
    "int8": ("int8_tensor_op_per_clk", "fp16_tensor_flop_per_clk", "fp32_flop_per_clk"),
    "int4": ("int4_tensor_op_per_clk", "int8_tensor_op_per_clk", "fp16_tensor_flop_per_clk", "fp32_flop_per_clk"),
}
"""Units by format, best first; a device uses the first one that it has."""
_VECTOR = {"fp64": ("fp64_flop_per_clk", "fp32_flop_per_clk"), "fp16": ("fp16_flop_per_clk", "fp32_flop_per_clk")}


def arithmetic_class(name: str | DType) -> str:
    """The key of `_FALLBACK` for a format: narrow integers and fixed point take the next wider unit."""
    fmt = dtype(name)
    for prefix in ("fp8", "fp4"):
        if fmt.name.startswith(prefix):
            return prefix
    if fmt.name in _FALLBACK:
        return fmt.name
    if fmt.is_float:
        return "fp32"
    return next((k for bits, k in ((4, "int4"), (8, "int8"), (16, "fp16")) if fmt.bits <= bits), "fp32")


@dataclass(frozen=True, kw_only=True)
class GpuDevice:
    """Rates and sizes of a GPU. Every number is a scalar or an array of shape `(points, 1)`; units as in `FIELDS`.

    >>> GpuDevice.from_shelf("a100-sxm-80gb").peak_op_per_s("fp16") / 1e12
    311.86944
    """

    name: str
    vendor: str = "generic"
    architecture: str = "generic"
    sm_count: Array
    clock_hz: Array
    fp64_flop_per_clk: Array = 0.0
    fp32_flop_per_clk: Array
    fp16_flop_per_clk: Array = 0.0
    fp64_tensor_flop_per_clk: Array = 0.0
    fp32_tensor_flop_per_clk: Array = 0.0
    tf32_tensor_flop_per_clk: Array = 0.0
    fp16_tensor_flop_per_clk: Array = 0.0
    bf16_tensor_flop_per_clk: Array = 0.0
    fp8_tensor_flop_per_clk: Array = 0.0
    fp4_tensor_flop_per_clk: Array = 0.0
    int8_tensor_op_per_clk: Array = 0.0
    int4_tensor_op_per_clk: Array = 0.0
    special_op_per_clk: Array = 16.0
    dram_b_per_s: Array
    dram_b: Array
    l2_b: Array
    l2_b_per_clk: Array = 64.0
    shared_b: Array = 65536.0
    register_b: Array = 262144.0
    power_limit_w: Array
    idle_power_w: Array = 40.0
    check: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)
    """Peak rates of the datasheet in operations a second by format, to check the rates a clock against."""
    sources: Mapping[str, Quantity] = field(default_factory=dict, compare=False, repr=False)

    family = "gpu"

    @classmethod
    def from_shelf(cls, name: str) -> GpuDevice:
        """The device called `name`, or described by the YAML file at that path.

        Raises:
            UnknownName: no such device, or an unknown field in its file.
            InputError: a field is missing or wrong.
        """
        found = described(name, family="gpu", fields=FIELDS, text=("vendor", "architecture"), other=("check",))
        return cls(**{**found, "check": _checks(found["check"] or {}, where=name)})

    def with_overrides(self, overrides: Mapping[str, Any], /) -> GpuDevice:
        """A copy with other quantities; text carries units (`"4.8 TB/s"`), arrays are columns of points, `(points, 1)`.

        >>> GpuDevice.from_shelf("h100-sxm-80gb").with_overrides({"dram_b_per_s": "4.8 TB/s"}).dram_b_per_s
        4800000000000.0

        Raises:
            UnknownName: no such field.
            InputError: neither number, text nor array, a wrong unit, or a value out of range.
        """
        return overridden(self, overrides, fields=FIELDS, noun="a GPU")

    @property
    def process_nm(self) -> float:
        """Process node of the architecture in nm."""
        return PROCESS_NM.get(self.architecture, NEWEST_NM)

    @property
    def energy_scale(self) -> float:
        """Energy of an operation against a 12 nm process; the fits see no difference among older ones."""
        return min(self.process_nm, 12.0) / 12.0

    def op_per_clk(self, name: str | DType, *, tensor: bool = True) -> Array:
        """Operations a clock and SM in a format, on the best unit that the device has (`tensor=False`: vector units).

        A device without the unit takes the next one of its kind: bf16 on Volta and Turing runs at the fp32 rate, fp8 on Ampere
        at that of fp16 tensor units, fp16 on small Pascals (1/64 of fp32) at the fp32 rate.
        """
        unit = self._unit(name, tensor=tensor)
        rate = getattr(self, unit)
        return _larger(rate, self.fp32_flop_per_clk) if unit == "fp16_flop_per_clk" else rate

    def _unit(self, name: str | DType, *, tensor: bool) -> str:
        """The field with the rate of the first unit for a format that is there; an array counts as there."""
        kind = arithmetic_class(name)
        order = _FALLBACK[kind] if tensor else _VECTOR.get(kind, ())
        rates = ((key, getattr(self, key)) for key in order)
        return next((key for key, rate in rates if not isinstance(rate, int | float) or rate > 0), "fp32_flop_per_clk")

    def uses_tensor(self, name: str | DType) -> bool:
        """Whether products in a format run on tensor units."""
        return "tensor" in self._unit(name, tensor=True)

    def peak_op_per_s(self, name: str | DType, *, tensor: bool = True) -> Array:
        """Dense peak of the device in a format, operations a second."""
        return self.sm_count * self.clock_hz * self.op_per_clk(name, tensor=tensor)


def _checks(raw: Mapping[str, Any], *, where: str) -> dict[str, float]:
    """Peaks by format, operations a second."""
    for key in raw:
        if key not in _FALLBACK:
            raise UnknownName(f"format in `check:` of {where}:", str(key), _FALLBACK)
    try:
        return {key: parse(value, "OP/s" if key.startswith("int") else "FLOP/s") for key, value in raw.items()}
    except InputError as error:
        raise InputError(f"{where}, `check:`: {error}") from None


def _larger(a: Array, b: Array) -> Array:
    """The larger one, of scalars and arrays alike."""
    return max(a, b) if isinstance(a, int | float) and isinstance(b, int | float) else (a + b + abs(a - b)) / 2


NUMERIC = tuple(f.name for f in fields(GpuDevice) if f.name in FIELDS)
