"""ReLU networks as rate-coded spiking twins, and passes by name."""

from __future__ import annotations

from typing import Any

import pytest

import hwsim
from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.graph import Graph, GraphBuilder
from hwsim.passes.catalog import applied, find
from hwsim.passes.rate_coded import RateCoded


def kinds(graph: Graph) -> list[str]:
    return [n.kind for n in graph.nodes]


def small(**options: Any) -> Graph:
    """Convolution, batch norm, ReLU, a pool, a layer and a softmax."""
    given = {"fn": "avg", "kernel": 2, "act": "relu", **options}
    b = GraphBuilder("small", source="test", batch=2)
    x = b.add("conv", [b.input("x", (2, 3, 8, 8)), b.weight((4, 3, 3, 3))], path="conv", padding=1)
    x = b.add("norm", [x, b.weight((4,)), b.weight((4,))], path="bn", fn="batch")
    x = b.add("activation", [x], path="act", fn=given["act"])
    x = b.add("pool", [x], path="pool", fn=given["fn"], kernel=given["kernel"], ceil=given.get("ceil", False))
    size = 4 * b.shape(x)[2] * b.shape(x)[3]
    x = b.add("linear", [b.add("reshape", [x], path="flat", shape=(2, size)), b.weight((5, size))], path="fc")
    return b.finish([b.add("softmax", [x], path="softmax")])


def test_a_small_network_becomes_its_twin() -> None:
    twin = RateCoded(timesteps=16)(small())
    assert kinds(twin) == ["conv", "neuron", "conv", "reshape", "neuron", "linear"]
    assert [n.path for n in twin.nodes] == ["conv", "act", "pool", "flat", "fc.if", "fc"]
    assert {n.attrs["model"] for n in twin.nodes if n.kind == "neuron"} == {"if"}
    assert twin.attrs["timesteps"] == 16
    assert twin.attrs["notes"] == (
        "1 average pool(s) became connections with equal weights",
        "the softmax at the end is left out: the largest rate wins without it",
    )
    assert twin.parameters == small().parameters - 4  # scale and shift of the norm, a bias instead
    pool = twin.nodes[2]
    assert twin.work_of(pool).macs == 2 * 4 * 16 * 4
    assert twin.tensors[pool.inputs[1]].role == "constant"
    assert [n.kind for n in RateCoded()(small(kernel=3)).nodes] == kinds(twin)
    assert RateCoded()(small(kernel=3, ceil=True)).nodes[2].attrs["padding"] == ((0, 1), (0, 1))


def test_max_pools_stay_go_or_are_refused() -> None:
    assert "pool" in kinds(RateCoded()(small(fn="max")))
    assert kinds(RateCoded(max_pool="average")(small(fn="max"))) == kinds(RateCoded()(small()))
    with pytest.raises(UnsupportedOp) as error:
        RateCoded(max_pool="refuse")(small(fn="max"))
    assert error.value.operators == (("pool", "pool max (use average pooling, or max_pool=keep or average)"),)


def test_rates_of_the_neurons_may_be_given() -> None:
    twin = RateCoded(rate=0.05)(small())
    assert {twin.tensors[n.outputs[0]].density for n in twin.nodes if n.kind == "neuron"} == {0.05}
    assert not [w for w in hwsim.estimate(twin, "loihi2").warnings if "assumed" in w]
    assert [w for w in hwsim.estimate(RateCoded()(small()), "loihi2").warnings if "assumed" in w]


RESNETS = {"resnet18": (1814073344, 17), "resnet50": (4089184256, 49), "mobilenet_v2": (300774272, 35)}
"""Multiply-accumulates, and ReLUs."""


@pytest.mark.parametrize("name", RESNETS)
def test_networks_of_the_zoo(name: str) -> None:
    macs, relus = RESNETS[name]
    graph = hwsim.load(name)
    twin = RateCoded(timesteps=8)(graph)
    assert not {"norm", "activation", "softmax"} & set(kinds(twin))
    pooled = twin.macs - macs
    assert (
        pooled
        == 49
        * graph.tensors[next(n for n in graph.nodes if n.kind in ("pool", "reduce") and n.attrs["fn"] in ("avg", "mean")).inputs[0]].shape[
            1
        ]
    )
    assert sum(n.kind == "neuron" and not n.path.endswith(".if") for n in twin.nodes) == relus
    found = hwsim.estimate(twin, "loihi2")
    assert found.cost.extra["timesteps"] == 8
    assert found.energy_j > 0


def test_residual_sums_of_spikes_and_currents_need_no_neurons_of_their_own() -> None:
    b = GraphBuilder("residual", source="test", batch=1)
    x = b.add("activation", [b.add("linear", [b.input("x", (1, 8)), b.weight((8, 8))], path="a")], path="r1", fn="relu")
    y = b.add("linear", [x, b.weight((8, 8))], path="b")
    x = b.add("activation", [b.add("elementwise", [x, y], path="sum", fn="add")], path="r2", fn="relu")
    twin = RateCoded()(b.finish([b.add("linear", [x, b.weight((4, 8))], path="c")]))
    assert kinds(twin) == ["linear", "neuron", "linear", "elementwise", "neuron", "linear"]


def test_linear_bottlenecks_get_neurons_with_a_sign() -> None:
    b = GraphBuilder("bottleneck", source="test", batch=1)
    x = b.add("activation", [b.add("linear", [b.input("x", (1, 8)), b.weight((8, 8))], path="a")], path="r1", fn="relu6")
    x = b.add("linear", [x, b.weight((2, 8))], path="narrow")
    ends = [b.add("linear", [x, b.weight((8, 2))], path=name) for name in ("wide", "wider")]
    twin = RateCoded()(b.finish(ends))
    assert [n.path for n in twin.nodes] == ["a", "r1", "narrow", "wide.if", "wide", "wider"]
    assert twin.attrs["notes"] == ("1 layer(s) read sums without a ReLU before them: neurons stand there, with spikes of both signs",)


def test_norms_before_neurons_fold_into_them() -> None:
    b = GraphBuilder("preact", source="test", batch=1)
    x = b.add("conv", [b.input("x", (1, 3, 8, 8)), b.weight((4, 3, 1, 1))], path="conv")
    y = b.add("norm", [b.add("concat", [x, x], path="cat", axis=1), b.weight((8,)), b.weight((8,))], path="bn", fn="batch")
    twin = RateCoded()(b.finish([b.add("activation", [y], path="relu", fn="relu")]))
    assert kinds(twin) == ["conv", "concat", "neuron"]
    assert twin.attrs["notes"] == ("1 batch norm(s) fold into thresholds and weights of what follows",)


REFUSED = {
    "gelu": "activation gelu (replace it with ReLU and train again, or run the network on a chip with that function)",
    "sigmoid": "activation sigmoid (replace it with ReLU and train again, or run the network on a chip with that function)",
    "leaky_relu": "activation leaky_relu (replace it with ReLU and train again, or run the network on a chip with that function)",
}


@pytest.mark.parametrize("fn", REFUSED)
def test_other_activations_are_refused_with_a_remedy(fn: str) -> None:
    with pytest.raises(UnsupportedOp) as error:
        RateCoded()(small(act=fn))
    assert error.value.operators == (("act", REFUSED[fn]),)
    assert str(error.value).startswith("small, rate-coded: 1 node(s) use operators without a rule")


def test_everything_without_a_rate_code_is_listed() -> None:
    with pytest.raises(UnsupportedOp) as error:
        RateCoded()(hwsim.load("vit_ti16"))
    found = dict(error.value.operators)
    assert len(found) == len(error.value.operators) > 12 * 4
    assert "use attention without softmax" in " ".join(found.values())
    assert "use batch normalisation" in found["blocks.0.attn.norm1"]


def test_a_softmax_in_the_middle_is_refused() -> None:
    b = GraphBuilder("middle", source="test", batch=1)
    x = b.add("softmax", [b.input("x", (1, 8))], path="softmax")
    with pytest.raises(UnsupportedOp, match="only a softmax at the end can be left out"):
        RateCoded()(b.finish([b.add("linear", [x, b.weight((4, 8))], path="fc")]))


def test_spiking_networks_are_left_to_themselves() -> None:
    with pytest.raises(InputError, match="keyword_spotter: it has no ReLU, its neurons spike already; leave the pass rate-coded out"):
        hwsim.load("keyword_spotter", passes=["rate-coded"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate-code", r"unknown pass 'rate-code'\. Did you mean 'rate-coded'"),
        ("rate-coded?steps=4", r"unknown option of pass 'rate-coded': 'steps'\. Did you mean 'timesteps'"),
        ("rate-coded?timesteps", r"pass 'rate-coded': option 'timesteps' has no value; expected name=value joined by &"),
        ("rate-coded?timesteps=0", r"rate-coded: timesteps is 0; expected a whole number of at least 1"),
        ("rate-coded?timesteps=few", r"rate-coded: timesteps is 'few'; expected a whole number"),
        ("rate-coded?max_pool=drop", r"unknown treatment of max pools 'drop'\. Known: average, keep, refuse"),
        ("rate-coded?rate=2", r"rate-coded: rate is 2; expected 0 to 1"),
        ("rate-coded?rate=high", r"rate-coded: rate is 'high'; expected 0 to 1"),
    ],
)
def test_wrong_names_and_options_are_refused(text: str, message: str) -> None:
    with pytest.raises((InputError, UnknownName), match=message):
        find(text)


def test_passes_act_in_order_and_may_be_callables() -> None:
    graph = small()
    twin = applied(graph, ["fold-batch-norm", RateCoded(timesteps=4), lambda g: g.replace(name="renamed")])
    assert (twin.name, twin.attrs["timesteps"]) == ("renamed", 4)
    assert hwsim.load(graph, passes=["rate-coded?timesteps=4&max_pool=average&rate=0.1"]).attrs["timesteps"] == 4
    assert hwsim.estimate(graph, "loihi2", passes=["rate-coded?timesteps=4"]).warnings[0].startswith("1 average pool(s)")


def test_every_listed_pass_can_be_found() -> None:
    from dataclasses import MISSING, fields

    from hwsim import plugins

    for name in plugins.available("hwsim.passes"):
        made = plugins.load("hwsim.passes", name)
        needs = [f.name for f in fields(made) if f.default is MISSING and f.default_factory is MISSING]
        if not needs:
            assert callable(find(name))


def test_command() -> None:
    from click.testing import CliRunner

    from hwsim.cli import cli

    run = CliRunner().invoke(cli, ["estimate", "resnet18", "--on", "loihi2", "--pass", "rate-coded?timesteps=4", "-q"])
    assert run.exit_code == 0, run.output
    assert "average pool(s) became" in run.output
