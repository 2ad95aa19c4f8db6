"""Layers that several architectures share."""

from __future__ import annotations

from hwsim.graph import GraphBuilder


def linear(b: GraphBuilder, x: str, units: int, *, path: str = "", bias: bool = True) -> str:
    """x W^T + b with new weights."""
    with b.scope(path):
        size = b.shape(x)[-1]
        weights = [b.weight((units, size))] + ([b.weight((units,), name="bias")] if bias else [])
        return b.add("linear", [x, *weights])


def conv(
    b: GraphBuilder,
    x: str,
    channels: int,
    kernel: int,
    *,
    path: str = "",
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    bias: bool = False,
) -> str:
    """2-d convolution with new weights; padding keeps the size at stride 1 unless given."""
    pad = kernel // 2 if padding is None else padding
    with b.scope(path):
        weights = [b.weight((channels, b.shape(x)[1] // groups, kernel, kernel))] + ([b.weight((channels,), name="bias")] if bias else [])
        return b.add("conv", [x, *weights], stride=stride, padding=pad, groups=groups)


def norm(b: GraphBuilder, x: str, fn: str, *, path: str = "") -> str:
    """Normalisation over channels (batch) or the last axis, with scale and (but for rms) shift."""
    size = b.shape(x)[1] if fn == "batch" else b.shape(x)[-1]
    with b.scope(path):
        operands = [x, b.weight((size,))] + ([] if fn == "rms" else [b.weight((size,), name="bias")])
        if fn == "batch":
            operands += [b.constant((size,), name="running_mean"), b.constant((size,), name="running_var")]
        return b.add("norm", operands, fn=fn)


def act(b: GraphBuilder, x: str, fn: str, *, path: str = "") -> str:
    """Scalar function."""
    return b.add("activation", [x], fn=fn, path=path)


def add(b: GraphBuilder, x: str, y: str, *, path: str = "") -> str:
    """Sum of two tensors."""
    return b.add("elementwise", [x, y], fn="add", path=path)


def mul(b: GraphBuilder, x: str, y: str, *, path: str = "") -> str:
    """Product of two tensors."""
    return b.add("elementwise", [x, y], fn="mul", path=path)


def heads(b: GraphBuilder, x: str, count: int, *, path: str = "") -> str:
    """(batch, length, heads * size) -> (batch, heads, length, size)."""
    batch, length, width = b.shape(x)
    split = b.add("reshape", [x], shape=(batch, length, count, width // count), path=path)
    return b.add("transpose", [split], perm=(0, 2, 1, 3), path=path)


def merged(b: GraphBuilder, x: str, *, path: str = "") -> str:
    """(batch, heads, length, size) -> (batch, length, heads * size)."""
    batch, count, length, size = b.shape(x)
    back = b.add("transpose", [x], perm=(0, 2, 1, 3), path=path)
    return b.add("reshape", [back], shape=(batch, length, count * size), path=path)


def global_average(b: GraphBuilder, x: str, *, path: str = "global_pool") -> str:
    """(batch, channels, *spatial) -> (batch, channels)."""
    pooled = b.add("pool", [x], fn="avg", output_size=1, path=path)
    return b.add("reshape", [pooled], shape=b.shape(pooled)[:2], path=path)
