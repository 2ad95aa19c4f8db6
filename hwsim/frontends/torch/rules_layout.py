"""Rules of views, copies, joins and index operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from hwsim.frontends.torch.rules import Call, rule


@rule("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "_unsafe_view", "unsqueeze", "squeeze", "atleast_1d", "ravel")
def reshape(call: Call) -> str:
    """Free where strides allow a view, else a copy first."""
    x = call.need("self")
    if call.operator in ("reshape", "flatten", "ravel", "reshape_as") and _must_copy(call):
        x = call.add("copy", [x])
    return call.reshape(x, call.shape)


def _must_copy(call: Call) -> bool:
    fake = call.input_fake("self")
    if fake.is_contiguous() or from_attention(call.node.args[0]):
        return False
    try:
        torch.empty_strided(fake.shape, fake.stride(), device="meta").view(call.shape)
    except RuntimeError:
        return True
    return False


def from_attention(node: Any) -> bool:
    """Whether `node` is attention's result read as (batch, tokens, heads, size), the order in which fused kernels write it."""
    for _ in range(4):
        name = getattr(node.target, "__name__", "")
        if name.startswith("scaled_dot_product_attention"):
            return True
        if name.split(".")[0] not in ("transpose", "permute", "reshape", "view", "alias", "contiguous") or not node.args:
            return False
        node = node.args[0]
    return False


@rule("contiguous", "clone", "flip", "fliplr", "flipud", "rot90")
def copy(call: Call) -> str:
    """`contiguous` of what is so already is nothing."""
    x = call.need("self")
    if call.operator == "contiguous" and (call.input_fake("self").is_contiguous() or from_attention(call.node.args[0])):
        return x
    return call.add("copy", [x])


@rule(
    "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout",
    "detach", "alias", "lift_fresh_copy", "lift_fresh", "lift", "positive", "conj", "resolve_conj", "resolve_neg", "requires_grad",
)  # fmt: skip
def nothing(call: Call) -> str:
    """No work at inference."""
    return call.first()


@rule("permute", "transpose", "t", "swapaxes", "swapdims", "movedim", "moveaxis", "numpy_T", "mT", "mH", "matrix_H", "adjoint")
def transpose(call: Call) -> str:
    """Axes in the order that the operator's arguments say."""
    x = call.need("self")
    return call.transpose(x, _perm(call, len(call.shape)))


def _perm(call: Call, rank: int) -> list[int]:
    if call.operator == "permute":
        return [d % rank for d in call["dims"]]
    if call.operator in ("movedim", "moveaxis"):
        return _moved(call, rank)
    perm = list(range(rank))
    if call.operator in ("t", "numpy_T"):
        return perm[::-1]
    i, j = (
        (call["dim0"], call["dim1"])
        if "dim0" in call.arguments
        else (call["axis0"], call["axis1"])
        if "axis0" in call.arguments
        else (-1, -2)
    )
    perm[i], perm[j] = perm[j], perm[i]
    return perm


def _moved(call: Call, rank: int) -> list[int]:
    source, target = ([v] if isinstance(v, int) else list(v) for v in (call["source"], call["destination"]))
    order = [i for i in range(rank) if i not in {s % rank for s in source}]
    for place, axis in sorted(zip((t % rank for t in target), (s % rank for s in source), strict=True)):
        order.insert(place, axis)
    return order


@rule(
    "select",
    "slice",
    "narrow",
    "diagonal",
    "unfold",
    "view_as_real",
    "view_as_complex",
    "real",
    "imag",
    "as_strided",
    "take_along_dim_view",
)
def part(call: Call) -> str:
    """A strided view."""
    x = call.need("self")
    whole = call.operator in ("slice", "narrow") and call.shape_of(x) == call.shape
    return x if whole else call.add("slice", [x], shape=call.shape)


@rule("diagonal_copy", "diag", "diag_embed", "diagflat", "block_diag", "trace")
def copied_part(call: Call) -> str:
    """A part that is copied."""
    return call.add("gather", call.tensors(), shape=call.shape)


@rule("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes", "hsplit")
def split(call: Call) -> tuple[str, ...]:
    """Parts along an axis."""
    axis = -1 if call.operator == "hsplit" else call["dim"]
    return call.add_many("split", [call.need("self")], sizes=tuple(f.shape[axis] for f in call.fake), axis=axis)


@rule("unbind")
def unbind(call: Call) -> tuple[str, ...]:
    """Every index of an axis."""
    x = call.need("self")
    axis = call["dim"]
    sizes = (1,) * call.shape_of(x)[axis]
    fmt = call.converter.builder.tensors[x].dtype
    parts = call.converter.add_many("split", [x], dtype=[fmt] * len(sizes), sizes=sizes, axis=axis)
    return tuple(call.reshape(p, f.shape) for p, f in zip(parts, call.fake, strict=True))


@rule("expand", "expand_as", "broadcast_to")
def expand(call: Call) -> str:
    """Broadcast without a copy."""
    x = call.need("self")
    return x if call.shape_of(x) == call.shape else call.add("expand", [x], shape=call.shape)


@rule("broadcast_tensors", "meshgrid")
def expand_all(call: Call) -> tuple[str, ...]:
    """Every tensor in the common shape."""
    parts = []
    for i, (x, fake) in enumerate(zip(call.many("tensors"), call.fake, strict=True)):
        if call.operator == "meshgrid":
            x = call.reshape(x, [s if j == i else 1 for j, s in enumerate(fake.shape)])
        parts.append(call.add("expand", [x], like=fake, shape=tuple(fake.shape)))
    return tuple(parts)


@rule("repeat", "tile", "repeat_interleave")
def tile(call: Call) -> str:
    """Copies side by side; one copy is the tensor itself."""
    x = call.first()
    return x if call.shape_of(x) == call.shape else call.add("tile", [x], shape=call.shape)


@rule("cat", "concat", "concatenate", "hstack", "vstack", "column_stack")
def concat(call: Call) -> str:
    """Joined; empty tensors are nothing."""
    found = [x for x in call.many("tensors") if math.prod(call.shape_of(x))]
    axis = call.get("dim", 0 if call.operator == "vstack" else -1)
    return found[0] if len(found) == 1 else call.add("concat", found, axis=axis)


@rule("stack")
def stack(call: Call) -> str:
    """Joined along a new axis."""
    axis = call["dim"] % len(call.shape)
    single = (*call.shape[:axis], 1, *call.shape[axis + 1 :])
    return call.add("concat", [call.reshape(x, single) for x in call.many("tensors")], axis=axis)


@rule("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "replication_pad3d")
def pad(call: Call) -> str:
    """Borders; negative ones cut."""
    x, flat = call.need("self"), list(call.get("pad") or call.get("padding"))
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    pads = ((0, 0),) * (len(call.shape) - len(pairs)) + tuple(reversed(pairs))
    if not any(flat):
        return x
    if min(flat) < 0:
        cut = tuple(s + min(a, 0) + min(b, 0) for s, (a, b) in zip(call.shape_of(x), pads, strict=True))
        x, pads = call.add("slice", [x], shape=cut), tuple((max(a, 0), max(b, 0)) for a, b in pads)
    return call.add("pad", [x], pads=pads, mode=str(call.get("mode", "constant"))) if max(flat) > 0 else x


@rule("roll", "fft_fftshift", "fft_ifftshift")
def roll(call: Call) -> str:
    """Cyclic shift."""
    return call.add("roll", [call.need("self")], shifts=tuple(call.get("shifts", ())), axes=tuple(call.get("dims", ())))


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
def shuffle(call: Call) -> str:
    """Channels into pixels and back: one copy."""
    return call.reshape(call.add("copy", [call.need("self")]), call.shape)


@rule("embedding", "embedding_bag")
def embedding(call: Call) -> str:
    """Rows of a table."""
    return call.add("embedding", [call.need("weight"), call.need("indices")])


@rule("index", "gather", "index_select", "take", "take_along_dim", "_unsafe_index", "masked_select")
def gather(call: Call) -> str:
    """Elements picked by indices."""
    indices = call.many("indices") if "indices" in call.arguments else call.tensors("index", "mask")
    return call.add("gather", [call.need("self"), *indices[:7]], shape=call.shape, axis=call.get("dim", 0))


_WRITES = """
scatter scatter_add scatter_reduce index_add index_copy index_fill index_put _index_put_impl _unsafe_index_put
slice_scatter select_scatter diagonal_scatter
""".split()  # noqa: SIM905


@rule(*_WRITES)
def scatter(call: Call) -> str:
    """Updates written at indices; a number is an update without a tensor."""
    indices = call.many("indices") if "indices" in call.arguments else call.tensors("index")
    updates = call.tensors("src", "source", "values", "value")
    reduce = "add" if "add" in call.operator or call.get("accumulate", False) else call.get("reduce")
    return call.add("scatter", [call.need("self"), *indices[:6], *(updates or indices[-1:])], reduce=reduce)


@rule("copy")
def overwrite(call: Call) -> str:
    """`x.copy_(y)`: y in the shape and format of x."""
    source = call.need("src")
    if call.shape_of(source) != call.shape:
        source = call.add("expand", [source], shape=call.shape)
    return call.add("copy", [source])


@rule("topk")
def topk(call: Call) -> tuple[str, ...]:
    """The largest."""
    return call.add_many("topk", [call.need("self")], k=call["k"], axis=call["dim"])


@rule("sort", "argsort", "msort")
def sort(call: Call) -> Any:
    """Values and indices."""
    fake = call.fake if isinstance(call.fake, list | tuple) else (call.fake, call.fake)
    formats = [call.converter.format_name(f) for f in fake]
    found = call.converter.add_many("sort", [call.need("self")], dtype=formats, axis=call.get("dim", -1))
    return found if isinstance(call.fake, list | tuple) else found[1]


@rule("im2col")
def im2col(call: Call) -> str:
    """Sliding windows as columns."""
    attrs = {name: tuple(call[name]) for name in ("stride", "padding", "dilation")}
    return call.add("unfold", [call.need("self")], kernel=tuple(call["kernel_size"]), **attrs)


@rule("col2im")
def col2im(call: Call) -> str:
    """Columns summed into an image."""
    return call.add("fold", [call.need("self")], shape=call.shape, kernel=tuple(call["kernel_size"]))


@rule("diff")
def diff(call: Call) -> str:
    """Neighbours subtracted."""
    return call.add("elementwise", [call.add("slice", [call.first()], shape=call.shape)] * 2, fn="sub")


_FILLS = """
arange linspace logspace full ones zeros empty eye rand randn randint randperm scalar_tensor tril_indices triu_indices one_hot
full_like ones_like zeros_like empty_like rand_like randn_like randint_like new_ones new_zeros new_full new_empty fill zero
empty_strided new_empty_strided empty_permuted bernoulli normal uniform exponential multinomial random hann_window hamming_window
""".split()  # noqa: SIM905


@rule(*_FILLS)
def generate(call: Call) -> str:
    """Values from nothing; only `one_hot` and `bernoulli` read a tensor."""
    inputs = call.tensors("self") if call.operator in ("one_hot", "bernoulli", "multinomial") else []
    return call.add("generate", inputs, shape=call.shape, fn=call.operator)


@rule("bucketize", "searchsorted")
def search(call: Call) -> str:
    """A binary search an element."""
    return call.add("gather", call.tensors(), shape=call.shape)


@rule("histc", "bincount", "unique_consecutive")
def count(call: Call) -> str:
    """Counts of values."""
    return call.add("gather", call.tensors(), shape=call.shape)


def shapes(fakes: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Shapes of the results of a call."""
    return tuple(tuple(int(s) for s in f.shape) for f in fakes)
