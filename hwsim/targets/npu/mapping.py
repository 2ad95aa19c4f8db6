"""Mapping choices of the NPU family."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hwsim.errors import UnknownName

DTYPES = {"fp16": (16, 16), "w8a8": (8, 8), "w8a16": (8, 16), "w16a16": (16, 16)}
"""Bits of weights and of activations by format; `fp16` is what compilers make of a float network, the others are integers."""
RUNTIMES = ("tflite", "qnn_dlc", "onnx", "qnn_context_binary", "precompiled_qnn_onnx")
"""What loads the compiled network: LiteRT's delegate, the vendor's own library (compiled on the device, or ahead of time), ONNX Runtime."""


@dataclass(frozen=True)
class NpuMapping:
    """How a network is run on an NPU."""

    dtype: str = "fp16"
    """Format of weights and activations: fp16, w8a8, w8a16, w16a16."""
    runtime: str = "tflite"
    """tflite, qnn_dlc, onnx, qnn_context_binary or precompiled_qnn_onnx."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UnknownName("format of an NPU", str(self.dtype), DTYPES)
        if self.runtime not in RUNTIMES:
            raise UnknownName("runtime of an NPU", str(self.runtime), RUNTIMES)

    @classmethod
    def of(cls, **options: Any) -> NpuMapping:
        """From plain options; those that are None take the default, `float` is fp16.

        Raises:
            UnknownName: an option or value that does not exist.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownName("mapping option of an NPU", name, known)
        given = {name: value for name, value in options.items() if value is not None}
        return cls(**{name: "fp16" if value == "float" else value for name, value in given.items()})

    @property
    def weight_b(self) -> float:
        """Bytes of a weight."""
        return DTYPES[self.dtype][0] / 8

    @property
    def activation_b(self) -> float:
        """Bytes of an activation."""
        return DTYPES[self.dtype][1] / 8

    @property
    def words(self) -> str:
        """The choices, for the heading of a report."""
        return f"{self.dtype}, {self.runtime}"
