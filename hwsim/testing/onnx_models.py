"""Small ONNX models for tests, in few words. Needs the package `onnx`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT, INT64, BOOL, UINT8 = (onnx.TensorProto.DataType.Value(name) for name in ("FLOAT", "INT64", "BOOL", "UINT8"))


def weight(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    """An initializer of that shape; its numbers do not matter."""
    return numpy_helper.from_array(np.random.default_rng(0).integers(1, 100, shape).astype(dtype), name)


def constant(name: str, value: Any, dtype: Any = np.float32) -> Any:
    """An initializer with these numbers."""
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def ints(name: str, *values: int) -> Any:
    """An initializer with a list of whole numbers."""
    return constant(name, values, np.int64)


def node(op: str, inputs: str, output: str = "y", **attrs: Any) -> Any:
    """A node; names of operands and results are separated by blanks, `-` stands for one that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, output.split(), name=attrs.pop("name", ""), **attrs)


def result(name: str) -> Any:
    """Declaration of a result of unknown shape."""
    return helper.make_tensor_value_info(name, FLOAT, None)


def branch(nodes: Sequence[Any], output: str) -> Any:
    """A subgraph without inputs of its own."""
    return helper.make_graph(nodes, "branch", [], [result(output)])


def model(
    nodes: Sequence[Any], inputs: Mapping[str, Any], weights: Sequence[Any] = (), *, opset: int = 18, value_info: Iterable[Any] = ()
) -> Any:
    """A model with the result `y`; inputs are name to shape (fp32) or to (shape, element type)."""
    rows = {name: (spec, FLOAT) if isinstance(spec, list) else spec for name, spec in inputs.items()}
    declared = [helper.make_tensor_value_info(name, code, shape) for name, (shape, code) in rows.items()]
    graph = helper.make_graph(nodes, "net", declared, [result("y")], weights, value_info=list(value_info))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
