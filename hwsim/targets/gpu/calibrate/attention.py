"""Fit and validate the attention model on prefill, decode and encoder kernels (AIConfigurator, bf16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.datasets import aiconfigurator
from hwsim.ops.dense import attended_frac
from hwsim.targets.gpu.calibrate import fitting
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.attention import AttentionColumns, AttentionConstants, attention_time
from hwsim.targets.gpu.operator_features import attentions

ROWS = 1200
"""Rows a device and operator that the fit sees."""
BOUNDS: fitting.Bounds = {
    "decode_s": (5e-6, 1e-6, 3e-5),
    "encoder_s": (1e-5, 1e-6, 3e-5),
    "context_s": (1e-5, 1e-6, 3e-5),
    "context_pass_count": (1.5, 0.01, 6.0),
    "tensor_frac": (0.7, 0.2, 1.0),
    "special_frac": (0.5, 0.01, 2.0),
    "key_clk": (2.0, 0.01, 40.0),
    "prologue_clk": (3000, 50, 3e4),
    "smooth_frac": (0.5, 0.02, 0.98),
    "split_frac": (0.5, 0.05, 4.0),
    "dram_frac": (0.8, 0.4, 1.0),
    "ramp_s": (2e-6, 1e-7, 2e-5),
    "l2_frac": (0.5, 0.05, 3.0),
    "resident_frac": (0.3, 0.02, 2.0),
}
"""Start, low, high."""
PROTOCOL = ("encoder_s", "context_s", "context_pass_count")
"""What belongs to the measurement and not to the kernel: the call of the encoder and context sets, and the passes over queries,
keys and values in which the context set rotates them and fills the cache."""


@dataclass(frozen=True)
class Set:
    """Measured attention kernels of one device and operator."""

    device: GpuDevice
    columns: AttentionColumns
    measured_s: np.ndarray
    operator: str


def load_set(name: str, operator: str, *, rows: int | None = ROWS) -> Set | None:
    """Kernels of one device; None where the set has no such operator."""
    if operator == "encoder_attention" and name == "a100-sxm-80gb":
        return None
    found = aiconfigurator.frame(operator, aiconfigurator.BACKENDS[name])
    found = found[found.attn_dtype == "bfloat16"]
    if rows is not None and rows < len(found):
        found = found.sample(rows, random_state=0)
    return Set(GpuDevice.from_shelf(name), attentions(**sizes(found, operator)), found.latency.to_numpy(float) * 1e-3, operator)


def sizes(found: Any, operator: str) -> dict[str, np.ndarray]:
    """Sizes of measured kernels of one operator, each of shape `(rows,)`, by the names that `attention_columns` takes."""
    heads = found.num_heads.to_numpy(float)
    kv = found.num_key_value_heads.to_numpy(float) if "num_key_value_heads" in found else heads
    kv = np.where(kv == 0, heads, kv)
    queries = found.isl.to_numpy(float)
    keys = queries + (found.step.to_numpy(float) if operator == "generation_attention" else 0.0)
    window = found.window_size.to_numpy(int) if "window_size" in found else np.zeros(len(found), int)
    causal = operator != "encoder_attention"
    share = [attended_frac(int(q), int(k), causal=causal, window=int(w) or None) for q, k, w in zip(queries, keys, window, strict=True)]
    quantised = found.kv_cache_dtype.eq("fp8").to_numpy() if "kv_cache_dtype" in found else np.zeros(len(found), bool)
    return {
        "batch": found.batch_size.to_numpy(float),
        "query_heads": heads,
        "kv_heads": kv,
        "query_len": queries,
        "key_len": keys,
        "head_dim": found.head_dim.to_numpy(float),
        "attended_frac": np.asarray(share),
        "kv_b": np.where(quantised & (operator == "generation_attention"), 1.0, 2.0),
    }


def load_all(*, rows: int | None = ROWS) -> dict[str, list[Set]]:
    """Sets by device."""
    operators = ("context_attention", "generation_attention", "encoder_attention")
    loaded = {name: [load_set(name, op, rows=rows) for op in operators] for name in aiconfigurator.BACKENDS}
    return {name: [s for s in sets if s is not None] for name, sets in loaded.items()}


def predict(chosen: Set, values: Mapping[str, float]) -> np.ndarray:
    """Seconds of every row."""
    constants = AttentionConstants(**{n: values[n] for n in BOUNDS if n not in PROTOCOL})
    time = attention_time(chosen.columns, device=chosen.device, constants=constants)
    if chosen.operator == "generation_attention":
        return time.latency_s
    core = time.latency_s - time.overhead_s
    if chosen.operator == "encoder_attention":
        return core + values["encoder_s"]
    passes = values["context_pass_count"] * chosen.columns.io_b / (constants.dram_frac * chosen.device.dram_b_per_s)
    return core + passes + values["context_s"]


def fit(sets: list[Set]) -> dict[str, float]:
    """Constants from the kernels of `sets`."""
    return fitting.fit(BOUNDS, lambda v: np.concatenate([np.log(predict(s, v) / s.measured_s) for s in sets]))


def roofline_s(chosen: Set) -> np.ndarray:
    """Work over the datasheet's peak or bytes over its bandwidth, whichever is longer."""
    return np.maximum(chosen.columns.flop / chosen.device.peak_op_per_s("bf16"), chosen.columns.io_b / chosen.device.dram_b_per_s)


def validation_rows() -> dict[str, np.ndarray]:
    """All measured kernels, each predicted with constants fitted on the other devices."""
    sample, full = load_all(), load_all(rows=5000)
    parts = []
    for name, sets in full.items():
        values = fit([s for other, known in sample.items() if other != name for s in known])
        parts += [_rows(s, predict(s, values)) for s in sets]
    return fitting.joined(parts)


def _rows(chosen: Set, predicted: np.ndarray) -> dict[str, np.ndarray]:
    device, group = np.full(len(predicted), chosen.device.name), np.full(len(predicted), chosen.operator)
    return {"device": device, "group": group, "measured_s": chosen.measured_s, "predicted_s": predicted, "roofline_s": roofline_s(chosen)}


def write() -> None:
    """Fit on all devices and write `targets/gpu/fitted/attention.yaml`."""
    sets = [s for known in load_all().values() for s in known]
    values = fit(sets)
    fitting.write(
        "attention",
        {n: v for n, v in values.items() if n not in PROTOCOL},
        dataset="AIConfigurator context, generation and encoder attention, bf16 (trtllm)",
        points=sum(len(s.measured_s) for s in sets),
        devices=list(aiconfigurator.BACKENDS),
        measured=np.concatenate([s.measured_s for s in sets]),
        predicted=np.concatenate([predict(s, values) for s in sets]),
        assumed={"prefill_s": (AttentionConstants.prefill_s, "a little more than a decode kernel; the calls of the sets hide it")},
    )


if __name__ == "__main__":
    write()
