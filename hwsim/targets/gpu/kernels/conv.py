"""Closed-form time of convolutions on a GPU: implicit GEMM, Winograd and direct kernels, the fastest of them.

A convolution in 1, 2 or 3 dimensions is seen as a GEMM with M = batch * output positions, N = output channels a group and
K = input channels a group * kernel taps. `conv_columns` does everything that depends on kernels only; `conv_time` is the
broadcast over device points. Sources: implicit GEMM (Chetlur et al. 2014, arXiv:1410.0759), Winograd F(2x2,3x3) and
F(4x4,3x3) (Lavin and Gray 2015, arXiv:1509.09308), wave quantisation (NVIDIA, Matrix Multiplication Background).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.targets.gpu.kernels.common import KernelTime
from hwsim.targets.gpu.kernels.conv_columns import CALLS, RATED, TILES, ConvColumns, conv_columns

__all__ = ["CALLS", "RATED", "ConvColumns", "ConvConstants", "conv_columns", "conv_time", "unit_rates"]

VL = 4.0
TENSOR_N = 64
"""Narrowest tile that tensor-core kernels have; narrower ones cost as much (from measurements)."""
ENERGY_SHARE = {"fp64": 2.0, "fp32": 1.0, "tf32": 0.3, "fp16": 0.15, "bf16": 0.15, "int8": 0.12, "fp8": 0.08, "fp4": 0.04, "int4": 0.06}
"""Energy of one operation relative to fp32 on vector units (assumed)."""


@dataclass(frozen=True)
class ConvConstants:
    """Constants shared by all devices; `targets/gpu/fitted/conv.yaml` holds the fitted values."""

    launch_s: float = 3e-6
    """Fixed cost of one kernel in a queue of kernels."""
    engine_call_s: float = 9e-6
    """More for a compiled engine or library call that is timed alone."""
    framework_call_s: float = 110e-6
    """More for a framework call that is timed alone, so that no queue hides the host."""
    vector_frac: float = 0.9
    """Share of the peak of the vector units that a thread block reaches, operand loads apart."""
    tensor_frac: float = 1.0
    """The same for tensor units."""
    heuristic_frac: float = 0.8
    """Speed of the algorithm that a framework's heuristic picks, relative to a tuned one (measured in fp32 only)."""
    operand_b_per_clk: float = 60.0
    """Bytes of operands that an SM loads a clock, not overlapped with arithmetic."""
    prologue_clk: float = 4000.0
    """Clocks to start and drain one wave of thread blocks."""
    k_step_clk: float = 39.0
    """Clocks that a thread block needs for one step of K, however small its tile."""
    winograd_gain: float = 2.25
    """Arithmetic that fused Winograd F(2x2,3x3) saves, at most 2.25."""
    transform_pass_count: float = 1.6
    """Passes over the transformed tensors of Winograd, at full DRAM speed."""
    dram_frac: float = 0.92
    """Share of the DRAM bandwidth that long streams reach."""
    l2_frac: float = 0.7
    """Share of the L2 bandwidth that long streams reach."""
    overlap_loss_frac: float = 0.25
    """Share of the shorter one of compute and memory that does not hide behind the longer one."""
    tap_op_frac: float = 0.095
    """Share of the fp32 vector rate at which direct (depthwise) kernels do their taps."""
    element_per_clk: float = 0.87
    """32-bit output elements that a direct kernel stages a clock and SM."""
    window_gain: float = 2.0
    """Speed-up of direct kernels up to 3 wide with stride 1, which keep a sliding window in registers."""
    flop_energy_j: float = 19e-12
    """Energy of one fp32 vector operation in a 12 nm process or an older one, in proportion to the node in newer ones; power
    beyond the limit slows the clock down."""

    @classmethod
    def from_shelf(cls) -> ConvConstants:
        """The fitted values of `targets/gpu/fitted/conv.yaml`."""
        from hwsim.shelf import fitted

        return cls(**{name: quantity.value for name, quantity in fitted("gpu", "conv").items()})


def conv_time(columns: ConvColumns, *, device: Any, constants: ConvConstants) -> KernelTime:
    """Time of every kernel on every device point.

    Args:
        columns: from `conv_columns`, arrays `(kernels,)`.
        device: a GPU description; its fields are scalars or `(points, 1)`.
        constants: the fitted constants.

    Returns:
        Parts of shape `(kernels,)` or `(points, kernels)`; `flop` counts by definition, also where Winograd saves some.

    The law time(2 * batch) <= 2 * time(batch) holds for cold kernels (`warm_l2_frac` 0): what outgrows a warm L2 loses more.
    """
    xp = namespace(columns.k, device.sm_count, device.clock_hz, device.dram_b_per_s, device.l2_b, device.power_limit_w)
    gemm_s = _gemm_s(xp, columns, device, constants)
    others_s = _where(xp, columns.direct, lambda: _direct_s(columns, device, constants), gemm_s)
    tuned_s = _where(xp, columns.winograd, lambda: _winograd_s(xp, columns, device, constants), others_s)
    compute_s = tuned_s * (1 + columns.eager * (1 / constants.heuristic_frac - 1))
    memory_s, dram_b = _memory(xp, columns, device, constants)
    exposed_s = constants.overlap_loss_frac * xp.minimum(compute_s, memory_s)
    overhead_s = constants.launch_s + _call_s(columns, constants) + exposed_s
    return KernelTime(compute_s, memory_s, overhead_s, columns.flop + 0 * compute_s, dram_b)


def _where(xp: Any, flag: Array, candidate_s: Any, time_s: Array) -> Array:
    """The shorter one of `candidate_s()` and `time_s` where `flag` is 1; not evaluated where no kernel has it."""
    if not bool(xp.any(flag > 0)):
        return time_s
    return xp.where(flag > 0, xp.minimum(candidate_s(), time_s), time_s)


def _call_s(columns: ConvColumns, constants: ConvConstants) -> Array:
    return columns.engine_call * constants.engine_call_s + columns.framework_call * constants.framework_call_s


def unit_rates(columns: ConvColumns, device: Any) -> tuple[Array, Array]:
    """Operations a clock and SM of the (vector, tensor) units that each kernel may use; 0 where there is none.

    Formats without a unit take the next wider one; int8 on vector units is the four-way dot product (DP4A)."""
    vector, tensor = _vector_rates(device), _tensor_rates(device)
    return (
        sum(mask * vector.get(name, device.fp32_flop_per_clk) for name, mask in columns.dtypes),
        sum(mask * tensor[name] for name, mask in columns.dtypes),
    )


def _vector_rates(device: Any) -> dict[str, Array]:
    half = _larger(device.fp16_flop_per_clk, device.fp32_flop_per_clk)
    dot = 4 * device.fp32_flop_per_clk
    return {"fp64": device.fp64_flop_per_clk, "fp16": half, "fp8": half, "fp4": half, "int8": dot, "int4": dot}


def _tensor_rates(device: Any) -> dict[str, Array]:
    fp16, int8 = device.fp16_tensor_flop_per_clk, device.int8_tensor_op_per_clk
    fp8 = _larger(device.fp8_tensor_flop_per_clk, fp16)
    return {
        "fp64": device.fp64_tensor_flop_per_clk,
        "fp32": device.fp32_tensor_flop_per_clk,
        "tf32": device.tf32_tensor_flop_per_clk,
        "fp16": fp16,
        "bf16": device.bf16_tensor_flop_per_clk,
        "fp8": fp8,
        "fp4": _larger(device.fp4_tensor_flop_per_clk, fp8),
        "int8": int8,
        "int4": _larger(device.int4_tensor_op_per_clk, int8),
    }


def _larger(a: Array, b: Array) -> Array:
    """The larger one, of scalars and arrays alike."""
    return (a + b + abs(a - b)) / 2


def _positive(xp: Any, value: Array) -> Array:
    """`value`, or a rate so small that nobody picks it where `value` is 0."""
    return xp.where(value > 0, value, 0 * value + 1e-9)


def _gemm_s(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    vector, tensor = unit_rates(columns, device)
    vector_clk = (2 / constants.vector_frac) / _positive(xp, vector)
    tensor_clk = (2 / constants.tensor_frac) / _positive(xp, tensor)
    load_clk = columns.operand_b / constants.operand_b_per_clk
    clk = None
    for ctas, (tm, tn) in zip(columns.tile_ctas, TILES, strict=True):
        vector_step = (tm * tn) * vector_clk + VL * (tm + tn) * load_clk
        tensor_step = tm * max(tn, TENSOR_N) * tensor_clk + (tm + tn) * load_clk
        block_clk = xp.minimum(columns.k * vector_step, columns.k_tensor * tensor_step)
        piece_clk = columns.piece_k * xp.minimum(vector_step, tensor_step)
        whole_clk = _waves_clk(xp, ctas, block_clk, columns.k, device, constants)
        split_clk = _split_clk(xp, ctas, block_clk, piece_clk, columns, device, constants)
        clk = _least(xp, (whole_clk, split_clk) if clk is None else (clk, whole_clk, split_clk))
    return _throttled(xp, clk / device.clock_hz, columns.flop, columns, device, constants)


def _waves_clk(xp: Any, ctas: Array, block_clk: Array, k: Array, device: Any, constants: ConvConstants) -> Array:
    """Clocks of whole thread blocks in waves over the SMs; K bounds one block from below."""
    waves = xp.ceil(ctas / device.sm_count)
    return xp.maximum(waves * (block_clk + constants.prologue_clk), k * constants.k_step_clk + constants.prologue_clk)


def _split_clk(
    xp: Any, ctas: Array, block_clk: Array, piece_clk: Array, columns: ConvColumns, device: Any, constants: ConvConstants
) -> Array:
    """Clocks with K split over idle SMs: no quantisation, but a tail of one piece and a reduction at the end."""
    share = ctas / device.sm_count
    floor_clk = constants.k_step_clk * xp.minimum(columns.piece_k, columns.k)
    work_clk = share * block_clk + xp.minimum(piece_clk, block_clk)
    return xp.maximum(work_clk, floor_clk) + (2 + share) * constants.prologue_clk


def _throttled(xp: Any, time_s: Array, flop: Array, columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    """`time_s` where the power limit allows it, else the geometric mean with the time that the limit sets.

    Lower clocks need lower voltages, so that the loss is about the root of the excess power."""
    share = sum(mask * ENERGY_SHARE[name] for name, mask in columns.dtypes)
    energy_j = constants.flop_energy_j * device.energy_scale
    limit_s = flop * (share * energy_j) / (device.power_limit_w - device.idle_power_w)
    return xp.sqrt(time_s * xp.maximum(time_s, limit_s))


def _winograd_s(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    step_clk = 2 / (constants.vector_frac * device.fp32_flop_per_clk)
    pass_s = constants.transform_pass_count / (constants.dram_frac * device.dram_b_per_s)
    fused_s = _fused_s(xp, columns, step_clk, device, constants) + columns.fused_transform_b * pass_s
    load_clk = columns.k_winograd * columns.operand_b / constants.operand_b_per_clk
    clk = _least(xp, (
        _waves_clk(xp, ctas, tm * tn * columns.k_winograd * step_clk + (tm + tn) * load_clk, columns.k_winograd, device, constants)
        for ctas, (tm, tn) in zip(columns.winograd_ctas, TILES, strict=True)
    ))  # fmt: skip
    gemm_s = _throttled(xp, clk / device.clock_hz, columns.winograd_flop, columns, device, constants)
    launches_s = 2 * constants.launch_s + _call_s(columns, constants)
    return xp.minimum(fused_s, gemm_s + columns.transform_b * pass_s + launches_s)


def _least(xp: Any, values: Iterable[Array]) -> Array:
    best = None
    for value in values:
        best = value if best is None else xp.minimum(best, value)
    return best


def _fused_s(xp: Any, columns: ConvColumns, step_clk: Array, device: Any, constants: ConvConstants) -> Array:
    k = columns.k / constants.winograd_gain
    block_clk = 128 * 32 * k * step_clk + (128 + 32) * columns.k / 2.25 * columns.operand_b / constants.operand_b_per_clk
    clk = _waves_clk(xp, columns.fused_ctas, block_clk, k, device, constants)
    return _throttled(xp, clk / device.clock_hz, columns.flop / 2.25, columns, device, constants)


def _direct_s(columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    """Depthwise and grouped kernels: taps on vector lanes, and every input element staged once."""
    taps_clk = columns.tap_count * 2 / (constants.tap_op_frac * device.fp32_flop_per_clk)
    clk = (taps_clk + columns.element_count / constants.element_per_clk) / device.sm_count
    clk = clk / (1 + columns.window * (constants.window_gain - 1))
    return (clk + constants.prologue_clk) / device.clock_hz


def _memory(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> tuple[Array, Array]:
    """Seconds of the L2 and DRAM traffic, and the DRAM bytes."""
    cold_b = columns.io_b - columns.warm_l2_frac * device.l2_b
    dram_b = xp.where(cold_b > 0, cold_b, 0 * cold_b)
    l2_s = columns.io_b / (constants.l2_frac * device.l2_b_per_clk * device.sm_count * device.clock_hz)
    return l2_s + dram_b / (constants.dram_frac * device.dram_b_per_s), dram_b
