"""The optical family as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.cost import Cost, Program, Verdict
from hwsim.estimate import Estimate
from hwsim.graph import Graph
from hwsim.quantities import Quantity
from hwsim.targets.optical.cost import program_cost
from hwsim.targets.optical.device import OpticalDevice
from hwsim.targets.optical.lower import lower
from hwsim.targets.optical.mapping import OpticalMapping
from hwsim.targets.optical.tiling import apertures, cut
from hwsim.units import format_si

LEADING = (
    "input_x",
    "input_refresh_s",
    "mask_refresh_s",
    "exposure_s",
    "readout_pixel_per_s",
    "laser_w",
    "wall_plug_efficiency",
    "dac_j",
    "mask_dac_j",
    "adc_j",
    "static_w",
    "electronics_op_per_s",
    "electronics_b_per_s",
)
BOUNDS = {"compute": "frames", "conversion": "conversion", "host": "electronics"}
"""Words for the parts of a row's time."""


class OpticalTarget:
    """Convolutions as passes through a 4f bench, the rest in electronics."""

    family = "optical"
    mapping_options = tuple(f.name for f in fields(OpticalMapping))
    summary = "free-space optical 4f benches: convolutions as frames, conversions and readout charged, the rest in electronics"
    instance_columns: Mapping[str, str] = MappingProxyType(
        {"convolutions": "Convolutions", "tiles": "Tiles", "frames": "Frames", "masks": "Masks", "conversions": "Conversions"}
    )
    """Columns of the table of instances."""
    shows_range = True
    """Reports show what the low and high ends of the constants make of the totals."""

    def devices(self) -> Sequence[str]:
        """Names on the shelf."""
        return tuple(shelf.devices("optical"))

    def device(self, name: str, /) -> OpticalDevice:
        """A bench by name or from its YAML file.

        Raises:
            UnknownName: no such bench.
            InputError: its file is wrong.
        """
        return OpticalDevice.from_shelf(name)

    def mapping(self, **options: Any) -> OpticalMapping:
        """Mapping choices from plain options.

        Raises:
            UnknownName: an option that does not exist.
            InputError: a value of the wrong kind.
        """
        return OpticalMapping.of(**options)

    def lower(self, graph: Graph, *, device: Any, mapping: OpticalMapping) -> Program:
        """Passes and electronics; the same for every bench, but for kernels that must not be split.

        Raises:
            InputError: a kernel is larger than the aperture and must not be split.
        """
        return lower(graph, device, mapping)

    def cost(self, program: Program, *, device: OpticalDevice, mapping: OpticalMapping) -> Cost:
        """Pure array function of program, device and mapping."""
        return program_cost(program, device=device, mapping=mapping)

    def binding(self, cost: Cost) -> Sequence[str]:
        """frames, conversion (the camera) or electronics, whichever is longest; `not charged` where all are 0."""
        stacked = np.stack([np.asarray(getattr(cost.row_parts_s, n), dtype=float) for n in BOUNDS])
        words = [*BOUNDS.values(), "not charged"]
        return [words[i] for i in np.where(stacked.max(axis=0) > 0, np.argmax(stacked, axis=0), len(BOUNDS))]

    def facts(self, device: OpticalDevice, mapping: OpticalMapping) -> Mapping[str, Quantity]:
        """Pixels, rates and energies with their sources."""
        return {k: device.sources[k] for k in LEADING if k in device.sources}

    def highlights(self, cost: Cost, *, mapping: OpticalMapping) -> Mapping[str, str]:
        """Frames, and time and energy by cause, among the totals of a report."""
        extra = {name: float(value) for name, value in cost.extra.items()}
        times = ", ".join(f"{n} {format_si(extra[f'{n}_s'], 's')}" for n in ("frames", "readout", "electronics"))
        causes = ("laser", "dac", "mask", "adc", "detector")
        energies = [f"{n} {format_si(extra[f'{n}_j'], 'J')}" for n in causes if extra[f"{n}_j"] > 0]
        found = {"Frames": f"{extra['frames']:,.0f}, {extra['convolutions']:,.0f} convolutions", "Time": times}
        if "effective_bits" in extra:
            found["Precision"] = f"{extra['effective_bits']:.1f} effective bits, in the worst layer"
        return found | ({"Energy of the bench": ", ".join(energies)} if energies else {})

    def pictures(self, estimate: Estimate) -> Sequence[tuple[str, str, str]]:
        """Title, drawing and remark: time and energy by layer and cause, energy against effective bits."""
        from hwsim.targets.optical.pictures import pictures

        return pictures(self, estimate)

    def verdict(self, program: Program, cost: Cost, *, device: OpticalDevice, mapping: OpticalMapping) -> Verdict:
        """Whether something is left out that a real bench pays for, what had to be cut, and where next to nothing of the values is left."""
        free = {
            "conversion": device.dac_j + device.mask_dac_j + device.adc_j,
            "readout": device.readout_pixel_per_s,
            "electronics": device.electronics_op_per_s,
        }
        missing = [name for name, value in free.items() if float(value) == 0]
        words = [f"{device.name} charges nothing for {', '.join(missing)}: a lower bound, not a forecast"] if missing else []
        if large := _too_large(program, device, mapping):
            words.append(f"{_listed(large)} larger than the aperture of {device.name} with the kernel's tail; cut into blocks or pieces")
        if float(cost.extra.get("effective_bits", 1.0)) < 1.0:
            bits = np.asarray(cost.row_extra["effective_bits"])
            poor = [k.path or k.name for k in program.kernels if k.kind == "conv" and bits[k.row] < 1.0 and k.row < _passes(program)]
            words.append(f"{_listed(poor)} left with less than one effective bit; more light, finer converters or fewer channels help")
        return Verdict(warnings=tuple(words))


def _passes(program: Program) -> int:
    return program.tables[0].count.shape[0]


def _too_large(program: Program, device: OpticalDevice, mapping: OpticalMapping) -> list[str]:
    """Convolutions that do not go through the bench in one piece."""
    c, split = program.tables[0].columns, mapping.split_kernels
    sides = zip((c.image_x, c.image_y), (c.kernel_x, c.kernel_y), (c.results_x, c.results_y), apertures(device), strict=True)
    cuts = [cut(np, *side, split_kernels=split) for side in sides]
    large = np.any([one.blocks * one.pieces > 1 for one in cuts], axis=0)
    return [k.path or k.name for k in program.kernels if k.row < _passes(program) and large[k.row]]


def _listed(paths: Sequence[str]) -> str:
    """`conv1 is`, `conv1, conv2 and 3 more are`."""
    shown = ", ".join(paths[:2]) + (f" and {len(paths) - 2} more" if len(paths) > 2 else "")
    return f"{shown} {'is' if len(paths) == 1 else 'are'}"
