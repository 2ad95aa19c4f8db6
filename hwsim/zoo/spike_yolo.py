"""SpikeYOLO (arXiv:2407.20708): object detection with meta spiking blocks in the place of YOLOv8's.

Neurons are I-LIF: integers up to 4 in training, 4 binary steps at inference, so `timesteps` is 4 (one step of 4 spikes). Module paths are
those of the public code; the decoding of boxes, which is no network, is left out.
"""

from __future__ import annotations

import math

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import add, conv, norm
from hwsim.zoo.registry import model
from hwsim.zoo.spiking import neuron

SPIKE_YOLO = "Luo et al. 2024, Integer-valued training and spike-driven inference SNN for object detection (SpikeYOLO), arXiv:2407.20708"


@model("spike_yolo_n", family="spike_yolo", summary="SpikeYOLO-N, 13.3 M", source=SPIKE_YOLO, width=0.375, last_ratio=1)
@model("spike_yolo_s", family="spike_yolo", summary="SpikeYOLO-S, 23.2 M", source=SPIKE_YOLO, last_ratio=1)
@model("spike_yolo_m", family="spike_yolo", summary="SpikeYOLO-M, 47.8 M", source=SPIKE_YOLO, depth=0.5, width=0.625)
@model("spike_yolo_l", family="spike_yolo", summary="SpikeYOLO-L, 68.5 M", source=SPIKE_YOLO, depth=0.5, width=0.75)
def spike_yolo(
    *,
    name: str = "spike_yolo",
    batch: int = 1,
    depth: float = 0.33,
    width: float = 0.5,
    last_ratio: int = 2,
    image_size: int = 640,
    num_classes: int = 80,
    timesteps: int = 4,
    backbone: bool = False,
) -> Graph:
    """Backbone of four stages, a neck that goes up and down again, a head on three scales; `backbone`: that part alone."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch, timesteps=timesteps)
    sizes = [int(c * width) for c in (128, 256, 512, 1024)]
    x = b.input("image", (batch, 3, image_size, image_size))
    with b.scope("model"):
        features = _backbone(b, x, sizes, depth, width)
        if not backbone:
            features = _neck(b, features, sizes, last_ratio)
            widths = max(16, sizes[1] // 4, 64), max(sizes[1], min(num_classes, 100))
            features = [_detect(b, y, i, widths, num_classes) for i, y in enumerate(features)]
    return b.finish(features)


def _backbone(b: GraphBuilder, x: str, sizes: list[int], depth: float, width: float) -> list[str]:
    """Features at an eighth, a sixteenth and a thirty-second of the image."""
    found = []
    for stage, (size, count, ratio) in enumerate(zip(sizes, (3, 6, 9, 3), (4, 4, 3, 2), strict=True)):
        x = _down(b, x, size, 7 if stage == 0 else 3, 4 if stage == 0 else 2, 2 * stage + 1, first=stage == 0)
        repeats = max(round(count * depth), 1)
        for i in range(repeats):
            with b.scope(f"{2 * stage + 2}" + (f".{i}" if repeats > 1 else "")):
                x = _block(b, x, ratio, standard=stage < 2)
        found.append(x)
    with b.scope("9"):
        return [found[1], found[2], _pyramid(b, x, 8 * math.ceil(1024 * width / 8))]


def _neck(b: GraphBuilder, features: list[str], sizes: list[int], last_ratio: int) -> list[str]:
    small, middle, top = features
    top = _fire_conv(b, top, sizes[2], 1, "10")
    x = _enriched(b, _up(b, top, middle, "11"), 3, "12")
    lower = _fire_conv(b, _joined(b, x, middle, "13"), sizes[1], 1, "14")
    x = _enriched(b, _up(b, lower, small, "15"), 4, "16", standard=True)
    x = _fire_conv(b, _joined(b, x, small, "17"), sizes[1], 1, "18")
    first = _enriched(b, x, 4, "19", standard=True)
    x = _joined(b, _fire_conv(b, first, sizes[1], 3, "20", stride=2), lower, "21")
    second = _enriched(b, x, 3, "22")
    x = _joined(b, _fire_conv(b, second, sizes[2], 3, "23", stride=2), top, "24")
    return [first, second, _enriched(b, x, last_ratio, "25")]


def _detect(b: GraphBuilder, x: str, scale: int, widths: tuple[int, int], num_classes: int) -> str:
    """Boxes (16 bins a side) and classes of one scale."""
    ends = []
    for branch, hidden, outputs in (("cv2", widths[0], 64), ("cv3", widths[1], num_classes)):
        with b.scope(f"26.{branch}.{scale}"):
            y = _fire_conv(b, _fire_conv(b, x, hidden, 3, "0"), hidden, 3, "1")
            ends.append(conv(b, neuron(b, y, path="2.lif"), outputs, 1, path="2.conv", bias=True))
    return _joined(b, ends[0], ends[1], f"26.{scale}")


def _enriched(b: GraphBuilder, x: str, ratio: int, path: str, *, standard: bool = False) -> str:
    with b.scope(path):
        return _block(b, x, ratio, standard=standard)


def _up(b: GraphBuilder, x: str, like: str, path: str) -> str:
    return b.add("resize", [x], size=b.shape(like)[2:], path=path)


def _joined(b: GraphBuilder, x: str, y: str, path: str) -> str:
    return b.add("concat", [x, y], axis=1, path=path)


def _down(b: GraphBuilder, x: str, width: int, kernel: int, stride: int, number: int, *, first: bool) -> str:
    with b.scope(str(number)):
        x = x if first else neuron(b, x, path="encode_lif")
        x = conv(b, x, width, kernel, stride=stride, padding=2 if first else 1, bias=True, path="encode_conv")
        return norm(b, x, "batch", path="encode_bn")


def _fire_conv(b: GraphBuilder, x: str, width: int, kernel: int, path: str, *, stride: int = 1) -> str:
    with b.scope(path):
        x = conv(b, neuron(b, x, path="lif"), width, kernel, stride=stride, path="conv")
        return norm(b, x, "batch", path="bn")


def _block(b: GraphBuilder, x: str, ratio: int, *, standard: bool) -> str:
    """A separable convolution and two that widen and narrow (re-parameterised ones unless `standard`), each around a residual."""
    x = add(b, x, _separable(b, x), path="Conv.add")
    width, hidden = b.shape(x)[1], b.shape(x)[1] * ratio
    if standard:
        y = _fire_conv(b, _fire_conv(b, x, hidden, 3, "conv1"), width, 3, "conv2")
    else:
        y = norm(b, _rep_conv(b, neuron(b, x, path="lif1"), hidden, "conv1"), "batch", path="bn1")
        y = norm(b, _rep_conv(b, neuron(b, y, path="lif2"), width, "conv2"), "batch", path="bn2")
    return add(b, x, y, path="add")


def _separable(b: GraphBuilder, x: str) -> str:
    """1x1, depthwise 7x7, and a 1x1 with a depthwise 3x3 behind it, neurons before each of the three."""
    width = b.shape(x)[1]
    with b.scope("Conv"):
        y = norm(b, conv(b, neuron(b, x, path="lif1"), 2 * width, 1, path="pwconv1"), "batch", path="bn1")
        y = norm(b, conv(b, neuron(b, y, path="lif2"), 2 * width, 7, groups=2 * width, path="dwconv2"), "batch", path="bn2")
        with b.scope("pwconv3.body"):
            y = norm(b, neuron(b, y, path="lif3"), "batch", path="0.bn")
            y = conv(b, conv(b, y, width, 1, path="1.0"), width, 3, groups=width, path="1.1")
        return norm(b, y, "batch", path="bn3")


def _rep_conv(b: GraphBuilder, x: str, width: int, path: str) -> str:
    """1x1, depthwise 3x3, 1x1: one convolution after re-parameterisation."""
    inputs = b.shape(x)[1]
    with b.scope(f"{path}.body"):
        y = norm(b, conv(b, x, inputs, 1, path="0"), "batch", path="1.bn")
        y = conv(b, conv(b, y, inputs, 3, groups=inputs, path="2.0"), width, 1, path="2.1")
        return norm(b, y, "batch", path="2.2")


def _pyramid(b: GraphBuilder, x: str, width: int) -> str:
    """Pools of growing reach side by side."""
    x = _fire_conv(b, x, b.shape(x)[1] // 2, 1, "cv1")
    parts = [x]
    for i in range(3):
        parts.append(b.add("pool", [parts[-1]], fn="max", kernel=5, stride=1, padding=2, path=f"m.{i}"))
    return _fire_conv(b, b.add("concat", parts, axis=1, path="concat"), width, 1, "cv2")
