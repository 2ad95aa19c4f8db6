"""Closed-form time of convolutions on a GPU: implicit GEMM, Winograd and direct kernels, the fastest of them.

A convolution in 1, 2 or 3 dimensions is seen as a GEMM with M = batch * output positions, N = output channels a group and
K = input channels a group * kernel taps. `conv_columns` does everything that depends on kernels only; `conv_time` is the
broadcast over device points. Sources: implicit GEMM (Chetlur et al. 2014, arXiv:1410.0759), Winograd F(2x2,3x3) and
F(4x4,3x3) (Lavin and Gray 2015, arXiv:1509.09308), wave quantisation (NVIDIA, Matrix Multiplication Background User's Guide).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.dtypes import dtype as dtype_of
from hwsim.errors import InputError
from hwsim.targets.gpu.kernels.common import KernelTime

TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (128, 32))
"""(rows of M, columns of N) of a thread block; the menu of cuDNN and TensorRT is larger, these span it."""
K_STEP = 8
"""Channels are padded to this many on tensor cores, and K everywhere."""
K_TENSOR = 32
TENSOR_N = 64
PW = 1.0
NF_LAUNCH = 1.0
SPLIT_K = 512
"""Shortest share of K that a split-K thread block gets."""
SMOOTH = 0.5
"""Share of the waves that is fractional (blocks of a tail wave run faster); the rest is rounded up."""
FUSED_TILES = ((128, 64), (64, 32))
"""Thread blocks of fused Winograd, in output positions and output channels."""
ENERGY_SHARE = {"fp64": 2.0, "fp32": 1.0, "tf32": 0.3, "fp16": 0.15, "bf16": 0.15, "int8": 0.12, "fp8": 0.08}
"""Energy of one operation relative to fp32 on vector units (assumed, after Horowitz 2014 and tensor-core measurements)."""


@dataclass(frozen=True)
class ConvConstants:
    """Constants shared by all devices; `targets/gpu/fitted/conv.yaml` holds the fitted values."""

    eager_launch_s: float = 60e-6
    """Fixed cost of one convolution called from a framework, allocation and dispatch included."""
    engine_launch_s: float = 8e-6
    """Fixed cost of one convolution inside a compiled engine (TensorRT)."""
    vector_frac: float = 0.85
    """Share of the peak of the vector units that a full thread block reaches."""
    tensor_frac: float = 0.9
    """Share of the peak of the tensor units that a full thread block reaches."""
    operand_b_per_clk: float = 128.0
    """Bytes of operands that an SM loads a clock, not overlapped with arithmetic."""
    prologue_clk: float = 3000.0
    """Clocks to start and drain one wave of thread blocks."""
    k_step_clk: float = 30.0
    """Clocks that a thread block needs for one step of K, however small its tile."""
    winograd_gain: float = 1.6
    """Speed-up of fused Winograd F(2x2,3x3) over direct arithmetic, at most 2.25."""
    transform_pass_count: float = 4.0
    """Passes over the transformed tensors of non-fused Winograd F(4x4,3x3)."""
    dram_frac: float = 0.8
    """Share of the DRAM bandwidth that long streams reach."""
    l2_frac: float = 0.5
    """Share of the L2 bandwidth that long streams reach."""
    overlap_loss_frac: float = 0.2
    """Share of the shorter one of compute and memory that does not hide behind the longer one."""
    tap_op_frac: float = 0.03
    """Share of the fp32 vector rate at which direct (depthwise) kernels do their taps."""
    element_per_clk: float = 0.7
    """32-bit input elements that a direct kernel stages a clock and SM."""
    flop_energy_j: float = 12e-12
    """Energy of one fp32 vector operation: more than power_limit_w of these slow the clock down."""


@dataclass(frozen=True)
class ConvColumns:
    """What a table of convolutions costs on any device; arrays of shape `(kernels,)`."""

    dtypes: tuple[tuple[str, Array], ...]
    """Arithmetic formats in the table with the 0/1 mask of the kernels that use each."""
    tile_ctas: tuple[Array, ...]
    """Thread blocks of the implicit GEMM for every tile of the menu."""
    fused_ctas: tuple[Array, ...]
    """Thread blocks of fused Winograd."""
    winograd_ctas: tuple[Array, ...]
    """Thread blocks of the 36 GEMMs of non-fused Winograd, for every tile."""
    k: Array
    """Padded inner dimension of the implicit GEMM."""
    k_tensor: Array
    """The same with channels padded for tensor cores."""
    k_winograd: Array
    """Padded inner dimension of the Winograd GEMMs."""
    split_count: Array
    """Most ways that K can be split."""
    operand_b: Array
    """Bytes of one operand element in shared memory."""
    winograd: Array
    """1 where a Winograd kernel exists (3x3, stride 1, no dilation, one group, fp32), else 0."""
    transform_b: Array
    """Bytes of the transformed input, weights and output of non-fused Winograd."""
    tap_count: Array
    """Multiply-accumulates of a direct kernel, in 32-bit lanes."""
    element_count: Array
    """Input elements touched by a direct kernel, in 32-bit lanes."""
    direct: Array
    """1 where a direct kernel exists (more than one group), else 0."""
    io_b: Array
    """Bytes in and out of the kernel: input, weights, output, and the epilogue's."""
    warm_l2_frac: Array
    """Share of the L2 that holds this kernel's data when it starts."""
    eager: Array
    """1 for framework calls, 0 for compiled engines."""
    flop: Array
    """Operations by definition, 2 * M * N * K * groups."""
    winograd_flop: Array
    """Operations of the 36 GEMMs of non-fused Winograd."""


def conv_columns(
    *,
    batch: Array,
    in_channels: Array,
    out_channels: Array,
    input_size: Sequence[Array],
    kernel_size: Sequence[Array],
    stride: Sequence[Array] | None = None,
    padding: Sequence[Array] | None = None,
    dilation: Sequence[Array] | None = None,
    groups: Array = 1,
    dtype: str | Sequence[str] = "fp32",
    channels_last: Array = 1,
    eager: Array = 0,
    split_k: Array = 1,
    warm_l2_frac: Array = 0.0,
    epilogue_b: Array = 0.0,
) -> ConvColumns:
    """Device-independent quantities of a table of convolutions.

    Args:
        batch, in_channels, out_channels, groups: counts, scalars or `(kernels,)`; channels over all groups.
        input_size, kernel_size, stride, padding, dilation: one entry a spatial dimension (1, 2 or 3), each a scalar or `(kernels,)`.
        dtype: arithmetic format, one for all or one a kernel; also the storage format.
        channels_last: 1 for NHWC, 0 for NCHW (tensor cores then pay for two layout changes in a framework).
        eager: 1 for a framework call (cuDNN), 0 inside a compiled engine (TensorRT).
        split_k: 1 where the library may split K over idle SMs.
        warm_l2_frac: share of the L2 that holds this kernel's data when it starts (0 in a cold run, near 1 in a loop of one kernel).
        epilogue_b: extra bytes of a fused epilogue, such as a residual that is read.

    Raises:
        InputError: no or more than three spatial dimensions, lists of unequal length, or a format without an arithmetic rate.
    """
    dims = _dimensions(input_size, kernel_size, stride, padding, dilation)
    arrays = [batch, in_channels, out_channels, groups, *(value for dim in dims for value in dim), channels_last, eager]
    xp = namespace(*arrays, warm_l2_frac, epilogue_b)
    shape = _Shape.of(xp, batch, in_channels, out_channels, groups, dims)
    names = _names(dtype)
    masks = _masks(xp, names, shape.zero)
    width = sum(mask * (dtype_of(_STORAGE.get(name, name)).bits / 8) for name, mask in masks)
    eager, channels_last = shape.zero + eager, shape.zero + channels_last
    tensor16 = sum((mask for name, mask in masks if name in ("fp16", "bf16")), start=shape.zero)
    lane = xp.where(tensor16 > 0, shape.zero + 0.5, shape.zero + 1)
    io_b = width * (shape.input_count + shape.weight_count + shape.output_count) + epilogue_b
    layout_b = 2 * width * (shape.input_count + shape.output_count) * eager * (1 - channels_last) * tensor16
    winograd = shape.winograd * sum((mask for name, mask in masks if name == "fp32"), start=shape.zero)
    split = xp.where((shape.zero + split_k > 0) & (shape.k > SPLIT_K), shape.k / SPLIT_K, shape.zero + 1)
    return ConvColumns(
        dtypes=masks,
        tile_ctas=_ctas(xp, shape.m, shape.n, shape.groups, TILES),
        fused_ctas=_ctas(xp, shape.m_fused, shape.n, shape.groups, FUSED_TILES),
        winograd_ctas=_ctas(xp, shape.m_winograd, shape.n, 36.0, TILES),
        k=_up(xp, shape.k, K_STEP),
        k_tensor=shape.taps * _up(xp, shape.channels, K_TENSOR),
        k_winograd=_up(xp, shape.channels, K_STEP),
        split_count=split,
        operand_b=width,
        winograd=winograd,
        transform_b=4.0 * 36.0 * (shape.m_winograd * (shape.channels + shape.n / 3) + 2 * eager * shape.channels * shape.n),
        tap_count=shape.macs * lane,
        element_count=shape.input_count * lane,
        direct=xp.where(shape.groups > 1, shape.zero + 1, shape.zero),
        io_b=io_b + layout_b,
        warm_l2_frac=shape.zero + warm_l2_frac,
        eager=eager,
        flop=2 * shape.macs,
        winograd_flop=72.0 * shape.m_winograd * shape.channels * shape.n,
    )


_STORAGE = {"tf32": "fp32", "fp8": "fp8_e4m3"}


def _dimensions(input_size, kernel_size, stride, padding, dilation) -> list[tuple[Array, ...]]:  # noqa: ANN001
    count = len(input_size)
    lists = [input_size, kernel_size, stride or [1] * count, padding or [0] * count, dilation or [1] * count]
    if not 1 <= count <= 3 or any(len(values) != count for values in lists):
        raise InputError(
            f"convolution with {[len(values) for values in lists]} entries for input size, kernel size, stride, padding "
            "and dilation; expected 1, 2 or 3 of each, one a spatial dimension"
        )
    return list(zip(*lists, strict=True))


def _names(dtype: str | Sequence[str]) -> list[str]:
    names = [dtype] if isinstance(dtype, str) else [str(name) for name in dtype]
    unknown = sorted({name for name in names if name not in ENERGY_SHARE})
    if unknown:
        raise InputError(f"no convolution rate for dtype {unknown!r}; expected one of {sorted(ENERGY_SHARE)}")
    return names


def _masks(xp: Any, names: list[str], zero: Array) -> tuple[tuple[str, Array], ...]:
    present = sorted(set(names))
    if len(present) == 1:
        return ((present[0], zero + 1),)
    return tuple((name, zero + xp.asarray([float(n == name) for n in names], dtype=zero.dtype)) for name in present)


def _up(xp: Any, value: Array, step: float) -> Array:
    """`value` rounded up to a multiple of `step`."""
    return xp.ceil(value / step) * step


def _ctas(xp: Any, m: Array, n: Array, groups: Array, tiles: Sequence[tuple[int, int]]) -> tuple[Array, ...]:
    return tuple(xp.ceil(m / tm) * xp.ceil(n / tn) * groups for tm, tn in tiles)


@dataclass(frozen=True)
class _Shape:
    """Counts of a table of convolutions, all of one shape."""

    zero: Array
    m: Array
    n: Array
    k: Array
    groups: Array
    channels: Array
    taps: Array
    m_fused: Array
    m_winograd: Array
    winograd: Array
    macs: Array
    input_count: Array
    weight_count: Array
    output_count: Array

    @classmethod
    def of(cls, xp: Any, batch: Array, cin: Array, cout: Array, groups: Array, dims: list[tuple[Array, ...]]) -> _Shape:
        zero = _zero(xp, [batch, cin, cout, groups, *(value for dim in dims for value in dim)])
        batch, groups = zero + batch, zero + groups
        channels, n = cin / groups, cout / groups
        m, m2, m4, taps, touched, plain = batch, batch, batch, zero + 1, batch * cin, zero + float(len(dims) == 2)
        for position, (size, kernel, stride, pad, dilation) in enumerate(dims):
            out = xp.floor((zero + size + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1
            m, m2, m4, taps = m * out, m2 * xp.ceil(out / 2) * 2, m4 * xp.ceil(out / 4), taps * kernel
            contiguous = position == len(dims) - 1
            touched = touched * (size if contiguous else xp.where(zero + stride > kernel, out * kernel, zero + size))
            simple = (zero + kernel == 3) & (zero + stride == 1) & (zero + dilation == 1)
            plain = plain * xp.where(simple, zero + 1, zero)
        k = channels * taps
        macs = m * n * k * groups
        return cls(
            zero, m, n, k, groups, channels, taps, m2, m4, xp.where(groups == 1, plain, zero), macs,
            touched, k * n * groups, m * n * groups,
        )  # fmt: skip


def _zero(xp: Any, values: Sequence[Array]) -> Array:
    total = xp.asarray(0.0)
    for value in values:
        total = total + xp.zeros_like(xp.asarray(value), dtype=total.dtype)
    return total


def conv_time(columns: ConvColumns, *, device: Any, constants: ConvConstants) -> KernelTime:
    """Time of every kernel on every device point: overhead + the longer of compute and memory.

    Args:
        columns: from `conv_columns`, arrays `(kernels,)`.
        device: a GPU description; its fields are scalars or `(points, 1)`.
        constants: the fitted constants.

    The law time(2 * batch) <= 2 * time(batch) holds for cold kernels; a kernel that outgrows a warm L2 loses more than twice.
    """
    xp = namespace(columns.k, device.sm_count, device.clock_hz, device.dram_b_per_s, device.l2_b, device.power_limit_w)
    sm_hz = device.sm_count * device.clock_hz
    gemm_s = _gemm_s(xp, columns, device, constants)
    direct_s = _direct_s(columns, device, constants, sm_hz)
    compute_s = xp.where(columns.direct > 0, xp.minimum(gemm_s, direct_s), gemm_s)
    fused_s, transformed_s, transform_s = _winograd_s(xp, columns, device, constants)
    winograd_s = xp.minimum(fused_s, transformed_s)
    compute_s = xp.where(columns.winograd > 0, xp.minimum(compute_s, winograd_s), compute_s)
    memory_s, dram_b = _memory(xp, columns, device, constants)
    launch_s = constants.engine_launch_s + columns.eager * (constants.eager_launch_s - constants.engine_launch_s)
    exposed_s = constants.overlap_loss_frac * xp.minimum(compute_s, memory_s)
    return KernelTime(
        compute_s=compute_s,
        memory_s=memory_s,
        overhead_s=launch_s + exposed_s,
        flop=columns.flop + 0 * compute_s,
        dram_b=dram_b,
    )


def _rates(columns: ConvColumns, device: Any) -> tuple[Array, Array]:
    """Operations a clock and SM of the (vector, tensor) units that each kernel may use; 0 where there is none."""
    half = device.fp16_flop_per_clk
    vector = {
        "fp64": device.fp64_flop_per_clk, "fp16": half, "fp8": half, "int8": 4 * device.fp32_flop_per_clk,
    }  # fmt: skip
    tensor = {
        "fp64": device.fp64_tensor_flop_per_clk, "tf32": device.tf32_tensor_flop_per_clk,
        "fp16": device.fp16_tensor_flop_per_clk, "bf16": device.bf16_tensor_flop_per_clk,
        "fp8": device.fp8_tensor_flop_per_clk, "int8": device.int8_tensor_op_per_clk,
    }  # fmt: skip
    return (
        sum(mask * vector.get(name, device.fp32_flop_per_clk) for name, mask in columns.dtypes),
        sum(mask * tensor.get(name, 0.0) for name, mask in columns.dtypes),
    )


def _gemm_s(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    vector, tensor = _rates(columns, device)
    vector_clk = columns.k * (2 / constants.vector_frac) / vector
    tensor_clk = columns.k_tensor * (2 / constants.tensor_frac) / xp.where(tensor > 0, tensor, 0 * tensor + 1e-9)
    load_clk = columns.k * columns.operand_b / constants.operand_b_per_clk
    clk = _tiles_clk(xp, columns.tile_ctas, TILES, (vector_clk, tensor_clk), load_clk, columns.split_count, columns.k, device.sm_count, constants)
    return _throttled(xp, clk / device.clock_hz, columns.flop, columns, device, constants)


def _tiles_clk(xp, ctas, tiles, step_clk, load_clk, split, k, sm_count, constants) -> Array:  # noqa: ANN001
    """Clocks of the best tile: waves of thread blocks, whole or with K split over idle SMs."""
    best = None
    floor_clk = k * constants.k_step_clk
    for blocks, (tm, tn) in zip(ctas, tiles, strict=True):
        math_clk = tm * tn * step_clk[0]
        if step_clk[1] is not None:
            math_clk = xp.minimum(math_clk, tm * max(tn, TENSOR_N) * step_clk[1])
        block_clk = math_clk + (tm + tn) * load_clk
        share = blocks / sm_count
        whole = SMOOTH * xp.where(share > 1, share, 0 * share + 1) + (1 - SMOOTH) * xp.ceil(share)
        clk = xp.maximum(whole * (block_clk + PW * constants.prologue_clk), floor_clk) + (1 - PW) * constants.prologue_clk
        if split is not None:
            clk = xp.minimum(clk, xp.maximum((share + 1 / split) * block_clk, floor_clk / split) + (2 + PW * share) * constants.prologue_clk)
        best = clk if best is None else xp.minimum(best, clk)
    return best


def _throttled(xp: Any, time_s: Array, flop: Array, columns: ConvColumns, device: Any, constants: ConvConstants) -> Array:
    """`time_s` where the power limit allows, else stretched: power goes with the cube of the clock, time with its inverse."""
    share = sum(mask * ENERGY_SHARE[name] for name, mask in columns.dtypes)
    limit_s = flop * share * constants.flop_energy_j / (device.power_limit_w - device.idle_power_w)
    return xp.where(limit_s > time_s, xp.sqrt(limit_s * time_s), time_s)


def _winograd_s(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> tuple[Array, Array, Array]:
    step = 2 / (constants.vector_frac * device.fp32_flop_per_clk)
    load_clk = columns.k * columns.operand_b / constants.operand_b_per_clk
    fused_clk = _tiles_clk(
        xp, columns.fused_ctas, FUSED_TILES, (columns.k * step / constants.winograd_gain, None), load_clk / 2.25, None, columns.k / 2.25, device.sm_count, constants
    )
    fused_s = _throttled(xp, fused_clk / device.clock_hz, columns.flop / 2.25, columns, device, constants)
    load_clk = columns.k_winograd * columns.operand_b / constants.operand_b_per_clk
    clk = _tiles_clk(xp, columns.winograd_ctas, TILES, (columns.k_winograd * step, None), load_clk, None, columns.k_winograd, device.sm_count, constants)
    gemm_s = _throttled(xp, clk / device.clock_hz, columns.winograd_flop, columns, device, constants)
    transform_s = constants.transform_pass_count * columns.transform_b / (constants.dram_frac * device.dram_b_per_s)
    return fused_s, gemm_s + transform_s + NF_LAUNCH * (constants.engine_launch_s + columns.eager * (constants.eager_launch_s - constants.engine_launch_s)), transform_s


def _direct_s(columns: ConvColumns, device: Any, constants: ConvConstants, sm_hz: Array) -> Array:
    taps_clk = columns.tap_count * 2 / (constants.tap_op_frac * device.fp32_flop_per_clk)
    return (taps_clk + columns.element_count / constants.element_per_clk) / sm_hz + constants.prologue_clk / device.clock_hz


def _memory(xp: Any, columns: ConvColumns, device: Any, constants: ConvConstants) -> tuple[Array, Array]:
    """Seconds of the L2 and DRAM traffic, and the DRAM bytes."""
    warm_b = columns.warm_l2_frac * device.l2_b
    dram_b = xp.where(columns.io_b > warm_b, columns.io_b - warm_b, 0 * (columns.io_b - warm_b))
    l2_s = columns.io_b / (constants.l2_frac * device.l2_b_per_clk * device.sm_count * device.clock_hz)
    return l2_s + dram_b / (constants.dram_frac * device.dram_b_per_s), dram_b
