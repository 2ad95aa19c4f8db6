"""Training sets that take long to make, kept as safetensors files in the cache (`HWSIM_CACHE`, else `~/.cache/hwsim`)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from hwsim.surrogates.graphs import Graphs

Tell = Callable[[str], None]


def kept(name: str, key: str, make: Callable[[], tuple[Graphs, Sequence[str]]], *, tell: Tell | None = None) -> Graphs:
    """Graphs from the cache, or made and put there.

    Args:
        name: of the training set.
        key: changes with all that the graphs depend on.
        make: gives the graphs, and what is to be told again of what was left out when they are read from the cache.
        tell: told so.
    """
    folder = Path(os.environ.get("HWSIM_CACHE", Path.home() / ".cache" / "hwsim")) / "lowered"
    path, notes = folder / f"{name}-{key}.safetensors", folder / f"{name}-{key}.txt"
    if path.is_file():
        said = notes.read_text(encoding="utf-8").splitlines() if notes.is_file() else []
        for line in said:
            if tell:
                tell(line)
        return Graphs.read(path)
    found, said = make()
    folder.mkdir(parents=True, exist_ok=True)
    notes.write_text("".join(f"{line}\n" for line in said), encoding="utf-8")
    found.save(path)
    return found


def dataset_key(file: Path, graphs: Iterable[str], *, family: str) -> str:
    """Digest of a data set's file, the graphs that it names, the constants of a family and this version of hwsim.

    Args:
        file: of the rows.
        graphs: names or files, as the rows have them; files count with their size and time.
        family: whose features and costs the rows get.
    """
    found = hashlib.sha256(f"{family}/{sources()}/{constants(family)}".encode() + file.read_bytes())
    for name in sorted(set(graphs)):
        path = file.parent / name
        held = path.stat() if name and len(name) < LONGEST and path.is_file() else None
        found.update(f"{name}/{held and (held.st_size, held.st_mtime_ns)}".encode())
    return found.hexdigest()[:12]


LONGEST = 255
"""Characters of a file's name."""


@cache
def sources() -> str:
    """Digest of all code that may change what a lowered network looks like."""
    folder, found = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(folder).parts[0] not in ("cli", "report", "sweep"):
            found.update(path.read_bytes())
    return found.hexdigest()


def constants(family: str) -> str:
    """Digest of the fitted constants of a family's closed form."""
    from hwsim import shelf

    files = sorted((shelf.checkout("targets") / family / "fitted").glob("*.yaml"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in files if p.stem != "validation")).hexdigest()
