"""Matrix-vector products: Dense, Conv1D/2D, pointwise, depthwise, EinsumDense, in the strategies latency, resource, unrolled and DA.

Closed forms (n_in, n_out rows and columns of the product, R the effective reuse factor, M = ceil(n_in n_out / R) multipliers):
resource: II = R, latency R + 1 (one more where outputs are demultiplexed), DSP = M when weights have 6 bits or more and data 16,
weight memory M x width bits wide and R deep. latency: the limit M less zeros, DSP = constants of three or more signed digits up to the
limit, the tool schedules what exceeds the limit. Streaming convolutions take every padded pixel once: pixels x (R + overhead).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arrays import Array, floats, somewhere
from hwsim.targets.fpga.digits import glorot_limit, trained_statistics, uniform_statistics
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.templates.common import (
    Base,
    Constants,
    Hardware,
    base_columns,
    block_rams,
    column,
    linear,
    log2ceil,
    pow2ceil,
)

KINDS = frozenset(
    {
        "Dense",
        "Conv1D",
        "Conv2D",
        "PointwiseConv1D",
        "PointwiseConv2D",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "SeparableConv1D",
        "SeparableConv2D",
        "Conv2DTranspose",
        "EinsumDense",
        "Einsum",
    }
)
"""hls4ml's classes that are products with constant weights."""
STRATEGY_CODES = {"latency": 0, "resource": 1, "unrolled": 2, "distributed_arithmetic": 3}
BRAM_WIDTH, BRAM_DEPTH = 36, 512
"""Shape of an 18 Kb block in simple dual port (UG573)."""
DSP_PRODUCT_BITS = 22
"""Bits of both operands together from which the HLS tool takes a DSP slice: 6-bit weights with 16-bit data do, 4-bit weights and 10-bit by
10-bit products do not (csynth; `dsp.product_bits` of another stage)."""
DEMUX_OUTPUTS = 384
"""Outputs beyond which the demultiplexer of a product grows no more: designs of up to 256 outputs were seen, and one of 1,024."""
DSP_DATA_BITS = 27
"""Widest data that a DSP multiplies at once (DSP48E2); products of wider data by constants go to fabric: the cliff of routed designs."""
UNROLL_LIMIT = 4096
"""Most multipliers that Vivado and Vitis HLS unroll."""


@dataclass(frozen=True)
class MatrixColumns(Base):
    """Products with constant weights."""

    n_in: Array
    n_out: Array
    groups: Array
    strategy: Array
    """Code of `STRATEGY_CODES`."""
    reuse: Array
    """Effective reuse factor."""
    instances: Array
    """Copies that work side by side: positions of a convolution in io_parallel over its partitions, parallelization factor."""
    passes: Array
    """Products one after the other in an inference on one copy."""
    pixels: Array
    """Padded input pixels that stream through; 0 where nothing streams."""
    window: Array
    """1 where a kernel larger than a pixel slides over the image."""
    encoded: Array
    """1 with the encoded implementation of streaming convolutions."""
    kernel_rows: Array
    weight_bits: Array
    weight_integer: Array
    bias_bits: Array
    accum_bits: Array
    zeros_frac: Array
    """Share of zero weights; negative where unknown."""
    digits: Array
    """Mean signed digits of a weight; negative where unknown."""
    heavy_frac: Array
    """Share of weights with three or more signed digits; negative where unknown."""
    valid: Any
    """Valid reuse factors of all rows, for sweeps."""


def columns(layers: Sequence[HlsLayer], *, io_stream: bool) -> MatrixColumns:
    """Columns of these layers."""
    from hwsim.targets.fpga.reuse import ValidFactors, layer_factors

    known = [layer.weights for layer in layers]
    return MatrixColumns(
        **base_columns(layers, io_stream=io_stream),
        n_in=column(layers, lambda x: x.n_in),
        n_out=column(layers, lambda x: x.n_out / x.groups),
        groups=column(layers, lambda x: x.groups),
        strategy=column(layers, lambda x: STRATEGY_CODES[x.strategy]),
        reuse=column(layers, lambda x: x.reuse_factor),
        instances=column(layers, lambda x: 1 if io_stream else x.parallelization_factor),
        passes=column(layers, lambda x: 1 if io_stream else max(1, _positions(x) // x.parallelization_factor)),
        pixels=column(layers, lambda x: _padded(x) if io_stream else 0),
        window=column(layers, lambda x: max(x.kernel, default=1) > 1),
        encoded=column(layers, lambda x: x.implementation == "encoded"),
        kernel_rows=column(layers, lambda x: x.kernel[0] if len(x.kernel) == 2 else 1),
        weight_bits=column(layers, lambda x: x.precision["weight"].width),
        weight_integer=column(layers, lambda x: x.precision["weight"].integer),
        bias_bits=column(layers, lambda x: x.precision["bias"].width if x.use_bias and "bias" in x.precision else 0),
        accum_bits=column(layers, lambda x: x.precision.get("accum", x.result).width),
        zeros_frac=np.array([w.zeros_frac if w.known or w.zeros_frac > 0 else -1.0 for w in known]),
        digits=np.array([-1.0 if w.digits is None else w.digits for w in known]),
        heavy_frac=np.array([-1.0 if w.heavy_frac is None else w.heavy_frac for w in known]),
        valid=ValidFactors.of([layer_factors(x) for x in layers]),
    )


def _positions(layer: HlsLayer) -> int:
    """Output positions of a product: pixels of a convolution, rows of a Dense on a matrix."""
    return int(np.prod(layer.out_shape[:-1], dtype=int)) if layer.out_shape else 1


def _padded(layer: HlsLayer) -> int:
    """Pixels that stream in, padding included, and the vectors of a Dense."""
    if not layer.kernel:
        return int(np.prod(layer.in_shape[:-1], dtype=int))
    sizes = list(layer.in_shape[:-1])
    for axis in range(len(layer.padding) // 2):
        sizes[axis] += layer.padding[2 * axis] + layer.padding[2 * axis + 1]
    return int(np.prod(sizes, dtype=int))


@dataclass(frozen=True)
class _Product:
    """Columns after the choices of a sweep, and what follows from them."""

    c: MatrixColumns
    reuse: Array
    weight_bits: Array
    in_bits: Array
    accum_bits: Array
    zeros: Array
    heavy: Array
    """Constants of three or more digits."""
    light_digits: Array
    """Adders of the other constants."""
    multipliers: Array
    """Most multiplications at a time."""


def product(c: MatrixColumns, mapping: Any) -> _Product:
    """Columns after the choices of the mapping, and what follows from them."""
    reuse = c.reuse if isinstance(mapping.reuse_factor, int | float) else c.valid.nearest(mapping.reuse_factor)
    width = c.weight_bits if mapping.weight_width is None else mapping.weight_width
    data = c.in_bits if mapping.result_width is None else mapping.result_width
    accum = c.accum_bits if mapping.result_width is None else mapping.result_width + (c.accum_bits - c.in_bits)
    total = c.n_in * c.n_out
    zeros, digits, heavy = _weights(c, width)
    limit = np.ceil(total / reuse) - np.where(c.strategy == 0, np.floor(total * np.maximum(c.zeros_frac, 0) / reuse), 0)
    light = np.maximum(digits - HEAVY_MEAN * heavy, 0) * total
    return _Product(c, reuse, width, data, accum, zeros * total, heavy * total, light, np.maximum(limit, 1))


def _weights(c: MatrixColumns, width: Array) -> tuple[Array, Array, Array]:
    """Share of zeros, mean digits, share of heavy constants: as known, else as expected of trained or of fresh weights."""
    limit = glorot_limit(c.n_in, c.n_out, width, c.weight_integer)
    zeros, digits, heavy = uniform_statistics(limit)
    trained_digits, trained_heavy = trained_statistics(limit, np.maximum(c.zeros_frac, 0.0))
    trained = c.zeros_frac >= 0
    digits, heavy = np.where(trained, trained_digits, digits), np.where(trained, trained_heavy, heavy)
    return (
        np.where(trained, c.zeros_frac, zeros),
        np.where(c.digits >= 0, c.digits, digits),
        np.where(c.heavy_frac >= 0, c.heavy_frac, heavy),
    )


HEAVY_MEAN = 3.3
"""Mean digits of a constant that has three or more (8 to 14 bits)."""


def branches(p: _Product, *, vitis: bool) -> dict[str, Array]:
    """Which of the templates each row is, as masks of 0 and 1 by name.

    The schedulers of the two tools differ under the latency strategy. No csynth report has resource-strategy products with fewer reuses
    than inputs (`reuse_few`) but in streams, whose coefficients they take.
    """
    c, r = p.c, p.reuse
    streams, tool = c.stream > 0, "vitis" if vitis else "vivado"
    resource, latency = c.strategy == 1, (c.strategy == 0) | (c.strategy == 2)
    parallel = resource & ~streams
    return {
        f"latency_{tool}": latency & ~streams,
        "stream_latency": latency & streams,
        "da": c.strategy == 3,
        "stream_resource": resource & streams,
        "reuse_few": parallel & (r > 1) & (r < c.n_in),
        "unrolled": parallel & (r <= 1),
        "reuse_low": parallel & (r >= c.n_in) & (r > 1) & (r <= 2 * c.n_in),
        "reuse_high": parallel & (r > 2 * c.n_in),
    }


def features(p: _Product, *, multiplier: str = "auto") -> tuple[dict[str, Array], dict[str, Array]]:
    """Bits of hardware that LUT and FF are linear in: (of LUT, of FF) by name, of one copy.

    Weights are in a memory where a resource-strategy product is reused, and constants in the logic elsewhere: the values of weights (zeros,
    signed digits) only count where they are constants, registers and demultiplexers only where they are not.
    """
    c = p.c
    stored = (c.strategy == 1) & (p.reuse > 1)
    constant = 1.0 - stored
    acc, inputs = c.n_out * p.accum_bits, c.n_in * p.in_bits
    moved = p.multipliers * p.accum_bits
    nonzero = constant * (c.n_in * c.n_out - p.zeros)
    in_fabric = 1.0 - takes_dsp(p, multiplier)
    common = {
        "one": np.ones_like(acc),
        "output_bits": acc,
        "product_bits": moved,
        "adder_bits": nonzero * p.accum_bits,
        "digit_bits": constant * p.light_digits * p.in_bits,
        "serial_bits": np.where((c.strategy == 0) & (p.heavy > p.multipliers), nonzero * p.accum_bits, 0.0),
        "all_digit_bits": (c.strategy == 3) * (p.light_digits + HEAVY_MEAN * p.heavy) * p.in_bits,
        "window_bits": c.stream * c.window * inputs,
        "encoded_bits": c.stream * c.encoded * inputs,
    }
    lut = common | {
        "input_bits": stored * inputs,
        "inner_input_bits": stored * inputs * (1 - c.first),
        "narrow_product": stored * p.multipliers * p.in_bits * p.weight_bits * in_fabric,
        "demux": stored * moved * np.minimum(pow2ceil(np.maximum(c.n_out, 32)), DEMUX_OUTPUTS) / 64,
        "outputs_each": stored * moved * np.maximum(p.reuse / c.n_in - 4, 0),
        "heavy_fabric_bits": constant * in_fabric * p.heavy * p.in_bits * p.weight_bits / 2,
    }
    ff = common | {
        "input_bits": inputs,
        "inner_input_bits": inputs * (1 - c.first),
        "weight_register": stored * p.multipliers * p.weight_bits,
        "heavy_bits": constant * p.heavy * p.in_bits,
        "pipeline_bits": acc * log2ceil(c.n_in),
    }
    return lut, ff


def takes_dsp(p: _Product, multiplier: str = "auto", *, product_bits: float = DSP_PRODUCT_BITS) -> Array:
    """1 where products go to DSP slices, 0 where to fabric: by choice, by width, and never by constants of data too wide for a slice."""
    stored = (p.c.strategy == 1) & (p.reuse > 1)
    fits = stored | (p.in_bits <= DSP_DATA_BITS)
    wide = (p.in_bits + p.weight_bits >= product_bits) if multiplier == "auto" else multiplier == "dsp"
    return floats(fits & wide & (p.c.strategy != 3))


def dsp_count(p: _Product, multiplier: str = "auto", *, product_bits: float = DSP_PRODUCT_BITS) -> Array:
    """DSP slices of one copy (products wider than a slice take two)."""
    c = p.c
    wide = np.where((p.weight_bits > DSP_DATA_BITS) | (p.in_bits > DSP_DATA_BITS) | ((p.weight_bits > 18) & (p.in_bits > 18)), 2.0, 1.0)
    constant = np.minimum(np.round(p.heavy), p.multipliers)
    unrolled = np.round(p.heavy)
    used = np.where(c.strategy == 1, np.where(p.reuse <= 1, unrolled, p.multipliers * wide), constant)
    return used * takes_dsp(p, multiplier, product_bits=product_bits)


def weight_bram(p: _Product, constants: Constants) -> Array:
    """18 Kb blocks of the weight memory of one copy: width over 36 bits times depth over 512 words; LUTs where it is shallow.

    Logic synthesis keeps shallower memories in LUTs, and drops the bits that no trained weight uses (`bram.weight_frac`).
    """
    stored = (p.c.strategy == 1) & (p.reuse > constants.get("bram.rom_depth", 1.0))
    bits = p.multipliers * p.weight_bits * constants.get("bram.weight_frac", 1.0)
    found = np.ceil(bits / BRAM_WIDTH) * np.ceil(p.reuse / BRAM_DEPTH)
    limit = constants.get("bram.wide_bits", 0.0)
    if limit:
        seen = (p.c.stream == 0) & (p.reuse > p.c.n_in) & (p.reuse >= BRAM_DEPTH)
        found = np.where(seen, _synthesised_bram(p, limit), found)
    return np.where(stored, found, 0.0)


def _synthesised_bram(p: _Product, limit: float) -> Array:
    """Blocks after logic synthesis where a multiplier goes over the inputs more than once: a table of which output is next, in block RAM.

    Weights are in LUTs unless a word of them is wider than `limit` bits: then every two multipliers share a block a bit.
    Read off two-layer designs of 512 reuses and more (exact in 233 of 313).
    """
    index = block_rams(log2ceil(p.reuse / p.c.n_in), pow2ceil(p.reuse))
    return index + np.where(p.multipliers * p.weight_bits > limit, np.ceil(p.multipliers / 2) * used_bits(p), 0.0)


def used_bits(p: _Product) -> Array:
    """Bits of a weight that values use: fresh weights are small, so their upper bits repeat the sign and synthesis shares them."""
    span = glorot_limit(p.c.n_in, p.c.n_out, p.weight_bits, p.c.weight_integer)
    return np.minimum(p.weight_bits, 1 + np.ceil(np.log2(np.maximum(span, 1.0))))


def window_bram(p: _Product) -> Array:
    """18 Kb blocks of what an image passes through: the FIFO a window element of the encoded implementation."""
    c = p.c
    return np.where((c.stream * c.window * c.encoded > 0) & (c.pixels > 256), c.n_in, 0.0)


def cycles(p: _Product, constants: Constants, *, budget_ns: Array, vitis: bool) -> tuple[Array, Array, Array]:
    """Latency, shortest latency and interval in cycles of all passes."""
    c = p.c
    name = "vitis" if vitis else "vivado"
    levels = np.log2(np.maximum(c.n_in, 1.0))
    depth = np.floor(constants.get(f"depth.{name}.level_ns", 1.0) * levels / budget_ns)
    depth = depth + ((constants.get(f"depth.{name}.product_ns", 0.0) > budget_ns) & (c.n_in > 1))
    waits = np.maximum(np.ceil(np.round(p.heavy) / p.multipliers) - 1, 0)
    scheduled = depth + np.where(p.reuse > 1, waits, 0)
    one_latency = np.where(c.strategy == 1, np.where(p.reuse > 1, p.reuse + 1, np.where(c.n_in * c.n_out > 2048, 1, depth)), scheduled)
    one_interval = np.where(c.strategy == 1, p.reuse, np.minimum(p.reuse, scheduled + 1))
    overhead = constants.get("stream.pixel_cycles", 4.0) + c.encoded
    streams = (c.stream > 0) & (c.pixels > 1)
    slow = np.where(c.strategy == 1, p.reuse + overhead, one_interval)
    latency = np.where(streams, c.pixels * slow + np.where(c.strategy == 1, 0, depth), c.passes * one_interval + one_latency - one_interval)
    fast = np.where(streams & (c.window > 0) & (c.strategy == 1), 2 * c.pixels, latency)
    interval = np.where(streams, latency, c.passes * one_interval)
    return latency, np.minimum(fast, latency), interval


def hardware(c: MatrixColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    """Cycles and resources of the rows."""
    p = product(c, mapping)
    copies, vitis = c.groups * c.instances, mapping.backend.startswith("Vitis")
    latency, fastest, interval = cycles(p, constants, budget_ns=mapping.budget_s * 1e9, vitis=vitis)
    lut_of, ff_of = features(p, multiplier=mapping.multiplier)
    lut = ff = np.zeros_like(p.multipliers)
    for name, mask in branches(p, vitis=vitis).items():
        if somewhere(mask):
            lut = lut + mask * linear(constants, f"{name}.lut", lut_of)
            ff = ff + mask * linear(constants, f"{name}.ff", ff_of)
    return Hardware(
        latency_cycles=latency,
        latency_min_cycles=fastest,
        interval_cycles=interval,
        multipliers=np.where(c.strategy == 3, 0.0, p.multipliers) * copies,
        reuse_factor=p.reuse,
        dsp=dsp_count(p, mapping.multiplier, product_bits=constants.get("dsp.product_bits", DSP_PRODUCT_BITS))
        * copies
        * np.where(c.strategy == 1, 1.0, constants.get("scale.dsp", 1.0)),
        lut=lut * copies,
        ff=ff * copies,
        bram18=(weight_bram(p, constants) + window_bram(p)) * copies,
        uram=np.zeros_like(p.multipliers),
    )


def fit_features(c: MatrixColumns, mapping: Any) -> tuple[dict[str, Array], Mapping[str, Array], Mapping[str, Array]]:
    """What a calibration needs: masks of the branches, features of LUT and of FF."""
    p = product(c, mapping)
    return branches(p, vitis=mapping.backend.startswith("Vitis")), *features(p, multiplier=mapping.multiplier)
