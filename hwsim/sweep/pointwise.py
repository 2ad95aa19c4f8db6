"""Costs of any points, whatever their order: for plots, sensitivities and search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.errors import HwsimError
from hwsim.estimate import Estimate
from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.engine import plain_metrics
from hwsim.sweep.measure import OVER
from hwsim.sweep.space import LAYERS, Outer, Space, chosen


def metrics(block: Block, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All metrics of points of a block, `(points,)` each.

    Args:
        columns: values of the inner axes, as `Space.columns` gives them.
    """
    return {name: values for name, values in plain_metrics(block, columns).items() if not name.startswith(OVER)}


@dataclass
class Evaluator:
    """Costs points of a space given by values; keeps the programs that it has lowered."""

    space: Space
    preparing: Preparing = field(default_factory=Preparing)
    blocks: dict[Any, Block | str] = field(default_factory=dict)
    """By outer choices; the reason where a program cannot be built."""
    most: int = 512
    """Programs that are kept."""

    def __call__(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Metrics of points, `(points,)` each; not a number where the network or its program cannot be built.

        Args:
            columns: values of every axis, `(points,)` each.
        """
        count = len(next(iter(columns.values()))) if columns else 1
        names = [a.name for a in self.space.outer_axes]
        rows = list(zip(*(columns[n].tolist() for n in names), strict=True)) if names else [()] * count
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, row in enumerate(rows):
            groups.setdefault(row, []).append(i)
        parts = [(np.array(places), self._costs(dict(zip(names, row, strict=True)), columns, places)) for row, places in groups.items()]
        return _scattered(parts, count)

    def _costs(self, choices: Mapping[str, Any], columns: Mapping[str, np.ndarray], places: list[int]) -> Mapping[str, np.ndarray]:
        block = self.block(choices)
        if isinstance(block, str):
            return {}
        inner = {a.name: np.asarray(columns[a.name])[places] for a in self.space.inner_axes}
        found = metrics(block, inner)
        return found if inner else {n: np.repeat(v, len(places)) for n, v in found.items()}

    def block(self, choices: Mapping[str, Any]) -> Block | str:
        """The block of these outer choices, or why there is none."""
        key = tuple(choices.items())
        if key not in self.blocks:
            while len(self.blocks) >= self.most:
                self.blocks.pop(next(iter(self.blocks)))
            self.blocks[key] = self._prepared(choices)
        return self.blocks[key]

    def _prepared(self, choices: Mapping[str, Any]) -> Block | str:
        inner = Space(self.space.base, self.space.inner_axes, self.space.sampling, self.space.samples, self.space.seed)
        try:
            return self.preparing(Outer(chosen(self.space.base, choices), choices, inner, 0))
        except HwsimError as error:
            return str(error)

    def at(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Axes and metrics of the points of these global indices."""
        columns = self.space.at(index)
        return {**columns, **self(columns)}


def _scattered(parts: list[tuple[np.ndarray, Mapping[str, np.ndarray]]], count: int) -> dict[str, np.ndarray]:
    names = dict.fromkeys(n for _, found in parts for n in found)
    filled = {n: np.full(count, np.nan) for n in names}
    for places, found in parts:
        for name, values in found.items():
            filled[name][places] = values
    if "fits" in filled:
        filled["fits"] = filled["fits"] == 1
    return filled


def spread(space: Space, count: int, *, seed: int = 0, most_blocks: int = 64) -> np.ndarray:
    """Global indices of up to `count` points drawn evenly from a space, from at most `most_blocks` programs; sorted."""
    if space.count <= count and space.outer_count <= most_blocks:
        return np.arange(space.count, dtype=np.int64)
    rng = np.random.default_rng(seed)
    blocks = np.arange(space.outer_count) if space.outer_count <= most_blocks else rng.choice(space.outer_count, most_blocks, replace=False)
    each = max(1, count // len(blocks))
    inner = [_draw(rng, space.inner_count, each) + int(b) * space.inner_count for b in blocks]
    return np.sort(np.concatenate(inner))


def _draw(rng: np.random.Generator, count: int, most: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) if count <= most else np.unique(rng.integers(0, count, most))


def estimate(space: Space, axes: Mapping[str, Any]) -> Estimate:
    """The whole estimate of one point, as `hwsim.estimate` gives it, with its layers and intervals.

    Args:
        axes: value of every axis, SI.

    Raises:
        InputError: the point cannot be built.
    """
    from hwsim import api
    from hwsim.sweep.blocks import mapping_of

    base = chosen(space.base, {a.name: axes[a.name] for a in space.outer_axes})
    values = {a.name: axes[a.name] for a in space.inner_axes}
    device = {n.removeprefix("device."): v for n, v in values.items() if n.startswith("device.")}
    plain = {n.removeprefix("mapping."): _whole(v) for n, v in values.items() if n.startswith("mapping.") and not n.endswith("]")}
    layers = {n.removeprefix("mapping."): _whole(v) for n, v in values.items() if n.endswith("]")}
    by_layer = {**base.mapping.get(LAYERS, {}), **layers}
    options = {**base.mapping, **plain, **({LAYERS: by_layer} if by_layer else {})}
    target, found = api.find(base.device, overrides={**base.set, **device})
    graph = Preparing().graph(base)
    return api.estimated(graph, target, found, mapping=mapping_of(target, graph, options))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
