"""Fit of the csynth constants: linear forms of every template on published modules, FIFOs, schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.cost import Program
from hwsim.datasets.hls_cnn_designs import continuous_integration, kebl, tutorial
from hwsim.datasets.hls_designs import Design, argykokk, dense1
from hwsim.targets.fpga.calibrate.fitting import nonnegative
from hwsim.targets.fpga.lower import lower
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.templates import matrix, moves, pointwise, tables

METRICS = ("LUT", "FF")
FIXED = {
    "depth.vivado.level_ns": 1.0,
    "depth.vitis.level_ns": 4.375,
    "depth.vitis.product_ns": 3.9,
    "stream.pixel_cycles": 4.0,
    "bram.fifo_depth": 32.0,
    "bram.rom_depth": 1.0,
    "bram.weight_frac": 1.0,
    "fifo.lut.bits": 1.0,
    "fifo.ff.bits": 1.0,
}
"""Constants read off the reports rather than fitted: nanoseconds of an adder level (Vitis HLS gives each its cycle at 5 ns) and of a
product, cycles a pixel beside the reuse factor, depth from which FIFOs and memories take block RAM."""
ASSUMED = {"da.lut.all_digit_bits": 0.7, "da.ff.output_bits": 2.0}
"""Distributed arithmetic, of which there is no tool report: an adder of the input's width a digit, less 30 % that shared sums save."""


@dataclass(frozen=True)
class Row:
    """One instance with what was measured of it and the features that its template is linear in."""

    branch: str
    """Prefix of its coefficients."""
    group: str
    features: Mapping[str, Mapping[str, float]]
    """Of LUT and of FF."""
    measured: Mapping[str, float]


def designs() -> list[Design]:
    """All designs with csynth labels of their modules."""
    dense = [*dense1("resource")[0], *dense1("latency")[0]]
    streaming = [d for d in (*kebl(), *tutorial()) if d.stage == "csynth"]
    return [*dense, *argykokk(), *streaming, *_activations()]


def _activations() -> list[Design]:
    """Networks of one activation or pooling from hls4ml's tests: what stands before it is a few DSP slices."""
    from dataclasses import replace

    chosen = [d for d in continuous_integration()[0] if d.group.startswith(("activations", "pooling"))]
    return [replace(d, modules={d.graph.nodes[-1].name: d.totals}, group="ci/" + d.group) for d in chosen]


def rows_of(design: Design) -> list[Row]:
    """The measured instances of a design."""
    mapping = FpgaMapping.of(**design.options)
    program = lower(design.graph, mapping)
    measured = design.modules or {program.kernels[0].name: design.totals}
    return list(_rows(program, mapping, measured, design.group))


def _rows(program: Program, mapping: FpgaMapping, measured: Mapping[str, Mapping[str, float]], group: str) -> Iterable[Row]:
    names = {k.row: k.name for k in program.kernels}
    at = 0
    for table in program.tables:
        found = _features(table.kind, table.columns, mapping)
        for i in range(table.count.shape[0]):
            if names[at + i] in measured and found is not None:
                branch, features = _at(found, i)
                yield Row(branch, group, features, measured[names[at + i]])
        at += table.count.shape[0]


_Found = tuple[Mapping[str, Array], Mapping[str, Mapping[str, Array]]]


def _features(kind: str, columns: Any, mapping: FpgaMapping) -> _Found:
    """Masks of the branches and features of LUT and FF, of one table."""
    if kind == "matrix":
        masks, lut, ff = matrix.fit_features(columns, mapping)
        return masks, {"LUT": lut, "FF": ff}
    if kind == "pointwise":
        tight = np.asarray(mapping.budget_s < pointwise.TIGHT_S, dtype=float)
        masks = {f"pointwise_{name}": columns.form == i for i, name in enumerate(pointwise.FORMS)}
        both = pointwise.features(columns, tight=tight)
    elif kind == "table":
        masks = {f"table_{name}": columns.form == i for i, name in enumerate(tables.FORMS)}
        both = tables.features(columns, fabric=mapping.multiplier == "fabric")
    else:
        masks = {name: columns.form == i for i, name in enumerate(moves.FORMS)}
        both = moves.features(columns)
    return masks, {"LUT": both, "FF": both}


def _at(found: _Found, i: int) -> tuple[str, dict[str, dict[str, float]]]:
    masks, features = found
    branch = next(name for name, mask in masks.items() if np.broadcast_to(mask, _length(masks))[i])
    values = {m: {k: float(np.broadcast_to(v, _length(masks))[i]) for k, v in of.items()} for m, of in features.items()}
    return branch, values


def _length(masks: Mapping[str, Array]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(np.shape(m) for m in masks.values()))


def fit(rows: Sequence[Row], fifos: Sequence[Design] = ()) -> dict[str, float]:
    """Coefficients by name from measured instances."""
    found = FIXED | ASSUMED
    for branch in sorted({row.branch for row in rows}):
        chosen = [row for row in rows if row.branch == branch]
        for metric in METRICS:
            names = chosen[0].features[metric]
            columns = {n: np.array([r.features[metric][n] for r in chosen]) for n in names}
            values = nonnegative(columns, np.array([r.measured[metric] for r in chosen]))
            found |= {f"{branch}.{metric.lower()}.{n}": v for n, v in values.items()}
    return _shared(found) | (fit_fifos(fifos) if fifos else {})


def _shared(found: dict[str, float]) -> dict[str, float]:
    """What was reported of one branch counts for its neighbours: products by constants in fabric, few reuses of a multiplier."""
    known = found.get(FABRIC.format("latency_vitis"))
    fabric = {} if known is None else {FABRIC.format(b): known for b in ("latency_vivado", "stream_latency", "unrolled")}
    return found | fabric | copied(found, "stream_resource", "reuse_few")


def copied(found: Mapping[str, float], source: str, target: str) -> dict[str, float]:
    """The coefficients of one branch under the name of another."""
    return {f"{target}{name.removeprefix(source)}": value for name, value in found.items() if name.startswith(f"{source}.")}


FABRIC = "{}.lut.heavy_fabric_bits"


def fit_fifos(chosen: Sequence[Design]) -> dict[str, float]:
    """LUT and FF of a FIFO beside one a bit."""
    from hwsim.targets.fpga.cost import base_of, fifos_of

    counts, bits, labels = [], [], []
    for design in chosen:
        mapping = FpgaMapping.of(**design.options)
        fifos = fifos_of(base_of(lower(design.graph, mapping)), mapping=mapping, constants={})
        counts.append(float(np.sum(fifos.count)))
        bits.append(float(np.sum(fifos.count * fifos.bits)))
        labels.append(design.facts["fifo"])
    count, wide = np.array(counts), np.array(bits)
    ratios = {m: np.median((np.array([label[m] for label in labels]) - wide) / count) for m in METRICS}
    return {f"fifo.{m.lower()}.one": float(max(r, 0.0)) for m, r in ratios.items()}


def predict(rows: Sequence[Row], constants: Mapping[str, float], metric: str) -> Array:
    """Predicted LUT or FF of instances."""
    return np.array([sum(constants.get(f"{r.branch}.{metric.lower()}.{n}", 0.0) * v for n, v in r.features[metric].items()) for r in rows])
