"""Fit and validate the power model on matrix products with measured mean power (AIConfigurator, vLLM sets)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.datasets import aiconfigurator
from hwsim.targets.gpu.calibrate import fitting
from hwsim.targets.gpu.calibrate.gemm import product_columns
from hwsim.targets.gpu.constants import gemm_constants
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.common import KernelTime
from hwsim.targets.gpu.kernels.gemm import gemm_time
from hwsim.targets.gpu.power import PowerConstants, kernel_energy

ROWS = 3000
"""Rows a device that the fit sees."""
BOUNDS: fitting.Bounds = {
    "static_frac": (0.2, 0.05, 0.5),
    "busy_frac": (0.1, 0.001, 0.6),
    "dram_j_per_b": (40e-12, 1e-12, 3e-10),
    "op_share": (0.9, 0.1, 3.0),
    "exponent": (1.0, 0.2, 1.5),
    "window_s": (8e-6, 1e-7, 1e-3),
}
"""Start, low, high."""
PROTOCOL = ("window_s",)
"""What belongs to the measurement: short kernels are measured while the power still rises, half of it at this duration."""


@dataclass(frozen=True)
class Set:
    """Matrix products of one device with measured power."""

    device: GpuDevice
    time: KernelTime
    measured_w: np.ndarray


def load_set(name: str, *, rows: int | None = ROWS) -> Set:
    """bf16 products of one device; their time is the model's own."""
    found = aiconfigurator.gemms(name, rows=rows, folders=aiconfigurator.POWER)
    m, n, k = (found[c].to_numpy(float) for c in "mnk")
    columns = product_columns(m, n, k, np.ones(len(m)), "bf16")
    device = GpuDevice.from_shelf(name)
    return Set(device, gemm_time(columns, device=device, constants=gemm_constants()), found.power.to_numpy(float))


def predict(chosen: Set, values: Mapping[str, float]) -> np.ndarray:
    """Mean power of every row in W."""
    time = chosen.time
    peak = chosen.device.peak_op_per_s("bf16")
    op_j = values["op_share"] * chosen.device.power_limit_w / peak
    constants = PowerConstants(**{n: values[n] for n in BOUNDS if n not in PROTOCOL})
    latency = time.latency_s
    arithmetic, memory, static = kernel_energy(
        latency, time.flop * op_j, time.dram_b, time.flop / peak, device=chosen.device, constants=constants
    )
    return (static + (arithmetic + memory) * latency / (latency + values["window_s"])) / latency


def fit(sets: list[Set]) -> dict[str, float]:
    """Constants from the products of `sets`."""
    return fitting.fit(BOUNDS, lambda v: np.concatenate([np.log(predict(s, v) / s.measured_w) for s in sets]))


def validation_rows() -> dict[str, np.ndarray]:
    """Products of each device, with constants fitted on the other one; the roofline's place is taken by the power limit."""
    parts = []
    for name in aiconfigurator.POWER:
        values = fit([load_set(other) for other in aiconfigurator.POWER if other != name])
        chosen = load_set(name, rows=None)
        limit = np.full(len(chosen.measured_w), float(chosen.device.power_limit_w))
        device = np.full(len(limit), name)
        group = np.full(len(limit), "bf16 gemm")
        parts.append(
            {"device": device, "group": group, "measured_w": chosen.measured_w, "predicted_w": predict(chosen, values), "roofline_w": limit}
        )
    return fitting.joined(parts)


def write() -> None:
    """Fit on all devices and write `targets/gpu/fitted/power.yaml`."""
    sets = [load_set(name) for name in aiconfigurator.POWER]
    values = fit(sets)
    fitting.write(
        "power",
        {n: v for n, v in values.items() if n not in PROTOCOL},
        dataset="AIConfigurator gemm bf16 with measured power (vLLM on H200 and B200)",
        points=sum(len(s.measured_w) for s in sets),
        devices=[s.device.name for s in sets],
        measured=np.concatenate([s.measured_w for s in sets]),
        predicted=np.concatenate([predict(s, values) for s in sets]),
    )


if __name__ == "__main__":
    write()
