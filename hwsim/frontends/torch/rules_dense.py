"""Rules of matrix products, convolutions and attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import GraphError
from hwsim.frontends.torch.einsum import contract
from hwsim.frontends.torch.rules import Call, rule
from hwsim.ops import Shape


@rule("linear")
def linear(call: Call) -> str:
    """x W^T + b; a weight that is no matrix is a vector."""
    weight = call.need("weight")
    if len(call.shape_of(weight)) == 1:
        weight = call.reshape(weight, (1, *call.shape_of(weight)))
    y = call.add("linear", [call.need("input"), weight, *call.tensors("bias")])
    return call.reshape(y, call.shape)


@rule("matmul", "mm", "bmm", "mv", "dot", "__matmul__", "inner", "vdot")
def matmul(call: Call) -> str:
    """A product; a vector is a matrix of one row or column."""
    a, b = call.tensors()
    return call.reshape(product(call, a, b), call.shape)


def product(call: Call, a: str, b: str) -> str:
    """`matmul` node of two tensors; a transposition of the last axes becomes a flag."""
    if len(call.shape_of(a)) == 1:
        a = call.reshape(a, (1, *call.shape_of(a)))
    if len(call.shape_of(b)) == 1:
        b = call.reshape(b, (*call.shape_of(b), 1))
    return call.add("matmul", [a, b])


@rule("addmm", "baddbmm", "addbmm", "addmv")
def product_and_sum(call: Call) -> str:
    """bias + a b; with a bias vector and a weight of its own it is a linear layer (the weight is stored the other way round)."""
    if call.operator == "addmm" and _is_layer(call):
        weight = call.converter.swapped(call.need("mat2"))
        return call.add("linear", [call.need("mat1"), weight, call.need("self")])
    a, b = call.tensors("mat1", "mat2", "batch1", "batch2", "mat", "vec")
    y = call.reshape(product(call, a, b), call.shape)
    return call.add("elementwise", [y, call.need("self")], fn="add")


def _is_layer(call: Call) -> bool:
    weight = call["mat2"]
    plain = weight.op == "placeholder" and len(weight.users) == 1 and len(call.shape_of(call.need("self"))) == 1
    return plain and call.converter.builder.tensors[call.need("mat2")].role == "weight"


@rule("transformers.grouped_mm_fallback", "_grouped_mm", "grouped_mm")
def experts(call: Call) -> str:
    """Rows sorted by expert times the matrix of each; rows are taken to spread evenly over the experts that they reach."""
    x, weight = call.tensors()[:2]
    rows, (count, inner, outer) = call.shape_of(x)[0], call.shape_of(weight)
    reached = max(n for n in range(1, min(rows, count) + 1) if rows % n == 0)
    if reached < count:
        weight = call.add("slice", [weight], shape=(reached, inner, outer))
    y = call.add("matmul", [call.reshape(x, (reached, rows // reached, inner)), weight])
    return call.reshape(y, call.shape)


@rule("einsum")
def einsum(call: Call) -> str:
    """Products of two operands at a time, from the left."""
    return contract(call, call["equation"], call.many("tensors"))


@rule("tensordot")
def tensordot(call: Call) -> str:
    """Sum over pairs of axes."""
    a, b = call.need("self"), call.need("other")
    letters = "abcdefghijklmnopqrstuvwxyz"
    left = letters[: len(call.shape_of(a))]
    right = list(letters[len(left) : len(left) + len(call.shape_of(b))])
    for i, j in zip(call["dims_self"], call["dims_other"], strict=True):
        right[j] = left[i]
    out = "".join(x for x in left if x not in right) + "".join(x for x in right if x not in left)
    return contract(call, f"{left},{''.join(right)}->{out}", [a, b])


@rule("outer", "ger")
def outer(call: Call) -> str:
    """Every product of two vectors."""
    a, b = call.tensors()
    return call.add("elementwise", [call.reshape(a, (*call.shape_of(a), 1)), b], fn="mul")


@rule("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv(call: Call) -> str:
    """Convolution; `same` padding as PyTorch does it, more at the end."""
    x, weight = call.need("input"), call.need("weight")
    dims = len(call.shape_of(weight)) - 2
    batched = len(call.shape_of(x)) == dims + 2
    x = x if batched else call.reshape(x, (1, *call.shape_of(x)))
    attrs = {name: _spread(call.get(name, 1), dims) for name in ("stride", "dilation")}
    transposed = bool(call.get("transposed", False)) or "transpose" in call.operator
    if transposed:
        attrs["output_padding"] = _spread(call.get("output_padding", 0), dims)
    pads = padding(call, call.shape_of(weight)[2:], attrs["dilation"])
    y = call.add(
        "conv",
        [x, weight, *call.tensors("bias")],
        padding=pads,
        groups=call.get("groups", 1),
        transposed=transposed,
        **attrs,
    )
    return call.reshape(y, call.shape)


def padding(call: Call, kernel: Shape, dilation: Sequence[int]) -> tuple:
    """Padding of a convolution: numbers, `valid` or `same`."""
    given = call.get("padding", 0)
    if given == "valid":
        return (0,) * len(kernel)
    if given == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return _spread(given, len(kernel))


def _spread(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    items = (value,) if isinstance(value, int) else tuple(value)
    return items * dims if len(items) == 1 else items


@rule("scaled_dot_product_attention")
def attention(call: Call) -> str:
    """One node; leading axes are folded into four."""
    q, k, v = (call.need(n) for n in ("query", "key", "value"))
    k, v = (_broadcast_lead(call, x, call.shape_of(q)) for x in (k, v))
    operands = [_four_axes(call, x) for x in (q, k, v)]
    mask = [_mask(call, m) for m in call.tensors("attn_mask")]
    y = call.add("attention", [*operands, *mask], causal=bool(call["is_causal"]))
    return call.reshape(y, call.shape)


def _broadcast_lead(call: Call, x: str, query: Shape) -> str:
    """Keys and values of every sample; fewer heads stay, they are grouped."""
    shape = call.shape_of(x)
    missing = (1,) * (len(query) - len(shape))
    x = call.reshape(x, (*missing, *shape))
    lead = (*query[:-3], *call.shape_of(x)[-3:]) if len(query) > 3 else (*query[:-2], *shape[-2:])
    return x if call.shape_of(x) == lead else call.add("expand", [x], shape=lead)


def _four_axes(call: Call, x: str) -> str:
    shape = call.shape_of(x)
    heads = shape[-3] if len(shape) > 3 else 1
    lead = math.prod(shape[:-3]) if len(shape) > 3 else math.prod(shape[:-2])
    return call.reshape(x, (lead, heads, *shape[-2:]))


def _mask(call: Call, mask: str) -> str:
    """A mask with more than four axes joins its leading ones, where none of them is broadcast."""
    shape, query = call.shape_of(mask), call.input_fake("query").shape
    if len(shape) <= 4 and len(query) == 4:
        return mask
    lead = (math.prod(shape[:-3]), shape[-3]) if len(query) > 3 and len(shape) > 3 else (math.prod(shape[:-2]), 1)
    try:
        return call.reshape(mask, (*lead, *shape[-2:]))
    except GraphError:
        return mask
