"""Networks of depthwise convolutions."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, global_average, linear, norm
from hwsim.zoo.registry import model

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion, channels, blocks, stride of the first) of every stage."""


@model(
    "mobilenet_v2",
    family="mobilenet",
    summary="inverted residuals with depthwise convolutions",
    source="Sandler et al. 2018, MobileNetV2, arXiv:1801.04381",
)
def mobilenet_v2(
    *, name: str = "mobilenet_v2", batch: int = 1, image_size: int = 224, num_classes: int = 1000, width: float = 1.0
) -> Graph:
    """MobileNetV2; `width` multiplies the channels."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _conv(b, b.input("image", (batch, 3, image_size, image_size)), _round(32 * width), 3, path="conv_stem", stride=2)
    for stage, (expansion, channels, count, stride) in enumerate(STAGES):
        for block in range(count):
            with b.scope(f"blocks.{stage}.{block}"):
                x = _inverted_residual(b, x, _round(channels * width), expansion=expansion, stride=1 if block else stride)
    x = _conv(b, x, max(1280, _round(1280 * width)), 1, path="conv_head")
    return b.finish([linear(b, global_average(b, x), num_classes, path="classifier")])


def _round(channels: float) -> int:
    """To the nearest multiple of 8, and not more than a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _conv(b: GraphBuilder, x: str, channels: int, kernel: int, *, path: str, stride: int = 1, groups: int = 1, relu: bool = True) -> str:
    y = norm(b, conv(b, x, channels, kernel, path=path, stride=stride, groups=groups), "batch", path=f"{path}_bn")
    return act(b, y, "relu6", path=f"{path}_act") if relu else y


def _inverted_residual(b: GraphBuilder, x: str, channels: int, *, expansion: int, stride: int) -> str:
    size = b.shape(x)[1]
    y = _conv(b, x, size * expansion, 1, path="conv_pw") if expansion > 1 else x
    y = _conv(b, y, size * expansion, 3, path="conv_dw", stride=stride, groups=size * expansion)
    y = _conv(b, y, channels, 1, path="conv_pwl", relu=False)
    return add(b, y, x, path="add") if stride == 1 and size == channels else y
