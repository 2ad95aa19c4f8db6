"""Linear layers and products of attention as convolutions, so that a Fourier bench can run them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph, Node, Tensor
from hwsim.ops import Shape
from hwsim.passes.rewrite import Rewriter

PADDINGS = ("valid", "same")


@dataclass(frozen=True)
class ShareConvolutions:
    """Replaces each linear layer by depthwise convolutions whose kernels all tokens share (after ConvShareViT, arXiv:2504.11517).

    The vector of a token is an image of m x m pixels (zeros added up to the next square), tokens are channels, and one kernel serves them
    all: (..., in) -> (tokens, 1, m, m) -> (tokens, kernels, m', m') -> (..., out), with as many kernels as the outputs need and the surplus
    cut off. Valid padding with a kernel of m x m computes each output from all inputs: the linear layer itself, with its own weights.
    Smaller kernels, and same padding, make another network with fewer parameters that has to be trained.
    """

    padding: str = "valid"
    """valid (m' = m - kernel_size + 1) or same (m' = m)."""
    kernel_size: int = 0
    """Side of the kernels; 0: the whole image for valid padding, 3 for same."""
    heads: int = 1
    """Images that a vector is cut into, each with kernels of its own."""
    only: str = ""
    """Parts of module paths that a layer must have one of, joined by commas (`attn,mlp`); empty: all linear layers."""
    products: bool = False
    """Whether the two products of attention become convolutions as well; their kernels are data, other ones for each sample."""

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise UnknownName("padding", str(self.padding), PADDINGS)
        for name, least in (("kernel_size", 0), ("heads", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")

    def __call__(self, graph: Graph) -> Graph:
        """The graph with convolutions instead; the same object where there is nothing to replace.

        Raises:
            InputError: a kernel that is larger than the image of a token, or a vector that `heads` does not divide.
        """
        rewriter, replaced = Rewriter(graph), set()
        wanted = [part.strip() for part in self.only.split(",") if part.strip()]
        for node in graph.nodes:
            if wanted and not any(part in node.path for part in wanted):
                continue
            if node.kind == "linear":
                _linear(rewriter, node, self)
                replaced.add(node.name)
            elif node.kind == "attention" and self.products and _plain(node):
                _products(rewriter, node)
        return _without_orphans(graph, rewriter.finish(), replaced)


def _plain(node: Node) -> bool:
    """Whether attention has neither mask nor cache, and as many keys' heads as queries'."""
    return len(node.inputs) == 3 and not node.attrs["causal"] and node.attrs["window"] is None and not node.attrs["kv_len"]


def _linear(r: Rewriter, node: Node, options: ShareConvolutions) -> None:
    x, weight, *bias = node.inputs
    shape, (out, size) = r.tensors[x].shape, r.graph.tensors[weight].shape
    if size % options.heads:
        raise InputError(f"{node.path or node.name}: {size} inputs cannot be cut into {options.heads} images; expected a divisor")
    side = math.isqrt(size // options.heads - 1) + 1
    kernel = options.kernel_size or (side if options.padding == "valid" else min(3, side))
    if kernel > side:
        raise InputError(
            f"{node.path or node.name}: a kernel of {kernel} x {kernel} on token images of {side} x {side}; take a smaller one"
        )
    kept = side - kernel + 1 if options.padding == "valid" else side
    tokens, kernels = math.prod(shape[:-1]), options.heads * -(-out // (options.heads * kept * kept))
    with r.replacing(node):
        image = _image(r, x, (tokens, options.heads), side)
        exact = kernel == side and options.heads == 1 and options.padding == "valid" and side * side == size
        filters = r.emit("reshape", [weight], shape=(out, 1, side, side)) if exact else _weight(r, node, (kernels, 1, kernel, kernel))
        pads = (((kernel - 1) // 2, kernel // 2),) * 2 if options.padding == "same" else 0
        y = r.emit("conv", [image, filters, *(bias if exact else [])], groups=options.heads, padding=pads)
        y = r.reshaped(y, (*shape[:-1], kernels * kept * kept))
        if kernels * kept * kept != out:
            y = r.emit("slice", [y], shape=(*shape[:-1], out))
        if bias and not exact:
            r.emit("elementwise", [y, bias[0]], fn="add", output=node.outputs[0])
        else:
            r.emit("reshape", [y], shape=(*shape[:-1], out), output=node.outputs[0])


def _image(r: Rewriter, x: str, lead: Shape, side: int) -> str:
    """(..., size) -> (*lead, side, side), zeros behind each vector."""
    size = math.prod(r.tensors[x].shape) // math.prod(lead)
    x = r.reshaped(x, (*lead, size))
    if side * side != size:
        x = r.emit("pad", [x], pads=(*((0, 0) for _ in lead), (0, side * side - size)))
    return r.reshaped(x, (*lead, side, side))


def _weight(r: Rewriter, node: Node, shape: Shape) -> str:
    old = r.graph.tensors[node.inputs[1]]
    new = Tensor(f"{old.name}/shared", shape, old.dtype, "weight")
    r.tensors[new.name] = new
    return new.name


def _products(r: Rewriter, node: Node) -> None:
    """Scores: the images of all queries under the image of one key as kernel; results: images of values under 1 x 1 kernels of weights."""
    (batch, heads, queries, size), (_, key_heads, keys, _), (*_, width) = (r.tensors[t].shape for t in node.inputs)
    if key_heads != heads:
        return
    q, k, v = node.inputs
    side, wide, groups = math.isqrt(size - 1) + 1, math.isqrt(width - 1) + 1, batch * heads
    with r.replacing(node):
        images = _image(r, r.emit("transpose", [q], perm=(2, 0, 1, 3)), (queries, groups), side)
        scores = r.emit("conv", [images, _image(r, k, (groups * keys, 1), side)], groups=groups)
        scores = r.emit("transpose", [r.reshaped(scores, (queries, batch, heads, keys))], perm=(1, 2, 0, 3))
        weights = r.reshaped(r.emit("softmax", [scores]), (groups * queries, keys, 1, 1))
        y = r.emit("conv", [_image(r, v, (1, groups * keys), wide), weights], groups=groups)
        y = r.reshaped(y, (batch, heads, queries, wide * wide))
        kind = "slice" if wide * wide != width else "reshape"
        r.emit(kind, [y], shape=(batch, heads, queries, width), output=node.outputs[0])


def _without_orphans(graph: Graph, changed: Graph, replaced: set[str]) -> Graph:
    """Without weights that only replaced layers read."""
    read = {name for node in changed.nodes for name in node.inputs}
    was = {name for node in graph.nodes if node.name in replaced for name in node.inputs}
    gone = {name for name in was - read if name in changed.tensors and changed.tensors[name].role == "weight"}
    return replace(changed, tensors={n: t for n, t in changed.tensors.items() if n not in gone}) if gone else changed
