"""Firing rates from other people's files: their names for layers, their logs, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.conventions import convention, operation_energy
from hwsim.errors import InputError
from hwsim.rate_names import canonical
from hwsim.rates import Rates

NETWORKS = ("spikformer_8_384", "spikingformer_8_384", "spike_driven_8_384", "meta_spikeformer_8_256", "spikformer_4_384_cifar")


def counted(graph: hwsim.Graph, rates: Rates | None = None) -> Any:
    return operation_energy(graph, convention=convention("spikformer"), rates=rates)


def rates_of(graph: hwsim.Graph) -> dict[str, Any]:
    """A rate for every layer on spikes, all different, q, k and v for attention; products of an attention share theirs."""
    found: dict[str, Any] = {}
    for i, layer in enumerate(x for x in counted(graph).layers if x.acs):
        scope, _, last = layer.path.rpartition(".")
        if last in ("ssa_kv", "ssa_qkv", "kv_sum"):
            found[f"{scope}.ssa_qkv"] = {"q": 0.11, "k": 0.22, "v": 0.33}
        else:
            found[layer.path] = round(0.05 + i / 1000, 4)
    return found


def write(folder: Path, content: Mapping[str, Any]) -> Rates:
    path = folder / "rates.json"
    path.write_text(json.dumps(content))
    return Rates.read(path)


def csv(content: Mapping[str, Any]) -> str:
    lines = ["layer,type,input_spike_rate_pct"]
    for name, rate in content.items():
        value = ";".join(f"{k}={v}" for k, v in rate.items()) if isinstance(rate, dict) else str(100 * rate)
        lines.append(f"{name},X,{value}")
    return "\n".join(lines)


def log(content: Mapping[str, Any]) -> str:
    lines = ["Creating model", "Info of Conv/Linear layers:"]
    lines += [
        f"('{n}', Conv2d(3, 64, kernel_size=(3, 3)), array([3.4e+08, 0.0, 3.4e+08, {100 * r!r}]))"
        for n, r in content.items()
        if not isinstance(r, dict)
    ]
    attention = [[r["q"], r["k"], r["v"]] for r in content.values() if isinstance(r, dict)]
    return "\n".join([*lines, "Firing rate of Q/K/V inputs in each block:", str(attention), "Energy consumption: 7.46 mJ"])


RENAMED: dict[str, Callable[[str], str]] = {
    "as it is": lambda n: n,
    "wrapped": lambda n: f"module.{n}",
    "wrapped twice": lambda n: f"module.backbone.{n}",
    "brackets": lambda n: n.replace("block.", "block[").replace(".attn", "].attn").replace(".mlp", "].mlp") if "block." in n else n,
    "plural": lambda n: n.replace("block.", "blocks."),
    "short": lambda n: n.replace("_conv", "") if "attn" in n or "mlp" in n else n,
    "linear": lambda n: n.replace("_conv", "_linear") if "attn" in n or "mlp" in n else n,
    "weights": lambda n: n if n.endswith("ssa_qkv") else f"{n}.weight",
}


@pytest.mark.parametrize("how", RENAMED)
@pytest.mark.parametrize("name", NETWORKS)
def test_other_names_of_the_same_layers(name: str, how: str, tmp_path: Path) -> None:
    graph = hwsim.load(name)
    given = rates_of(graph)
    expected = counted(graph, write(tmp_path, given))
    assert expected.assumed_count == 0
    found = counted(graph, write(tmp_path, {RENAMED[how](n): r for n, r in given.items()}))
    assert found.layers == expected.layers


@pytest.mark.parametrize("name", NETWORKS[:3])
def test_csv_json_and_logs_hold_the_same(name: str, tmp_path: Path) -> None:
    graph = hwsim.load(name)
    given = rates_of(graph)
    expected = counted(graph, write(tmp_path, given)).energy_j
    for suffix, text in ((".csv", csv(given)), (".log", log(given)), (".txt", log(given))):
        path = tmp_path / f"rates{suffix}"
        path.write_text(text)
        assert counted(graph, Rates.read(path)).energy_j == pytest.approx(expected, rel=1e-9)


def test_the_layer_by_layer_sum_is_that_of_the_formula(tmp_path: Path) -> None:
    """4.6 pJ x first layer x T + 0.9 pJ x sum of rate x T x operations, attention T heads N d^2 (min(k, v) + q)."""
    graph = hwsim.load("spikingformer_8_384")
    given = rates_of(graph)
    work = {
        n.path: (graph.work_of(n).macs, graph.tensors[n.outputs[0]].size if len(n.inputs) > 2 else 0)
        for n in graph.nodes
        if n.kind == "conv"
    }
    spikes = sum(4 * (macs + bias) * given[p] for p, (macs, bias) in work.items() if p in given)
    attention = 8 * 4 * 8 * 196 * 48**2 * (min(0.22, 0.33) + 0.11)
    first = 4 * work["patch_embed.proj_conv"][0] + (384 * 1000 + 1000)
    found = counted(graph, write(tmp_path, given))
    assert found.energy_j == pytest.approx(4.6e-12 * first + 0.9e-12 * (spikes + attention), rel=1e-9)


def test_a_rate_for_a_block_counts_for_what_is_in_it(tmp_path: Path) -> None:
    graph = hwsim.load("spikingformer_8_384")
    found = counted(graph, write(tmp_path, {"patch_embed": 0.1, "module.block.0": 0.3, **{f"block.{i}": 0.2 for i in range(1, 8)}}))
    rates = {x.path: x.rate for x in found.layers}
    assert (rates["patch_embed.rpe_conv"], rates["block.0.mlp.fc2_conv"], rates["block.7.attn.ssa_kv"]) == (0.1, 0.3, 0.2)


def test_rates_of_neurons_are_those_of_what_they_feed(tmp_path: Path) -> None:
    """As the hooks of Spike-driven Transformer record them, by timestep."""
    step: dict[str, float] = {f"MS_SPS_lif{i}": 0.1 for i in ("", 1, 2, 3)} | {"head_lif": 0.05}
    for i in range(8):
        step |= {f"MS_SSA_Conv{i}_{n}": 0.2 for n in ("first_lif", "q_lif", "k_lif", "v_lif", "kv", "x_after_qkv")}
        step |= {f"MS_MLP_Conv{i}_{n}": 0.3 for n in ("fc1_lif", "fc2_lif")}
    graph = hwsim.load("spike_driven_8_384")
    found = counted(graph, write(tmp_path, {"t0": step, "t1": {n: r + 0.02 for n, r in step.items()}}))
    rates = {x.path: x.rate for x in found.layers}
    assert found.assumed_count == 0
    assert rates["patch_embed.proj_conv1"] == pytest.approx(0.11)
    assert rates["block.3.attn.proj_conv"] == pytest.approx(0.21)
    assert rates["block.7.mlp.fc1_conv"] == pytest.approx(0.31)
    assert rates["head"] == pytest.approx(0.06)
    assert rates["block.0.attn.kv_sum"] == pytest.approx(3 * 0.21)


def test_merged_convolutions_read_what_the_first_of_them_reads(tmp_path: Path) -> None:
    given = rates_of(hwsim.load("meta_spikeformer_8_256"))
    merged = hwsim.load("meta_spikeformer_8_256", passes=["reparameterise"])
    rates = {x.path: x.rate for x in counted(merged, write(tmp_path, given)).layers}
    assert rates["block3.2.attn.k_conv.0.body"] == given["block3.2.attn.k_conv.0.body.0"]
    shorter = {n.replace("_conv.0.body.0", "_conv"): r for n, r in given.items()}
    assert {x.path: x.rate for x in counted(merged, write(tmp_path, shorter)).layers} == rates


def test_one_rate_for_an_attention(tmp_path: Path) -> None:
    graph = hwsim.load("spikingformer_8_384")
    given = {n: 0.07 if isinstance(r, dict) else r for n, r in rates_of(graph).items()}
    found = counted(graph, write(tmp_path, {n.replace("ssa_qkv", "SSA".lower()): r for n, r in given.items()}))
    assert {x.rate for x in found.layers if x.kind == "matmul"} == {0.07}


def test_column_sums_may_do_without_and_products_may_not(tmp_path: Path) -> None:
    driven, forming = hwsim.load("spike_driven_8_384"), hwsim.load("spikingformer_8_384")
    without = {n: r for n, r in rates_of(driven).items() if not isinstance(r, dict)}
    found = counted(driven, write(tmp_path, without))
    assert [x.path for x in found.layers if x.assumed] == [f"block.{i}.attn.kv_sum" for i in range(8)]
    assert sum(x.energy_j for x in found.layers if x.assumed) < 1e-3 * found.energy_j
    with pytest.raises(InputError, match=r"no rate for block\.0\.attn\.ssa_kv, block\.0\.attn\.ssa_qkv, .* and 11 more"):
        counted(forming, write(tmp_path, {n: r for n, r in rates_of(forming).items() if not isinstance(r, dict)}))


def test_neurons_behind_a_sum_say_nothing_about_it(tmp_path: Path) -> None:
    """What Spikformer's projections read are sums of spikes; the rate of one of the summands is not theirs."""
    graph = hwsim.load("spikformer_8_384")
    neurons = {n.path: 0.1 for n in graph.nodes if n.kind == "neuron"}
    with pytest.raises(InputError, match=r"no rate for block\.0\.attn\.k_conv, block\.0\.attn\.q_conv"):
        counted(graph, write(tmp_path, neurons))


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, "many"])
def test_less_than_one_timestep_is_refused(timesteps: object) -> None:
    graph = hwsim.load("keyword_spotter")
    with pytest.raises(InputError, match=r"^keyword_spotter: timesteps is .*; expected a whole number of at least 1"):
        counted(graph.replace(attrs={**graph.attrs, "timesteps": timesteps}))


def test_a_printed_module_tree_has_rates_too(tmp_path: Path) -> None:
    path = tmp_path / "syops.log"
    path.write_text(
        "MLP(\n"
        "  (layer0): Linear(390, 256, 99840.0 Ops, 0.0 Ops, 0.000% ACs, 100.000% Spike Rate, SpkStat: None)\n"
        "  (body): Sequential(\n"
        "    (lif0): LIFNode(\n"
        "      tau=2.0, 0, 0.000% Params, 12.500% Spike Rate, SpkStat: None\n"
        "      (surrogate_function): Sigmoid()\n"
        "    )\n"
        "  )\n"
        "  (layer1): Linear(256, 256, 65536.0 Ops, 25.000% Spike Rate)\n"
        "  (output): Linear(256, 29, 50.000% Spike Rate)\n"
        ")\n"
    )
    found = operation_energy(hwsim.load("keyword_spotter"), convention=convention("strict-binary"), rates=Rates.read(path))
    assert {x.path: x.rate for x in found.layers} == {"layer0": 1.0, "layer1": 0.25, "output": 0.5}


def test_nested_modules_and_lists_of_timesteps(tmp_path: Path) -> None:
    graph = hwsim.load("keyword_spotter")
    found = counted(graph, write(tmp_path, {"model": {"layer1": [0.1, 0.3], "output": {"rate": 0.4}}}))
    assert {x.path: x.rate for x in found.layers if x.acs} == {"layer1": pytest.approx(0.2), "output": 0.4}


def test_names_of_both_tokenizers() -> None:
    assert canonical("patch_embed.proj_conv2") == canonical("patch_embed.proj2_conv") == canonical("patch_embed.block2_conv")
    assert canonical("patch_embed.rpe_conv") == canonical("patch_embed.proj4_conv")
    assert canonical("patch_embed.proj_lif1") == canonical("patch_embed.proj2_lif")
    assert canonical("block.0.mlp.mlp1_conv") == canonical("block[0].mlp.fc1_conv")


ERRORS: dict[str, tuple[Any, str]] = {
    "above 1": ({"layer1": 1.5, "output": 0.1}, "rates.json, layer 'layer1': the rate is 1.5; expected 0 to 1"),
    "below 0": ({"layer1": -0.1, "output": 0.1}, "rates.json, layer 'layer1': the rate is -0.1; expected 0 to 1"),
    "text": ({"layer1": "often", "output": 0.1}, "rates.json, layer 'layer1': found 'often'; expected a number"),
    "typo": ({"layer_1": 0.1, "output": 0.1}, "no rate for layer1; did you mean 'layer1' by its 'layer_1'?; add a line a layer"),
    "strangers": ({"abc": 0.1, "xyz": 0.1}, "no rate for layer1, output; it has abc, xyz; add a line a layer"),
    "missing": ({"output": 0.1}, "no rate for layer1; add a line a layer (or one for the block around it), or leave the file out"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_what_is_wrong_names_the_layer_and_the_remedy(what: str, tmp_path: Path) -> None:
    content, message = ERRORS[what]
    with pytest.raises(InputError) as found:
        counted(hwsim.load("keyword_spotter"), write(tmp_path, content))
    assert message in str(found.value)


def test_a_log_without_rates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("epoch 1\nepoch 2\n")
    with pytest.raises(InputError, match=r"train\.log: no firing rates found; expected CSV with `layer` and `rate`, JSON, or a log with"):
        Rates.read(path)
