"""The neuromorphic chips of the shelf: every number with a source, published values exact, nobody's energies not passed off as known."""

from __future__ import annotations

from typing import Any

import pytest

import hwsim
from hwsim import shelf, units, yaml12
from hwsim.quantities import STATUSES, Quantity
from hwsim.report.json import estimate_dict
from hwsim.targets.neuromorphic.device import FIELDS, NeuroDevice

NAMES = tuple(shelf.devices("neuromorphic"))
EXPECTED = """
    akida-akd1000 brainscales2 loihi1 loihi1-wolfmountain loihi2 neuromorphic-generic odin speck spinnaker1 spinnaker1-spinn3 spinnaker2
    tianjic truenorth xylo
"""
EVENTS = tuple(f for f in FIELDS if f.endswith("_j"))
SYNAPSES = ("synapse_dense_j", "synapse_sparse_j", "synapse_conv_j")
KNOWN = {
    "loihi1": EVENTS,
    "loihi1-wolfmountain": EVENTS,
    "truenorth": SYNAPSES,
    "spinnaker1": ("soma_access_j", "soma_spike_j", *SYNAPSES),
    "spinnaker1-spinn3": ("soma_access_j", "soma_spike_j", *SYNAPSES),
    "spinnaker2": ("soma_update_j", *SYNAPSES),
    "tianjic": SYNAPSES,
    "odin": SYNAPSES,
}
"""Energies of events that somebody measured or published; all others must be assumed or left out."""
SYNAPSE = {
    "truenorth": ("2.5 pJ", "published"),
    "spinnaker1": ("9.59 nJ", "measured"),
    "spinnaker2": ("450 pJ", "published"),
    "tianjic": ("1.54 pJ", "published"),
    "odin": ("12.7 pJ", "published"),
}
LOIHI1 = {
    "soma_access_j": "51.2 pJ",
    "soma_update_j": "21.6 pJ",
    "soma_spike_j": "69.3 pJ",
    "synapse_dense_j": "35.5 pJ",
    "synapse_sparse_j": "33.6 pJ",
    "synapse_conv_j": "24.0 pJ",
    "packet_j": "111 pJ",
    "hop_east_j": "3.0 pJ",
    "hop_north_j": "4.2 pJ",
    "soma_access_s": "6.0 ns",
    "soma_update_s": "3.7 ns",
    "soma_spike_s": "30.0 ns",
    "axon_out_s": "5.1 ns",
    "axon_in_s": "16.0 ns",
    "synapse_dense_s": "3.8 ns",
    "synapse_sparse_s": "4.7 ns",
    "synapse_conv_s": "3.1 ns",
    "core_count": "128",
    "neurons_per_core": "1024",
    "synapse_bits_per_core": "1048576",
    "axons_in_per_core": "4096",
    "axons_out_per_core": "4096",
    "cores_per_tile": "4",
    "mesh_width": "8",
    "mesh_height": "4",
    "static_w": "29.5 mW",
}
"""SANA-FE's arch/loihi.yaml, the limits of nengo-loihi, and the idle logs of the keyword spotter's paper."""


def chip(name: str) -> NeuroDevice:
    return NeuroDevice.from_shelf(name)


def stated(name: str) -> dict[str, Quantity]:
    """What the description of a chip states, without defaults."""
    raw: dict[str, Any] = shelf.description(name, family="neuromorphic")["fields"]
    return {key: chip(name).sources[key] for key in raw}


def test_the_shelf_has_the_chips_that_it_should() -> None:
    assert set(EXPECTED.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_chip_loads(name: str) -> None:
    found = chip(name)
    assert found.name == name and found.vendor and found.architecture
    assert found.core_count == int(found.core_count) >= 1
    assert found.mesh_width * found.mesh_height * found.cores_per_tile in (1, found.core_count) or found.cores_per_tile == 1
    assert found.shared_weights in (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_stated_number_has_a_source_and_a_unit(name: str) -> None:
    for key, quantity in stated(name).items():
        assert " " in quantity.source.strip(), (key, quantity.source)
        assert quantity.status in STATUSES[:-1] and quantity.unit == FIELDS[key].unit, key
    content = yaml12.load(shelf.devices("neuromorphic")[name])
    cited = {str(raw["source"]) for raw in content["fields"].values()}
    assert cited == set(content["sources"]), "a source that no field cites, or a field that cites none of them"
    for key, raw in content["fields"].items():
        if FIELDS[key].unit != "1":
            assert isinstance(raw["value"], str) and raw["value"].endswith(FIELDS[key].unit), f"{key} has no unit"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_assumed_has_a_range_or_is_off(name: str) -> None:
    for key, quantity in stated(name).items():
        if quantity.status == "assumed" and quantity.value:
            assert quantity.low is not None and quantity.high is not None and quantity.low < quantity.high, key


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_in_sane_ranges(name: str) -> None:
    for key, quantity in stated(name).items():
        if key.endswith("_j") and quantity.value:
            assert 1e-13 <= quantity.value <= 1e-6, key
        if key.endswith("_s") and quantity.value:
            assert 1e-10 <= quantity.value <= 1e-2, key
        if key.endswith("_w"):
            assert 0 <= quantity.value <= 100, key


@pytest.mark.parametrize(("field", "value"), LOIHI1.items())
def test_loihi_1_has_its_published_values(field: str, value: str) -> None:
    quantity = chip("loihi1").sources[field]
    assert quantity.value == units.parse(value, FIELDS[field].unit)
    assert quantity.status == ("measured" if field == "static_w" else "published")


@pytest.mark.parametrize(("tiles_log2", "expected"), [(0, "0.6 us"), (1, "1.0 us"), (2, "1.4 us"), (4.858, "1.8 us")])
def test_loihi_1_barrier_agrees_with_the_published_table(tiles_log2: float, expected: str) -> None:
    found = chip("loihi1")
    barrier = min(found.barrier_s + tiles_log2 * found.barrier_doubling_s, found.barrier_limit_s)
    assert barrier == pytest.approx(units.parse(expected, "s"), rel=1e-9)


def test_the_bare_loihi_1_has_no_host_and_the_board_differs_in_nothing_else() -> None:
    bare, board = chip("loihi1"), chip("loihi1-wolfmountain")
    assert (bare.host_w, bare.host_timestep_s, bare.host_inference_s) == (0, 0, 0)
    assert board.host_w == pytest.approx(70e-3) and board.host_timestep_s == pytest.approx(0.87e-3)
    assert {f for f in FIELDS if getattr(bare, f) != getattr(board, f)} == {"host_w", "host_timestep_s"}


@pytest.mark.parametrize("name", NAMES)
def test_energies_that_nobody_published_are_not_passed_off_as_known(name: str) -> None:
    known = {key for key in EVENTS if chip(name).sources[key].status in ("measured", "datasheet", "published")}
    assert known == set(KNOWN.get(name, ()))


@pytest.mark.parametrize(("name", "value", "status"), [(name, *known) for name, known in SYNAPSE.items()])
def test_published_energy_of_a_synaptic_operation(name: str, value: str, status: str) -> None:
    for key in SYNAPSES:
        quantity = chip(name).sources[key]
        assert (quantity.value, quantity.status) == (units.parse(value, "J"), status)


def test_spinnaker_1_says_that_its_sources_conflict() -> None:
    quantity = chip("spinnaker1").sources["synapse_dense_j"]
    assert "45 pJ" in quantity.note and "13.3 nJ" in quantity.note
    assert (quantity.low, quantity.high) == (units.parse("45 pJ", "J"), units.parse("13.3 nJ", "J"))
    assert chip("spinnaker1-spinn3").core_count == 4 * chip("spinnaker1").core_count


def test_truenorth_has_its_published_power_at_its_published_load() -> None:
    """26 pJ an event of all power, at 20 Hz and 128 synapses a neuron (Merolla et al. 2014)."""
    found = chip("truenorth")
    events_per_s = 20 * 128 * found.core_count * found.neurons_per_core
    assert found.static_w + found.synapse_dense_j * events_per_s == pytest.approx(26e-12 * events_per_s, rel=0.03)


@pytest.mark.parametrize(
    ("name", "neurons", "synapses"),
    [
        ("loihi1", 131072, None),
        ("loihi2", 1048576, None),
        ("truenorth", 1048576, 268435456),
        ("brainscales2", 512, 131072),
        ("speck", 327680, 278528),
        ("tianjic", 39936, None),
        ("odin", 256, 65536),
        ("xylo", 1008, 64000),
    ],
)
def test_limits_of_the_cores_add_up_to_those_of_the_chip(name: str, neurons: int, synapses: int | None) -> None:
    found = chip(name)
    assert found.core_count * found.neurons_per_core == pytest.approx(neurons, rel=1e-4)
    if synapses is not None:
        stored = found.core_count * found.synapse_bits_per_core / (found.weight_bits + found.synapse_overhead_bits)
        assert stored == pytest.approx(synapses, rel=1e-4)


def test_speck_has_the_cores_of_its_compiler() -> None:
    """Nine cores: kernel memory 16/16/16/32/32/64/64/16/16 Ki weights, neuron memory 64/64/64/32/32/16/16/16/16 Ki (sinabs 3.1.3)."""
    found = chip("speck")
    cores = [(k.synapse_bits / 8 / 1024, k.neurons / 1024) for k in found.core_kinds for _ in range(k.count)]
    assert found.partition == "whole"
    assert [k for k, _ in cores] == [16, 16, 16, 32, 32, 64, 64, 16, 16]
    assert [n for _, n in cores] == [64, 64, 64, 32, 32, 16, 16, 16, 16]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", ["keyword_spotter", "pilotnet_lif"])
def test_every_chip_has_an_answer_or_a_reason(name: str, model: str) -> None:
    e = hwsim.estimate(model, name)
    assert e.energy_j >= 0 and float(e.cost.resources["cores"].used) >= 1
    assert e.fits == (not e.reasons) and all(len(reason.split()) > 4 for reason in e.reasons)
    if not (chip(name).soma_update_j and chip(name).synapse_dense_j):
        assert any("event energy is a lower bound" in w for w in e.warnings)
    assert (e.latency_s == 0) == (f"no published times of {name}: latency 0 stands for unknown" in e.warnings)
    assert (e.throughput_per_s == 0) == (e.latency_s == 0)
    assert estimate_dict(e)["throughput_per_s"] == e.throughput_per_s


@pytest.mark.parametrize("name", NAMES)
def test_only_boards_have_a_host(name: str) -> None:
    found = chip(name)
    assert name == "loihi1-wolfmountain" or (found.host_w, found.host_timestep_s, found.host_inference_s) == (0, 0, 0)


def test_nobody_published_the_event_energies_of_loihi_2() -> None:
    """One fitted factor on Loihi 1's, in a range that holds every measured run (`test_neuro_pilotnet`)."""
    found, old = chip("loihi2").sources, chip("loihi1")
    factors = set()
    for key in EVENTS:
        quantity, before = found[key], getattr(old, key)
        assert quantity.status == "fitted" and "not published" in quantity.note, key
        assert quantity.low == pytest.approx(0.5 * before) and quantity.high == pytest.approx(before), key
        factors.add(round(quantity.value / before, 2))
    assert len(factors) == 1 and 0.5 < factors.pop() < 1


def test_the_made_up_chip_claims_nothing() -> None:
    found = stated("neuromorphic-generic")
    assert set(found) == set(FIELDS)
    assert chip("neuromorphic-generic").partition == "even"
    assert {quantity.status for quantity in found.values()} == {"assumed"}


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Loihi", "loihi1"),
        ("loihi", "loihi1"),
        ("Loihi 2", "loihi2"),
        ("Oheo Gulch", "loihi2"),
        ("DynapCNN", "speck"),
        ("Akida", "akida-akd1000"),
        ("SpiNNaker", "spinnaker1"),
    ],
)
def test_other_names(alias: str, name: str) -> None:
    assert shelf.find(alias).stem == name
