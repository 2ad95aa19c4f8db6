"""The sampled list of chains: the same list for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.datasets.fpga_yosys.chain import Chain
from hwsim.datasets.fpga_yosys.design import Design, valid_reuse
from hwsim.datasets.fpga_yosys.netlist import levels

SEED = 21
WIDTHS = (4, 5, 6, 8, 10, 12, 16)
MOST_MULTIPLIERS = 16
"""Of a layer with reuse."""
MOST_CONSTANTS = 96
"""Weights of a layer of constants."""
DEEP_EVERY = 5
"""One chain in so many has three layers or more."""
DEEPEST = 20
Draw = Callable[[Sequence[Any]], Any]


def chains(*, seed: int = SEED) -> Iterator[Chain]:
    """Chains without end, each once: four of one or two layers, then one of 3 ... 20."""
    known: set[str] = set()
    n = 0
    while True:
        random = np.random.default_rng([seed, n])

        def draw(choices: Sequence[Any], random: np.random.Generator = random) -> Any:
            return choices[int(random.integers(len(choices)))]

        depth = draw(range(3, DEEPEST + 1)) if n % DEEP_EVERY == DEEP_EVERY - 1 else draw((1, 2, 2))
        made = (_resource if draw((True, True, False)) else _latency)(draw, depth, n)
        n += 1
        if made.name not in known:
            known.add(made.name)
            yield made


def _resource(draw: Draw, depth: int, n: int) -> Chain:
    """Weights in a ROM; formats of the whole chain, and of single layers in every second one."""
    widths = [draw(WIDTHS) for _ in range(depth + 1)]
    common, mixed, styles = (draw((4, 6, 8, 10, 12)), draw((3, 4, 6, 8))), draw((False, True)), draw((("logic",), ("logic", "block")))
    multiplier = draw(("dsp", "dsp", "fabric"))
    layers = []
    for at, (n_in, n_out) in enumerate(pairwise(widths)):
        x, w = (draw((4, 5, 6, 8, 10, 12)), draw((2, 3, 4, 5, 6, 8))) if mixed else common
        shared = {"relu": _relu(draw, at, depth), "density": draw((1.0, 1.0, 0.7)), "rom_style": draw(styles)}
        reuse = draw([r for r in range(2, n_in * n_out + 1) if valid_reuse(n_in, n_out, r) and n_in * n_out // r <= MOST_MULTIPLIERS])
        acc = x + w + levels(n_in) + draw((1, 1, 1, -3))
        seed = 100 * n + at
        layers.append(Design("dense_resource", n_in, n_out, x, w, reuse, acc, multiplier=multiplier, seed=seed, **shared))
    return Chain(tuple(layers))


def _relu(draw: Draw, at: int, depth: int) -> bool:
    """Mostly between layers, seldom after the last."""
    return draw((True, True, True, False)) if at + 1 < depth else draw((False, False, True))


def _latency(draw: Draw, depth: int, n: int) -> Chain:
    """Constants in a pipelined tree; a layer has as many weights as `MOST_CONSTANTS` allows."""
    widths = [draw(WIDTHS)]
    for _ in range(depth):
        widths.append(draw([w for w in WIDTHS if w * widths[-1] <= MOST_CONSTANTS]))
    common, mixed, density = (draw((4, 6, 8, 10)), draw((3, 4, 6, 8))), draw((False, True)), draw((1.0, 0.75, 0.5, 0.25))
    multiplier = draw(("fabric", "fabric", "dsp"))
    layers = []
    for at, (n_in, n_out) in enumerate(pairwise(widths)):
        x, w = (draw((4, 5, 6, 8, 10)), draw((2, 3, 4, 5, 6, 8))) if mixed else common
        acc = x + w + levels(n_in) + 1
        plain = {"relu": _relu(draw, at, depth), "density": density, "multiplier": multiplier, "seed": 100 * n + at}
        layers.append(Design("dense_latency", n_in, n_out, x, w, acc_bits=acc, **plain))
    return Chain(tuple(layers))
