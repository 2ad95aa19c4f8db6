"""Least time that physics allows a measured row: its arithmetic at the peak of the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.store import Dataset, coded
from hwsim.datasets.tables import WORK
from hwsim.errors import HwsimError

SAVED = 4.0
"""Arithmetic of a direct convolution over the least that an algorithm needs (Winograd's F(4x4, 3x3); Lavin and Gray 2016)."""
PRODUCTS = ("gemm", "linear", "bmm", "encoder_attention")
"""Operators of which every product is needed."""
FORMATS = {
    "amp": ("fp16", "bf16"), "float16": ("fp16",), "bfloat16": ("bf16",), "float32": ("tf32",), "fp32": ("tf32",), "float": ("tf32",),
    "tf32": ("tf32",), "fp16": ("fp16",), "bf16": ("bf16",), "fp8": ("fp8",), "fp8_block": ("fp8",), "int8": ("int8",),
    "nvfp4": ("fp4",), "fp4": ("fp4",), "fp64": ("fp64",),
}  # fmt: skip
"""Precision of a row to the formats that its products may have run in; single precision may have run as tf32."""
FASTEST = ("fp4", "fp8", "fp16", "bf16", "int8", "tf32")
ANSWERS = "protocol.output_tokens"
"""Column of rows that are whole answers, many runs of a network: their arithmetic is not that of one."""
MOST_LOADED = 200
"""Networks that are loaded for their arithmetic; the others of a set have no bound."""


def floor_s(data: Dataset, *, tell: Callable[[str], None] = lambda line: None) -> np.ndarray:
    """Seconds that each row cannot be faster than, shape `(rows,)`; NaN where graph or device is not known.

    Only arithmetic counts: operands of a repeated measurement may lie in a cache. Convolutions, and networks that may hold some,
    are given the least number of products that an algorithm needs.
    """
    peaks = _peaks(data)
    flop = data.numbers(WORK) if WORK in data.columns else np.full(len(data), np.nan)
    unknown = np.isnan(flop) & ~np.isnan(peaks)
    if ANSWERS in data.columns:
        unknown &= data.missing(ANSWERS)
    if unknown.any():
        flop = np.where(unknown, _loaded(data, unknown, tell), flop)
    graphs, graph = coded(data.table["graph"])
    direct = np.array([g.partition("?")[0] in PRODUCTS for g in graphs], dtype=bool)[graph]
    return np.where(direct, flop, flop / SAVED) / peaks


def _peaks(data: Dataset) -> np.ndarray:
    """Peak of each row's device in the row's precision, NaN for devices that are not GPUs of the shelf."""
    devices, device = coded(data.table["device"])
    column = next((c for c in ("mapping.dtype", "protocol.precision") if c in data.columns), None)
    formats, form = coded(data.table[column]) if column else ([""], np.zeros(len(data), dtype=int))
    table = np.array([[_peak(d, f) for f in formats] for d in devices]).reshape(len(devices), len(formats))
    return table[device, form]


def _peak(device: str, precision: str) -> float:
    from hwsim import shelf
    from hwsim.targets.gpu.device import GpuDevice

    if device not in shelf.devices("gpu"):
        return float("nan")
    board = GpuDevice.from_shelf(device)
    return max(float(board.peak_op_per_s(f)) for f in FORMATS.get(precision.lower(), FASTEST))


def _loaded(data: Dataset, rows: np.ndarray, tell: Callable[[str], None]) -> np.ndarray:
    """Arithmetic of rows by loading their networks; NaN for those that do not load."""
    graphs, devices = data.text("graph"), data.text("device")
    batches = data.numbers("protocol.batch") if "protocol.batch" in data.columns else np.ones(len(data))
    found = np.full(len(data), np.nan)
    names = _readable({str(g) for g in graphs[rows] if g})
    for i, name in enumerate(names[:MOST_LOADED]):
        chosen = rows & (graphs == name)
        flop = _network_flop(name, str(devices[chosen][0]))
        found[chosen] = flop * np.nan_to_num(batches[chosen], nan=1.0)
        tell(f"loading {i + 1} of {min(len(names), MOST_LOADED)}: {name}")
    return found


def _readable(names: set[str]) -> list[str]:
    """Names that are those of networks or files, and none of operators or designs."""
    from hwsim import plugins

    zoo = set(plugins.load("hwsim.frontends", "zoo").names())
    heads = {name.partition("?")[0] for name in names}
    known = {head for head in heads if head in zoo or head.startswith(("timm:", "torchvision:", "hf:")) or Path(head).is_file()}
    return sorted(name for name in names if name.partition("?")[0] in known)


def _network_flop(name: str, device: str) -> float:
    """Operations of one sample; NaN where nothing reads the name."""
    from hwsim import api

    try:
        estimate: Any = api.estimate(name, device)
    except (HwsimError, OSError, ValueError):
        return float("nan")
    return float(estimate.cost.extra.get("flop", np.nan))
