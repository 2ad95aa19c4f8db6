"""Shapes from the file and from ONNX's own inference, for results that no rule of ours can give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.dtypes import DType
from hwsim.errors import InputError
from hwsim.frontends.onnx.binding import Dim, evaluate, symbols_of
from hwsim.frontends.onnx.values import checked_shape, element_type
from hwsim.ops import Shape

_LARGE = 1024


def declared(model: Any, *, shapes: Mapping[str, Shape], symbols: Mapping[str, int], where: str) -> dict[str, tuple[Shape, DType]]:
    """Shape and format by name, where all dimensions are known."""
    inferred = _inferred(model, shapes)
    found: dict[str, tuple[Shape, DType]] = {}
    for graph in (model.graph, inferred.graph):
        for value in (*graph.value_info, *graph.output):
            if (entry := _entry(value, symbols, where=where)) is not None:
                found[value.name] = entry
    return found


def _inferred(model: Any, shapes: Mapping[str, Shape]) -> Any:
    """The model after `onnx.shape_inference`, without the bytes of its weights; unchanged if inference fails."""
    from onnx import ModelProto, shape_inference

    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if len(tensor.raw_data) > _LARGE:
            tensor.ClearField("raw_data")
    for value in copy.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    try:
        return shape_inference.infer_shapes(copy, strict_mode=False, data_prop=True)
    except Exception:
        return model


def _entry(value: Any, symbols: Mapping[str, int], *, where: str) -> tuple[Shape, DType] | None:
    if value.type.WhichOneof("value") != "tensor_type" or not value.type.tensor_type.HasField("shape"):
        return None
    dims = [_dim(d) for d in value.type.tensor_type.shape.dim]
    if any(d is None or not set(symbols_of(d)) <= set(symbols) for d in dims):
        return None
    try:
        shape = checked_shape((evaluate(d, symbols) for d in dims if d is not None), where=where)
        return shape, element_type(value.type.tensor_type.elem_type, where=where)
    except InputError:
        return None


def _dim(dim: Any) -> Dim | None:
    if dim.WhichOneof("value") == "dim_value":
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return dim.dim_param or None
