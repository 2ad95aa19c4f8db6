"""Super-resolution of images: plain convolutions at the small size, and pixels shuffled to the large one."""

from __future__ import annotations

from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, mul
from hwsim.zoo.registry import model

QUICKSRNET = "Berger et al. 2023, QuickSRNet: plain single-image super-resolution, arXiv:2303.04336"
SESR = "Bhardwaj et al. 2022, Collapsible linear blocks for super-efficient super resolution, arXiv:2103.09404"
XLSR = "Ayazoglu 2021, Extremely lightweight quantization robust real-time single-image super resolution, arXiv:2105.10288"
ESRGAN = "Wang et al. 2018, ESRGAN, arXiv:1809.00219"
REAL_ESRGAN = "Wang et al. 2021, Real-ESRGAN, arXiv:2107.10833"


@model("quicksrnet_small", family="quicksrnet", summary="QuickSRNet small, four times larger", source=QUICKSRNET)
@model("quicksrnet_medium", family="quicksrnet", summary="QuickSRNet medium, four times larger", source=QUICKSRNET, depth=5)
@model(
    "quicksrnet_large",
    family="quicksrnet",
    summary="QuickSRNet large, four times larger",
    source=QUICKSRNET,
    depth=11,
    width=64,
    anchor=True,
)
def quicksrnet(
    *,
    name: str = "quicksrnet",
    batch: int = 1,
    image_size: int = 128,
    scale: int = 4,
    width: int = 32,
    depth: int = 2,
    anchor: bool = False,
) -> Graph:
    """`depth` convolutions of 3x3 between the first and the last; `anchor` adds the enlarged input."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    image = x = b.input("image", (batch, 3, image_size, image_size))
    for i in range(depth + 1):
        x = act(b, conv(b, x, width, 3, bias=True, path=f"cnn.{i}"), "hard_tanh", path=f"cnn.{i}.act")
    x = conv(b, x, 3 * scale**2, 3, bias=True, path="conv_last")
    if anchor:
        x = add(b, conv(b, image, 3 * scale**2, 1, path="anchor"), x, path="add_op")
    return b.finish([shuffled(b, act(b, x, "hard_tanh", path="clip"), scale)])


@model("sesr_m5", family="sesr", summary="SESR-M5, four times larger", source=SESR)
def sesr(
    *, name: str = "sesr", batch: int = 1, image_size: int = 128, scale: int = 4, width: int = 16, depth: int = 5, collapsed: bool = True
) -> Graph:
    """Linear blocks, 5x5 at the ends, the input's pixels added to all of theirs. A block that is not collapsed into one convolution is a
    convolution to 256 channels and one of 1x1 back, as in training."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    image = b.input("image", (batch, 3, image_size, image_size))
    x = first = act(b, _linear_block(b, image, width, 5, collapsed, "conv_first"), "relu", path="conv_first.act")
    for i in range(depth):
        y = _linear_block(b, x, width, 3, collapsed, f"residual_block.{i}")
        x = act(b, y if collapsed else add(b, y, x, path=f"residual_block.{i}.add"), "relu", path=f"residual_block.{i}.act")
    x = _linear_block(b, add(b, x, first, path="add_residual"), 3 * scale**2, 5, collapsed, "conv_last")
    anchor = b.add("concat", [image] * scale**2, axis=1, path="anchor")
    return b.finish([shuffled(b, add(b, x, anchor, path="add_upsampled_input"), scale)])


def _linear_block(b: GraphBuilder, x: str, width: int, kernel: int, collapsed: bool, path: str) -> str:
    if collapsed:
        return conv(b, x, width, kernel, bias=True, path=path)
    return conv(b, conv(b, x, 256, kernel, path=f"{path}.expand"), width, 1, bias=True, path=f"{path}.squeeze")


@model("xlsr", family="xlsr", summary="XLSR, four times larger", source=XLSR)
def xlsr(*, name: str = "xlsr", batch: int = 1, image_size: int = 128, scale: int = 4) -> Graph:
    """Three blocks of grouped 3x3 and full 1x1 convolutions beside a convolution of the input."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    image = b.input("image", (batch, 3, image_size, image_size))
    residual = conv(b, image, 16, 3, bias=True, path="residual")
    x = act(b, conv(b, image, 32, 3, bias=True, path="cnn.0"), "relu", path="cnn.1")
    x = conv(b, x, 32, 1, bias=True, path="cnn.2")
    for i in range(3, 6):
        x = act(b, conv(b, x, 32, 3, groups=4, bias=True, path=f"cnn.{i}.conv"), "relu", path=f"cnn.{i}.act")
        x = conv(b, x, 32, 1, bias=True, path=f"cnn.{i}.mix")
    x = b.add("concat", [x, residual], axis=1, path="concat_residual")
    x = act(b, conv(b, x, 32, 1, bias=True, path="tail.0"), "relu", path="tail.1")
    x = shuffled(b, conv(b, x, 3 * scale**2, 3, bias=True, path="tail.2"), scale)
    return b.finish([act(b, x, "hard_tanh", path="clipped_relu")])


@model("esrgan", family="esrgan", summary="ESRGAN's generator of 23 blocks, four times larger", source=ESRGAN)
def esrgan(*, name: str = "esrgan", batch: int = 1, image_size: int = 128, width: int = 64, growth: int = 32, depth: int = 23) -> Graph:
    """Residual-in-residual dense blocks, then two times twofold upsampling."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = first = conv(b, b.input("image", (batch, 3, image_size, image_size)), width, 3, bias=True, path="conv_first")
    for i in range(depth):
        y = x
        for j in range(1, 4):
            with b.scope(f"body.{i}.rdb{j}"):
                y = _dense_block(b, y, growth)
        x = _scaled_sum(b, y, x, f"body.{i}.add")
    x = add(b, first, conv(b, x, width, 3, bias=True, path="conv_body"), path="add")
    for i in (1, 2):
        height, wide = b.shape(x)[2:]
        x = b.add("resize", [x], size=(2 * height, 2 * wide), path=f"resize{i}")
        x = _leaky(b, conv(b, x, width, 3, bias=True, path=f"conv_up{i}"), f"conv_up{i}.act")
    x = _leaky(b, conv(b, x, width, 3, bias=True, path="conv_hr"), "conv_hr.act")
    return b.finish([conv(b, x, 3, 3, bias=True, path="conv_last")])


@model("srvgg_x4v3", family="srvgg", summary="Real-ESRGAN's compact generator (general-x4v3)", source=REAL_ESRGAN)
def srvgg(*, name: str = "srvgg", batch: int = 1, image_size: int = 128, scale: int = 4, width: int = 64, depth: int = 32) -> Graph:
    """Plain 3x3 convolutions with PReLU; the input, enlarged to its nearest pixels, is added."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    image = x = b.input("image", (batch, 3, image_size, image_size))
    for i in range(depth + 1):
        x = _prelu(b, conv(b, x, width, 3, bias=True, path=f"body.{2 * i}"), f"body.{2 * i + 1}")
    x = shuffled(b, conv(b, x, 3 * scale**2, 3, bias=True, path=f"body.{2 * depth + 2}"), scale)
    return b.finish([add(b, x, b.add("resize", [image], size=b.shape(x)[2:], path="resize"), path="add")])


def shuffled(b: GraphBuilder, x: str, scale: int, *, path: str = "pixel_shuffle") -> str:
    """Channels to pixels (depth to space)."""
    batch, channels, height, width = b.shape(x)
    inner = channels // scale**2
    with b.scope(path):
        y = b.add("reshape", [x], shape=(batch, inner, scale, scale, height, width))
        y = b.add("transpose", [y], perm=(0, 1, 4, 2, 5, 3))
        return b.add("reshape", [y], shape=(batch, inner, height * scale, width * scale))


def _dense_block(b: GraphBuilder, x: str, growth: int) -> str:
    """Five convolutions, each of everything before it."""
    width, parts = b.shape(x)[1], [x]
    for i in range(1, 5):
        joined = b.add("concat", parts, axis=1, path=f"concat{i}") if i > 1 else x
        parts.append(_leaky(b, conv(b, joined, growth, 3, bias=True, path=f"conv{i}"), f"act{i}"))
    y = conv(b, b.add("concat", parts, axis=1, path="concat5"), width, 3, bias=True, path="conv5")
    return _scaled_sum(b, y, x, "add")


def _scaled_sum(b: GraphBuilder, y: str, x: str, path: str) -> str:
    """x + 0.2 y."""
    with b.scope(path):
        return add(b, mul(b, y, b.constant((1,)), path="scale"), x, path="sum")


def _leaky(b: GraphBuilder, x: str, path: str) -> str:
    return act(b, x, "leaky_relu", path=path)


def _prelu(b: GraphBuilder, x: str, path: str) -> str:
    with b.scope(path):
        return b.add("activation", [x, b.weight((b.shape(x)[1], 1, 1))], fn="prelu")
