"""Accuracy tables that anyone can rerun, and the intervals that come from them.

A suite is a function that returns columns of measured and predicted values with the device and the group of each row; the
prediction of a row comes from constants that were fitted without its device (or without its family of models).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.accuracy import COLUMNS, COUNTS, LEVEL, RELATIVE, SIMULATED, ErrorRow, cells, error_row
from hwsim.cost import Cost, Program
from hwsim.errors import DataMissing, UnknownName
from hwsim.estimate import Interval


@dataclass(frozen=True)
class Suite:
    """One validation."""

    name: str
    rows: str
    """`module:function`; called without arguments, returns columns `device`, `group`, `measured_*`, `predicted_*`, if any `roofline_*`."""
    unit: str
    summary: str
    fit: str | None = None
    """Name of the function in the module of `rows` that fits and writes the constants anew."""
    columns: tuple[str, ...] = RELATIVE
    """Statistics that its tables show; none: the text stands alone."""
    text: str | None = None
    """`module:function` that returns Markdown to follow the tables."""

    @property
    def title(self) -> str:
        """What the tables hold."""
        return "Agreement with tool reports" if self.columns is COUNTS else "Absolute percentage error"


SUITES = {
    s.name: s
    for s in (
        Suite("gpu-gemm", "hwsim.targets.gpu.calibrate.gemm:validation_rows", "s", "matrix products, each GPU left out in turn", "write"),
        Suite(
            "gpu-attention",
            "hwsim.targets.gpu.calibrate.attention:validation_rows",
            "s",
            "attention kernels, each GPU left out in turn",
            "write",
        ),
        Suite("gpu-conv", "hwsim.targets.gpu.calibrate.conv:validation_rows", "s", "convolutions, each GPU left out in turn", "write"),
        Suite(
            "gpu-elementwise",
            "hwsim.targets.gpu.calibrate.streaming:validation_rows",
            "s",
            "element-wise, softmax and norm kernels, each GPU left out in turn",
            "write",
        ),
        Suite(
            "gpu-networks-devices",
            "hwsim.targets.gpu.calibrate.networks:device_rows",
            "s",
            "whole networks, each GPU left out in turn",
        ),
        Suite(
            "gpu-networks",
            "hwsim.targets.gpu.calibrate.networks:validation_rows",
            "s",
            "whole networks, each family of architectures left out in turn",
            "write",
        ),
        Suite(
            "gpu-power",
            "hwsim.targets.gpu.calibrate.power:validation_rows",
            "W",
            "mean power of matrix products, each GPU left out",
            "write",
        ),
        Suite(
            "surrogate-gpu-operators",
            "hwsim.surrogates.training.operator_suite:validation_rows",
            "",
            "boosted trees over the closed forms of GPU operators, on layers, shapes and devices left out (time in s, power in W)",
            text="hwsim.surrogates.training.operator_suite:text",
        ),
        Suite(
            "surrogate-gpu-networks",
            "hwsim.surrogates.training.network_suite:validation_rows",
            "s",
            "additive surrogates of whole networks, families of architectures left out in eight parts",
            text="hwsim.surrogates.training.network_suite:text",
        ),
        Suite(
            "surrogate-gpu-power",
            "hwsim.surrogates.training.power_suite:validation_rows",
            "W",
            "boosted trees over the closed form of the mean power of matrix products, on layers, shapes and the GPU left out",
            text="hwsim.surrogates.training.power_suite:text",
        ),
        Suite(
            "neuro-spikingformer",
            "hwsim.datasets.spiking_counts:spikingformer_rows",
            "J",
            "operation-count energy of Spikingformer-8-512, layer by layer, against the authors' log",
        ),
        Suite(
            "neuro-keywords",
            "hwsim.targets.neuromorphic.calibrate.keywords:validation_rows",
            "",
            "energy and time of keyword spotters on a Loihi board, every second size left out of the fit of host and firing rate",
        ),
        Suite(
            "neuro-map",
            "hwsim.targets.neuromorphic.calibrate.partition:validation_rows",
            "cores",
            "cores by layer against partitions that the compiler of Loihi 2 prints, the rule found on the same networks",
            text="hwsim.targets.neuromorphic.calibrate.partition:layers",
        ),
        Suite(
            "neuro-pilotnet",
            "hwsim.targets.neuromorphic.calibrate.pilotnet:validation_rows",
            "",
            "time and energy of PilotNet on Loihi 2 boards, every run left out of a fit on the others",
            text="hwsim.targets.neuromorphic.calibrate.pilotnet:errors",
        ),
        Suite(
            "neuro-dvs",
            "hwsim.datasets.sanafe.dvs:validation_rows",
            "",
            "energy by part and simple time of a DVS-gesture network on Loihi, from statistics of its layers, against SANA-FE's run",
        ),
        Suite(
            "neuro-sanafe",
            "hwsim.datasets.sanafe.compare:validation_rows",
            "",
            "energy of events by part and simple time of 20 random networks on Loihi, against SANA-FE run live",
            text="hwsim.datasets.sanafe.compare:detail",
        ),
        Suite(
            "neuro-ecoformer",
            "hwsim.datasets.spiking_counts:ecoformer_rows",
            "J",
            "operation-count energy of EcoFormer's table",
        ),
        Suite(
            "optical-precision",
            "hwsim.optics.precision:validation_rows",
            "",
            "relative rms error of a simulated 4f bench against a table of single sources of error",
            columns=SIMULATED,
        ),
        Suite(
            "optical-error-model",
            "hwsim.optics.fit:validation_rows",
            "",
            "relative rms error of random 4f benches by the closed form, against simulations that the fit did not see",
            "write",
            SIMULATED,
        ),
        Suite(
            "neuro-spike-driven",
            "hwsim.datasets.spiking_counts:spike_driven_rows",
            "",
            "parameters and operations of Spike-driven Transformer V1 in five sizes",
        ),
        Suite("neuro-meta", "hwsim.datasets.spiking_counts:meta_rows", "", "operations of Meta-SpikeFormer in three sizes, layer by layer"),
        Suite(
            "neuro-published",
            "hwsim.datasets.spiking_published:published_rows",
            "J",
            "published energies by the zoo's networks at the default firing rate, and the rate that each implies",
            text="hwsim.datasets.spiking_published:published_detail",
        ),
        Suite(
            "optical-fatnet",
            "hwsim.targets.optical.published:fatnet_rows",
            "",
            "FatNet's published times and the published ratios of operations, from our graphs under the published assumptions",
            text="hwsim.targets.optical.published:fatnet_text",
        ),
        Suite(
            "optical-charged",
            "hwsim.targets.optical.published:charged_rows",
            "s",
            "what becomes of FatNet's published times with conversion, readout and electronics charged, and GPUs beside them",
            columns=(),
            text="hwsim.targets.optical.published:charged_text",
        ),
        Suite(
            "surrogate-fpga-depth",
            "hwsim.surrogates.training.depth_suite:validation_rows",
            "",
            "how surrogates of circuits that were trained on one and two dense layers answer for three to twenty",
            columns=(),
            text="hwsim.surrogates.training.depth_suite:text",
        ),
        Suite(
            "surrogate-few-shot",
            "hwsim.surrogates.training.few_shot:validation_rows",
            "s",
            "networks of two search spaces on devices of which ten measurements are given, learned from nine others",
            "write",
            columns=(),
            text="hwsim.surrogates.training.few_shot:text",
        ),
        Suite(
            "surrogate-few-rows",
            "hwsim.surrogates.training.few_rows_suite:validation_rows",
            "s",
            "image networks of families that were not measured, from ten to a hundred measurements of a board",
            columns=(),
            text="hwsim.surrogates.training.few_rows_suite:text",
        ),
        Suite(
            "surrogate-mobile",
            "hwsim.surrogates.training.mobile_suite:validation_rows",
            "s",
            "networks on NPUs of phones, laptops, cars and edge boards, each network left out; roofline: the closed form",
            text="hwsim.surrogates.training.mobile_suite:text",
        ),
        Suite(
            "npu-networks",
            "hwsim.surrogates.training.mobile_suite:closed_form_rows",
            "s",
            "closed form of networks on NPUs, each network left out of the fit",
            "write",
        ),
        Suite(
            "surrogate-tuning",
            "hwsim.surrogates.training.tuning_suite:validation_rows",
            "s",
            "image networks on boards that training did not see, tuned by ten networks measured there; roofline: the closed form",
            text="hwsim.surrogates.training.tuning_suite:text",
        ),
        Suite(
            "surrogate-fidelity",
            "hwsim.surrogates.training.fidelity_suite:validation_rows",
            "",
            "two dense layers after logic synthesis, from thirty labels and many of C synthesis; roofline: the closed form of C synthesis",
            text="hwsim.surrogates.training.fidelity_suite:text",
        ),
        *(
            Suite(
                f"surrogate-fpga-{name}",
                f"hwsim.surrogates.training.{module}:{function}_rows",
                "",
                summary,
                columns=(),
                text=f"hwsim.surrogates.training.{module}:{function}_text",
            )
            for name, module, function, summary in (
                ("dense1", "fpga_suite", "dense1", "surrogates of single dense layers, C synthesis, each architecture left out"),
                ("dense2", "fpga_suite", "dense2", "surrogates of two dense layers, logic synthesis, each architecture left out"),
                ("feasibility", "fpga_feasibility", "feasibility", "whether the HLS tool gets through a layer, each architecture left out"),
                ("real", "fpga_real", "real", "surrogates of networks that somebody deployed, each kind of design left out"),
            )
        ),
        *(
            Suite(f"fpga-{name}", f"hwsim.targets.fpga.calibrate.{rows}", "", summary, fit, COUNTS)
            for name, rows, summary, fit in (
                ("dense-csynth", "suites:dense_csynth", "single dense layers, C synthesis, each architecture left out", "write_csynth"),
                ("dense-vsynth", "suites:dense_vsynth", "two dense layers, logic synthesis, each architecture left out", "write_synthesis"),
                ("mlp-csynth", "suites:mlp_csynth", "trained MLPs, latency strategy, C synthesis, each network left out", None),
                ("cnn-csynth", "suites:cnn_csynth", "streaming CNNs, C synthesis, each network left out", None),
                ("cnn-vsynth", "suites:cnn_vsynth", "streaming CNNs, logic synthesis, each network left out", None),
                ("ci-csynth", "suites:ci_csynth", "hls4ml's own test networks, C synthesis, each kind left out", None),
                ("jet-routed", "suites:jet_routed", "jet taggers after place and route, each number format left out", None),
                ("yosys", "yosys:validation_rows", "our own circuits through Yosys and Verilator, each shape left out", "write"),
                ("energy", "boards:energy_rows", "energy an inference on boards, each network left out", None),
            )
        ),
    )
}


def suite(name: str) -> Suite:
    """The suite called `name`.

    Raises:
        UnknownName: there is none.
    """
    try:
        return SUITES[name]
    except KeyError:
        raise UnknownName("validation", name, SUITES) from None


@dataclass(frozen=True)
class Report:
    """Result of one suite."""

    suite: Suite
    overall: ErrorRow | None
    """None where rows count different things."""
    by_device: tuple[ErrorRow, ...]
    by_group: tuple[ErrorRow, ...]
    by_both: tuple[ErrorRow, ...]


def report(chosen: Suite, columns: Mapping[str, Any]) -> Report:
    """Error tables of one suite's rows, overall, by device, by group and by both."""
    device, group = (np.asarray(columns[c]).astype(str) for c in ("device", "group"))
    values = [_values(columns, key) for key in ("measured", "predicted")]
    values.append(_values(columns, "roofline") if any(c.startswith("roofline") for c in columns) else np.full_like(values[0], np.nan))
    both = np.char.add(np.char.add(device, " / "), group)

    def tables(keys: np.ndarray) -> tuple[ErrorRow, ...]:
        return tuple(error_row(str(k), *(v[keys == k] for v in values)) for k in np.unique(keys))

    if chosen.columns is COUNTS:
        return Report(chosen, None, (), tables(group) if len(np.unique(device)) > 1 else (), tables(both))
    return Report(chosen, error_row("all", *values), tables(device), tables(group), tables(both))


def _values(columns: Mapping[str, Any], key: str) -> np.ndarray:
    name = next(c for c in columns if c.startswith(key))
    return np.asarray(columns[name], dtype=float)


def run(
    names: Sequence[str] = (), *, write: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> tuple[list[Report], list[str]]:
    """Recompute the error tables; returns the reports and a line for each suite that was skipped.

    Args:
        names: suites, all of them by default.
        write: folder for one Markdown table a suite; the intervals that estimates show are written beside the constants.
        tell: called with a line when a suite starts.
    """
    reports, skipped = [], []
    for chosen in [suite(n) for n in names] or SUITES.values():
        tell(f"{chosen.name}: {chosen.summary}")
        try:
            reports.append(report(chosen, _call(chosen.rows)))
        except DataMissing as error:
            skipped.append(f"{chosen.name}: {error}")
    if write is not None:
        for item in reports:
            write.mkdir(parents=True, exist_ok=True)
            (write / f"{item.suite.name}.md").write_text(markdown(item), encoding="utf-8")
        write_intervals(reports)
    return reports, skipped


def _call(reference: str) -> Any:
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)()


def calibrate(family: str, *, tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """Fit the constants of a family anew and write them to the shelf; returns a line for each suite.

    Raises:
        UnknownName: no suite belongs to the family.
        DataMissing: the measurements are absent.
    """
    chosen = [s for s in SUITES.values() if s.fit and s.name.startswith(f"{family}-")]
    if not chosen:
        raise UnknownName("family with a calibration", family, {s.name.split("-")[0] for s in SUITES.values() if s.fit})
    lines = []
    for item in chosen:
        tell(f"fitting {item.name}")
        _call(f"{item.rows.partition(':')[0]}:{item.fit}")
        lines.append(f"{item.name}: constants written")
    return lines


def markdown(item: Report) -> str:
    """The table of one suite for docs/accuracy."""
    if not item.suite.columns:
        return f"# {item.suite.name}\n\nShows {item.suite.summary}. Rerun: `hwsim validate {item.suite.name}`.\n\n{text_of(item.suite)}"
    titles = [COLUMNS[c][0] for c in item.suite.columns]
    head = f"| | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}"
    lines = [
        f"# {item.suite.name}",
        "",
        f"{item.suite.title} of {item.suite.summary}. Rerun: `hwsim validate {item.suite.name}`.",
        "",
        head,
    ]
    for rows in filter(None, ([item.overall] if item.overall else (), item.by_device, item.by_group, item.by_both)):
        lines += [f"| {row.group} | {' | '.join(cells(row, item.suite.columns))} |" for row in rows]
        lines.append(f"| |{' |' * len(titles)}")
    return "\n".join(lines[:-1]) + "\n" + (f"\n{text}" if (text := text_of(item.suite)) else "")


def text_of(chosen: Suite) -> str:
    """The Markdown that follows the tables of a suite; empty where there is none."""
    return _call(chosen.text) if chosen.text else ""


def write_intervals(reports: Iterable[Report]) -> None:
    """Keep the conformal ranges of measured over predicted, for the intervals of estimates; a file a family."""
    for item in reports:
        if item.suite.columns:
            _write_domains(item.suite.name, _domains(item))


def _domains(item: Report) -> dict[str, Any]:
    rows = {item.suite.name: item.overall} if item.overall else {}
    rows |= {f"{item.suite.name}/{row.group}": row for row in (*item.by_group, *(item.by_both if item.overall is None else ()))}
    return {
        key: {
            "n": row.n,
            "median_ape": round(row.median / 100, 4),
            "low_ratio": round(row.low_ratio, 4),
            "high_ratio": round(row.high_ratio, 4),
        }
        for key, row in rows.items()
        if row is not None and np.isfinite(row.low_ratio + row.high_ratio)
    }


def _write_domains(suite_name: str, found: Mapping[str, Any]) -> None:
    import yaml

    from hwsim import plugins, shelf

    family = suite_name.partition("-")[0]
    if family not in plugins.available("hwsim.targets") or not hasattr(plugins.load("hwsim.targets", family), "validation_domains"):
        return
    path = shelf.checkout("targets") / family / "fitted" / "validation.yaml"
    path.parent.mkdir(exist_ok=True)
    domains = yaml.safe_load(path.read_text(encoding="utf-8"))["domains"] if path.exists() else {}
    kept = {key: entry for key, entry in domains.items() if key.partition("/")[0] != suite_name}
    note = "# Written by `hwsim validate --write`: conformal ranges of measured over predicted on rows that the fit did not see.\n"
    content = yaml.safe_dump({"level": LEVEL, "domains": {**kept, **found}}, sort_keys=True)
    path.write_text(note + content, encoding="utf-8")


def intervals(program: Program, cost: Cost, *, device: Any, mapping: Any, method: str) -> dict[str, Interval]:
    """Calibrated ranges of an estimate by metric (`latency`, `energy`, names of resources), from the domains that the target names."""
    from hwsim import plugins, shelf

    family = plugins.load("hwsim.targets", program.family)
    domains_of = getattr(family, "validation_domains", None)
    if domains_of is None or method != "closed-form":
        return {}
    table = shelf.validation(program.family)
    values = {"latency": cost.latency_s, "energy": cost.energy_j.total, **{n: r.used for n, r in cost.resources.items()}}
    domains = domains_of(program, cost, device=device, mapping=mapping)
    return {metric: _interval(table[domain], domain, float(values[metric])) for metric, domain in domains.items() if domain in table}


def _interval(entry: Mapping[str, Any], domain: str, value: float) -> Interval:
    return Interval(value * entry["low_ratio"], value * entry["high_ratio"], LEVEL, domain, entry["median_ape"])
