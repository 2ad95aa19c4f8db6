"""Convolutions without a nonlinearity between them, merged: counts of spiking transformers, and the same numbers as torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.passes.linear_convs import Conv, chained, summed
from hwsim.passes.reparameterise import Reparameterise


def convs(graph: hwsim.Graph) -> list[Any]:
    return [n for n in graph.nodes if n.kind == "conv"]


@pytest.mark.parametrize("name", ["meta_spikeformer_8_256", "meta_spikeformer_8_512"])
def test_meta_spikeformer_runs_one_convolution_for_each_repconv(name: str) -> None:
    graph = hwsim.load(name)
    merged = Reparameterise()(graph)
    assert not [n for n in merged.nodes if n.kind == "norm"]
    kernels = {n.path: merged.tensors[n.inputs[1]].shape for n in convs(merged)}
    width = graph.tensors[next(n for n in graph.nodes if n.path == "block3.0.attn.q_conv.0.body.0").inputs[1]].shape[0]
    assert kernels["block3.0.attn.q_conv.0.body"] == (width, width, 3, 3)
    first = kernels["ConvBlock1_1.0.Conv.dwconv"]
    assert first[2:] == (7, 7)
    assert first[1] == 2 * first[0]
    assert merged.outputs == graph.outputs
    assert {t: merged.tensors[t].shape for t in merged.outputs} == {t: graph.tensors[t].shape for t in graph.outputs}


def test_spike_yolo_has_spikes_at_every_convolution_but_the_first() -> None:
    from hwsim.conventions import convention, operation_energy

    found = operation_energy(hwsim.load("spike_yolo_n", passes=["reparameterise"]), convention=convention("strict-binary"))
    assert [x.path for x in found.layers if x.macs] == ["model.1.encode_conv"]


def test_by_name() -> None:
    assert hwsim.load("meta_spikeformer_8_256", passes=["reparameterise"]).macs > hwsim.load("meta_spikeformer_8_256").macs


def test_a_graph_without_such_convolutions_is_left_alone() -> None:
    graph = hwsim.load("vit_ti16")
    assert Reparameterise()(graph) is graph


def test_what_would_be_wrong_at_the_border_stays_apart() -> None:
    spread, point = Conv(2, 2, (3, 3), (1, 1), (1, 1)), Conv(2, 2, (1, 1), (1, 1), (0, 0), has_bias=True)
    assert chained(spread, spread, pad_with_bias=True) is None
    assert chained(point, spread, pad_with_bias=False) is None
    assert chained(point, spread, pad_with_bias=True) is not None
    assert chained(Conv(2, 2, (1, 1), (2, 2), (0, 0)), Conv(2, 2, (3, 3), (1, 1), (0, 0)), pad_with_bias=True) is None


def test_branches_that_do_not_line_up_stay_apart() -> None:
    wide = Conv(2, 2, (3, 3), (1, 1), (1, 1))
    assert summed(wide, Conv(2, 2, (1, 1), (2, 2), (0, 0))) is None
    assert summed(wide, Conv(2, 3, (1, 1), (1, 1), (0, 0))) is None


def module(name: str) -> Any:
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class RepVgg(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.dense_bn = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.one, self.one_bn = nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4)
            self.identity = nn.BatchNorm2d(4)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.dense_bn(self.dense(x)) + self.one_bn(self.one(x)) + self.identity(x))

    made = {
        "repvgg": RepVgg(),
        "repconv": nn.Sequential(
            nn.Conv2d(4, 6, 1, bias=False), nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.Conv2d(6, 5, 1), nn.BatchNorm2d(5)
        ),
        "sepconv": nn.Sequential(nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4), nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8), nn.ReLU()),
        "norm first": nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 3, groups=6)),
        "grouped": nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 6, 3, groups=2)),
        "depthwise": nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=4)),
        "one-dimensional": nn.Sequential(nn.Conv1d(4, 4, 3), nn.Conv1d(4, 6, 3, stride=2)),
    }[name]
    generator = torch.Generator().manual_seed(3)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return made.eval()


@pytest.mark.parametrize("name", ["repvgg", "repconv", "sepconv", "norm first", "grouped", "depthwise", "one-dimensional"])
def test_the_merged_convolution_gives_what_torch_gives(name: str) -> None:
    torch = pytest.importorskip("torch")
    made = module(name)
    x = torch.rand(2, 4, 11, generator=torch.Generator().manual_seed(1)) if name == "one-dimensional" else torch.rand(2, 4, 11, 11)
    merged = Reparameterise()(hwsim.load(made, inputs=tuple(x.shape)))
    (conv,) = convs(merged)
    numbers = [torch.as_tensor(np.asarray(merged.values[t])) for t in conv.inputs[1:]]
    apply = torch.nn.functional.conv1d if x.ndim == 3 else torch.nn.functional.conv2d
    found = apply(x, *numbers, stride=conv.attrs["stride"], padding=conv.attrs["padding"], groups=conv.attrs["groups"])
    found = torch.relu(found) if [n.kind for n in merged.nodes] == ["conv", "activation"] else found
    np.testing.assert_allclose(found.detach().numpy(), made(x).detach().numpy(), atol=2e-6, rtol=1e-5)


def test_depthwise_pairs_stay_depthwise() -> None:
    pytest.importorskip("torch")
    merged = Reparameterise()(hwsim.load(module("depthwise"), inputs=(1, 4, 11, 11)))
    (conv,) = convs(merged)
    assert (conv.attrs["groups"], merged.tensors[conv.inputs[1]].shape) == (4, (4, 1, 5, 5))


def test_zeros_around_a_norm_are_not_merged_with_numbers() -> None:
    """BICLab pads with the norm's shift; a plain network pads zeros, and stays as it is unless told otherwise."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    made = nn.Sequential(
        nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 1)
    ).eval()
    graph = hwsim.load(made, inputs=(1, 4, 8, 8))
    assert len(convs(Reparameterise()(graph))) == 2
    assert len(convs(Reparameterise(pad_with_bias=True)(graph))) == 1


def mobile_block(*, groups: int) -> Any:
    """Two 3x3 branches, a grouped 1x1 and a norm of the input, summed from 0; then a 1x1 convolution."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1, groups=groups, bias=False) for _ in range(2)])
            self.narrow, self.same = nn.Conv2d(8, 8, 1, groups=groups, bias=False), nn.BatchNorm2d(8)
            self.norms = nn.ModuleList([nn.BatchNorm2d(8) for _ in range(3)])
            self.point = nn.Conv2d(8, 8, 1)

        def forward(self, x: Any) -> Any:
            found = 0
            for conv, norm in zip([*self.wide, self.narrow], self.norms, strict=True):
                found = found + norm(conv(x))
            return self.point(found + self.same(x))

    return Block().eval()


@pytest.mark.parametrize("groups", [1, 2])
def test_branches_alone_are_merged_and_stay_grouped(groups: int) -> None:
    """As RepVGG and MobileOne are deployed: one convolution for the branches, the next one by itself; sums start from 0."""
    graph = hwsim.load(mobile_block(groups=groups), inputs=(1, 8, 11, 11)).replace(values={})
    first, second = convs(Reparameterise(chains=False)(graph))
    merged = Reparameterise(chains=False)(graph)
    assert first.attrs["groups"] == groups
    assert merged.tensors[first.inputs[1]].shape == (8, 8 // groups, 3, 3)
    assert second.inputs[1].endswith("point.weight")
    assert len(merged.nodes) == 2
