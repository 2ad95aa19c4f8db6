"""Layers folded by block: kernels under one module path as one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.estimate import Layer

MOST_ROWS = 25


@dataclass(frozen=True)
class Block:
    """The kernels below one module path, or of one kind where they have no path."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def latency_s(self) -> float:
        """Summed time."""
        return sum(layer.latency_s for layer in self.layers)

    @property
    def energy_j(self) -> float:
        """Summed energy."""
        return sum(layer.energy_j for layer in self.layers)

    @property
    def macs(self) -> int:
        """Summed multiply-accumulates."""
        return sum(layer.macs for layer in self.layers)

    @property
    def bytes_b(self) -> float:
        """Bytes read and written."""
        return sum(layer.read_b + layer.written_b for layer in self.layers)

    @cached_property
    def bound(self) -> str:
        """What binds most of its time."""
        return max(shares, key=shares.__getitem__) if (shares := bound_times(self.layers)) else ""


def bound_times(layers: Iterable[Layer]) -> dict[str, float]:
    """Time by what binds it."""
    times: dict[str, float] = {}
    for layer in layers:
        times[layer.bound] = times.get(layer.bound, 0.0) + layer.latency_s
    return times


def fold(layers: Sequence[Layer], *, depth: int) -> list[Block]:
    """Blocks in the order in which they start; `depth` counts the parts of the path that are kept."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        found.setdefault(_key(layer, depth), []).append(layer)
    return [Block(name, tuple(members)) for name, members in found.items()]


def _key(layer: Layer, depth: int) -> str:
    return ".".join(layer.path.split(".")[:depth]) if layer.path else f"({layer.kind})"


def default_depth(layers: Sequence[Layer], *, most: int = MOST_ROWS) -> int:
    """The deepest fold of at most `most` rows, or 1."""
    deepest = max((layer.path.count(".") + 1 for layer in layers), default=1)
    return next((d for d in range(deepest, 1, -1) if len({_key(layer, d) for layer in layers}) <= most), 1)


def slowest(blocks: Sequence[Block], *, top: int) -> tuple[list[Block], Block | None]:
    """The `top` slowest blocks, still in order, and the others as one block (None where there are none)."""
    if len(blocks) <= top:
        return list(blocks), None
    kept = set(sorted(range(len(blocks)), key=lambda i: -blocks[i].latency_s)[:top])
    rest = [b for i, b in enumerate(blocks) if i not in kept]
    others = Block(f"({len(rest)} others)", tuple(layer for b in rest for layer in b.layers))
    return [b for i, b in enumerate(blocks) if i in kept], others
