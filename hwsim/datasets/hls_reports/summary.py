"""report.json, hls4ml's own summary of a build, and hls4ml_config.yml."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim import yaml12
from hwsim.datasets.hls_reports.row import Row, ns, number, whole
from hwsim.errors import InputError

SECTIONS = ("CSynthesisReport", "VivadoSynthReport")
CONFIG = "hls4ml_config.yml"
KEPT = ("Backend", "Part", "XilinxPart", "Board", "ClockPeriod", "ClockUncertainty", "IOType", "ProjectName", "HLSConfig")
"""What of a configuration says how the design was built."""


def from_json(path: Path) -> list[Row]:
    """C synthesis and logic synthesis of a report.json.

    Raises:
        InputError: not JSON, or none of its sections.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON ({str(error)[:80]})") from None
    if not isinstance(data, Mapping) or not any(isinstance(data.get(s), Mapping) for s in SECTIONS):
        raise InputError(f"none of the sections {', '.join(SECTIONS)}; expected what hls4ml's build writes")
    rows = []
    if isinstance(found := data.get("CSynthesisReport"), Mapping) and found:
        rows.append(_csynth(found))
    if isinstance(found := data.get("VivadoSynthReport"), Mapping) and found:
        rows.append(_vsynth(found))
    return rows


def _csynth(found: Mapping[str, Any]) -> Row:
    cells = {key: None if value is None else str(value) for key, value in found.items()}
    counts: dict[str, Any] = {key: number(cells.get(key.upper())) for key in ("ff", "lut", "uram")}
    return Row(
        stage="csynth",
        target_clock_s=ns(cells.get("TargetClockPeriod")),
        estimated_clock_s=ns(cells.get("EstimatedClockPeriod")),
        latency_min_cycles=whole(cells.get("BestLatency")),
        latency_max_cycles=whole(cells.get("WorstLatency")),
        interval_min_cycles=whole(cells.get("IntervalMin")),
        interval_max_cycles=whole(cells.get("IntervalMax")),
        dsp=number(cells.get("DSP", cells.get("DSP48E"))),
        bram18=number(cells.get("BRAM_18K")),
        **counts,
    )


def _vsynth(found: Mapping[str, Any]) -> Row:
    """Block RAM is called BRAM_18K there, but is counted in tiles of 36 Kb."""
    cells = {key: None if value is None else str(value) for key, value in found.items()}
    tiles = number(cells.get("BRAM_18K"))
    counts: dict[str, Any] = {key: number(cells.get(key.upper())) for key in ("ff", "lut", "uram")}
    dsp = number(cells.get("DSP48E", cells.get("DSP")))
    return Row(stage="vsynth", tool="Vivado", dsp=dsp, bram18=None if tiles is None else 2 * tiles, **counts)


def configuration(folder: Path) -> dict[str, Any]:
    """What `hls4ml_config.yml` in a folder says; empty without one.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    text = re.sub(r"!\S+ ?", "", path.read_text(encoding="utf-8", errors="replace"))  # tags of hls4ml's own classes
    data = yaml12.loads(text, where=str(path))
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: found {type(data).__name__}; expected a mapping with HLSConfig")
    return {key: data[key] for key in KEPT if data.get(key) is not None}
