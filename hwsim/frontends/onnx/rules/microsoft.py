"""Fused operators of ONNX Runtime (domain com.microsoft)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.frontends.onnx.context import Call, Unsupported
from hwsim.frontends.onnx.rules.dense import product
from hwsim.frontends.onnx.values import Value


def _skip_norm(fn: str) -> Callable[[Call], list[Value | None]]:
    def rule(c: Call) -> list[Value | None]:
        vectors = 2 if fn == "layer" else 1
        total = c.emit("elementwise", [c[0], c[1], *([c[2 + vectors]] if c.has(2 + vectors) else [])], fn="add")
        weights = [c.weight(c[i]) for i in range(2, 2 + vectors) if c.has(i)]
        return [c.emit("norm", [total, *weights], fn=fn), None, None, total]

    return rule


def _activation(fn: str) -> Callable[[Call], Value]:
    def rule(c: Call) -> Value:
        x = c.emit("elementwise", [c[0], c.weight(c[1])], fn="add") if c.has(1) else c[0]
        return c.emit("activation", [x], fn=fn)

    return rule


def _fused_matmul(c: Call) -> Value:
    if c.attr("transBatchA", 0) or c.attr("transBatchB", 0):
        raise Unsupported("transBatchA or transBatchB")
    if not (c.attr("transA", 0) or c.attr("transB", 0)):
        return product(c, c[0], c[1])
    return c.emit("matmul", [c[0], c[1]], transpose_a=bool(c.attr("transA", 0)), transpose_b=bool(c.attr("transB", 0)))


def _matmul_bits(c: Call) -> Value:
    """Weights of few bits in blocks: counted as (out, in) numbers of that width; scales and zero points are constants."""
    bits, rows, inner = c.attr("bits", 4), c.attr("N", 0), c.attr("K", 0)
    if bits not in (2, 4, 8) or rows < 1 or inner < 1:
        raise Unsupported(f"{bits} bits, N={rows}, K={inner}")
    weight = c.importer.builder.weight((rows, inner), f"int{bits}", name=c[1].stored or "weight")
    for value in (c[i] for i in (2, 3) if c.has(i)):
        c.constant(value)
    return c.emit("linear", [c[0], weight, *([c.weight(c[5])] if c.has(5) else [])], dtype=c[0].dtype)


def _heads(c: Call, x: Value, heads: int) -> Value:
    if len(x.shape) != 3:
        raise Unsupported(f"operand of shape {list(x.shape)}")
    batch, length, width = x.shape
    x = c.emit("reshape", [x], shape=(batch, length, heads, width // heads))
    return c.emit("transpose", [x], perm=(0, 2, 1, 3))


def _attend(c: Call, q: Value, k: Value, v: Value, *, heads: int, groups: int, causal: bool) -> Value:
    operands = [_heads(c, q, heads), _heads(c, k, groups), _heads(c, v, groups)]
    y = c.emit("transpose", [c.emit("attention", operands, causal=causal)], perm=(0, 2, 1, 3))
    return c.emit("reshape", [y], shape=(*y.shape[:2], y.shape[2] * y.shape[3]))


def _multi_head(c: Call) -> Value:
    heads = c.attr("num_heads", 1)
    return _attend(c, c[0], c[1], c[2], heads=heads, groups=heads, causal=bool(c.attr("unidirectional", 0)))


def _grouped(c: Call) -> Value:
    if (c.has(3) and c[3].size) or not (c.has(1) and c.has(2)):
        raise Unsupported("with a cache, or packed")
    return _attend(c, c[0], c[1], c[2], heads=c.attr("num_heads", 1), groups=c.attr("kv_num_heads", 1), causal=True)


def _attention(c: Call) -> Value:
    """Projection to q, k, v in one product, then attention."""
    if c.attr("qkv_hidden_sizes") or (c.has(4) and c[4].size):
        raise Unsupported("with a cache, or sizes of its own for q, k and v")
    weight = c.weight(c[1], (c[1].shape[1], c[1].shape[0]), perm=(1, 0))
    x = c.emit("linear", [c[0], weight, *([c.weight(c[2])] if c.has(2) else [])])
    q, k, v = c.emit_many("split", [x], sizes=(x.shape[-1] // 3,) * 3)
    heads = c.attr("num_heads", 1)
    return _attend(c, q, k, v, heads=heads, groups=heads, causal=bool(c.attr("unidirectional", 0)))


_TABLE: dict[str, Callable[[Call], Any]] = {
    "SkipLayerNormalization": _skip_norm("layer"),
    "SkipSimplifiedLayerNormalization": _skip_norm("rms"),
    "Gelu": _activation("gelu"),
    "BiasGelu": _activation("gelu"),
    "FastGelu": _activation("gelu_tanh"),
    "QuickGelu": _activation("silu"),
    "FusedMatMul": _fused_matmul,
    "MatMulNBits": _matmul_bits,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _grouped,
    "Attention": _attention,
}
RULES = {f"com.microsoft::{name}": rule for name, rule in _TABLE.items()}
