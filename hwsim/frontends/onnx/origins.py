"""Where the numbers of our tensors stand in an ONNX model; read when they are asked for, in our layout."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from hwsim import ops
from hwsim.dtypes import DType, dtype
from hwsim.frontends.lazy import Lazy
from hwsim.frontends.onnx.stored import Stored
from hwsim.frontends.onnx.values import Value
from hwsim.graph import GraphBuilder
from hwsim.ops import Shape


class Origins:
    """The stored values that our tensors come from."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.scales: dict[str, Any] = {}
        """Scale and zero point of tensors that hold the whole numbers of a quantiser whose scale is no power of two."""
        self._of: dict[str, tuple[Value, Shape]] = {}

    def add(self, tensor: str, value: Value, shape: Shape) -> str:
        """Note where `tensor` comes from; returns it."""
        if value.stored is not None or value.array is not None:
            self._of[tensor] = value, shape
            for kind, scale in value.steps:
                if kind == "scale":
                    self.scales[tensor] = scale
        return tensor

    def values(self, tensors: Collection[str]) -> Lazy:
        """Numbers by tensor, of those whose numbers are there."""
        found = {name: of for name, of in self._of.items() if name in tensors and self._present(of[0])}
        return Lazy({name: partial(self._read, value, shape) for name, (value, shape) in found.items()})

    def facts(self, tensors: Collection[str]) -> dict[str, Any]:
        """`quantization`: scale and zero point by tensor, where a number format cannot carry them."""
        scales = {name: _listed(scale) for name, scale in self.scales.items() if name in tensors}
        return {"quantization": scales} if scales else {}

    def _present(self, value: Value) -> bool:
        return value.array is not None or self.stored.present(value.stored or "")

    def _read(self, value: Value, shape: Shape) -> np.ndarray:
        in_file = value.stored is not None and self.stored.present(value.stored)
        array = self.stored.full(value.stored or "") if in_file else np.asarray(value.array)
        for kind, argument in value.steps:
            if kind == "scale":
                scale, zero = argument
                array = array / scale + zero
            elif in_file:
                array = np.transpose(array, argument) if kind == "perm" else np.reshape(array, argument)
        if not in_file and array.ndim == 2 and array.shape == shape[::-1]:
            array = array.T
        return np.ascontiguousarray(array).reshape(shape)


def _listed(scale: tuple[Any, Any]) -> dict[str, Any]:
    return {key: np.ravel(part).tolist() for key, part in zip(("scale", "zero_point"), scale, strict=True)}


def unquantized(builder: GraphBuilder, kind: str, inputs: Sequence[str], fmt: Any, attrs: Any) -> Any:
    """The format of a result: a quantiser's goes no further than through what changes no number."""
    if isinstance(fmt, list | tuple):
        return fmt
    flowing = next((builder.tensors[i].dtype for i in inputs if builder.tensors[i].role in ("activation", "input")), None)
    given: DType | None = dtype(fmt) if fmt is not None else flowing
    if given is None or given.family != "fixed" or ops.get(kind).category in ("view", "layout", "unsupported"):
        return fmt
    return given if kind in ("pool", "reduce") and attrs.get("fn") in ("max", "min") else "fp32"
