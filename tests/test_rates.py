"""Firing rates: files and what is wrong with them, recorded activity, densities of a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.passes.spike_rates import SpikeRates, fitted
from hwsim.rates import Rates, record


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def network() -> Graph:
    """Two layers, neurons, a pool between."""
    b = hwsim.GraphBuilder("small", timesteps=4, source="test", batch=1)
    x = b.add("conv", [b.input("x", (1, 2, 8, 8)), b.weight((4, 2, 3, 3))], path="conv1", padding=1)
    x = b.add("neuron", [x], path="lif1")
    x = b.add("pool", [x], path="pool", fn="max", kernel=2)
    x = b.add("neuron", [b.add("conv", [x, b.weight((4, 4, 3, 3))], path="conv2")], path="lif2")
    x = b.add("reshape", [x], path="flatten", shape=(1, 16))
    return b.finish([b.add("neuron", [b.add("linear", [x, b.weight((3, 16))], path="fc")], path="lif3")])


BAD: dict[str, tuple[str, str]] = {
    "nan.csv": ("layer,rate\nfc,nan\n", "layer 'fc': the rate is nan; expected 0 to 1 (spikes a neuron and timestep)"),
    "inf.csv": ("layer,rate,integer\nfc,inf,true\n", "layer 'fc': the rate is inf; expected 0 to 1 (spikes a neuron and timestep)"),
    "negative.csv": ("layer,rate\nfc,-0.1\n", "layer 'fc': the rate is -0.1; expected 0 to 1 (spikes a neuron and timestep)"),
    "more.csv": (
        "layer,rate\nfc,1.5\n",
        "layer 'fc': the rate is 1.5; expected 0 to 1 (spikes a neuron and timestep); "
        "spikes that are whole numbers are declared by a column `integer` with true",
    ),
    "undeclared.csv": ("layer,rate,integer\nfc,1.5,false\n", "layer 'fc': the rate is 1.5; expected 0 to 1"),
    "percent.csv": ("layer,rate_pct\nfc,150\n", "layer 'fc': the rate is 1.5; expected 0 to 1"),
    "maybe.csv": ("layer,rate,integer\nfc,1.5,maybe\n", "layer 'fc': integer is 'maybe'; expected true or false"),
    "twice.csv": ("layer,rate\nfc,0.1\nfc,0.2\n", "line 3: layer 'fc' stands there twice; remove one"),
    "half.csv": ("layer,rate\nfc\n", "line 2: found 'fc' and ''; expected a layer and its rate"),
    "head.csv": ("layer,rate\n", "no rates in it; expected a line a layer, or leave the file out for the default of 0.15"),
    "empty.csv": ("", "columns none; expected `layer` and one of rate, "),
    "empty.json": ("", "no JSON ("),
    "none.json": ("{}", "no rates in it; expected a line a layer, or leave the file out"),
    "null.json": ('{"fc": null}', "layer 'fc': found None; expected a number"),
    "nan.json": ('{"fc": NaN}', "layer 'fc': the rate is nan; expected 0 to 1"),
    "more.json": ('{"fc": {"rate": 1.5}}', "layer 'fc': the rate is 1.5; expected 0 to 1"),
    "part.json": ('{"attn": {"q": 0.1, "k": 7, "v": 0.2}}', "layer 'attn', k: the rate is 7; expected 0 to 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_says_where_and_what(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as error:
        Rates.read(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the rates .*none.csv"):
        Rates.read(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", "layer,rate,integer\nlif1,0.25,false\nfc,1.5,true\nattn,q=0.1;k=0.2;v=0.3,\n"),
        ("r.json", '{"lif1": 0.25, "fc": {"rate": 1.5, "integer": true}, "attn": {"q": 0.1, "k": 0.2, "v": 0.3}}'),
    ],
)
def test_whole_numbers_are_declared_and_survive_a_file(name: str, text: str, tmp_path: Path) -> None:
    rates = Rates.read(written(tmp_path, name, text))
    assert rates.by_path == {"lif1": {"rate": 0.25}, "fc": {"rate": 1.5}, "attn": {"q": 0.1, "k": 0.2, "v": 0.3}}
    assert rates.integers == {"fc"}
    for ending in ("csv", "json"):
        copy = tmp_path / f"copy.{ending}"
        rates.save(copy)
        again = Rates.read(copy)
        assert (again.by_path, again.integers) == (rates.by_path, rates.integers)


def test_rates_by_layers_or_by_neurons_say_the_same() -> None:
    graph = network()
    by_layer, of_layer = fitted(graph, Rates({"conv2": {"rate": 0.3}, "fc": {"rate": 0.1}}))
    by_neuron, of_neuron = fitted(graph, Rates({"lif1": {"rate": 0.3}, "lif2": {"rate": 0.1}}))
    assert of_layer.by_path == of_neuron.by_path == {"conv2": {"rate": 0.3}, "fc": {"rate": 0.1}}
    fired = {n.path: by_neuron.tensors[n.outputs[0]].density for n in graph.nodes if n.kind == "neuron"}
    assert fired == {"lif1": 0.3, "lif2": 0.1, "lif3": 1.0}
    assert by_layer.tensors["flatten:0"].density == 0.1
    assert fitted(graph, Rates()) == (graph, Rates())


def test_layers_that_are_missing_or_unknown_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"r.csv: no rate for fc; add a line a layer"):
        SpikeRates(written(tmp_path, "r.csv", "layer,rate\nconv2,0.1\n"))(network())
    path = written(tmp_path, "s.csv", "layer,rate\nconv2,0.1\nfc,0.1\nlif33,0.2\n")
    with pytest.raises(InputError) as error:
        SpikeRates(path)(network())
    assert str(error.value) == f"{path}: small has no layer 'lif33'; did you mean 'lif3' or 'lif2'? Correct or remove the line"


def test_a_chip_takes_them_and_names_what_is_assumed(tmp_path: Path) -> None:
    graph = network()
    assumed = hwsim.estimate(graph, "loihi1")
    assert assumed.warnings[0] == "firing rates of 2 connections are assumed; give them with --map rates=FILE"
    path = written(tmp_path, "r.csv", "layer,rate\nlif1,0.15\nlif2,0.15\nlif3,0.15\n")
    given = hwsim.estimate(graph, "loihi1", rates=str(path))
    assert not [w for w in given.warnings if "assumed" in w]
    assert given.energy_j == pytest.approx(assumed.energy_j)
    busy = hwsim.estimate(graph, "loihi1", rates=str(written(tmp_path, "b.json", json.dumps({"lif1": 0.9, "lif2": 0.9, "lif3": 0.9}))))
    assert busy.energy_j > given.energy_j
    bursts = '{"lif1": {"rate": 3, "integer": true}, "lif2": 0.9, "lif3": 0.9}'
    assert hwsim.estimate(graph, "loihi1", rates=str(written(tmp_path, "i.json", bursts))).energy_j > busy.energy_j


def test_command_names_file_layer_and_remedy(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hwsim.cli import cli

    path = written(tmp_path, "r.csv", "layer,rate\nlayer1,1.5\n")
    run = CliRunner().invoke(cli, ["estimate", "keyword_spotter", "--on", "loihi1", "--map", f"rates={path}"])
    assert isinstance(run.exception, InputError)
    assert f"{path}, layer 'layer1': the rate is 1.5" in str(run.exception)


torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def snn() -> Any:
    return pytest.importorskip("snntorch")


class Net(torch.nn.Module):
    """Identity weights, so that spikes are known."""

    def __init__(self, snn: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
        self.lif1, self.lif2 = (snn.Leaky(beta=0.0, reset_mechanism="none") for _ in range(2))
        for part in (self.fc1, self.fc2):
            torch.nn.init.eye_(part.weight)

    def forward(self, x: Any) -> Any:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        total = 0
        for step in range(x.shape[0]):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(1.5 * self.fc2(spk1), mem2)
            total = total + spk2
        return total


def test_recorded_rates_are_those_of_the_spikes(snn: Any, tmp_path: Path) -> None:
    module = Net(snn)
    x = torch.zeros(5, 2, 4)
    x[0, 0, 0] = x[3, 1, 2] = x[4, 1, 2] = 2.0
    rates = record(module, x)
    assert rates.by_path == {name: {"rate": pytest.approx(3 / 40)} for name in ("lif1", "fc2", "lif2")}
    assert (rates.source, rates.integers) == ("recorded from Net", frozenset())
    assert not module.fc2._forward_pre_hooks
    assert not module.lif1._forward_hooks
    graph = hwsim.load(module, inputs=(5, 1, 4))
    rates.save(tmp_path / "rates.csv")
    found = hwsim.estimate(graph, "loihi1", rates=str(tmp_path / "rates.csv"))
    columns: Any = found.program.tables[0].columns
    assert dict(zip([k.path for k in found.program.kernels], columns.rate, strict=True))["fc2"] == pytest.approx(3 / 40)
    assert record(module, [x, torch.zeros(5, 2, 4)]).by_path["lif1"] == {"rate": pytest.approx(3 / 80)}


def test_recorded_names_are_paths_of_the_graph() -> None:
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import layer, neuron

    net = torch.nn.Sequential(
        layer.Conv2d(1, 2, 3), neuron.LIFNode(v_threshold=0.01), layer.Flatten(), layer.Linear(72, 5), neuron.ILIFNode()
    )
    with torch.no_grad():
        net[3].weight.fill_(1.0)
    net.train()
    rates = record(net, torch.rand(3, 1, 8, 8), timesteps=6)
    assert net.training
    assert set(rates.by_path) == {"1", "3", "4"}
    assert rates.integers == {"4"}
    assert rates.by_path["4"]["rate"] > 1
    graph, found = fitted(hwsim.load(net, inputs=(1, 1, 8, 8), timesteps=6), rates)
    assert found.by_path["3"] == rates.by_path["1"]
    assert graph.tensors["4:0"].density == rates.by_path["4"]["rate"]


def test_what_cannot_be_recorded_is_said(snn: Any) -> None:
    with pytest.raises(InputError, match=r"Linear: none of its modules is a spiking neuron that is known; expected those of snnTorch or "):
        record(torch.nn.Linear(4, 4), torch.zeros(1, 4))
    graded = torch.nn.Sequential(torch.nn.Linear(4, 4), snn.Leaky(beta=0.5, init_hidden=True, threshold=-10.0, graded_spikes_factor=0.3))
    with pytest.raises(InputError, match=r"Sequential, layer '1': its outputs are no whole numbers of spikes \(the largest is 0\.3\)"):
        record(graded, torch.ones(1, 4))
    with pytest.raises(InputError, match="no neuron was called; expected inputs that run through the network"):
        record(graded, [])
    with pytest.raises(InputError, match="timesteps is 0"):
        record(graded, torch.ones(1, 4), timesteps=0)


def test_spikes_of_several_levels_are_no_binary_spikes() -> None:
    from hwsim.conventions import convention, operation_energy

    b = hwsim.GraphBuilder("levels", source="test", batch=1)
    x = b.add("neuron", [b.input("x", (1, 8))], path="lif", model="lif", levels=4)
    graph = b.finish([b.add("linear", [x, b.weight((4, 8))], path="fc")])
    found = {name: operation_energy(graph, convention=convention(name)) for name in ("strict-binary", "spikformer")}
    assert (found["strict-binary"].macs, found["strict-binary"].acs) == (32, 0)
    assert found["spikformer"].macs == 0
