"""Adapters of accelerators: published chips, simulators' outputs, Gemmini under FireSim, an optical bench, SRAM, microcontrollers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.datasets.adapted_fpga import columns
from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import joined, scaled, spelt, table

Tell = Callable[[str], None]


def gemmini(tell: Tell) -> dict[str, Any]:
    """Convolutions on a 128 x 128 Gemmini, each under several mappings: clocks of the RTL, energy as Timeloop estimates it."""
    found = table("accelerators", "dosa_gemmini", "firesim_training_results.csv", need=("target.cycle", "mapping.mapping", "prob.C"))
    p = {name: found[f"prob.{name}"] for name in "NCKPQRS"}
    tell(f"read {len(found):,} layers")
    sizes = {
        "batch": p["N"], "in_channels": p["C"], "out_channels": p["K"], "out_width": p["P"], "out_height": p["Q"], "kernel_w": p["R"],
        "kernel_h": p["S"], "stride_w": found["prob.Wstride"], "stride_h": found["prob.Hstride"],
    }  # fmt: skip
    graph = spelt("conv", sizes)
    return joined([pandas().DataFrame({
        "graph": graph, "device": "gemmini-128x128", "group": graph, "mapping.mapping": found["mapping.mapping"], "mapping.dtype": "int8",
        "protocol.tool": "FireSim", "protocol.stage": "RTL", "flop": 2.0 * np.prod([v.to_numpy(float) for v in p.values()], axis=0),
        "cycles": scaled(found["target.cycle"]), "fact.estimated_energy_uj": found["target.energy"],
    })])  # fmt: skip


EYERISS = {
    "Power (mW)": ("power_w", 1e-3), "Total Latency (ms)": ("latency_s", 1e-3), "Processing Latency (ms)": ("processing_s", 1e-3),
    "Num. of Active PEs": ("active_count", 1.0), "Global Buffer Accesses (MB)": ("buffer_b", 1e6), "DRAM Accesses (MB)": ("dram_b", 1e6),
}  # fmt: skip


def published_layers(tell: Tell) -> dict[str, Any]:
    """Layers of AlexNet measured on Eyeriss (a batch of four), and dense layers on EIE."""
    found = table("accelerators", "fodlam", "eyeriss-alexnet.csv", need=("Layer", *EYERISS))
    labels = {metric: scaled(found[c], scale) for c, (metric, scale) in EYERISS.items()}
    shared = {"protocol.tool": "as published", "protocol.stage": "measured"}
    eyeriss = pandas().DataFrame({
        "graph": "alexnet?layer=" + found.Layer.str.lower(), "device": "eyeriss", "group": "alexnet", "mapping.dtype": "int16", **shared,
        "protocol.batch": 4, "flop": 2e9 * scaled(found["Num. of MACs (G)"]),
        "input_zeros_frac": scaled(found["Zeros in Ifmaps"].str.rstrip("%"), 0.01), **labels,
    })  # fmt: skip
    wide = table("accelerators", "fodlam", "eie-layers.csv", need=("Layer",)).set_index("Layer").T
    eie = pandas().DataFrame({
        "graph": "eie:" + wide.index.str.lower().str.replace(r"[ -]+", "_", regex=True), "device": "eie", "group": "eie", **shared,
        "protocol.stage": "simulated", "protocol.batch": 1, "latency_s": scaled(wide["Actual Time"], 1e-6),
        "fact.theoretical_s": scaled(wide["Theoretical Time"], 1e-6),
    })  # fmt: skip
    tell(f"read {len(eyeriss)} layers on Eyeriss, {len(eie)} on EIE")
    return joined([eyeriss, eie.reset_index(drop=True)])


PUBLISHED = {
    ("latency", "ms"): ("latency_s", 1e-3), ("p99_latency", "ms"): ("p99_s", 1e-3), ("time_per_sample", "s"): ("latency_s", 1.0),
    ("throughput", "frame/s"): ("inferences_hz", 1.0), ("throughput", "image/s"): ("inferences_hz", 1.0),
    ("frame_rate", "kHz"): ("frames_hz", 1e3), ("power_avg_16nm", "mW"): ("power_w", 1e-3),
    ("power_peak_16nm", "mW"): ("peak_power_w", 1e-3),
    ("power", "mW"): ("power_w", 1e-3), ("power", "W"): ("power_w", 1.0), ("reported_power", "mW"): ("power_w", 1e-3),
}  # fmt: skip
"""(metric, unit) of the source to a metric; shares in percent keep their name, all else is a fact."""


def published(tell: Tell) -> dict[str, Any]:
    """Published figures of chips, one chip, network and set of conditions a row; those of Eyeriss and EIE stand in `accelerator-layers`."""
    found = table("accelerators", "published_rows.csv", need=("chip", "workload", "layer", "metric", "value", "unit"))
    found = found[~found.seen_in.str.contains("fodlam")]
    rows: list[dict[str, Any]] = []
    for (chip, network, layer), chosen in found.groupby(["chip", "workload", "layer"], sort=False):
        for conditions, part in chosen.groupby(chosen.conditions.fillna(""), sort=False):
            shared = {"graph": f"published:{network}" + ("" if layer == "-" else f"?layer={layer}"), "device": str(chip)}
            shared |= {"group": str(network), "protocol.tool": "as published", "protocol.conditions": conditions or None}
            shared["protocol.source"] = str(part.source.iloc[0])
            rows.append(shared | dict(_figure(f) for f in part.itertuples()))
    tell(f"read {len(found)} figures as {len(rows)} rows")
    return columns(rows)


def _figure(row: Any) -> tuple[str, Any]:
    if (row.metric, row.unit) in PUBLISHED:
        metric, scale = PUBLISHED[row.metric, row.unit]
        return metric, row.value * scale
    return (f"{row.metric}_frac", row.value * 0.01) if row.unit == "%" else (f"fact.{row.metric}", f"{row.value:g} {row.unit}")


def simulated(tell: Tell) -> dict[str, Any]:
    """Layers as other simulators see them: MAESTRO (ResNet-50 on 256 elements, AlexNet on 168) and SCALE-Sim (ResNet-18 on 32 x 32)."""
    frames = []
    for name, dataflow in {"Resnet50_kcp_ws.csv": "kcp_ws", "alexnet_rs_validation.csv": "row_stationary"}.items():
        found = table("accelerators", "peer_runs", name, skipinitialspace=True)
        found.columns = found.columns.str.strip()
        frames.append(pandas().DataFrame({
            "graph": found["Neural Network Name"].str.strip().str.lower() + "?layer=" + found["Layer Number"].str.strip().str.lower(),
            "device": "maestro-" + found.NumPEs.astype(str), "group": name, "mapping.dataflow": dataflow, "protocol.tool": "MAESTRO",
            "protocol.stage": "simulated", "cycles": scaled(found["Runtime (Cycles)"]),
            "energy_j": scaled(found["Activity count-based Energy (nJ)"], 1e-9), "flop": 2.0 * scaled(found["Num MACs"]),
            "fact.elements": found["Avg number of utilized PEs"], "fact.l1_b": found["L1 SRAM Size Req (Bytes)"],
            "fact.l2_b": found["L2 SRAM Size Req (Bytes)"],
        }))  # fmt: skip
    clocks = _scale_sim("COMPUTE", "Total Cycles")
    traffic = _scale_sim("BANDWIDTH", "LayerID")
    frames.append(pandas().DataFrame({
        "graph": spelt("resnet18", {"layer": clocks.LayerID}), "device": "scale-sim-32x32", "group": "scale-sim resnet18",
        "mapping.dataflow": "ws", "protocol.tool": "SCALE-Sim", "protocol.version": "3", "protocol.stage": "simulated",
        "cycles": scaled(clocks["Total Cycles (incl. prefetch)"]), "utilisation_frac": scaled(clocks["Compute Util %"], 0.01),
        **{f"fact.{c.strip().lower().replace(' ', '_')}": traffic[c] for c in traffic.columns if "BW" in c},
    }))  # fmt: skip
    tell(f"read {sum(map(len, frames))} layers")
    return joined(frames)


def _scale_sim(report: str, need: str) -> Any:
    found = table("accelerators", "peer_runs", f"scalesim3_resnet18_32x32ws_{report}_REPORT.csv", skipinitialspace=True)
    found.columns = found.columns.str.strip()
    return found[[c for c in found.columns if not c.startswith("Unnamed")]] if need in found.columns else found


def optical_precision(tell: Tell) -> dict[str, Any]:
    """Error of a simulated 4f convolution for each setting of its bits and its noise."""
    found = table("accelerators", "fft4f_precision.csv", need=("setting", "rel_rms_err", "eff_bits", "ms"))
    tell(f"read {len(found)} settings")
    return joined([pandas().DataFrame({
        "graph": "conv_4f", "device": "optical-bench", "mapping.setting": found.setting, "protocol.tool": "FFT",
        "protocol.stage": "simulated",
        "error_frac": scaled(found.rel_rms_err), "effective_bits_count": scaled(found.eff_bits),
        "fact.simulation_s": scaled(found.ms, 1e-3),
    })])  # fmt: skip


def sram(tell: Tell) -> dict[str, Any]:
    """Energy, time and leakage of SRAM by size, width and process, as CACTI computes them."""
    found = table("accelerators", "cacti_sram_table.csv", need=("tech_nm", "size_kB", "width_bits", "read_pJ", "write_pJ", "leak_mW"))
    tell(f"read {len(found)} memories")
    return joined([pandas().DataFrame({
        "graph": spelt("sram", {"bytes": found.size_kB * 1024, "width_bits": found.width_bits}),
        "device": "cmos-" + found.tech_nm.astype(str) + "nm",
        "protocol.tool": "CACTI", "protocol.stage": "simulated", "read_j": scaled(found.read_pJ, 1e-12),
        "write_j": scaled(found.write_pJ, 1e-12),
        "leakage_w": scaled(found.leak_mW, 1e-3), "access_s": scaled(found.access_ns, 1e-9), "cycle_s": scaled(found.cycle_ns, 1e-9),
        "fact.area_mm2": found.area_mm2,
    })])  # fmt: skip


def microcontrollers(tell: Tell) -> dict[str, Any]:
    """The four networks of MLPerf Tiny on boards: seconds an inference, and joules where energy was measured (in a run of its own)."""
    found = table("mcu", "mlperf_tiny_v1.1.csv", need=("submitter", "system", "task", "perf_inf_per_s", "energy_uJ_per_inf"))
    tell(f"read {len(found)} results")
    return joined([pandas().DataFrame({
        "graph": "mlperf_tiny:" + found.task, "device": found.system, "group": found.task, "protocol.tool": "MLPerf Tiny",
        "protocol.version": "1.1", "protocol.batch": 1, "protocol.division": found.division, "protocol.submitter": found.submitter,
        "latency_s": scaled(found.perf_inf_per_s, inverse=True), "energy_j": scaled(found.energy_uJ_per_inf, 1e-6),
        "power_w": scaled(found.power_uW, 1e-6), "energy_mode_hz": scaled(found.energy_mode_inf_per_s),
    })])  # fmt: skip
