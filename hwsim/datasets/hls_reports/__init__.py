"""One's own hls4ml and Vivado reports -> rows of one schema."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hwsim.datasets.hls_reports import csynth, summary, vivado
from hwsim.datasets.hls_reports.row import COLUMNS, STAGES, Row
from hwsim.errors import InputError

MOST_BYTES = 1 << 26
"""Larger files are no reports."""
_HEAD = 4096
LOOKED_FOR = (
    "csynth.xml, *_csynth.rpt, vivado_synth.rpt and other utilisation and timing reports of Vivado (*.rpt), *report*.json of hls4ml"
)


@dataclass(frozen=True)
class Reports:
    """What was found under a folder."""

    rows: tuple[Row, ...]
    read: int = 0
    """Files that were read."""
    problems: tuple[tuple[str, str], ...] = ()
    """Files that could not be, with the reason."""

    @property
    def designs(self) -> tuple[Row, ...]:
        """Rows of whole designs."""
        return tuple(row for row in self.rows if not row.module)


@dataclass
class _Project:
    """Files of one project."""

    folder: Path
    name: str
    found: list[tuple[int, Path, list[Row]]] = field(default_factory=list)


Parser = Callable[[Path], list[Row]]
_File = tuple[int, Path, list[Row]]
_AGGREGATE, _MODULE, _UTILISATION, _TIMING, _TEXT, _SUMMARY = range(6)
"""Kinds of reports; of two that speak of one stage the first is believed."""


def collect(folder: Path, *, tell: Callable[[str], None] = lambda line: None) -> Reports:
    """Rows of all reports under `folder`; files that cannot be read are noted, and the others kept.

    Args:
        tell: called with a line for every file that is read.

    Raises:
        InputError: no such folder, or no report in it.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {str(folder)!r}; expected the output folder of an hls4ml project, or one with several of them")
    projects: dict[Path, _Project] = {}
    problems: list[tuple[str, str]] = []
    for path in _files(folder):
        kind = _kind(path)
        if kind is None:
            continue
        name = path.relative_to(folder).as_posix()
        tell(f"reading {name}")
        try:
            rows = kind[1](path)
        except (InputError, OSError) as error:
            problems.append((name, str(error)))
            continue
        project = _project(path, folder)
        owner = projects.setdefault(project, _Project(project, project.relative_to(folder).as_posix()))
        owner.found.append((kind[0], path, rows))
    if not projects and not problems:
        raise InputError(f"no report under {str(folder)!r}; looked for {LOOKED_FOR}. Was the project built (hls_model.build)?")
    rows = [row for _, p in sorted(projects.items()) for row in _rows(p, folder, problems)]
    return Reports(tuple(rows), sum(len(p.found) for p in projects.values()), tuple(problems))


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.endswith((".xml", ".rpt", ".json")):
                yield Path(where, name)


def _kind(path: Path) -> tuple[int, Parser] | None:
    """Kind and parser of a report, by name and beginning; None for other files."""
    name = path.name.lower()
    if path.stat().st_size > MOST_BYTES or not path.is_file():
        return None
    if name.endswith("csynth.xml"):
        return (_AGGREGATE if name == "csynth.xml" else _MODULE), csynth.from_xml
    if name.endswith(".json"):
        head = path.read_bytes()[: 1 << 20]
        return (_SUMMARY, summary.from_json) if "report" in name and any(s.encode() in head for s in summary.SECTIONS) else None
    if not name.endswith(".rpt"):
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"Timing Summary Report" in head or b"timing_summary" in head:
        return _TIMING, vivado.timing
    if b"Utilization Design Information" in head or b"report_utilization" in head or name == "vivado_synth.rpt":
        return None if b"-hierarchical" in head else (_UTILISATION, vivado.utilisation)
    return (_TEXT, csynth.from_text) if b"HLS Report for" in head else None


def _project(path: Path, top: Path) -> Path:
    """The folder of the project that a report belongs to: where hls4ml's configuration is, else above `<name>_prj`, else its own."""
    parents = [p for p in path.parents if p == top or top in p.parents]
    for parent in parents:
        if (parent / summary.CONFIG).is_file() or (parent / "project.tcl").is_file():
            return parent
    return next((p.parent for p in parents if p.name.endswith("_prj") and p != top), parents[0])


def _rows(project: _Project, folder: Path, problems: list[tuple[str, str]]) -> Iterator[Row]:
    """Rows of a project, each stage from the best of its reports, slack put beside the resources of its stage."""
    try:
        config = summary.configuration(project.folder)
    except InputError as error:
        problems.append(((project.folder / summary.CONFIG).relative_to(folder).as_posix(), str(error)))
        config = {}
    wholes, modules, slack = _chosen(project, str(config.get("ProjectName", "")))
    named = next((row.design for row, _ in wholes.values() if row.design), "") or str(config.get("ProjectName", ""))
    part = next((row.part for row, _ in wholes.values() if row.part), "") or str(config.get("Part") or config.get("XilinxPart") or "")
    design = project.name if project.name != "." else named or folder.resolve().name
    for row, path in [*wholes.values(), *modules]:
        timed = slack.get(row.stage) if not row.module else None
        extra = {} if timed is None else {k: getattr(timed, k) for k in ("target_clock_s", "estimated_clock_s", "wns_s")}
        source = path.relative_to(folder).as_posix()
        yield replace(row, design=design, part=row.part or part, config=config, source=source, **extra)


def _chosen(project: _Project, top: str) -> tuple[dict[str, tuple[Row, Path]], list[tuple[Row, Path]], dict[str, Row]]:
    """Whole designs by stage, modules, and timing by stage."""
    files = sorted(project.found, key=lambda f: (f[0], str(f[1])))
    wholes: dict[str, tuple[Row, Path]] = {}
    modules: list[tuple[Row, Path]] = []
    slack: dict[str, tuple[Row, Path]] = {}
    for rank, path, rows in [*_csynth(files, top), *(f for f in files if f[0] in (_UTILISATION, _TIMING, _SUMMARY))]:
        for row in rows:
            if row.module:
                modules.append((row, path))
            else:
                (slack if rank == _TIMING else wholes).setdefault(row.stage, (row, path))
    return {**slack, **wholes}, modules, {stage: row for stage, (row, _) in slack.items()}


def _csynth(files: Sequence[_File], top: str) -> list[_File]:
    """Reports of C synthesis, each module once: from the one of the whole design, else from those of single modules."""
    aggregate = [f for f in files if f[0] == _AGGREGATE]
    single = [f for f in files if f[0] == _MODULE] or [f for f in files if f[0] == _TEXT and not aggregate]
    if any(row.module for _, _, rows in aggregate for row in rows):
        return aggregate
    head = aggregate[0][2][0].design if aggregate else _head(single, top)
    rest = [(rank, path, [replace(row, module=row.design) for row in rows]) for rank, path, rows in single if rows[0].design != head]
    return [*(aggregate or [f for f in single if f[2][0].design == head]), *rest]


def _head(found: Sequence[_File], top: str) -> str:
    """Name of the whole design among those of modules: the project's, else the one with most logic."""
    names = {rows[0].design: rows[0].lut or 0 for _, _, rows in found}
    folders = [p.name.removesuffix("_prj") for _, path, _ in found for p in path.parents if p.name.endswith("_prj")]
    return next((name for name in (top, *folders) if name in names), max(names, key=lambda n: names[n], default=""))


__all__ = ["COLUMNS", "LOOKED_FOR", "STAGES", "Reports", "Row", "collect"]
