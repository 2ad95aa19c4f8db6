"""Networks for optical benches against what is published of them, and linear layers as convolutions."""

from __future__ import annotations

import time

import numpy as np
import pytest

import hwsim
from hwsim import GraphBuilder
from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.passes.share_convolutions import ShareConvolutions


def pairs(graph: Graph) -> int:
    """Input times output channels, summed over convolutions."""
    found = 0
    for node in graph.nodes:
        if node.kind == "conv":
            x, out = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
            found += x.shape[1] * out.shape[1] // node.attrs["groups"]
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [("resnet18_stride_free", 1_220_800), ("fatnet", 148_637 + 155), ("unet", 3_833_984), ("fat_unet", 7_123)],
)
def test_pairs_of_channels_are_the_published_ones(name: str, expected: int) -> None:
    assert pairs(hwsim.load(name)) == expected


def test_fat_networks_keep_parameters_and_pixels() -> None:
    """The rules of FatNet: as many weights and as many pixels a layer as in the network it is made from."""
    fat, thin = hwsim.load("fatnet"), hwsim.load("resnet18_stride_free")
    assert fat.parameters == pytest.approx(thin.parameters, rel=0.01)
    assert hwsim.load("fat_unet").parameters == pytest.approx(hwsim.load("unet").parameters, rel=0.2)


@pytest.mark.parametrize("name", ["resnet18_stride_free", "fatnet"])
def test_classifiers_end_in_100_classes(name: str) -> None:
    graph = hwsim.load(name, batch=2)
    assert graph.tensors[graph.outputs[0]].shape == (2, 100)


@pytest.mark.parametrize("name", ["unet", "fat_unet"])
def test_segmenters_keep_the_image(name: str) -> None:
    graph = hwsim.load(name, batch=2)
    assert graph.tensors[graph.outputs[0]].shape == (2, 1, 160, 160)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("heads", [1, 4, 12])
def test_convshare_vit_shares_one_kernel_among_all_tokens(padding: str, heads: int) -> None:
    graph = hwsim.load(f"convshare_vit?padding={padding}&num_heads={heads}", batch=2)
    assert graph.tensors[graph.outputs[0]].shape == (2, 100)
    inside = [n for n in graph.nodes if n.kind == "conv" and n.path.startswith("blocks.")]
    assert len(inside) == 8 * (6 if padding == "valid" else 5)
    assert all(graph.tensors[n.inputs[0]].shape[0] == 2 * 145 for n in inside)
    weights = sum(graph.tensors[n.inputs[1]].size for n in inside)
    assert weights == 8 * 49 * (3 * heads + (3 if padding == "valid" else 2))


def test_convshare_vit_refuses_other_shapes() -> None:
    with pytest.raises(UnknownName, match="unknown padding 'full'"):
        hwsim.load("convshare_vit?padding=full")
    with pytest.raises(InputError, match=r"^kernel_size is 9; expected at most the patch, 8$"):
        hwsim.load("convshare_vit?kernel_size=9")


def test_an_estimate_of_convshare_vit_takes_50_ms_at_most() -> None:
    hwsim.estimate("convshare_vit", "fast-slm-2mhz")
    best = np.inf
    for _ in range(7):
        start = time.process_time()
        hwsim.estimate("convshare_vit", "fast-slm-2mhz")
        best = min(best, time.process_time() - start)
    assert best <= 0.050


def block(*, width: int = 16, out: int = 32, batch: int = 2, tokens: int = 5) -> Graph:
    b = GraphBuilder("block", batch=batch, source="test")
    x = b.input("x", (batch, tokens, width))
    return b.finish([b.add("linear", [x, b.weight((out, width)), b.weight((out,), name="bias")], path="mlp.fc1")])


def test_valid_padding_over_the_whole_image_is_the_linear_layer() -> None:
    graph, changed = block(), ShareConvolutions()(block())
    (conv,) = [n for n in changed.nodes if n.kind == "conv"]
    assert changed.tensors[conv.inputs[0]].shape == (10, 1, 4, 4)
    assert changed.tensors[conv.inputs[1]].shape == (32, 1, 4, 4)
    assert (changed.macs, changed.parameters) == (graph.macs, graph.parameters)
    x, w, bias = (np.random.default_rng(i).normal(size=s) for i, s in enumerate([(10, 4, 4), (32, 4, 4), (32,)]))
    convolved = np.einsum("nij,kij->nk", x, w) + bias
    np.testing.assert_allclose(convolved, x.reshape(10, 16) @ w.reshape(32, 16).T + bias)


@pytest.mark.parametrize(
    ("options", "image", "kernels", "kernel"),
    [
        ({"padding": "same"}, (10, 1, 4, 4), 2, 3),
        ({"padding": "same", "kernel_size": 4}, (10, 1, 4, 4), 2, 4),
        ({"kernel_size": 3}, (10, 1, 4, 4), 8, 3),
        ({"heads": 4, "kernel_size": 1}, (10, 4, 2, 2), 8, 1),
    ],
)
def test_smaller_kernels_are_another_network(options: dict, image: tuple, kernels: int, kernel: int) -> None:
    changed = ShareConvolutions(**options)(block())
    (conv,) = [n for n in changed.nodes if n.kind == "conv"]
    assert changed.tensors[conv.inputs[0]].shape == image
    assert changed.tensors[conv.inputs[1]].shape == (kernels, 1, kernel, kernel)
    assert changed.parameters == kernels * kernel**2 + 32
    assert changed.tensors[changed.outputs[0]].shape == (2, 5, 32)


def test_vectors_that_are_no_square_are_filled_up() -> None:
    changed = ShareConvolutions()(block(width=12))
    assert [n.kind for n in changed.nodes if n.kind == "pad"] == ["pad"]
    assert [changed.tensors[n.inputs[1]].shape for n in changed.nodes if n.kind == "conv"] == [(32, 1, 4, 4)]


def test_only_the_named_layers_change() -> None:
    changed = ShareConvolutions(only="mlp")(hwsim.load("vit_ti16?num_layers=1"))
    assert [n.path for n in changed.nodes if n.kind == "linear"] == ["blocks.0.attn.qkv", "blocks.0.attn.proj", "head"]


def test_products_of_attention_take_kernels_from_the_data() -> None:
    changed = ShareConvolutions(products=True)(hwsim.load("vit_ti16?num_layers=1", batch=2))
    assert not [n for n in changed.nodes if n.kind == "attention"]
    plain = hwsim.load("vit_ti16?num_layers=1", batch=2)
    products = [n for n in changed.nodes if n.kind == "conv" and n.path.endswith("sdpa")]
    attention = next(n for n in plain.nodes if n.kind == "attention")
    assert sum(changed.work_of(n).macs for n in products) == plain.work_of(attention).macs
    e = hwsim.estimate(changed, "fatnet", tiling="batch")
    rows = {layer.name: layer.extra for layer in e.layers if layer.name in {n.name for n in products}}
    assert [r["convolutions"] for r in rows.values()] == [2 * 3 * 197, 2 * 3 * 197**2]


def test_the_mapping_rewrites_linear_layers() -> None:
    electronics, optics = (hwsim.estimate("vit_ti16?num_layers=1", "fast-slm-2mhz", linear=m) for m in ("electronics", "valid"))
    assert float(electronics.cost.extra["convolutions"]) == 3 * 192
    assert float(optics.cost.extra["convolutions"]) == 3 * 192 + 3 * 192 + 192 + 768 + 192 + 1000
    assert "linear layers as valid convolutions" in optics.mapping.words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 9}, "mlp.fc1: a kernel of 9 x 9 on token images of 4 x 4; take a smaller one"),
        ({"heads": 3}, "mlp.fc1: 16 inputs cannot be cut into 3 images; expected a divisor"),
        ({"heads": 0}, "heads is 0; expected a whole number of at least 1"),
        ({"kernel_size": -1}, "kernel_size is -1; expected a whole number of at least 0"),
    ],
)
def test_impossible_kernels_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        ShareConvolutions(**options)(block())
    assert str(error.value) == message


def run(graph: Graph, values: dict) -> dict:
    """Values of all tensors of a small graph."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for node in graph.nodes:
        x, *more = (values[name] for name in node.inputs)
        a = node.attrs
        if node.kind == "conv":
            (top, bottom), (left, right) = a["padding"] if not isinstance(a["padding"], int) else ((a["padding"],) * 2,) * 2
            y = functional.conv2d(functional.pad(x, (left, right, top, bottom)), *more, groups=a["groups"])
        elif node.kind == "pad":
            y = functional.pad(x, [n for pair in reversed(a["pads"]) for n in pair])
        elif node.kind == "slice":
            y = x[tuple(slice(n) for n in a["shape"])]
        elif node.kind == "attention":
            y = torch.softmax(x @ more[0].transpose(-1, -2), dim=-1) @ more[1]
        else:
            y = {
                "reshape": lambda t, a=a: t.reshape(a["shape"]),
                "transpose": lambda t, a=a: t.permute(*a["perm"]),
                "softmax": lambda t, a=a: torch.softmax(t, dim=a["axis"]),
                "linear": functional.linear,
                "elementwise": torch.add,
            }[node.kind](x, *more)
        assert tuple(y.shape) == graph.tensors[node.outputs[0]].shape
        values[node.outputs[0]] = y
    return values


@pytest.mark.parametrize("size", [16, 10])
def test_products_of_attention_are_the_same_numbers(size: int) -> None:
    torch = pytest.importorskip("torch")
    b = GraphBuilder("attention", batch=2, source="test")
    shapes = ((2, 3, 5, size), (2, 3, 7, size), (2, 3, 7, size - 1))
    graph = b.finish([b.add("attention", [b.input(name, shape) for name, shape in zip("qkv", shapes, strict=True)])])
    changed = ShareConvolutions(products=True)(graph)
    assert [n.kind for n in changed.nodes if n.kind in ("conv", "softmax", "attention")] == ["conv", "softmax", "conv"]
    values = {name: torch.randn(shape, dtype=torch.float64) for name, shape in zip("qkv", shapes, strict=True)}
    expected, found = (run(g, dict(values))[g.outputs[0]] for g in (graph, changed))
    torch.testing.assert_close(found, expected)


def test_a_linear_layer_as_a_convolution_gives_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    graph = block()
    changed = ShareConvolutions()(graph)
    values = {t.name: torch.randn(t.shape, dtype=torch.float64) for t in graph.tensors.values() if t.role in ("input", "weight")}
    expected, found = (run(g, dict(values))[g.outputs[0]] for g in (graph, changed))
    torch.testing.assert_close(found, expected)


def test_same_padding_keeps_shapes_and_runs() -> None:
    torch = pytest.importorskip("torch")
    changed = ShareConvolutions(padding="same", kernel_size=4)(block(width=12, out=20))
    values = {t.name: torch.randn(t.shape, dtype=torch.float64) for t in changed.tensors.values() if t.role in ("input", "weight")}
    assert run(changed, values)[changed.outputs[0]].shape == (2, 5, 20)
