"""Entry points: targets, front ends, passes and surrogates, our own and other people's alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from hwsim.errors import PluginClash, UnknownName

GROUPS = ("hwsim.targets", "hwsim.frontends", "hwsim.passes", "hwsim.surrogates")


@cache
def available(group: str) -> Mapping[str, EntryPoint]:
    """Name to entry point of one group; nothing is imported.

    Raises:
        PluginClash: two distributions give the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise PluginClash(
                f"{group}: the name {point.name!r} is registered twice, by {_owner(other)} and by {_owner(point)}; "
                "uninstall one of them or rename its entry point"
            )
    return MappingProxyType(found)


def _owner(point: EntryPoint) -> str:
    dist = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
    return f"{dist} ({point.value})"


@cache
def load(group: str, name: str) -> Any:
    """The object behind an entry point, imported once.

    Raises:
        UnknownName: no such entry.
    """
    points = available(group)
    if name not in points:
        raise UnknownName(group.removeprefix("hwsim.").removesuffix("s"), name, points)
    return points[name].load()
