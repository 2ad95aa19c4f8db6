"""Hand-written networks in YAML -> Graph; described in docs/yaml-graphs.md."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwsim import yaml12
from hwsim.dtypes import dtype
from hwsim.errors import GraphError, InputError, UnknownName
from hwsim.frontends.onnx.binding import BATCH, SEQUENCE, evaluate, symbols_of
from hwsim.frontends.onnx.load import verified
from hwsim.frontends.onnx.values import MOST_ELEMENTS
from hwsim.graph import Graph, GraphBuilder

MOST_NODES = 100_000
"""Nodes after repeats are written out."""
_GRAPH_KEYS = ("name", "dims", "dtype", "inputs", "nodes", "outputs")
_INPUT_KEYS = ("shape", "dtype", "density")
_SOURCES = ("weight", "constant", "generate")
_REPEAT_KEYS = ("repeat", "path", "nodes")
COMMON_KEYS = ("op", "in", "out", "path", "dtype", "density")
"""Keys that every node takes."""


class YamlFrontend:
    """Reads `*.yaml` files with the top-level key `graph`."""

    name = "yaml"

    def accepts(self, source: Any) -> bool:
        """A YAML file with `graph:` in it (or one that is not there: the message is ours), or a mapping with that key."""
        if isinstance(source, Mapping):
            return "graph" in source
        if not isinstance(source, str | Path) or not str(source).lower().endswith((".yaml", ".yml")):
            return False
        try:
            with Path(source).open("rb") as file:
                return re.search(rb"^graph[ ]*:", file.read(yaml12.MOST_BYTES), re.MULTILINE) is not None
        except (OSError, ValueError):
            return True

    def load(
        self,
        source: Any,
        *,
        batch: int | None = None,
        seq_len: int | None = None,
        dims: Mapping[str, int] | None = None,
        allow_unsupported: bool = False,
        **options: Any,
    ) -> Graph:
        """The graph of a file, or of the mapping that stands in one.

        Raises:
            InputError: not such a file, unknown keys, shapes that do not fit; says at which node.
        """
        for option in options:
            raise UnknownName("option of the YAML front end", option, ("batch", "seq_len", "dims"))
        where = str(source) if isinstance(source, str | Path) else "graph"
        data = yaml12.load(Path(source)) if isinstance(source, str | Path) else source
        top = checked(data, ("graph",), where=where)
        spec = checked(top.get("graph"), _GRAPH_KEYS, where=f"{where}: graph")
        return _Reader(spec, where).read(batch=batch, seq_len=seq_len, dims=dims or {})


FRONTEND = YamlFrontend()


def checked(data: Any, known: Sequence[str], *, where: str) -> Mapping[str, Any]:
    """`data` as a mapping with known keys.

    Raises:
        InputError: no mapping.
        UnknownName: another key.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: found {_short(data)}; expected a mapping with {', '.join(map(repr, known))}")
    for key in data:
        if key not in known:
            raise UnknownName(f"key in {where}:", str(key), known)
    return data


def _short(data: Any) -> str:
    text = repr(data)
    return "nothing" if data is None else f"{text[:60]}..." if len(text) > 60 else text


@dataclass
class Spec:
    """One node of the file: typed access to its keys."""

    reader: _Reader
    data: Mapping[str, Any]
    where: str
    inputs: list[str] = field(default_factory=list)

    @property
    def op(self) -> str:
        """Its operator or short form."""
        return str(self.data.get("op"))

    def number(self, key: str, default: Any = None, *, least: int = 0) -> Any:
        """A whole number: written out, a dimension, or arithmetic on those."""
        value = self.data.get(key, default)
        if value is None:
            raise InputError(f"{self.where}: {key!r} is missing; expected a whole number or a dimension")
        result = self.reader.number(value, where=f"{self.where}: {key!r}")
        if result < least:
            raise InputError(f"{self.where}: {key!r} is {result}; expected at least {least}")
        return result

    def numbers(self, key: str, default: Any = None) -> Any:
        """A whole number or a list of them, as a number or a tuple."""
        value = self.data.get(key, default)
        if isinstance(value, list):
            return tuple(self.reader.number(v, where=f"{self.where}: {key!r}") for v in value)
        return self.number(key, default, least=-(1 << 31))

    def shape(self, key: str) -> tuple[int, ...]:
        """A list of sizes."""
        return self.reader.shape(self.data.get(key), where=f"{self.where}: {key!r}")

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise InputError(f"{self.where}: {key!r} is {_short(value)}; expected true or false")
        return value

    def weight(self, shape: Sequence[int], name: str = "weight") -> str:
        """A trained tensor of this node."""
        return self.reader.weight(self, shape, name)

    def add(self, kind: str, inputs: Sequence[str] | None = None, **options: Any) -> str:
        """Append a node of our graph; its first result."""
        return self.add_many(kind, inputs, **options)[0]

    def add_many(
        self, kind: str, inputs: Sequence[str] | None = None, *, path: str = "", default: Any = None, **attrs: Any
    ) -> tuple[str, ...]:
        """Append a node of our graph; all results. `default`: their format, if the file gives none."""
        fmt = self.data.get("dtype", default)
        full = ".".join(p for p in (str(self.data.get("path", "")), path) if p)
        names = self.inputs if inputs is None else inputs
        return self.reader.builder.add_many(kind, names, path=full, dtype=None if fmt is None else dtype(str(fmt)), **attrs)

    def operand_shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of operand `index`."""
        if index >= len(self.inputs):
            raise InputError(f"{self.where}: {len(self.inputs)} operand(s); expected at least {index + 1}")
        return self.reader.builder.shape(self.inputs[index])


class _Reader:
    """One run over one file."""

    def __init__(self, spec: Mapping[str, Any], where: str) -> None:
        self.spec, self.where = spec, where
        default = Path(where).stem if where.endswith((".yaml", ".yml")) else where
        self.builder = GraphBuilder(str(spec.get("name", default)), dtype=dtype(str(spec.get("dtype", "fp32"))))
        self.values: dict[str, str] = {}
        self.dims: dict[str, int] = {}
        self.last = ""
        """Result of the node before."""
        self.count = 0

    def read(self, *, batch: int | None, seq_len: int | None, dims: Mapping[str, int]) -> Graph:
        """The graph."""
        self._bind(batch=batch, seq_len=seq_len, dims=dims)
        self._inputs()
        self._nodes(self.spec.get("nodes"), where=f"{self.where}: nodes", depth=0)
        self.builder.attrs = self._facts()
        return verified(self.builder.finish(self._outputs()), where=self.where)

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"source": self.where, "frontend": "yaml", "dims": dict(self.dims)}
        for fact, known in (("batch", BATCH), ("seq_len", SEQUENCE)):
            sizes = [size for name, size in self.dims.items() if name.lower() in known]
            facts |= {fact: sizes[0]} if sizes else {}
        return facts

    def _outputs(self) -> list[str]:
        given = self.spec.get("outputs")
        if given is None:
            return [self.last]
        if not isinstance(given, list) or not given:
            raise InputError(f"{self.where}: outputs is {_short(given)}; expected a list of names")
        return [self.name(name, where=f"{self.where}: outputs") for name in given]

    def _bind(self, *, batch: int | None, seq_len: int | None, dims: Mapping[str, int]) -> None:
        declared = self.spec.get("dims") or {}
        if not isinstance(declared, Mapping) or not all(isinstance(name, str) and name.isidentifier() for name in declared):
            raise InputError(f"{self.where}: dims is {_short(declared)}; expected names with default sizes, such as {{batch: 1}}")
        given = dict(dims)
        for option, size, known in (("batch", batch, BATCH), ("seq_len", seq_len, SEQUENCE)):
            if size is not None:
                given.setdefault(self._named(option, declared, known), size)
        for name in given:
            if name not in declared:
                raise UnknownName(f"dimension of {self.where}", name, declared)
        for name, default in declared.items():
            self.dims[name] = self._size(name, given.get(name, default))

    def _named(self, option: str, declared: Mapping[str, Any], known: frozenset[str]) -> str:
        for name in declared:
            if name.lower() in known:
                return name
        raise InputError(
            f"{self.where}: {option} is given, but the network has no dimension of that name; its dims: {', '.join(declared) or 'none'}"
        )

    def _size(self, name: str, value: Any) -> int:
        if value is None:
            raise InputError(f"{self.where}: dimension {name!r} has no default; give it: --dim {name}=1 (dims={{{name!r}: 1}})")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 32:
            raise InputError(f"{self.where}: dimension {name!r} is {_short(value)}; expected a whole number from 1 to {1 << 32}")
        return value

    def _inputs(self) -> None:
        inputs = self.spec.get("inputs")
        if not isinstance(inputs, Mapping) or not inputs:
            raise InputError(f"{self.where}: inputs is {_short(inputs)}; expected names with shapes, such as {{x: [batch, 16]}}")
        for name, entry in inputs.items():
            where = f"{self.where}: input {name!r}"
            data = {"shape": entry} if isinstance(entry, list) else checked(entry, _INPUT_KEYS, where=where)
            tensor = self.builder.input(str(name), self.shape(data.get("shape"), where=where), str(data.get("dtype", self.builder.dtype)))
            self._set_density(tensor, data.get("density"), where=where)
            self.last = self.values[str(name)] = tensor

    def _nodes(self, nodes: Any, *, where: str, depth: int) -> None:
        if not isinstance(nodes, list) or not nodes:
            raise InputError(f"{where}: found {_short(nodes)}; expected a list of nodes")
        if depth > 16:
            raise InputError(f"{where}: repeats are nested more than 16 deep")
        for index, node in enumerate(nodes):
            place = f"{where}[{index}]"
            if isinstance(node, Mapping) and "repeat" in node:
                self._repeat(checked(node, _REPEAT_KEYS, where=place), where=place, depth=depth)
            else:
                self._node(node, where=place)

    def _repeat(self, node: Mapping[str, Any], *, where: str, depth: int) -> None:
        times = self.number(node["repeat"], where=f"{where}: 'repeat'")
        if not 1 <= times <= MOST_NODES:
            raise InputError(f"{where}: 'repeat' is {times}; expected 1 to {MOST_NODES}")
        for index in range(times):
            with self.builder.scope(f"{node.get('path', 'blocks')}.{index}"):
                self._nodes(node.get("nodes"), where=f"{where}: nodes", depth=depth + 1)

    def _node(self, node: Any, *, where: str) -> None:
        from hwsim.frontends.yaml_rules import build

        self.count += 1
        if self.count > MOST_NODES:
            raise InputError(f"{where}: more than {MOST_NODES:,} nodes; expected a network of real size")
        if not isinstance(node, Mapping) or not isinstance(node.get("op"), str):
            raise InputError(f"{where}: found {_short(node)}; expected a node with 'op', or a block with 'repeat'")
        spec = Spec(self, node, f"{where} ({node['op']})")
        spec.inputs = self._operands(spec)
        try:
            results = build(spec)
        except UnknownName as error:
            raise InputError(f"{spec.where}: {error}") from None
        except GraphError as error:
            raise InputError(f"{spec.where}: {str(error).partition('): ')[2] or error}") from None
        self._name_results(spec, results)

    def _operands(self, spec: Spec) -> list[str]:
        given = spec.data.get("in")
        if given is None:
            return [] if spec.op in _SOURCES else [self.last]
        return [self.name(name, where=spec.where) for name in (given if isinstance(given, list) else [given])]

    def _name_results(self, spec: Spec, results: Sequence[str]) -> None:
        given = spec.data.get("out", [])
        names = given if isinstance(given, list) else [given]
        if len(names) > len(results) or not all(isinstance(n, str) for n in names):
            raise InputError(f"{spec.where}: 'out' is {_short(given)}; expected {len(results)} name(s) at most")
        for tensor in results:
            self._set_density(tensor, spec.data.get("density"), where=spec.where)
        if spec.op not in ("weight", "constant"):
            self.last = results[0]
        self.values.update(zip(names, results, strict=False))

    def name(self, name: Any, *, where: str) -> str:
        """The tensor of our graph that stands under a name of the file."""
        if not isinstance(name, str) or name not in self.values:
            raise UnknownName(f"tensor in {where}:", str(name), self.values)
        return self.values[name]

    def number(self, value: Any, *, where: str) -> int:
        """A whole number from a number or an expression of dimensions.

        Raises:
            InputError: neither.
        """
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise InputError(f"{where} is {_short(value)}; expected a whole number or a dimension")
        for symbol in symbols_of(value):
            if symbol not in self.dims:
                raise UnknownName(f"dimension in {where}:", symbol, self.dims)
        result = evaluate(value, self.dims)
        if abs(result) > MOST_ELEMENTS:
            raise InputError(f"{where} is {result:.3g}; expected at most {MOST_ELEMENTS:.3g}")
        return result

    def shape(self, value: Any, *, where: str) -> tuple[int, ...]:
        """A list of sizes."""
        if not isinstance(value, list) or len(value) > 16:
            raise InputError(f"{where} is {_short(value)}; expected a list of sizes")
        sizes = tuple(self.number(v, where=where) for v in value)
        if any(s < 1 for s in sizes) or math.prod(sizes) > MOST_ELEMENTS:
            raise InputError(f"{where} is {list(sizes)}; expected sizes of at least 1, and at most {MOST_ELEMENTS:.3g} elements")
        return sizes

    def weight(self, spec: Spec, shape: Sequence[int], name: str) -> str:
        """A trained tensor, named after its node's path."""
        path = str(spec.data.get("path", ""))
        tensor = self.builder.weight(shape, str(spec.data.get("weight_dtype", self.builder.dtype)), name=f"{path}.{name}" if path else name)
        self._set_density(tensor, spec.data.get("weight_density"), where=spec.where)
        return tensor

    def _set_density(self, tensor: str, density: Any, *, where: str) -> None:
        if density is None:
            return
        if isinstance(density, bool) or not isinstance(density, int | float) or not 0 <= density <= 1:
            raise InputError(f"{where}: density is {_short(density)}; expected a share from 0 to 1")
        self.builder.tensors[tensor] = replace(self.builder.tensors[tensor], density=float(density))
