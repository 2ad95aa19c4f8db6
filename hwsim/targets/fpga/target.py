"""The FPGA family as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.cost import Cost, Program, Verdict
from hwsim.graph import Graph
from hwsim.quantities import Quantity
from hwsim.targets.fpga.by_layer import layer_columns, with_layers
from hwsim.targets.fpga.constants import sources
from hwsim.targets.fpga.cost import program_cost
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.domains import domains
from hwsim.targets.fpga.feasibility import verdict
from hwsim.targets.fpga.features import NAMES, features
from hwsim.targets.fpga.learned import METRICS, READOUT, beside_rows, cost_of_rows, row_costs, shares
from hwsim.targets.fpga.lower import lower
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.units import format_si

LEADING = (
    "stream.pixel_cycles",
    "reuse_high.lut.demux",
    "reuse_high.lut.input_bits",
    "latency_vitis.lut.adder_bits",
    "latency_vivado.lut.adder_bits",
)


STAGE_WORDS = {
    "csynth": "the HLS tool's estimate before logic synthesis",
    "vsynth": "after logic synthesis",
    "routed": "after place and route",
    "yosys": "open RTL through Yosys",
}


class FpgaTarget:
    """hls4ml-style templates composed into a pipeline."""

    family = "fpga"
    mapping_options = (*(f.name for f in fields(FpgaMapping)), "clock_period")
    feature_names = NAMES
    surrogate_metrics = METRICS
    surrogate_readout = READOUT
    summary = "FPGAs through hls4ml-style templates: reuse factor, II, DSP, LUT, FF, BRAM, a layer at a time, before synthesis"

    instance_columns: Mapping[str, str] = MappingProxyType(
        {
            "cycles": "Cycles",
            "interval_cycles": "II",
            "reuse_requested": "RF asked",
            "reuse_factor": "RF",
            "multipliers": "Mult",
            "DSP": "DSP",
            "LUT": "LUT",
            "FF": "FF",
            "BRAM18": "BRAM18",
            "fifos": "FIFOs",
        }
    )
    """Columns of the table of instances."""

    def devices(self) -> Sequence[str]:
        """Names on the shelf."""
        return tuple(shelf.devices("fpga"))

    def device(self, name: str, /) -> FpgaDevice:
        """A part by name or from its YAML file.

        Raises:
            UnknownName: no such part.
            InputError: its file is wrong.
        """
        return FpgaDevice.from_shelf(name)

    def mapping(self, **options: Any) -> FpgaMapping:
        """Mapping choices from plain options.

        Raises:
            UnknownName: an option or value that does not exist.
            InputError: a value out of range, or a configuration that cannot be read.
        """
        return FpgaMapping.of(**options)

    def graph_options(self, graph: Graph) -> Mapping[str, Any]:
        """Options that a network brings along: the configuration of an hls4ml model or a wa-hls4ml record."""
        return {"hls_config": graph.attrs["hls_config"]} if graph.attrs.get("hls_config") else {}

    def lower(self, graph: Graph, *, device: Any, mapping: FpgaMapping) -> Program:
        """Template instances; the same for every part."""
        return lower(graph, mapping)

    def cost(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping) -> Cost:
        """Pure array function of program, device and mapping."""
        return program_cost(program, device=device, mapping=mapping)

    def cost_with(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping, row_factor: Mapping[str, Any]) -> Cost:
        """Cost of a program whose rows take a learned multiple of their closed form, by metric, shape `(rows,)` or `(points, rows)`."""
        found = shares(program, device=device, mapping=mapping)
        rows = {name: found.rows[name] * factor for name, factor in row_factor.items()}
        return cost_of_rows(program, found, rows, device=device, mapping=mapping)

    def cost_of_rows(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping, rows: Mapping[str, Any]) -> Cost:
        """Cost of a program whose rows come to these counts and cycles, by metric."""
        return cost_of_rows(program, shares(program, device=device, mapping=mapping), rows, device=device, mapping=mapping)

    def row_costs(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping) -> np.ndarray:
        """What every row adds, shape `(rows, metrics)` or `(points, rows, metrics)`, in the order of `surrogate_metrics`."""
        return row_costs(shares(program, device=device, mapping=mapping))

    def beside_rows(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping) -> np.ndarray:
        """What a design takes beside its rows, shape `(metrics,)` or `(points, metrics)`."""
        return beside_rows(shares(program, device=device, mapping=mapping))

    def row_features(self, program: Program, *, device: FpgaDevice, mapping: FpgaMapping) -> np.ndarray:
        """What learned methods see of the rows, shape `(rows, features)` or `(points, rows, features)`; names in `feature_names`."""
        return features(program, shares(program, device=device, mapping=mapping), device=device, mapping=mapping)

    def binding(self, cost: Cost) -> Sequence[str]:
        """compute (products by reuse), memory (pixels that flow by) or overhead (pipeline depth), whichever is longest."""
        parts = cost.row_parts_s
        names = ("compute", "memory", "overhead")
        values = np.stack(np.broadcast_arrays(*(np.asarray(getattr(parts, n), dtype=float) for n in names)))
        return [names[i] for i in np.argmax(values, axis=0)]

    def facts(self, device: FpgaDevice, mapping: FpgaMapping) -> Mapping[str, Quantity]:
        """Capacity of the part and the fitted constants that an estimate leans on most."""
        keys = ("lut", "ff", "dsp", "bram18", "clock_limit_hz", "static_power_w")
        fitted = {f"{mapping.stage}.{k}": q for k, q in sources(mapping.stage).items() if k in LEADING}
        return {**{k: device.sources[k] for k in keys if k in device.sources}, **fitted}

    def validation_domains(self, program: Program, cost: Cost, *, device: FpgaDevice, mapping: FpgaMapping) -> Mapping[str, str]:
        """Domains whose errors the intervals come from; empty outside of what was measured."""
        return domains(program, cost, device=device, mapping=mapping)

    def highlights(self, cost: Cost, *, mapping: FpgaMapping) -> Mapping[str, str]:
        """Cycles, interval and stage, among the totals of a report."""
        period = float(cost.extra["clock_period_s"])
        cycles, interval = float(cost.extra["latency_cycles"]), float(cost.extra["interval_cycles"])
        return {
            "Cycles": f"{cycles:,.0f}, initiation interval {interval:,.0f}, clock {format_si(1 / period, 'Hz')} ({format_si(period, 's')})",
            "Stage": f"{mapping.stage}, {STAGE_WORDS[mapping.stage]}",
        }

    def with_layers(self, graph: Graph, mapping: FpgaMapping, choices: Mapping[str, Mapping[str, Any]]) -> FpgaMapping:
        """The mapping with choices for layers by pattern."""
        return with_layers(graph, mapping, choices)

    def layer_columns(self, program: Program) -> Mapping[str, tuple[tuple[str, ...], np.ndarray]]:
        """What may differ from layer to layer in a sweep."""
        return layer_columns(program)

    def verdict(self, program: Program, cost: Cost, *, device: FpgaDevice, mapping: FpgaMapping) -> Verdict:
        """Whether it will synthesise, and what puts it at risk."""
        return verdict(program, cost, device=device, mapping=mapping)
