"""The fitted constants of the GPU family, from the shelf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from hwsim import shelf
from hwsim.targets.gpu.kernels.attention import AttentionConstants
from hwsim.targets.gpu.kernels.conv import ConvConstants
from hwsim.targets.gpu.kernels.gemm import GemmConstants
from hwsim.targets.gpu.kernels.streaming import StreamingConstants
from hwsim.targets.gpu.power import PowerConstants


def constants_of(cls: type, name: str) -> Any:
    """An instance of `cls` with the shelf's values where it has them, its own defaults elsewhere."""
    found = {key: q.value for key, q in shelf.fitted("gpu", name).items()}
    if name == "gemm":
        found |= {key: q.value for key, q in shelf.fitted("gpu", "networks").items() if key.startswith("op_j_")}
    known = {f.name for f in fields(cls)}
    values: dict[str, Any] = {key: value for key, value in found.items() if key in known}
    energies = {key.removeprefix("op_j_"): v for key, v in found.items() if key.startswith("op_j_")}
    if energies and "op_j" in known:
        values["op_j"] = energies
    return cls(**values)


@dataclass(frozen=True)
class NetworkConstants:
    """How kernels behave inside a network, by runtime; `targets/gpu/fitted/networks.yaml` holds the fitted values."""

    eager_host_s: float = 20e-6
    """Host time of an operator in eager mode: a queue that drains faster waits for the host."""
    compile_host_s: float = 10e-6
    """The same for compiled kernels."""
    conv: float = 1.0
    """Time of convolutions in NHWC inside a network relative to single kernels, eager and compiled runtimes (cuDNN)."""
    nchw_conv: float = 1.0
    """The same in NCHW."""
    depthwise: float = 1.0
    """The same for grouped and depthwise convolutions."""
    gemm: float = 1.0
    """The same for matrix products."""
    attention: float = 1.0
    """The same for attention."""
    stream: float = 1.0
    """The same for data-moving kernels, one an operator."""
    compile_stream: float = 1.0
    """The same for generated data-moving kernels."""


@dataclass(frozen=True)
class GpuConstants:
    """All constants of the family."""

    gemm: GemmConstants
    conv: ConvConstants
    attention: AttentionConstants
    streaming: StreamingConstants
    power: PowerConstants
    networks: NetworkConstants


@cache
def gpu_constants() -> GpuConstants:
    """The constants on the shelf."""
    return GpuConstants(
        gemm_constants(),
        constants_of(ConvConstants, "conv"),
        constants_of(AttentionConstants, "attention"),
        constants_of(StreamingConstants, "streaming"),
        constants_of(PowerConstants, "power"),
        constants_of(NetworkConstants, "networks"),
    )


@cache
def gemm_constants() -> GemmConstants:
    """Constants of matrix products."""
    return constants_of(GemmConstants, "gemm")


def sources() -> Mapping[str, Any]:
    """Every fitted quantity of the family by `file.field`."""
    names = ("gemm", "conv", "attention", "streaming", "power", "networks")
    return {f"{name}.{key}": q for name in names for key, q in shelf.fitted("gpu", name).items()}
