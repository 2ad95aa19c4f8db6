"""Time and energy of a network on a 4f bench.

A frame takes the slowest of the modulators and the camera, max(t_input, t_mask, t_exposure + pixels / readout rate), where only the pixels
that are kept are read; a layer takes its frames, then the electronics: sums over channels, signs and pieces, bias. Energy a frame: laser
(light over wall-plug efficiency), values written to input modulator and mask, pixels detected and converted, power that flows anyway.
Values are written when they change, in the cheaper of two orders: masks stay while the images of a batch pass, or images stay while
the masks of all their output channels pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.cost import Cost, Parts, Program
from hwsim.targets.optical.device import OpticalDevice
from hwsim.targets.optical.lower import PassColumns
from hwsim.targets.optical.mapping import OpticalMapping
from hwsim.targets.optical.tiling import Plan, apertures, either, larger, plan

DAC_DOUBLING_BITS = 1 / 0.684
"""Bits that double the energy of a D/A conversion: 1.5 pJ at 4 bits and 10 pJ at 8 (current-steering converters of some GS/s)."""
ADC_DOUBLING_BITS = 1 / 0.490
"""The same of an A/D conversion: 0.9 pJ at 4 bits (arXiv:1612.04855) and 3.5 pJ at 8 (Kull, ISSCC 2014 and 2018)."""
CAMERA_VALUE_B = 2.0
"""Bytes in which a camera value of up to 16 bits moves."""
FFT_OPS = 5.0
"""Operations of a Fourier transform of N values, over N log2 N (split radix, Frigo and Johnson 2005)."""


@dataclass(frozen=True)
class Optics:
    """Time and energy of the passes, arrays that broadcast to `(points, rows)`."""

    plan: Plan
    frames_s: Array
    """Frames, without what the camera needs beyond them."""
    readout_s: Array
    """What reading the camera adds."""
    masks: Array
    """Masks that are written."""
    values: Array
    """Values that are written to the input modulator."""
    energies_j: Mapping[str, Array]
    """By cause: laser, dac, mask, adc, detector."""


def conversion_j(at_8_bits_j: Array, bits: Array, doubling_bits: float) -> Array:
    """Energy of a conversion at some number of bits, exponential through that at 8."""
    return at_8_bits_j * 2.0 ** ((bits - 8.0) / doubling_bits)


def detection_j(at_8_bits_j: Array, bits: Array) -> Array:
    """Energy of detecting a value where thermal noise binds: as the square root of SNR = 10^((6.02 b + 1.76) / 10)."""
    return at_8_bits_j * 10.0 ** (6.02 * (bits - 8.0) / 20.0)


def bench_times(found: Plan, device: OpticalDevice) -> tuple[Array, Array]:
    """Seconds of the frames of each row, and what reading the camera adds."""
    slowest = larger(device.input_refresh_s, device.mask_refresh_s)
    shown = found.frames * larger(slowest, device.exposure_s)
    read = found.frames * device.exposure_s + _quotient(found.pixels, device.readout_pixel_per_s)
    return shown, larger(read - shown, 0.0 * shown)


def pass_electronics(xp: Any, c: PassColumns, found: Plan, device: OpticalDevice) -> tuple[Array, Array]:
    """Operations and bytes of the co-processor for each row of passes: sums over channels, signs and pieces, bias, Fourier transforms
    of kernels that the network computes; camera values, images and results pass its memory once."""
    outputs, images = c.images * c.outer * c.out_x * c.out_y, c.images * c.inner * c.groups * c.image_x * c.image_y
    rx, ry = apertures(device)
    area = rx * ry + 0.0 * c.images
    ops = outputs * (found.sums - 1.0 + c.bias) + c.data * found.kinds * FFT_OPS * area * xp.log2(area)
    return ops, found.pixels * CAMERA_VALUE_B + (images + outputs) * c.value_b


def electronics_s(ops: Array, moved_b: Array, device: OpticalDevice) -> Array:
    """Seconds of the co-processor: operations and bytes overlap, the longer one counts."""
    return larger(_quotient(ops, device.electronics_op_per_s), _quotient(moved_b, device.electronics_b_per_s))


def _quotient(amount: Array, rate: Array) -> Array:
    """`amount` over `rate`; 0 where the rate is 0: not charged."""
    if isinstance(rate, int | float):
        return amount / rate if rate > 0 else 0.0 * amount
    xp = namespace(amount, rate)
    return xp.where(rate > 0, amount / xp.where(rate > 0, rate, xp.ones_like(rate)), 0.0 * amount)


def tiled(xp: Any, c: PassColumns, device: OpticalDevice, mapping: OpticalMapping) -> Plan:
    """Counts under the mapping's tiling; `auto` takes the faster one layer by layer, electronics included."""
    if mapping.tiling != "auto":
        return plan(c, device, mapping, channel=mapping.tiling == "channel")
    plans = [plan(c, device, mapping, channel=channel) for channel in (False, True)]
    times = [sum(bench_times(p, device)) + electronics_s(*pass_electronics(xp, c, p, device), device) for p in plans]
    return either(xp, plans[0], plans[1], times[1] < times[0])


def optics(xp: Any, found: Plan, device: OpticalDevice, mapping: OpticalMapping) -> Optics:
    """Time and energy of the passes."""
    frames_s, readout_s = bench_times(found, device)
    value_j = conversion_j(device.dac_j, device.input_bits, DAC_DOUBLING_BITS)
    mask_j = conversion_j(device.mask_dac_j, device.mask_bits, DAC_DOUBLING_BITS) * device.mask_x * device.mask_y
    still = mapping.masks_per_operation * found.kinds
    hold = found.frames * mask_j + found.held * value_j < still * mask_j + found.shown * value_j
    masks, values = xp.where(hold, found.frames, still), xp.where(hold, found.held, found.shown)
    energies = {
        "laser": (frames_s + readout_s) * device.laser_w / device.wall_plug_efficiency,
        "dac": values * value_j,
        "mask": masks * mask_j,
        "adc": found.pixels * conversion_j(device.adc_j, device.camera_bits, ADC_DOUBLING_BITS),
        "detector": found.pixels * detection_j(device.detector_j, device.camera_bits),
    }
    return Optics(found, frames_s, readout_s, masks, values, energies)


def program_cost(program: Program, *, device: OpticalDevice, mapping: OpticalMapping) -> Cost:
    """Pure array function of program, device and mapping."""
    c, alone = (table.columns for table in program.tables)
    xp = namespace(c.images, *(v for v in vars(device).values() if not isinstance(v, str | Mapping)))
    o = optics(xp, tiled(xp, c, device, mapping), device, mapping)
    ops, moved_b = pass_electronics(xp, c, o.plan, device)
    ops, moved_b = (_joined(xp, a, b) for a, b in ((ops, alone.ops), (moved_b, alone.moved_b)))
    none = 0.0 * alone.ops
    frames_s, readout_s, frames = (_joined(xp, v, none) for v in (o.frames_s, o.readout_s, o.plan.frames))
    causes = {name: _joined(xp, v, none) for name, v in o.energies_j.items()}
    host_s = electronics_s(ops, moved_b, device)
    rows_s = frames_s + readout_s + host_s
    host_j = ops * device.electronics_op_j + moved_b * device.electronics_b_j + rows_s * device.electronics_w
    static_j = rows_s * device.static_w
    latency, total = _total(xp, rows_s), {name: _total(xp, v) for name, v in causes.items()}
    pairs, bits = c.inner * c.outer, layer_bits(c, device, mapping)
    return Cost(
        latency_s=latency,
        interval_s=latency,
        row_latency_s=rows_s,
        row_parts_s=Parts(compute=frames_s, conversion=readout_s, host=host_s),
        energy_j=Parts(
            compute=total["laser"],
            overhead=total["detector"],
            conversion=total["dac"] + total["mask"] + total["adc"],
            static=_total(xp, static_j),
            host=_total(xp, host_j),
        ),
        row_energy_j=sum(causes.values()) + static_j + host_j,
        memory=program.memory,
        extra={
            "convolutions": _total(xp, pairs),
            "frames": _total(xp, frames),
            "frames_s": _total(xp, frames_s),
            "readout_s": _total(xp, readout_s),
            "electronics_s": _total(xp, host_s),
            **{f"{name}_j": value for name, value in total.items()},
            **({} if bits is None else {"effective_bits": xp.min(bits, axis=-1)}),
        },
        row_resources={"frames": frames},
        row_extra={
            "convolutions": _joined(xp, pairs, none),
            "tiles": _joined(xp, o.plan.tiles, none),
            "masks": _joined(xp, o.masks, none),
            "conversions": _joined(xp, o.plan.pixels + o.values, none),
            "optics_j": sum(causes[name] for name in ("laser", "detector")),
            "conversion_j": sum(causes[name] for name in ("dac", "mask", "adc")),
            "electronics_j": host_j,
            "static_j": static_j,
            **({} if bits is None else {"effective_bits": _joined(xp, bits, none)}),
        },
    )


def layer_bits(c: PassColumns, device: OpticalDevice, mapping: OpticalMapping) -> Array | None:
    """Effective bits of each convolution, by the error model; None where they are not asked for, or there is no convolution.

    Crosstalk and misalignment are not in the model: simulate them.
    """
    if not mapping.error_model or not c.images.shape[-1]:
        return None
    from hwsim.optics.bench import photons_of
    from hwsim.optics.error_model import relative_error
    from hwsim.optics.measures import effective_bits

    return effective_bits(
        relative_error(
            input_bits=device.input_bits,
            mask_bits=device.mask_bits,
            camera_bits=device.camera_bits,
            photons=photons_of(device),
            read_noise_e=device.read_noise_e,
            full_well_e=device.full_well_e,
            kernel=c.taps**0.5,
            size=(c.image_x * c.image_y) ** 0.5,
            channels=c.inner,
            detection=device.detection,
            signs=mapping.signs,
        )
    )


def _joined(xp: Any, first: Array, second: Array) -> Array:
    """Rows of both tables in one array; leading axes broadcast."""
    lead = first.shape[:-1] if first.ndim >= second.ndim else second.shape[:-1]
    return xp.concat([xp.broadcast_to(v, (*lead, v.shape[-1])) for v in (first, second)], axis=-1)


def _total(xp: Any, rows: Array) -> Array:
    """Sum over the rows."""
    return xp.sum(rows, axis=-1)
