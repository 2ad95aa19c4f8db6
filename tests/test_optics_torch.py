"""Torch layers on a simulated bench: drop-in, differentiable, with the error of each layer."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.errors import InputError
from hwsim.optics import Bench

torch = pytest.importorskip("torch")
nn = torch.nn
optical = pytest.importorskip("hwsim.optics.torch")

REAL = Bench(input_bits=8, mask_bits=8, camera_bits=8, photons=1e5)


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding="same", groups=8, bias=False),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 4, 5, stride=2, dilation=2, padding=4, padding_mode="reflect")),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    )


WINDOWS: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 4, "padding": "same"},
    {"kernel_size": (3, 5), "padding": (0, 2), "stride": (2, 1), "groups": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2, "padding_mode": "circular", "bias": False},
    {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "groups": 4},
    {"kernel_size": 1, "padding": 3},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("bench", [Bench(), Bench(camera_bits=44)], ids=["sums", "frames"])
def test_a_perfect_layer_is_the_layer(window: dict[str, Any], bench: Bench) -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(4, 8, **window)
    images = torch.randn(2, 4, 9, 11)
    layer = optical.OpticalConv2d.from_conv(conv, bench)
    assert torch.allclose(layer(images), conv(images), atol=2e-5)
    assert torch.allclose(layer(images[0]), conv(images[0]), atol=2e-5)
    assert layer.error < 1e-5


def test_the_gradient_is_that_of_the_exact_layer() -> None:
    conv = nn.Conv2d(2, 3, 3)
    images = torch.rand(1, 2, 6, 6, requires_grad=True)
    gradients = [
        torch.autograd.grad(layer(images).sum(), [images, conv.weight, conv.bias])
        for layer in (conv, optical.OpticalConv2d.from_conv(conv, REAL))
    ]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_training_steps_are_seen_by_the_masks() -> None:
    conv = nn.Conv2d(2, 3, 3)
    layer, images = optical.OpticalConv2d.from_conv(conv, Bench(camera_bits=44)), torch.rand(1, 2, 6, 6)
    layer(images)
    with torch.no_grad():
        conv.weight.mul_(-2)
    assert torch.allclose(layer(images), conv(images), atol=1e-5)


def test_a_network_is_replaced_and_measured() -> None:
    model, images = network(), torch.rand(4, 3, 16, 16)
    found = optical.replace_convolutions(model, REAL)
    assert sum(isinstance(m, optical.OpticalConv2d) for m in found.modules()) == 3
    assert not any(isinstance(m, optical.OpticalConv2d) for m in model.modules())
    found(images)
    errors = {e.path: e for e in optical.layer_errors(found)}
    assert list(errors) == ["0", "2", "4.0"]
    assert [e.signs for e in errors.values()] == ["kernel"] * 3
    assert [e.frames for e in errors.values()] == [2 * 4 * 24, 2 * 4 * 8, 2 * 4 * 32]
    assert all(0.001 < e.error < 0.1 and 2 < e.bits < 9 and 20 < e.snr_db < 60 for e in errors.values())
    optical.reset_errors(found)
    assert all(e.error != e.error for e in optical.layer_errors(found))


def test_weights_load_from_the_plain_network() -> None:
    model = network()
    found = optical.replace_convolutions(network(), Bench())
    renamed = {name.replace(".conv.", "."): value for name, value in found.state_dict().items()}
    assert renamed.keys() == model.state_dict().keys()
    assert all(torch.equal(renamed[name], value) for name, value in model.state_dict().items())


def test_only_some_layers_and_in_place() -> None:
    model = network()
    same = optical.replace_convolutions(model, REAL, only=lambda name, conv: conv.groups == 1, inplace=True)
    assert same is model
    assert list(optical.optical_layers(model)) == ["0", "4.0"]


def test_noise_is_reproducible_and_fresh() -> None:
    images = torch.rand(1, 3, 16, 16)
    found = optical.replace_convolutions(network(), REAL)
    first, second = found(images), found(images)
    optical.reset_errors(found)
    assert not torch.equal(first, second)
    assert torch.equal(first, found(images))


def test_comparison_of_a_network_with_and_without_the_bench() -> None:
    batches = [torch.rand(8, 3, 16, 16) for _ in range(2)]
    fine, coarse = (optical.compare(network(), Bench(input_bits=b, mask_bits=b, camera_bits=b), batches) for b in (12, 3))
    assert fine.error < 0.01 < coarse.error
    assert fine.agreement >= coarse.agreement
    assert len(fine.layers) == 3


def test_what_is_refused() -> None:
    with pytest.raises(InputError) as found:
        optical.OpticalConv2d.from_conv(nn.ConvTranspose2d(2, 2, 3), REAL)
    expected = "found ConvTranspose2d; expected torch.nn.Conv2d (bring 1-d and transposed convolutions into that form)"
    assert str(found.value) == expected
    with pytest.raises(InputError) as found:
        optical.replace_convolutions(nn.Sequential(nn.Linear(2, 2)), REAL)
    assert str(found.value) == "found 0 2-d convolutions, none of them chosen; expected at least one torch.nn.Conv2d to replace"
    with pytest.raises(InputError) as found:
        optical.compare(network(), REAL, [])
    assert str(found.value) == "found no batch; expected at least one tensor of inputs"
    signed = optical.OpticalConv2d.from_conv(nn.Conv2d(1, 1, 3), Bench(signs="kernel"))
    with pytest.raises(InputError, match=r"the image has negative values, which signs='kernel' does not show"):
        signed(-torch.rand(1, 1, 5, 5))
