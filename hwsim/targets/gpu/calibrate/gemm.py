"""Fit and validate the matrix-product model: bf16 tensor units (AIConfigurator) and fp32 vector units (NeuSight)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.datasets import aiconfigurator, neusight
from hwsim.targets.gpu.calibrate import fitting
from hwsim.targets.gpu.constants import gemm_constants
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.gemm import GemmColumns, GemmConstants, gemm_columns, gemm_time

ROWS = 1500
"""Rows a device that the fit sees."""
BOUNDS: fitting.Bounds = {
    "fixed_s": (2.2e-6, 0.5e-6, 6e-6),
    "tensor_frac": (0.85, 0.6, 1.0),
    "feed_frac": (3.0, 0.3, 6.0),
    "prologue_clk": (3000, 50, 2e4),
    "prologue_k": (300, 10, 1e5),
    "smooth_frac": (0.4, 0.02, 0.98),
    "split_frac": (0.5, 0.02, 1.0),
    "dram_frac": (0.84, 0.5, 1.0),
    "ramp_s": (3e-6, 1e-7, 2e-5),
    "l2_frac": (0.6, 0.1, 2.0),
    "resident_frac": (0.2, 0.02, 2.0),
    "write_frac": (0.5, 0.02, 2.0),
}
"""Constants of tensor products: start, low, high."""
VECTOR_BOUNDS: fitting.Bounds = {
    "vector_frac": (0.9, 0.4, 1.0),
    "vector_prologue_clk": (3000, 50, 5e4),
    "vector_op_j": (18e-12, 5e-12, 1e-10),
    "node_exponent": (1.0, 0.3, 2.0),
    "call_s": (25e-6, 1e-6, 1e-4),
}
"""Constants of vector products; `call_s` is what a call from PyTorch adds in that set."""
POWER_SHARE = (1.4, 0.8, 3.0)
"""Energy of an operation, in units of the power limit over the datasheet peak."""


@dataclass(frozen=True)
class Set:
    """Measured products of one device."""

    device: GpuDevice
    columns: GemmColumns
    measured_s: np.ndarray
    group: np.ndarray


def tensor_set(name: str, *, rows: int | None = ROWS, dtype: str = "bfloat16", fmt: str = "bf16") -> Set:
    """bf16 products of one device, operands warm in the L2 as the benchmark's loop leaves them."""
    found = aiconfigurator.gemms(name, rows=rows, dtype=dtype)
    m, n, k = (found[c].to_numpy(float) for c in "mnk")
    columns = product_columns(m, n, k, np.ones(len(m)), fmt)
    return Set(GpuDevice.from_shelf(name), columns, found.latency.to_numpy(float) * 1e-3, np.full(len(m), f"{fmt} gemm"))


def product_columns(m: Any, n: Any, k: Any, batch: Any, fmt: str) -> GemmColumns:
    """Columns of measured products, operands warm in the L2 as a loop over one kernel leaves them."""
    from hwsim.dtypes import dtype

    wide = dtype(fmt).bytes
    read, written = batch * (m * k + k * n) * wide, batch * m * n * max(wide, 2.0)
    return gemm_columns(m=m, n=n, k=k, batch=batch, dtypes=(fmt,) * len(m), read_b=read, written_b=written, element_b=wide, warm_l2=1.0)


def vector_sets(*, rows: int | None = 400) -> dict[str, Set]:
    """fp32 products of NeuSight by device."""
    sets: dict[str, Set] = {}
    for operator in ("bmm", "linear"):
        found = neusight.kernels(operator, rows=rows)
        for name, part in found.groupby("device"):
            m, n, k, b = (part[c].to_numpy(float) for c in ("M", "N", "K", "B"))
            new = Set(
                GpuDevice.from_shelf(str(name)),
                product_columns(m, n, k, b, "fp32"),
                part.Latency.to_numpy(float) * 1e-3,
                np.full(len(m), f"fp32 {operator}"),
            )
            sets[f"{name} {operator}"] = new
    return sets


def tensor_fit(sets: Mapping[str, Set]) -> GemmConstants:
    """Constants from the products of `sets`; the energy of an operation is one value an architecture."""
    known = sorted({s.device.architecture for s in sets.values()})
    unit = {a: next(_power_unit_j(s.device) for s in sets.values() if s.device.architecture == a) for a in known}
    bounds = {**BOUNDS, **{f"power:{a}": POWER_SHARE for a in known}}

    def constants(values: Mapping[str, float]) -> GemmConstants:
        energy = {a: values[f"power:{a}"] * unit[a] for a in known}
        return GemmConstants(**{n: values[n] for n in BOUNDS}, ramp_b=1e5, power_share=1.0, op_j=energy)

    def residual(values: dict[str, float]) -> np.ndarray:
        return np.concatenate([np.log(predict(s, constants(values)) / s.measured_s) for s in sets.values()])

    values = fitting.fit(bounds, residual)
    binding = [values[f"power:{a}"] for a in known if values[f"power:{a}"] > 1.05]
    share = float(np.exp(np.mean(np.log(binding)))) if binding else 1.0
    energy = {a: values[f"power:{a}"] * unit[a] for a in known if values[f"power:{a}"] > 1.05}
    return GemmConstants(**{n: values[n] for n in BOUNDS}, ramp_b=1e5, power_share=share, op_j=energy)


def _power_unit_j(device: GpuDevice) -> float:
    return float(device.power_limit_w / device.peak_op_per_s("fp16"))


def vector_fit(sets: Iterable[Set], base: GemmConstants) -> tuple[GemmConstants, float]:
    """Constants of vector products and the call time of the set; those of tensor products are kept."""
    chosen = list(sets)

    def constants(v: Mapping[str, float]) -> GemmConstants:
        return replace(base, **{name: v[name] for name in VECTOR_BOUNDS if name != "call_s"})

    def residual(v: dict[str, float]) -> np.ndarray:
        return np.concatenate([np.log((predict(s, constants(v)) + v["call_s"]) / s.measured_s) for s in chosen])

    values = fitting.fit(VECTOR_BOUNDS, residual)
    return constants(values), values["call_s"]


def predict(chosen: Set, constants: GemmConstants) -> np.ndarray:
    """Seconds of every row."""
    return gemm_time(chosen.columns, device=chosen.device, constants=constants).latency_s


def roofline_s(chosen: Set) -> np.ndarray:
    """Work over the datasheet's peak or bytes over its bandwidth, whichever is longer."""
    fmt = chosen.columns.rates[0][0]
    moved = chosen.columns.read_b + chosen.columns.written_b
    return np.maximum(chosen.columns.flop / chosen.device.peak_op_per_s(fmt), moved / chosen.device.dram_b_per_s)


def validation_rows() -> dict[str, np.ndarray]:
    """All measured products, each predicted with constants fitted on the other devices."""
    sample = {name: tensor_set(name) for name in aiconfigurator.WIDE}
    full = {name: tensor_set(name, rows=6000) for name in aiconfigurator.WIDE}
    parts = []
    for name, chosen in full.items():
        constants = tensor_fit({other: s for other, s in sample.items() if other != name})
        parts.append(_rows(chosen, predict(chosen, constants)))
    base = gemm_constants()
    vector = vector_sets()
    for name in sorted({s.device.name for s in vector.values()}):
        constants, call_s = vector_fit([s for s in vector.values() if _chip(s.device.name) != _chip(name)], base)
        parts += [_rows(s, predict(s, constants) + call_s) for s in vector.values() if s.device.name == name]
    return fitting.joined(parts)


def _chip(name: str) -> str:
    """Boards with one chip are left out together."""
    return name.split("-")[0]


def _rows(chosen: Set, predicted: np.ndarray) -> dict[str, np.ndarray]:
    device = np.full(len(predicted), chosen.device.name)
    return {
        "device": device,
        "group": chosen.group,
        "measured_s": chosen.measured_s,
        "predicted_s": predicted,
        "roofline_s": roofline_s(chosen),
    }


def write() -> None:
    """Fit on all devices and write `targets/gpu/fitted/gemm.yaml`."""
    sets = {name: tensor_set(name) for name in aiconfigurator.WIDE}
    constants = tensor_fit(sets)
    vector = vector_sets()
    constants, _ = vector_fit(vector.values(), constants)
    values = {n: getattr(constants, n) for n in (*BOUNDS, "power_share", *(n for n in VECTOR_BOUNDS if n != "call_s"))}
    values |= {f"op_j_{a}": e for a, e in constants.op_j.items()}
    _write(values, list(sets.values()), constants)


def _write(values: dict[str, float], sets: Sequence[Set], constants: GemmConstants) -> None:
    fitting.write(
        "gemm",
        values,
        dataset="AIConfigurator gemm bf16 (trtllm, vllm on B200) and NeuSight bmm, linear fp32",
        points=sum(len(s.measured_s) for s in sets),
        devices=[s.device.name for s in sets],
        measured=np.concatenate([s.measured_s for s in sets]),
        predicted=np.concatenate([predict(s, constants) for s in sets]),
        assumed={"ramp_b": (1e5, "small against every measured stream; a fit drove it to this bound")},
    )


if __name__ == "__main__":
    write()
