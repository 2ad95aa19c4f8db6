"""Files of a sweep: the journal of finished ranges, parts with points, and the Parquet file of the result.

Beside `out.parquet` stands `out.parquet.work/` while the sweep runs: `job.json` says of which sweep, `state-N.npz` holds what was reduced
of range N, `points-N.parquet` its points where they are kept. Every file is written under another name first and then renamed, so that what
is there is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra
from hwsim.sweep.pareto import Front
from hwsim.sweep.reduce import Asked, Histogram, State, Top

SAFETY = 1.1
"""Space asked for over the size of the columns."""


@dataclass(frozen=True)
class Journal:
    """What is done of a sweep, on disk."""

    out: Path

    @property
    def folder(self) -> Path:
        """Where the journal is."""
        return self.out.with_name(f"{self.out.name}.work")

    def open(self, key: str, *, resume: bool) -> None:
        """Starts a journal, or goes on with the one that is there.

        Raises:
            InputError: the folder belongs to another sweep.
        """
        mark = self.folder / "job.json"
        if not resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        if mark.exists():
            found = json.loads(mark.read_text(encoding="utf-8")).get("key")
            if found != key:
                raise InputError(f"{self.folder} holds a part of another sweep; take another --out, or start anew with --no-resume")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        _written(mark, json.dumps({"key": key}).encode())

    def state(self, task: int, asked: Asked) -> State | None:
        """What was reduced of a range; None where it is not done."""
        path = self.folder / f"state-{task}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            return decoded(file, asked)

    def save(self, task: int, state: State) -> None:
        """Marks a range as done."""
        path = self.folder / f"state-{task}.npz"
        part = path.with_name(f".{path.name}.{os.getpid()}")
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **encoded(state))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def has(self, task: int) -> bool:
        """Whether a range is marked as done."""
        return (self.folder / f"state-{task}.npz").exists()

    def points(self, task: int) -> Path:
        """The file with the points of a range."""
        return self.folder / f"points-{task}.parquet"

    def close(self) -> None:
        """Takes the journal away."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _written(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


def encoded(state: State) -> dict[str, np.ndarray]:
    """A state as plain arrays."""
    counts = {name: getattr(state, name) for name in ("points", "kept", "nan", "infeasible", "refused")}
    histograms = {name: {"rest": h.rest, "counts": list(h.counts.items())} for name, h in state.histograms.items()}
    text = json.dumps({"counts": counts, "histograms": histograms, "examples": list(state.examples)})
    found = {"text": np.array(text), "front": state.front.values, "front_index": state.front.index}
    for name, top in state.tops.items():
        found |= {f"top:{name}": top.values, f"top_index:{name}": top.index}
    return found | {f"example:{i}": index for i, index in enumerate(state.examples.values())}


def decoded(file: Mapping[str, np.ndarray], asked: Asked) -> State:
    """The state that `encoded` took apart."""
    text = json.loads(str(file["text"]))
    state = State.of(asked)
    for name, value in text["counts"].items():
        setattr(state, name, value)
    state.examples = {reason: file[f"example:{i}"] for i, reason in enumerate(text["examples"])}
    state.tops = {name: Top(top.size, file[f"top:{name}"], file[f"top_index:{name}"]) for name, top in state.tops.items()}
    state.front = Front(state.front.objectives, file["front"], file["front_index"])
    state.histograms = {n: Histogram({int(k): v for k, v in h["counts"]}, h["rest"]) for n, h in text["histograms"].items()}
    return state


def target_hash(target: Any, device: Any) -> str:
    """Fingerprint of the quantities of a device and of the fitted constants of its family, 16 hexadecimal digits."""
    from hwsim import shelf

    parts = [target.family, repr(_plain(device))]
    for folder in shelf.folders("targets"):
        parts += [p.read_text(encoding="utf-8") for p in sorted((folder / target.family / "fitted").glob("*.yaml"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _plain(device: Any) -> dict[str, Any]:
    values = {f.name: getattr(device, f.name) for f in fields(device)} if is_dataclass(device) else dict(vars(device))
    return {name: value for name, value in values.items() if isinstance(value, int | float | str)}


def check_disk(out: Path, *, rows: int, columns: int) -> None:
    """Refuses a result that the disk cannot hold.

    Raises:
        InputError: there is less room than the columns take.
    """
    folder = next(p for p in (out.absolute().parent, *out.absolute().parents) if p.exists())
    needed, free = rows * columns * 8 * SAFETY, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{rows:,} points with {columns} columns take about {_size(needed)}, and {folder} has {_size(free)} free; "
            "keep the best points only (the default), narrow the sweep, or take another disk"
        )


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def parquet() -> Any:
    """pyarrow's Parquet module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow.parquet as found
    except ImportError:
        raise MissingExtra("pyarrow", "data") from None
    return found


def table(columns: Mapping[str, np.ndarray], *, units: Mapping[str, str], about: Mapping[str, str]) -> Any:
    """An Arrow table: a unit a column, and what the whole is about in the schema's metadata."""
    import pyarrow as pa

    arrays = {name: pa.array(values.tolist() if values.dtype == object else values) for name, values in columns.items()}
    listed = [pa.field(name, a.type, metadata={"unit": units[name]} if units.get(name) else None) for name, a in arrays.items()]
    return pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(listed, metadata=dict(about)))


class Part:
    """A Parquet file that appears when it is whole; used as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(f".{path.name}.{os.getpid()}")
        self.writer: Any = None

    def __enter__(self) -> Part:
        return self

    def add(self, rows: Any) -> None:
        """More rows."""
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = parquet().ParquetWriter(str(self.part), rows.schema, compression="zstd")
        self.writer.write_table(rows)

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if self.writer is not None:
            self.writer.close()
            self.part.unlink() if kind else self.part.replace(self.path)


def joined(parts: Sequence[Path], out: Path, *, expected: int) -> Path:
    """One file of several, row group after row group; a file without rows where there are none.

    Raises:
        InputError: rows are missing.
    """
    count = 0
    with Part(out) as whole:
        for rows in _groups(parts):
            whole.add(rows)
            count += rows.num_rows
        if count != expected:
            folder = parts[0].parent
            raise InputError(f"{count:,} of {expected:,} points are in {folder}; workers must write to a file system that all see")
        if whole.writer is None:
            whole.add(table({"point": np.empty(0, dtype=np.int64)}, units={}, about={}))
    return out


def _groups(parts: Sequence[Path]) -> Iterator[Any]:
    for path in parts:
        if path.exists():
            with parquet().ParquetFile(str(path)) as file:
                for number in range(file.num_row_groups):
                    yield file.read_row_group(number)
