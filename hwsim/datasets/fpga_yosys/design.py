"""Design: the parameters of one generated circuit, its seeded integer weights, and what numpy says that it computes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName

TEMPLATES = ("dense_resource", "dense_latency", "conv1d", "conv2d", "dense_da", "mlp_da", "table", "relu", "add", "maxpool")
ROM_STYLES = ("logic", "block")
MULTIPLIERS = ("dsp", "fabric")


@dataclass(frozen=True)
class Design:
    """One circuit. All numbers are signed integers; a fixed-point network is one with its binary points moved."""

    template: str
    n_in: int
    """Inputs of the matrix-vector product (kernel area x channels of a convolution); lanes; elements of a sum or maximum."""
    n_out: int
    """Outputs: neurons, filters, lanes."""
    input_bits: int
    weight_bits: int = 0
    """Also the width of what a table holds."""
    reuse: int = 1
    """1: constants; otherwise weights in a ROM and n_in * n_out / reuse multipliers."""
    acc_bits: int = 0
    """Width of accumulator and output, which wrap."""
    relu: bool = False
    density: float = 1.0
    """Share of weights that may differ from zero."""
    rom_style: str = "logic"
    """Where weights, tables and line buffers lie: LUTs (line buffers: LUT RAM) or block RAM."""
    multiplier: str = "dsp"
    kernel: int = 1
    channels: int = 1
    height: int = 1
    width: int = 1
    """Height and width of the image of a convolution, without padding."""
    hidden: tuple[int, ...] = ()
    """Widths of the hidden layers of an MLP."""
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, known in (
            ("template", self.template, TEMPLATES),
            ("ROM style", self.rom_style, ROM_STYLES),
            ("multiplier", self.multiplier, MULTIPLIERS),
        ):
            if value not in known:
                raise UnknownName(what, value, known)
        if self.n_in < 1 or self.n_out < 1 or self.input_bits < 2:
            raise InputError(f"{self.name}: {self.n_in} inputs of {self.input_bits} bits, {self.n_out} outputs; expected 1, 2, 1 or more")
        if not valid_reuse(self.n_in, self.n_out, self.reuse):
            raise InputError(
                f"{self.name}: reuse {self.reuse} with {self.n_in} x {self.n_out} weights; "
                "expected a divisor of the inputs, or the inputs times a divisor of the outputs"
            )

    @property
    def name(self) -> str:
        """A name that differs wherever a parameter does."""
        key = hashlib.sha1(repr(sorted(asdict(self).items())).encode(), usedforsecurity=False).hexdigest()[:8]
        return f"{self.template}_{self.n_in}x{self.n_out}_r{self.reuse}_w{self.weight_bits}_{key}"

    @cached_property
    def weights(self) -> np.ndarray:
        """Integer weights, `(n_in, n_out)`; row order of a convolution is (kernel row, kernel column, channel)."""
        return integers(self._random(1), (self.n_in, self.n_out), self.weight_bits, self.density)

    @cached_property
    def bias(self) -> np.ndarray:
        """Integer biases `(n_out,)`, as wide as half the accumulator at most."""
        return integers(self._random(2), (self.n_out,), max(2, min(self.weight_bits, self.acc_bits // 2)), 1.0)

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def record(self) -> dict[str, Any]:
        """The parameters as flat columns."""
        return {**asdict(self), "relu": int(self.relu), "hidden": "-".join(map(str, self.hidden)), "name": self.name}


def valid_reuse(n_in: int, n_out: int, reuse: int) -> bool:
    """Whether the ROM-fed dense circuit can have this reuse factor."""
    if reuse < 1:
        return False
    return n_in % reuse == 0 if reuse <= n_in else reuse % n_in == 0 and n_out % (reuse // n_in) == 0


def integers(random: np.random.Generator, shape: tuple[int, ...], bits: int, density: float) -> np.ndarray:
    """Uniform signed integers of `bits` bits without the most negative one; a share of `1 - density` is zero besides."""
    high = 2 ** (bits - 1) - 1 if bits else 0
    values = random.integers(-high, high, shape, endpoint=True)
    return np.where(random.random(shape) < density, values, 0).astype(np.int64)


def wrap(values: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of `bits` bits."""
    half = np.int64(1) << (bits - 1)
    return ((values + half) & (2 * half - 1)) - half


def dense(x: np.ndarray, design: Design) -> np.ndarray:
    """What a dense circuit computes of `(vectors, n_in)`: `(vectors, n_out)`."""
    total = wrap(x @ design.weights + design.bias, design.acc_bits)
    return np.maximum(total, 0) if design.relu else total


def windows(images: np.ndarray, kernel: int, *, rows: int) -> np.ndarray:
    """Valid windows of `(images, height, width, channels)`: `(images, positions, rows * kernel * channels)`, row-major."""
    view = np.lib.stride_tricks.sliding_window_view(images, (rows, kernel), axis=(1, 2))
    return np.moveaxis(view, 3, 5).reshape(len(images), view.shape[1] * view.shape[2], -1)


def table(design: Design) -> np.ndarray:
    """Contents of an activation table: a sigmoid of inputs in [-8, 8) by address, unsigned input pattern first."""
    address = np.arange(2**design.input_bits)
    x = wrap(address, design.input_bits) * 8.0 / 2 ** (design.input_bits - 1)
    return np.round((2 ** (design.weight_bits - 1) - 1) / (1 + np.exp(-x))).astype(np.int64)


def stimuli(design: Design, count: int) -> np.ndarray:
    """Random inputs: `(count, n_in)`, or `(count, height, width, channels)` of a convolution."""
    shape = (design.height, design.width, design.channels) if design.template.startswith("conv") else (lanes(design),)
    high = 2 ** (design.input_bits - 1)
    return design._random(3).integers(-high, high - 1, (count, *shape), endpoint=True)


def lanes(design: Design) -> int:
    """Numbers that enter at once."""
    if design.template.startswith("conv"):
        return design.channels
    return design.n_in * design.n_out if design.template in ("add", "maxpool") else design.n_in


def expected(design: Design, x: np.ndarray) -> np.ndarray:
    """What the circuit must answer to `stimuli`: `(answers, n_out)` in the order in which it gives them."""
    t = design.template
    if t.startswith("conv"):
        return dense(windows(x, design.kernel, rows=design.kernel if t == "conv2d" else 1), design).reshape(-1, design.n_out)
    if t == "table":
        return table(design)[x & (2**design.input_bits - 1)]
    if t == "relu":
        return np.minimum(np.maximum(x, 0), 2 ** (design.acc_bits - 1) - 1)
    if t in ("add", "maxpool"):
        parts = x.reshape(len(x), design.n_out, design.n_in)
        return parts.sum(2) if t == "add" else parts.max(2)
    return dense(x, design)
