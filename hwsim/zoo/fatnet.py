"""FatNet and the residual network that it is made from (Ibadulla, Chen and Reyes-Aldasoro, AI 4(2), 2023), for CIFAR-100.

Layer widths are those of the authors' code (github.com/riadibadulla/FatSpitter); the pairs of channels that they give, 1,220,800 and
148,637, are those from which the times of the paper's table 3 follow to their last digit.
"""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, linear, norm
from hwsim.zoo.registry import model

SOURCE = "Ibadulla et al. 2023, FatNet: High-Resolution Kernels for Classification, AI 4(2), arXiv:2210.16914"


def conv_same(b: GraphBuilder, x: str, channels: int, kernel: int, *, path: str) -> str:
    """Convolution with a bias that keeps the size; even kernels take the larger padding behind."""
    with b.scope(path):
        weights = [b.weight((channels, b.shape(x)[1], kernel, kernel)), b.weight((channels,), name="bias")]
        return b.add("conv", [x, *weights], padding=(((kernel - 1) // 2, kernel // 2),) * 2)


def conv_block(b: GraphBuilder, x: str, channels: int, kernel: int = 3, *, path: str, size: int = 0) -> str:
    """Convolution, batch norm, ReLU, and averaging down to `size` pixels a side (0: not)."""
    with b.scope(path):
        x = act(b, norm(b, conv_same(b, x, channels, kernel, path="conv"), "batch", path="norm"), "relu", path="act")
        return b.add("pool", [x], fn="avg", output_size=size, path="pool") if size else x


def _stages(b: GraphBuilder, x: str, stages: tuple[tuple[tuple[int, int, int], ...], ...]) -> str:
    """Stages of two opening blocks and a residual pair; (channels, kernel, size after pooling or 0) a block."""
    for number, blocks in enumerate(stages, start=2):
        for i, (channels, kernel, size) in enumerate(blocks[:2]):
            x = conv_block(b, x, channels, kernel, path=f"conv{number}.{i}", size=size)
        y = x
        for i, (channels, kernel, _) in enumerate(blocks[2:]):
            y = conv_block(b, y, channels, kernel, path=f"res{number + 1}.{i}")
        x = add(b, y, x, path=f"res{number + 1}.add")
    return x


def _stem(b: GraphBuilder, x: str, width: int) -> str:
    """7x7 to 16x16 pixels, and two residual pairs."""
    x = conv_block(b, x, width, 7, path="conv1", size=16)
    for number in (1, 2):
        y = conv_block(b, conv_block(b, x, width, path=f"res{number}.0"), width, path=f"res{number}.1")
        x = add(b, y, x, path=f"res{number}.add")
    return x


@model("resnet18_stride_free", family="fatnet", summary="ResNet-18 for CIFAR-100 that pools instead of striding", source=SOURCE)
def resnet18_stride_free(*, name: str = "resnet18_stride_free", batch: int = 1, num_classes: int = 100) -> Graph:
    """Stride-free ResNet-18 on 32x32 images: 1,220,800 pairs of channels in its convolutions."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _stem(b, b.input("image", (batch, 3, 32, 32)), 64)
    x = _stages(b, x, tuple(((64 * 2**i, 3, 16 // 2**i), *(((64 * 2**i), 3, 0),) * 3) for i in (1, 2, 3)))
    x = b.add("reshape", [b.add("pool", [x], kernel=2, path="pool")], shape=(batch, 512), path="flatten")
    return b.finish([linear(b, x, num_classes, path="classifier")])


@model("fatnet", family="fatnet", summary="fully convolutional, few channels with large kernels, for CIFAR-100", source=SOURCE)
def fatnet(*, name: str = "fatnet", batch: int = 1) -> Graph:
    """FatNet on 32x32 images: 148,637 pairs of channels without the classifier (one output channel of 10x10 pixels, the 100 classes)."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _stem(b, b.input("image", (batch, 3, 32, 32)), 64)
    second = ((82, 4, 10), (82, 5, 0), (82, 5, 0), (82, 5, 0))
    third = ((78, 7, 0), (78, 10, 0), (78, 10, 0), (78, 10, 0))
    fourth = ((151, 10, 0), (155, 10, 0), (151, 10, 0), (155, 10, 0))
    x = conv_same(b, _stages(b, x, (second, third, fourth)), 1, 10, path="classifier")
    return b.finish([b.add("reshape", [x], shape=(batch, 100), path="flatten")])
