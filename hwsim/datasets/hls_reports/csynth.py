"""Reports of C synthesis: csynth.xml of Vivado HLS and Vitis HLS, and the text report where there is no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hwsim.datasets.hls_reports.row import Row, ns, number, whole
from hwsim.errors import InputError

_VITIS_FROM = "2020.2"
_HEAD = 1 << 20


def from_xml(path: Path) -> list[Row]:
    """The design of a csynth.xml, and its modules.

    Raises:
        InputError: no such report, or one with entities (which are never expanded).
    """
    data = path.read_bytes()
    if b"<!DOCTYPE" in data[:_HEAD] or b"<!ENTITY" in data:
        raise InputError("it declares entities, which no report of a tool does; nothing was read")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(f"not XML, or cut off ({error})") from None
    if root.find("AreaEstimates") is None or root.find("UserAssignments") is None:
        raise InputError(f"found <{root.tag}> without <UserAssignments> and <AreaEstimates>; expected a csynth.xml")
    top = _top(root)
    return [top, *(_module(m, top) for m in root.iterfind("ModuleInformation/Module"))]


def _text(node: Any, path: str) -> str | None:
    found = None if node is None else node.find(path)
    return None if found is None else found.text


def _resources(node: Any) -> dict[str, Any]:
    """Counts; DSPs are called DSP48E by Vivado HLS."""
    dsp = _text(node, "DSP")
    names = {"bram18": "BRAM_18K", "ff": "FF", "lut": "LUT", "uram": "URAM"}
    return {"dsp": number(dsp if dsp is not None else _text(node, "DSP48E")), **{k: number(_text(node, tag)) for k, tag in names.items()}}


def _top(root: Any) -> Row:
    version = _text(root, "ReportVersion/Version") or ""
    latency = root.find("PerformanceEstimates/SummaryOfOverallLatency")
    return Row(
        design=_text(root, "UserAssignments/TopModelName") or "",
        tool=tool_of(version),
        tool_version=version,
        part=_text(root, "UserAssignments/Part") or "",
        target_clock_s=ns(_text(root, "UserAssignments/TargetClockPeriod")),
        estimated_clock_s=ns(_text(root, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")),
        latency_min_cycles=whole(_text(latency, "Best-caseLatency")),
        latency_max_cycles=whole(_text(latency, "Worst-caseLatency")),
        interval_min_cycles=whole(_text(latency, "Interval-min")),
        interval_max_cycles=whole(_text(latency, "Interval-max")),
        **_resources(root.find("AreaEstimates/Resources")),
    )


def _module(node: Any, top: Row) -> Row:
    timing, latency = (node.find(f"PerformanceEstimates/{part}") for part in ("SummaryOfTimingAnalysis", "SummaryOfLatency"))
    interval = (_text(latency, "PipelineInitiationInterval") or "").split("~")
    return Row(
        design=top.design,
        module=_text(node, "Name") or "",
        tool=top.tool,
        tool_version=top.tool_version,
        part=top.part,
        target_clock_s=ns(_text(timing, "Target")) or top.target_clock_s,
        estimated_clock_s=ns(_text(timing, "Estimate")),
        latency_min_cycles=whole(_text(latency, "Best-caseLatency")),
        latency_max_cycles=whole(_text(latency, "Worst-caseLatency")),
        interval_min_cycles=whole(interval[0]),
        interval_max_cycles=whole(interval[-1]),
        **_resources(node.find("AreaEstimates/Resources")),
    )


def tool_of(version: str) -> str:
    """Name of the HLS tool of a version: Vitis HLS from 2020.2 on."""
    return "" if not version else ("Vitis HLS" if version >= _VITIS_FROM else "Vivado HLS")


def from_text(path: Path) -> list[Row]:
    """The design of a csynth.rpt.

    Raises:
        InputError: the report has no table of utilisation.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    title = re.search(r"==\s*(Vivado|Vitis) HLS Report for '([^']+)'", text)
    cells = {name: _cells(text, name) for name in ("Total", "Name")}
    if not title or not cells["Total"] or not cells["Name"]:
        raise InputError("no title `HLS Report for ...` with a table of utilisation; expected a csynth.rpt")
    used = dict(zip((n.strip() for n in cells["Name"]), cells["Total"], strict=False))
    clock, latency = _clock(text), _latency(text)
    version = _entry(text, "Version").split(" ")[0]
    names = {"bram18": "BRAM_18K", "dsp": "DSP" if "DSP" in used else "DSP48E", "ff": "FF", "lut": "LUT", "uram": "URAM"}
    counts: dict[str, Any] = {key: number(used.get(name)) for key, name in names.items()}
    return [
        Row(
            design=title[2],
            tool=f"{title[1]} HLS",
            tool_version=version,
            part=_entry(text, "Target device"),
            **clock,
            **latency,
            **counts,
        )
    ]


def _entry(text: str, name: str) -> str:
    found = re.search(rf"^\*\s*{name}:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def _cells(text: str, first: str) -> list[str]:
    """Cells of the row that starts with `first`, in the summary of utilisation."""
    part = text.partition("Utilization Estimates")[2]
    found = re.search(rf"^\s*\|\s*{first}\s*\|(.*)\|\s*$", part, re.MULTILINE)
    return [c.strip() for c in found[1].split("|")] if found else []


def _clock(text: str) -> dict[str, Any]:
    found = re.search(r"\|\s*ap_clk\s*\|\s*([\d.]+)\s*(?:ns)?\s*\|\s*([\d.]+)", text)
    return {"target_clock_s": ns(found[1]), "estimated_clock_s": ns(found[2])} if found else {}


_LATENCY = ("latency_min_cycles", "latency_max_cycles", "interval_min_cycles", "interval_max_cycles")


def _latency(text: str) -> dict[str, Any]:
    """The first row below `+ Latency` that is all numbers: min, max (in cycles, then absolute in some versions), interval min, max."""
    part = re.split(r"\+ Latency", text, maxsplit=1)[-1]
    for line in part.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        counts = [c for c in cells if re.fullmatch(r"[\d?-]+", c)]
        if len(cells) >= 5 and len(counts) >= 4:
            return dict(zip(_LATENCY, (whole(counts[0]), whole(counts[1]), whole(counts[-2]), whole(counts[-1])), strict=True))
    return {}
