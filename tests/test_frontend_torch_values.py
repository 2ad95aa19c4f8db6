"""Values of the weights of live modules."""

from __future__ import annotations

import numpy as np
import pytest

import hwsim

torch = pytest.importorskip("torch")
from hwsim.frontends.torch import values as module_values  # noqa: E402


def network() -> torch.nn.Module:
    layers = [torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(4 * 4, 5)]
    return torch.nn.Sequential(*layers)


def test_a_live_module_keeps_its_numbers() -> None:
    module = network()
    graph = hwsim.load(module, inputs=(1, 2, 4, 4))
    assert set(graph.values) == {name for name, t in module.state_dict().items() if t.ndim}
    for name, tensor in module.state_dict().items():
        if tensor.ndim:
            np.testing.assert_array_equal(graph.values[name], tensor.numpy())
            assert graph.values[name].shape == graph.tensors[name].shape


def test_matrices_stored_the_other_way_round_are_turned() -> None:
    class Turned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(torch.randn(4, 4)), torch.nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.addmm(self.bias, x, self.weight)

    module = Turned()
    graph = hwsim.load(module, inputs=(1, 4))
    assert [n.kind for n in graph.nodes] == ["linear"]
    np.testing.assert_array_equal(graph.values["weight"], module.weight.detach().numpy().T)


def test_modules_of_shapes_only_and_large_ones_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        assert not hwsim.load(network(), inputs=(1, 2, 4, 4)).values
    monkeypatch.setattr(module_values, "MOST", 10)
    assert not hwsim.load(network(), inputs=(1, 2, 4, 4)).values


def test_half_precision_of_the_other_kind_is_widened() -> None:
    graph = hwsim.load(torch.nn.Linear(3, 2, dtype=torch.bfloat16), inputs=torch.zeros(1, 3, dtype=torch.bfloat16))
    assert graph.values["weight"].dtype == np.float32
