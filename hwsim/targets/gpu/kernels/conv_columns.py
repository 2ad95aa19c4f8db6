"""What a table of convolutions costs on any device: counts, thread blocks and bytes, computed once before a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace
from hwsim.dtypes import dtype as dtype_of
from hwsim.errors import InputError

TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (128, 32))
"""(rows of M, columns of N) of a thread block; the menu of cuDNN and TensorRT is larger, these span it."""
FUSED_BLOCK = (8, 16)
FUSED_CHANNELS = 32
"""Output positions and output channels of a thread block of fused Winograd (read off cuDNN's launch grids)."""
K_STEP, K_TENSOR = 8, 32
"""Input channels are padded to these on vector and tensor units (the second from measurements: 8 and 16 are slower)."""
SPLIT_K = 512
"""Shortest share of K that a split-K thread block gets (assumed)."""
STAGING = 8.0
"""A direct kernel handles so many input elements in the time of one output (from measurements)."""
RATED = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4")
"""Arithmetic formats that a convolution may have."""
CALLS = ("queued", "engine", "framework")
_STORAGE = {"fp8": "fp8_e4m3"}


@dataclass(frozen=True)
class ConvColumns:
    """What a table of convolutions costs on any device; arrays of shape `(kernels,)`."""

    dtypes: tuple[tuple[str, Array], ...]
    """Arithmetic formats in the table with the 0/1 mask of the kernels that use each."""
    tile_ctas: tuple[Array, ...]
    """Thread blocks of the implicit GEMM for every tile of the menu."""
    fused_ctas: Array
    """Thread blocks of fused Winograd."""
    winograd_ctas: tuple[Array, ...]
    """Thread blocks of the 36 GEMMs of non-fused Winograd, for every tile."""
    k: Array
    """Padded inner dimension of the implicit GEMM."""
    k_tensor: Array
    """The same with channels padded for tensor cores."""
    k_winograd: Array
    """Padded inner dimension of the Winograd GEMMs."""
    piece_k: Array
    """Share of K that a split-K thread block gets; huge where K cannot be split."""
    operand_b: Array
    """Bytes of one operand element in shared memory."""
    winograd: Array
    """1 where a Winograd kernel exists (3x3, stride 1, no dilation, one group, fp32), else 0."""
    fused_transform_b: Array
    """Bytes of the transformed weights of fused Winograd, made on every framework call."""
    transform_b: Array
    """Bytes of the transformed input, weights and output of non-fused Winograd."""
    tap_count: Array
    """Multiply-accumulates of a direct kernel, in 32-bit lanes."""
    element_count: Array
    """Elements staged by a direct kernel, in 32-bit lanes: outputs, and the input at a fraction of their cost."""
    window: Array
    """1 where a direct kernel keeps a sliding window in registers (up to 3 wide, stride 1, no dilation), else 0."""
    direct: Array
    """1 where a direct kernel exists (more than one group, or one input channel), else 0."""
    io_b: Array
    """Bytes in and out of the kernel: input, weights, output, and the epilogue's."""
    warm_l2_frac: Array
    """Share of the L2 that holds this kernel's data when it starts."""
    eager: Array
    """1 where a framework's heuristic picks the algorithm, 0 where it was tuned."""
    engine_call: Array
    """1 where a compiled engine or library call is timed alone, else 0."""
    framework_call: Array
    """1 where a framework call is timed alone, else 0."""
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
    call: str | Sequence[str] = "queued",
    split_k: Array = 1,
    warm_l2_frac: Array = 0.0,
    epilogue_b: Array = 0.0,
) -> ConvColumns:
    """Device-independent quantities of a table of convolutions.

    Args:
        batch, in_channels, out_channels, groups: counts, scalars or `(kernels,)`; channels over all groups.
        input_size, kernel_size, stride, padding, dilation: one entry a spatial dimension (1, 2 or 3), each a scalar
            or `(kernels,)`; padding is that of one side.
        dtype: arithmetic format (`RATED`), one for all or one a kernel; also the storage format.
        channels_last: 1 for NHWC, 0 for NCHW, where 16-bit kernels called from a framework change the layout first.
        eager: 1 where a framework's heuristic picks the algorithm, 0 where an engine tuned it.
        call: "queued" inside a network; "engine" or "framework" for one call that is timed alone; one or one a kernel.
        split_k: 1 where the library may split K over idle SMs.
        warm_l2_frac: share of the L2 that holds this kernel's data at the start (0 cold, near 1 in a loop of one kernel).
        epilogue_b: extra bytes of a fused epilogue, such as a residual that is read.

    Raises:
        InputError: no or more than three spatial dimensions, lists of unequal length, an unknown `dtype` or `call`.
    """
    dims = _dimensions(input_size, kernel_size, stride, padding, dilation)
    shape = _Shape.of(batch, in_channels, out_channels, groups, dims, (channels_last, eager, split_k, warm_l2_frac, epilogue_b))
    masks = _masks(shape, _names("dtype", dtype, RATED))
    calls = dict(_masks(shape, _names("call", call, CALLS)))
    half = shape.zero + sum(mask for name, mask in masks if name in ("fp16", "bf16"))
    width = shape.zero + sum(mask * (dtype_of(_STORAGE.get(name, name)).bits / 8) for name, mask in masks)
    eager = shape.zero + eager
    return ConvColumns(
        dtypes=masks,
        **_gemm_columns(shape, split_k),
        **_winograd_columns(shape, eager, sum(mask for name, mask in masks if name == "fp32")),
        operand_b=width,
        tap_count=shape.macs * (1 - half / 2),
        element_count=(shape.output_count + shape.input_count / STAGING) * (1 - half / 2),
        window=shape.window,
        direct=shape.flag((shape.groups > 1) | (shape.channels == 1)),
        io_b=width * (shape.io_count + shape.layout_count * eager * (1 - channels_last) * half) + epilogue_b,
        warm_l2_frac=shape.zero + warm_l2_frac,
        eager=eager,
        engine_call=calls.get("engine", shape.zero),
        framework_call=calls.get("framework", shape.zero),
        flop=2 * shape.macs,
    )


def _gemm_columns(shape: _Shape, split_k: Array) -> dict[str, Any]:
    return {
        "tile_ctas": tuple(shape.ctas(shape.m, tm, tn) * shape.groups for tm, tn in TILES),
        "k": shape.up(shape.k, K_STEP),
        "k_tensor": shape.taps * shape.up(shape.channels, K_TENSOR),
        "piece_k": shape.xp.where(shape.zero + split_k > 0, shape.zero + SPLIT_K, shape.zero + 1e12),
    }


def _winograd_columns(shape: _Shape, eager: Array, fp32: Array) -> dict[str, Any]:
    """F(2x2,3x3) in one kernel: 16 values a filter; F(4x4,3x3) in four kernels: 36 GEMMs between transforms.

    Passes over the transformed tensors, relative to the input's, were read off NeuSight's launch records."""
    m, channels, n = shape.m_winograd, shape.channels, shape.n
    return {
        "winograd": shape.plain * fp32,
        "fused_ctas": shape.fused_blocks * shape.up(n, FUSED_CHANNELS) / FUSED_CHANNELS,
        "winograd_ctas": tuple(36 * shape.ctas(m, tm, tn) for tm, tn in TILES),
        "k_winograd": shape.up(channels, K_STEP),
        "fused_transform_b": 4.0 * 16 * 2 * eager * channels * n,
        "transform_b": 4.0 * 36 * (m * (channels + n / 3) + 2 * eager * channels * n),
        "winograd_flop": 72 * m * channels * n,
    }


def _dimensions(*lists: Sequence[Array] | None) -> list[tuple[Array, ...]]:
    size, kernel, stride, padding, dilation = lists
    count = len(size or ())
    full = [size, kernel, stride or [1] * count, padding or [0] * count, dilation or [1] * count]
    lengths = [len(values or ()) for values in full]
    if not 1 <= count <= 3 or set(lengths) != {count}:
        raise InputError(
            f"convolution with {lengths} entries of input size, kernel size, stride, padding and dilation; "
            "expected 1, 2 or 3 of each, one a spatial dimension"
        )
    return list(zip(*(values or () for values in full), strict=True))


def _names(what: str, value: str | Sequence[str], known: Iterable[str]) -> list[str]:
    names = [value] if isinstance(value, str) else [str(name) for name in value]
    if unknown := sorted(set(names) - set(known)):
        raise InputError(f"no convolution model for {what} {unknown!r}; expected one of {sorted(known)}")
    return names


def _masks(shape: _Shape, names: list[str]) -> tuple[tuple[str, Array], ...]:
    present = sorted(set(names))
    if len(present) == 1:
        return ((present[0], shape.zero + 1),)
    return tuple((p, shape.zero + shape.xp.asarray([float(n == p) for n in names], dtype=shape.xp.float64)) for p in present)


@dataclass(frozen=True)
class _Shape:
    """Counts of a table of convolutions; every array has the table's shape."""

    xp: Any
    zero: Array
    groups: Array
    channels: Array
    """Input channels a group."""
    n: Array
    m: Array
    taps: Array
    fused_blocks: Array
    m_winograd: Array
    """Tiles of 4x4 output positions."""
    window: Array
    """1 for kernels up to 3 wide with stride 1 and no dilation."""
    plain: Array
    """1 for 3x3 with stride 1, no dilation, one group."""
    input_count: Array
    """Input elements read: rows that no tap touches are skipped, columns are not (they share sectors)."""

    @classmethod
    def of(cls, batch: Array, cin: Array, cout: Array, groups: Array, dims: list[tuple[Array, ...]], more: tuple) -> _Shape:
        values = [batch, cin, cout, groups, *(value for dim in dims for value in dim), *more]
        xp = namespace(*values)
        zero = sum(xp.zeros_like(xp.asarray(value), dtype=xp.float64) for value in values)
        groups = zero + groups
        m = blocks = tiles = zero + batch
        taps, touched, square, window = zero + 1, zero + batch * cin, zero + len(dims) == 2, zero == 0
        for position, (size, kernel, stride, pad, dilation) in enumerate(dims):
            out = xp.floor((zero + size + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1
            m, tiles, taps = m * out, tiles * xp.ceil(out / 4), taps * kernel
            blocks = blocks * xp.ceil(out / FUSED_BLOCK[min(position, 1)])
            skips = (zero + stride > kernel) & (zero + position < len(dims) - 1)
            touched = touched * xp.where(skips, out * kernel, zero + size)
            window = window & (zero + kernel <= 3) & (zero + stride == 1) & (zero + dilation == 1)
            square = square & (zero + kernel == 3)
        window = xp.where(window, zero + 1, zero)
        plain = xp.where(square & (groups == 1), window, zero)
        return cls(xp, zero, groups, cin / groups, cout / groups, m, taps, blocks, tiles, window, plain, touched)

    @property
    def k(self) -> Array:
        """Inner dimension of the implicit GEMM."""
        return self.channels * self.taps

    @property
    def macs(self) -> Array:
        """Multiply-accumulates by definition."""
        return self.m * self.n * self.k * self.groups

    @property
    def layout_count(self) -> Array:
        """Elements of input and output."""
        return self.input_count + self.output_count

    @property
    def output_count(self) -> Array:
        """Elements of the output."""
        return self.m * self.n * self.groups

    @property
    def io_count(self) -> Array:
        """Elements of input, weights and output."""
        return self.layout_count + self.k * self.n * self.groups

    def up(self, value: Array, step: float) -> Array:
        """`value` rounded up to a multiple of `step`."""
        return self.xp.ceil(value / step) * step

    def ctas(self, m: Array, tm: int, tn: int) -> Array:
        """Thread blocks of `tm` rows and `tn` columns."""
        return self.xp.ceil(m / tm) * self.xp.ceil(self.n / tn)

    def flag(self, condition: Array) -> Array:
        """1 where `condition` holds, else 0."""
        return self.xp.where(condition, self.zero + 1, self.zero)
