"""Adapters of published FPGA reports that are no whole network here: single modules, hand-made designs, tiny test networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.datasets.hls_cnn_designs import continuous_integration, kebl, tutorial
from hwsim.datasets.hls_designs import routed
from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import SUSPECT, joined, scaled, table

Tell = Callable[[str], None]
COLUMNS = {
    "lut": ("LUT", "ALUT"), "ff": ("FF", "REG"), "dsp": ("DSP",), "bram18": ("BRAM_18K",), "uram": ("URAM",),
    "cycles": ("latency_max", "latency_cycles", "WorstLatency"), "interval_cycles": ("ii_max", "IntervalMax"),
}  # fmt: skip
"""Metric to what the sources call it; ALUT and REG are those of Intel."""
CLOCKS = {
    "clock_s": ("target_clock_ns", "clock_period_ns", "TargetClockPeriod"),
    "estimated_clock_s": ("est_clock_ns", "EstimatedClockPeriod"),
}  # fmt: skip


def _labels(found: Any) -> dict[str, Any]:
    """Resources, clocks and periods under any of their names; tiles of 36 Kb count two blocks."""
    made = {metric: _first(found, names, 1.0) for metric, names in COLUMNS.items()}
    made |= {metric: _first(found, names, 1e-9) for metric, names in CLOCKS.items()}
    tiles = _first(found, ("BRAM_tile36",), 2.0)
    if tiles is not None:
        made["bram18"] = tiles if made["bram18"] is None else pandas().Series(made["bram18"]).fillna(pandas().Series(tiles)).to_numpy()
    return {metric: values for metric, values in made.items() if values is not None}


def _first(found: Any, names: tuple[str, ...], scale: float) -> Any:
    """The first of the columns that there are, gaps filled from the next."""
    chosen = [found[name] for name in names if name in found.columns]
    if not chosen:
        return None
    whole = chosen[0]
    for other in chosen[1:]:
        whole = whole.where(whole.notna(), other)
    return scaled(whole, scale)


def _rows(found: Any, source: str, name: Any, group: Any, tool: Any, stage: Any) -> Any:
    part = found.part if "part" in found.columns else pandas().Series("xcu250", index=found.index)
    return pandas().DataFrame({
        "graph": f"{source}:" + name, "device": part.str.extract(r"^(xc[a-z0-9]+?)(?=(?:clg|figd|flgb|fhga|-|$))")[0].fillna(part),
        "group": f"{source}:" + group, "protocol.tool": tool, "protocol.stage": stage, **_labels(found),
    })  # fmt: skip


def modules(tell: Tell) -> dict[str, Any]:
    """Single modules of designs, as C synthesis reports them: what one layer takes."""
    mlp = table("fpga", "argykokk_mlp_layers.csv", need=("network", "config", "module", "LUT"))
    frames = [_rows(mlp, "argykokk", mlp.network + "/" + mlp.config + "/" + mlp.module, mlp.network, mlp.tool, "csynth").assign(**{
        "mapping.strategy": mlp.strategy, "mapping.reuse_factor": mlp.reuse_factor, "mapping.multiplier": mlp.mul_impl,
        "mapping.weight_precision": mlp.weight_precision, "mapping.accum_precision": mlp.accum_precision, "fact.kind": mlp.kind,
        "fact.layer": mlp.layer_name, "fact.n_in": mlp.n_in, "fact.n_out": mlp.n_out, "fact.n_zeros": mlp.n_zeros,
    })]  # fmt: skip
    for source, file in {"kebl": "kebl_cnn_layers.csv", "tutorial": "hls4ml_tutorial_cnn_layers.csv"}.items():
        found = table("fpga", file, need=("design", "instance", "module", "LUT"))
        kind = found.module.str.extract(r"^(conv_2d|dense|pooling2d|relu|leaky|softmax|normalize|clone|zeropad)")[0]
        made = _rows(found, source, found.design + "/" + found.instance, found.design, found.tool, "csynth")
        frames.append(made.assign(**{"fact.kind": kind, "fact.module": found.module}))
    tell(f"read {sum(map(len, frames))} modules")
    return joined(frames)


def others(tell: Tell) -> dict[str, Any]:
    """Designs that `fpga-designs` has no network for; those that their source has wrong are marked."""
    frames = [_copies(), _streaming(), _tutorial(), _tests(), _handmade()]
    tell(f"read {sum(map(len, frames))} designs")
    return joined(frames)


def _copies() -> Any:
    found = table("fpga", "argykokk_mlp_designs.csv", need=("network", "config", "suspect"))
    found = found[found.suspect.notna()]
    rows = _rows(found, "argykokk", found.network + "/" + found.config, found.network, found.tool, found.synth)
    return rows.assign(**{SUSPECT: found.suspect, "mapping.reuse_factor": found.reuse_factor, "mapping.multiplier": found.mul_impl})


def _streaming() -> Any:
    found = table("fpga", "kebl_cnn_designs.csv", need=("design", "stage", "suspect"))
    stage = found.stage.str.partition(" ")[0]
    known = {(d.name, d.stage) for d in kebl()}
    left = [(name, s) not in known for name, s in zip(found.design, stage, strict=True)]
    found, stage = found[left], stage[left]
    rows = _rows(found, "kebl", found.design, found.design, found.tool, stage)
    return rows.assign(**{SUSPECT: found.suspect, "fact.architecture": found.architecture, "mapping.conv": found.conv_impl})


def _tutorial() -> Any:
    found = table("fpga", "hls4ml_tutorial_cnn_designs.csv", need=("design", "stage"))
    known = {d.name for d in tutorial()}
    found = found[~found.design.isin(known)]
    return _rows(found, "tutorial", found.design, found.design, found.tool, found.stage)


def _tests() -> Any:
    """Tests of hls4ml that no network here stands for, oneAPI's among them."""
    found = table("fpga", "hls4ml_ci_baselines.csv", need=("backend", "tool_version", "test", "stage"))
    left = set(continuous_integration()[1])
    found = found[found.test.isin(left)]
    found = found.assign(part=found.backend.map({"oneAPI": "agilex"}).fillna("xcu250"))
    rows = _rows(found, "ci", found.test, found.test, found.backend, found.stage)
    facts = {f"fact.{c.lower()}": found[c] for c in ("RAM", "MLAB", "worstFrequency_MHz")}
    return rows.assign(**{"protocol.version": found.tool_version.astype(str), **facts})


def _handmade() -> Any:
    """Jet taggers written by hand, placed and routed over number formats."""
    found = table("fpga", "uwacme_jettag_bn_postroute.csv", need=("impl", "run", "total_bits", "int_bits", "WNS_ns"))
    found = found[~found.run.isin({d.name for d in routed()})]
    found = found.assign(part="xcvu13p")
    rows = _rows(found, "routed", found.run, found.total_bits.astype(str) + " bits", found.tool, "routed")
    precision = "ap_fixed<" + found.total_bits.astype(str) + "," + found.int_bits.astype(str) + ">"
    facts = {"fact.slack_ns": found.WNS_ns, "fact.accuracy": found.accuracy, "fact.implementation": found.impl}
    return rows.assign(**{"mapping.precision": precision, **facts})
