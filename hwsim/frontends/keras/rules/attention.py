"""Attention layers."""

from __future__ import annotations

import numpy as np

from hwsim.frontends.keras.context import Call, Unsupported, Value
from hwsim.frontends.keras.weights import Role


def _operands(c: Call) -> tuple[Value, Value, Value]:
    """Query, key and value, however they were given."""
    given = dict(zip(("query", "value", "key"), c.inputs, strict=False)) | dict(c.named)
    query = given.get("query", c.x)
    value = given.get("value", query)
    return query, given.get("key", value), value


def _projected(c: Call, x: Value, part: str, heads: int, size: int) -> Value:
    """(batch, length, width) -> (batch, heads, length, size)."""
    width = x.shape[-1]
    weight = c.weight(
        f"{part}.kernel",
        (heads * size, width),
        Role(("kernel",), 0, part),
        stored=(width, heads, size),
        change=lambda a: np.transpose(a, (1, 2, 0)),
    )
    extra = [c.weight(f"{part}.bias", (heads * size,), Role(("bias",), 1, part), stored=(heads, size))] if c.get("use_bias", True) else []
    value = c.emit("linear", [x, weight, *extra], suffix=f"_{part}")
    value = c.moved("reshape", value, suffix=f"_{part}:split", shape=(*x.shape[:2], heads, size))
    return c.moved("transpose", value, suffix=f"_{part}:heads", perm=(0, 2, 1, 3))


def _multi_head(c: Call) -> Value:
    query, key, value = (c.layout(v, first=False) for v in _operands(c))
    if len(query.shape) != 3:
        raise Unsupported(f"query of shape {query.shape}")
    heads, size = int(c.need("num_heads")), int(c.need("key_dim"))
    depth = int(c.get("value_dim") or size)
    q, k = _projected(c, query, "query", heads, size), _projected(c, key, "key", heads, size)
    mixed = c.emit("attention", [q, k, _projected(c, value, "value", heads, depth)])
    back = c.moved("transpose", mixed, suffix=":back", perm=(0, 2, 1, 3))
    joined = c.moved("reshape", back, suffix=":joined", shape=(*query.shape[:2], heads * depth))
    return _output(c, joined, heads, depth, query.shape[-1])


def _output(c: Call, x: Value, heads: int, depth: int, width: int) -> Value:
    shape = c.get("output_shape")
    width = int(shape if isinstance(shape, int) else shape[-1]) if shape else width
    weight = c.weight(
        "output.kernel",
        (width, heads * depth),
        Role(("kernel",), 0, "output"),
        stored=(heads, depth, width),
        change=lambda a: np.transpose(a, (2, 0, 1)),
    )
    extra = [c.weight("output.bias", (width,), Role(("bias",), 1, "output"))] if c.get("use_bias", True) else []
    return c.emit("linear", [x, weight, *extra], suffix="_output")


def _plain(c: Call) -> Value:
    """softmax(q k^T) v of one head without projections."""
    query, key, value = (c.layout(v, first=False) for v in _operands(c))
    if any(len(v.shape) != 3 for v in (query, key, value)):
        raise Unsupported(f"query of shape {query.shape}")
    split = [c.moved("reshape", v, suffix=":head", shape=(v.shape[0], 1, *v.shape[1:])) for v in (query, key, value)]
    mixed = c.emit("attention", split)
    return c.moved("reshape", mixed, suffix=":joined", shape=(*query.shape[:2], value.shape[-1]))


RULES = {"MultiHeadAttention": _multi_head, "Attention": _plain}
