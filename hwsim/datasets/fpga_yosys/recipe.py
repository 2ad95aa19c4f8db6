"""The sampled list of designs: the same list for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hwsim.datasets.fpga_yosys.build import Job
from hwsim.datasets.fpga_yosys.design import Design, valid_reuse
from hwsim.datasets.fpga_yosys.netlist import levels

SEED = 20
SHAPES = (
    (4, 4), (8, 4), (8, 8), (12, 8), (16, 8), (16, 16), (10, 5), (20, 10), (24, 12), (32, 8), (32, 16),
    (32, 32), (8, 32), (16, 32), (4, 16), (5, 10), (6, 20), (16, 5), (64, 8), (9, 9), (12, 24), (48, 6),
)  # fmt: skip
COUNTS = {
    "dense_resource": 150, "dense_latency": 90, "conv2d": 42, "conv1d": 28, "dense_da": 36, "mlp_da": 12,
    "table": 18, "relu": 10, "add": 10, "maxpool": 10,
}  # fmt: skip
"""Designs a template."""
MOST_MULTIPLIERS = 96
MOST_CONSTANTS = 288
Draw = Callable[[Sequence[Any]], Any]


def jobs(*, family: str = "all", seed: int = SEED, every_xc7: int = 8, every_timing: int = 13) -> list[Job]:
    """All jobs, templates mixed so that a part of the list is a sample of the whole.

    Args:
        family: xcup, xc7, or all: every design on xcup and one in `every_xc7` on xc7 too.
        seed: of the sampling.
        every_xc7: see `family`.
        every_timing: one design in so many gets a frequency.
    """
    found = designs(seed=seed)
    listed = []
    for n, design in enumerate(found):
        if family != "all":
            listed.append(Job(design, family, n % every_timing == 0))
            continue
        listed.append(Job(design, "xcup", n % every_timing == 0))
        if n % every_xc7 == 0:
            listed.append(Job(design, "xc7"))
    return listed


def designs(*, seed: int = SEED) -> list[Design]:
    """The designs, each once, in a shuffled order."""
    found = {d.name: d for template, count in COUNTS.items() for d in _some(template, count, seed)}
    order = np.random.default_rng([seed, 999]).permutation(len(found))
    listed = list(found.values())
    return [listed[i] for i in order]


def _some(template: str, count: int, seed: int) -> Iterator[Design]:
    random = np.random.default_rng([seed, list(COUNTS).index(template)])

    def draw(choices: Sequence[Any]) -> Any:
        return choices[int(random.integers(len(choices)))]

    for n in range(count):
        yield SAMPLERS[template](draw, n)


def _dense_resource(draw: Draw, n: int) -> Design:
    n_in, n_out = SHAPES[n % len(SHAPES)]
    reuse = draw(_reuses(n_in, n_out))
    return Design("dense_resource", n_in, n_out, reuse=reuse, seed=n, **_formats(draw, n_in))


def _reuses(n_in: int, n_out: int) -> list[int]:
    product = n_in * n_out
    return [r for r in range(2, product + 1) if valid_reuse(n_in, n_out, r) and product // r <= MOST_MULTIPLIERS]


def _formats(draw: Draw, n_in: int) -> dict[str, Any]:
    kind = draw(("dsp", "dsp", "dsp", "fabric"))
    x, w = (
        draw((4, 5, 6, 8, 10, 12, 16)[: 4 if kind == "fabric" else 7]),
        draw((2, 3, 4, 5, 6, 8, 10, 12, 16)[: 6 if kind == "fabric" else 9]),
    )
    acc = x + w + levels(n_in) + draw((1, 1, 1, -4))
    return {
        "input_bits": x, "weight_bits": w, "acc_bits": acc, "relu": draw((False, True)), "rom_style": draw(("logic", "block")),
        "density": draw((1.0, 1.0, 0.7)), "multiplier": kind,
    }  # fmt: skip


def _constants(draw: Draw, n_in: int) -> dict[str, Any]:
    kind = draw(("fabric", "fabric", "dsp"))
    x, w = draw((8, 10, 12, 16) if kind == "dsp" else (4, 5, 6, 8, 10, 12)), draw((2, 3, 4, 5, 6, 8, 10))
    return {
        "input_bits": x, "weight_bits": w, "acc_bits": x + w + levels(n_in) + 1, "relu": draw((False, True)), "multiplier": kind,
        "density": draw((1.0, 0.75, 0.5, 0.25)),
    }  # fmt: skip


def _dense_latency(draw: Draw, n: int) -> Design:
    shapes = [s for s in SHAPES if s[0] * s[1] <= MOST_CONSTANTS]
    n_in, n_out = shapes[n % len(shapes)]
    return Design("dense_latency", n_in, n_out, seed=n, **_constants(draw, n_in))


def _conv(template: str) -> Callable[[Draw, int], Design]:
    def sample(draw: Draw, n: int) -> Design:
        flat = template == "conv1d"
        kernel, channels, filters = draw((2, 3, 5) if flat else (1, 2, 3)), draw((1, 2, 3, 4)), draw((2, 4, 6, 8))
        n_in = kernel * channels * (1 if flat else kernel)
        height, width = 1 if flat else draw((4, 6, 9)), draw((8, 12, 16, 24))
        if n % 3 == 0:
            chosen = {**_constants(draw, n_in), "rom_style": draw(("logic", "block"))}
        else:
            reuses = [r for r in _reuses(n_in, filters) if n_in * filters // r <= 48] or [1]
            chosen = {**_formats(draw, n_in), "reuse": draw(reuses)}
        shape = {"kernel": kernel, "channels": channels, "height": height, "width": width}
        return Design(template, n_in, filters, seed=n, **shape, **chosen)

    return sample


def _dense_da(draw: Draw, n: int) -> Design:
    n_in, n_out = SHAPES[n % len(SHAPES)]
    x, w = draw((4, 6, 8, 10)), draw((2, 3, 4, 6, 8))
    return Design(
        "dense_da", n_in, n_out, x, w, acc_bits=x + w + levels(n_in) + 1, relu=draw((False, True)), density=draw((1.0, 0.6, 0.3)), seed=n
    )


def _mlp_da(draw: Draw, n: int) -> Design:
    """Small perceptrons; every third is the jet tagger's 16-64-32-32-5."""
    hidden = (64, 32, 32) if n % 3 == 0 else draw(((16,), (32, 16), (16, 16), (24, 12, 8)))
    x, w = draw((5, 6, 8)), draw((3, 4, 5))
    density = draw((0.2, 0.3)) if n % 3 == 0 else draw((0.3, 0.6, 1.0))
    return Design("mlp_da", 16, 5, x, w, acc_bits=x + w + 6, density=density, hidden=hidden, seed=n)


def _table(draw: Draw, n: int) -> Design:
    count = draw((1, 2, 4, 8))
    return Design("table", count, count, draw((5, 6, 7, 8, 9, 10)), draw((6, 8, 10, 12)), rom_style=("logic", "block")[n % 2], seed=n)


def _relu(draw: Draw, n: int) -> Design:
    count, x = draw((4, 8, 16, 32)), draw((6, 8, 12, 16))
    return Design("relu", count, count, x, acc_bits=draw((x // 2, x - 2, x)), seed=n)


def _reduction(template: str) -> Callable[[Draw, int], Design]:
    def sample(draw: Draw, n: int) -> Design:
        return Design(template, draw((2, 3, 4, 8)), draw((1, 4, 8, 16)), draw((4, 8, 12, 16)), seed=n)

    return sample


SAMPLERS: dict[str, Callable[[Draw, int], Design]] = {
    "dense_resource": _dense_resource,
    "dense_latency": _dense_latency,
    "conv2d": _conv("conv2d"),
    "conv1d": _conv("conv1d"),
    "dense_da": _dense_da,
    "mlp_da": _mlp_da,
    "table": _table,
    "relu": _relu,
    "add": _reduction("add"),
    "maxpool": _reduction("maxpool"),
}
