"""Operation-count energy under the conventions of papers, firing rates, the zoo's spiking transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.conventions import CONVENTIONS, convention, counted_energy_j, operation_energy
from hwsim.errors import InputError, UnknownName
from hwsim.rates import Rates


@pytest.mark.parametrize("width", [256, 384, 512])
def test_meta_spikeformer_has_the_operations_of_its_code(width: int, data_dir: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(data_dir / "neuro" / "spiking_transformers" / f"meta_spikeformer_8_{width}_layers.csv")
    graph = hwsim.load(f"meta_spikeformer_8_{width}")
    own = {n.path: graph.work_of(n).macs for n in graph.nodes if n.kind in ("conv", "linear")}
    assert own == dict(zip(table.layer, table.dense_macs_per_timestep, strict=True))


def test_spikingformer_is_the_log_of_its_authors(data_dir: Path) -> None:
    pytest.importorskip("pandas")
    from hwsim.datasets.spiking_counts import spikingformer_rows

    rows = spikingformer_rows()
    np.testing.assert_allclose(rows["predicted_j"], rows["measured_j"], rtol=1e-4)
    assert rows["predicted_j"].sum() == pytest.approx(7.463502601886196e-3, rel=1e-4)


@pytest.mark.parametrize(
    ("multiplications", "additions", "energy_mj"), [(0.54e9, 0.56e9, 2.5), (2.03e9, 2.09e9, 9.4), (6.54e9, 6.75e9, 30.25)]
)
def test_ecoformer_is_its_published_table(multiplications: float, additions: float, energy_mj: float) -> None:
    """PVTv2-B0, B1 and B3 of EcoFormer, arXiv:2209.09004."""
    found = counted_energy_j(convention("ecoformer"), multiplications=multiplications, additions=additions)
    assert found * 1e3 == pytest.approx(energy_mj, rel=0.01)


def test_an_ordinary_network_is_all_multiply_accumulates() -> None:
    graph = hwsim.load("resnet50")
    found = operation_energy(graph, convention=convention("strict-binary"))
    assert found.acs == 0
    assert found.macs == pytest.approx(graph.macs, rel=0.01)
    assert found.energy_j == pytest.approx(4.6e-12 * found.macs)


def test_conventions_order_as_their_energies_do() -> None:
    graph = hwsim.load("spikformer_8_384")
    energy = {name: operation_energy(graph, convention=c).energy_j for name, c in CONVENTIONS.items()}
    assert energy["spikformer"] < energy["strict-binary"] < energy["with-memory"]
    assert energy["bitnet-7nm"] < energy["bitnet-45nm"] < energy["strict-binary"]


def test_only_the_first_convolution_of_spikingformer_sees_no_spikes() -> None:
    found = operation_energy(hwsim.load("spikingformer_8_512"), convention=convention("strict-binary"))
    assert [layer.path for layer in found.layers if layer.macs] == ["patch_embed.proj_conv", "head"]


def test_density_of_tensors_is_a_rate() -> None:
    from dataclasses import replace

    b = hwsim.GraphBuilder("one", timesteps=4)
    x = b.add("neuron", [b.input("x", (1, 10))], path="lif")
    graph = b.finish([b.add("linear", [x, b.weight((5, 10))], path="fc")])
    plain = operation_energy(graph, convention=convention("strict-binary"))
    assert plain.layers[0].assumed
    known = graph.replace(tensors={n: replace(t, density=0.25) if n == x else t for n, t in graph.tensors.items()})
    found = operation_energy(known, convention=convention("strict-binary"))
    assert (found.layers[0].assumed, found.acs) == (False, 0.25 * 50 * 4)


BAD_RATES: dict[str, tuple[str, str]] = {
    "a.csv": ("layer,rate\nfc,1.5\n", "layer 'fc': the rate is 1.5; expected 0 to 1 (spikes a neuron and timestep)"),
    "b.csv": ("layer,rate\nfc,often\n", "layer 'fc': found 'often'; expected a number"),
    "c.csv": ("name,rate\nfc,0.1\n", "columns name, rate; expected `layer` and one of rate, firing_rate, input_rate, "),
    "d.json": ("[1]", "found a list; expected an object of layer and rate"),
    "e.json": ("{", "no JSON ("),
}


@pytest.mark.parametrize("name", BAD_RATES)
def test_bad_rates_say_what_and_where(name: str, tmp_path: Path) -> None:
    text, message = BAD_RATES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as found:
        Rates.read(tmp_path / name)
    assert message in str(found.value)
    assert name in str(found.value)


def test_layers_that_a_file_leaves_out_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"patch_embed.proj_conv1": 0.2}))
    with pytest.raises(
        InputError, match=r"no rate for block\.0\.attn\.k_conv, block\.0\.attn\.proj_conv, .* and \d+ more; add a line a layer"
    ):
        operation_energy(hwsim.load("spikingformer_8_512"), convention=convention("strict-binary"), rates=Rates.read(path))


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'spikformer'"):
        convention("spikeformer")


def test_command(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hwsim.cli import cli

    run: Any = CliRunner().invoke(cli, ["operations", "meta_spikeformer_8_384", "--convention", "strict-binary", "--json"])
    (found,) = json.loads(run.output)
    assert (found["timesteps"], found["convention"]) == (4, "strict-binary")
    assert found["energy_j"] == pytest.approx(sum(layer["energy_j"] for layer in found["layers"]))


def test_published_energies_imply_the_rates_of_the_shared_table(data_dir: Path) -> None:
    pandas = pytest.importorskip("pandas")
    from hwsim.datasets.spiking_published import implied

    found = {x.row: x for x in implied()}
    table = pandas.read_csv(data_dir / "neuro" / "spiking_transformers" / "sdt_v1_configs.csv")
    for row in table.itertuples():
        x = found[row.model]
        assert x.rate(x.mac_j) == pytest.approx(row.implied_mean_rate_firstT4, rel=0.01)
        assert x.rate(x.once_j) == pytest.approx(row.implied_mean_rate_firstT1, rel=0.01)


def test_every_published_row_says_whether_it_can_be_reached(data_dir: Path) -> None:
    pytest.importorskip("pandas")
    from hwsim.datasets.spiking_published import implied, published_detail

    verdicts = {(x.row, x.convention): x.verdict for x in implied() if not x.passes}
    spikformer = "Spikformer-8-384 (counting 2: non-binary input counts as MAC)"
    assert verdicts[spikformer, "strict-binary"] == "no rate: multiplications alone exceed it"
    assert verdicts[spikformer, "spikformer"] == "reached"
    assert verdicts["DeiT-B (ANN)", "strict-binary"] == "no spikes: +0.5 %"
    assert published_detail().count("\n|") == len(implied()) + 2


def test_what_counts_as_a_spike_decides_a_spikformer() -> None:
    """7.73 mJ with integers as spikes needs a mean rate of 0.39; at these rates those of sums as multiply-accumulates cost four times."""
    rates = Rates({"patch_embed": {"rate": 0.39}, "block": {"rate": 0.39}}, "all alike")
    graph = hwsim.load("spikformer_8_384")
    with_integers, strict = (
        operation_energy(graph, convention=convention(c), rates=rates).energy_j for c in ("spikformer", "strict-binary")
    )
    assert with_integers == pytest.approx(7.73e-3, rel=0.01)
    assert strict / with_integers > 12.43 / 7.73


@pytest.mark.parametrize(("suite", "bar"), [("neuro-spike-driven", 0.5), ("neuro-meta", 0.5)])
def test_operations_are_those_of_the_code(suite: str, bar: float, data_dir: Path) -> None:
    pytest.importorskip("pandas")
    from hwsim import validation

    (found,), skipped = validation.run([suite])
    assert not skipped
    assert found.overall is not None
    assert found.overall.p90 < bar


@pytest.mark.parametrize("target", ["loihi2", "a100-sxm-80gb"])
def test_conventions_stand_beside_the_estimate_and_never_in_it(target: str) -> None:
    plain = hwsim.estimate("keyword_spotter", target)
    beside = hwsim.estimate("keyword_spotter", target, conventions=["strict-binary", "with-memory", "strict-binary"])
    assert [c.convention.name for c in beside.conventions] == ["strict-binary", "with-memory"]
    assert (beside.energy_j, beside.latency_s) == (plain.energy_j, plain.latency_s)
    document = beside.to_dict()
    assert document["energy_j"] == plain.to_dict()["energy_j"]
    assert [c["name"] for c in document["conventions"]] == ["strict-binary", "with-memory"]
    assert document["conventions"][0]["source"].startswith("Spikingformer, arXiv:2304.11954; Horowitz")
    page = beside.to_html()
    assert "Operation counts, as papers do" in page
    assert "no part of the energy above" in page
    assert "Operation counts" not in plain.to_html()


def test_an_estimate_takes_timesteps_and_rates_for_its_conventions(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"layer1": 0.2, "output": 0.4}))
    found = hwsim.estimate("keyword_spotter", "loihi1-wolfmountain", conventions=["strict-binary"], rates=path, timesteps=5)
    (counted,) = found.conventions
    assert (counted.timesteps, counted.assumed_count) == (5, 0)
    assert {x.path: x.rate for x in counted.layers} == {"layer0": 1.0, "layer1": 0.2, "output": 0.4}
    assert found.mapping.rates == str(path)


def test_rates_on_a_target_without_spikes_need_a_convention(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"layer1": 0.2, "output": 0.4}))
    assert hwsim.estimate("keyword_spotter", "a100-sxm-80gb", conventions=["spikformer"], rates=path).conventions[0].assumed_count == 0
    with pytest.raises(UnknownName, match="rates"):
        hwsim.estimate("keyword_spotter", "a100-sxm-80gb", rates=path)


def test_commands_show_conventions(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hwsim.cli import cli

    run: Any = CliRunner().invoke(cli, ["estimate", "keyword_spotter", "--on", "loihi2", "--convention", "spikformer", "-q"])
    assert "Operation counts, as papers do" in run.output
    assert "Spikformer, arXiv:2209.15425" in run.output
    run = CliRunner().invoke(cli, ["operations", "--list"])
    assert all(name in run.output for name in CONVENTIONS)
    assert "24.96 pJ/B" in run.output
    run = CliRunner().invoke(cli, ["operations"])
    assert "Missing argument 'MODEL'; --list shows the conventions alone." in run.output


def mlp() -> hwsim.Graph:
    b = hwsim.GraphBuilder("mlp", timesteps=8)
    x = b.add("neuron", [b.input("x", (1, 784))], path="encode", model="if")
    x = b.add("neuron", [b.add("linear", [x, b.weight((128, 784))], path="fc1")], path="lif1")
    return b.finish([b.add("neuron", [b.add("linear", [x, b.weight((10, 128))], path="fc2")], path="lif2")])


def test_memory_makes_a_small_network_a_hundred_times_as_expensive() -> None:
    """784-128-10 over 8 timesteps: 160,128 synaptic operations are 0.150 uJ and, with memory, 16.36 uJ by spikingjelly 2.0."""
    rates = Rates({"fc1": {"rate": 160_128 / (8 * 784 * 128)}, "fc2": {"rate": 0.0}}, "rates")
    plain, memory = (operation_energy(mlp(), convention=convention(c), rates=rates) for c in ("strict-binary", "with-memory"))
    assert plain.energy_j == pytest.approx(0.9e-12 * 160_128)  # spikingjelly adds 6,384 additions of neurons
    by_path = {x.path: x for x in memory.layers}
    found = sum(by_path[p].energy_j for p in ("fc1", "fc2", "lif1", "lif2"))
    assert found == pytest.approx(16.357e-6 - 0.9e-12 * 6_384, rel=1e-3)
    assert by_path["lif1"].memory_b == 2 * 8 * 128 * 4
    assert memory.energy_j == pytest.approx(memory.memory_j + plain.energy_j)


def test_attention_without_products_costs_tokens_times_width() -> None:
    """SDSA-1: N D additions a timestep at the sum of the rates of q, k and v (arXiv:2307.01694, table 1)."""
    graph = hwsim.load("spike_driven_8_384")
    rates = Rates({"patch_embed": {"rate": 0.2}, "block": {"rate": 0.2}, "head": {"rate": 0.1}}, "rates")
    named = {**rates.by_path, **{f"block.{i}.attn.sdsa": {"q": 0.1, "k": 0.2, "v": 0.3} for i in range(8)}}
    for given, rate in ((rates, 0.2), (Rates(named, "rates"), 0.6)):
        found = operation_energy(graph, convention=convention("strict-binary"), rates=given)
        sums = [x for x in found.layers if x.path.endswith("kv_sum")]
        assert [x.acs for x in sums] == [pytest.approx(rate * 4 * 196 * 384)] * 8


def test_attention_with_products_is_charged_where_the_sparser_operand_fires() -> None:
    """SSA and SDSA-3: T heads N d^2 (min(r_k, r_v) + r_q)."""
    graph = hwsim.load("meta_spikeformer_8_256")
    paths = [n.path for n in graph.nodes if n.kind == "conv"]
    given = {**{p: {"rate": 0.2} for p in paths}, "head": {"rate": 0.1}}
    given |= {f"block3.{i}.attn": {"q": 0.1, "k": 0.2, "v": 0.3} for i in range(6)}
    given |= {f"block4.{i}.attn": {"q": 0.1, "k": 0.2, "v": 0.3} for i in range(2)}
    found = operation_energy(graph, convention=convention("strict-binary"), rates=Rates(given, "rates"))
    first = {x.path: x.acs for x in found.layers if x.path.startswith("block3.0.attn.ssa")}
    size = 4 * 8 * 196 * 32**2
    assert first == {"block3.0.attn.ssa_kv": pytest.approx(0.2 * size), "block3.0.attn.ssa_qkv": pytest.approx(0.1 * size)}


def test_energies_of_conventions_are_those_of_the_literature(data_dir: Path) -> None:
    """Every constant is a row of the table of published operation energies, in its node and number format."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(data_dir / "neuro" / "op_energy_tables.csv").set_index("quantity")
    memory = table.loc["memory per byte (STEP: 3.12 pJ/bit)"].value_pJ
    for c in CONVENTIONS.values():
        rows = table[table.node == c.node.replace(" ", "")]
        assert c.multiply_j * 1e12 == pytest.approx(rows.loc[f"{c.number_format} mult"].value_pJ)
        assert c.add_j * 1e12 == pytest.approx(rows.loc[f"{c.number_format} add"].value_pJ)
        assert c.memory_j_per_b * 1e12 in (0, pytest.approx(memory))
        assert c.source


def test_the_command_loads_networks_as_others_do() -> None:
    from click.testing import CliRunner

    from hwsim.cli import cli

    def energy(*arguments: str) -> float:
        run: Any = CliRunner().invoke(cli, ["operations", *arguments, "--convention", "strict-binary", "--json"])
        return json.loads(run.output)[0]["energy_j"]

    assert energy("resnet18", "--batch", "2") == pytest.approx(2 * energy("resnet18"))
    assert energy("meta_spikeformer_8_256", "--pass", "reparameterise") < energy("meta_spikeformer_8_256")
