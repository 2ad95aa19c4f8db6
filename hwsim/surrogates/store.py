"""Trained surrogates on the shelf: `surrogates/<name>/` with `config.yaml`, `weights.safetensors`, `metrics.json` and `card.md`.

Weights are arrays in safetensors; nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf, yaml12
from hwsim.errors import InputError, UnknownName

SCHEMA = 1
"""Version of the layout of a folder; another one is refused."""


@dataclass(frozen=True)
class Stored:
    """What a folder holds."""

    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""


def names() -> tuple[str, ...]:
    """Names of the surrogates on the shelf."""
    return tuple(sorted({path.parent.name for folder in shelf.folders("surrogates") for path in folder.glob("*/config.yaml")}))


def folder(name: str) -> Path:
    """Folder of the surrogate called `name`, or the folder at that path.

    Raises:
        UnknownName: there is none.
    """
    given = Path(name)
    if (given / "config.yaml").is_file():
        return given
    for place in shelf.folders("surrogates"):
        if (place / name / "config.yaml").is_file():
            return place / name
    raise UnknownName("surrogate", name, names())


def read(name: str) -> Stored:
    """A surrogate by name or path of its folder; files that have not changed are read once.

    Raises:
        UnknownName: there is none.
        InputError: a file is missing, broken or of another version.
    """
    where = folder(name)
    return _read(where, stamp(where))


def stamp(where: Path) -> tuple[str, int]:
    """Place of a folder and when it was written."""
    return str(where.resolve()), (where / "config.yaml").stat().st_mtime_ns


@lru_cache(maxsize=8)
def _read(where: Path, _stamp: tuple[str, int]) -> Stored:
    config = yaml12.load(where / "config.yaml")
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        found = config.get("schema") if isinstance(config, dict) else type(config).__name__
        raise InputError(f"{where}: schema {found!r}; expected {SCHEMA}: train it anew with this version of hwsim")
    metrics = where / "metrics.json"
    card = where / "card.md"
    return Stored(
        where.name,
        config,
        _weights(where / "weights.safetensors"),
        json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {},
        card.read_text(encoding="utf-8") if card.is_file() else "",
    )


def _weights(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no weights ({error}); restore the file or train the surrogate anew") from None


def write(stored: Stored, *, where: Path | None = None) -> Path:
    """Write a folder, by default on the shelf of the checkout; files are complete or absent."""
    import yaml
    from safetensors.numpy import save_file

    target = where or shelf.checkout("surrogates") / stored.name
    target.mkdir(parents=True, exist_ok=True)
    save_file({k: _kept(v) for k, v in stored.weights.items()}, target / "weights.safetensors.part")
    (target / "weights.safetensors.part").chmod(0o644)
    (target / "weights.safetensors.part").replace(target / "weights.safetensors")
    text = yaml.safe_dump({"schema": SCHEMA, **stored.config}, sort_keys=False, width=140)
    (target / "config.yaml").write_text(f"# Written by `hwsim train`; do not edit.\n{text}", encoding="utf-8")
    (target / "metrics.json").write_text(json.dumps(stored.metrics, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (target / "card.md").write_text(stored.card, encoding="utf-8")
    _read.cache_clear()
    return target


def _kept(array: np.ndarray) -> np.ndarray:
    """Numbers as float32, places and choices as they are."""
    return np.ascontiguousarray(array, dtype=np.float32 if array.dtype.kind == "f" else array.dtype)
