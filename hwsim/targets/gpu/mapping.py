"""Mapping choices of the GPU family."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hwsim.dtypes import dtype
from hwsim.errors import UnknownName
from hwsim.targets.gpu.runtimes import runtime

AUTOCAST = {"amp": "fp16", "amp_fp16": "fp16", "amp_bf16": "bf16"}
LAYOUTS = ("nhwc", "nchw")
TORCHES = ("1.13", "2.1", "2.4", "2.9")
"""Versions of PyTorch between which kernels change: before 2.0 attention was several kernels, before 2.2 it was an older one."""


@dataclass(frozen=True)
class GpuMapping:
    """How a network is run on a GPU."""

    dtype: str = "fp16"
    """Format of activations and weights; `amp` and `amp_bf16` are PyTorch's autocast; `native` keeps the graph's own."""
    weights_dtype: str | None = None
    """Format of the weights of matrix products and convolutions, where it differs (weight-only quantisation)."""
    runtime: str = "compile"
    """eager, compile or tensorrt."""
    layout: str = "nhwc"
    """Memory order of images: nhwc (channels last) or nchw."""
    warm_l2: float = 0.0
    """Share of the L2 that still holds a kernel's operands from a previous run of the same kernel (1 in micro-benchmarks)."""
    torch: str = "2.9"
    """Version of PyTorch, the newest of `TORCHES` that is no newer; only learned methods ask."""

    def __post_init__(self) -> None:
        runtime(self.runtime)
        if self.layout not in LAYOUTS:
            raise UnknownName("layout", self.layout, LAYOUTS)
        if self.torch not in TORCHES:
            raise UnknownName("version of PyTorch", self.torch, TORCHES)
        if self.dtype not in (*AUTOCAST, "native"):
            dtype(self.dtype)
        if self.weights_dtype is not None:
            dtype(self.weights_dtype)

    @classmethod
    def of(cls, **options: Any) -> GpuMapping:
        """From plain options; those that are None take the default.

        Raises:
            UnknownName: an option or value that does not exist.
        """
        known = {f.name for f in fields(cls)}
        for name in options:
            if name not in known:
                raise UnknownName("mapping option of a GPU", name, known)
        return cls(**{name: value for name, value in options.items() if value is not None})
