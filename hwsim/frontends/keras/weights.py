"""Weight values of a Keras model by layer and role; numbers are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.ops import Shape

_IGNORED = frozenset({"seed_generator", "optimizer", "optimizer_weights", "metrics", "loss_tracker"})
_ARCHIVE = "model.weights.h5"


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored array."""

    parts: tuple[str, ...]
    """Names of the layers and of the array (or `#` and its position), outermost first."""
    shape: Shape
    read: Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Role:
    """Which array of a layer: by name in `.h5` files and live models, by position in `.keras` files."""

    names: tuple[str, ...]
    position: int
    hint: str = ""
    """Part of the name of the sub-layer that it belongs to."""


@dataclass(frozen=True)
class Weights:
    """The arrays of one model."""

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    """By the name of the outermost layer."""

    def find(self, path: Sequence[str], role: Role) -> Entry | None:
        """The array of the layer at `path` (models around it first), if there is one."""
        names = [part for name in path for part in name.split("/")]
        found = (e for e in self.entries.get(names[0], ()) if e.parts[-1] in (*role.names, f"#{role.position}"))
        found = (e for e in found if all(n in e.parts for n in names) and any(role.hint in p for p in e.parts[1:]))
        return next(found, None)


def collected(entries: Iterator[Entry]) -> Weights:
    """`entries` by their outermost layer."""
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        if not _IGNORED.intersection(entry.parts):
            grouped.setdefault(entry.parts[0], []).append(entry)
    return Weights(grouped)


def of_model(model: Any) -> Weights:
    """Those of a live model."""
    return collected(
        Entry((layer.name, *_named(getattr(w, "path", None) or w.name)), tuple(int(s) for s in w.shape), w.numpy)
        for layer in model.layers
        for w in layer.weights
    )


def _named(path: str) -> tuple[str, ...]:
    return tuple(part.partition(":")[0] for part in str(path).split("/"))


def of_h5(path: Path) -> Weights:
    """Those of a `.h5` file, of a model or of weights alone."""
    import h5py

    with h5py.File(path, "r") as file:
        root = "model_weights" if "model_weights" in file else "/"
        found = [(name, tuple(data.shape)) for name, data in _datasets(file[root])]
    reader = _reader(lambda: h5py.File(path, "r"), root)
    return collected(Entry(_named(name), shape, reader(name)) for name, shape in found)


def of_archive(path: Path, names: Mapping[str, Any]) -> Weights:
    """Those of a `.keras` file.

    Args:
        names: name of the layer by the name that the archive gives it, for archives that do not state it; see `archive_names`.
    """
    import zipfile

    import h5py

    def opened() -> Any:
        return h5py.File(zipfile.ZipFile(path).open(_ARCHIVE), "r")

    with zipfile.ZipFile(path) as archive:
        if _ARCHIVE not in archive.namelist():
            return Weights()
    with opened() as file:
        found = [(name, _layered(file, name.split("/"), names), tuple(data.shape)) for name, data in _datasets(file)]
    reader = _reader(opened, "/")
    return collected(Entry(parts, shape, reader(name)) for name, parts, shape in found if parts)


def _reader(opened: Callable[[], Any], root: str) -> Callable[[str], Callable[[], np.ndarray]]:
    def of(name: str) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            with opened() as file:
                return np.asarray(file[root][name])

        return read

    return of


def _datasets(group: Any) -> Iterator[tuple[str, Any]]:
    """Arrays in a file; none behind a link, and none that lies in another file."""
    found: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "shape") and not item.is_virtual and not item.external:
            found.append((name, item))

    group.visititems(visit)
    return iter(found)


_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def _layered(file: Any, parts: list[str], names: Mapping[str, Any]) -> tuple[str, ...]:
    """`layers/dense_1/cell/vars/0` as (name of the layer, cell, #0)."""
    result: list[str] = []
    for at, part in enumerate(parts):
        if at and parts[at - 1] in _CONTAINERS:
            known = names.get(part) or (part, {})
            here = file["/".join(parts[: at + 1])]
            stated = here["vars"].attrs.get("name") if "vars" in here else None
            result += str(stated or known[0]).split("/")
            names = known[1]
        elif part not in _CONTAINERS and part != "vars":
            result.append(f"#{part}" if part.isdigit() else part)
    return tuple(result)


def archive_names(network: Any) -> dict[str, Any]:
    """Names that a `.keras` archive of older versions gives the layers: the class in lower case, counted."""
    counts: dict[str, int] = {}
    result: dict[str, Any] = {}
    for layer in network.layers.values():
        base = _snake(layer.class_name.rpartition(">")[2])
        count = counts[base] = counts.get(base, -1) + 1
        result[f"{base}_{count}" if count else base] = (layer.name, archive_names(layer.network) if layer.network else {})
    return result


def _snake(name: str) -> str:
    """`Conv2DTranspose` -> `conv2d_transpose`, as Keras does."""
    import re

    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
