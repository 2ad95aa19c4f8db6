"""Adapters of GPU measurements."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hwsim.datasets import aiconfigurator, convs, neusight, timm_infer
from hwsim.datasets.locate import data_path, pandas
from hwsim.datasets.sources import SUSPECT, files, joined, scaled, spelt, table
from hwsim.datasets.store import arrow
from hwsim.datasets.tables import NEEDED

Tell = Callable[[str], None]
AICONFIGURATOR_DEVICES = {
    "a100_sxm": "a100-sxm-80gb", "h100_sxm": "h100-sxm-80gb", "h200_sxm": "h200-sxm", "b200_sxm": "b200-sxm", "l40s": "l40s",
}  # fmt: skip
NEUSIGHT_DEVICES = {**neusight.DEVICES, "AMD Instinct MI100": "mi100", "AMD Instinct MI210": "mi210"}
TOO_FAST = "fp16_damoyolo"
"""Rows of a V100 that exceed its peak."""
BOARDS = {"v100-sxm2": "v100-sxm2-16gb", "p100-pcie": "p100-pcie-16gb", "v100-pcie": "v100-pcie-32gb"}
"""Boards that the sources of convolutions name without their memory."""
_STATED = ("framework", "version", "device", "op_name", "kernel_source", "latency", "power", "power_limit")
"""Columns of operators that are no sizes."""


def networks(tell: Tell) -> dict[str, Any]:
    """Named networks of timm, seconds a batch."""
    found = timm_infer.runs(whole=True)
    tell(f"timm: {len(found):,} runs")
    return {
        "graph": ("timm:" + found.model).to_numpy(),
        "device": found.device.to_numpy(),
        "group": found.model.map(timm_infer.family).to_numpy(),
        "mapping.runtime": found.runtime.to_numpy(),
        "mapping.dtype": found.dtype.to_numpy(),
        "mapping.layout": found.layout.to_numpy(),
        "mapping.image_size": found.image_size.to_numpy(),
        "protocol.tool": "torch",
        "protocol.version": found.torch.map(timm_infer.torch_version).to_numpy(dtype=object),
        "protocol.build": found.protocol.to_numpy(),
        "protocol.batch": found.batch.to_numpy(),
        "flop": (2e9 * found.infer_gmacs * found.batch).to_numpy(),
        "latency_s": arrow().array(found.measured_s.to_numpy(), from_pandas=True),
    }


CPU = re.compile(r"cpu-(\w+)")


def processors(tell: Tell) -> dict[str, Any]:
    """The same networks on a desktop processor."""
    found = table("gpu", "timm_infer.parquet", need=("device", "model", "infer_samples_per_sec", "infer_batch_size", "infer_gmacs"))
    found = found[found.device.str.startswith("cpu-")]
    tell(f"timm: {len(found):,} runs")
    return joined([pandas().DataFrame({
        "graph": "timm:" + found.model, "device": found.device.str.extract(CPU)[0].str.replace("_", "-"),
        "group": found.model.map(timm_infer.family), "mapping.runtime": np.where(found.device.str.endswith("dynamo"), "compile", "eager"),
        "mapping.dtype": found.precision, "mapping.layout": found.layout, "mapping.image_size": found.infer_img_size,
        "protocol.tool": "torch", "protocol.version": found.torch.map(timm_infer.torch_version), "protocol.build": found.device,
        "protocol.batch": found.infer_batch_size, "flop": 2e9 * found.infer_gmacs * found.infer_batch_size,
        "latency_s": scaled(found.infer_batch_size / found.infer_samples_per_sec),
    })])  # fmt: skip


def operators(tell: Tell) -> dict[str, Any]:
    """Single operators of serving back ends."""
    files = sorted(data_path("gpu", "aiconfigurator").glob("*/*/*_perf.parquet"))
    frames = []
    for path in files:
        operator, folder = path.name.removesuffix("_perf.parquet"), (path.parts[-3], path.parts[-2])
        tell(f"reading {'/'.join((*folder, operator))}")
        frames.append(_operator(operator, aiconfigurator.frame(operator, folder), AICONFIGURATOR_DEVICES.get(folder[0], folder[0])))
    whole = pandas().concat(frames, ignore_index=True)
    texts = {name: whole[name].to_numpy(dtype=object) for name in whole.columns if name.startswith(("mapping.", "protocol.", *NEEDED))}
    measured = np.concatenate([np.full(len(f), "power_w" in f.columns) for f in frames])
    power = {name: arrow().array(whole[name].to_numpy(), mask=~measured) for name in ("power_w", "fact.power_limit_w")}
    return {**texts, "flop": whole.flop.to_numpy(), "latency_s": whole.latency_s.to_numpy(), **power}


def _operator(operator: str, table: Any, device: str) -> Any:
    """Rows of one table; back ends differ in where `window_size` stands, so it comes last."""
    formats = [c for c in table.columns if c.endswith("dtype")]
    shapes = sorted((c for c in table.columns if c not in (*_STATED, *formats)), key=lambda c: c == "window_size")
    names = pandas().DataFrame({"graph": spelt(operator, {c: table[c] for c in shapes}), "device": device})
    made = names.assign(**{
        "mapping.dtype": table[formats[0]].to_numpy() if formats else None,
        "mapping.kv_cache_dtype": table.kv_cache_dtype.to_numpy() if "kv_cache_dtype" in formats else None,
        "protocol.tool": table.framework.str.lower().to_numpy(),
        "protocol.version": table.version.astype(str).to_numpy(),
        "protocol.kernel": table.kernel_source.to_numpy(),
        "flop": _flop(operator, table),
        "latency_s": table.latency.to_numpy() * 1e-3,
    })  # fmt: skip
    measured = "power" in table.columns
    return made.assign(**{"power_w": table.power.array, "fact.power_limit_w": table.power_limit.array} if measured else {})


def _flop(operator: str, table: Any) -> Any:
    if operator == "gemm":
        return 2.0 * table.m.to_numpy(float) * table.n.to_numpy(float) * table.k.to_numpy(float)
    if operator == "encoder_attention":
        heads = table.batch_size.to_numpy(float) * table.num_heads.to_numpy(float) * table.head_dim.to_numpy(float)
        return 4.0 * heads * table.isl.to_numpy(float) ** 2
    return np.nan


def kernels(tell: Tell) -> dict[str, Any]:
    """Single fp32 kernels called from PyTorch on NVIDIA and AMD GPUs; a board without a name on the shelf keeps the source's."""
    frames = []
    for name in files("gpu/neusight", "*.csv.gz"):
        maker, _, operator = name.removesuffix(".csv.gz").partition("_")
        if operator == "conv":
            continue
        tell(f"reading {maker} {operator}")
        found = table("gpu", "neusight", name, need=("OPName", "Device", "Latency", "split", "B"))
        sizes = {c: found[c] for c in ("B", "M", "N", "K", "H") if c in found.columns}
        product = 2.0 * found.B * found.M * found.N * found.K if "M" in sizes else np.nan
        frames.append(pandas().DataFrame({
            "graph": spelt(found.OPName, sizes), "device": found.Device.map(lambda d: NEUSIGHT_DEVICES.get(d, d)),
            "group": found.OPName, "mapping.dtype": "fp32", "protocol.tool": "torch", "fact.published_split": found.split,
            "flop": product, "latency_s": scaled(found.Latency, 1e-3),
        }))  # fmt: skip
    return joined(frames)


def convolutions(tell: Tell) -> dict[str, Any]:
    """Single convolutions under TensorRT, PyTorch and bare cuDNN."""
    parts = []
    fast = partial(convs.load_lightnas, (TOO_FAST,))
    for load in (convs.load_lightnas, fast, convs.load_neusight, convs.load_deepbench):
        found = pandas().DataFrame(load())
        tell(f"read {len(found):,} convolutions of {found.set.iloc[0]}")
        parts.append(found)
    whole = pandas().concat(parts, ignore_index=True)
    whole = whole.astype(dict.fromkeys(_CONV_SIZES, int))
    reach = whole.out_channels * (whole.in_channels / whole.groups) * whole.kernel_h * whole.kernel_w
    return {
        "graph": spelt("conv", {c: whole[c] for c in _CONV_SIZES}).to_numpy(dtype=object),
        "device": whole.device.replace(BOARDS).to_numpy(dtype=object),
        "mapping.dtype": whole.dtype.replace({TOO_FAST: "fp16"}).to_numpy(dtype=object),
        "mapping.residual": whole.residual.astype(int).to_numpy(),
        "protocol.tool": whole.set.map({"tensorrt": "tensorrt", "neusight": "torch", "deepbench": "cudnn"}).to_numpy(dtype=object),
        SUSPECT: whole.dtype.map({TOO_FAST: f"labelled {TOO_FAST}, which exceeds the board's peak"}).to_numpy(dtype=object),
        "flop": (2.0 * whole.batch * reach * _outputs(whole)).to_numpy(),
        "latency_s": whole.measured_s.to_numpy(),
    }


_CONV_SIZES = (
    "batch", "in_channels", "out_channels", "height", "width", "kernel_h", "kernel_w", "stride", "padding_h", "padding_w", "groups",
)  # fmt: skip


def _outputs(table: Any) -> Any:
    """Pixels of the output."""
    high = (table.height + 2 * table.padding_h - table.kernel_h) // table.stride + 1
    return high * ((table.width + 2 * table.padding_w - table.kernel_w) // table.stride + 1)
