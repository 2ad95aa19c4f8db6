"""Events, energies and times of spiking populations: against enumeration, against a published run, and their laws."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.cost import Cost
from hwsim.datasets.sanafe.export import pieces, runs
from hwsim.errors import InputError, UnknownName
from hwsim.targets.neuromorphic import TARGET
from hwsim.targets.neuromorphic.cost import by_timestep
from hwsim.targets.neuromorphic.device import FIELDS
from hwsim.targets.neuromorphic.events import barrier, cut, distances, largest
from hwsim.targets.neuromorphic.statistics import Statistics

ENERGIES = tuple(f for f in FIELDS if f.endswith("_j"))
TIMES = tuple(f for f in FIELDS if f.endswith("_s"))
GRAPHS = ("dvs_gesture", "keyword_spotter", "pilotnet_lif")


def cost(graph: Any, *, device: str = "loihi1", own: dict[str, Any] | None = None, **options: Any) -> Cost:
    """The closed form without intervals and verdicts."""
    graph = hwsim.load(graph) if isinstance(graph, str) else graph
    chip, mapping = TARGET.device(device).with_overrides(own or {}), TARGET.mapping(**options)
    return TARGET.cost(TARGET.lower(graph, device=chip, mapping=mapping), device=chip, mapping=mapping)


def event_j(found: Cost) -> Any:
    return sum(found.extra[f"{name}_j"] for name in ("soma", "synapse", "network"))


# against a published run


def test_dvs_gesture_from_statistics_of_layers(data_dir: Path) -> None:
    """SANA-FE's run: 331.76 uJ (synapse 131.23, soma 154.14, network 46.40) and 1.823 ms with simple timing."""
    pytest.importorskip("pandas")
    from hwsim.datasets.sanafe.dvs import validation_rows

    rows = validation_rows()
    error = np.abs(rows["predicted"] / rows["measured"] - 1)
    whole = dict(zip(rows["group"][:5], error[:5], strict=True))
    assert list(rows["device"][:5]) == ["whole run"] * 5
    assert whole["energy"] < 1e-3
    assert max(whole["synapse energy"], whole["soma energy"], whole["network energy"]) < 5e-3
    assert whole["time"] < 0.01
    assert sum(rows["measured"][:1]) == pytest.approx(331.76e-6, rel=1e-4)
    steps = rows["device"] == "timestep"
    assert np.max(error[steps & (rows["group"] == "energy")]) < 0.005
    assert np.median(error[steps & (rows["group"] == "time")]) < 0.01


def test_dvs_gesture_has_the_published_sizes() -> None:
    found = cost("dvs_gesture")
    assert float(np.sum(found.row_extra["neurons"])) == 18678
    assert float(found.extra["timesteps"]) == 128


def test_sparse_connections_have_their_own_energy_and_fewer_operations() -> None:
    graph = hwsim.load("keyword_spotter")
    half = {n: replace(t, density=0.5) if t.role == "weight" else t for n, t in graph.tensors.items()}
    dense, sparse = cost(graph, firing_rate=0.1), cost(graph.replace(tensors=half), firing_rate=0.1)
    assert float(sparse.extra["synapse_j"]) == pytest.approx(0.5 * 33.6 / 35.5 * float(dense.extra["synapse_j"]))


# against enumeration


@pytest.mark.parametrize("split", ["rows", "channels"])
@pytest.mark.parametrize(("side", "kernel", "stride"), [(14, 3, 1), (15, 3, 2), (13, 5, 2), (12, 2, 2), (10, 1, 1)])
@pytest.mark.parametrize("cores", [1, 2, 5, 7, 30])
def test_cores_that_a_spike_reaches(split: str, side: int, kernel: int, stride: int, cores: int) -> None:
    """Every source neuron and every target, cut as the exporter cuts."""
    size = (side - kernel) // stride + 1
    shape = (6, size, size)
    flat = [core for core, count in runs(shape, cores, 0, split=split) for _ in range(count)]
    place = np.array(flat).reshape(shape)
    reached, seen = [], np.zeros(max(flat) + 1)
    for y, x in itertools.product(range(side), repeat=2):
        down, across = (range(max(0, -(-(p - kernel + 1) // stride)), min(size - 1, p // stride) + 1) for p in (y, x))
        met = np.unique(place[:, list(down)][:, :, list(across)])
        seen[met] += 1
        if len(met):
            reached.append(len(met))
    b = hwsim.GraphBuilder("conv", timesteps=1)
    source = b.add("neuron", [b.input("x", (1, 2, side, side))], path="in")
    made = b.add("conv", [source, b.weight((6, 2, kernel, kernel))], path="conv", stride=(stride, stride), padding=(0, 0))
    graph = b.finish([b.add("neuron", [made], path="out")])
    chip, mapping = TARGET.device("loihi1"), TARGET.mapping(split=split)
    columns: Any = TARGET.lower(graph, device=chip, mapping=mapping).tables[0].columns
    found = cut(columns, np.array([1.0, float(cores)]), split=split)
    assert found.cores[1] == np.prod(pieces(shape, cores, split=split)) == max(flat) + 1
    assert found.share[1] == pytest.approx(np.max(np.bincount(flat)) / len(flat))
    assert found.reached[1] == pytest.approx(np.mean(reached), rel=1e-9 if kernel >= stride else 0.2)
    assert found.inlet[1] == pytest.approx(np.max(seen) / len(reached), rel=0.12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.integers(1, 8),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_hops_are_the_mean_over_all_pairs_of_cores(sizes: list[int], width: int, height: int, tile: int) -> None:
    own = np.array(sizes, dtype=float)
    while sum(sizes) > width * height * tile:
        width += 1
    stop = np.cumsum(own)
    senders = np.eye(len(sizes), k=-1)
    device = TARGET.device("loihi1").with_overrides({"mesh_width": width, "mesh_height": height, "cores_per_tile": tile})
    east, north = distances(stop - own, stop, senders, np.arange(len(sizes)), device)
    for i in range(1, len(sizes)):
        pairs = [
            (abs(a // tile // height - b // tile // height), abs(a // tile % height - b // tile % height))
            for a in range(int(stop[i - 1] - own[i - 1]), int(stop[i - 1]))
            for b in range(int(stop[i] - own[i]), int(stop[i]))
        ]
        assert (east[i], north[i]) == pytest.approx(tuple(np.mean(pairs, axis=0)))


@pytest.mark.parametrize(
    ("count", "exact"), [(1, 0.0), (2, 0.564), (3, 0.846), (4, 1.029), (8, 1.424), (16, 1.766), (64, 2.343), (128, 2.594), (1024, 3.25)]
)
def test_largest_of_normal_numbers(count: int, exact: float) -> None:
    assert float(largest(np.asarray(float(count)))) == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize(
    ("tiles", "seconds"), [(1, 0.6e-6), (2, 1e-6), (3, 1e-6), (4, 1.4e-6), (13, 1.4e-6), (28, 1.4e-6), (29, 1.8e-6), (32, 1.8e-6)]
)
def test_barrier_is_the_published_table(tiles: int, seconds: float) -> None:
    """From one entry to the next the last one holds."""
    assert float(barrier(np.asarray(float(tiles)), TARGET.device("loihi1"))) == pytest.approx(seconds)


def test_neurons_rest_until_they_hear_something_and_after_a_spike() -> None:
    """Ten timesteps; the input comes in each of them and is heard in the next, layer 1 hears what layer 0 fires once."""
    silent, once = np.zeros(10), np.zeros(10)
    once[2] = 1.0

    def updates(first: np.ndarray, second: np.ndarray) -> float:
        known = Statistics({"layer0": {"fired": first}, "layer1": {"fired": second}, "output": {"fired": silent}})
        return float(cost("keyword_spotter", layers=known).extra["updates"])

    input_driven = 9 * 256
    assert updates(silent, silent) == pytest.approx(input_driven)
    assert updates(once, silent) == pytest.approx(input_driven + 7 * 256), "awake from the fourth timestep on"
    assert updates(once, np.roll(once, 1)) == pytest.approx(input_driven + 256 + 6 * 29), "the spike lays it to rest, the output wakes"


# laws


@pytest.mark.parametrize("graph", GRAPHS)
@settings(max_examples=15, deadline=None)
@given(st.floats(0.001, 1.0), st.floats(0.001, 1.0))
def test_more_spikes_are_never_cheaper_nor_faster(graph: str, one: float, two: float) -> None:
    low, high = (cost(graph, firing_rate=rate) for rate in sorted((one, two)))
    for name in ("spikes", "packets", "hops", "synaptic_operations", "updates"):
        assert float(low.extra[name]) <= float(high.extra[name]) * (1 + 1e-9)
    assert float(event_j(low)) <= float(event_j(high)) * (1 + 1e-9)
    assert float(low.latency_s) <= float(high.latency_s) * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 0.9), min_size=10, max_size=10), st.integers(0, 9), st.floats(0.0, 0.1))
def test_one_more_busy_timestep_is_never_cheaper_nor_faster(fired: list[float], at: int, more: float) -> None:
    raised = list(fired)
    raised[at] += more
    low, high = (cost("keyword_spotter", layers=Statistics({"layer0": {"fired": np.array(f)}})) for f in (fired, raised))
    assert float(low.extra["synapse_j"]) <= float(high.extra["synapse_j"]) * (1 + 1e-9)
    assert float(low.latency_s) <= float(high.latency_s) * (1 + 1e-9)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("field", [*ENERGIES, *TIMES])
def test_a_larger_constant_never_costs_less(graph: str, field: str) -> None:
    value = float(getattr(TARGET.device("loihi1-wolfmountain"), field))
    before, after = (cost(graph, device="loihi1-wolfmountain", own={field: v}) for v in (value, 2 * value + 1e-9))
    assert float(before.energy_j.total) <= float(after.energy_j.total)
    assert float(before.latency_s) <= float(after.latency_s)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 10.0))
def test_energy_and_time_scale_with_their_constants(factor: float) -> None:
    chip = TARGET.device("loihi1")
    base = cost("dvs_gesture")
    dear = cost("dvs_gesture", own={f: float(getattr(chip, f)) * factor for f in ENERGIES})
    slow = cost("dvs_gesture", own={f: float(getattr(chip, f)) * factor for f in TIMES})
    assert float(event_j(dear)) == pytest.approx(factor * float(event_j(base)))
    assert float(slow.latency_s) == pytest.approx(factor * float(base.latency_s))


@pytest.mark.parametrize("graph", GRAPHS)
def test_parts_add_up(graph: str) -> None:
    found = cost(graph, device="loihi1-wolfmountain")
    extra = {name: float(value) for name, value in found.extra.items()}
    assert extra["soma_j"] == pytest.approx(extra["soma_access_j"] + extra["soma_update_j"] + extra["soma_spike_j"])
    assert extra["network_j"] == pytest.approx(extra["packet_j"] + extra["hop_j"])
    assert float(np.sum(found.row_energy_j)) == pytest.approx(float(event_j(found)))
    parts = found.energy_j
    assert float(parts.total) == pytest.approx(float(event_j(found)) + float(parts.static) + float(parts.host))


@pytest.mark.parametrize("graph", GRAPHS)
def test_columns_of_a_device_are_single_estimates(graph: str) -> None:
    columns = {
        "neurons_per_core": [64.0, 256.0, 1024.0, 300.0],
        "mesh_width": [2.0, 4.0, 8.0, 6.0],
        "mesh_height": [4.0, 2.0, 4.0, 3.0],
        "cores_per_tile": [4.0, 2.0, 1.0, 3.0],
        "packet_j": [1e-12, 2e-12, 1e-10, 5e-11],
        "synapse_conv_s": [1e-9, 2e-9, 4e-9, 3e-9],
        "barrier_plateau_s": [0.0, 1e-6, 2e-6, 1e-6],
        "barrier_limit_tiles": [0.0, 3.0, 29.0, 1.0],
    }
    swept = cost(graph, own={name: np.array(values)[:, None] for name, values in columns.items()})
    for i in range(4):
        single = cost(graph, own={name: values[i] for name, values in columns.items()})
        assert swept.latency_s[i] == pytest.approx(float(single.latency_s))
        assert swept.energy_j.total[i] == pytest.approx(float(single.energy_j.total))
        np.testing.assert_allclose(swept.row_energy_j[i], single.row_energy_j)


def test_columns_of_firing_rates_are_single_estimates() -> None:
    rates = np.array([[0.01], [0.2], [0.7]])
    swept = cost("dvs_gesture", firing_rate=rates)
    for i, rate in enumerate(rates[:, 0]):
        assert swept.latency_s[i] == pytest.approx(float(cost("dvs_gesture", firing_rate=float(rate)).latency_s))


def test_timesteps_add_up_to_the_inference() -> None:
    fired = np.linspace(0.0, 0.3, 128)
    known = Statistics({name: {"fired": fired} for name in ("conv1", "conv2", "conv3", "conv4")})
    chip, mapping = TARGET.device("loihi1"), TARGET.mapping(layers=known)
    program = TARGET.lower(hwsim.load("dvs_gesture"), device=chip, mapping=mapping)
    found, steps = TARGET.cost(program, device=chip, mapping=mapping), by_timestep(program, device=chip, mapping=mapping)
    assert np.sum(steps["synapse_j"]) == pytest.approx(float(found.extra["synapse_j"]))
    assert np.sum(steps["time_s"]) == pytest.approx(float(found.latency_s))


def test_populations_in_one_core_take_turns() -> None:
    roomy = TARGET.device("loihi1").with_overrides({"neurons_per_core": 1e5, "synapse_bits_per_core": 1e9, "axons_out_per_core": 1e5})
    mapping = TARGET.mapping()
    program = TARGET.lower(hwsim.load("keyword_spotter"), device=roomy, mapping=mapping)
    apart, shared = (TARGET.cost(program, device=replace(roomy, partition=p), mapping=mapping) for p in ("even", "shared"))
    assert float(shared.resources["cores"].used) == 1
    parts = shared.row_parts_s
    alone = max(np.sum(parts.overhead), np.sum(parts.compute) + np.sum(parts.memory))
    assert float(shared.latency_s) == pytest.approx(float(alone) + 10 * 0.6e-6)
    assert float(shared.latency_s) > float(apart.latency_s) - 10 * 0.4e-6


# bad input

BAD = {
    "layer,fired\nconv1,1.5\n": "layer 'conv1', fired: found '1.5'; expected 0 to 1",
    "layer,fired\nconv1,often\n": "layer 'conv1', fired: found 'often'; expected a number",
    "layer,cores\nconv1,0\n": "layer 'conv1', cores: found '0'; expected a whole number of at least 1",
    "layer,cores\nconv1,1.5\n": "layer 'conv1', cores: found '1.5'; expected a whole number of at least 1",
    "layer,peak\nconv1,0.5\n": "layer 'conv1', peak: found '0.5'; expected a number of at least 1",
    "layer,rates\nconv1,0.5\n": "columns layer, rates; expected `layer`, `timestep` if wanted, and any of cores, first_core, peak, fired, ",
    "": "columns none; expected `layer`",
    "layer,fired\nconv9,0.5\n": "no layer conv9 in the network; it has conv1, conv1_lif, ",
    "layer,timestep,fired\nconv1,1,0.5\nconv1,2,0.5\n": "2 timesteps of a layer; expected 1 or the 128 of the network",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_statistics_say_what_and_where(text: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    path.write_text(text)
    with pytest.raises(InputError) as found:
        cost("dvs_gesture", layers=str(path))
    assert BAD[text] in str(found.value)
    assert "layers.csv" in str(found.value)


def test_a_file_that_is_not_there_and_an_unknown_split() -> None:
    with pytest.raises(InputError, match="cannot read the statistics 'no.csv'"):
        cost("dvs_gesture", layers="no.csv")
    with pytest.raises(UnknownName, match="Did you mean 'rows'"):
        cost("dvs_gesture", split="row")
