"""Mapping choices of the FPGA family: hls4ml's configuration, the clock, and the stage that numbers speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hwsim.arrays import Array
from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga.fields import BACKENDS, IO_TYPES
from hwsim.targets.fpga.precision import parse as parse_precision
from hwsim.units import parse

STAGES = ("csynth", "vsynth", "routed", "yosys")
"""csynth: the HLS tool's estimate; vsynth: after logic synthesis; routed: after place and route; yosys: our own RTL, open tools."""
STRATEGIES = ("latency", "resource", "unrolled", "distributed_arithmetic")
UNCERTAINTY = {"Vivado": 0.125, "VivadoAccelerator": 0.125, "Vitis": 0.27, "VitisUnified": 0.27}
"""Share of the clock period that the HLS tool keeps free: 12.5 % by default in Vivado HLS, 27 % in Vitis HLS (UG902, UG1399)."""
MULTIPLIERS = ("auto", "dsp", "fabric")


@dataclass(frozen=True)
class FpgaMapping:
    """How a network is built on an FPGA."""

    precision: str = "ap_fixed<16,6>"
    """Model-level number format; `auto` has it inferred layer by layer."""
    reuse_factor: Array = 1
    """Model-level reuse factor. In a sweep an array `(points, 1)` or `(points, layers)`, which overrides all others."""
    weight_width: Array | None = None
    """In a sweep: bits of the weights, `(points, 1)` or `(points, layers)`; None takes the formats of the layers."""
    result_width: Array | None = None
    """In a sweep: bits of data that flow between layers, likewise."""
    strategy: str = "latency"
    """latency, resource, unrolled or distributed_arithmetic."""
    io_type: str = "io_parallel"
    """io_parallel or io_stream."""
    backend: str = "Vivado"
    """Vivado and Vitis are validated, the others less so."""
    clock_period_s: Array = 5e-9
    """Target clock period."""
    clock_uncertainty_frac: float | None = None
    """Share of the period kept free by the tool; None takes the backend's default."""
    stage: str = "csynth"
    """Which metric: csynth, vsynth, routed or yosys; never mixed."""
    multiplier: str = "auto"
    """Where products by constants go: auto (the tool's own threshold), dsp, or fabric."""
    hls_config: str | None = None
    """hls4ml configuration as canonical JSON; `of` takes a dict, a JSON text, or a path to a YAML or JSON file."""

    def __post_init__(self) -> None:
        choices = (
            ("strategy", self.strategy, STRATEGIES),
            ("io_type", self.io_type, IO_TYPES),
            ("backend", self.backend, BACKENDS.values()),
            ("stage", self.stage, STAGES),
            ("multiplier", self.multiplier, MULTIPLIERS),
        )
        for name, value, known in choices:
            if value not in known:
                raise UnknownName(name, value, known)
        if self.precision != "auto":
            parse_precision(self.precision)
        if isinstance(self.reuse_factor, int | float) and (self.reuse_factor < 1 or self.reuse_factor != int(self.reuse_factor)):
            raise InputError(f"reuse_factor is {self.reuse_factor!r}; expected a whole number of at least 1")
        if isinstance(self.clock_period_s, int | float) and not 1e-10 <= self.clock_period_s <= 1e-6:
            raise InputError(f"clock period {self.clock_period_s:g} s; expected 0.1 ns to 1 us, such as clock_period='5 ns'")
        if self.clock_uncertainty_frac is not None and not 0 <= self.clock_uncertainty_frac < 1:
            raise InputError(f"clock_uncertainty_frac is {self.clock_uncertainty_frac!r}; expected a share of the period, 0 to below 1")

    @classmethod
    def of(cls, **options: Any) -> FpgaMapping:
        """From plain options; those that are None take the default.

        `clock_period` is a text with a unit or a number of ns (as hls4ml's ClockPeriod). What an `hls_config` says of the project
        (Backend, IOType, ClockPeriod, ClockUncertainty) counts where no option is given; `precision`, `reuse_factor` and `strategy` that
        are given beside it replace those of its `Model`, and leave `LayerType` and `LayerName` as they are.

        Raises:
            UnknownName: an option or value that does not exist.
            InputError: a value out of range.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if "hls_config" in given:
            given = {**_project(given["hls_config"], given), **given}
            given["hls_config"] = given.pop("_text")
        if "clock_period" in given:
            given["clock_period_s"] = _period_s(given.pop("clock_period"))
        for name in ("strategy", "io_type"):
            if isinstance(given.get(name), str):
                given[name] = given[name].lower()
        if isinstance(given.get("backend"), str):
            given["backend"] = BACKENDS.get(given["backend"].lower(), given["backend"])
        known = {f.name for f in fields(cls)} | {"clock_period"}
        for name in given:
            if name not in known:
                raise UnknownName("mapping option of an FPGA", name, known)
        return cls(**given)

    @property
    def words(self) -> str:
        """The choices in words, for reports."""
        model = "hls_config" if self.hls_config else f"{self.precision}, reuse {self.reuse_factor}, {self.strategy}"
        rest = [self.io_type, self.backend, f"{float(self.clock_period_s) * 1e9:g} ns", self.stage]
        return ", ".join([model, *rest, *([f"multipliers in {self.multiplier}"] if self.multiplier != "auto" else [])])

    @property
    def budget_s(self) -> Array:
        """Clock period less the uncertainty: what the HLS tool schedules into."""
        share = UNCERTAINTY.get(self.backend, 0.2) if self.clock_uncertainty_frac is None else self.clock_uncertainty_frac
        return self.clock_period_s * (1 - share)


def _project(source: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that a whole-project configuration states, and its canonical text with the model-level options that are given."""
    from hwsim.targets.fpga.config import HlsConfig

    config = HlsConfig.read(source)
    changes = {name: given[name] for name in ("precision", "reuse_factor", "strategy") if name in given}
    config = config.with_model(**changes) if changes else config
    names = ("backend", "io_type", "clock_period_s", "clock_uncertainty_frac")
    stated = {name: getattr(config, name) for name in names}
    return {name: value for name, value in stated.items() if value is not None} | {"_text": config.text}


def _period_s(value: Any) -> float:
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        return parse(value, "s")
    return parse(float(value), "s") * 1e-9


def plain_options(mapping: FpgaMapping) -> Mapping[str, Any]:
    """The choices that a report shows, without the configuration's text."""
    return {f.name: getattr(mapping, f.name) for f in fields(mapping) if f.name != "hls_config" and getattr(mapping, f.name) is not None}
