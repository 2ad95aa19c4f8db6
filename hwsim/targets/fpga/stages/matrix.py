"""hls4ml's matrix-vector products as the circuits of stage `yosys`.

The strategies become the nearest circuit of ours: resource a ROM-fed product (constants in DSP blocks at reuse 1), latency and unrolled a
pipelined tree of constants in LUTs (in DSP blocks where the mapping says so; it takes a vector every clock whatever the reuse factor is),
distributed arithmetic its own. Accumulators keep every bit, whatever the configuration cuts afterwards. Convolutions that stream pass
pixels through a line buffer, without padding and with stride 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.arrays import Array, floats
from hwsim.targets.fpga.stages import arithmetic, yosys
from hwsim.targets.fpga.stages.yosys import TEMPLATES, CircuitColumns
from hwsim.targets.fpga.templates import matrix
from hwsim.targets.fpga.templates.common import Constants, Hardware

RESOURCE, DISTRIBUTED = matrix.STRATEGY_CODES["resource"], matrix.STRATEGY_CODES["distributed_arithmetic"]
SPREAD = 2.0
"""Standard deviations that the neuron with the most terms lies above the mean."""


def hardware(c: matrix.MatrixColumns, *, device: Any, mapping: Any, constants: Constants) -> Hardware:
    """Cycles and resources of the rows; as `templates.matrix.hardware`, for stage `yosys`."""
    circuits = columns(c, mapping, packed=_packs(device))
    copies, zero = c.groups * c.instances, np.zeros_like(circuits.n_in * circuits.reuse)
    latency, interval = yosys.cycles(circuits), yosys.interval(circuits)
    passes = np.where(circuits.conv > 0, 1, c.passes)
    total = latency + (passes - 1) * interval
    rom = yosys.unrolled(circuits).multipliers * circuits.rom_fed
    return Hardware(
        latency_cycles=total + zero,
        latency_min_cycles=total + zero,
        interval_cycles=passes * interval + zero,
        multipliers=(rom + circuits.constant * circuits.odd_constants) * copies + zero,
        reuse_factor=circuits.reuse + zero,
        dsp=np.round(yosys.dsp(circuits)) * copies + zero,
        lut=yosys.counted(yosys.lut_features(circuits), constants, prefix="lut") * copies + zero,
        ff=yosys.counted(yosys.ff_features(circuits), constants, prefix="ff") * copies + zero,
        bram18=yosys.bram18(circuits) * copies + zero,
        uram=zero,
    )


def _packs(device: Any) -> bool:
    """Whether DSP blocks absorb registers: Yosys does that for the 7 series."""
    return str(getattr(device, "name", "")).startswith("xc7")


def columns(c: matrix.MatrixColumns, mapping: Any, *, packed: bool) -> CircuitColumns:
    """The circuits of these rows."""
    p = matrix.product(c, mapping)
    resource, da = c.strategy == RESOURCE, c.strategy == DISTRIBUTED
    sliding = (c.stream > 0) & (c.window > 0)
    reuse = np.where(resource, p.reuse, 1.0)
    template = np.where(da, _code("dense_da"), np.where(resource, _code("dense_resource"), _code("dense_latency")))
    template = np.where(sliding & ~da, np.where(c.kernel_rows > 1, _code("conv2d"), _code("conv1d")), template)
    width = np.where(c.kernel_rows > 1, np.round(np.sqrt(c.pixels)), c.pixels)
    channels = np.maximum(c.in_channels, 1)
    rom = arithmetic.expected_rom(np.ceil(c.n_in * c.n_out / reuse) * p.weight_bits, reuse)
    return CircuitColumns(
        template=template,
        n_in=c.n_in,
        n_out=c.n_out,
        input_bits=p.in_bits,
        weight_bits=p.weight_bits,
        reuse=reuse,
        acc_bits=p.in_bits + p.weight_bits + arithmetic.levels(c.n_in),
        relu=0.0,
        block=floats(resource & (reuse > yosys.ROM_WORDS)),
        dsp=_takes_dsp(resource, mapping.multiplier),
        packed=float(packed),
        kernel=np.where(sliding, np.maximum(np.round(c.n_in / (channels * c.kernel_rows)), 1), 1.0),
        rows=c.kernel_rows,
        channels=channels,
        height=np.where(sliding, c.pixels / np.maximum(width, 1), 1.0),
        width=np.where(sliding, width, 1.0),
        later=0.0,
        hidden=0.0,
        rom_bits=rom[0],
        rom_columns=rom[1],
        **_statistics(c, p),
    )


def _code(name: str) -> float:
    return float(TEMPLATES.index(name))


def _takes_dsp(resource: Array, multiplier: str) -> Array:
    if multiplier == "fabric":
        return 0.0
    return 1.0 if multiplier == "dsp" else np.asarray(resource, dtype=float)


def _statistics(c: matrix.MatrixColumns, p: matrix._Product) -> dict[str, Array]:
    """What the constants of a layer are expected to look like from their zeros and digits."""
    total = c.n_in * c.n_out
    zeros, digits, _ = matrix._weights(c, p.weight_bits)
    kept = np.maximum(1 - zeros, 1e-9)
    mean = np.maximum(digits / kept, 1.0)
    several = kept * (1 - np.exp(1 - mean))
    terms = c.n_in * kept
    odd = np.maximum(2.0 ** np.minimum(p.weight_bits - 2, 40) - 1, 0)
    distinct = c.n_in * odd * -np.expm1(-c.n_out * several / np.maximum(odd, 1e-9))
    per_neuron = digits * c.n_in
    return {
        "zeros_frac": zeros,
        "single_frac": kept - several,
        "digits_mean": digits,
        "digits_max": np.maximum(np.ceil(np.minimum(p.weight_bits / 2, 2 * mean)), 1),
        "digits_out_max": per_neuron + SPREAD * np.sqrt(per_neuron),
        "sum_bits": np.maximum(p.weight_bits - 2 + np.log2(np.maximum(terms, 1)), 0),
        "terms_max": np.minimum(terms + SPREAD * np.sqrt(terms * zeros), c.n_in),
        "odd_constants": distinct,
        "product_adders": distinct * np.maximum((mean * kept - (kept - several)) / np.maximum(several, 1e-9) - 1, 0),
        "sum_adders": np.maximum(total * kept - c.n_out, 0),
    }
