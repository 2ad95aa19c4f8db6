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

from hwsim.cost import Cost, Program
from hwsim.errors import DataMissing, UnknownName
from hwsim.estimate import NOT_VALIDATED, Interval

LEVEL = 0.9
"""Share of the validation rows that an interval covers."""


@dataclass(frozen=True)
class Suite:
    """One validation."""

    name: str
    rows: str
    """`module:function`; called without arguments, returns columns `device`, `group`, `measured_s`, `predicted_s`, `roofline_s`."""
    unit: str
    summary: str
    fit: str | None = None
    """`module:function` that fits and writes the constants anew."""


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
class ErrorRow:
    """Error of the rows of one group; percentages."""

    group: str
    n: int
    median: float
    mean: float
    p90: float
    bias: float
    """Median of predicted over measured, minus one."""
    spearman: float
    roofline_median: float
    roofline_mean: float
    low_ratio: float
    """Quantile of measured over predicted below the middle 90 %."""
    high_ratio: float


def error_row(group: str, measured: np.ndarray, predicted: np.ndarray, roofline: np.ndarray) -> ErrorRow:
    """Error statistics of one group; columns of shape `(rows,)`, in one unit."""
    from scipy.stats import spearmanr

    error, plain = (100 * np.abs(p / measured - 1) for p in (predicted, roofline))
    low, high = np.quantile(measured / predicted, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    varied = len(measured) > 2 and np.ptp(measured) > 0 and np.ptp(predicted) > 0
    return ErrorRow(
        group,
        len(measured),
        float(np.median(error)),
        float(np.mean(error)),
        float(np.quantile(error, 0.9)),
        float(100 * (np.median(predicted / measured) - 1)),
        float(np.asarray(spearmanr(measured, predicted))[0]) if varied else float("nan"),
        float(np.median(plain)),
        float(np.mean(plain)),
        float(low),
        float(high),
    )


@dataclass(frozen=True)
class Report:
    """Result of one suite."""

    suite: Suite
    overall: ErrorRow
    by_device: tuple[ErrorRow, ...]
    by_group: tuple[ErrorRow, ...]
    by_both: tuple[ErrorRow, ...]


def report(chosen: Suite, columns: Mapping[str, Any]) -> Report:
    """Error tables of one suite's rows, overall, by device, by group and by both."""
    device, group = (np.asarray(columns[c]).astype(str) for c in ("device", "group"))
    values = [_values(columns, key) for key in ("measured", "predicted", "roofline")]
    both = np.char.add(np.char.add(device, " / "), group)

    def tables(keys: np.ndarray) -> tuple[ErrorRow, ...]:
        return tuple(error_row(str(k), *(v[keys == k] for v in values)) for k in np.unique(keys))

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


COLUMNS = ("n", "median %", "mean %", "p90 %", "bias %", "Spearman", "roofline median %", "roofline mean %")


def cells(row: ErrorRow) -> list[str]:
    """The printed cells of a row, in the order of `COLUMNS`."""
    numbers = (row.median, row.mean, row.p90, row.bias)
    return [f"{row.n:,}", *(f"{x:.1f}" for x in numbers), f"{row.spearman:.3f}", f"{row.roofline_median:.1f}", f"{row.roofline_mean:.1f}"]


def markdown(item: Report) -> str:
    """The table of one suite for docs/accuracy."""
    head = f"| | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}"
    lines = [
        f"# {item.suite.name}",
        "",
        f"Absolute percentage error of {item.suite.summary}. Rerun: `hwsim validate {item.suite.name}`.",
        "",
        head,
    ]
    for rows in ([item.overall], item.by_device, item.by_group, item.by_both):
        lines += [f"| {row.group} | {' | '.join(cells(row))} |" for row in rows]
        lines.append(f"| |{' |' * len(COLUMNS)}")
    return "\n".join(lines[:-1]) + "\n"


def write_intervals(reports: Iterable[Report]) -> None:
    """Keep the quantiles of measured over predicted, for the intervals of estimates."""
    import yaml

    from hwsim import shelf

    path = shelf.checkout("targets") / "gpu" / "fitted" / "validation.yaml"
    domains = yaml.safe_load(path.read_text(encoding="utf-8"))["domains"] if path.exists() else {}
    for item in reports:
        for row in (item.overall, *item.by_group):
            key = item.suite.name if row is item.overall else f"{item.suite.name}/{row.group}"
            domains[key] = {
                "n": row.n,
                "median_ape": round(row.median / 100, 4),
                "low_ratio": round(row.low_ratio, 4),
                "high_ratio": round(row.high_ratio, 4),
            }
    note = "# Written by `hwsim validate --write`: quantiles of measured over predicted on rows that the fit did not see.\n"
    path.write_text(note + yaml.safe_dump({"level": LEVEL, "domains": domains}, sort_keys=True), encoding="utf-8")


def intervals(program: Program, cost: Cost, *, device: Any, mapping: Any, method: str) -> tuple[Interval, Interval]:
    """Calibrated ranges of latency and energy of an estimate, from the domain that the target says it belongs to."""
    from hwsim import plugins, shelf

    family = plugins.load("hwsim.targets", program.family)
    domain_of = getattr(family, "validation_domain", None)
    if domain_of is None or method != "closed-form":
        return NOT_VALIDATED, NOT_VALIDATED
    table = shelf.validation(program.family)
    latency, energy = domain_of(program, cost, device=device, mapping=mapping)
    return _interval(table, latency, cost.latency_s), _interval(table, energy, cost.energy_j.total)


def _interval(table: Mapping[str, Any], domain: str | None, value: Any) -> Interval:
    entry = table.get(domain or "")
    if entry is None:
        return NOT_VALIDATED
    return Interval(float(value) * entry["low_ratio"], float(value) * entry["high_ratio"], LEVEL, domain or "", entry["median_ape"])
