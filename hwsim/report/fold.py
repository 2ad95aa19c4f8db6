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


@dataclass(frozen=True, slots=True)
class View:
    """How layers are folded."""

    depth: int
    """Parts of the path that are kept."""
    together: bool = False
    """Blocks that differ in their number only (`layers.0`, `layers.1` ...) are one row."""

    @property
    def words(self) -> str:
        """For a heading."""
        return f"depth {self.depth}, repeated blocks (*) together" if self.together else f"depth {self.depth}"

    def key(self, layer: Layer) -> str:
        """Name of the block that a layer falls into."""
        if not layer.path:
            return f"({layer.kind})"
        parts = layer.path.split(".")[: self.depth]
        return ".".join("*" if self.together and part.isdigit() else part for part in parts)


def fold(layers: Sequence[Layer], view: View) -> list[Block]:
    """Blocks in the order in which they start."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        found.setdefault(view.key(layer), []).append(layer)
    return [Block(name, tuple(members)) for name, members in found.items()]


DOMINANT = 0.5
"""Share of the time above which a row says too little."""


def default_view(layers: Sequence[Layer], *, most: int = MOST_ROWS) -> View:
    """The deepest fold of at most `most` rows; repeated blocks together where one row would hold most of the time."""
    plain = _deepest(layers, most=most, together=False)
    largest = max((block.latency_s for block in fold(layers, plain)), default=0.0)
    if largest <= DOMINANT * sum(layer.latency_s for layer in layers):
        return plain
    together = _deepest(layers, most=most, together=True)
    return together if together.depth > plain.depth else plain


def _deepest(layers: Sequence[Layer], *, most: int, together: bool) -> View:
    deepest = max((layer.path.count(".") + 1 for layer in layers), default=1)
    views = (View(depth, together) for depth in range(deepest, 1, -1))
    return next((view for view in views if len({view.key(layer) for layer in layers}) <= most), View(1, together))


def slowest(blocks: Sequence[Block], *, top: int) -> tuple[list[Block], Block | None]:
    """The `top` slowest blocks, still in order, and the others as one block (None where there are none)."""
    if len(blocks) <= top:
        return list(blocks), None
    kept = set(sorted(range(len(blocks)), key=lambda i: -blocks[i].latency_s)[:top])
    rest = [b for i, b in enumerate(blocks) if i not in kept]
    others = Block(f"({len(rest)} others)", tuple(layer for b in rest for layer in b.layers))
    return [b for i, b in enumerate(blocks) if i in kept], others
