"""All measured sets in one table: rows that are sound, rows kept apart and why, and the source files that no set reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from hwsim.datasets.adapters import measured, rows_of, source_files
from hwsim.datasets.check import Checked, Finding, check
from hwsim.datasets.locate import data_path
from hwsim.datasets.sources import SUSPECT
from hwsim.datasets.store import coded
from hwsim.errors import DataMissing, UnknownName

Tell = Callable[[str], None]
COMMAND = "hwsim datasets survey --write docs/datasets-table.md"
FOLDERS = ("gpu", "fpga", "neuro", "accelerators", "mcu")
"""Parts of the data folder that hold measurements."""
NOT_ROWS = {
    "*/LICENSE*": "licences",
    "gpu/aiconfigurator/systems/*": "peaks and bandwidths as a tool states them",
    "gpu/deepbench/specs.csv": "describes the machines",
    "gpu/llmcompass/*.json": "descriptions of devices for a simulator",
    "gpu/llmcompass/die_area.csv": "areas of parts of a chip, facts",
    "gpu/calculon/*.json": "sizes and setups, read beside the measurements",
    "gpu/neusight/*.json": "descriptions of devices and networks",
    "gpu/neusight/fp16mm.csv": "nine products without a device",
    "gpu/llm_inference_bench/SN40L_latency_throughput.csv": "stands whole in All_results.csv",
    "gpu/llm_inference_bench/power_fig16ab.csv": "a copy of power_fig16a.csv",
    "gpu/llm_inference_bench/power_fig16b.csv": "a copy of power_fig16a.csv",
    "fpga/wa_hls4ml_format_examples.jsonl": "three records for `hwsim datasets build wa-hls4ml`",
    "neuro/chip_facts.csv": "facts, one source a line",
    "neuro/op_energy_tables.csv": "facts, one source a line",
    "neuro/nir_samples/*": "networks without measurements",
    "neuro/snabsuite/static_power_terms.csv": "idle powers again, with fitted terms",
    "accelerators/digital_energy_constants.csv": "facts, one source a line",
    "accelerators/optical_components.csv": "facts, one source a line",
}
"""Files that no set reads, and why; the part of claims is facts as a whole."""


@dataclass(frozen=True)
class Surveyed:
    """One measured set."""

    name: str
    summary: str
    licence: str
    rows: int
    """All rows of the source."""
    apart: int
    reasons: Mapping[str, int]
    """Why rows are kept apart, and how many for each reason."""
    bounded: int
    """Rows whose physical bound is known."""
    metrics: tuple[str, ...]
    devices: int
    graphs: int
    splits: Mapping[str, int]


def survey(names: Sequence[str] = (), *, bounds: bool = True, tell: Tell = lambda line: None) -> list[Surveyed]:
    """Read and check measured sets of the shelf; those whose source is not there are told and left out.

    Args:
        names: sets; empty: all.

    Raises:
        UnknownName: no such set.
        DataMissing: no source at all is there.
    """
    known = measured()
    found: list[Surveyed] = []
    missing: list[str] = []
    for name in names or sorted(known):
        if name not in known:
            raise UnknownName("measured data set", name, known)
        try:
            data = rows_of(known[name], tell=tell)
        except DataMissing as error:
            missing.append(str(error))
            tell(f"{name}: left out, {error}")
            continue
        found.append(_surveyed(check(data, bounds=bounds, tell=tell)))
        tell(f"{name}: {found[-1].rows:,} rows, {found[-1].apart:,} apart")
    if not found:
        raise DataMissing(missing[0])
    return found


def _surveyed(checked: Checked) -> Surveyed:
    data, recipe = checked.data, checked.data.recipe
    parts, numbers = coded(data.table["split"]) if "split" in data.columns else ([], np.empty(0, dtype=int))
    return Surveyed(
        data.name,
        recipe.summary if recipe else "",
        recipe.licence if recipe else "",
        len(data),
        int(checked.bad.sum()),
        reasons(checked.findings),
        checked.bounded,
        tuple(data.metrics),
        len(coded(data.table["device"])[0]),
        len(coded(data.table["graph"])[0]),
        {part: int((numbers == i).sum()) for i, part in enumerate(parts)},
    )


def reasons(findings: Iterable[Finding]) -> dict[str, int]:
    """Faults by kind: the column and what was expected, without the values that differ from row to row."""
    found: dict[str, int] = {}
    for finding in findings:
        column = "all metrics" if "/" in finding.column else finding.column
        for said in finding.said:
            kind = _kind(said) if finding.column == SUSPECT else f"{column}: {_kind(said)}"
            found[kind] = found.get(kind, 0) + 1
    return found


def _kind(said: str) -> str:
    if "arithmetic alone" in said:
        return "below the time of its arithmetic at the device's peak"
    if "the same graph" in said:
        return "the same row stands in another split"
    said = said.partition("wrong here: ")[2] or said
    return re.sub(r"^(every metric )?is empty; .*", "empty", re.sub(r"^found .*?; expected (.*)$", r"not \1", said))


def unread(folders: Sequence[str] = FOLDERS) -> list[tuple[str, str]]:
    """(file, why) of the data folder that no set reads; the reason is empty where none is known.

    Raises:
        DataMissing: a folder is not there.
    """
    root = data_path(folders[0]).parent
    used = {path for recipe in measured().values() for path in _present(recipe)}
    left = [path for folder in folders for path in sorted(data_path(folder).rglob("*")) if path.is_file() and path not in used]
    names = [path.relative_to(root).as_posix() for path in left]
    return [(name, next((why for pattern, why in NOT_ROWS.items() if fnmatch(name, pattern)), "")) for name in names]


def _present(recipe: object) -> list[Path]:
    try:
        return source_files(recipe)  # pyright: ignore[reportArgumentType]
    except DataMissing:
        return []


def markdown(found: Sequence[Surveyed], left: Sequence[tuple[str, str]]) -> str:
    """The page with both tables."""
    total, apart = sum(s.rows for s in found), sum(s.apart for s in found)
    lines = ["# Measured data sets", "", f"Written by `{COMMAND}`: every row of every source is read and checked.", ""]
    lines += [f"{len(found)} sets, {total:,} rows, {total - apart:,} sound, {apart:,} kept apart.", ""]
    lines += ["| set | rows | sound | apart | devices | graphs | bounded | splits | metrics |", "|---|--:|--:|--:|--:|--:|--:|---|---|"]
    lines += [_row(s) for s in found]
    lines += ["", "`bounded`: rows whose least time by arithmetic is known. Sizes of splits count rows apart, too.", ""]
    lines += ["## Rows kept apart", "", "A row may have several reasons.", "", "| set | rows | reason |", "|---|--:|---|"]
    lines += [f"| {s.name} | {n:,} | {why} |" for s in found for why, n in s.reasons.items()]
    lines += ["", "## Files that no set reads", "", "| files | number | why |", "|---|--:|---|"]
    lines += [f"| {pattern} | {number} | {why} |" for pattern, number, why in _grouped(left)]
    lines += ["", "`claims/` is facts as a whole: published parameters, operations and latencies, one source a line.", ""]
    return "\n".join(lines)


def _row(s: Surveyed) -> str:
    splits = ", ".join(f"{name} {n:,}" for name, n in sorted(s.splits.items()))
    cells = (s.name, f"{s.rows:,}", f"{s.rows - s.apart:,}", f"{s.apart:,}", f"{s.devices:,}", f"{s.graphs:,}", f"{s.bounded:,}", splits)
    return "| " + " | ".join((*cells, ", ".join(s.metrics))) + " |"


def _grouped(left: Sequence[tuple[str, str]]) -> list[tuple[str, int, str]]:
    found: dict[tuple[str, str], int] = {}
    for name, why in left:
        pattern = next((p for p in NOT_ROWS if fnmatch(name, p)), name)
        found[pattern, why or "not known"] = found.get((pattern, why or "not known"), 0) + 1
    return [(pattern, number, why) for (pattern, why), number in found.items()]
