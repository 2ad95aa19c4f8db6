"""YOLOv8 and YOLO11: one-stage detection and segmentation, with the decoding of boxes that is exported with the network.

Widths, depths and module paths are those that Ultralytics publishes with its models; non-maximum suppression is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, norm
from hwsim.zoo.registry import model

V8 = "Jocher et al. 2023, Ultralytics YOLOv8 (docs.ultralytics.com/models/yolov8); own definition"
V11 = "Jocher and Qiu 2024, Ultralytics YOLO11 (docs.ultralytics.com/models/yolo11); own definition"
BINS, MASKS = 16, 32
"""Bins of the distribution of a box's side, and coefficients of a mask."""


@dataclass(frozen=True)
class _Sizes:
    depth: float
    width: float
    most: int
    eleven: bool

    def __call__(self, channels: int) -> int:
        """Channels of a layer, a multiple of 8."""
        return -(-int(min(channels, self.most) * self.width) // 8) * 8

    def repeats(self, count: int) -> int:
        """Blocks of a stage."""
        return max(round(count * self.depth), 1)


@model("yolov8n", family="yolo", summary="YOLOv8 nano, 3.2 M", source=V8)
@model("yolov8s", family="yolo", summary="YOLOv8 small, 11.2 M", source=V8, width=0.5)
@model("yolov8n_seg", family="yolo", summary="YOLOv8 nano with masks, 3.4 M", source=V8, masks=True)
@model("yolov8s_seg", family="yolo", summary="YOLOv8 small with masks, 11.8 M", source=V8, width=0.5, masks=True)
@model("yolov8x_seg", family="yolo", summary="YOLOv8 x with masks, 71.8 M", source=V8, depth=1.0, width=1.25, most=512, masks=True)
@model("yolo11n", family="yolo", summary="YOLO11 nano, 2.6 M", source=V11, depth=0.5, eleven=True)
@model("yolo11n_seg", family="yolo", summary="YOLO11 nano with masks, 2.9 M", source=V11, depth=0.5, eleven=True, masks=True)
def yolo(
    *,
    name: str = "yolo",
    batch: int = 1,
    image_size: int = 640,
    num_classes: int = 80,
    depth: float = 0.33,
    width: float = 0.25,
    most: int = 1024,
    eleven: bool = False,
    masks: bool = False,
) -> Graph:
    """Backbone, a neck that goes up and down again, and heads at an eighth, a sixteenth and a thirty-second of the image."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    sizes = _Sizes(depth, width, most, eleven)
    with b.scope("model"):
        features = _neck(b, _backbone(b, b.input("image", (batch, 3, image_size, image_size)), sizes), sizes)
        boxes, scores, raw = _heads(b, features, num_classes, masks, eleven)
        outputs = [_decoded(b, boxes), act(b, scores, "sigmoid", path="scores")]
        if masks:
            outputs += [raw, _prototypes(b, features[0], sizes(256))]
    return b.finish(outputs)


def _conv(b: GraphBuilder, x: str, channels: int, kernel: int, path: str, *, stride: int = 1, groups: int = 1, silu: bool = True) -> str:
    with b.scope(path):
        y = norm(b, conv(b, x, channels, kernel, stride=stride, groups=groups, path="conv"), "batch", path="bn")
        return act(b, y, "silu", path="act") if silu else y


def _bottleneck(b: GraphBuilder, x: str, inner: int, *, shortcut: bool) -> str:
    y = _conv(b, _conv(b, x, inner, 3, "cv1"), b.shape(x)[1], 3, "cv2")
    return add(b, x, y, path="add") if shortcut else y


def _split_stage(b: GraphBuilder, x: str, channels: int, count: int, path: str, *, ratio: float, shortcut: bool, nested: int) -> str:
    """C2f, or C3k2: half of the channels through blocks, all intermediate results joined; `nested` 1: each block is a C3k, 2: a bottleneck
    that narrows, 0: one that does not."""
    half = int(channels * ratio)
    with b.scope(path):
        found = list(b.add_many("split", [_conv(b, x, 2 * half, 1, "cv1")], sizes=(half, half), axis=1, path="split"))
        for i in range(count):
            with b.scope(f"m.{i}"):
                y = _c3k(b, found[-1]) if nested == 1 else _bottleneck(b, found[-1], half // nested if nested else half, shortcut=shortcut)
                found.append(y)
        return _conv(b, b.add("concat", found, axis=1, path="concat"), channels, 1, "cv2")


def _c3k(b: GraphBuilder, x: str) -> str:
    """Two bottlenecks on one half of the channels beside the other."""
    width = b.shape(x)[1]
    y = _conv(b, x, width // 2, 1, "cv1")
    for i in range(2):
        with b.scope(f"m.{i}"):
            y = _bottleneck(b, y, width // 2, shortcut=True)
    return _conv(b, b.add("concat", [y, _conv(b, x, width // 2, 1, "cv2")], axis=1, path="concat"), width, 1, "cv3")


def _backbone(b: GraphBuilder, x: str, sizes: _Sizes) -> list[str]:
    x, found = _conv(b, x, sizes(64), 3, "0", stride=2), []
    eleven = ((256, 2, 0.25, 2), (512, 2, 0.25, 2), (512, 2, 0.5, 1), (1024, 2, 0.5, 1))
    eight = ((128, 3, 0.5, 0), (256, 6, 0.5, 0), (512, 6, 0.5, 0), (1024, 3, 0.5, 0))
    stages = zip((128, 256, 512, 1024), eleven if sizes.eleven else eight, strict=True)
    for i, (entry, (channels, count, ratio, nested)) in enumerate(stages):
        x = _conv(b, x, sizes(entry), 3, str(2 * i + 1), stride=2)
        given = {"ratio": ratio, "shortcut": True, "nested": nested}
        x = _split_stage(b, x, sizes(channels), sizes.repeats(count), str(2 * i + 2), **given)
        found.append(x)
    x = _pyramid(b, x, sizes(1024))
    return [found[1], found[2], _attended(b, x, "10") if sizes.eleven else x]


def _pyramid(b: GraphBuilder, x: str, channels: int) -> str:
    """Pools of growing reach side by side."""
    with b.scope("9"):
        parts = [_conv(b, x, b.shape(x)[1] // 2, 1, "cv1")]
        for i in range(3):
            parts.append(b.add("pool", [parts[-1]], fn="max", kernel=5, stride=1, padding=2, path=f"m.{i}"))
        return _conv(b, b.add("concat", parts, axis=1, path="concat"), channels, 1, "cv2")


def _attended(b: GraphBuilder, x: str, path: str) -> str:
    """C2PSA: attention over pixels on half of the channels."""
    channels = b.shape(x)[1]
    half = channels // 2
    with b.scope(path):
        left, right = b.add_many("split", [_conv(b, x, channels, 1, "cv1")], sizes=(half, half), axis=1, path="split")
        right = add(b, right, _attention(b, right), path="m.0.add")
        y = _conv(b, _conv(b, right, 2 * half, 1, "m.0.ffn.0"), half, 1, "m.0.ffn.1", silu=False)
        return _conv(b, b.add("concat", [left, add(b, right, y, path="m.0.add2")], axis=1, path="concat"), channels, 1, "cv2")


def _attention(b: GraphBuilder, x: str) -> str:
    batch, channels, height, width = b.shape(x)
    count = max(1, channels // 64)
    size, key, pixels = channels // count, channels // count // 2, height * width
    with b.scope("m.0.attn"):
        qkv = _conv(b, x, channels + 2 * key * count, 1, "qkv", silu=False)
        qkv = b.add("reshape", [qkv], shape=(batch, count, 2 * key + size, pixels))
        q, k, v = b.add_many("split", [qkv], sizes=(key, key, size), axis=2)
        scores = b.add("softmax", [b.add("matmul", [b.add("transpose", [q], perm=(0, 1, 3, 2)), k])])
        y = b.add(
            "reshape", [b.add("matmul", [v, b.add("transpose", [scores], perm=(0, 1, 3, 2))])], shape=(batch, channels, height, width)
        )
        place = _conv(b, b.add("reshape", [v], shape=(batch, channels, height, width)), channels, 3, "pe", groups=channels, silu=False)
        return _conv(b, add(b, y, place, path="add"), channels, 1, "proj", silu=False)


def _neck(b: GraphBuilder, features: list[str], sizes: _Sizes) -> list[str]:
    small, middle, top = features
    count, first = sizes.repeats(2 if sizes.eleven else 3), 11 if sizes.eleven else 10

    def stage(x: str, channels: int, place: int, nested: int) -> str:
        given = {"ratio": 0.5, "shortcut": sizes.eleven, "nested": nested}
        return _split_stage(b, x, sizes(channels), count, str(first + place), **given)

    narrow = 2 if sizes.eleven else 0
    lower = stage(_joined(b, _up(b, top, middle), middle), 512, 2, narrow)
    near = stage(_joined(b, _up(b, lower, small), small), 256, 5, narrow)
    x = _joined(b, _conv(b, near, sizes(256), 3, str(first + 6), stride=2), lower)
    centre = stage(x, 512, 8, narrow)
    x = _joined(b, _conv(b, centre, sizes(512), 3, str(first + 9), stride=2), top)
    return [near, centre, stage(x, 1024, 11, 1 if sizes.eleven else 0)]


def _up(b: GraphBuilder, x: str, like: str) -> str:
    return b.add("resize", [x], size=b.shape(like)[2:], path="upsample")


def _joined(b: GraphBuilder, x: str, y: str) -> str:
    return b.add("concat", [x, y], axis=1, path="concat")


def _heads(b: GraphBuilder, features: list[str], classes: int, masks: bool, eleven: bool) -> tuple[str, str, str]:
    """(distributions of box sides, scores, coefficients of masks) of all places, `(batch, values, places)` each."""
    first = b.shape(features[0])[1]
    boxed, scored, masked = max(16, first // 4, 4 * BINS), max(first, min(classes, 100)), max(first // 4, MASKS)
    found: list[list[str]] = [[], [], []]
    for i, x in enumerate(features):
        with b.scope(f"head.{i}"):
            found[0].append(_branch(b, x, boxed, 4 * BINS, "cv2", separable=False))
            found[1].append(_branch(b, x, scored, classes, "cv3", separable=eleven))
            if masks:
                found[2].append(_branch(b, x, masked, MASKS, "cv4", separable=False))
    joined = [b.add("concat", parts, axis=2, path="head.concat") if parts else "" for parts in found]
    return joined[0], joined[1], joined[2]


def _branch(b: GraphBuilder, x: str, hidden: int, outputs: int, path: str, *, separable: bool) -> str:
    with b.scope(path):
        for i in range(2):
            if separable:
                x = _conv(b, _conv(b, x, b.shape(x)[1], 3, f"{i}.0", groups=b.shape(x)[1]), hidden, 1, f"{i}.1")
            else:
                x = _conv(b, x, hidden, 3, str(i))
        y = conv(b, x, outputs, 1, bias=True, path="2")
        batch, _, height, width = b.shape(y)
        return b.add("reshape", [y], shape=(batch, outputs, height * width))


def _decoded(b: GraphBuilder, boxes: str) -> str:
    """Corners from the distributions: their expected sides from the place's centre."""
    batch, _, places = b.shape(boxes)
    with b.scope("dfl"):
        x = b.add("transpose", [b.add("reshape", [boxes], shape=(batch, 4, BINS, places))], perm=(0, 2, 1, 3))
        x = conv(b, b.add("softmax", [x], axis=1), 1, 1, path="conv")
        sides = b.add("reshape", [x], shape=(batch, 4, places))
        near, far = b.add_many("split", [sides], sizes=(2, 2), axis=1)
        centre = b.constant((1, 2, places), name="anchors")
        corners = [b.add("elementwise", [centre, near], fn="sub"), b.add("elementwise", [far, centre], fn="add")]
        joined = b.add("concat", corners, axis=1)
        return b.add("elementwise", [joined, b.constant((1, places), name="strides")], fn="mul")


def _prototypes(b: GraphBuilder, x: str, channels: int) -> str:
    """Masks that the coefficients combine, at twice the size."""
    with b.scope("proto"):
        y = _conv(b, x, channels, 3, "cv1")
        weights = [b.weight((channels, channels, 2, 2)), b.weight((channels,), name="bias")]
        y = b.add("conv", [y, *weights], stride=2, transposed=True, path="upsample")
        return _conv(b, _conv(b, y, channels, 3, "cv2"), MASKS, 1, "cv3")
