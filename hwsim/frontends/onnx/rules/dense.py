"""Convolutions, matrix products, Einsum."""

from __future__ import annotations

import math
from typing import Any

from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.values import Value
from hwsim.ops import Shape


def integer_pair(x: Value, weight: Value) -> Value:
    """`x`, or the integers it was dequantised from if the weight is an integer tensor too: the product is then an integer one."""
    return x.quantized if x.quantized is not None and weight.quantized is not None and x.tensor else x


def bias(c: Call, index: int) -> list[str]:
    """Operand `index` as a list of a trained vector; empty if absent or all zeros that were computed."""
    if not c.has(index):
        return []
    value = c[index]
    if value.array is not None and value.stored is None and not value.array.any():
        return []
    return [c.weight(value)]


def window(c: Call, x: Shape, kernel: list[int]) -> dict[str, Any]:
    """Stride, dilation and padding of a convolution or pooling, `auto_pad` resolved."""
    dims = len(x) - 2
    if dims < 1 or len(kernel) != dims:
        raise ValueError(f"window {kernel} for an input of shape {list(x)}")
    stride, dilation = (list(c.attr(name, [1] * dims)) for name in ("strides", "dilations"))
    if any(s < 1 for s in (*stride, *dilation, *kernel)) or len(stride) != dims or len(dilation) != dims:
        raise ValueError(f"stride {stride}, dilation {dilation}, window {kernel}")
    mode, pads = c.attr("auto_pad", "NOTSET"), list(c.attr("pads", [0] * 2 * dims))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(x[2:], kernel, stride, dilation, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        pads = [0] * 2 * dims
    pairs = tuple(zip(pads[:dims], pads[dims:], strict=True))
    return {"stride": tuple(stride), "dilation": tuple(dilation), "padding": pairs}


def _same_pads(sizes: Shape, kernel: list[int], stride: list[int], dilation: list[int], *, upper: bool) -> list[int]:
    before, after = [], []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    return before + after


def _conv(c: Call) -> Value:
    x, weight = c[0], c[1]
    kernel = list(c.attr("kernel_shape", weight.shape[2:]))
    operands = [integer_pair(x, weight), c.weight(weight), *bias(c, 2)]
    return c.emit("conv", operands, groups=c.attr("group", 1), dtype=x.dtype, **window(c, x.shape, kernel))


def _conv_transpose(c: Call) -> Value:
    x, weight = c[0], c[1]
    dims = len(x.shape) - 2
    attrs = window(c, x.shape, list(c.attr("kernel_shape", weight.shape[2:])))
    extra = list(c.attr("output_padding", [0] * dims))
    target = c.attr("output_shape")
    if c.attr("auto_pad", "NOTSET").startswith("SAME"):
        target = [size * s for size, s in zip(x.shape[2:], attrs["stride"], strict=True)]
    if target:
        attrs["padding"], extra = _fitted_pads(x.shape, weight.shape, attrs, extra, list(target)[-dims:])
    operands = [integer_pair(x, weight), c.weight(weight), *bias(c, 2)]
    return c.emit("conv", operands, groups=c.attr("group", 1), transposed=True, output_padding=tuple(extra), dtype=x.dtype, **attrs)


def _fitted_pads(x: Shape, weight: Shape, attrs: dict[str, Any], extra: list[int], target: list[int]) -> tuple[Any, list[int]]:
    """Padding and output padding that give the wanted size (ONNX, ConvTranspose, `output_shape`)."""
    pads, more = [], []
    rows = zip(x[2:], weight[2:], attrs["stride"], attrs["dilation"], extra, target, strict=True)
    for size, kernel, stride, dilation, add, wanted in rows:
        total = stride * (size - 1) + add + (kernel - 1) * dilation + 1 - wanted
        pads.append((max(0, total) // 2, max(0, total) - max(0, total) // 2))
        more.append(add + max(0, -total))
    return tuple(pads), more


def linear(c: Call, x: Value, weight: Value, *, transposed: bool, extra: list[str] | None = None, dtype: Any = None) -> Value:
    """x times a stored matrix (inner, out), or (out, inner) if `transposed`."""
    rows = weight.shape if transposed else (weight.shape[1], weight.shape[0])
    operands = [integer_pair(x, weight), c.weight(weight, rows, perm=None if transposed else (1, 0)), *(extra or [])]
    return c.emit("linear", operands, dtype=dtype or x.dtype)


def is_stored(value: Value) -> bool:
    """Whether a value stands in the file, quantised or not."""
    return value.tensor is None and value.items is None


def _gemm(c: Call) -> Value:
    x, weight = c[0], c[1]
    x = c.emit("transpose", [x], perm=(1, 0)) if c.attr("transA", 0) else x
    transposed = bool(c.attr("transB", 0))
    if not is_stored(weight):
        product = c.emit("matmul", [x, weight], transpose_b=transposed)
        return c.emit("elementwise", [product, c[2]], fn="add") if c.has(2) else product
    width = weight.shape[0 if transposed else 1]
    vector = c.has(2) and is_stored(c[2]) and c[2].shape == (width,)
    product = linear(c, x, weight, transposed=transposed, extra=bias(c, 2) if vector else None)
    return product if vector or not c.has(2) else c.emit("elementwise", [product, c[2]], fn="add")


def _matmul(c: Call) -> Value:
    return product(c, c[0], c[1])


def product(c: Call, a: Value, b: Value, *, dtype: Any = None) -> Value:
    """NumPy's matmul of two values."""
    dtype = dtype or a.dtype
    if is_stored(b) and len(b.shape) == 2 and not is_stored(a):
        return linear(c, a, b, transposed=False, dtype=dtype)
    left = c.emit("reshape", [a], shape=(1, *a.shape)) if len(a.shape) == 1 else integer_pair(a, b)
    right = c.emit("reshape", [b], shape=(*b.shape, 1)) if len(b.shape) == 1 else integer_pair(b, a)
    result = c.emit("matmul", [left, right], dtype=dtype)
    shape = list(result.shape)
    if len(b.shape) == 1:
        shape.pop(-1)
    if len(a.shape) == 1:
        shape.pop(-1 if len(b.shape) == 1 else -2)
    return result if tuple(shape) == result.shape else c.emit("reshape", [result], shape=tuple(shape))


def _einsum(c: Call) -> Value:
    sides = c.attr("equation", "").replace(" ", "").split("->")
    terms = sides[0].split(",")
    if len(terms) != 2 or len(c.inputs) != 2 or len(sides) > 2 or "." in sides[0]:
        raise Unsupported(f"equation {c.attr('equation')!r}; only products of two operands without '...' are known")
    once = sorted(letter for letter in set("".join(terms)) if "".join(terms).count(letter) == 1)
    return _Einsum(c, terms, sides[1] if len(sides) == 2 else "".join(once)).write()


class _Einsum:
    """A two-operand Einsum as (batch, m, k) x (batch, k, n)."""

    def __init__(self, c: Call, terms: list[str], out: str) -> None:
        self.c, self.out = c, out
        self.sizes = {letter: size for i, term in enumerate(terms) for letter, size in zip(term, c[i].shape, strict=True)}
        if any(len(set(t)) != len(t) for t in (*terms, out)):
            raise Unsupported("a diagonal")
        self.left, self.right = (self._summed(i, term, terms[1 - i]) for i, term in enumerate(terms))
        a, b = self.left[1], self.right[1]
        self.batch = [x for x in out if x in a and x in b]
        self.inner = [x for x in a if x in b and x not in out]
        self.m, self.n = [x for x in out if x in a and x not in b], [x for x in out if x in b and x not in a]

    def _summed(self, index: int, term: str, other: str) -> tuple[Value, str]:
        """The operand without the axes that only it has and the result does not."""
        gone = [i for i, x in enumerate(term) if x not in other and x not in self.out]
        value = self.c.emit("reduce", [self.c[index]], fn="sum", axes=tuple(gone)) if gone else self.c[index]
        return value, "".join(x for i, x in enumerate(term) if i not in gone)

    def _size(self, letters: list[str]) -> int:
        return math.prod(self.sizes[x] for x in letters)

    def _ordered(self, operand: tuple[Value, str], *groups: list[str]) -> Value:
        value, term = operand
        order = [x for group in groups for x in group]
        perm = tuple(term.index(x) for x in order)
        if perm != tuple(range(len(perm))):
            value = self.c.emit("transpose", [value], perm=perm)
        return self.c.emit("reshape", [value], shape=tuple(self._size(g) for g in groups))

    def write(self) -> Value:
        """Emit it."""
        left = self._ordered(self.left, self.batch, self.m, self.inner)
        flip = "".join([*self.batch, *self.n, *self.inner]) == self.right[1]
        right = self._ordered(self.right, self.batch, *((self.n, self.inner) if flip else (self.inner, self.n)))
        result = self.c.emit("matmul", [left, right], transpose_b=flip)
        made = [*self.batch, *self.m, *self.n]
        result = self.c.emit("reshape", [result], shape=tuple(self.sizes[x] for x in made))
        perm = tuple(made.index(x) for x in self.out)
        return result if perm == tuple(range(len(perm))) else self.c.emit("transpose", [result], perm=perm)


RULES = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum}
