"""Stage `yosys`: cycles and resources of the circuits that `hwsim datasets build fpga-yosys` generates.

Cycles, DSP and block RAM follow from the structure of the circuits. Flip-flops are counted register by register; LUTs are a sum of
structural counts (adder bits, multiplexer inputs, ROM words, partial products) with one fitted coefficient each. All functions are pure
and broadcast; the last axis is circuits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.fpga.stages.arithmetic import block_rams, dsp_tiles, levels, multiplier_luts, tree_bits

TEMPLATES = ("dense_resource", "dense_latency", "conv1d", "conv2d", "dense_da", "table", "relu", "add", "maxpool")
"""Template of a row, by its code."""
DSP_PRODUCT_BITS = 9
"""Narrowest product for which Yosys takes a DSP block (`synth_xilinx`: DSP_Y_MINWIDTH)."""
DA_CUTOFF = 4
"""Adders in a row between two registers of distributed arithmetic."""
ROM_WORDS = 64
"""Words of one bit that a LUT holds."""
Features = dict[str, Array]


@dataclass(frozen=True)
class CircuitColumns:
    """Circuits, shape `(circuits,)` or anything that broadcasts with it."""

    template: Array
    """Code into `TEMPLATES`."""
    n_in: Array
    """Inputs of the product (kernel area x channels); lanes; elements of a sum or maximum."""
    n_out: Array
    input_bits: Array
    weight_bits: Array
    """Also the width of what a table holds."""
    reuse: Array
    acc_bits: Array
    relu: Array
    """1 where the output is rectified."""
    block: Array
    """1 where weights, tables and line buffers lie in block RAM."""
    dsp: Array
    """1 where products may take DSP blocks."""
    packed: Array
    """1 where DSP blocks absorb registers and adders around them (xc7), 0 where they do not (xcup)."""
    kernel: Array
    rows: Array
    """Image rows of the kernel: 1 for conv1d."""
    channels: Array
    height: Array
    width: Array
    later: Array
    """1 for the layers behind a hidden layer, whose inputs have no sign."""
    hidden: Array
    """1 for a hidden layer of a distributed-arithmetic network, which shifts and saturates."""
    zeros_frac: Array
    single_frac: Array
    """Share of weights that are a power of two or its negative."""
    digits_mean: Array
    """Mean signed digits of a weight."""
    digits_max: Array
    """Most signed digits of a weight."""
    digits_out_max: Array
    """Most signed digits of all weights of a neuron."""
    sum_bits: Array
    """Bits by which the sum of a neuron is wider than an input: logarithm of the sum of the magnitudes of its weights."""
    terms_max: Array
    """Most weights other than zero of a neuron."""
    odd_constants: Array
    """Different odd factors above 1 of the constants of each input, summed over inputs."""
    product_adders: Array
    """Adders that make the products by those from signed digits."""
    sum_adders: Array
    """Adders that sum products."""
    rom_bits: Array
    """Bit columns of the weight ROM that are not constant; `arithmetic.expected_rom` where weights are not known."""
    rom_columns: Array
    """The different ones among them: equal ones are stored once."""

    def of(self, *names: str) -> Array:
        """1 for rows of these templates."""
        return np.isin(np.asarray(self.template), [TEMPLATES.index(n) for n in names]).astype(float)

    @property
    def conv(self) -> Array:
        """1 for convolutions."""
        return self.of("conv1d", "conv2d")

    @property
    def rom_fed(self) -> Array:
        """1 where weights come from a ROM."""
        return (self.conv + self.of("dense_resource")) * (np.asarray(self.reuse) > 1)

    @property
    def constant(self) -> Array:
        """1 where weights are constants of a pipelined tree."""
        return (self.conv + self.of("dense_latency")) * (np.asarray(self.reuse) <= 1)


@dataclass(frozen=True)
class Unrolled:
    """What a reuse factor makes of a product, shape as the columns."""

    steps: Array
    """Inputs that share a multiplexer."""
    groups: Array
    """Neurons that share an accumulator."""
    fan_in: Array
    """Products that are summed at once."""
    outputs: Array
    """Accumulators."""

    @property
    def multipliers(self) -> Array:
        """Multipliers."""
        return self.fan_in * self.outputs


def unrolled(c: CircuitColumns) -> Unrolled:
    """Steps, groups and sizes under the reuse factor of each row."""
    steps, groups = np.minimum(c.reuse, c.n_in), np.maximum(np.floor(c.reuse / c.n_in), 1)
    return Unrolled(steps, groups, c.n_in / steps, c.n_out / groups)


def cycles(c: CircuitColumns) -> Array:
    """Clocks from the first input of a vector or image to its last answer."""
    core = _core_cycles(c)
    windows, rows_out = _windows(c)
    first = (c.rows - 1) * c.width + c.kernel
    image = first + (windows - rows_out) * c.reuse + (rows_out - 1) * np.maximum(c.reuse, c.kernel)
    return np.where(c.conv > 0, image + core, core)


def _core_cycles(c: CircuitColumns) -> Array:
    """The same for a vector."""
    product = np.where(c.dsp > 0, 1, levels(c.digits_max))
    found = {
        "rom": c.reuse + levels(unrolled(c).fan_in) + 5,
        "constant": product + levels(c.terms_max) + 2,
        "da": da_stages(c) + 1,
        "tree": levels(c.n_in) + 1,
    }
    masks = {"rom": c.rom_fed, "constant": c.constant, "da": c.of("dense_da"), "tree": c.of("add", "maxpool")}
    return np.select([m > 0 for m in masks.values()], [found[n] for n in masks], 2.0)


def interval(c: CircuitColumns) -> Array:
    """Clocks from one vector or image to the next in a full stream."""
    windows, rows_out = _windows(c)
    start = np.maximum(c.reuse, (c.rows - 1) * c.width + c.kernel)
    image = (windows - rows_out) * c.reuse + (rows_out - 1) * np.maximum(c.reuse, c.kernel) + start
    return np.where(c.conv > 0, image, np.where(c.rom_fed > 0, c.reuse, 1.0))


def _windows(c: CircuitColumns) -> tuple[Array, Array]:
    """Output positions of a convolution without padding, and its output rows."""
    rows_out = c.height - c.rows + 1
    return rows_out * (c.width - c.kernel + 1), rows_out


def dsp(c: CircuitColumns) -> Array:
    """DSP blocks: multipliers whose product is wide enough, or different odd constants of each input."""
    wide = (_product_bits(c) >= DSP_PRODUCT_BITS) & (c.dsp > 0)
    tiles = dsp_tiles(c.input_bits, c.weight_bits, long_side=np.where(c.packed > 0, 25, 27))
    return np.where(wide, tiles * (c.rom_fed * unrolled(c).multipliers + c.constant * c.odd_constants), 0.0)


def _product_bits(c: CircuitColumns) -> Array:
    return np.minimum(c.input_bits + c.weight_bits, np.where(c.rom_fed > 0, c.acc_bits, np.inf))


def bram18(c: CircuitColumns) -> Array:
    """18 Kb blocks: the weight ROM without its constant bits, the tables, the line buffer."""
    rom = c.rom_fed * block_rams(np.round(c.rom_bits), c.reuse)
    line = c.conv * block_rams((c.rows - 1) * c.channels * c.input_bits, c.width)
    table = c.of("table") * c.n_in * block_rams(c.weight_bits, 2.0**c.input_bits)
    return c.block * (rom + line + table)


def ff_features(c: CircuitColumns) -> Features:
    """Register bits by purpose."""
    u, rom, constant = unrolled(c), c.rom_fed, c.constant
    product = _product_bits(c)
    depth, clocks = levels(u.fan_in), _core_cycles(c)
    flags = 2 * levels(c.reuse) + 2 + (3 + depth) + (4 + depth)
    grouped = (u.groups > 1) * ((4 + depth) * (1 + levels(u.groups)) + levels(u.steps) + levels(u.groups))
    outputs, total = c.n_out * (c.acc_bits - c.relu), np.minimum(c.input_bits + c.sum_bits + 1, c.acc_bits)
    steps = np.where(c.dsp > 0, 1, levels(c.digits_max))
    terms, product_mean = mean_terms(c), mean_product_bits(c)
    inside = (c.packed > 0) & (dsp(c) > 0)
    tree = u.outputs * tree_bits(u.fan_in, c.input_bits + c.weight_bits, c.acc_bits)[0]
    accumulator = u.outputs * c.acc_bits
    return {
        "rom.exact": rom
        * (
            (c.n_in + 2 * u.fan_in) * c.input_bits
            + np.where(inside, 0.0, u.multipliers * product + tree + (u.fan_in <= 1) * accumulator)
            + (u.fan_in > 1) * accumulator
            + outputs
            + flags
            + grouped
            + (1 - c.block) * c.rom_columns
        ),
        "rom.packed_product": rom * inside * u.multipliers * product,
        "rom.packed_tree": rom * inside * tree,
        "rom.packed_accumulator": rom * inside * (u.fan_in <= 1) * accumulator,
        "constant.exact": constant * (used_inputs(c) * c.input_bits + used_outputs(c) * (total - c.relu) + clocks - 1),
        "constant.delay": constant * c.n_in * (1 - (1 - c.single_frac) ** c.n_out) * c.input_bits * steps,
        "constant.product": constant * (1 - c.dsp) * c.odd_constants * product_nodes(c) * c.input_bits,
        "constant.product_weight": constant * (1 - c.dsp) * c.odd_constants * product_nodes(c) * c.weight_bits,
        "constant.dsp_product": constant * c.dsp * ~inside * c.odd_constants * (c.input_bits + c.weight_bits - 1),
        "constant.sum": constant * ~inside * c.sum_adders * (product_mean + 2),
        "constant.level": constant * used_outputs(c) * (levels(c.terms_max) - np.log2(terms)) * total,
        "constant.packed_sum": constant * inside * c.sum_adders * (product_mean + 2),
        "window.exact": c.conv * ((rom > 0) | (c.zeros_frac < 1)) * (_window_bits(c) + _position_bits(c) + 1),
        **_simple_ff(c),
    }


def _window_bits(c: CircuitColumns) -> Array:
    pixel = c.channels * c.input_bits
    return c.kernel * c.rows * pixel + (1 - c.block) * (c.rows - 1) * pixel


def mean_terms(c: CircuitColumns) -> Array:
    """Mean weights other than zero of the neurons that have any."""
    return c.sum_adders / np.maximum(used_outputs(c), 1) + 1


def mean_product_bits(c: CircuitColumns) -> Array:
    """Mean width of the products that a neuron sums."""
    return c.input_bits + np.maximum(c.sum_bits - np.log2(mean_terms(c)), 0)


def product_nodes(c: CircuitColumns) -> Array:
    """Registers of a product by shift and add: as many a level as sums are left, over the levels of the longest constant."""
    digits = c.product_adders / np.maximum(c.odd_constants, 1) + 1
    steps = levels(c.digits_max)
    return sum((steps >= level) * np.maximum(digits / 2**level, 1) for level in range(1, int(np.max(steps, initial=0)) + 1))


def _position_bits(c: CircuitColumns) -> Array:
    """Bits of the column and row counters; a kernel of one pixel needs none."""
    return (c.kernel > 1) * (levels(c.width) + levels(c.height) * (c.rows > 1))


def _simple_ff(c: CircuitColumns) -> Features:
    """Registers of distributed arithmetic and of circuits without weights."""
    lanes, da = c.n_in * c.input_bits, c.of("dense_da")
    tree = c.of("add") * tree_bits(c.n_in, c.input_bits, np.inf)[0] + c.of("maxpool") * tree_bits(c.n_in, c.input_bits, c.input_bits)[0]
    return {
        "da.exact": da * (used_inputs(c) * (c.input_bits - c.later) + da_stages(c) + 1),
        "da.output": da * _da_outputs(c),
        "da.stage": da * _da_cuts(c),
        "table.exact": c.of("table") * (lanes + (1 - c.block) * c.n_in * (c.weight_bits - 1) + 2),
        "relu.exact": c.of("relu") * (lanes + c.n_in * (c.acc_bits - 1 + (c.input_bits > c.acc_bits)) + 2),
        "tree.exact": c.of("add", "maxpool") * (lanes * c.n_out + levels(c.n_in) + 1) + c.n_out * tree,
    }


def used_inputs(c: CircuitColumns) -> Array:
    """Inputs with a weight other than zero, as expected of scattered zeros."""
    return c.n_in * (1 - c.zeros_frac**c.n_out)


def used_outputs(c: CircuitColumns) -> Array:
    """Outputs with a weight other than zero, likewise."""
    return c.n_out * (1 - c.zeros_frac**c.n_in)


SHARING, SHARING_OUTPUTS, SHARING_DIGITS, SHARING_WEIGHT = 0.297, 0.196, 0.467, 0.519
"""How many adders distributed arithmetic saves by sharing, and their width; fitted to what da4ml 0.6 says of 500 random layers of
4 to 64 inputs and 4 to 32 outputs with weights of 2 to 8 bits (5.4 % SMAPE)."""


def shared_adders(c: CircuitColumns) -> Array:
    """Two-operand adders of a distributed-arithmetic layer."""
    alone = np.maximum(c.digits_mean * c.n_in * c.n_out - used_outputs(c), 0)
    return alone / (1 + SHARING * c.n_out**SHARING_OUTPUTS * c.digits_mean**SHARING_DIGITS)


def da_stages(c: CircuitColumns) -> Array:
    """Pipeline stages of a distributed-arithmetic layer: its adders in a row over `DA_CUTOFF`, one more to saturate a hidden layer."""
    return np.maximum(np.ceil((levels(c.digits_out_max) + c.hidden) / DA_CUTOFF), 1)


CUT_SHARING, CUT_WEIGHT = 0.9, 0.88
"""Sums that are left at a cut and their width, as `SHARING` (3.9 % SMAPE on the register bits of layers of two stages)."""


def _da_cuts(c: CircuitColumns) -> Array:
    """Register bits between the stages of a distributed-arithmetic layer: the sums that are left after the adders before each cut."""
    stages, depth = da_stages(c), levels(c.digits_out_max) + c.hidden
    total = np.zeros_like(stages)
    for cut in range(1, int(np.max(stages, initial=1))):
        left = np.maximum(c.digits_mean * c.n_in / 2 ** np.floor(cut * depth / stages), 1) ** CUT_SHARING
        total = total + (stages > cut) * used_outputs(c) * left * (c.input_bits - c.later + CUT_WEIGHT * c.weight_bits)
    return total


def _da_outputs(c: CircuitColumns) -> Array:
    """Bits of the output registers of distributed arithmetic: as wide as the largest sum, or cut to the input's width."""
    terms = np.maximum(c.n_in * (1 - c.zeros_frac), 1)
    whole = c.input_bits - c.later + c.weight_bits + np.log2(terms) - 1 - c.relu * (1 - c.hidden)
    return used_outputs(c) * np.where(c.hidden > 0, c.input_bits - 1, whole)


def lut_features(c: CircuitColumns) -> Features:
    """What takes LUTs, by purpose."""
    u, rom, constant = unrolled(c), c.rom_fed, c.constant
    in_dsp = dsp(c) > 0
    inside = (c.packed > 0) & in_dsp
    changing = np.where(rom > 0, c.rom_bits / np.maximum(u.multipliers * c.weight_bits, 1), 1)
    chosen, accumulator, grouped = rom * u.fan_in * c.input_bits, rom * u.outputs * c.acc_bits, u.groups > 1
    tree = rom * u.outputs * tree_bits(u.fan_in, c.input_bits + c.weight_bits, c.acc_bits)[1]
    return {
        "rom.mux": chosen * np.where(u.steps <= 4, u.steps > 1, (u.steps - 1) / 3),
        "rom.mux_deep": chosen * (u.steps > 12) * (u.steps - 1) / 3,
        "rom.words": rom * (1 - c.block) * c.rom_columns * np.ceil(c.reuse / ROM_WORDS),
        "rom.product": rom * ~in_dsp * u.multipliers * multiplier_luts(c.input_bits, c.weight_bits) * changing,
        "rom.tree": tree * ~inside,
        "rom.packed_tree": tree * inside,
        "rom.accumulator": accumulator * ~(inside & (u.fan_in <= 1)),
        "rom.bias": accumulator * grouped,
        "rom.relu": accumulator * c.relu * grouped,
        "rom.output": rom * c.relu * c.n_out * ~grouped,
        "rom.group": rom * u.groups * grouped,
        "rom.counter": rom * levels(c.reuse),
        "rom.exact": rom * (7 + 2 * levels(u.fan_in) + grouped * (4 + levels(u.fan_in))),
        "rom.one": rom,
        "constant.product": constant * (1 - c.dsp) * c.product_adders * c.input_bits,
        "constant.product_weight": constant * (1 - c.dsp) * c.product_adders * c.weight_bits,
        "constant.sum": constant * ~inside * c.sum_adders * (mean_product_bits(c) + 1),
        "constant.packed_sum": constant * inside * c.sum_adders * (mean_product_bits(c) + 1),
        "constant.output": constant * used_outputs(c) * np.minimum(c.input_bits + c.sum_bits + 1, c.acc_bits),
        "constant.exact": constant * (_core_cycles(c) - 1),
        "constant.one": constant,
        "window.one": c.conv,
        "window.counter": c.conv * _position_bits(c),
        **_simple_lut(c),
    }


def _simple_lut(c: CircuitColumns) -> Features:
    da, cut = c.of("dense_da"), c.input_bits - c.acc_bits
    return {
        "da.adders": da * shared_adders(c) * (c.input_bits - c.later + SHARING_WEIGHT * c.weight_bits),
        "da.output": da * used_outputs(c) * (c.input_bits - c.later + c.weight_bits),
        "da.hidden": da * c.hidden * c.n_out * c.input_bits,
        "da.exact": da * (da_stages(c) + 1),
        "da.one": da,
        "table.exact": c.of("table") * (2 + (1 - c.block) * c.n_in * (c.weight_bits - 1) * 2.0 ** np.maximum(c.input_bits - 6, 0)),
        "relu.exact": c.of("relu") * (2 + c.n_in * (cut > 0) * (c.acc_bits - 1 + np.ceil(cut / 6))),
        "add.exact": c.of("add") * (c.n_out * tree_bits(c.n_in, c.input_bits, np.inf)[1] + levels(c.n_in) + 1),
        "maxpool.exact": c.of("maxpool") * (levels(c.n_in) + 1),
        "maxpool.bits": c.of("maxpool") * c.n_out * (c.n_in - 1) * c.input_bits,
    }


def counted(features: Mapping[str, Array], constants: Mapping[str, float], *, prefix: str) -> Array:
    """Sum of features times coefficients `<prefix>.<feature>`; those that end in `.exact` count once."""
    parts = [(1.0 if key.endswith(".exact") else constants.get(f"{prefix}.{key}", 0.0)) * value for key, value in features.items()]
    return sum(parts, start=np.float64(0.0))
