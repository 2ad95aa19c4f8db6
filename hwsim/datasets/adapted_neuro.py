"""Adapters of measurements on neuromorphic chips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.datasets.adapted_fpga import columns
from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import files, joined, scaled, spelt, table
from hwsim.targets.neuromorphic.calibrate import keywords, pilotnet


def loihi(tell: Callable[[str], None]) -> dict[str, Any]:
    """Keyword spotters on a Loihi board, PilotNet on Loihi 2 boards; an inference each."""
    rows: list[dict[str, Any]] = [
        {
            "graph": f"keyword_spotter?copies={int(row.n_copies)}",
            "device": keywords.BOARD,
            "group": "keyword_spotter",
            "protocol.tool": "nengo-loihi",
            "protocol.batch": int(row.batchsize),
            "latency_s": row.seconds_per_inf,
            "energy_j": row.total_J_per_inf,
            "power_w": row.running_W,
            "static_w": row.idle_W,
        }
        for row in keywords.runs().itertuples()
    ]
    for network in ("pilotnet_lif", "pilotnet_sdnn"):
        shared = {"graph": network, "device": pilotnet.CHIP, "group": network, "protocol.tool": "lava", "protocol.batch": 1}
        for run in pilotnet.runs(network):
            labels = {"timestep_s": run["timestep_s"], "energy_j": run["total_j"], "dynamic_j": run["dynamic_j"]}
            rows.append({**shared, **labels, "static_w": run["static_w"]})
    tell(f"read {len(rows)} runs")
    return columns(rows)


OTHERS = {
    "LOIHI": keywords.BOARD,
    "CPU": "xeon-e5-2630",
    "GPU": "quadro-k4000",
    "JETSON": "jetson-tx1",
    "MOVIDIUS": "movidius-ncs",
    "NCS2": "ncs2",
}
BOARDS = {
    "SpiNN3": "spinnaker1-spinn3", "SpiNN5": "spinnaker1-spinn5", "Spikey": "spikey", "NVIDIA RTX 2070": "rtx-2070",
    "AMD RYZEN 2600X": "ryzen-2600x", "Intel i7-4710MQ": "i7-4710mq",
}  # fmt: skip


def keyword_spotters(tell: Callable[[str], None]) -> dict[str, Any]:
    """The keyword spotters of Loihi's study on the other five processors, and the sizes on Loihi that no network here stands for."""
    found = table("neuro", "abr_kws", "abr_kws_measured.csv", need=("hardware", "n_copies", "n_inferences", "total_J_per_inf"))
    loihi = found.hardware == "LOIHI"
    found = found[~loihi | (found.n_copies == 0) | ~(found.n_layers > 0)]
    tell(f"read {len(found)} runs")
    return joined([pandas().DataFrame({
        "graph": spelt("keyword_mlp", {"copies": found.n_copies, "layers": found.n_layers.fillna(1).astype(int)}),
        "device": found.hardware.map(lambda h: OTHERS.get(h, h)), "group": "keyword_spotter", "protocol.tool": "as published",
        "protocol.batch": found.batchsize, "protocol.run": found.run, "latency_s": scaled(found.seconds / found.n_inferences),
        "energy_j": scaled(found.total_J_per_inf), "dynamic_j": scaled(found.dynamic_J_per_inf), "power_w": scaled(found.running_W),
        "static_w": scaled(found.idle_W),
    })])  # fmt: skip


def board_power(tell: Callable[[str], None]) -> dict[str, Any]:
    """Power of boards that run spiking benchmarks, their time and their spikes; the idle ones too."""
    found = table("neuro", "snabsuite", "benchmark_power_rows.csv", need=("platform", "benchmark", "runtime", "measured_power_W"))
    facts = {f"fact.{c}": found[c] for c in ("number_of_spikes_tar", "fan_out", "connections", "number_of_source_spikes", "n_rep")}
    rows = pandas().DataFrame({
        "graph": "snab:" + found.benchmark, "device": found.platform.map(lambda p: BOARDS.get(p, p)), "group": found.benchmark,
        "protocol.tool": "SNABSuite",
        "protocol.stage": "measured", "protocol.neurons": found.number_of_neurons, "protocol.biological_ms": found.bioruntime,
        "latency_s": scaled(found.runtime, 1e-3), "spikes_count": scaled(found.number_of_spikes), "power_w": scaled(found.measured_power_W),
        "static_w": scaled(found.idle_power_W), "fact.power_std_w": found.measured_std_W, **facts,
    })  # fmt: skip
    powers = table("neuro", "snabsuite", "measured_powers.csv", need=("platform", "state", "power_W"))
    idle = powers[powers.state == "idle"]
    rest = pandas().DataFrame({
        "graph": "snab:idle", "device": idle.platform.map(lambda p: BOARDS.get(p, p)), "group": "idle", "protocol.tool": "SNABSuite",
        "protocol.stage": "measured",
        "power_w": scaled(idle.power_W), "fact.power_std_w": idle.std_W,
    })  # fmt: skip
    fitted = table("neuro", "snabsuite", "event_energies.csv", need=("platform", "event", "energy_J"))
    events = pandas().DataFrame({
        "graph": "snab_event:" + fitted.event, "device": fitted.platform.map(lambda p: BOARDS.get(p, p)), "group": fitted.event,
        "protocol.tool": "SNABSuite",
        "protocol.stage": "fitted", "energy_j": scaled(fitted.energy_J), "fact.energy_std_j": fitted.std_J,
    })  # fmt: skip
    tell(f"read {len(rows)} benchmarks, {len(rest)} idle boards and {len(events)} fitted energies of events")
    return joined([rows, rest, events])


def published(tell: Callable[[str], None]) -> dict[str, Any]:
    """Published latencies and energies of networks on neuromorphic chips, one source a row; ratios and ranges have no label."""
    found = table("neuro", "published_rows.csv", need=("network", "task", "chip", "latency_ms", "energy_mJ_per_inf"))
    tell(f"read {len(found)} published rows")
    plain = {name: pandas().to_numeric(found[name], errors="coerce") for name in ("latency_ms", "throughput_inf_per_s")}
    energy = pandas().to_numeric(found.energy_mJ_per_inf, errors="coerce")
    dynamic = found.power_mW.astype(str).str.extract(r"([\d.]+) dynamic")[0]
    whole = found.power_mW.astype(str).str.extract(r"([\d.]+) (?:total|running)")[0]
    return joined([pandas().DataFrame({
        "graph": "published:" + found.network, "device": found.chip, "group": found.network, "protocol.tool": "as published",
        "protocol.task": found.task, "protocol.source": found.source, "protocol.stage": found.measured_or_model,
        "protocol.quantity": found.quantity, "latency_s": scaled(plain["latency_ms"], 1e-3),
        "inferences_hz": scaled(plain["throughput_inf_per_s"]), "energy_j": scaled(energy.where(found.quantity != "dynamic energy"), 1e-3),
        "dynamic_j": scaled(energy.where(found.quantity == "dynamic energy"), 1e-3),
        "power_w": scaled(whole, 1e-3), "dynamic_w": scaled(dynamic, 1e-3), "fact.power": found.power_mW, "fact.latency": found.latency_ms,
        "fact.energy": found.energy_mJ_per_inf, "fact.accuracy": found.accuracy_pct.astype(str), "fact.seen_as": found.seen_as,
    })])  # fmt: skip


SANAFE = {
    "fired": "fired_count", "updated": "updates_count", "packets": "packets_count", "hops": "hops_count", "spikes": "spikes_count",
    "sim_time": "latency_s", "synapse_energy": "synapse_j", "dendrite_energy": "dendrite_j", "soma_energy": "soma_j",
    "network_energy": "network_j", "total_energy": "energy_j",
}  # fmt: skip


def sanafe_steps(tell: Callable[[str], None]) -> dict[str, Any]:
    """What SANA-FE reports of every timestep of its DVS-gesture network, in three timing modes; energies of zero are none."""
    frames = []
    for name in files("neuro/sanafe_reference", "*.csv"):
        found = table("neuro", "sanafe_reference", name, need=("timestep", *SANAFE))
        labels = {metric: found[c].where(found[c] > 0) if metric.endswith("_j") else found[c] for c, metric in SANAFE.items()}
        timing = name.removesuffix(".csv").rpartition("_")[2]
        frames.append(pandas().DataFrame({
            "graph": spelt("sanafe_dvs_gesture", {"timestep": found.timestep}), "device": "loihi1", "group": "dvs_gesture",
            "protocol.tool": "sanafe", "protocol.version": "2.2.9", "protocol.stage": "simulated", "protocol.timing": timing, **labels,
        }))  # fmt: skip
    tell(f"read {sum(map(len, frames))} timesteps")
    return joined(frames)


def spike_counts(tell: Callable[[str], None]) -> dict[str, Any]:
    """Operations and firing rates by layer of Spikingformer-8-512 (measured over ImageNet), and multiply-adds of Meta-SpikeFormer."""
    rates = table("neuro", "spiking_transformers", "spikingformer_8_512_per_layer_rates.csv", need=("layer", "dense_ops", "acs", "macs"))
    several = rates.input_spike_rate_pct.astype(str).str.contains("=")  # attention has three inputs, as shares
    frames = [pandas().DataFrame({
        "graph": spelt("spikingformer_8_512", {"layer": rates.layer}), "device": "operation-count", "group": "spikingformer_8_512",
        "protocol.tool": "counted by the authors", "dense_count": scaled(rates.dense_ops), "additions_count": scaled(rates.acs),
        "products_count": scaled(rates.macs), "fact.kind": rates.type, "fact.rates": rates.input_spike_rate_pct.where(several),
        "input_rate_frac": scaled(rates.input_spike_rate_pct.mask(several), 0.01),
    })]  # fmt: skip
    for name in files("neuro/spiking_transformers", "meta_spikeformer_*_layers.csv"):
        found = table("neuro", "spiking_transformers", name)
        frames.append(_layers(found, name.removesuffix("_layers.csv")))
    tell(f"read {sum(map(len, frames))} layers")
    return joined(frames)


def _layers(found: Any, network: str) -> Any:
    sizes = {f"fact.{c}": found[c] for c in ("type", "cin", "cout", "k", "groups", "hout", "wout")}
    return pandas().DataFrame({
        "graph": spelt(network, {"layer": found.layer}), "device": "operation-count", "group": network, "protocol.tool": "our own count",
        "dense_count": scaled(found.dense_macs_per_timestep), **sizes,
    })  # fmt: skip


def cores(tell: Callable[[str], None]) -> dict[str, Any]:
    """Cores of Loihi 2 that its compiler gives each layer of two networks."""
    frames = []
    for name, network in {"pilotnet_lif_core_mapping.csv": "pilotnet_lif", "oxford_core_mapping.csv": "oxford"}.items():
        found = table("neuro", "loihi2_pilotnet", name, need=("layer", "loihi2_cores"))
        facts = {f"fact.{c}": found[c].astype(str) for c in found.columns if c not in ("layer", "loihi2_cores")}
        frames.append(pandas().DataFrame({
            "graph": spelt(network, {"layer": found.layer}), "device": pilotnet.CHIP, "group": network, "protocol.tool": "lava",
            "cores_count": scaled(found.loihi2_cores), **facts,
        }))  # fmt: skip
    tell(f"read {sum(map(len, frames))} layers")
    return joined(frames)
