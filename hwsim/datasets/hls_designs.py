"""Published hls4ml designs with what the tools reported: networks, configurations, totals and modules.

Sources: wa-hls4ml search sets (one and two dense layers), ArgyKokk/hls4ml_MLP_estimator, Keb-L/hls4ml-data, the hls4ml tutorial,
hls4ml's own continuous integration, uw-acme/HLS4ML_VS_MANUAL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from hwsim.datasets.locate import data_path, pandas
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, linear

NAMES = {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "BRAM_18K": "BRAM18", "latency_max": "cycles", "ii_max": "interval_cycles"}
"""Columns of modules and designs, and what they are called here."""


@dataclass(frozen=True)
class Design:
    """One synthesised design."""

    source: str
    name: str
    group: str
    """What is left out together: an architecture, a network."""
    graph: Graph
    options: Mapping[str, Any]
    """Mapping options of the FPGA family."""
    totals: Mapping[str, float]
    """LUT, FF, DSP, BRAM18, cycles, cycles_min, interval_cycles, as far as reported."""
    stage: str = "csynth"
    modules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Totals of single layers by name."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def _read(name: str) -> Any:
    return pandas().read_csv(data_path("fpga", name))


def _config(precision: Mapping[str, str], reuse: int, strategy: str, layers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    model = {"Precision": dict(precision), "ReuseFactor": int(reuse), "Strategy": strategy}
    return {"Model": model, **({"LayerName": dict(layers)} if layers else {})}


def _mlp(name: str, sizes: Sequence[int]) -> Graph:
    b = GraphBuilder(name)
    x = b.input("x", (1, sizes[0]))
    for i, width in enumerate(sizes[1:], start=1):
        x = linear(b, x, width, path=f"fc{i}")
    return b.finish([x])


def dense1(strategy: str = "resource") -> tuple[list[Design], Any]:
    """One dense layer, csynth: the designs that were synthesised, and all attempts as a table (for feasibility)."""
    table = _read(f"wa_hls4ml_dense1_{strategy}_csynth.csv")
    graphs = {(i, o): _mlp(f"dense_{i}_{o}", (i, o)) for i, o in sorted(set(zip(table.d_in, table.d_out, strict=True)))}
    found = []
    for row in table[table.hls_synth_success].itertuples():
        weights = f"ap_fixed<{row.prec},1>"
        config = _config({"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}, row.rf, strategy)
        totals = {
            "LUT": row.LUT_hls,
            "FF": row.FF_hls,
            "DSP": row.DSP_hls,
            "BRAM18": row.BRAM_18K_hls,
            "cycles": row.BestLatency_hls,
            "interval_cycles": row.IntervalMin_hls,
        }
        shape = f"{row.d_in}x{row.d_out}"
        found.append(Design("dense1", row.model_name, shape, graphs[row.d_in, row.d_out], {"hls_config": config}, totals))
    return found, table


def dense2() -> list[Design]:
    """Two dense layers after logic synthesis."""
    found = []
    for row in _read("wa_hls4ml_dense2_resource_vsynth_sample.csv").itertuples():
        sizes = [int(n) for n in row.arch.split("-")]
        weights = f"ap_fixed<{row.precision_bits},1>"
        config = _config({"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}, row.reuse_factor, "resource")
        totals = {"LUT": row.LUT, "FF": row.FF, "DSP": row.DSP, "BRAM18": 2 * row.BRAM_tile36, "cycles": row.latency_min_cycles}
        facts = {"reuse": [int(r) for r in row.derived_reuse_eff.split("|")], "bits": row.precision_bits}
        found.append(Design("dense2", row.arch, row.arch, _mlp(row.arch, sizes), {"hls_config": config}, totals, "vsynth", facts=facts))
    return found


TIGHT = ("CARDIO", "jet_tagging")
"""Networks of argykokk whose estimated clocks keep 27 % of the period free; those of the others exceed that, so they keep 12.5 %."""


def argykokk() -> list[Design]:
    """Four trained MLPs under the latency strategy, each with modules; rows marked suspect are left out."""
    designs, modules = _read("argykokk_mlp_designs.csv"), _read("argykokk_mlp_layers.csv")
    found = []
    for row in designs[designs.suspect.isna()].itertuples():
        part = modules[(modules.network == row.network) & (modules.config == row.config)]
        found.append(_argykokk(row, part))
    return found


def _argykokk(row: Any, part: Any) -> Design:
    sizes = [int(n) for n in row.arch.split("-")]
    weights, accums = row.weight_precision.split("|"), row.accum_precision.split("|")
    b = GraphBuilder(row.network)
    x, layers, names, zeros = b.input("x", (1, sizes[0])), {}, {}, {}
    dense = {(int(m.n_in), int(m.n_out)): m for m in part[part.kind == "dense_latency"].itertuples()}
    others = {kind: list(part[part.kind == kind].itertuples()) for kind in ("relu", "softmax_stable")}
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        x = linear(b, x, n_out, path=f"fc{i}")
        module = dense[n_in, n_out]
        names[f"fc{i}"], zeros[f"fc{i}.weight"] = module, module.n_zeros / (module.n_zeros + module.n_nonzeros)
        precision = {"weight": weights[i], "bias": weights[i], "accum": accums[i], "result": accums[i]}
        layers[f"fc{i}"] = {"Precision": precision, "ReuseFactor": min(int(row.reuse_factor), n_in * n_out)}
        last = i == len(weights) - 1
        x = b.add("softmax", [x], path="softmax") if last else act(b, x, "relu", path=f"relu{i}")
        if last:
            names["softmax"] = others["softmax_stable"][0]
        else:
            layers[f"relu{i}"] = {"Precision": {"result": "ap_ufixed<8,0,AP_RND_CONV,AP_SAT>"}}
            names[f"relu{i}"] = next(m for m in others["relu"] if int(m.n_in) == n_out)
    graph = b.finish([x])
    tensors = {n: replace(t, density=1 - zeros[n]) if n in zeros else t for n, t in graph.tensors.items()}
    config = _config({"default": accums[0]}, row.reuse_factor, "latency", layers)
    config["LayerName"]["x"] = {"Precision": {"result": row.input_precision}}
    options = {
        "hls_config": config,
        "backend": "Vitis",
        "clock_uncertainty_frac": 0.27 if row.network in TIGHT else 0.125,
        "multiplier": "dsp" if row.mul_impl == "dsp" else "fabric",
    }
    facts = {"hls_s": row.hls_elapsed_s, "part": row.part, "multiplier": row.mul_impl}
    return Design(
        "argykokk",
        f"{row.network}/{row.config}",
        row.network,
        graph.replace(tensors=tensors),
        options,
        _totals(row),
        modules={n: _totals(m) for n, m in names.items()},
        facts=facts,
    )


def _totals(row: Any) -> dict[str, float]:
    """The reported columns of a row under our names, gaps left out."""
    found = {ours: getattr(row, theirs, None) for theirs, ours in NAMES.items()}
    numbers = {k: float(v) for k, v in found.items() if v is not None and str(v).replace(".", "", 1).isdigit()}
    if "BRAM18" not in numbers and isinstance(getattr(row, "BRAM_tile36", None), float) and row.BRAM_tile36 == row.BRAM_tile36:
        numbers["BRAM18"] = 2 * row.BRAM_tile36
    return numbers


def routed() -> list[Design]:
    """The jet tagger 16-64-32-32-5 of uw-acme placed and routed over number formats; hand-made versions are left out."""
    table = _read("uwacme_jettag_bn_postroute.csv")
    graph = _jet_tagger()
    found = []
    for row in table[table.impl == "hls4ml"].itertuples():
        config = _config({"default": f"ap_fixed<{row.total_bits},{row.int_bits}>"}, 1, "latency")
        totals = _totals(row) | ({} if row.latency_cycles != row.latency_cycles else {"cycles": row.latency_cycles})
        facts = {"bits": row.total_bits, "slack_s": row.WNS_ns * 1e-9}
        found.append(Design("routed", row.run, f"{row.total_bits} bits", graph, {"hls_config": config}, totals, "routed", facts=facts))
    return found


def _jet_tagger() -> Graph:
    from hwsim.zoo.mlp import mlp

    return mlp(name="jet_tagger")


_LAYER = re.compile(r"(?:^|_)config(\d+)(?:_|$)")


def layer_number(module: str) -> int | None:
    """hls4ml's number of the layer that a module belongs to.

    >>> layer_number("conv_2d_cl_array_array_ap_fixed_32u_config7_s"), layer_number("Block_proc")
    (7, None)
    """
    match = _LAYER.search(module)
    return int(match[1]) if match else None
