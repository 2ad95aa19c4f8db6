"""Operators that move data: views, copies, gathers, sorting. They do no arithmetic, but their bytes cost time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import GraphError
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, axis_of, register, streamed, total_b, tuple_of


def _free(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return Work()


def _moved(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    """Reads only what it writes (a slice of the input), and writes it."""
    size = total_b(outputs)
    return Work(read_b=size, written_b=size)


def _copied(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs)


def _reshape_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    size, target = math.prod(shapes[0]), [int(s) for s in attrs["shape"]]
    if target.count(-1) == 1:
        rest = math.prod(s for s in target if s != -1)
        target[target.index(-1)] = size // rest if rest else 0
    if math.prod(target) != size or any(s < 0 for s in target):
        raise GraphError(f"reshape: {shapes[0]} with {size} elements cannot become {tuple(attrs['shape'])}")
    return (tuple(target),)


def _transpose_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    perm = [axis_of(a, len(shapes[0])) for a in attrs["perm"]]
    if sorted(perm) != list(range(len(shapes[0]))):
        raise GraphError(f"transpose: {tuple(attrs['perm'])} is no permutation of the {len(shapes[0])} axes of {shapes[0]}")
    return (tuple(shapes[0][a] for a in perm),)


def _given(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return (tuple(attrs["shape"]),)


def _many(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return tuple(tuple(s) for s in attrs["shapes"])


def _same(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return (shapes[0],)


def _concat_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    axis = axis_of(attrs["axis"], len(shapes[0]))
    rest = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    if len(rest) > 1:
        raise GraphError(f"concat: shapes {', '.join(map(str, shapes))} differ outside axis {axis}")
    return ((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]),)


def _split_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    x, axis = shapes[0], axis_of(attrs["axis"], len(shapes[0]))
    if sum(attrs["sizes"]) != x[axis]:
        raise GraphError(f"split: sizes {tuple(attrs['sizes'])} do not add up to {x[axis]}, axis {axis} of {x}")
    return tuple((*x[:axis], s, *x[axis + 1 :]) for s in attrs["sizes"])


def _pad_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    pads = attrs["pads"]
    if len(pads) != len(shapes[0]):
        raise GraphError(f"pad: {len(pads)} (before, after) pair(s) for a tensor of rank {len(shapes[0])}")
    return (tuple(s + a + b for s, (a, b) in zip(shapes[0], pads, strict=True)),)


register(Op("reshape", _reshape_shapes, _free, {"shape": REQUIRED}, "view", (1, 1), "another shape of the same bytes"))
register(Op("expand", _given, _free, {"shape": REQUIRED}, "view", (1, 1), "broadcast without a copy"))
register(Op("slice", _given, _free, {"shape": REQUIRED}, "view", (1, 1), "a strided part of a tensor; the consumer reads it"))
register(Op("split", _split_shapes, _free, {"sizes": REQUIRED, "axis": -1}, "view", (1, 1), "several parts along an axis"))
register(Op("transpose", _transpose_shapes, _moved, {"perm": REQUIRED}, "layout", (1, 1), "axes in another order"))
register(Op("copy", _same, _moved, {}, "layout", (1, 1), "contiguous copy"))
register(Op("concat", _concat_shapes, _moved, {"axis": -1}, "layout", (1, 4096), "join along an axis"))
register(Op("pad", _pad_shapes, _moved, {"pads": REQUIRED, "mode": "constant"}, "layout", (1, 1), "pads: (before, after) an axis"))
register(Op("roll", _same, _moved, {"shifts": (), "axes": ()}, "layout", (1, 1), "cyclic shift"))
register(Op("tile", _given, _moved, {"shape": REQUIRED}, "layout", (1, 1), "repeat into a larger tensor"))


def _generate_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return Work(written_b=total_b(outputs))


register(
    Op("generate", _given, _generate_work, {"shape": REQUIRED, "fn": "fill"}, "layout", (0, 8), "constant, range, mask or random values")
)


def _embedding_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if len(shapes[0]) != 2:
        raise GraphError(f"embedding: table {shapes[0]}; expected (rows, width)")
    return ((*shapes[1], shapes[0][1]),)


def _lookup_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    size = total_b(outputs)
    return Work(read_b=size + total_b(inputs[1:]), written_b=size)


register(Op("embedding", _embedding_shapes, _lookup_work, {}, "layout", (2, 2), "rows of a table; operands table (rows, width), indices"))
register(Op("gather", _given, _lookup_work, {"shape": REQUIRED, "axis": 0}, "layout", (1, 8), "elements picked by index tensors"))


def _scatter_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    updates = inputs[-1]
    return Work(ops=updates.size if attrs["reduce"] else 0, read_b=total_b(inputs[1:]) + updates.bytes, written_b=updates.bytes)


register(
    Op(
        "scatter",
        _same,
        _scatter_work,
        {"axis": 0, "reduce": None},
        "layout",
        (2, 8),
        "write updates at indices; operands x, indices, updates",
    )
)


def _sort_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    x = inputs[0]
    row = x.shape[axis_of(attrs["axis"], len(x.shape))] if x.shape else 1
    return streamed(inputs, outputs, ops=x.size * max(1, math.ceil(math.log2(max(row, 2)))))


def _sort_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return (shapes[0], shapes[0])


def _topk_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    axis = axis_of(attrs["axis"], len(shapes[0]))
    if attrs["k"] > shapes[0][axis]:
        raise GraphError(f"topk: k={attrs['k']} of {shapes[0][axis]} elements, axis {axis} of {shapes[0]}")
    shape = (*shapes[0][:axis], attrs["k"], *shapes[0][axis + 1 :])
    return (shape, shape)


register(Op("sort", _sort_shapes, _sort_work, {"axis": -1}, "layout", (1, 1), "values in order, and their indices"))
register(Op("topk", _topk_shapes, _sort_work, {"k": REQUIRED, "axis": -1}, "layout", (1, 1), "the k largest, and their indices"))


def _unfold_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    x, dims = shapes[0], len(shapes[0]) - 2
    kernel, stride, pad, dilation = (tuple_of(attrs[a], dims) for a in ("kernel", "stride", "padding", "dilation"))
    places = [(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in zip(x[2:], kernel, stride, pad, dilation, strict=True)]
    return ((x[0], x[1] * math.prod(kernel), math.prod(places)),)


_WINDOW = {"kernel": REQUIRED, "stride": 1, "padding": 0, "dilation": 1}
register(Op("unfold", _unfold_shapes, _copied, _WINDOW, "layout", (1, 1), "sliding windows as columns (im2col)"))
register(Op("fold", _given, _copied, {"shape": REQUIRED, "kernel": REQUIRED}, "layout", (1, 1), "columns summed into an image (col2im)"))


def _grid_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return Work(ops=8 * outputs[0].size, read_b=4 * total_b(outputs) + inputs[1].bytes, written_b=total_b(outputs))


register(Op("grid_sample", _given, _grid_work, {"shape": REQUIRED}, "layout", (2, 2), "bilinear samples at given places"))
register(
    Op(
        "unsupported",
        _many,
        _free,
        {"operator": REQUIRED, "shapes": REQUIRED},
        "unsupported",
        (0, 4096),
        "left out on request; costs nothing and lowers the coverage",
    )
)
