"""ConvShareViT: a vision transformer whose linear layers are depthwise convolutions with one kernel for all tokens.

Published (arXiv:2504.11517, abstract and figure): shared depthwise convolutions in place of the linear layers of attention and MLP, valid
or same padding, transposed convolutions around them, a convolutional embedding, CIFAR-100. From an early version of the authors' code
(github.com/riadibadulla/FCSA): images of 72, a transposed 25x25 convolution to one channel of 96, patches of 8, depth 8, 4 heads of full
width that are added, 7x7 kernels, a head of 256 and 128. Inferred here, as the twelve models of the paper are not public in detail: with
valid padding, transposed shared convolutions bring values and the MLP back to the size of a patch; with same padding there is no
projection.
"""

from __future__ import annotations

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, linear, norm
from hwsim.zoo.registry import model

SOURCE = "Ibadulla et al. 2025, ConvShareViT, arXiv:2504.11517; sizes after github.com/riadibadulla/FCSA, details inferred"
PADDINGS = ("valid", "same")


@model("convshare_vit", family="convshare", summary="ConvShareViT, valid padding, 4 heads", source=SOURCE)
@model("convshare_vit_same", family="convshare", summary="ConvShareViT, same padding, 4 heads", source=SOURCE, padding="same")
@model("convshare_vit_1", family="convshare", summary="ConvShareViT, valid padding, one head", source=SOURCE, num_heads=1)
@model("convshare_vit_12", family="convshare", summary="ConvShareViT, valid padding, 12 heads", source=SOURCE, num_heads=12)
def convshare_vit(
    *,
    name: str = "convshare_vit",
    batch: int = 1,
    image_size: int = 72,
    patch_size: int = 8,
    num_layers: int = 8,
    num_heads: int = 4,
    kernel_size: int = 7,
    padding: str = "valid",
    num_classes: int = 100,
) -> Graph:
    """ConvShareViT with a class token; tokens are channels of (batch, tokens, patch, patch).

    Raises:
        UnknownName: a padding that is neither valid nor same.
        InputError: a kernel larger than a patch.
    """
    if padding not in PADDINGS:
        raise UnknownName("padding", padding, PADDINGS)
    if kernel_size > patch_size:
        raise InputError(f"kernel_size is {kernel_size}; expected at most the patch, {patch_size}")
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _tokens(b, b.input("image", (batch, 3, image_size, image_size)), patch_size)
    for i in range(num_layers):
        with b.scope(f"blocks.{i}"):
            x = _block(b, x, heads=num_heads, kernel=kernel_size, padding=padding)
    with b.scope("head"):
        x = _layer_norm(b, x, path="norm")
        x = b.add("reshape", [b.add("slice", [x], shape=(batch, 1, patch_size, patch_size))], shape=(batch, patch_size**2))
        for i, units in enumerate((256, 128), start=1):
            x = act(b, linear(b, x, units, path=f"fc{i}"), "gelu", path=f"act{i}")
        return b.finish([linear(b, x, num_classes, path="fc3")])


def _tokens(b: GraphBuilder, x: str, patch: int) -> str:
    """One channel from a transposed convolution, cut into patches, with class token and positions."""
    batch = b.shape(x)[0]
    with b.scope("embed"):
        x = b.add("conv", [x, b.weight((3, 1, 25, 25)), b.weight((1,), name="bias")], transposed=True, path="colours")
        x = act(b, x, "gelu", path="act")
        count = b.shape(x)[2] // patch
        x = b.add("slice", [x], shape=(batch, 1, count * patch, count * patch))
        x = b.add("reshape", [x], shape=(batch, count, patch, count, patch))
        x = b.add("reshape", [b.add("transpose", [x], perm=(0, 1, 3, 2, 4))], shape=(batch, count * count, patch, patch))
        cls = b.add("expand", [b.weight((1, 1, patch, patch), name="cls_token")], shape=(batch, 1, patch, patch))
        x = b.add("concat", [cls, x], axis=1)
        return add(b, x, b.weight((1, count * count + 1, patch, patch), name="pos_embed"))


def shared(b: GraphBuilder, x: str, kernels: int, size: int, *, padding: str, transposed: bool = False, path: str = "") -> str:
    """(batch, tokens, p, p) -> (batch * tokens, kernels, p', p'): all tokens under the same kernels."""
    batch, tokens, side, _ = b.shape(x)
    with b.scope(path):
        x = b.add("reshape", [x], shape=(batch * tokens, 1, side, side))
        pads = (((size - 1) // 2, size // 2),) * 2 if padding == "same" else 0
        weight = b.weight((1, kernels, size, size) if transposed else (kernels, 1, size, size))
        return b.add("conv", [x, weight], padding=pads, transposed=transposed)


def _block(b: GraphBuilder, x: str, *, heads: int, kernel: int, padding: str) -> str:
    y = _attention(b, _layer_norm(b, x, path="norm1"), heads=heads, kernel=kernel, padding=padding)
    x = add(b, x, y, path="add1")
    y = _layer_norm(b, x, path="norm2")
    for i, back in ((1, False), (2, padding == "valid")):
        y = shared(b, y, 1, kernel, padding=padding, transposed=back, path=f"mlp.fc{i}")
        y = b.add("reshape", [act(b, y, "gelu", path=f"mlp.act{i}")], shape=(*b.shape(x)[:2], *b.shape(y)[2:]))
    return add(b, x, y, path="add2")


def _attention(b: GraphBuilder, x: str, *, heads: int, kernel: int, padding: str) -> str:
    """Heads with a kernel each for queries, keys and values over the whole patch; their results are added."""
    batch, tokens, *_ = b.shape(x)
    with b.scope("attn"):
        maps = [shared(b, x, heads, kernel, padding=padding, path=name) for name in "qkv"]
        side = b.shape(maps[0])[-1]
        rows = [b.add("reshape", [y], shape=(batch, tokens, heads, side * side)) for y in maps]
        parts = [b.add("transpose", [y], perm=(0, 2, 1, 3)) for y in rows]
        y = b.add("reduce", [b.add("attention", parts, path="sdpa")], fn="sum", axes=(1,), path="sum")
        y = b.add("reshape", [y], shape=(batch, tokens, side, side))
        if padding == "same":
            return y
        y = shared(b, y, 1, kernel, padding="valid", transposed=True, path="proj")
        return b.add("reshape", [y], shape=b.shape(x))


def _layer_norm(b: GraphBuilder, x: str, *, path: str) -> str:
    """Over the pixels of each token."""
    batch, tokens, side, _ = b.shape(x)
    flat = b.add("reshape", [x], shape=(batch, tokens, side * side))
    return b.add("reshape", [norm(b, flat, "layer", path=path)], shape=(batch, tokens, side, side))
