"""Adapters of training runs under power limits and locked clocks (Zeus, Perseus)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import files, joined, scaled, table

Tell = Callable[[str], None]
FOLDER = "gpu/zeus"
DEVICES = {
    "A40": "a40", "a40": "a40", "V100": "v100-pcie-32gb", "v100": "v100-pcie-32gb", "p100": "p100-pcie-16gb", "rtx6000": "quadro-rtx-6000",
    "A100": "a100-pcie-80gb", "a100_sxm": "a100-sxm-80gb",
}  # fmt: skip


def power_limits(tell: Tell) -> dict[str, Any]:
    """Time and energy of training: windows under a limit, epochs, steps of pipelines, single stages at locked clocks."""
    frames = [_windows(name) for name in files(FOLDER, "*+gpu*.csv")]
    frames += [_epochs(name) for name in files(FOLDER, "summary_power_*.csv")]
    frames += [_steps(name) for name in files(FOLDER, "sosp24_*_zeus_*.csv")]
    frames += [_stages(name) for name in files(FOLDER, "sosp24_stage_profile_*.csv")]
    tell(f"read {sum(map(len, frames)):,} runs")
    return joined(f.assign(**{"protocol.tool": "zeus"}) for f in frames)


def _windows(name: str) -> Any:
    """A fixed number of training iterations, which the source does not state, under each limit."""
    board, network, _ = name.split("+")
    found = table(*FOLDER.split("/"), name, need=("window_name", "elapsed_time", "gpu0_energy"))
    energies = [c for c in found.columns if c.endswith("_energy")]
    return pandas().DataFrame({
        "graph": f"zeus:{network}?part=window&gpus={len(energies)}", "device": DEVICES.get(board, board), "group": f"window {network}",
        "protocol.part": "window",
        "protocol.power_limit_w": found.window_name.str.rpartition("_")[2].astype(int), "protocol.gpus": len(energies),
        "latency_s": scaled(found.elapsed_time), "energy_j": sum(scaled(found[c]) for c in energies),
    })  # fmt: skip


def _epochs(name: str) -> Any:
    board = name.removesuffix(".csv").rpartition("_")[2]
    found = table(*FOLDER.split("/"), name, need=("dataset", "network", "batch_size", "power_limit", "time_per_epoch", "average_power"))
    return pandas().DataFrame({
        "graph": "zeus:" + found.network + "?part=epoch&data=" + found.dataset,
        "device": DEVICES.get(board, board),
        "group": "epoch " + found.network, "protocol.part": "epoch", "protocol.batch": found.batch_size,
        "protocol.optimizer": found.optimizer,
        "protocol.power_limit_w": found.power_limit, "protocol.gpus": 1,
        "latency_s": scaled(found.time_per_epoch), "power_w": scaled(found.average_power),
    })  # fmt: skip


def _steps(name: str) -> Any:
    """A step of a pipeline; each stage has its limit."""
    found = table(*FOLDER.split("/"), name, need=("model_name", "partition_method", "pp", "time", "energy"))
    limits = sorted(c for c in found.columns if c.startswith("power_limit_"))
    texts = found[limits].fillna(0).astype(int).astype(str)
    made = {f"protocol.{key}": found[key] for key in ("dp", "tp", "pp", "microbatch_size", "num_microbatches", "partition_method")}
    return pandas().DataFrame({
        "graph": "zeus:" + found.model_name + "?part=step", "device": DEVICES.get(name.split("_")[1], name.split("_")[1]),
        "group": "step " + found.model_name,
        "protocol.part": "step", "protocol.batch": found.batch_size, "protocol.gpus": found.dp * found.tp * found.pp, **made,
        "protocol.power_limits_w": texts.apply("/".join, axis=1), "latency_s": scaled(found.time), "energy_j": scaled(found.energy),
    })  # fmt: skip


def _stages(name: str) -> Any:
    """One stage of a pipeline, forward or backward, at a locked clock."""
    model, _, board = name.removeprefix("sosp24_stage_profile_").removesuffix("_bf16.csv").partition("+")
    found = table(*FOLDER.split("/"), name, need=("stage", "instruction", "frequency", "time", "energy"))
    return pandas().DataFrame({
        "graph": f"zeus:{model}?part=stage&stage=" + found.stage.astype(str) + "&pass=" + found.instruction,
        "device": DEVICES.get(board, board),
        "group": f"stage {model}", "mapping.dtype": "bf16", "protocol.part": "stage", "protocol.clock_mhz": found.frequency,
        "protocol.gpus": 1,
        "latency_s": scaled(found.time), "energy_j": scaled(found.energy),
    })  # fmt: skip


def training_epochs(tell: Tell) -> dict[str, Any]:
    """Epochs that a training run needed to a target; runs that never got there have none."""
    found = table(*FOLDER.split("/"), "summary_train.csv", need=("dataset", "network", "batch_size", "target_metric", "target_epoch"))
    tell(f"read {len(found):,} training runs")
    return joined([pandas().DataFrame({
        "graph": "zeus:" + found.network + "?part=epoch&data=" + found.dataset, "device": "any", "group": found.network,
        "protocol.tool": "zeus", "protocol.batch": found.batch_size, "protocol.optimizer": found.optimizer,
        "protocol.learning_rate": found.learning_rate, "protocol.run": found.run, "protocol.target": found.target_metric,
        "epochs_count": scaled(found.target_epoch),
    })])  # fmt: skip
