"""Networks of two search spaces whose latencies are published for many devices: NAS-Bench-201 cells and FBNet blocks."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph, GraphBuilder
from hwsim.zoo.layers import act, add, conv, global_average, linear, norm
from hwsim.zoo.registry import model

CELL_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) of the operations of a cell, in the order of its text."""
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def cell_ops(text: str) -> tuple[str, ...]:
    """The six operations of a cell such as `|none~0|+|none~0|none~1|+|none~0|none~1|none~2|`, in the order of `EDGES`.

    Raises:
        InputError: the text has another form.
        UnknownName: an operation that the space does not have.
    """
    parts = [[item.partition("~") for item in node.strip("|").split("|")] for node in text.split("+")]
    if [[source for _, _, source in node] for node in parts] != [["0"], ["0", "1"], ["0", "1", "2"]]:
        raise InputError(f"found cell {text!r}; expected one like {CELL!r}")
    found = tuple(op for node in parts for op, _, _ in node)
    for op in found:
        if op not in CELL_OPS:
            raise UnknownName("operation of a NAS-Bench-201 cell:", op, CELL_OPS)
    return found


@model(
    "nas_bench_201",
    family="nas_bench",
    summary="image classifier of fifteen equal cells, given by `cell`",
    source="Dong and Yang 2020, NAS-Bench-201, arXiv:2001.00326",
)
def nas_bench_201(
    *,
    name: str = "nas_bench_201",
    batch: int = 1,
    image_size: int = 32,
    num_classes: int = 10,
    width: int = 16,
    cells: int = 5,
    cell: str = CELL,
) -> Graph:
    """NAS-Bench-201: three stages of `cells` cells, a residual block that halves the image between them.

    An operation whose result is not used, or `none`, is left out; where nothing reaches the end of a cell, its input times zero does.
    """
    ops = cell_ops(cell)
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = b.input("image", (batch, 3, image_size, image_size))
    x = norm(b, conv(b, x, width, 3, path="stem.0"), "batch", path="stem.1")
    for stage in range(3):
        if stage:
            with b.scope(f"reduce{stage}"):
                x = _reduction(b, x, width * 2**stage)
        for index in range(cells):
            with b.scope(f"stage{stage}.{index}"):
                x = _cell(b, x, ops)
    x = act(b, norm(b, x, "batch", path="lastact.0"), "relu", path="lastact.1")
    return b.finish([linear(b, global_average(b, x), num_classes, path="classifier")])


def _conv(b: GraphBuilder, x: str, channels: int, kernel: int, *, path: str, stride: int = 1) -> str:
    with b.scope(path):
        return norm(b, conv(b, act(b, x, "relu", path="relu"), channels, kernel, path="conv", stride=stride), "batch", path="bn")


def _reduction(b: GraphBuilder, x: str, channels: int) -> str:
    y = _conv(b, _conv(b, x, channels, 3, path="conv_a", stride=2), channels, 3, path="conv_b")
    short = conv(b, b.add("pool", [x], fn="avg", kernel=2, stride=2, path="pool"), channels, 1, path="shortcut")
    return add(b, short, y, path="add")


def _cell(b: GraphBuilder, x: str, ops: tuple[str, ...]) -> str:
    used = used_edges(ops)
    nodes: dict[int, str] = {0: x}
    for (source, target), op, needed in zip(EDGES, ops, used, strict=True):
        if not needed or source not in nodes:
            continue
        y = _operation(b, nodes[source], op, path=f"{source}-{target}")
        nodes[target] = add(b, nodes[target], y, path=f"add{source}-{target}") if target in nodes else y
    return nodes[3] if 3 in nodes else b.add("elementwise", [x, b.constant((1,), name="zero")], fn="mul", path="none")


def _operation(b: GraphBuilder, x: str, op: str, *, path: str) -> str:
    if op == "skip_connect":
        return x
    if op == "avg_pool_3x3":
        return b.add("pool", [x], fn="avg", kernel=3, stride=1, padding=1, path=path)
    return _conv(b, x, b.shape(x)[1], int(op[-1]), path=path)


def used_edges(ops: tuple[str, ...]) -> tuple[bool, ...]:
    """Whether the result of each operation reaches the end of its cell."""
    reached, used = {3}, [False] * len(EDGES)
    for i in reversed(range(len(EDGES))):
        source, target = EDGES[i]
        if ops[i] != "none" and target in reached:
            used[i] = True
            reached.add(source)
    return tuple(used)


STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""(channels, blocks, stride of the first) of the stages of FBNet."""
BLOCK_OPS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
FBNET_C = (
    "k3_e1|k3_e6|skip|k3_e1|k3_e1|k5_e6|k5_e3|k5_e6|k3_e6|k5_e6|k5_e3|k5_e6|k5_e6|k5_e6|k5_e6|k5_e6|k5_e3|k5_e6|k5_e6|k5_e6|k5_e6|k3_e6"
)


@dataclass(frozen=True)
class Place:
    """Where a block of FBNet stands."""

    inputs: int
    channels: int
    stride: int
    size: int
    """Side of its input."""


def places(image_size: int = 224) -> tuple[Place, ...]:
    """The 22 places of FBNet's blocks."""
    found, inputs, size = [], 16, -(-image_size // 2)
    for channels, count, stride in STAGES:
        for step in (stride, *(1,) * (count - 1)):
            found.append(Place(inputs, channels, step, size))
            inputs, size = channels, -(-size // step)
    return tuple(found)


def block_ops(text: str) -> tuple[str, ...]:
    """The 22 operations of a network such as `FBNET_C`.

    Raises:
        InputError: another count.
        UnknownName: an operation that the space does not have.
    """
    found, expected = tuple(text.split("|")), sum(count for _, count, _ in STAGES)
    if len(found) != expected:
        raise InputError(f"found {len(found)} blocks in {text!r}; expected {expected}, joined by '|'")
    for op in found:
        if op not in BLOCK_OPS:
            raise UnknownName("operation of FBNet:", op, BLOCK_OPS)
    return found


@dataclass(frozen=True)
class Block:
    """Kernel, expansion and groups of the 1x1 convolutions of an operation."""

    kernel: int
    expansion: int
    groups: int


def block(op: str) -> Block:
    """What an operation such as `k5_e1_g2` stands for."""
    kernel, expansion, *groups = (int(part[1:]) for part in op.split("_"))
    return Block(kernel, expansion, *(groups or [1]))


@model(
    "fbnet",
    family="fbnet",
    summary="inverted residuals chosen block by block, given by `ops`",
    source="Wu et al. 2019, FBNet, arXiv:1812.03443",
)
def fbnet(
    *, name: str = "fbnet", batch: int = 1, image_size: int = 224, num_classes: int = 1000, head: int = 1984, ops: str = FBNET_C
) -> Graph:
    """FBNet, FBNet-C by default; a `skip` that changes the shape is a 1x1 convolution."""
    b = GraphBuilder(name, source=f"zoo:{name}", batch=batch)
    x = _convolved(b, b.input("image", (batch, 3, image_size, image_size)), 16, 3, path="stem", stride=2)
    for i, (op, place) in enumerate(zip(block_ops(ops), places(image_size), strict=True)):
        with b.scope(f"blocks.{i}"):
            x = _skip(b, x, place) if op == "skip" else _inverted_residual(b, x, place, block(op))
    x = _convolved(b, x, head, 1, path="head")
    return b.finish([linear(b, global_average(b, x), num_classes, path="classifier")])


def _convolved(
    b: GraphBuilder, x: str, channels: int, kernel: int, *, path: str, stride: int = 1, groups: int = 1, relu: bool = True
) -> str:
    y = norm(b, conv(b, x, channels, kernel, path=path, stride=stride, groups=groups), "batch", path=f"{path}_bn")
    return act(b, y, "relu", path=f"{path}_act") if relu else y


def _skip(b: GraphBuilder, x: str, place: Place) -> str:
    same = place.stride == 1 and place.inputs == place.channels
    return x if same else _convolved(b, x, place.channels, 1, path="conv", stride=place.stride)


def _inverted_residual(b: GraphBuilder, x: str, place: Place, op: Block) -> str:
    middle = place.inputs * op.expansion
    y = _convolved(b, x, middle, 1, path="conv_pw", groups=op.groups)
    y = _convolved(b, y, middle, op.kernel, path="conv_dw", stride=place.stride, groups=middle)
    y = _convolved(b, y, place.channels, 1, path="conv_pwl", groups=op.groups, relu=False)
    return add(b, y, x, path="add") if place.stride == 1 and place.inputs == place.channels else y
