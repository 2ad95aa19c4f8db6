"""U-Net, and Fat-U-Net, which keeps its resolution and so its channels few (Ibadulla, Reyes-Aldasoro and Chen, SPIE 12903, 2024).

Layer widths are those of the authors' code (github.com/riadibadulla/FatUnet); they give 3,833,984 and 7,123 pairs of channels,
transposed convolutions included: the ratio of 538.25 that the paper states as 538.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.fatnet import conv_block, conv_same
from hwsim.zoo.registry import model

FAT = "Ibadulla et al. 2024, Fat-U-Net: non-contracting U-Net for free-space optical neural networks, Proc. SPIE 12903"


def _pair(b: GraphBuilder, x: str, layers: Sequence[tuple[int, int]], *, path: str) -> str:
    for i, (channels, kernel) in enumerate(layers):
        x = conv_block(b, x, channels, kernel, path=f"{path}.{i}")
    return x


@model("unet", family="unet", summary="U-Net for segmentation, one channel in and out", source=FAT)
def unet(*, name: str = "unet", batch: int = 1, image_size: int = 160, width: int = 64, in_channels: int = 1) -> Graph:
    """U-Net of five levels with padded convolutions and transposed convolutions of 2x2 (Ronneberger et al. 2015, arXiv:1505.04597)."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x, skips = b.input("image", (batch, in_channels, image_size, image_size)), []
    for level in range(5):
        x = b.add("pool", [x], kernel=2, path=f"pool{level}") if level else x
        x = _pair(b, x, ((width * 2**level, 3),) * 2, path=f"conv{level + 1}")
        skips.append(x)
    for step, level in enumerate((3, 2, 1, 0), start=1):
        channels = width * 2**level
        with b.scope(f"deconv{step}"):
            weights = [b.weight((2 * channels, channels, 2, 2)), b.weight((channels,), name="bias")]
            x = b.add("conv", [x, *weights], stride=2, transposed=True)
        x = b.add("concat", [skips[level], x], axis=1, path=f"concat{step}")
        x = _pair(b, x, ((channels, 3),) * 2, path=f"conv{5 + step}")
    return b.finish([conv_same(b, x, 1, 1, path="segmenter")])


@model("fat_unet", family="unet", summary="U-Net at full resolution with few channels and large kernels", source=FAT)
def fat_unet(*, name: str = "fat_unet", batch: int = 1, image_size: int = 160, in_channels: int = 1) -> Graph:
    """Fat-U-Net: no pooling, kernels of up to the whole image, 7,123 pairs of channels."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x, skips = b.input("image", (batch, in_channels, image_size, image_size)), []
    downward = (((32, 5), (32, 6)), ((16, 12), (16, 24)), ((8, 48), (8, 96)), ((10, 122), (10, 160)), ((20, 154), (20, 160)))
    upward = ((10, ((10, 113), (10, 160))), (8, ((8, 48), (8, 96))), (16, ((16, 12), (16, 24))), (32, ((32, 3), (3, 5))))
    for level, layers in enumerate(downward, start=1):
        x = _pair(b, x, layers, path=f"conv{level}")
        skips.append(x)
    for step, (channels, layers) in enumerate(upward, start=1):
        x = conv_same(b, x, channels, 3, path=f"deconv{step}")
        x = _pair(b, b.add("concat", [skips[4 - step], x], axis=1, path=f"concat{step}"), layers, path=f"conv{5 + step}")
    return b.finish([conv_same(b, x, 1, 1, path="segmenter")])
