"""Vision transformers."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, linear, merged, norm
from hwsim.zoo.registry import model

VIT = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, arXiv:2010.11929"
_TINY = "Touvron et al. 2021, Training data-efficient image transformers, arXiv:2012.12877"


@model("vit_ti16", family="vit", summary="ViT-Ti/16", source=_TINY, width=192, num_heads=3)
@model("vit_s16", family="vit", summary="ViT-S/16", source=_TINY, width=384, num_heads=6)
@model("vit_b16", family="vit", summary="ViT-B/16", source=VIT)
@model("vit_l16", family="vit", summary="ViT-L/16", source=VIT, width=1024, num_heads=16, num_layers=24)
def vit(
    *,
    name: str = "vit",
    batch: int = 1,
    image_size: int = 224,
    patch_size: int = 16,
    num_classes: int = 1000,
    width: int = 768,
    num_layers: int = 12,
    num_heads: int = 12,
    mlp_ratio: int = 4,
) -> Graph:
    """ViT with a class token, as in timm."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = conv(
        b,
        b.input("image", (batch, 3, image_size, image_size)),
        width,
        patch_size,
        path="patch_embed.proj",
        stride=patch_size,
        padding=0,
        bias=True,
    )
    tokens = b.shape(x)[2] * b.shape(x)[3]
    x = b.add("transpose", [b.add("reshape", [x], shape=(batch, width, tokens), path="patch_embed")], perm=(0, 2, 1), path="patch_embed")
    cls = b.add("expand", [b.weight((1, 1, width), name="cls_token")], shape=(batch, 1, width), path="cls_token")
    x = b.add("concat", [cls, x], axis=1, path="cls_token")
    x = add(b, x, b.weight((1, tokens + 1, width), name="pos_embed"), path="pos_embed")
    for i in range(num_layers):
        with b.scope(f"blocks.{i}"):
            x = encoder_block(b, x, num_heads=num_heads, hidden=mlp_ratio * width)
    x = norm(b, x, "layer", path="norm")
    x = b.add("reshape", [b.add("slice", [x], shape=(batch, 1, width), path="pool")], shape=(batch, width), path="pool")
    return b.finish([linear(b, x, num_classes, path="head")])


def encoder_block(b: GraphBuilder, x: str, *, num_heads: int, hidden: int) -> str:
    """Pre-norm attention and MLP."""
    batch, length, width = b.shape(x)
    with b.scope("attn"):
        qkv = linear(b, norm(b, x, "layer", path="norm1"), 3 * width, path="qkv")
        qkv = b.add("reshape", [qkv], shape=(batch, length, 3, num_heads, width // num_heads))
        qkv = b.add("transpose", [qkv], perm=(2, 0, 3, 1, 4))
        parts = b.add_many("split", [qkv], sizes=(1, 1, 1), axis=0)
        q, k, v = (b.add("reshape", [p], shape=(batch, num_heads, length, width // num_heads)) for p in parts)
        y = linear(b, merged(b, b.add("attention", [q, k, v], path="sdpa")), width, path="proj")
    x = add(b, x, y, path="add1")
    with b.scope("mlp"):
        y = act(b, linear(b, norm(b, x, "layer", path="norm2"), hidden, path="fc1"), "gelu", path="act")
        y = linear(b, y, width, path="fc2")
    return add(b, x, y, path="add2")
