"""Rows of the FPGA accuracy tables: every row predicted by constants that did not see its network or architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.datasets.hls_cnn_designs import continuous_integration, kebl, tutorial
from hwsim.datasets.hls_designs import Design, argykokk, dense1, dense2, routed
from hwsim.targets.fpga.calibrate import csynth, synthesis
from hwsim.targets.fpga.calibrate.csynth import Row, designs, fit, rows_of
from hwsim.targets.fpga.calibrate.fitting import folds
from hwsim.targets.fpga.cost import program_cost
from hwsim.targets.fpga.feasibility import synthesises
from hwsim.targets.fpga.lower import lower
from hwsim.targets.fpga.mapping import FpgaMapping

Records = list[tuple[str, str, float, float]]
"""(source, metric, measured, predicted) of every row."""
Constants = Mapping[str, float]
METRICS = ("cycles", "interval_cycles", "DSP", "BRAM18", "LUT", "FF")


@cache
def _labelled() -> tuple[tuple[Design, tuple[Row, ...]], ...]:
    """All csynth designs with the features of their measured instances."""
    return tuple((d, tuple(rows_of(d))) for d in designs())


def without(group: Callable[[str], bool]) -> dict[str, float]:
    """csynth constants from the designs whose group is not left out."""
    kept = [(d, rows) for d, rows in _labelled() if not group(d.group)]
    return fit([row for _, rows in kept for row in rows], [d for d, _ in kept if "fifo" in d.facts])


def predicted(design: Design, constants: Constants) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Totals and modules by metric of a design."""
    mapping = FpgaMapping.of(**design.options)
    program = lower(design.graph, mapping)
    cost = program_cost(program, device=synthesis.ANY, mapping=mapping, constants=constants)
    totals = {m: float(r.used) for m, r in cost.resources.items()}
    totals |= {"cycles": float(cost.extra["latency_cycles"]), "interval_cycles": float(cost.extra["interval_cycles"])}
    columns = {**cost.row_resources, "cycles": cost.row_extra["cycles"], "interval_cycles": cost.row_extra["interval_cycles"]}
    return totals, {k.name: {m: float(v[k.row]) for m, v in columns.items()} for k in program.kernels}


def _whole(chosen: Iterable[Design], constants_of: Callable[[Design], Constants], source: Callable[[Design], str]) -> Records:
    """Totals of designs."""
    records: Records = []
    for design in chosen:
        totals, _ = predicted(design, constants_of(design))
        records += [(source(design), m, design.totals[m], totals[m]) for m in METRICS if m in design.totals]
    return records


def columns(records: Records) -> dict[str, Any]:
    """Columns for the accuracy tables."""
    device, group, measured, found = (np.array(c) for c in zip(*records, strict=True))
    return {"device": device, "group": group, "measured": measured.astype(float), "predicted": found.astype(float)}


@cache
def _fold_constants(source: str, count: int = 5) -> tuple[tuple[frozenset[str], Constants], ...]:
    """(groups left out, constants of the others) of every fold over the groups of a source."""
    groups = sorted({d.group for d, _ in _labelled() if d.source == source})
    result = []
    for out in folds(groups, count):
        left = frozenset(np.array(groups)[out])
        result.append((left, without(left.__contains__)))
    return tuple(result)


def _constants_of(source: str, count: int = 5) -> Callable[[Design], Constants]:
    parts = _fold_constants(source, count)
    return lambda design: next(c for left, c in parts if design.group in left)


def dense_csynth() -> dict[str, Any]:
    """One dense layer, resource strategy, architectures left out; feasibility over all attempts and both strategies."""
    chosen, _ = dense1("resource")
    records = _whole(chosen, _constants_of("dense1"), lambda d: "resource")
    records += _wide_dsp(chosen)
    for strategy in ("resource", "latency"):
        records += _feasible(strategy)
    return columns(records)


def _wide_dsp(chosen: Sequence[Design]) -> Records:
    """DSP of designs with weights of 8 bits and more."""
    wide = [d for d in chosen if int(d.name.rpartition("_")[2][:-1]) >= 8]
    return [(s, "DSP, 8 bits and more", y, p) for s, m, y, p in _whole(wide, lambda _: csynth.FIXED, lambda d: "resource") if m == "DSP"]


def _feasible(strategy: str) -> Records:
    """Whether an attempt was synthesised, measured and predicted."""
    _, table = dense1(strategy)
    attempts = lower_attempts(table, strategy)
    return [(strategy, "synthesises", float(y), float(p)) for y, p in zip(table.hls_synth_success, attempts, strict=True)]


def lower_attempts(table: Any, strategy: str) -> np.ndarray:
    """Predicted feasibility of every row of a table of attempts."""
    from types import SimpleNamespace

    found = SimpleNamespace(
        n_in=table.d_in.to_numpy(float), n_out=table.d_out.to_numpy(float), strategy=np.full(len(table), int(strategy == "resource"))
    )
    return synthesises(found, table.rf.to_numpy(float))  # type: ignore[arg-type]


def dense_vsynth() -> dict[str, Any]:
    """Two dense layers after logic synthesis, architectures left out."""
    chosen = dense2()
    parts = []
    for out in folds([d.group for d in chosen], 5):
        own = synthesis.fit_dense([d for d, o in zip(chosen, out, strict=True) if not o])
        parts.append((frozenset(d.group for d, o in zip(chosen, out, strict=True) if o), {**synthesis.FIXED, **own}))
    records = _whole(chosen, lambda d: next(c for left, c in parts if d.group in left), lambda d: "two layers")
    wide = [d for d in chosen if d.facts["bits"] >= 8]
    records += [
        (s, "DSP, 8 bits and more", y, p) for s, m, y, p in _whole(wide, lambda _: synthesis.FIXED, lambda d: "two layers") if m == "DSP"
    ]
    return columns(records)


def mlp_csynth() -> dict[str, Any]:
    """Modules and totals of trained MLPs under the latency strategy, networks left out."""
    constants_of = _constants_of("argykokk", 4)
    records: Records = []
    for design in argykokk():
        totals, modules = predicted(design, constants_of(design))
        for name, labels in design.modules.items():
            kind = "dense module" if name.startswith("fc") else "other module"
            records += [(kind, m, labels[m], modules[name][m]) for m in METRICS if m in labels]
        records += [("whole design", m, design.totals[m], totals[m]) for m in METRICS if m in design.totals]
    return columns(records)


def cnn_csynth() -> dict[str, Any]:
    """Streaming CNNs, C synthesis, networks left out."""
    chosen = [d for d in (*kebl(), *tutorial()) if d.stage == "csynth"]
    cached = {group: without(group.__eq__) for group in sorted({d.group for d in chosen})}
    return columns(_whole(chosen, lambda d: cached[d.group], lambda d: d.source))


def cnn_vsynth() -> dict[str, Any]:
    """Streaming CNNs after logic synthesis, networks left out of both fits."""
    chosen = [d for d in (*kebl(), *tutorial()) if d.stage == "vsynth"]
    records: Records = []
    for group in sorted({d.group for d in chosen}):
        base, own = without(group.__eq__), [d for d in chosen if d.group == group]
        scales = synthesis.fit_scales([d for d in chosen if d.group != group], base)
        for metric in csynth.METRICS:
            found = synthesis.predict_scaled(own, base, scales, metric)
            records += [(d.source, metric, d.totals[metric], float(p)) for d, p in zip(own, found, strict=True)]
        others = _whole(own, lambda _, c=base: {**c, **synthesis.FIXED}, lambda d: d.source)
        records += [r for r in others if r[1] in ("DSP", "BRAM18")]
    return columns(records)


def ci_csynth() -> dict[str, Any]:
    """Networks of one or two layers of hls4ml's own tests; each kind left out of the fit."""
    chosen, _ = continuous_integration()
    constants = {g: without(("ci/" + g).__eq__) for g in sorted({d.group for d in chosen})}
    return columns(_whole(chosen, lambda d: constants[d.group], lambda d: d.options["backend"]))


def jet_routed() -> dict[str, Any]:
    """The jet tagger over number formats after place and route, each format left out."""
    chosen, base = routed(), without(lambda _: False)
    records: Records = []
    for design in chosen:
        scales = synthesis.fit_routed([d for d in chosen if d.group != design.group], base)
        for metric in (*csynth.METRICS, "DSP"):
            value = synthesis.csynth_total(design, base, metric) * scales[f"scale.{metric.lower()}"]
            records.append(("routed", metric, design.totals[metric], value))
        path = scales["path.base_ns"] + scales["path.bit_ns"] * design.facts["bits"]
        records.append(("routed", "critical path, ns", 5.0 - design.facts["slack_s"] * 1e9, path))
        records += [r for r in _whole([design], lambda _: base, lambda d: "routed") if r[1] in ("BRAM18", "cycles")]
    return columns(records)


def write_csynth() -> None:
    """Fit the csynth constants on everything and write them to the shelf."""
    values = without(lambda _: False)
    text = "published csynth reports: wa-hls4ml search sets (Apache-2.0), ArgyKokk, Keb-L, the hls4ml tutorial and hls4ml's tests"
    _write("csynth", values, fixed=csynth.FIXED, source=text)


def write_synthesis() -> None:
    """Fit what follows C synthesis and write it to the shelf."""
    base = without(lambda _: False)
    later = [d for d in (*kebl(), *tutorial()) if d.stage == "vsynth"]
    own = {**synthesis.fit_dense(dense2()), **synthesis.fit_scales(later, base)}
    own |= {"scale.latency_vitis.lut": synthesis.SMALL_MLP_LUT, "scale.latency_vivado.lut": synthesis.SMALL_MLP_LUT}
    _write(
        "vsynth",
        {**own, **synthesis.FIXED},
        fixed=synthesis.FIXED,
        source="published designs after logic synthesis: wa-hls4ml, Keb-L, the tutorial",
    )
    values = {**synthesis.fit_routed(routed(), base), **synthesis.FIXED}
    _write("routed", values, fixed=synthesis.FIXED, source="routed jet taggers of uw-acme over number formats")


def _write(stage: str, values: Constants, *, fixed: Constants, source: str) -> None:
    import yaml

    def described(name: str) -> dict[str, str]:
        if name in csynth.ASSUMED:
            return {"source": "da", "status": "assumed"}
        return {"source": "read", "status": "published"} if name in fixed else {"source": "fit", "status": "fitted"}

    constants = {name: {"value": float(f"{value:.5g}"), **described(name)} for name, value in sorted(values.items())}
    sources = {
        "fit": f"non-negative least relative error on {source}",
        "read": "read off the reports, see hwsim/targets/fpga/calibrate",
        "da": "an adder of the input's width a signed digit, less the 30 % that da4ml reports to save; no report of a vendor's tool",
    }
    used = {d["source"] for d in constants.values()}
    content = {"name": stage, "sources": {k: v for k, v in sources.items() if k in used}, "constants": constants}
    path = shelf.checkout("targets") / "fpga" / "fitted" / f"{stage}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "# Written by `hwsim calibrate fpga`; do not edit.\n" + yaml.safe_dump(content, sort_keys=False, width=160), encoding="utf-8"
    )
