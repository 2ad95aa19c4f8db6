"""Text reports of Vivado: utilisation (also hls4ml's vivado_synth.rpt) and timing summary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hwsim.datasets.hls_reports.row import Row, ns, number
from hwsim.errors import InputError

_NAMES = {
    "lut": r"(?:CLB|Slice) LUTs\*?",
    "ff": r"(?:CLB|Slice) Registers",
    "tiles": r"Block RAM Tile",
    "uram": r"URAM",
    "dsp": r"DSPs(?: Blocks)?",
}
_STAGES = {"Synthesized": "vsynth", "Fully Placed": "routed", "Physopt postPlace": "routed", "Routed": "routed", "Fully Routed": "routed"}


def header(text: str) -> dict[str, str]:
    """Entries of the box on top: tool version, design, device, state."""
    rows = re.findall(r"^\|\s*([A-Z][A-Za-z ]+?)\s*:\s*(.*?)\s*$", text[:4096], re.MULTILINE)
    return {key: value.rstrip("|").strip() for key, value in rows}


def _common(text: str) -> dict[str, Any]:
    found = header(text)
    version = re.search(r"v\.?([\d.]+)", found.get("Tool Version", ""))
    device = found.get("Device", "").split(" ")[0]
    state = found.get("Design State", "")
    return {
        "design": found.get("Design", ""),
        "tool": "Vivado",
        "tool_version": version[1].rstrip(".") if version else "",
        "part": f"xc{device}" if device[:1].isdigit() else device,
        "stage": _STAGES.get(state, "vsynth" if not state else "routed"),
        "state": state,
    }


def utilisation(path: Path) -> list[Row]:
    """The design of a utilisation report; block RAM tiles of 36 Kb become blocks of 18 Kb.

    Raises:
        InputError: it has no table with LUTs and registers.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    found: dict[str, Any] = {key: _used(text, pattern) for key, pattern in _NAMES.items()}
    if found["lut"] is None or found["ff"] is None:
        raise InputError("no rows `CLB LUTs` and `CLB Registers` (or `Slice ...`); expected report_utilization of Vivado, complete")
    tiles = found.pop("tiles")
    return [Row(**_common(text), bram18=None if tiles is None else 2 * tiles, **found)]


def _used(text: str, name: str) -> float | None:
    found = re.search(rf"^\|\s*{name}\s*\|\s*([\d.,]+)\s*\|", text, re.MULTILINE)
    return number(found[1]) if found else None


def timing(path: Path) -> list[Row]:
    """Slack and clock of a timing summary.

    Raises:
        InputError: it has no table that starts with WNS.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines) if re.match(r"\s*WNS\(ns\)\s+TNS\(ns\)", line)), None)
    values = lines[at + 2].split() if at is not None and at + 2 < len(lines) else []
    if not values:
        raise InputError("no table that starts with WNS(ns); expected report_timing_summary of Vivado, complete")
    slack, period = ns(values[0]), _period(text)
    estimated = None if period is None or slack is None else round(period - slack, 15)
    common = _common(text)
    if "Design State" not in header(text):
        common |= {"stage": "routed" if "routed" in path.name else "vsynth"}
    return [Row(**common, target_clock_s=period, estimated_clock_s=estimated, wns_s=slack)]


def _period(text: str) -> float | None:
    """Period of the first clock."""
    found = re.search(r"^\S+\s+\{[\d. ]+\}\s+([\d.]+)\s+[\d.]+\s*$", text, re.MULTILINE)
    return ns(found[1]) if found else None
