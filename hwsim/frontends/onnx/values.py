"""What flows along the names of an ONNX graph while it is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.dtypes import DType, dtype
from hwsim.errors import InputError
from hwsim.ops import Shape

MOST_ELEMENTS = 1 << 40
"""A tensor with more elements than this is taken for a damaged file."""
MOST_KNOWN = 1 << 16
"""Elements up to which values (not only shapes) are followed."""

DTYPES: dict[int, str] = {
    1: "fp32",
    2: "uint8",
    3: "int8",
    4: "int16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "int64",
    9: "bool",
    10: "fp16",
    11: "fp64",
    12: "int32",
    13: "int64",
    14: "complex64",
    15: "complex128",
    16: "bf16",
    17: "fp8_e4m3",
    18: "fp8_e4m3",
    19: "fp8_e5m2",
    20: "fp8_e5m2",
    21: "int4",
    22: "int4",
    23: "fp4_e2m1",
    24: "fp8_e5m2",
    25: "int2",
    26: "int2",
}
"""Element types of ONNX (TensorProto.DataType) in our names; unsigned ones by width, strings as the 8 bytes of a reference."""

NUMPY: dict[str, Any] = {
    "fp64": np.float64,
    "fp32": np.float32,
    "fp16": np.float16,
    "bf16": np.float32,
    "complex64": np.complex64,
    "complex128": np.complex128,
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "int8": np.int8,
    "uint8": np.uint8,
    "bool": np.bool_,
}
_MADE_UP = re.compile(
    r"val_\d+|_?lifted_.*|onnx::.*|/.*|.*_output_\d+|[cC]onst.*|"
    r"_?(unsafe_view|to_copy|view|expand|slice|unsqueeze|squeeze|permute|transpose|clone|copy|mul|add|sub|div|cos|sin|cat|stack|where|full|"
    r"arange|reshape|index|triu|tril|bitwise_and|bitwise_or|logical_and|eq|ne|lt|le|gt|ge|new_ones|ones|zeros|select|neg|exp|pow|softmax|"
    r"sum|mean|matmul|mm|masked_fill|repeat|flatten|roll|pad|cumsum|log|sigmoid|tanh|rsqrt|sqrt|convert_element_type|alias|detach|t)(_\d+)*"
    r"(_default)?"
)
_BUFFER = re.compile(r"(^|[._/])(running_(mean|var)|moving_(mean|variance)|inv_freq|position_ids|.*(_mask|_index|anchors?))(:0)?$")


@dataclass(frozen=True, slots=True)
class Value:
    """A value by name: a tensor of the graph, numbers known at load time, or stored numbers that need not be loaded."""

    shape: Shape
    dtype: DType
    tensor: str | None = None
    """Name in our graph, once something made it there."""
    array: np.ndarray | None = None
    """The numbers, if they are few and do not depend on the input."""
    stored: str | None = None
    """Name of the initializer that this is, perhaps in another layout."""
    quantized: Value | None = None
    """The integer tensor that this is the dequantised form of."""
    items: tuple[Value, ...] | None = None
    """Members, if this is a sequence."""
    steps: tuple[tuple[str, Any], ...] = ()
    """What was done to stored numbers: (`perm`, axes), (`shape`, shape), (`scale`, (scale, zero point))."""

    @property
    def real(self) -> bool:
        """Whether its numbers are no whole ones by nature: floats, and what a quantiser made of them."""
        return self.dtype.family in ("float", "fixed")

    @property
    def size(self) -> int:
        """Element count."""
        return math.prod(self.shape)


def known(array: np.ndarray) -> Value:
    """A value whose numbers are known."""
    return Value(tuple(array.shape), dtype_of(array.dtype), array=array)


def dtype_of(numpy_dtype: np.dtype) -> DType:
    """Our name of a numpy format."""
    name = {"uint16": "int16", "uint32": "int32", "uint64": "int64"}.get(numpy_dtype.name, numpy_dtype.name)
    try:
        return dtype(name)
    except InputError:
        return dtype("int64")


def element_type(code: int, *, where: str) -> DType:
    """Our name of an ONNX element type.

    Raises:
        InputError: no such type.
    """
    if code not in DTYPES:
        raise InputError(f"{where}: unknown element type {code}; expected one of ONNX's {min(DTYPES)} to {max(DTYPES)}")
    return dtype(DTYPES[code])


def checked_shape(dims: Any, *, where: str) -> Shape:
    """`dims` as a shape.

    Raises:
        InputError: a negative dimension, or more elements than any real tensor has.
    """
    shape = tuple(int(d) for d in dims)
    if any(d < 0 for d in shape):
        raise InputError(f"{where}: negative dimension in shape {list(shape)}")
    if math.prod(shape) > MOST_ELEMENTS:
        raise InputError(
            f"{where}: shape {list(shape)} has {math.prod(shape):.3g} elements; "
            f"at most {MOST_ELEMENTS:.3g} are believed. Is the file damaged?"
        )
    return shape


def looks_trained(name: str) -> bool:
    """Whether an initializer's name is that of a parameter, and not of a buffer or of something an exporter folded."""
    return not _MADE_UP.fullmatch(name) and not _BUFFER.search(name)
