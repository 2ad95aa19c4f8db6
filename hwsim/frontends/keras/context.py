"""Walks the layers of a Keras network and builds our graph."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.errors import GraphError, InputError, UnknownName, UnsupportedOp
from hwsim.frontends.keras.network import Call as Application
from hwsim.frontends.keras.network import Layer, Network, Ref
from hwsim.frontends.keras.weights import Role, Weights
from hwsim.graph import GraphBuilder
from hwsim.ops import Shape

HOMES = ("", "keras", "tf_keras", "tensorflow", "qkeras", "tensorflow_model_optimization", "builtins")
"""Packages whose classes of a known name are what they seem."""
_POLICIES = {"float16": "fp16", "bfloat16": "bf16", "float64": "fp64", "mixed_float16": "fp16", "mixed_bfloat16": "bf16"}


class Unsupported(Exception):
    """Raised by a rule that meets a form of its layer that it does not know."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor as Keras sees it."""

    tensor: str
    """Its name in our graph."""
    shape: Shape
    """In the order of Keras, batch first."""
    first: bool = False
    """Whether our tensor has the channels before space and Keras has them last."""

    def axis(self, axis: int) -> int:
        """Our axis of an axis of Keras."""
        rank = len(self.shape)
        if not -rank <= axis < rank:
            raise GraphError(f"axis {axis} of a tensor of shape {self.shape}")
        axis %= rank
        if not self.first or axis == 0:
            return axis
        return 1 if axis == rank - 1 else axis + 1


def ours(shape: Shape, *, first: bool) -> Shape:
    """A shape of Keras in the order of our tensor."""
    return (shape[0], shape[-1], *shape[1:-1]) if first and len(shape) > 2 else shape


def theirs(shape: Shape, *, first: bool) -> Shape:
    """The other way round."""
    return (shape[0], *shape[2:], shape[1]) if first and len(shape) > 2 else shape


@dataclass
class Call:
    """One application of a layer as a rule sees it."""

    importer: Importer
    layer: Layer
    path: tuple[str, ...]
    name: str
    """Name of the main node."""
    inputs: list[Value]
    named: Mapping[str, Value]

    @property
    def config(self) -> Mapping[str, Any]:
        """Settings of the layer."""
        return self.layer.config

    @property
    def x(self) -> Value:
        """The first tensor.

        Raises:
            InputError: there is none.
        """
        for value in (*self.inputs, *self.named.values()):
            return value
        raise InputError(f"{self.where}: it is called with no tensor")

    @property
    def where(self) -> str:
        """Place of the layer, for messages."""
        return f"{self.importer.where}: layer {'/'.join(self.path)!r} ({self.layer.class_name})"

    @property
    def dtype(self) -> str:
        """Format that the layer computes in."""
        return policy(self.config.get("dtype"))

    def get(self, key: str, default: Any = None) -> Any:
        """A setting, with the default where it is absent or null."""
        value = self.config.get(key)
        return default if value is None else value

    def need(self, key: str) -> Any:
        """A setting that must be there.

        Raises:
            InputError: it is not.
        """
        if self.config.get(key) is None:
            raise InputError(f"{self.where}: its configuration has no {key!r}. Is the file complete?")
        return self.config[key]

    def emit(
        self, kind: str, operands: Sequence[Value | str], *, suffix: str = "", dtype: Any = None, first: bool | None = None, **attrs: Any
    ) -> Value:
        """Add a node called after the layer; its first result, in the layout of the first operand unless `first` says otherwise."""
        b = self.importer.builder
        names = [o if isinstance(o, str) else o.tensor for o in operands]
        inherited = next((o.first for o in operands if isinstance(o, Value)), False)
        name = self.importer.unique(f"{self.name}{suffix}")
        tensor = b.add(kind, names, name=name, path=".".join(self.path), dtype=dtype or self.dtype, **attrs)
        self.importer.classes[name] = plain(self.layer.class_name)
        channels_first = inherited if first is None else first
        return Value(tensor, theirs(b.shape(tensor), first=channels_first), channels_first and len(b.shape(tensor)) > 2)

    def moved(self, kind: str, x: Value, *, suffix: str = "", first: bool | None = None, **attrs: Any) -> Value:
        """A node that changes no number, so that its result keeps the format of `x`."""
        fmt = self.importer.builder.tensors[x.tensor].dtype
        return self.emit(kind, [x], suffix=suffix, dtype=fmt, first=first, **attrs)

    def weight(
        self,
        name: str,
        shape: Sequence[int],
        role: Role | None = None,
        *,
        stored: Sequence[int] | None = None,
        change: Callable[[np.ndarray], np.ndarray] = np.asarray,
        dtype: Any = None,
        trained: bool = True,
    ) -> str:
        """Declare a weight.

        Args:
            shape: in our layout.
            role: where its values are; None: nowhere.
            stored: shape in the file, if another.
            change: from the file's layout to ours.

        Raises:
            InputError: what the file holds has another shape.
        """
        b, wanted = self.importer.builder, tuple(int(s) for s in (shape if stored is None else stored))
        full = ".".join([*self.path, name])
        fmt = dtype or variable(self.config.get("dtype"))
        made = b.weight(shape, fmt, name=full) if trained else b.constant(shape, fmt, name=full)
        entry = None if role is None else self.importer.weights.find(self.path, role)
        if entry is not None:
            if entry.shape != wanted:
                raise InputError(f"{self.where}: the file holds a {name} of shape {entry.shape}; the architecture expects {wanted}")
            size = tuple(shape)
            self.importer.makers[made] = lambda: np.ascontiguousarray(change(entry.read())).reshape(size)
        return made

    def layout(self, x: Value, *, first: bool) -> Value:
        """`x` with channels before space, or as Keras has it; a transpose if it is the other way."""
        rank = len(x.shape)
        if x.first == first or rank < 3:
            return x
        perm = (0, rank - 1, *range(1, rank - 1)) if first else (0, *range(2, rank), 1)
        moved = self.moved("transpose", x, suffix=":layout", first=first, perm=perm)
        self.importer.layout_nodes.append(self.importer.builder.nodes[-1].name)
        return replace(moved, shape=x.shape)


def policy(dtype: Any) -> str:
    """Format of activations under a dtype or policy of Keras."""
    name = dtype.get("config", {}).get("name") if isinstance(dtype, Mapping) else dtype
    return _POLICIES.get(str(name), "fp32")


def variable(dtype: Any) -> str:
    """Format of weights under a dtype or policy."""
    name = dtype.get("config", {}).get("name") if isinstance(dtype, Mapping) else dtype
    return "fp32" if str(name).startswith("mixed") else policy(dtype)


Rule = Callable[[Call], Value]


class Importer:
    """One run over one model."""

    def __init__(self, network: Network, weights: Weights, *, rules: Mapping[str, Rule], where: str, allow_unsupported: bool) -> None:
        self.network, self.weights, self.rules, self.where = network, weights, rules, where
        self.allow_unsupported = allow_unsupported
        self.builder = GraphBuilder(network.name)
        self.makers: dict[str, Callable[[], Any]] = {}
        self.unsupported: list[tuple[str, str]] = []
        self.layout_nodes: list[str] = []
        self.classes: dict[str, str] = {}
        """Node to the class of the layer that it comes from; dropped layers too."""
        self.parameters: dict[str, float] = {}
        """Slope or threshold of parametrised activations by node."""
        self.dropped: dict[str, str] = {}
        """Layers that do nothing at inference, and the tensor that passes through them."""
        self.scaled: list[str] = []
        """Nodes whose quantised weights are multiplied by a scale of their own (`alpha` of QKeras)."""
        self._names: set[str] = set()

    def unique(self, name: str) -> str:
        """`name`, or `name_0`, `name_1` ... where it is taken."""
        found, count = name, 0
        while found in self._names:
            found, count = f"{name}_{count}", count + 1
        self._names.add(found)
        return found

    def run(self, network: Network, inputs: Sequence[Value], *, path: tuple[str, ...] = ()) -> list[Value]:
        """The outputs of `network` for `inputs`."""
        if len(inputs) != len(network.inputs):
            raise InputError(
                f"{self.where}: model {network.name!r} takes {len(network.inputs)} tensor(s), but is called with {len(inputs)}"
            )
        values: dict[Ref, Value | None] = dict(zip(network.inputs, inputs, strict=True))
        waiting = ordered(network, where=self.where)
        for name, number in waiting:
            layer = network.layers[name]
            results = self._apply(layer, layer.calls[number], values, network, path, Ref(name, number))
            for index, value in enumerate(results):
                values[Ref(name, number, index)] = value
        outputs = [values.get(ref) for ref in network.outputs]
        if any(value is None for value in outputs):
            raise UnsupportedOp(self.unsupported or [("", "unknown")], where=self.where)
        return [value for value in outputs if value is not None]

    def _apply(
        self, layer: Layer, call: Application, values: Mapping[Ref, Value | None], network: Network, path: tuple[str, ...], ref: Ref
    ) -> Sequence[Value | None]:
        operands = [values.get(r) for r in call.inputs]
        named = {key: values.get(r) for key, r in call.named.items()}
        known = [v for v in (*operands, *named.values()) if v is not None]
        if len(known) < len(call.refs):
            self._refuse(layer, path)
            return [self._left_out(layer, known, network, path, ref)]
        if layer.network is not None:
            return self.run(layer.network, known, path=(*path, layer.name))
        full = {key: value for key, value in named.items() if value is not None}
        return [self._one(layer, [v for v in operands if v is not None], full, network, path, ref)]

    def _one(
        self, layer: Layer, inputs: list[Value], named: dict[str, Value], network: Network, path: tuple[str, ...], ref: Ref
    ) -> Value | None:
        call = Call(self, layer, (*path, layer.name), layer.name, inputs, named)
        self.classes[layer.name] = plain(layer.class_name)
        if self._refuse(layer, path):
            return self._left_out(layer, inputs, network, path, ref)
        try:
            return self.rules[plain(layer.class_name)](call)
        except Unsupported as error:
            self.unsupported.append(("/".join(call.path), f"{layer.class_name} ({error})"))
            return self._left_out(layer, inputs, network, path, ref)
        except (GraphError, UnknownName) as error:
            raise InputError(f"{call.where}: {error}") from None
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, StopIteration) as error:
            raise InputError(f"{call.where}: its settings do not fit the layer ({type(error).__name__}: {str(error)[:120]})") from None

    def _refuse(self, layer: Layer, path: tuple[str, ...]) -> bool:
        """Whether the layer has no rule; if so it is put on the list."""
        reason = self.refusal(layer)
        if reason and layer.network is None:
            self.unsupported.append(("/".join((*path, layer.name)), f"{layer.class_name} ({reason})"))
        return bool(reason)

    def refusal(self, layer: Layer) -> str:
        """Why a layer cannot be read, or nothing."""
        package, _, name = layer.class_name.rpartition(">")
        home = package or layer.module.split(".")[0]
        if layer.network is not None:
            return ""
        if name in ("Lambda", "TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
            return "holds code, which is never run; replace it by layers that say what they compute"
        if name in self.rules and home in HOMES:
            return ""
        if home in ("hgq", "HGQ"):
            return "HGQ layers carry formats that only their own library reads; convert with hls4ml and load its ModelGraph"
        if home not in HOMES:
            return f"a class of its own from {home!r}, and code is never loaded"
        near = difflib.get_close_matches(name, self.rules, n=1, cutoff=0.7)
        return f"no such layer; did you mean {near[0]!r}?" if near else "no rule for this class"

    def _left_out(self, layer: Layer, inputs: Sequence[Value], network: Network, path: tuple[str, ...], ref: Ref) -> Value | None:
        """A node that stands for a layer without a rule; None where its shape is not known."""
        if not self.allow_unsupported:
            return None
        stated = network.shape_of(ref)
        if stated is None or None in stated[1:]:
            where = "/".join((*path, layer.name))
            raise UnsupportedOp(
                [(where, f"{layer.class_name}, whose result has no known shape, so it cannot be left out")], where=self.where
            )
        batch = inputs[0].shape[0] if inputs else 1
        shape = (batch, *(int(s) for s in stated[1:] if s is not None))
        call = Call(self, layer, (*path, layer.name), layer.name, list(inputs), {})
        return call.emit("unsupported", inputs, first=False, operator=layer.class_name, shapes=(shape,))


def plain(class_name: str) -> str:
    """A class name without the package it is registered under, as in `Custom>Dense`."""
    return class_name.rpartition(">")[2]


def ordered(network: Network, *, where: str) -> list[tuple[str, int]]:
    """Applications (layer, number) that the outputs need, each after those it reads.

    Raises:
        InputError: a circle, or a tensor that nothing makes.
    """
    done: dict[tuple[str, int], bool] = {(ref.layer, ref.call): True for ref in network.inputs}
    result: list[tuple[str, int]] = []
    stack = [(ref.layer, ref.call) for ref in reversed(network.outputs)]
    while stack:
        key = stack[-1]
        if done.get(key):
            stack.pop()
            continue
        if done.get(key) is False:
            done[key] = True
            result.append(stack.pop())
            continue
        layer = network.layers[key[0]]
        if not 0 <= key[1] < len(layer.calls):
            raise InputError(f"{where}: layer {layer.name!r} is used {key[1] + 1} time(s), but the file describes {len(layer.calls)}")
        done[key] = False
        needed = [(r.layer, r.call) for r in layer.calls[key[1]].refs]
        if any(done.get(n) is False for n in needed):
            raise InputError(f"{where}: layer {layer.name!r} depends on itself (a circle)")
        stack += [n for n in reversed(needed) if not done.get(n)]
    return _as_listed(network, result)


def _as_listed(network: Network, applications: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The same applications in the order of the file as far as each comes after those it reads; other tools go by that order."""
    place = {name: i for i, name in enumerate(network.layers)}
    left = set(applications)
    waiting: dict[tuple[str, int], int] = {}
    readers: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for key in applications:
        sources = {(r.layer, r.call) for r in network.layers[key[0]].calls[key[1]].refs} & left
        waiting[key] = len(sources)
        for source in sources:
            readers.setdefault(source, []).append(key)
    ready = [(place[key[0]], key) for key in applications if not waiting[key]]
    heapq.heapify(ready)
    result = []
    while ready:
        key = heapq.heappop(ready)[1]
        result.append(key)
        for reader in readers.get(key, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, (place[reader[0]], reader))
    return result
