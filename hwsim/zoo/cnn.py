"""Residual networks and LeNet."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, global_average, linear, norm
from hwsim.zoo.registry import model

RESNET = "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385"


@model("resnet18", family="resnet", summary="residual network, basic blocks", source=RESNET, depths=(2, 2, 2, 2), bottleneck=False)
@model("resnet34", family="resnet", summary="residual network, basic blocks", source=RESNET, depths=(3, 4, 6, 3), bottleneck=False)
@model("resnet50", family="resnet", summary="residual network, bottleneck blocks", source=RESNET, depths=(3, 4, 6, 3))
@model("resnet101", family="resnet", summary="residual network, bottleneck blocks", source=RESNET, depths=(3, 4, 23, 3))
@model("resnet152", family="resnet", summary="residual network, bottleneck blocks", source=RESNET, depths=(3, 8, 36, 3))
def resnet(
    *,
    name: str = "resnet",
    batch: int = 1,
    image_size: int = 224,
    num_classes: int = 1000,
    width: int = 64,
    depths: tuple[int, ...] = (3, 4, 6, 3),
    bottleneck: bool = True,
) -> Graph:
    """ResNet with the stride in the 3x3 convolution (the v1.5 of timm and torchvision)."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = b.input("image", (batch, 3, image_size, image_size))
    x = act(b, norm(b, conv(b, x, width, 7, path="conv1", stride=2), "batch", path="bn1"), "relu", path="act1")
    x = b.add("pool", [x], kernel=3, stride=2, padding=1, path="maxpool")
    for stage, depth in enumerate(depths):
        for block in range(depth):
            with b.scope(f"layer{stage + 1}"), b.scope(str(block)):
                x = _block(b, x, width * 2**stage, stride=2 if stage and not block else 1, bottleneck=bottleneck)
    return b.finish([linear(b, global_average(b, x), num_classes, path="fc")])


def _block(b: GraphBuilder, x: str, width: int, *, stride: int, bottleneck: bool) -> str:
    kernels = (1, 3, 1) if bottleneck else (3, 3)
    channels = (width, width, 4 * width) if bottleneck else (width, width)
    strides = (1, stride, 1) if bottleneck else (stride, 1)
    y = x
    for i, (kernel, out, step) in enumerate(zip(kernels, channels, strides, strict=True), start=1):
        y = norm(b, conv(b, y, out, kernel, path=f"conv{i}", stride=step), "batch", path=f"bn{i}")
        y = act(b, y, "relu", path=f"act{i}") if i < len(kernels) else y
    if stride > 1 or b.shape(x)[1] != channels[-1]:
        x = norm(b, conv(b, x, channels[-1], 1, path="downsample.0", stride=stride), "batch", path="downsample.1")
    return act(b, add(b, y, x, path="add"), "relu", path=f"act{len(kernels)}")


@model(
    "lenet5",
    family="lenet",
    summary="LeNet-5 with tanh",
    source="LeCun et al. 1998, Gradient-based learning applied to document recognition",
)
def lenet(*, name: str = "lenet5", batch: int = 1, num_classes: int = 10) -> Graph:
    """LeNet-5 on 32x32 images, the second convolution dense."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = b.input("image", (batch, 1, 32, 32))
    for i, channels in enumerate((6, 16), start=1):
        x = act(b, conv(b, x, channels, 5, path=f"conv{i}", padding=0, bias=True), "tanh", path=f"act{i}")
        x = b.add("pool", [x], fn="avg", kernel=2, path=f"pool{i}")
    x = b.add("reshape", [x], shape=(batch, 400), path="flatten")
    for i, units in enumerate((120, 84), start=1):
        x = act(b, linear(b, x, units, path=f"fc{i}"), "tanh", path=f"act{i + 2}")
    return b.finish([linear(b, x, num_classes, path="fc3")])
