"""Fit and validate the model of data-moving kernels on NeuSight (fp32, called from PyTorch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.datasets import neusight
from hwsim.ops.pointwise import function_cost
from hwsim.targets.gpu.calibrate import fitting
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.streaming import StreamingColumns, StreamingConstants, streaming_time

ROWS = 200
"""Rows a device and operator that the fit sees."""
OPERATORS = {
    "add": ("add", 2),
    "addu": ("add", 1),
    "mul": ("mul", 2),
    "mulu": ("mul", 1),
    "div": ("div", 2),
    "divu": ("div", 1),
    "pow": ("pow", 2),
    "powu": ("pow", 1),
    "relu": ("relu", 1),
    "gelu": ("gelu", 1),
    "tanh": ("tanh", 1),
    "softmax": ("softmax", 1),
    "ln": ("layer norm", 1),
}
"""Operator in the data to scalar function and number of tensors read (a trailing `u` reads one tensor and a scalar)."""
BOUNDS: fitting.Bounds = {
    "dram_frac": (0.85, 0.4, 1.0),
    "ramp_s": (2e-6, 1e-7, 2e-5),
    "l2_frac": (0.5, 0.05, 3.0),
    "resident_frac": (0.5, 0.02, 2.0),
    "vector_frac": (0.6, 0.3, 1.0),
    "special_frac": (0.3, 0.02, 1.0),
    "pass_frac": (0.5, 0.01, 3.0),
    "call_s": (25e-6, 1e-6, 1e-4),
    "norm_call_s": (35e-6, 1e-6, 1e-4),
}
"""Start, low, high."""
PROTOCOL = ("call_s", "norm_call_s")
"""What belongs to the measurement: the time that a call from PyTorch takes around the kernel."""


@dataclass(frozen=True)
class Set:
    """Measured kernels of one device and operator."""

    device: GpuDevice
    columns: StreamingColumns
    measured_s: np.ndarray
    operator: str


def load_sets(*, rows: int | None = ROWS) -> list[Set]:
    """All operators on all devices."""
    sets = []
    for operator in OPERATORS:
        found = neusight.kernels(operator, rows=rows)
        for name, part in found.groupby("device"):
            sets.append(_set(str(name), operator, part))
    large = neusight.kernels("elem", rows=None if rows is None else rows)
    for (name, operator), part in large.groupby(["device", "OPName"]):
        sets.append(_set(str(name), str(operator), part))
    return sets


def _set(name: str, operator: str, part: Any) -> Set:
    size = (part.B * part.H).to_numpy(float)
    columns = operator_columns(operator, size)
    return Set(GpuDevice.from_shelf(name), columns, part.Latency.to_numpy(float) * 1e-3, operator)


def operator_columns(operator: str, size: np.ndarray) -> StreamingColumns:
    """fp32 kernels of one operator over `size` elements, operands warm as the benchmark's loop leaves them."""
    function, reads = OPERATORS[operator]
    reduces = function in ("softmax", "layer norm")
    simple, special = {"softmax": (4, 1), "layer norm": (7, 0)}.get(function) or function_cost(function)
    zero = 0.0 * size
    return StreamingColumns(4.0 * reads * size, 4.0 * size, simple * size, special * size, zero + reduces, zero, zero, zero + 1.0)


def predict(chosen: Set, values: Mapping[str, float]) -> np.ndarray:
    """Seconds of every row."""
    constants = StreamingConstants(**{n: values[n] for n in BOUNDS if n not in PROTOCOL})
    time = streaming_time(chosen.columns, device=chosen.device, constants=constants)
    return time.latency_s - time.overhead_s + values["norm_call_s" if chosen.operator == "ln" else "call_s"]


def fit(sets: list[Set]) -> dict[str, float]:
    """Constants from the kernels of `sets`."""
    return fitting.fit(BOUNDS, lambda v: np.concatenate([np.log(predict(s, v) / s.measured_s) for s in sets]))


def roofline_s(chosen: Set) -> np.ndarray:
    """Bytes over the datasheet's bandwidth."""
    return (chosen.columns.read_b + chosen.columns.written_b) / chosen.device.dram_b_per_s


def validation_rows() -> dict[str, np.ndarray]:
    """Measured kernels, each predicted with constants fitted on the other chips."""
    sample, full = load_sets(), load_sets(rows=1500)
    chips = sorted({_chip(s) for s in full})
    parts = []
    for chip in chips:
        values = fit([s for s in sample if _chip(s) != chip])
        parts += [_rows(s, predict(s, values)) for s in full if _chip(s) == chip]
    return fitting.joined(parts)


def _chip(chosen: Set) -> str:
    return chosen.device.name.split("-")[0]


def _rows(chosen: Set, predicted: np.ndarray) -> dict[str, np.ndarray]:
    device, group = np.full(len(predicted), chosen.device.name), np.full(len(predicted), chosen.operator)
    return {"device": device, "group": group, "measured_s": chosen.measured_s, "predicted_s": predicted, "roofline_s": roofline_s(chosen)}


def write() -> None:
    """Fit on all devices and write `targets/gpu/fitted/streaming.yaml`."""
    sets = load_sets()
    values = fit(sets)
    fitting.write(
        "streaming",
        {n: v for n, v in values.items() if n not in PROTOCOL},
        dataset="NeuSight element-wise, softmax and layer norm kernels, fp32",
        points=sum(len(s.measured_s) for s in sets),
        devices=sorted({s.device.name for s in sets}),
        measured=np.concatenate([s.measured_s for s in sets]),
        predicted=np.concatenate([predict(s, values) for s in sets]),
        assumed={
            "fixed_s": (2.5e-6, "empty kernel in a queue; the calls of the set hide it"),
            "gather_frac": (0.5, "half of each 32-byte sector used on average"),
            "sort_pass_count": (8.0, "radix sort of 32-bit keys by 4 bits a pass"),
        },
    )


if __name__ == "__main__":
    write()
