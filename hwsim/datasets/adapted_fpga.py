"""Adapters of FPGA designs: published hls4ml designs, and records of the wa-hls4ml benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hwsim.datasets.hls_cnn_designs import continuous_integration, kebl, tutorial
from hwsim.datasets.hls_designs import Design, _config, argykokk, dense1, dense2, routed
from hwsim.datasets.hls_reports.row import Row
from hwsim.datasets.sources import BROKEN, SUSPECT
from hwsim.errors import HwsimError

Tell = Callable[[str], None]
PARTS = {"dense1": "xcu250", "dense2": "xcu250", "kebl": "xcvu9p", "tutorial": "xcu250", "ci": "xcu250", "routed": "xcvu13p"}
"""Part of each source where a design does not state its own."""
SUBSETS = {"train": "train", "val": "validation", "test": "test", "exemplar": "exemplar"}
"""Folders of the wa-hls4ml benchmark to splits."""
METRICS = ("lut", "ff", "dsp", "bram18", "uram", "cycles", "interval_cycles")


def designs(tell: Tell) -> dict[str, Any]:
    """Published designs as whole designs; attempts that the tool gave up on have `feasible` 0 and no other label."""
    found: list[dict[str, Any]] = []
    for strategy in ("resource", "latency"):
        made, attempts = dense1(strategy)
        found += [_row(d) for d in made]
        failed = attempts[~attempts.hls_synth_success.astype(bool)]
        found += [_failed(row, strategy) for row in failed.itertuples()]
    for read in (dense2, argykokk, kebl, tutorial, lambda: continuous_integration()[0], routed):
        rows = [_row(d) for d in read()]
        tell(f"read {len(rows)} designs of {rows[0]['group'].partition(':')[0]}")
        found += rows
    return columns(found)


def _row(design: Design) -> dict[str, Any]:
    part = str(design.facts.get("part", "")).partition("-")[0] or PARTS[design.source]
    labels = {name.lower(): value for name, value in design.totals.items() if name.lower() in METRICS}
    return {
        "graph": f"{design.source}:{design.name}",
        "device": part,
        "group": f"{design.source}:{design.group}",
        **_mapping(design.options),
        "protocol.tool": str(design.options.get("backend", "Vivado")),
        "protocol.stage": design.stage,
        "feasible": 1,
        **labels,
    }


def _failed(row: Any, strategy: str) -> dict[str, Any]:
    weights = f"ap_fixed<{row.prec},1>"
    config = _config({"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}, row.rf, strategy)
    names = {"graph": f"dense1:{row.model_name}", "device": PARTS["dense1"], "group": f"dense1:{row.d_in}x{row.d_out}"}
    return {**names, **_mapping({"hls_config": config}), "protocol.tool": "Vivado", "protocol.stage": "csynth", "feasible": 0}


def _mapping(options: Mapping[str, Any]) -> dict[str, Any]:
    model = options.get("hls_config", {}).get("Model", {})
    made = {"mapping.strategy": str(model.get("Strategy", "")).lower() or None, "mapping.reuse_factor": model.get("ReuseFactor")}
    made |= {"mapping.io_type": options.get("io_type", "io_parallel")}
    made |= {f"mapping.{name}": options[name] for name in ("multiplier", "clock_uncertainty_frac") if name in options}
    return {**made, "mapping.hls_config": json.dumps(options.get("hls_config", {}), sort_keys=True)}


def columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of rows that state different things."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def reported(rows: Iterable[Row], *, models: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Rows of one's own reports; designs stay together, a module has the graph `design/module`.

    Args:
        models: files of networks by design; a design without one has its name for a graph.
    """
    return columns(_report(row, models or {}) for row in rows)


PROJECT = ("Backend", "ClockPeriod", "ClockUncertainty", "IOType", "HLSConfig")
"""What of a project's configuration says how the network was built."""


def device_of(part: str) -> str:
    """Device of the shelf that a part is of, whatever its package and speed; else the part up to the first dash.

    >>> device_of("xcu250figd2104-2L"), device_of("xc7z020-clg400-1"), device_of("xc2v40-4fg256")
    ('xcu250', 'xc7z020', 'xc2v40')
    """
    from hwsim import shelf

    names = [name for name in shelf.devices("fpga") if part.lower().startswith(name)]
    return max(names, key=len, default=part.partition("-")[0])


def _report(row: Row, models: Mapping[str, str]) -> dict[str, Any]:
    project = {key: row.config[key] for key in PROJECT if key in row.config}
    options = {"hls_config": row.config.get("HLSConfig", {}), "io_type": row.config.get("IOType", "io_parallel")}
    labels = {name: getattr(row, name) for name in ("lut", "ff", "dsp", "bram18", "uram")}
    return {
        "graph": f"{row.design}/{row.module}" if row.module else models.get(row.design, row.design),
        "device": device_of(row.part),
        "group": row.design,
        **_mapping(options),
        "mapping.hls_config": json.dumps(project, sort_keys=True) if project else None,
        "fact.module": row.module or None,
        "protocol.tool": row.tool or None,
        "protocol.version": row.tool_version or None,
        "protocol.stage": row.stage,
        "fact.source": row.source,
        "fact.wns_s": row.wns_s,
        **labels,
        "cycles": row.latency_max_cycles,
        "interval_cycles": row.interval_max_cycles,
        "clock_s": row.target_clock_s,
        "estimated_clock_s": row.estimated_clock_s,
    }


def wa_hls4ml(files: Iterable[Path], *, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Records of the benchmark, one row a report: after logic synthesis, and of C synthesis.

    A record that cannot be read is a row without a label and with the reason, which the check keeps apart. The report after synthesis
    counts BRAM in tiles of 36 Kb, that of C synthesis in blocks of 18 Kb; rows have blocks of 18 Kb.

    Raises:
        InputError: a file is not of records.
    """
    from hwsim.frontends.wa_hls4ml import records

    found: list[dict[str, Any]] = []
    for path in files:
        for number, record in enumerate(records(path)):
            try:
                found += _record(record, path, number)
            except (HwsimError, *BROKEN) as error:
                found.append(_unreadable(path, number, error))
            if number % 10_000 == 9_999:
                tell(f"{path.name}: {number + 1:,} records")
    return columns(found)


def _unreadable(path: Path, number: int, error: Exception) -> dict[str, Any]:
    """A record whose values are not what they should be, as a row that the check keeps apart."""
    shared = {"graph": f"{path.name}#{number}", "device": "unknown", "group": f"{path.name}#{number}", "protocol.tool": "unknown"}
    return {**shared, "protocol.stage": "none", "lut": None, SUSPECT: f"record {number + 1} cannot be read: {str(error)[:160]}"}


def _record(record: Mapping[str, Any], path: Path, number: int) -> list[dict[str, Any]]:
    from hwsim.frontends.wa_hls4ml import configuration, reports

    given = record.get("meta_data")
    meta = given if isinstance(given, Mapping) else record
    config, found = configuration(record), reports(record)
    options = {"hls_config": config["HLSConfig"], "io_type": config.get("IOType", "io_parallel")}
    shared = {
        "graph": f"{path.name}#{meta.get('uuid') or number}",
        "device": str(record.get("target_part") or "xcu250").partition("-")[0],
        "group": str(meta.get("model_name") or meta.get("model_id") or meta.get("uuid") or number),
        "split": _subset(record, path),
        **_mapping(options),
        "protocol.tool": config.get("Backend", "Vivado"),
        "protocol.version": str(record.get("vivado_version") or record.get("backend_version") or "") or None,
        "protocol.hls4ml": str(record.get("hls4ml_version") or "") or None,
    }
    latency = found.get("latency_report", {})
    cycles = {"cycles": latency.get("cycles_max"), "interval_cycles": latency.get("interval_max")}
    cycles["clock_s"] = None if "target_clock" not in latency else latency["target_clock"] * 1e-9
    stages = (("vsynth", "resource_report", 2.0), ("csynth", "hls_resource_report", 1.0))
    rows = [{**shared, "protocol.stage": stage, **_resources(found[key], tile), **cycles} for stage, key, tile in stages if key in found]
    return rows or [{**shared, "protocol.stage": "none", **cycles}]


def _subset(record: Mapping[str, Any], path: Path) -> str | None:
    """Split of a record: its own word for it, else the folder of the benchmark that its file lies in."""
    given = str(record.get("subset") or "").partition("/")[0] or (path.parent.name if path.parent.name in SUBSETS else "")
    return SUBSETS.get(given, given) or None


def _resources(report: Mapping[str, float], tile: float) -> dict[str, float | None]:
    bram = report.get("bram", report.get("bram18"))
    return {**{name: report.get(name) for name in ("lut", "ff", "dsp", "uram")}, "bram18": None if bram is None else tile * bram}
