"""Networks whose stages mix convolution and attention blocks: a family to search in."""

from __future__ import annotations

from hwsim.errors import InputError
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, global_average, linear, norm
from hwsim.zoo.registry import model
from hwsim.zoo.vit import encoder_block

BLOCKS = ("C", "T")
"""C: fused inverted residual, one 3x3 convolution that widens and a 1x1 that narrows; T: transformer encoder block."""


@model(
    "hybrid",
    family="hybrid",
    summary="convolution and attention blocks, chosen stage by stage",
    source=(
        "stages after Kag et al. 2024, AsCAN, arXiv:2411.04967; nested MLPs after Devvrit et al. 2023, MatFormer, arXiv:2310.07707; "
        "sizes are our own"
    ),
)
def hybrid(
    *,
    name: str = "hybrid",
    batch: int = 1,
    image_size: int = 224,
    num_classes: int = 1000,
    blocks: str = "CC-CCC-CCTT-TT",
    widths: tuple[int, ...] = (64, 128, 256, 512),
    head_size: int = 32,
    expansion: int = 4,
    mlp_frac: float = 1.0,
) -> Graph:
    """A stem of stride 2, then stages that each halve the image.

    Args:
        blocks: stages joined by `-`, a letter a block (`BLOCKS`).
        mlp_frac: share of the hidden units of every MLP, as of a nested sub-model (1, 1/2, 1/4 ...).

    Raises:
        InputError: another letter, not as many stages as widths, or a share outside of 0 to 1.
    """
    stages = blocks.split("-")
    _check(stages, widths, mlp_frac)
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _unit(b, b.input("image", (batch, 3, image_size, image_size)), widths[0] // 2, 3, path="stem", stride=2)
    for i, (kinds, width) in enumerate(zip(stages, widths, strict=True)):
        for j, kind in enumerate(kinds):
            with b.scope(f"stages.{i}.{j}"):
                if kind == "C":
                    x = _fused_residual(b, x, width, expansion=expansion, stride=1 if j else 2)
                else:
                    x = _attention(b, x, width, head_size=head_size, hidden=max(1, int(expansion * width * mlp_frac)), stride=1 if j else 2)
    return b.finish([linear(b, global_average(b, x), num_classes, path="head")])


def _check(stages: list[str], widths: tuple[int, ...], mlp_frac: float) -> None:
    shown = "-".join(stages)
    if wrong := sorted(set("".join(stages)) - set(BLOCKS)) or ([""] if "" in stages else []):
        raise InputError(
            f"blocks {shown!r}: found {wrong[0]!r}; expected C (convolution) and T (attention) in every stage, such as CC-CCC-CCTT-TT"
        )
    if len(stages) != len(widths):
        raise InputError(f"blocks {shown!r} has {len(stages)} stages, widths {widths} has {len(widths)}; expected as many")
    if not 0 < mlp_frac <= 1:
        raise InputError(f"mlp_frac is {mlp_frac!r}; expected a share above 0, at most 1")


def _unit(b: GraphBuilder, x: str, channels: int, kernel: int, *, path: str, stride: int = 1, relu: bool = True) -> str:
    y = norm(b, conv(b, x, channels, kernel, path=path, stride=stride), "batch", path=f"{path}_bn")
    return act(b, y, "gelu", path=f"{path}_act") if relu else y


def _fused_residual(b: GraphBuilder, x: str, width: int, *, expansion: int, stride: int) -> str:
    same = stride == 1 and b.shape(x)[1] == width
    y = _unit(b, x, expansion * b.shape(x)[1], 3, path="conv_exp", stride=stride)
    y = _unit(b, y, width, 1, path="conv_pwl", relu=False)
    return add(b, y, x, path="add") if same else y


def _attention(b: GraphBuilder, x: str, width: int, *, head_size: int, hidden: int, stride: int) -> str:
    if stride > 1 or b.shape(x)[1] != width:
        x = _unit(b, x, width, 3, path="down", stride=stride, relu=False)
    batch, channels, height, across = b.shape(x)
    tokens = b.add(
        "transpose", [b.add("reshape", [x], shape=(batch, channels, height * across), path="tokens")], perm=(0, 2, 1), path="tokens"
    )
    tokens = encoder_block(b, tokens, num_heads=max(1, channels // head_size), hidden=hidden)
    image = b.add("transpose", [tokens], perm=(0, 2, 1), path="image")
    return b.add("reshape", [image], shape=(batch, channels, height, across), path="image")
