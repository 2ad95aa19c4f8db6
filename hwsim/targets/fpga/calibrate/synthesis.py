"""Fit of what follows C synthesis: own coefficients of resource-strategy layers after logic synthesis, and corrections of all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.arrays import Array
from hwsim.datasets.hls_designs import Design
from hwsim.targets.fpga.calibrate.csynth import METRICS, copied, rows_of
from hwsim.targets.fpga.calibrate.fitting import nonnegative
from hwsim.targets.fpga.cost import program_cost
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.lower import lower
from hwsim.targets.fpga.mapping import FpgaMapping

ANY = FpgaDevice(name="any", lut=1e9, ff=1e9)
"""A part without limits."""
FIXED = {
    "dsp.product_bits": 24.0,
    "bram.fifo_depth": 64.0,
    "bram.rom_depth": 16.0,
    "bram.weight_frac": 0.55,
    "bram.wide_bits": 128.0,
    "fifo.lut.bits": 1.0,
    "fifo.ff.bits": 1.0,
}
"""Read off the streaming designs: FIFOs of up to 64 words and memories of up to 16 leave block RAM, and synthesis drops weight bits that
no trained value uses. Read off the two-layer designs: words of weights of up to 128 bits are in LUTs, wider ones in block RAM."""
SMALL_MLP_LUT = 0.94
"""Median LUT after over before logic synthesis of small MLPs under the latency strategy (published comparison of wa-hls4ml's examples)."""


def fit_dense(designs: Sequence[Design]) -> dict[str, float]:
    """Coefficients of reused multipliers after logic synthesis, from designs of several such layers.

    All rows have many reuses; the other branches register their operands alike, so they take the same coefficients of FF.
    """
    sums, labels = [], []
    for design in designs:
        rows = _layers(design)
        sums.append({m: {k: sum(r.features[m][k] for r in rows) for k in rows[0].features[m]} for m in METRICS})
        labels.append(design.totals)
    found = {}
    for metric in METRICS:
        columns = {k: np.array([s[metric][k] for s in sums]) for k in sums[0][metric]}
        values = nonnegative(columns, np.array([label[metric] for label in labels]))
        found |= {f"reuse_high.{metric.lower()}.{k}": v for k, v in values.items()}
    return found | copied(found, "reuse_high", "reuse_low") | copied(found, "reuse_high.ff", "reuse_few.ff")


def _layers(design: Design) -> list[Any]:
    """Features of every layer; their own labels are not known."""
    program = lower(design.graph, FpgaMapping.of(**design.options))
    from dataclasses import replace

    return rows_of(replace(design, modules={k.name: {} for k in program.kernels}))


def predict_dense(designs: Sequence[Design], constants: Mapping[str, float], metric: str) -> Array:
    """Predicted LUT or FF of designs of resource-strategy layers."""
    result = []
    for design in designs:
        rows = _layers(design)
        result.append(sum(constants.get(f"reuse_high.{metric.lower()}.{k}", 0.0) * v for r in rows for k, v in r.features[metric].items()))
    return np.array(result)


def csynth_total(design: Design, constants: Mapping[str, float], metric: str) -> float:
    """LUT or FF of a whole design by csynth constants."""
    mapping = FpgaMapping.of(**design.options)
    cost = program_cost(lower(design.graph, mapping), device=ANY, mapping=mapping, constants=constants)
    return float(np.sum(np.asarray(cost.row_resources[metric])))


def branch_of(design: Design) -> str:
    """What the products of a design are: the name under which its correction stands."""
    mapping = FpgaMapping.of(**design.options)
    first = lower(design.graph, mapping).tables[0].columns
    return "stream_resource" if first.strategy[0] == 1 else "stream_latency"


def fit_scales(designs: Sequence[Design], constants: Mapping[str, float]) -> dict[str, float]:
    """Factors from csynth to a later stage: the median over designs, of each strategy and (for all other templates) of all designs."""
    found: dict[str, float] = {}
    for metric in METRICS:
        ratios = np.array([d.totals[metric] / max(1.0, csynth_total(d, constants, metric)) for d in designs])
        branches = np.array([branch_of(d) for d in designs])
        found[f"scale.{metric.lower()}"] = float(np.median(ratios))
        found |= {f"scale.{b}.{metric.lower()}": float(np.median(ratios[branches == b])) for b in np.unique(branches)}
    return found | {"scale.reuse_few.lut": found.get("scale.stream_resource.lut", found["scale.lut"])}


def predict_scaled(designs: Sequence[Design], constants: Mapping[str, float], scales: Mapping[str, float], metric: str) -> Array:
    """Predicted LUT or FF of whole designs after the correction."""
    factors = [scales.get(f"scale.{branch_of(d)}.{metric.lower()}", scales[f"scale.{metric.lower()}"]) for d in designs]
    return np.array([csynth_total(d, constants, metric) * f for d, f in zip(designs, factors, strict=True)])


def fit_routed(designs: Sequence[Design], constants: Mapping[str, float]) -> dict[str, float]:
    """One factor for LUT, FF and DSP each from csynth to routed: the median over designs."""
    ratios = {m: [d.totals[m] / max(1.0, csynth_total(d, constants, m)) for d in designs] for m in (*METRICS, "DSP")}
    scales = {f"scale.{m.lower()}": float(np.median(r)) for m, r in ratios.items()}
    return scales | fit_path(designs)


def fit_path(designs: Sequence[Design]) -> dict[str, float]:
    """Critical path of routed latency-strategy designs over the width of their numbers: least squares, nanoseconds."""
    bits = np.array([d.facts["bits"] for d in designs], dtype=float)
    path = np.array([5.0 - d.facts["slack_s"] * 1e9 for d in designs])
    slope, base = np.polyfit(bits, path, 1)
    return {"path.base_ns": float(base), "path.bit_ns": float(slope)}
