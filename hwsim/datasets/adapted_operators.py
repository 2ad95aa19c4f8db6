"""Adapters of single operators: DeepBench on many kinds of processors, LLMCompass on A100 and MI210."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwsim.datasets.locate import pandas
from hwsim.datasets.sources import joined, scaled, spelt, table

Tell = Callable[[str], None]
DEEPBENCH_DEVICES = {
    "NV_T4": "t4", "NV_1080Ti": "gtx-1080ti", "NV_TitanX_Pascal": "titan-x-pascal", "NV_TitanXp": "titan-xp", "NV_P100": "p100-pcie-16gb",
    "NV_V100": "v100-sxm2-16gb", "NV_M40": "m40", "NV_TitanX": "titan-x-maxwell",
}  # fmt: skip
"""Others keep their name in lower case."""
PRECISIONS = {
    "Float": ("fp32", "fp32"),
    "16 bit inputs, 32 bit multiplication, 32 bit addition": ("fp16", "fp32"),
    "16 bit inputs, 16 bit multiplication, 32 bit addition": ("fp16", "fp16"),
}
"""(operands, products) of a precision in the data; the others have eight bits."""
PASSES = {"fwd_ms": "forward", "bwd_input_ms": "backward_input", "bwd_weight_ms": "backward_weight"}


def deepbench(tell: Tell) -> dict[str, Any]:
    """Matrix products, convolutions and recurrent layers, forward and backward."""
    gemm = table("gpu", "deepbench", "gemm.csv", need=("m", "n", "k", "time_ms"))
    sizes = {"m": gemm.m, "n": gemm.n, "k": gemm.k}
    frames = [_deepbench(gemm, spelt("gemm", sizes), "time_ms", "forward").assign(**{
        "mapping.transposed": gemm.a_t + gemm.b_t, "flop": 2.0 * gemm.m * gemm.n * gemm.k,
    })]  # fmt: skip
    conv = table("gpu", "deepbench", "conv.csv", need=("w", "h", "c", "n", "k", "fwd_ms"))
    rnn = table("gpu", "deepbench", "rnn.csv", need=("cell", "hidden", "n", "timesteps", "fwd_ms"))
    cells = spelt(rnn.cell.str.lower(), {"hidden": rnn.hidden, "batch": rnn.n, "timesteps": rnn.timesteps})
    for column, done in PASSES.items():
        frames.append(_deepbench(conv, spelt("conv", _conv_sizes(conv)), column, done).assign(flop=_conv_flop(conv)))
        frames.append(_deepbench(rnn, cells, column, done))
    run = [f[f.latency_s.notna()] for f in frames]
    tell(f"read {sum(map(len, run)):,} runs; passes that were not measured are no rows")
    return joined(run)


def _deepbench(found: Any, graph: Any, column: str, done: str) -> Any:
    """Rows of one pass."""
    kinds = [PRECISIONS.get(p, ("int8", "int8")) for p in found.precision]
    return pandas().DataFrame({
        "graph": graph, "device": found.device.map(lambda d: DEEPBENCH_DEVICES.get(d, str(d).lower().replace("_", "-"))),
        "mapping.dtype": [k[0] for k in kinds], "protocol.products": [k[1] for k in kinds], "protocol.tool": "DeepBench",
        "protocol.pass": done, "protocol.kind": found.kind, "protocol.sheet": found.sheet, "fact.algorithm": found.get("fwd_algo"),
        "latency_s": scaled(found[column], 1e-3),
    })  # fmt: skip


def _conv_sizes(c: Any) -> Mapping[str, Any]:
    """As in `gpu-convolutions`."""
    sizes = {"batch": c.n, "in_channels": c.c, "out_channels": c.k, "height": c.h, "width": c.w, "kernel_h": c.r, "kernel_w": c.s}
    one = pandas().Series(1, index=c.index)
    return {**sizes, "stride": c.stride_h, "padding_h": c.pad_h, "padding_w": c.pad_w, "groups": one}


def _conv_flop(c: Any) -> np.ndarray:
    high = (c.h + 2 * c.pad_h - c.r) // c.stride_h + 1
    wide = (c.w + 2 * c.pad_w - c.s) // c.stride_w + 1
    return (2.0 * c.n * c.k * c.c * c.r * c.s * high * wide).to_numpy()


BLOCK = (
    *("qkv_proj", "q_mul_k", "a_mul_v", "wo_proj", "w1_proj", "w2_proj", "softmax", "layer_norm_attention", "layer_norm_mlp", "gelu"),
    *("all_reduce_attention", "all_reduce_mlp"),
)
"""Operators of a block of GPT-3 175B on four A100, batch 8, 2048 tokens, in the order of the source's two lists."""


def llmcompass(tell: Tell) -> dict[str, Any]:
    """Matrix products and vector operators, and the operators of one transformer block."""
    frames = []
    for label, device in {"A100": "a100-sxm-80gb", "MI210": "mi210"}.items():
        frames.append(_products(label).assign(device=device))
        for name, columns in {"softmax": ("M", "N"), "layernorm": ("M", "N"), "gelu": ("N",)}.items():
            found = _lists(f"{name}_{label}.csv", *columns, "rate")
            elements = np.prod([found[c].to_numpy(float) for c in columns], axis=0)
            made = {"graph": spelt(name, {c: found[c] for c in columns}), "device": device, "latency_s": elements / scaled(found.rate, 1e9)}
            frames.append(pandas().DataFrame({**made, "mapping.dtype": "fp16" if label == "A100" else None}))
    frames += [_block("transformer_A100.csv", "prefill"), _block("transformerAR_A100.csv", "decode")]
    tell(f"read {sum(map(len, frames))} operators")
    return joined(f.assign(**{"protocol.tool": "torch"}) for f in frames)


def _lists(name: str, *columns: str) -> Any:
    return table("gpu", "llmcompass", name, header=None, names=list(columns), skipinitialspace=True)


def _products(label: str) -> Any:
    found = _lists(f"matmul_{label}.csv", "m", "k", "n", "time", "rate")
    return pandas().DataFrame({
        "graph": spelt("gemm", {"m": found.m, "n": found.n, "k": found.k}), "mapping.dtype": "fp16",
        "flop": 2.0 * found.m * found.n * found.k,
        "latency_s": scaled(found.time.str.removesuffix("ms"), 1e-3),
    })  # fmt: skip


def _block(name: str, phase: str) -> Any:
    found = _lists(name, "seconds")
    graphs = [f"gpt3_175b_block?operator={operator}" for operator in BLOCK[: len(found)]]
    return pandas().DataFrame({
        "graph": graphs, "device": "a100-sxm-80gb", "mapping.dtype": "fp16", "protocol.phase": phase, "protocol.batch": 8,
        "protocol.devices": 4, "latency_s": scaled(found.seconds),
    })  # fmt: skip
