"""Populations on cores: each limit of a core, the compiler of Loihi 2, chips with shared or undivided cores, what is said of misfits."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.graph import Graph, GraphBuilder
from hwsim.targets.neuromorphic import TARGET
from hwsim.targets.neuromorphic.calibrate.partition import PRINTED, predicted
from hwsim.targets.neuromorphic.cores import LIMITS, allocate, candidates, shortage
from hwsim.targets.neuromorphic.device import CoreKind, NeuroDevice
from hwsim.targets.neuromorphic.halving import words

SPECK = (
    "3 of 65,536 neurons and 131,072 bits, 2 of 32,768 neurons and 262,144 bits, 2 of 16,384 neurons and 524,288 bits, "
    "2 of 16,384 neurons and 131,072 bits"
)
PRUNE = "prune or group these connections, or put smaller populations between"


def chip(**changed: Any) -> NeuroDevice:
    """A chip without limits but for those given."""
    loose = {"core_count": 100, "neurons_per_core": 1e9, "synapse_bits_per_core": 1e12}
    return NeuroDevice(name="chip", **{**loose, **changed})


def dense(*sizes: int) -> Graph:
    b = GraphBuilder("dense", timesteps=1, source="tests")
    x = b.input("x", (1, sizes[0]))
    for i, (n, m) in enumerate(pairwise(sizes)):
        x = b.add("neuron", [b.add("linear", [x, b.weight((m, n))], path=f"fc{i}")], path=f"lif{i}")
    return b.finish([x])


def image(*channels: int, size: int = 16, kernel: int = 3, groups: int = 1) -> Graph:
    b = GraphBuilder("image", timesteps=1, source="tests")
    x = b.input("x", (1, channels[0], size, size))
    for i, (n, m) in enumerate(pairwise(channels)):
        weight = b.weight((m, n // groups, kernel, kernel))
        x = b.add("conv", [x, weight], path=f"conv{i}", padding=kernel // 2, groups=groups)
        x = b.add("neuron", [x], path=f"lif{i}")
    return b.finish([x])


def allocated(graph: Graph, device: NeuroDevice) -> tuple[list[int], list[str]]:
    """Cores, and what asks for most of them, of each row."""
    program = TARGET.lower(graph, device=device, mapping=TARGET.mapping())
    found = allocate(program.tables[0].columns, device)
    return found.own.astype(int).tolist(), [("-", *LIMITS)[int(n)] for n in found.limit]


@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_loihi_2_divides_layers_as_its_compiler_does(name: str, printed: tuple[int, ...]) -> None:
    assert predicted(name) == printed


def test_printed_totals() -> None:
    assert {name: sum(printed) for name, printed in PRINTED.items()} == {
        "pilotnet_lif": 74,
        "pilotnet_sdnn": 61,
        "oxford": 5,
        "yolo_kp": 574,
    }


def test_the_map_of_loihi_2_is_not_tuned_to_a_bit() -> None:
    """Weights of 14.5 to 17.9 bits with their index give PilotNet's dense layers, more than 15 Oxford's."""
    for overhead in (8, 9):
        for name in ("pilotnet_lif", "oxford"):
            e = hwsim.estimate(name, "loihi2", set={"synapse_overhead_bits": overhead})
            assert tuple(e.cost.row_resources["cores"].astype(int)) == PRINTED[name]


def test_a_layer_that_the_rule_was_not_fitted_on() -> None:
    """256 to 256 in a later compiler (16,000 words): three cores, the largest of 127 neurons, 51.2 % of its memory (lava-dl, S4D)."""
    device = NeuroDevice.from_shelf("loihi2").with_overrides({"synapse_bits_per_core": 16000 * 64})
    assert allocated(dense(256, 256), device)[0] == [3]
    assert 256 * float(words(np.float64(127 * 16), device)) / float(device.synapse_bits_per_core) == pytest.approx(0.512)


@pytest.mark.parametrize(
    ("limits", "cores", "bound"),
    [
        ({}, [1, 1], ["-", "-"]),
        ({"neurons_per_core": 64}, [4, 2], ["neurons", "neurons"]),
        ({"compiler_neurons": 64}, [4, 2], ["neurons", "neurons"]),
        ({"synapse_bits_per_core": 8 * 100 * 50}, [5, 5], ["synapse memory", "synapse memory"]),
        ({"axons_out_per_core": 100}, [3, 1], ["output axons", "-"]),
        ({"axons_in_per_core": 64, "partial_sums": 1}, [2, 4], ["input axons", "input axons"]),
    ],
)
def test_each_limit_divides_dense_layers(limits: dict[str, float], cores: list[int], bound: list[str]) -> None:
    assert allocated(dense(100, 250, 100), chip(**limits)) == (cores, bound)


@pytest.mark.parametrize(
    ("limits", "cores", "bound"),
    [
        ({"neurons_per_core": 512}, [4], ["neurons"]),
        ({"synapse_bits_per_core": 8 * 9 * 4 * 2}, [4], ["synapse memory"]),
        ({"axons_in_per_core": 4 * 100}, [4], ["input axons"]),
        ({"axons_in_per_core": 100, "shared_axons": 1}, [4], ["input axons"]),
    ],
)
def test_each_limit_divides_images(limits: dict[str, float], cores: list[int], bound: list[str]) -> None:
    """Eight channels of 16 x 16 behind four of them; a square of 10 x 10 feeds 8 x 8 neurons, a quarter."""
    assert allocated(image(4, 8), chip(**limits)) == (cores, bound)


def test_output_axons_count_the_cores_that_they_reach() -> None:
    graph, limits = dense(100, 200, 400), {"neurons_per_core": 100, "axons_out_per_core": 200}
    assert allocated(graph, chip(**limits)) == ([4, 4], ["output axons", "neurons"])
    assert allocated(graph, chip(**limits, multicast=1)) == ([2, 4], ["neurons", "neurons"])


def test_neurons_without_a_connection_take_cores() -> None:
    b = GraphBuilder("encoder", timesteps=1, source="tests")
    x = b.add("neuron", [b.input("x", (1, 300))], path="encode")
    g = b.finish([b.add("neuron", [b.add("linear", [x, b.weight((10, 300))], path="fc")], path="lif")])
    assert allocated(g, chip(neurons_per_core=100))[0] == [3, 1]


def test_a_population_with_two_connections_counts_once() -> None:
    b = GraphBuilder("two", timesteps=1, source="tests")
    x = b.input("x", (1, 50))
    left, right = (b.add("linear", [x, b.weight((200, 50))], path=p) for p in ("left", "right"))
    g = b.finish([b.add("neuron", [b.add("elementwise", [left, right], fn="add")], path="lif")])
    assert allocated(g, chip(neurons_per_core=100))[0] == [2, 0]
    assert allocated(g, chip(synapse_bits_per_core=8 * 50 * 200))[0] == [2, 0]


def test_more_room_never_takes_more_cores() -> None:
    for name in ("pilotnet_lif", "keyword_spotter"):
        for field in ("neurons_per_core", "synapse_bits_per_core", "axons_in_per_core", "axons_out_per_core"):
            device = NeuroDevice.from_shelf("loihi1")
            points = device.with_overrides({field: getattr(device, field) * np.array([[0.5], [1.0], [2.0], [8.0]])})
            program = TARGET.lower(hwsim.load(name), device=device, mapping=TARGET.mapping())
            needed = TARGET.cost(program, device=points, mapping=TARGET.mapping()).resources["cores"].used
            assert needed.shape == (4,) and np.all(np.diff(needed) <= 0), (name, field)


def test_speck_gives_every_layer_a_core_of_its_own() -> None:
    """A network that needs the three kinds of cores: two large images, two layers with many weights, small ones."""
    e = hwsim.estimate(image(2, 16, 16, size=64), "speck")
    assert e.fits and float(e.cost.resources["cores"].used) == 2
    e = hwsim.estimate(image(2, 16, 16, 16, 16, size=64), "speck")
    assert e.reasons == (
        f"has more layers that need one of 3 large cores than there are: conv0, conv1, conv2 and 1 more ({SPECK})",
        "needs 10 cores, speck has 9",
    )


def test_the_shortage_of_cores_is_that_of_the_largest_assignment() -> None:
    """Hall's condition against a matching that networkx finds."""
    import networkx as nx

    rng = np.random.default_rng(7)
    for _ in range(40):
        kinds = tuple(
            CoreKind(count=int(n), neurons=float(s), synapse_bits=float(b))
            for n, s, b in zip(rng.integers(1, 3, 3), rng.integers(10, 200, 3), rng.integers(1000, 200000, 3), strict=True)
        )
        device = chip(partition="whole", core_kinds=kinds, core_count=sum(k.count for k in kinds))
        program = TARGET.lower(dense(*rng.integers(10, 200, 6)), device=device, mapping=TARGET.mapping())
        c: Any = program.tables[0].columns
        takes, counts = candidates(c, device)
        graph, left = nx.Graph(), [("layer", i) for i in range(len(c.neurons))]
        graph.add_nodes_from(left)
        for k, (take, count) in enumerate(zip(takes, counts, strict=True)):
            graph.add_edges_from((("layer", i), (k, j)) for i in np.flatnonzero(take) for j in range(int(count)))
        out = len(left) - len(nx.bipartite.hopcroft_karp_matching(graph, left)) // 2
        found = float(shortage(c, device)[0])
        assert (found > 0) == (out > 0)
        assert found == (out + max(device.core_count - len(left), 0) if out else 0)


MISFITS = {
    "inputs": (
        dense(390, 256, 29),
        "truenorth",
        f"has neurons with more inputs than the 256 input axons of a core: fc0 (390); {PRUNE}",
        "needs 390 input axons a core, truenorth has 256",
    ),
    "shared": (
        dense(200, 200, 100),
        "odin",
        "asks for 300 neurons where the chip has 256; use smaller layers, fewer inputs or fewer bits a weight",
        "needs 2 cores, odin has 1",
    ),
    "memory": (
        dense(100, 200000, 10),
        "loihi1",
        f"has neurons with more inputs than the 4,096 input axons of a core: fc1 (200,000); {PRUNE}",
        "has neurons whose synapses exceed the 1,048,576 bits of a core: fc1 (1,600,000 bits); "
        "prune their inputs or store fewer bits a weight",
        "fills more than a chip: fc0 takes 489 for its output axons (4,096 a core), fc1 takes 10 for its synapse memory "
        "(1,048,576 bits a core); 4 chips joined hold it (core_count=512; 768 have been); "
        "in all 499 cores, loihi1 has 128",
        "needs 499 cores, loihi1 has 128",
        "needs 200,000 input axons a core, loihi1 has 4,096",
    ),
    "chips": (
        image(3, 64, 64, size=64),
        "neuromorphic-generic",
        "fills more than a chip: conv0 takes 256 for its neurons (1,024 a core), conv1 takes 256 for its neurons (1,024 a core); "
        "use smaller layers, or a chip with more cores; in all 512 cores, neuromorphic-generic has 128",
        "needs 512 cores, neuromorphic-generic has 128",
    ),
    "whole": (
        dense(390, 256, 29),
        "speck",
        "does not divide layers, and no core holds fc0 (256 neurons, 798,720 bits of synapses); make the layer smaller " + f"({SPECK})",
        "needs 10 cores, speck has 9",
    ),
}
"""Network, chip, and all that is said."""


@pytest.mark.parametrize("name", MISFITS)
def test_a_misfit_names_the_population_the_limit_and_the_remedy(name: str) -> None:
    graph, device, *reasons = MISFITS[name]
    assert hwsim.estimate(graph, str(device)).reasons == tuple(reasons)


def test_what_a_chip_cannot_do_is_named_with_the_remedy() -> None:
    b = GraphBuilder("softmax", timesteps=1, source="tests")
    q, k, v = (b.input(n, (1, 2, 4, 8)) for n in "qkv")
    graph = b.finish([b.add("attention", [q, k, v], path="blocks.0.attn")])
    with pytest.raises(UnsupportedOp) as caught:
        hwsim.estimate(graph, "loihi1")
    assert str(caught.value) == (
        "softmax on a neuromorphic chip: 1 node(s) use operators without a rule:\n"
        "  blocks.0.attn: attention (train or convert the network with spiking neurons (kind `neuron`), or run this layer elsewhere)\n"
        "Add a rule (see docs/extending.md, 'A new operator'), or pass --allow-unsupported (allow_unsupported=True) to leave them out "
        "of the cost and show the coverage."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": 0}, "timesteps is 0; expected a whole number of at least 1"),
        ({"timesteps": -4}, "timesteps is -4; expected a whole number of at least 1"),
        ({"firing_rate": 1.5}, "firing_rate is 1.5; expected 0 to 1 (spikes a neuron and timestep)"),
        ({"firing_rate": -0.1}, "firing_rate is -0.1; expected 0 to 1 (spikes a neuron and timestep)"),
    ],
)
def test_bad_choices_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        hwsim.estimate("keyword_spotter", "loihi1", **options)
    assert str(caught.value) == message


def test_bad_descriptions_of_cores_are_refused(tmp_path: Any) -> None:
    from pathlib import Path

    file = Path(tmp_path) / "mine.yaml"
    file.write_text("extends: speck\nsummary: mine\npartition: cut\n", encoding="utf-8")
    with pytest.raises(UnknownName, match="partition of a neuromorphic chip 'cut'"):
        NeuroDevice.from_shelf(str(file))
    file.write_text("extends: speck\nsummary: mine\ncore_kinds: [{count: 8, neurons: 100, synapse_bits: 100}]\n", encoding="utf-8")
    with pytest.raises(InputError, match="core_kinds has 8 cores, core_count 9; expected as many"):
        NeuroDevice.from_shelf(str(file))
    file.write_text("extends: speck\nsummary: mine\ncore_kinds: [{count: 9}]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"core_kinds\[0\]: found .*; expected count, neurons, synapse_bits, each a number above 0"):
        NeuroDevice.from_shelf(str(file))


def test_a_network_for_imagenet_maps_in_milliseconds() -> None:
    graph = hwsim.load("meta_spikeformer_8_512")
    hwsim.estimate("keyword_spotter", "loihi2")
    start = time.process_time()
    hwsim.estimate(graph, "loihi2")
    assert time.process_time() - start < 0.5


def test_the_table_of_instances_says_what_binds() -> None:
    from hwsim.report.family import instance_cell, instance_columns, instance_words

    e = hwsim.estimate("pilotnet_lif", "loihi2")
    words = instance_words(e, "limit")
    assert instance_columns(e)["limit"] == "bound by"
    assert [instance_cell(layer, "limit", words) for layer in e.layers] == ["neurons"] * 6 + ["synapse memory"] + ["-"] * 3
    assert [instance_cell(layer, "cores") for layer in e.layers] == [str(n) for n in PRINTED["pilotnet_lif"]]
