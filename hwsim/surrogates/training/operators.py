"""Measured operators of data-centre GPUs as rows over closed forms: matrix products, attention, and the power of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwsim.datasets import aiconfigurator
from hwsim.targets.gpu.calibrate import attention, gemm, power
from hwsim.targets.gpu.constants import gpu_constants
from hwsim.targets.gpu.device import GpuDevice
from hwsim.targets.gpu.kernels.attention import AttentionConstants
from hwsim.targets.gpu.kernels.gemm import gemm_time
from hwsim.targets.gpu.operator_features import (
    ATTENTION_NAMES,
    DEVICE,
    GEMM_NAMES,
    attention_features,
    attentions,
    gemm_features,
    products,
)

ATTENTION_SETS = ("context_attention", "generation_attention", "encoder_attention")
POWER_NAMES = (*GEMM_NAMES[: -len(DEVICE)], "closed_form", *DEVICE)
"""Features of a product whose power is asked for: with the closed form's power over the limit."""
NAMES: Mapping[str, tuple[str, ...]] = {"gemm": GEMM_NAMES, "attention": ATTENTION_NAMES, "power": POWER_NAMES}
"""Features by operator, in order."""


@dataclass(frozen=True)
class Measured:
    """Kernels of one operator on one device."""

    operator: str
    """gemm, attention (seconds) or power (watts)."""
    device: GpuDevice
    sizes: Mapping[str, np.ndarray]
    """By the names that the features take, shape `(rows,)` each."""
    measured: np.ndarray
    layer: np.ndarray
    """Number of the layer that a kernel belongs to: all its shapes but those that a request sets (rows, batch, lengths)."""
    part: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype="<U1"))
    """Set of measurements that each kernel is from."""

    def take(self, chosen: np.ndarray) -> Measured:
        """Only these rows."""
        sizes = {name: values[chosen] for name, values in self.sizes.items()}
        return replace(self, sizes=sizes, measured=self.measured[chosen], layer=self.layer[chosen], part=self.part[chosen])

    def __len__(self) -> int:
        return len(self.measured)


def load(operator: str, *, rows: int | None = None) -> tuple[Measured, ...]:
    """Kernels by device; `rows` draws a fixed sample of each.

    Raises:
        DataMissing: the measurements are not there.
    """
    found = {"gemm": _gemms, "attention": _attentions, "power": _powers}[operator]()
    return tuple(m if rows is None or rows >= len(m) else m.take(_drawn(len(m), rows)) for m in found)


def _drawn(count: int, rows: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(count, rows, replace=False))


def _gemms() -> list[Measured]:
    return [_product("gemm", name, aiconfigurator.gemms(name), "latency", 1e-3) for name in aiconfigurator.WIDE]


def _powers() -> list[Measured]:
    return [
        _product("power", name, aiconfigurator.gemms(name, folders=aiconfigurator.POWER), "power", 1.0) for name in aiconfigurator.POWER
    ]


def _product(operator: str, name: str, frame: Any, column: str, unit: float) -> Measured:
    m, n, k = (frame[c].to_numpy(float) for c in "mnk")
    sizes = {"m": m, "n": n, "k": k, "batch": np.ones(len(m))}
    return Measured(
        operator, GpuDevice.from_shelf(name), sizes, frame[column].to_numpy(float) * unit, _numbered(n, k), np.full(len(m), operator)
    )


def _attentions() -> list[Measured]:
    return [_attention(name) for name in aiconfigurator.BACKENDS]


def _attention(name: str) -> Measured:
    device, parts = GpuDevice.from_shelf(name), []
    for operator in ATTENTION_SETS:
        if operator == "encoder_attention" and name == "a100-sxm-80gb":
            continue
        frame = aiconfigurator.frame(operator, aiconfigurator.BACKENDS[name])
        frame = frame[frame.attn_dtype == "bfloat16"]
        sizes = attention.sizes(frame, operator)
        window = frame.window_size.to_numpy(float) if "window_size" in frame else np.zeros(len(frame))
        held = np.stack([sizes[k] for k in ("query_heads", "kv_heads", "head_dim", "kv_b")] + [window], axis=-1)
        parts.append((sizes, frame.latency.to_numpy(float) * 1e-3, held, np.full(len(frame), operator)))
    joined = {key: np.concatenate([p[0][key] for p in parts]) for key in parts[0][0]}
    seconds, held, part = (np.concatenate([p[i] for p in parts]) for i in (1, 2, 3))
    return Measured("attention", device, joined, seconds, _numbered(*held.T, np.unique(part, return_inverse=True)[1]), part)


def _numbered(*columns: np.ndarray) -> np.ndarray:
    return np.unique(np.stack(columns, axis=-1), axis=0, return_inverse=True)[1].ravel()


@dataclass(frozen=True)
class Base:
    """A closed form with its constants: what learned factors multiply."""

    operator: str
    constants: Any
    protocol: Mapping[str, float] = field(default_factory=dict)
    """What belongs to the measurement and not to the kernel."""

    def predict(self, kernels: Measured) -> np.ndarray:
        """Seconds (W for power) of every row, as the measurement has it."""
        return {"gemm": _gemm_s, "attention": _attention_s, "power": _power_w}[self.operator](kernels, self)

    def features(self, kernels: Measured) -> np.ndarray:
        """What trees see, shape `(rows, features)`."""
        given: dict[str, Any] = {**kernels.sizes, "device": kernels.device}
        if self.operator == "attention":
            return attention_features(**given, constants=self.constants)
        if self.operator == "gemm":
            return gemm_features(**given, constants=self.constants)
        found = gemm_features(**given, constants=gpu_constants().gemm)
        share = np.log(self.predict(kernels) / kernels.device.power_limit_w)[:, None].astype(np.float32)
        return np.concatenate([found[:, : -len(DEVICE)], share, found[:, -len(DEVICE) :]], axis=-1)


def _gemm_s(kernels: Measured, base: Base) -> np.ndarray:
    return gemm_time(products(**kernels.sizes), device=kernels.device, constants=base.constants).latency_s


def _attention_s(kernels: Measured, base: Base) -> np.ndarray:
    found = np.empty(len(kernels))
    for part in np.unique(kernels.part):
        rows = np.flatnonzero(kernels.part == part)
        values = {**{n: getattr(base.constants, n) for n in attention.BOUNDS if n not in attention.PROTOCOL}, **base.protocol}
        found[rows] = attention.predict(_attention_set(kernels.take(rows)), values)
    return found


def _power_w(kernels: Measured, base: Base) -> np.ndarray:
    return power.predict(_power_set(kernels), base.constants)


def _attention_set(kernels: Measured) -> attention.Set:
    return attention.Set(kernels.device, attentions(**kernels.sizes), kernels.measured, str(kernels.part[0]))


def _power_set(kernels: Measured) -> power.Set:
    time = gemm_time(products(**kernels.sizes), device=kernels.device, constants=gpu_constants().gemm)
    return power.Set(kernels.device, time, kernels.measured)


def fitted(kernels: Sequence[Measured]) -> Base:
    """The closed form with constants from these kernels only (the power model takes the time of products from the shelf's constants)."""
    operator = kernels[0].operator
    if operator == "gemm":
        sample = {m.device.name: m.take(_drawn(len(m), min(len(m), gemm.ROWS))) for m in kernels}
        sets = {n: gemm.Set(m.device, products(**m.sizes), m.measured, m.part) for n, m in sample.items()}
        return Base(operator, gemm.tensor_fit(sets))
    if operator == "power":
        return Base(operator, power.fit([_power_set(m.take(_drawn(len(m), min(len(m), power.ROWS)))) for m in kernels]))
    parts = [m.take(np.flatnonzero(m.part == part)) for m in kernels for part in np.unique(m.part)]
    values = attention.fit([_attention_set(m.take(_drawn(len(m), min(len(m), attention.ROWS)))) for m in parts])
    return _attention_base(values)


def _attention_base(values: Mapping[str, float]) -> Base:
    constants = AttentionConstants(**{n: values[n] for n in attention.BOUNDS if n not in attention.PROTOCOL})
    return Base("attention", constants, {n: values[n] for n in attention.PROTOCOL if n in values})


def roofline(kernels: Measured) -> np.ndarray:
    """Work over the datasheet's peak or bytes over its bandwidth, whichever is longer; the limit for power."""
    if kernels.operator == "power":
        return np.full(len(kernels), float(kernels.device.power_limit_w))
    if kernels.operator == "attention":
        return attention.roofline_s(_attention_set(kernels))
    return gemm.roofline_s(gemm.Set(kernels.device, products(**kernels.sizes), kernels.measured, kernels.part))


def shelf_base(operator: str, kernels: Sequence[Measured]) -> Base:
    """The closed form with the constants of the shelf; what belongs to the measurement is fitted on these kernels."""
    constants = gpu_constants()
    if operator == "gemm":
        return Base(operator, constants.gemm)
    return Base(operator, constants.attention, fitted(kernels).protocol)
