"""Dense layers, embeddings and einsum."""

from __future__ import annotations

import math

from hwsim.frontends.keras.context import Call, Unsupported, Value
from hwsim.frontends.keras.rules.common import bias, finished, transposed, weight_format
from hwsim.frontends.keras.weights import Role
from hwsim.ops import Shape

KERNEL = Role(("kernel",), 0)


def linear(c: Call, x: Value, units: int) -> Value:
    """x W + b over the channels; a convolution of size one where they stand before space."""
    size = x.shape[-1]
    spatial = (1,) * (len(x.shape) - 2) if x.first else ()
    weight = c.weight(
        "kernel", (units, size, *spatial), KERNEL, stored=(size, units), change=transposed(1, 0), dtype=weight_format(c, "kernel")
    )
    return c.emit("conv" if x.first else "linear", [x, weight, *bias(c, units, position=1)])


def _dense(c: Call) -> Value:
    return finished(c, linear(c, c.x, int(c.need("units"))))


def _embedding(c: Call) -> Value:
    rows, width = int(c.need("input_dim")), int(c.need("output_dim"))
    table = c.weight("embeddings", (rows, width), Role(("embeddings",), 0), dtype=weight_format(c, "embeddings"))
    return c.emit("embedding", [table, c.x.tensor], first=False)


def einsum_terms(equation: str, rank: int) -> tuple[str, str, str]:
    """Labels of input, weight and result, with an ellipsis written out.

    >>> einsum_terms("...x,xy->...y", 3)
    ('ABx', 'xy', 'ABy')
    """
    left, _, result = equation.replace(" ", "").partition("->")
    x, _, weight = left.partition(",")
    free = "ABCDEFGH"[: rank - len(x.replace("...", ""))]
    return x.replace("...", free), weight, result.replace("...", free)


def _grouped(c: Call, terms: tuple[str, str, str], sizes: dict[str, int]) -> Value:
    """Labels shared by all three are a batch of products; rows from the input, columns from the weight."""
    x, w, out = terms
    shared = [k for k in w if k in x and k in out]
    inner = [k for k in w if k in x and k not in out]
    rows = [k for k in x if k not in shared and k not in inner]
    columns = [k for k in w if k not in x]
    if set(out) != {*shared, *rows, *columns} or not inner:
        raise Unsupported(f"equation {c.config.get('equation')!r}")

    def size(labels: list[str]) -> int:
        return math.prod(sizes[k] for k in labels)

    value = c.layout(c.x, first=False)
    value = _ordered(c, value, x, [*shared, *rows, *inner], suffix=":in")
    axes = tuple(w.index(k) for k in (*shared, *columns, *inner))
    stored = tuple(sizes[k] for k in w)
    if shared:
        lead = (size(shared), size(rows), size(inner))
        weight = c.weight("kernel", (lead[0], size(columns), lead[2]), KERNEL, stored=stored, change=transposed(*axes))
        value = c.moved("reshape", value, suffix=":rows", shape=lead)
        value = c.emit("matmul", [value, weight], transpose_b=True)
    else:
        weight = c.weight("kernel", (size(columns), size(inner)), KERNEL, stored=stored, change=transposed(*axes))
        value = c.moved("reshape", value, suffix=":rows", shape=(*(sizes[k] for k in rows), size(inner)))
        value = c.emit("linear", [value, weight])
    made = [*shared, *rows, *columns]
    value = c.moved("reshape", value, suffix=":out", shape=tuple(sizes[k] for k in made))
    return _ordered(c, value, "".join(made), list(out), suffix=":order")


def _ordered(c: Call, value: Value, labels: str, wanted: list[str], *, suffix: str) -> Value:
    if list(labels) == wanted:
        return value
    return c.moved("transpose", value, suffix=suffix, perm=tuple(labels.index(k) for k in wanted))


def _einsum(c: Call) -> Value:
    x = c.layout(c.x, first=False)
    terms = einsum_terms(str(c.need("equation")), len(x.shape))
    sizes = dict(zip(terms[0], x.shape, strict=True))
    output = c.need("output_shape")
    stated = [output] if isinstance(output, int) else list(output)
    for label, size in zip(reversed(terms[2]), reversed(stated), strict=False):
        if size is not None:
            sizes.setdefault(label, int(size))
    if lost := [k for k in terms[1] if k not in sizes]:
        raise Unsupported(f"equation {c.config.get('equation')!r}: nothing states the size of {', '.join(lost)}")
    value = _grouped(c, terms, sizes)
    if axes := str(c.get("bias_axes", "")):
        value = _with_bias(c, value, axes, dict(zip(terms[2], value.shape, strict=True)))
    return finished(c, value)


def _with_bias(c: Call, value: Value, axes: str, sizes: dict[str, int]) -> Value:
    shift = c.weight("bias", _spread(axes, sizes), Role(("bias",), 1), dtype=weight_format(c, "bias"))
    return c.emit("elementwise", [value, shift], suffix=":bias", fn="add")


def _spread(axes: str, sizes: dict[str, int]) -> Shape:
    """Shape of the bias, broadcast against the result from its first axis on."""
    labels = list(sizes)
    start = next(i for i, k in enumerate(labels) if k in axes)
    return tuple(sizes[k] if k in axes else 1 for k in labels[start:])


RULES = {
    **dict.fromkeys(("Dense", "QDense", "BinaryDense", "TernaryDense"), _dense),
    **dict.fromkeys(("Embedding", "QEmbedding"), _embedding),
    **dict.fromkeys(("EinsumDense", "QEinsumDense"), _einsum),
}
