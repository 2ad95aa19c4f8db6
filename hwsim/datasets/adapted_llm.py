"""Adapters of measurements on large language models: operators, collectives, serving, training steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas
from hwsim.datasets.sources import SUSPECT, files, joined, scaled, spelt, table

Tell = Callable[[str], None]
VIDUR = "gpu/vidur"
VIDUR_DEVICES = {"a100": "a100-sxm-80gb", "h100": "h100-sxm-80gb", "v100": "v100-sxm2-16gb"}
STATISTICS = ("min", "mean", "max", "std")
"""Beside the median, which is the label."""
COPIED = "h100_pairwise_nvlink__send_recv"
"""A file that repeats the numbers of another board."""
SERVING_DEVICES = {
    "Nvidia A100 GPU": "a100-sxm-40gb", "AMD MI250 GPU": "mi250", "Habana Gaudi2": "gaudi2", "SambaNova SN40L": "sn40l",
    "Intel Max 1550": "intel-max-1550", "Intel PVC GPU": "intel-max-1550",
}  # fmt: skip
SERVED = {
    "meta-llama/Llama-2-7b-hf": "llama2_7b", "meta-llama/Meta-Llama-3-8B": "llama3_8b", "meta-llama/Meta-Llama-3-70B": "llama3_70b",
    "mistralai/Mistral-7B-v0.1": "mistral_7b",
}  # fmt: skip
"""Models that the zoo builds; the others are named as on the Hugging Face Hub."""


def operators(tell: Tell) -> dict[str, Any]:
    """Operators of transformer layers, with and without tensor parallelism; median of a few runs."""
    frames: list[Any] = []
    for name in files(VIDUR, "compute__*__mlp.csv.gz"):
        _, device, *model, _ = name.split("__")
        frames += list(
            _layer_operators(table(VIDUR, name, need=("num_tokens", "n_embd")), VIDUR_DEVICES.get(device, device), "/".join(model))
        )
        tell(f"read {device} {'/'.join(model)}")
    for name in files(VIDUR, "old_*__attention.csv.gz"):
        _, version, device = name.partition("__")[0].split("_")
        frames += list(_attention(table(VIDUR, name, need=("kv_cache_size",)), VIDUR_DEVICES.get(device, device), version))
    return joined(frames)


def _layer_operators(found: Any, device: str, model: str) -> Iterator[Any]:
    ways = found.num_tensor_parallel_workers
    sizes = _product_sizes(found)
    shape = {"tokens": found.num_tokens, "n_embd": found.n_embd, "n_head": found.n_head, "n_kv_head": found.n_kv_head, "ways": ways}
    for operator in _operators(found):
        product = sizes.get(operator)
        made = _timed(found, operator, spelt("gemm", product) if product else spelt(operator, shape))
        flop = 2.0 * product["m"] * product["n"] * product["k"] if product else np.nan
        yield made.assign(**{
            "device": device, "group": model, "mapping.dtype": "fp16", "protocol.tool": "vidur", "protocol.version": "7d47513",
            "protocol.tensor_parallel": ways, "fact.operator": operator, "flop": flop,
        })  # fmt: skip


def _product_sizes(found: Any) -> dict[str, dict[str, Any]]:
    """Sizes of one worker's share of each matrix product of a layer."""
    tokens, width, ways = found.num_tokens, found.n_embd, found.num_tensor_parallel_workers
    heads = width + 2 * width // found.n_head * found.n_kv_head
    into = found.n_expanded_embd * (1 + found.use_gated_mlp.astype(int))
    return {
        "attn_pre_proj": {"m": tokens, "n": heads // ways, "k": width},
        "attn_post_proj": {"m": tokens, "n": width, "k": width // ways},
        "mlp_up_proj": {"m": tokens, "n": into // ways, "k": width},
        "mlp_down_proj": {"m": tokens, "n": width, "k": found.n_expanded_embd // ways},
    }


def _operators(found: Any) -> list[str]:
    return [c.split(".")[1] for c in found.columns if c.startswith("time_stats.") and c.endswith(".median")]


def _timed(found: Any, operator: str, graph: Any) -> Any:
    """Rows of one operator: median as the label, the other statistics beside it; all in ms in the source."""
    head = f"time_stats.{operator}"
    facts = {f"fact.{s}_s": scaled(found[f"{head}.{s}"], 1e-3) for s in STATISTICS}
    return pandas().DataFrame({"graph": graph, "latency_s": scaled(found[f"{head}.median"], 1e-3), **facts})


def _attention(found: Any, device: str, version: str) -> Iterator[Any]:
    """Prefill with a cache before it, or decoding; an operator that a row did not run is no row."""
    shape = {
        "batch": found.batch_size, "chunk": found.prefill_chunk_size, "kv": found.kv_cache_size, "q_heads": found.n_q_head,
        "kv_heads": found.n_kv_head, "n_embd": found.n_embd, "ways": found.num_tensor_parallel_workers,
    }  # fmt: skip
    for operator in _operators(found):
        ran = found[f"time_stats.{operator}.median"].notna()
        made = _timed(found, operator, spelt(operator, shape))[ran]
        yield made.assign(**{
            "device": device, "group": "attention", "mapping.dtype": "fp16", "protocol.tool": "vidur",
            "protocol.version": version, "protocol.tensor_parallel": found.num_tensor_parallel_workers, "fact.operator": operator,
            "protocol.kernel": found.attention_backend.str.rpartition(".")[2].str.lower(),
        })  # fmt: skip


def collectives(tell: Tell) -> dict[str, Any]:
    """All-reduce and send-receive over NVLink and between nodes."""
    frames = []
    for name in files(VIDUR, "network__*.csv.gz"):
        _, system, operator = name.removesuffix(".csv.gz").split("__")
        found = table(VIDUR, name, need=("num_workers", "size", "devices_per_node"))
        made = _timed(found, operator, spelt(operator, {"bytes": found["size"], "workers": found.num_workers}))
        copied = "the same numbers stand in the file of a100_pairwise_nvlink" if COPIED in name else None
        frames.append(made.assign(**{
            "device": VIDUR_DEVICES.get(system.partition("_")[0], system), "protocol.tool": "vidur",
            "protocol.version": "7d47513", SUSPECT: copied,
            "protocol.system": system, "protocol.devices_per_node": found.devices_per_node,
        }))  # fmt: skip
        tell(f"read {system} {operator}")
    old = table(VIDUR, "old_fd83878_v100__all_reduce.csv.gz", need=("num_workers", "n_embd", "num_tokens"))
    sizes = {"bytes": 2 * old.n_embd * old.num_tokens, "workers": old.num_workers}
    system = {"device": VIDUR_DEVICES["v100"], "protocol.tool": "vidur", "protocol.version": "fd83878", "protocol.system": "v100"}
    return joined([*frames, _timed(old, "all_reduce", spelt("all_reduce", sizes)).assign(**system)])


def serving_overheads(tell: Tell) -> dict[str, Any]:
    """Time of a serving engine's own steps (scheduling, sampling, preparing inputs) by model and batch; median where stated."""
    frames = []
    for name in files(VIDUR, "*__cpu_overheads.csv.gz"):
        found = table(VIDUR, name, need=("model_name", "batch_size", "tensor_parallel_degree")).rename(columns=str.lower)
        steps = sorted({c.rpartition("_")[0] for c in found.columns if c.endswith(("_mean", "_median"))})
        for step in steps:
            stated = [s for s in ("median", "mean") if f"{step}_{s}" in found.columns]
            frames.append(pandas().DataFrame({
                "graph": spelt(step, {"model": found.model_name, "batch": found.batch_size, "ways": found.tensor_parallel_degree}),
                "device": VIDUR_DEVICES["a100"], "group": found.model_name, "protocol.tool": "vidur",
                "protocol.version": name.split("_")[1], "protocol.batch": found.batch_size,
                "protocol.tensor_parallel": found.tensor_parallel_degree, "protocol.statistic": stated[0],
                "latency_s": scaled(found[f"{step}_{stated[0]}"], 1e-3),
            }))  # fmt: skip
        tell(f"read {len(steps)} steps of {name}")
    return joined(frames)


def serving(tell: Tell) -> dict[str, Any]:
    """Whole answers of served models: seconds of a batch, tokens a second, mean power where it was measured."""
    frames = [_served("All_results.csv"), _served("TP_PP_Results.csv"), _served("A100_H100_quant_all_results.csv")]
    frames += [_served("power_fig16a.csv"), _served("all_results_TTFT.csv"), _served("all_results_TTFT_ITL.csv")]
    tell(f"read {sum(map(len, frames)):,} runs")
    return joined(frames)


def _served(name: str) -> Any:
    found = table("gpu", "llm_inference_bench", name, need=("Hardware", "Framework", "Model", "Batch Size"))
    first = "TTFT" in name
    into = found["Input Length" if first else "Input Output Length"]
    out = 1024 if "ITL" in name else 1 if first else into
    whole = next((c for c in ("end_latency", "Latency", "latency") if c in found.columns and not (first and c == "Latency")), None)
    rate = next((c for c in ("Throughput", "throughput") if c in found.columns), None)
    start = next((c for c in ("TTFT Latency", "Latency") if first and c in found.columns), None)
    made = {
        "graph": found.Model.map(lambda m: SERVED.get(m, f"hf:{m}")),
        "device": found.Hardware.map(lambda h: SERVING_DEVICES.get(h, h)),
        "group": found.Model,
        "protocol.tool": found.Framework,
        "protocol.batch": found["Batch Size"],
        "protocol.devices": found["Num of Hardware"],
        "protocol.input_tokens": into,
        "protocol.output_tokens": out,
        "protocol.parallelism": found.get("Parallelism Type"),
        "protocol.precision": found.get("kv_cache_dtype"),
        "fact.file": name,
    }
    labels = {"latency_s": (whole, 1.0), "first_token_s": (start, 1.0), "tokens_hz": (rate, 1.0), "power_w": ("avg_power", 1e-3)}
    given = {key: (column, scale) for key, (column, scale) in labels.items() if column in found.columns}
    return pandas().DataFrame({**made, **{key: scaled(found[column], scale) for key, (column, scale) in given.items()}})


def training(tell: Tell) -> dict[str, Any]:
    """Megatron's time of a training step, and its memory of activations, on A100."""
    steps = table("gpu", "calculon", "megatron_table5.csv", need=("model", "recompute", "measured_s"))
    memory = table("gpu", "calculon", "megatron_fig1_memory.csv", need=("model", "recompute", "reference_gib"))
    frames = [
        _trained(steps, "tab5").assign(latency_s=scaled(steps.measured_s), **{"fact.calculon_s": steps.calculon_s}),
        _trained(memory, "fig1").assign(
            activation_b=scaled(memory.reference_gib, 2.0**30), **{"fact.calculon_b": memory.calculon_gib * 2.0**30}
        ),
    ]
    tell(f"read {len(steps) + len(memory)} training steps")
    return joined(frames)


_SETUP = ("num_procs", "tensor_par", "pipeline_par", "data_par", "batch_size", "microbatch_size", "pipeline_interleaving")


def _trained(found: Any, part: str) -> Any:
    setups = [_json("validation", "seqsel", part, f"{r.model}_{r.recompute}.json") for r in found.itertuples()]
    sizes = [_json("models", f"{m}.json") for m in found.model]
    graphs = ["megatron?" + "&".join(f"{k}={v}" for k, v in s.items()) for s in sizes]
    setup = {f"protocol.{name}": [s.get(name) for s in setups] for name in _SETUP}
    own = {"graph": graphs, "device": "a100-sxm-80gb", "group": found.model, "mapping.dtype": "fp16", "protocol.tool": "megatron"}
    return pandas().DataFrame({**own, "protocol.recompute": found.recompute, **setup})


def _json(*parts: str) -> dict[str, Any]:
    return json.loads(data_path("gpu", "calculon", *parts).read_text(encoding="utf-8"))
