"""The three shelves: content that people add without touching code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwsim import yaml12
from hwsim.errors import HwsimError, InputError, UnknownName
from hwsim.quantities import Quantity, decode

SHELVES = ("targets", "surrogates", "datasets")
_PACKAGE = Path(__file__).parent


def checkout(shelf: str) -> Path:
    """The folder of a shelf: the wheel's copy, else that of the checkout.

    Raises:
        HwsimError: neither exists.
    """
    for folder in (_PACKAGE / "_data" / shelf, _PACKAGE.parent / shelf):
        if folder.is_dir():
            return folder
    raise HwsimError(f"the shelf {shelf!r} is neither in the package nor beside it; install hwsim again")


def folders(shelf: str) -> list[Path]:
    """Folders to look in, first match wins: those of `HWSIM_PATH` (each with the shelves inside), then our own."""
    extra = [Path(p) / shelf for p in os.environ.get("HWSIM_PATH", "").split(os.pathsep) if p]
    return [*(p for p in extra if p.is_dir()), checkout(shelf)]


@cache
def _index(shelf_folders: tuple[Path, ...]) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for folder in shelf_folders:
        for path in sorted(folder.glob("*/*.yaml")):
            other = found.setdefault(path.stem, path)
            if other != path and other.parent.parent == folder:
                raise InputError(f"two devices are called {path.stem!r}: {other} and {path}; rename one of them")
    return MappingProxyType(found)


@cache
def _aliases(shelf_folders: tuple[Path, ...]) -> Mapping[str, str]:
    """Other names of devices (`aliases:`, such as the driver's) and all names in lower case; only read when a name is on no list."""
    found = {name.casefold(): name for name in _index(shelf_folders)}
    for name, path in _index(shelf_folders).items():
        content = yaml12.load(path)
        for alias in (content.get("aliases") or ()) if isinstance(content, Mapping) else ():
            found.setdefault(str(alias).casefold(), name)
    return MappingProxyType(found)


def devices(family: str | None = None) -> Mapping[str, Path]:
    """Device name to file, of one family or of all."""
    index = _index(tuple(folders("targets")))
    return index if family is None else {name: path for name, path in index.items() if path.parent.name == family}


def find(name: str, *, family: str | None = None) -> Path:
    """The file that describes a device: by name, by another name that it goes by, or a path to a YAML file.

    >>> find("NVIDIA H200").stem
    'h200-sxm'

    Raises:
        UnknownName: no such device.
        InputError: no such file, or two files of one name.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"no device file {name!r}; expected a path to a YAML file, or a name from `hwsim targets list`")
        return path
    known = devices(family)
    if name not in known:
        proper = _aliases(tuple(folders("targets"))).get(name.casefold(), name)
        if proper not in known:
            raise UnknownName("device", name, known)
        return known[proper]
    return known[name]


def family_of(name: str) -> str:
    """The family of a device, from its folder or its file's `family:` (or that of what it extends).

    Raises:
        UnknownName: no such device.
    """
    from hwsim import plugins

    families = plugins.available("hwsim.targets")
    if not name.endswith((".yaml", ".yml")):
        if name in (known := devices()):
            return known[name].parent.name
        for family in families:
            if name in plugins.load("hwsim.targets", family).devices():
                return family
    path = find(name)
    if path.parent.name in families and path in devices(path.parent.name).values():
        return path.parent.name
    content = yaml12.load(path)
    if isinstance(content, Mapping) and "family" in content:
        return str(content["family"])
    if isinstance(content, Mapping) and "extends" in content:
        return family_of(str(content["extends"]))
    raise InputError(f"{name}: says neither `family:` nor `extends:`; expected one of them, families are {', '.join(families)}")


def description(name: str, *, family: str) -> dict[str, Any]:
    """The YAML of a device with what it extends merged in, `fields` and `sources` key by key.

    A field keeps the citation of the file that states it, and names are not inherited.

    Raises:
        UnknownName: no such device.
        InputError: a circle of `extends:`, or not a mapping.
    """
    merged: dict[str, Any] = {"sources": {}, "fields": {}}
    for content in reversed(list(_lineage(name, family))):
        sources = {**merged["sources"], **_section(content, "sources", name)}
        given = {"sources": sources, "fields": {**merged["fields"], **_cited(_section(content, "fields", name), sources)}}
        merged = {k: v for k, v in merged.items() if k not in _OWN} | {k: v for k, v in content.items() if k != "extends"} | given
    return merged


_OWN = ("name", "aliases", "summary", "released")
"""What a description says of itself only, not of those that extend it."""


def _cited(fields: Mapping[str, Any], sources: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with the short keys of their sources replaced by the citations."""
    return {
        key: {**raw, "source": sources.get(str(raw["source"]), raw["source"])} if isinstance(raw, Mapping) and "source" in raw else raw
        for key, raw in fields.items()
    }


def _section(content: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    section = content.get(key) or {}
    if not isinstance(section, dict):
        raise InputError(f"{name}: `{key}:` is {section!r}; expected a mapping")
    return section


@lru_cache(maxsize=256)
def _parsed(path: Path, _changed_ns: int) -> Any:
    """The YAML of a file, read again only when it changed."""
    return yaml12.load(path)


def _lineage(name: str, family: str) -> Iterator[dict[str, Any]]:
    seen: dict[Path, str] = {}
    following: str | None = name
    while following is not None:
        path = find(following, family=family)
        if path.resolve() in seen:
            raise InputError(f"device {name!r} extends itself: {' -> '.join([*seen.values(), following])}")
        seen[path.resolve()] = following
        content = _parsed(path, path.stat().st_mtime_ns)
        if not isinstance(content, dict):
            raise InputError(f"{following}: found {type(content).__name__}; expected a mapping with `fields:`")
        yield content
        following = _extended(content, path)


def _extended(content: Mapping[str, Any], path: Path) -> str | None:
    """The device that a description extends; a relative path is looked for beside the description first."""
    parent = content.get("extends")
    if parent is not None and not isinstance(parent, str):
        raise InputError(f"{path}: `extends:` is {parent!r}; expected the name of a device, or a path to its YAML file")
    if parent and parent.endswith((".yaml", ".yml")) and (path.parent / parent).is_file():
        return str(path.parent / parent)
    return parent


@cache
def fitted(family: str, name: str) -> Mapping[str, Quantity]:
    """Fitted constants of a family by field, from `targets/<family>/fitted/<name>.yaml`; empty where the file is absent."""
    path = checkout("targets") / family / "fitted" / f"{name}.yaml"
    if not path.exists():
        return MappingProxyType({})
    content = yaml12.load(path)
    where, sources = f"{family}/fitted/{name}", content.get("sources") or {}
    constants = {key: decode(key, raw, unit="", sources=sources, where=where) for key, raw in content["constants"].items()}
    return MappingProxyType(constants)


@cache
def validation(family: str) -> Mapping[str, Any]:
    """Domains of validated accuracy of a family, from `targets/<family>/fitted/validation.yaml`."""
    path = checkout("targets") / family / "fitted" / "validation.yaml"
    return MappingProxyType(yaml12.load(path)["domains"] if path.exists() else {})
