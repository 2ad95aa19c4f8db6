"""ExportedProgram -> Graph."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.export.graph_signature import InputKind

from hwsim.errors import GraphError, HwsimError, UnsupportedOp
from hwsim.frontends.torch import rules_dense, rules_layout, rules_pointwise, rules_reduction, rules_sequence, rules_spiking
from hwsim.frontends.torch.rules import RULES, Call, format_of, operator_name
from hwsim.frontends.torch.values import values
from hwsim.graph import Graph, GraphBuilder

_TABLES = (rules_dense, rules_layout, rules_pointwise, rules_reduction, rules_sequence, rules_spiking)
_SILENT = ("_assert", "sym_", "_set_grad", "_print", "set_", "_enter_autocast", "_exit_autocast")


def to_graph(
    program: torch.export.ExportedProgram,
    *,
    name: str,
    source: str,
    module: torch.nn.Module | None = None,
    allow_unsupported: bool = False,
    **attrs: Any,
) -> Graph:
    """The graph of an exported program.

    Args:
        module: what was exported; its parameters are all kept, shared ones once under their first name.
        attrs: facts for `Graph.attrs`, such as batch and seq_len.

    Raises:
        UnsupportedOp: operators without a rule, all of them, unless `allow_unsupported`.
    """
    converter = Converter(program, name=name, module=module, source=source, **attrs)
    return converter.run(allow_unsupported=allow_unsupported)


class Converter:
    """Walks the operators of a program once, in order, and applies their rules."""

    def __init__(self, program: torch.export.ExportedProgram, *, name: str, module: torch.nn.Module | None, **attrs: Any) -> None:
        self.program, self.module, self.source = program, module, attrs["source"]
        self.builder = GraphBuilder(name, **attrs)
        self.values: dict[Any, Any] = {}
        self._base: dict[Any, Any] = {}
        self._path = ""
        self._weights: dict[str, str] = {}
        self._stored: dict[str, torch.Tensor] = {}
        self._swapped: set[str] = set()
        self._first_names = _first_names(module, program)

    def run(self, *, allow_unsupported: bool) -> Graph:
        """The graph, without what nobody reads."""
        self._declare()
        outputs = self._walk(self.program.graph_module)
        for name, value in self._parameters():
            self._weight(name, value)
        prune(self.builder, outputs)
        missing = [(n.path, n.attrs["operator"]) for n in self.builder.nodes if n.kind == "unsupported"]
        if missing and not allow_unsupported:
            raise UnsupportedOp(missing, where=self.source)
        stored = {name: t for name, t in self._stored.items() if name in self.builder.tensors}
        self.builder.values = values(stored, swapped=self._swapped)  # pyright: ignore[reportAttributeAccessIssue]
        return self.builder.finish(outputs)

    def _declare(self) -> None:
        specs = {s.arg.name: s for s in self.program.graph_signature.input_specs}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node, specs[node.name])

    def _placeholder(self, node: Any, spec: Any) -> Any:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            return value
        if spec.kind == InputKind.PARAMETER:
            return self._weight(spec.target, value)
        if spec.kind == InputKind.USER_INPUT:
            return self.builder.input(node.name, value.shape, format_of(value))
        name = self.builder.constant(value.shape, format_of(value), name=spec.target or node.name)
        return self._kept(name, spec.target)

    def _kept(self, name: str, target: str | None) -> str:
        """`name`, with the tensor behind it noted where the program holds it."""
        held = self.program.state_dict.get(target or "", self.program.constants.get(target or ""))
        if isinstance(held, torch.Tensor):
            self._stored[name] = held
        return name

    def _parameters(self) -> list[tuple[str, torch.Tensor]]:
        if self.module is not None:
            return list(self.module.named_parameters())
        return [(n, self.program.state_dict[n]) for n in self.program.graph_signature.parameters]

    def _weight(self, name: str, value: torch.Tensor) -> str:
        name = self._first_names.get(name, name)
        if name not in self._weights:
            self._weights[name] = self._kept(self.builder.weight(value.shape, format_of(value), name=name), name)
        return self._weights[name]

    def _walk(self, graph_module: Any) -> list[str]:
        for node in graph_module.graph.nodes:
            if node.op == "call_function":
                self.values[node] = self._call(graph_module, node)
            elif node.op == "get_attr":
                self.values[node] = self._attribute(graph_module, node)
            elif node.op == "output":
                return _flat([self.values.get(n) if isinstance(n, torch.fx.Node) else None for n in _leaves(node.args)])
        return []

    def _attribute(self, owner: Any, node: Any) -> Any:
        value = owner
        for part in node.target.split("."):
            value = getattr(value, part)
        if isinstance(value, torch.Tensor):
            return self.builder.constant(value.shape, format_of(value), name=node.target)
        return value

    def _call(self, owner: Any, node: Any) -> Any:
        if node.target is operator.getitem:
            self._base[node] = node.args[0]
            return self.values[node.args[0]][node.args[1]]
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            return self._inline(owner, node)
        self._path = module_path(node)
        if not isinstance(node.target, torch._ops.OpOverload):
            return None if _is_number(node) else self._unsupported(node, str(node.target))
        if operator_name(node.target).startswith(_SILENT) or not _has_tensor(node.meta.get("val")):
            return None
        return self._apply(Call(self, node))

    def _apply(self, call: Call) -> Any:
        function = RULES.get(call.operator)
        if function is None:
            return self._unsupported(call.node, str(call.node.target))
        try:
            result = function(call)
        except (HwsimError, AssertionError, TypeError, KeyError, IndexError, ValueError) as error:
            raise GraphError(
                f"{self.source}: the rule for {call.node.target} fails at {self._path!r} ({call.node.format_node()}): {error}"
            ) from error
        self._check(call, result)
        if call.in_place:
            self._overwrite(call.node.args[0], result)
        elif call.operator in (
            "view",
            "reshape",
            "select",
            "slice",
            "transpose",
            "permute",
            "unsqueeze",
            "squeeze",
            "narrow",
            "unbind",
            "split",
            "chunk",
        ):
            self._base[call.node] = call.node.args[0]
        return result

    def _check(self, call: Call, result: Any) -> None:
        found = [self.builder.shape(r) for r in _flat([result])]
        expected = [tuple(int(s) for s in f.shape) for f in _flat([call.fake])]
        if found != expected[: len(found)]:
            raise GraphError(f"{self.source}: the rule for {call.node.target} gives {found} at {self._path!r}; torch gives {expected}")

    def _overwrite(self, target: Any, result: str) -> None:
        """An operator wrote into a tensor: later readers see the result, those of the tensor that it is a view of, too."""
        self.values[target] = result
        base = self._base.get(target)
        while base is not None and not isinstance(self.values.get(base), str):
            base = self._base.get(base)
        if base is None:
            return
        whole = self.values[base]
        same = self.builder.tensors[whole].size == self.builder.tensors[result].size
        merged = self.add("reshape", [result], shape=self.builder.shape(whole)) if same else self.add("scatter", [whole, result])
        self._overwrite(base, merged)

    def _inline(self, owner: Any, node: Any) -> Any:
        """A region under another grad or autocast mode is part of the graph around it."""
        arguments = [a for a in node.args if isinstance(a, torch.fx.Node)]
        bodies = [i for i, a in enumerate(arguments) if isinstance(self.values.get(a), torch.fx.GraphModule)]
        if len(bodies) != 1:
            self._path = module_path(node)
            return self._unsupported(node, str(node.target))
        body = self.values[arguments[bodies[0]]]
        inner = [n for n in body.graph.nodes if n.op == "placeholder"]
        for place, argument in zip(inner, arguments[bodies[0] + 1 :], strict=True):
            self.values[place] = self.values[argument]
        return tuple(self._walk(body))

    def _unsupported(self, node: Any, target: str) -> Any:
        fakes = _flat([node.meta.get("val")])
        inputs = [
            self.resolve(a)
            for a in _leaves((node.args, node.kwargs))
            if isinstance(a, torch.fx.Node) and isinstance(self.values.get(a), str)
        ]
        shapes = tuple(tuple(int(s) for s in f.shape) for f in fakes)
        formats = [format_of(f) for f in fakes]
        found = self.add_many("unsupported", list(dict.fromkeys(inputs)), dtype=formats, operator=target, shapes=shapes)
        return found if isinstance(node.meta.get("val"), list | tuple) else found[0]

    def swapped(self, weight: str) -> str:
        """A matrix of parameters, declared with its axes the other way round."""
        tensor = self.builder.tensors[weight]
        self.builder.tensors[weight] = replace(tensor, shape=tensor.shape[::-1])
        self._swapped.add(weight)
        return weight

    def resolve(self, node: Any) -> str:
        """Name of the tensor that a node of the program stands for now."""
        return self.values[node]

    def add(self, kind: str, inputs: Sequence[str], **attrs: Any) -> str:
        """A node at the current module path."""
        return self.builder.add(kind, inputs, path=self._path, **attrs)

    def add_many(self, kind: str, inputs: Sequence[str], **attrs: Any) -> tuple[str, ...]:
        """A node with several results at the current module path."""
        return self.builder.add_many(kind, inputs, path=self._path, **attrs)

    @staticmethod
    def format_name(fake: torch.Tensor) -> str:
        """Name of the format of a tensor."""
        return format_of(fake).name


def prune(builder: GraphBuilder, outputs: Sequence[str]) -> None:
    """Drop nodes that lead to no output, and the constants that nobody reads."""
    read, kept = set(outputs), []
    for node in reversed(builder.nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            kept.append(node)
    builder.nodes = kept[::-1]
    made = {name for node in kept for name in node.outputs}
    builder.tensors = {n: t for n, t in builder.tensors.items() if n in made or n in read or t.role in ("input", "weight")}


def module_path(node: Any) -> str:
    """Path of the module that made the call, as `blocks.3.attn.qkv`."""
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    path = list(stack.values())[-1][0] if stack else ""
    return path.removeprefix("L['self'].").split("@")[0]


def _first_names(module: torch.nn.Module | None, program: torch.export.ExportedProgram) -> dict[str, str]:
    """Every name of a parameter to its first one."""
    if module is None:
        named = [(n, program.state_dict[n]) for n in program.graph_signature.parameters]
    else:
        named = list(module.named_parameters(remove_duplicate=False))
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in named}


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value]


def _flat(values: Any) -> list[Any]:
    return [v for v in _leaves(values) if v is not None]


def _has_tensor(value: Any) -> bool:
    return any(isinstance(v, torch.Tensor) for v in _leaves(value))


def _is_number(node: Any) -> bool:
    return not _has_tensor(node.meta.get("val"))
