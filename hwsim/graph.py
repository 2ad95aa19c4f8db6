"""Graph, Node, Tensor: a network as frozen, verified data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from hwsim import ops
from hwsim.dtypes import DType, dtype
from hwsim.errors import GraphError
from hwsim.ops import Operand, Shape, Work

if TYPE_CHECKING:
    import networkx

Role = Literal["input", "weight", "constant", "activation"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows between nodes."""

    name: str
    shape: Shape
    dtype: DType
    role: Role = "activation"
    density: float = 1.0
    """Share of non-zero elements; of a spiking tensor, its firing rate a timestep."""

    @property
    def size(self) -> int:
        """Element count."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        """Storage in bytes, dense."""
        return self.size * self.dtype.bits / 8

    @property
    def operand(self) -> Operand:
        """What the rules of the operators see."""
        return Operand(self.shape, self.dtype, self.role)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator application."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    """Module path in the source model, as `blocks.3.attn.qkv`."""

    @property
    def op(self) -> ops.Op:
        """The operator of this kind."""
        return ops.get(self.kind)

    def __reduce__(self) -> tuple[Any, ...]:
        return Node, (self.name, self.kind, self.inputs, self.outputs, dict(self.attrs), self.path)


@dataclass(frozen=True)
class Graph:
    """A network: nodes in topological order over named tensors.

    Raises:
        GraphError: a tensor that is used before it is made or made twice, a node whose outputs do not follow from its
            inputs, an output that nobody makes.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the whole network: batch, timesteps, source, options it was built with."""
    values: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Arrays of weights and constants by tensor name, where the source has them; may be a mapping that reads them when asked."""

    def __post_init__(self) -> None:
        for name in ("tensors", "attrs"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        self._verify()

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.name, self.nodes, dict(self.tensors), self.inputs, self.outputs, dict(self.attrs), dict(self.values))

    def _verify(self) -> None:
        known = {t.name for t in self.tensors.values() if t.role != "activation"}
        for node in self.nodes:
            self._verify_node(node, known)
            known.update(node.outputs)
        if lost := [name for name in self.outputs if name not in known]:
            raise GraphError(f"graph {self.name!r}: output(s) {lost} are made by no node")

    def _verify_node(self, node: Node, known: set[str]) -> None:
        where = f"graph {self.name!r}, node {node.name!r} ({node.kind})"
        fewest, most = node.op.inputs
        if not fewest <= len(node.inputs) <= most:
            raise GraphError(f"{where}: {len(node.inputs)} operand(s); expected {fewest} to {most}")
        if lost := [name for name in node.inputs if name not in known]:
            raise GraphError(f"{where}: uses {', '.join(map(repr, lost))} before any node makes it (a cycle, or a missing tensor)")
        if twice := [name for name in node.outputs if name in known]:
            raise GraphError(f"{where}: makes {', '.join(map(repr, twice))}, which exists already")
        found = tuple(self.tensors[name].shape for name in node.outputs)
        if found != (expected := infer(node.op, [self.tensors[n].shape for n in node.inputs], node.attrs, where=where)[: len(found)]):
            raise GraphError(f"{where}: output shape {found}; expected {expected}")

    @cached_property
    def work(self) -> tuple[Work, ...]:
        """Work of every node, in order."""
        return tuple(self.work_of(node) for node in self.nodes)

    def work_of(self, node: Node) -> Work:
        """Work of one node."""
        return node.op.work(self.operands(node.inputs), self.operands(node.outputs), node.attrs)

    def operands(self, names: Sequence[str]) -> list[Operand]:
        """Shapes and formats of the named tensors."""
        return [self.tensors[name].operand for name in names]

    @cached_property
    def producer(self) -> Mapping[str, Node]:
        """Tensor name to the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """Tensor name to the nodes that read it."""
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """Parameter tensors, each once however often it is used."""
        return tuple(t for t in self.tensors.values() if t.role == "weight")

    @cached_property
    def parameters(self) -> int:
        """Trained numbers, shared ones once."""
        return sum(t.size for t in self.weights)

    @cached_property
    def weight_b(self) -> float:
        """Bytes of parameters and constants."""
        return sum(t.bytes for t in self.tensors.values() if t.role in ("weight", "constant"))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates, attention masks not subtracted."""
        return sum(w.macs for w in self.work)

    @cached_property
    def state_b(self) -> float:
        """Bytes of KV caches and recurrent states after the call."""
        return sum(self.work_of(node).state_b for node in self.nodes if node.op.stateful)

    @property
    def unsupported(self) -> tuple[Node, ...]:
        """Nodes left out on request."""
        return tuple(n for n in self.nodes if n.kind == "unsupported")

    @property
    def coverage_frac(self) -> float:
        """Share of nodes that have a rule."""
        return 1.0 - len(self.unsupported) / max(1, len(self.nodes))

    def replace(self, **changes: Any) -> Graph:
        """A verified copy with `changes`."""
        return replace(self, **changes)

    def retyped(self, formats: Mapping[str, DType]) -> Graph:
        """A copy with other formats of the named tensors; shapes stay, so nothing has to be verified again."""
        changed = {
            name: Tensor(name, t.shape, formats[name], t.role, t.density) if name in formats else t for name, t in self.tensors.items()
        }
        copy = object.__new__(Graph)
        for name in ("name", "nodes", "inputs", "outputs", "attrs", "values"):
            object.__setattr__(copy, name, getattr(self, name))
        object.__setattr__(copy, "tensors", MappingProxyType(changed))
        return copy

    def to_networkx(self) -> networkx.DiGraph:
        """Nodes by name (attributes `node`, `work`), an edge a tensor (attribute `tensor`)."""
        import networkx

        result = networkx.DiGraph(name=self.name)
        for node, work in zip(self.nodes, self.work, strict=True):
            result.add_node(node.name, node=node, work=work)
            for name in node.inputs:
                if name in self.producer:
                    result.add_edge(self.producer[name].name, node.name, tensor=self.tensors[name])
        return result


def infer(op: ops.Op, shapes: Sequence[Shape], attrs: Mapping[str, Any], *, where: str) -> tuple[Shape, ...]:
    """Output shapes of `op`, with the place of a failure in its message.

    Raises:
        GraphError: the operands do not fit the operator.
    """
    try:
        return op.shapes(shapes, attrs)
    except GraphError as error:
        raise GraphError(f"{where}: {error}") from None
    except (IndexError, ValueError, TypeError, ZeroDivisionError, KeyError) as error:
        raise GraphError(f"{where}: operands {list(shapes)} do not fit the operator ({error})") from None


class GraphBuilder:
    """Builds a Graph node by node; shapes are inferred, attributes completed, names made unique.

    >>> b = GraphBuilder("mlp")
    >>> x = b.input("x", (1, 16), "fp32")
    >>> y = b.add("linear", [x, b.weight((64, 16)), b.weight((64,))], path="fc1")
    >>> b.finish([y]).macs
    1024
    """

    def __init__(self, name: str, *, dtype: str | DType = "fp32", **attrs: Any) -> None:
        self.name, self.attrs, self.dtype = name, attrs, _dtype(dtype)
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, Any] = {}
        self.nodes: list[Node] = []
        self._inputs: list[str] = []
        self._names: dict[str, int] = {}
        self._scope: list[str] = []

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix of the module path of what is added inside."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def input(self, name: str, shape: Sequence[int], dtype: str | DType | None = None) -> str:
        """Declare an input of the network; returns its name."""
        self._inputs.append(self._tensor(name, shape, dtype, "input"))
        return self._inputs[-1]

    def weight(self, shape: Sequence[int], dtype: str | DType | None = None, *, name: str = "weight", values: Any = None) -> str:
        """Declare a trained tensor, with its values where they are known; returns its name."""
        unique = self._tensor(name, shape, dtype, "weight")
        if values is not None:
            self.values[unique] = values
        return unique

    def constant(self, shape: Sequence[int], dtype: str | DType | None = None, *, name: str = "constant") -> str:
        """Declare a stored tensor that is not trained (running statistics, tables); returns its name."""
        return self._tensor(name, shape, dtype, "constant")

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        path: str = "",
        name: str | None = None,
        dtype: str | DType | None = None,
        **attrs: Any,
    ) -> str:
        """Append a node; returns the name of its first output.

        Raises:
            UnknownName: the kind or an attribute does not exist.
            GraphError: the operands do not fit.
        """
        return self.add_many(kind, inputs, path=path, name=name, dtype=dtype, **attrs)[0]

    def add_many(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        path: str = "",
        name: str | None = None,
        dtype: str | DType | Sequence[str | DType] | None = None,
        **attrs: Any,
    ) -> tuple[str, ...]:
        """Append a node; returns the names of all its outputs. `dtype`: of the outputs, by default that of the first activation."""
        op = ops.get(kind)
        full_path = ".".join([*self._scope, path] if path else self._scope)
        name = self._unique(name or full_path or kind)
        complete = op.complete(attrs)
        where = f"graph {self.name!r}, node {name!r} ({kind})"
        shapes = infer(op, [self.tensors[i].shape for i in inputs], complete, where=where)
        formats = self._formats(dtype, inputs, len(shapes))
        outputs = tuple(self._tensor(f"{name}:{i}", s, f, "activation") for i, (s, f) in enumerate(zip(shapes, formats, strict=True)))
        self.nodes.append(Node(name, kind, tuple(inputs), outputs, MappingProxyType(complete), full_path))
        return outputs

    def _formats(self, given: Any, inputs: Sequence[str], count: int) -> list[DType]:
        if isinstance(given, list | tuple):
            return [_dtype(d) for d in given]
        if given is None:
            flowing = [self.tensors[i].dtype for i in inputs if self.tensors[i].role in ("activation", "input")]
            given = flowing[0] if flowing else (self.tensors[inputs[0]].dtype if inputs else self.dtype)
        return [_dtype(given)] * count

    def shape(self, tensor: str) -> Shape:
        """Shape of a tensor made so far."""
        return self.tensors[tensor].shape

    def finish(self, outputs: Sequence[str]) -> Graph:
        """The graph, verified."""
        return Graph(self.name, tuple(self.nodes), self.tensors, tuple(self._inputs), tuple(outputs), self.attrs, self.values)

    def _tensor(self, name: str, shape: Sequence[int], fmt: str | DType | None, role: Role) -> str:
        scoped = name if role != "weight" and role != "constant" else ".".join([*self._scope, name])
        unique = self._unique(scoped)
        self.tensors[unique] = Tensor(unique, tuple(int(s) for s in shape), self.dtype if fmt is None else _dtype(fmt), role)
        return unique

    def _unique(self, name: str) -> str:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if not count else self._unique(f"{name}#{count}")


_dtype = dtype
