"""Walks the nodes of an ONNX graph and builds ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.dtypes import DType
from hwsim.errors import GraphError, InputError, UnknownName, UnsupportedOp
from hwsim.frontends.onnx.evaluate import RULES as COMPUTED
from hwsim.frontends.onnx.evaluate import evaluate
from hwsim.frontends.onnx.origins import Origins, unquantized
from hwsim.frontends.onnx.paths import module_path
from hwsim.frontends.onnx.stored import Stored
from hwsim.frontends.onnx.values import MOST_KNOWN, Value, checked_shape, known, looks_trained
from hwsim.graph import GraphBuilder
from hwsim.ops import Shape

VIEWS = frozenset({"Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "CastLike"})
"""Operators that leave a stored tensor what it is."""
_DEEPEST = 16
_SHARED = 4096
"""Elements up to which exporters store equal tensors once (onnx-ir: 1,024)."""


class Unsupported(Exception):
    """Raised by a rule that meets a form of its operator that it does not know; the text is appended to the operator's name."""


@dataclass
class Call:
    """One ONNX node as a rule sees it: operands, attributes, and how to add nodes to our graph."""

    importer: Importer
    operator: str
    name: str
    path: str
    inputs: list[Value | None]
    attrs: Mapping[str, Any]
    outputs: Sequence[str]

    @property
    def where(self) -> str:
        """Place of the node, for messages."""
        return f"{self.importer.where}: node {self.name or self.path!r} ({self.operator})"

    def has(self, index: int) -> bool:
        """Whether the operand is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def __getitem__(self, index: int) -> Value:
        """Operand `index`.

        Raises:
            InputError: it is not there.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise InputError(f"{self.where}: {len(self.inputs)} operand(s); operand {index} is missing")
        return value

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.attrs.get(name, default)

    def numbers(self, index: int) -> np.ndarray | None:
        """Numbers of an operand; None if it is not given.

        Raises:
            Unsupported: they depend on the input of the network.
        """
        if not self.has(index):
            return None
        array = self.importer.numbers(self[index])
        if array is None:
            raise Unsupported(f"operand {index} depends on the data")
        return np.ravel(array)

    def ints(self, index: int, name: str = "") -> list[int] | None:
        """Whole numbers of an operand, or of the attribute `name` that older operator sets have in its place."""
        found = self.numbers(index)
        if found is None:
            found = self.attrs.get(name)
        return None if found is None else [int(v) for v in found]

    def emit(self, kind: str, operands: Sequence[Value | str], *, dtype: DType | str | None = None, **attrs: Any) -> Value:
        """Add a node; its first result."""
        return self.emit_many(kind, operands, dtype=dtype, **attrs)[0]

    def emit_many(self, kind: str, operands: Sequence[Value | str], *, dtype: Any = None, **attrs: Any) -> list[Value]:
        """Add a node; all its results."""
        names = [o if isinstance(o, str) else self.importer.tensor(o, path=self.path) for o in operands]
        fmt = unquantized(self.importer.builder, kind, names, dtype, attrs)
        made = self.importer.builder.add_many(kind, names, path=self.path, dtype=fmt, **attrs)
        return [self.importer.value_of(name) for name in made]

    def weight(self, value: Value, shape: Shape | None = None, *, perm: Shape | None = None) -> str:
        """Our tensor of a trained operand, in another shape if one is given; `perm`: how its axes get there."""
        return self.importer.weight(
            replace(value, steps=(*value.steps, ("perm", perm))) if perm else value, shape or value.shape, path=self.path
        )

    def constant(self, value: Value) -> str:
        """Our tensor of an operand that is stored and not trained."""
        return self.importer.constant(value, path=self.path)


class Importer:
    """One run over one model."""

    def __init__(self, model: Any, *, rules: Mapping[str, Any], where: str, allow_unsupported: bool, stored: Stored, name: str) -> None:
        self.model, self.rules, self.where, self.allow_unsupported = model, rules, where, allow_unsupported
        self.stored, self.builder, self.origins = stored, GraphBuilder(name), Origins(stored)
        self.values: dict[str, Value | None] = {}
        self.unsupported: list[tuple[str, str]] = []
        self.symbols: dict[str, int] = {}
        self.shapes: dict[str, Shape] = {}
        self._weights: dict[str, dict[Shape, str]] = {}
        self._first_use: dict[str, str] = {}
        self._constants: dict[Any, tuple[Any, str]] = {}

    def run(self, shapes: Mapping[str, Shape], symbols: Mapping[str, int]) -> list[str]:
        """Import every node that the outputs need; names of the outputs in our graph."""
        self.symbols, self.shapes = dict(symbols), dict(shapes)
        graph = self.model.graph
        self._declare(graph)
        self.walk(graph, _alive(graph), depth=0)
        if self.unsupported and not self.allow_unsupported:
            raise UnsupportedOp(self.unsupported, where=self.where)
        return [self.tensor(self._output(o.name), path="") for o in graph.output]

    def _output(self, name: str) -> Value:
        if name not in self.values:
            raise InputError(f"{self.where}: no node makes the output {name!r}")
        if (value := self.values[name]) is None or value.items is not None:
            raise InputError(f"{self.where}: the shape of output {name!r} depends on operators that hwsim cannot follow")
        return value

    def _declare(self, graph: Any) -> None:
        for tensor in graph.initializer:
            self.values[tensor.name] = self.stored.add(tensor)
        for sparse in graph.sparse_initializer:
            self.values[sparse.values.name] = self.stored.add_sparse(sparse)
        from hwsim.frontends.onnx.values import element_type

        for value in graph.input:
            if value.name not in self.values:
                fmt = element_type(value.type.tensor_type.elem_type, where=f"{self.where}: input {value.name!r}")
                self.values[value.name] = self.value_of(self.builder.input(value.name, self.shapes[value.name], fmt))

    def walk(self, graph: Any, nodes: Sequence[Any], *, depth: int) -> None:
        """Import `nodes` in order.

        Raises:
            InputError: subgraphs nested too deep, a name that nothing makes.
        """
        if depth > _DEEPEST:
            raise InputError(f"{self.where}: subgraphs are nested more than {_DEEPEST} deep")
        for node in nodes:
            self._visit(node, depth=depth)

    def _visit(self, node: Any, *, depth: int) -> None:
        call = self._call(node)
        if call is None:
            self._blind(node)
            return
        try:
            results = self._results(call, node, depth=depth)
        except Unsupported as error:
            results = self._left_out(call, str(error))
        except (GraphError, UnknownName) as error:
            raise InputError(f"{call.where}: {error}") from None
        except (IndexError, KeyError, ValueError, TypeError, ZeroDivisionError, AttributeError, OverflowError) as error:
            raise InputError(
                f"{call.where}: its operands or attributes do not fit the operator ({type(error).__name__}: {error})"
            ) from None
        for name, value in zip(node.output, [*results, *[None] * len(node.output)], strict=False):
            self._bind(name, value)

    def _bind(self, name: str, value: Value | None) -> None:
        if name:
            if name in self.values:
                raise InputError(f"{self.where}: two nodes make {name!r}")
            if value is not None:
                checked_shape(value.shape, where=f"{self.where}: tensor {name!r}")
            self.values[name] = value

    def _call(self, node: Any) -> Call | None:
        """The node with its operands; None if the shape of one is not known."""
        if lost := [name for name in node.input if name and name not in self.values]:
            raise InputError(
                f"{self.where}: node {node.name or node.op_type!r} ({node.op_type}) uses {', '.join(map(repr, lost))} before any node "
                "makes it (a cycle, or a missing tensor)"
            )
        inputs = [self.values[name] if name else None for name in node.input]
        if any(value is None and name for value, name in zip(inputs, node.input, strict=True)):
            return None
        weights = [v.stored for v in inputs if v is not None and v.stored]
        attrs = {a.name: _attribute(a, where=self.where) for a in node.attribute}
        return Call(self, _key(node), node.name, module_path(node, weights), inputs, attrs, tuple(node.output))

    def _blind(self, node: Any) -> None:
        if _key(node) not in self.rules:
            self.unsupported.append((module_path(node) or node.name, _key(node)))
        for name in node.output:
            self._bind(name, None)

    def _results(self, call: Call, node: Any, *, depth: int) -> Sequence[Value | None]:
        if call.operator == "If":
            return self._branch(call, node, depth=depth)
        if (computed := self._computed(call)) is not None:
            return computed
        if call.operator not in self.rules:
            raise Unsupported("")
        result = self.rules[call.operator](call)
        return result if isinstance(result, list | tuple) else [result]

    def _computed(self, call: Call) -> list[Value] | None:
        """Results that can be computed now."""
        if call.operator not in COMPUTED or not call.inputs or any(v is not None and v.items for v in call.inputs):
            return None
        first = call.inputs[0]
        if call.operator in VIEWS and first is not None and first.stored and (first.real or first.size > MOST_KNOWN):
            return None
        arrays = [None if v is None else self._followed(v) for v in call.inputs]
        if any(a is None and v is not None for a, v in zip(arrays, call.inputs, strict=True)):
            return None
        found = evaluate(call.operator, arrays, call.attrs)
        return None if found is None else [known(a) for a in found]

    def _followed(self, value: Value) -> np.ndarray | None:
        if value.array is not None or value.stored is None or not self.stored.index_like(value):
            return value.array
        return self.stored.array(value)

    def numbers(self, value: Value) -> np.ndarray | None:
        """Numbers of a value, where they are few and known."""
        return value.array if value.array is not None else self.stored.array(value)

    def _branch(self, call: Call, node: Any, *, depth: int) -> Sequence[Value | None]:
        """The branch of an If whose condition is known."""
        condition = call.numbers(0)
        if condition is None or condition.size != 1:
            raise Unsupported("no condition")
        graph = call.attrs["then_branch" if condition[0] else "else_branch"]
        outer = dict(self.values)
        for tensor in graph.initializer:
            self._bind(tensor.name, self.stored.add(tensor))
        self.walk(graph, _alive(graph), depth=depth + 1)
        results = [self.values.get(o.name) for o in graph.output]
        self.values = outer
        return results

    def _left_out(self, call: Call, reason: str) -> Sequence[Value | None]:
        operator = f"{call.operator} ({reason})" if reason else call.operator
        self.unsupported.append((call.path or call.name, operator))
        if not self.allow_unsupported:
            return []
        declared = [self._declared.get(name) for name in call.outputs]
        if any(d is None for d in declared):
            raise UnsupportedOp(
                [(call.path or call.name, f"{operator}, whose result has no known shape, so it cannot be left out")], where=self.where
            )
        shapes, formats = zip(*(d for d in declared if d), strict=True)
        operands = [v for v in call.inputs if v is not None and v.items is None]
        return call.emit_many("unsupported", operands, dtype=list(formats), operator=operator, shapes=tuple(shapes))

    @cached_property
    def _declared(self) -> dict[str, tuple[Shape, DType]]:
        """Shapes that the file or ONNX's own inference gives."""
        from hwsim.frontends.onnx.declared import declared

        return declared(self.model, shapes=self.shapes, symbols=self.symbols, where=self.where)

    def value_of(self, tensor: str) -> Value:
        """A tensor of our graph as a value."""
        found = self.builder.tensors[tensor]
        return Value(found.shape, found.dtype, tensor=tensor)

    def tensor(self, value: Value, *, path: str) -> str:
        """Our tensor of `value`, declared now if it is stored."""
        if value.tensor is not None:
            return value.tensor
        if value.items is not None:
            raise Unsupported("a sequence")
        if value.quantized is not None:
            source = self.weight(value.quantized, value.quantized.shape, path=path)
            return self.builder.add("dequantize", [source], path=path, dtype=value.dtype, to=value.dtype.name)
        if value.stored is not None and value.real and looks_trained(value.stored):
            return self.weight(value, value.shape, path=path)
        if value.stored is not None and value.real and _one_axis(value):
            return self.weight(value, value.shape, path=path)
        return self.constant(value, path=path)

    def weight(self, value: Value, shape: Shape, *, path: str) -> str:
        """Our tensor of a trained value in `shape`."""
        if value.tensor is None and value.quantized is not None:
            value = value.quantized
        if value.tensor is not None or value.stored is None:
            name = value.tensor or self.constant(value, path=path)
            return name if self.builder.shape(name) == shape else self._viewed(name, shape, path=path)
        name = self._own_name(value.stored, path)
        made = self._weights.setdefault(name, {})
        if shape not in made:
            made[shape] = self._viewed(next(iter(made.values())), shape, path=path) if made else self._new_weight(value, shape, name)
        return made[shape]

    def _own_name(self, stored: str, path: str) -> str:
        """Name of the weight that `stored` is in the module `path`.

        Exporters store equal tensors once. Those of one repeated number (biases of an untrained network) are no tied weights.
        """
        module, _, leaf = stored.rpartition(".")
        if not path or path == module or not self.stored.uniform(stored, most=_SHARED):
            return stored
        first = self._first_use.setdefault(stored, path if not looks_trained(stored) else module)
        return stored if path == first else f"{path}.{leaf}"

    def _new_weight(self, value: Value, shape: Shape, name: str) -> str:
        name = self.builder.weight(shape, value.dtype, name=name)
        if (density := self.stored.density.get(value.stored or "")) is not None:
            self.builder.tensors[name] = replace(self.builder.tensors[name], density=density)
        return self.origins.add(name, value, shape)

    def _viewed(self, name: str, shape: Shape, *, path: str) -> str:
        return self.builder.add("reshape", [name], path=path, shape=shape)

    def constant(self, value: Value, *, path: str) -> str:
        """Our tensor of a stored value that is not trained."""
        if value.tensor is not None:
            return value.tensor
        key = (value.stored or id(value.array), value.shape)
        if key not in self._constants:
            name = self.builder.constant(value.shape, value.dtype, name=value.stored or "constant")
            self._constants[key] = (value, self.origins.add(name, value, value.shape))
        return self._constants[key][1]


def _one_axis(value: Value) -> bool:
    """Whether a stored tensor is one number a channel: a bias or a scale whose name an exporter lost."""
    return value.size > 1 and sum(s > 1 for s in value.shape) == 1


def _key(node: Any) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _attribute(attribute: Any, *, where: str) -> Any:
    kind = attribute.type
    if kind in (1, 2):
        return attribute.f if kind == 1 else attribute.i
    if kind == 3:
        return attribute.s.decode("utf-8", "replace")
    if kind == 4:
        return _tensor_attribute(attribute.t, where=where)
    if kind == 5:
        return attribute.g
    lists = {6: attribute.floats, 7: attribute.ints, 8: attribute.strings}
    return list(lists.get(kind, ()))


def _tensor_attribute(tensor: Any, *, where: str) -> Any:
    """A small tensor as numbers, a large one as it is."""
    stored = Stored(directory=None, where=where)
    value = stored.add(tensor, name=tensor.name or "value")
    array = stored.array(value) if tensor.data_location == 0 else None
    return tensor if array is None else array


def _alive(graph: Any) -> list[Any]:
    """Nodes that the outputs need, in order."""
    needed = {o.name for o in graph.output}
    alive = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            needed.update(_captured(node))
            alive.append(node)
    return alive[::-1]


def _captured(node: Any) -> set[str]:
    """Names that the subgraphs of `node` use."""
    found: set[str] = set()
    graphs = [a.g for a in node.attribute if a.type == 5]
    while graphs:
        graph = graphs.pop()
        found.update(o.name for o in graph.output)
        for inner in graph.node:
            found.update(inner.input)
            graphs += [a.g for a in inner.attribute if a.type == 5]
    return found
