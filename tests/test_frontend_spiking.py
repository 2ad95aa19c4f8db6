"""Modules with the neurons of snnTorch and spikingjelly through the torch front end."""

from __future__ import annotations

from typing import Any

import pytest

import hwsim
from hwsim.errors import HwsimError, InputError, UnknownName, UnsupportedOp
from hwsim.graph import Graph

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(scope="module")
def snn() -> Any:
    return pytest.importorskip("snntorch")


@pytest.fixture(scope="module")
def jelly() -> Any:
    pytest.importorskip("spikingjelly")
    import types

    from spikingjelly.activation_based import functional, layer, neuron

    return types.SimpleNamespace(functional=functional, layer=layer, neuron=neuron)


def kinds(graph: Graph) -> list[str]:
    return [n.kind for n in graph.nodes]


def models(graph: Graph) -> dict[str, str]:
    return {n.path: n.attrs["model"] for n in graph.nodes if n.kind == "neuron"}


class Loop(nn.Module):
    """The usual snnTorch network: states outside of the neurons, a loop over time in forward."""

    def __init__(self, snn: Any, *, steps: int = 25, readout: str = "stack") -> None:
        super().__init__()
        self.steps, self.readout = steps, readout
        self.fc1, self.lif1 = nn.Linear(20, 16), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(16, 4), snn.Leaky(beta=0.9)

    def forward(self, x: Any) -> Any:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.reset_mem()
        spikes, total = [], 0
        for step in range(self.steps):
            spk1, mem1 = self.lif1(self.fc1(x[step] if x.ndim == 3 else x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            total = total + spk2
        return {"stack": lambda: torch.stack(spikes), "sum": lambda: total / self.steps, "membrane": lambda: mem2}[self.readout]()


@pytest.mark.parametrize("readout", ["stack", "sum", "membrane"])
def test_a_loop_over_time_is_one_timestep(snn: Any, readout: str) -> None:
    module = Loop(snn, readout=readout)
    graph = hwsim.load(module, inputs=(1, 20), batch=3)
    assert (graph.attrs["timesteps"], graph.attrs["batch"]) == (25, 3)
    assert kinds(graph) == ["linear", "neuron", "linear", "neuron"]
    assert [n.name for n in graph.nodes] == ["fc1", "lif1", "fc2", "lif2"]
    assert models(graph) == {"lif1": "lif", "lif2": "lif"}
    assert graph.macs == 3 * (20 * 16 + 16 * 4)
    assert graph.parameters == sum(p.numel() for p in module.parameters())


def test_a_loop_over_the_first_axis_of_the_input(snn: Any) -> None:
    module = Loop(snn, steps=7)
    for batch, expected in ((None, 2), (5, 5)):
        graph = hwsim.load(module, inputs=(7, 2, 20), batch=batch)
        assert (graph.attrs["timesteps"], graph.attrs["batch"]) == (7, expected)
        assert kinds(graph) == ["slice", "linear", "neuron", "linear", "neuron"]
        assert graph.macs == expected * 384


def test_a_module_is_left_as_it_was(snn: Any) -> None:
    module = Loop(snn, steps=3)
    before = module(torch.ones(2, 20))
    hwsim.load(module, inputs=(1, 20))
    assert torch.equal(module(torch.ones(2, 20)), before)
    assert "forward" not in vars(module.lif1)
    assert not any(isinstance(b, torch._subclasses.FakeTensor) for b in module.buffers())


def test_layers_behind_the_loop_stay(snn: Any) -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.body, self.head = nn.Linear(8, 20), Loop(snn, steps=4), nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.body(self.first(x)).mean(0))

    graph = hwsim.load(Head(), inputs=(1, 8))
    assert [n.path for n in graph.nodes if n.kind == "linear"] == ["first", "body.fc1", "body.fc2", "head"]
    assert graph.attrs["timesteps"] == 4


def test_models_of_snntorch(snn: Any) -> None:
    from snntorch import utils

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(6, 5),
                snn.Leaky(beta=0.5, init_hidden=True, learn_beta=True),
                nn.Linear(5, 5),
                snn.Synaptic(alpha=0.5, beta=0.5, init_hidden=True),
                nn.Linear(5, 5),
                snn.Lapicque(beta=0.5, init_hidden=True),
                nn.Linear(5, 5),
                snn.Alpha(alpha=0.6, beta=0.5, init_hidden=True, output=True),
            )

        def forward(self, x: Any) -> Any:
            utils.reset(self.net)
            return sum(self.net(x)[0] for _ in range(5))

    module = Net()
    graph = hwsim.load(module, inputs=(2, 6))
    assert models(graph) == {"net.1": "lif", "net.3": "cubalif", "net.5": "lif", "net.7": "alpha"}
    assert (graph.attrs["timesteps"], graph.parameters) == (5, 35 + 3 * 30 + 1)
    assert graph.state_b == 4 * 2 * 5 * (1 + 2 + 1 + 3)
    assert module(torch.ones(2, 6)).shape == (2, 5)


def test_recurrent_neurons_count_their_synapses(snn: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.dense = nn.Linear(10, 20), snn.RLeaky(beta=0.5, linear_features=20)
            self.out, self.own = nn.Linear(20, 2), snn.RSynaptic(alpha=0.1, beta=0.5, all_to_all=False, V=1.0)

        def forward(self, x: Any) -> Any:
            spk, mem = self.dense.init_rleaky()
            spk2, syn2, mem2 = self.own.init_rsynaptic()
            for step in range(x.shape[0]):
                spk, mem = self.dense(self.fc(x[step]), spk, mem)
                spk2, syn2, mem2 = self.own(self.out(spk), spk2, syn2, mem2)
            return spk2

    graph = hwsim.load(Net(), inputs=(5, 1, 10))
    assert graph.macs == 200 + 400 + 40
    ways = [n for n in graph.nodes if n.kind == "previous"]
    assert [(n.path, next(m.kind for m in graph.nodes if m.name == n.attrs["of"])) for n in ways] == [
        ("dense.previous", "neuron"),
        ("own.previous", "neuron"),
    ]
    columns: Any = hwsim.estimate(graph, "loihi1").program.tables[0].columns
    assert sorted(columns.synapses) == [40, 200, 400]


def test_recurrence_outside_of_neurons_reads_the_step_before(snn: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.back, self.lif = nn.Linear(10, 20), nn.Linear(20, 20), snn.Leaky(beta=0.5)

        def forward(self, x: Any) -> Any:
            spk, mem, total = torch.zeros(x.shape[1], 20), None, 0
            for step in range(x.shape[0]):
                spk, mem = self.lif(self.fc(x[step]) + self.back(spk), mem)
                total = total + spk
            return total

    graph = hwsim.load(Net(), inputs=(6, 2, 10))
    assert kinds(graph) == ["slice", "linear", "previous", "linear", "elementwise", "neuron"]
    assert (graph.macs, graph.attrs["timesteps"]) == (2 * 600, 6)


def test_neurons_that_layers_share_are_no_loop(snn: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.lif = nn.Linear(4, 4), nn.Linear(4, 4), snn.Leaky(beta=0.5, init_hidden=True)

        def forward(self, x: Any) -> Any:
            return self.lif(self.b(self.lif(self.a(x))))

    graph = hwsim.load(Net(), inputs=(1, 4), timesteps=3)
    assert kinds(graph) == ["linear", "neuron", "linear", "neuron"]
    assert graph.attrs["timesteps"] == 3


def test_unequal_loops_are_refused(snn: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.a, self.b = nn.Linear(4, 4), snn.Leaky(beta=0.5, init_hidden=True), snn.Leaky(beta=0.5, init_hidden=True)

        def forward(self, x: Any) -> Any:
            total = sum(self.a(self.fc(x)) for _ in range(3))
            return sum(self.b(total) for _ in range(2))

    with pytest.raises(InputError, match=r"Net: forward calls 'a' 3 times, 'b' 2 times; expected each neuron once a timestep\. Give each"):
        hwsim.load(Net(), inputs=(1, 4))


def jelly_net(jelly: Any, mode: str = "s") -> Any:
    layer, neuron = jelly.layer, jelly.neuron
    net = nn.Sequential(
        layer.Conv2d(2, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        neuron.LIFNode(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(128, 10),
        neuron.ParametricLIFNode(),
        layer.Linear(10, 10),
        neuron.IFNode(),
    )
    jelly.functional.set_step_mode(net, mode)
    return net


MACS = 64 * 8 * 18 + 1280 + 100


def test_one_timestep_of_spikingjelly(jelly: Any) -> None:
    graph = hwsim.load(jelly_net(jelly), inputs=(1, 2, 8, 8), batch=2, timesteps=4)
    assert models(graph) == {"2": "lif", "6": "plif", "8": "if"}
    assert (graph.attrs["timesteps"], graph.attrs["batch"], graph.macs) == (4, 2, 2 * MACS)
    assert kinds(graph)[:3] == ["conv", "norm", "neuron"]


@pytest.mark.parametrize(
    ("inputs", "batch", "option", "found"),
    [((6, 3, 2, 8, 8), None, None, (6, 3)), ((6, 3, 2, 8, 8), 5, 6, (6, 5)), ((1, 3, 2, 8, 8), 2, 9, (9, 2))],
)
def test_all_timesteps_at_once(jelly: Any, inputs: tuple[int, ...], batch: int | None, option: int | None, found: tuple[int, int]) -> None:
    graph = hwsim.load(jelly_net(jelly, "m"), inputs=inputs, batch=batch, timesteps=option)
    assert (graph.attrs["timesteps"], graph.attrs["batch"]) == found
    assert graph.macs == found[1] * MACS


class Repeats(nn.Module):
    """Time merged with the batch inside, as in the public code of spiking transformers."""

    def __init__(self, jelly: Any, **time: int) -> None:
        super().__init__()
        self.net, self.jelly, self.held = jelly_net(jelly, "m"), jelly, tuple(time)
        vars(self).update(time)

    def forward(self, x: Any) -> Any:
        self.jelly.functional.reset_net(self)
        return self.net(x.unsqueeze(0).repeat(getattr(self, self.held[0]), 1, 1, 1, 1)).mean(0)


@pytest.mark.parametrize(("size", "batch", "expected"), [(3, None, 3), (4, None, 4), (1, 6, 6)])
def test_time_merged_with_the_batch(jelly: Any, size: int, batch: int | None, expected: int) -> None:
    module = Repeats(jelly, T=4)
    graph = hwsim.load(module, inputs=(size, 2, 8, 8), batch=batch)
    assert (graph.attrs["timesteps"], graph.attrs["batch"], graph.macs) == (4, expected, expected * MACS)
    assert module.T == 4
    assert hwsim.estimate(graph, "loihi2").fits


def test_a_time_axis_that_nobody_knows_is_refused(jelly: Any) -> None:
    with pytest.raises(
        InputError, match=r"Repeats: its neurons see 4 timesteps along their first axis, and nothing says where they come from"
    ):
        hwsim.load(Repeats(jelly, frames_per_clip=4), inputs=(3, 2, 8, 8))
    with pytest.raises(InputError, match=r"its neurons see 6 timesteps, found timesteps=4; leave the option out, or change the inputs"):
        hwsim.load(jelly_net(jelly, "m"), inputs=(6, 1, 2, 8, 8), timesteps=4)


def test_integer_spikes_and_readout(jelly: Any) -> None:
    net = nn.Sequential(nn.Linear(4, 4), jelly.neuron.ILIFNode(), nn.Linear(4, 4), jelly.neuron.NonSpikingLIFNode())
    jelly.functional.set_step_mode(net, "m")
    graph = hwsim.load(net, inputs=(5, 2, 4))
    assert [(n.attrs["model"], n.attrs["levels"]) for n in graph.nodes if n.kind == "neuron"] == [("lif", 4), ("li", 1)]
    assert graph.attrs["timesteps"] == 5


def test_neurons_without_a_rule_are_listed(snn: Any, jelly: Any) -> None:
    net = nn.Sequential(nn.Linear(4, 4), jelly.neuron.EIFNode(), jelly.neuron.PSN(4), snn.SLSTM(4, 4))
    with pytest.raises(UnsupportedOp) as error:
        hwsim.load(net, inputs=(1, 4))
    assert [(path, text.partition(":")[0]) for path, text in error.value.operators] == [
        ("1", "spikingjelly.EIFNode"),
        ("2", "spikingjelly.PSN"),
        ("3", "snntorch.SLSTM"),
    ]
    assert "hwsim.frontends.torch.neurons.register describes it" in str(error.value)


class Cell(nn.Module):
    """A neuron of somebody's own package: spikes and a state, both passed on."""

    def forward(self, x: Any, state: Any = None) -> Any:
        if float(x.sum()) > 0:
            raise AssertionError("data-dependent: cannot be traced")
        return (x > 1).float(), x


def test_neurons_of_other_packages_are_added_by_one_call() -> None:
    from hwsim.frontends.torch import neurons

    name = f"{Cell.__module__.partition('.')[0]}.Cell"
    neurons.register(name, model="lif", states=1, answer=lambda module, outputs: tuple(outputs))
    try:

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc, self.cell = nn.Linear(4, 4), Cell()

            def forward(self, x: Any) -> Any:
                return self.cell(self.fc(x), None)[0]

        assert models(hwsim.load(Net(), inputs=(1, 4))) == {"cell": "lif"}
        with pytest.raises(HwsimError, match="is registered twice; pick one entry"):
            neurons.register(name, model="lif")
    finally:
        del neurons._KNOWN[name]
    with pytest.raises(UnknownName, match="unknown neuron model 'liff'. Did you mean"):
        neurons.register("some.Other", model="liff")


def test_timesteps_must_be_a_number(jelly: Any) -> None:
    with pytest.raises(InputError, match="timesteps is 0; expected a whole number of at least 1"):
        hwsim.load(jelly_net(jelly), inputs=(1, 2, 8, 8), timesteps=0)
    with pytest.raises(InputError, match="its forward runs 3 timesteps, found timesteps=5; leave the option out, or change the loop"):
        snn = pytest.importorskip("snntorch")
        hwsim.load(Loop(snn, steps=3), inputs=(1, 20), timesteps=5)
