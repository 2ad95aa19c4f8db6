"""NIR network -> Graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from hwsim.errors import GraphError, InputError, UnsupportedOp
from hwsim.frontends.nir.network import Network, network, type_name
from hwsim.frontends.nir.reading import FAULTS, REPAIR, Unknown, of_object, read
from hwsim.frontends.nir.shapes import NEURONS, shapes, spread, window
from hwsim.graph import Graph, GraphBuilder
from hwsim.ops import Shape


def load(
    source: Any, *, batch: int, dims: Mapping[str, int], allow_unsupported: bool, timesteps: int | None = None, input_shape: Any = None
) -> Graph:
    """The graph of a source that the front end accepts; arguments and errors as for `NirFrontend.load`."""
    on_disk = isinstance(source, str | PurePath)
    where = str(source) if on_disk else type(source).__name__
    if timesteps is not None and (not isinstance(timesteps, int) or timesteps < 1):
        raise InputError(f"timesteps is {timesteps!r}; expected a whole number of at least 1")
    net = network(read(source) if on_disk else of_object(source), where=where)
    strange = [(name, node.type_name) for name, node in net.nodes.items() if isinstance(node, Unknown)]
    if strange and not allow_unsupported:
        raise UnsupportedOp(strange, where=where)
    sizes = shapes(net, dims=dims, input_shape=input_shape, where=where)
    facts: dict[str, Any] = {} if timesteps is None else {"timesteps": timesteps}
    name = Path(where).stem if on_disk else "nir"
    builder = GraphBuilder(name, source=where, frontend="nir", batch=batch, **facts)
    return _Writer(net, sizes, builder, batch, where).write()


class _Writer:
    """Adds the nodes of one network in order."""

    def __init__(self, net: Network, sizes: Mapping[str, Shape], builder: GraphBuilder, batch: int, where: str) -> None:
        self.net, self.sizes, self.b, self.batch, self.where = net, sizes, builder, batch, where
        self.values: dict[str, str] = {}

    def write(self) -> Graph:
        """The graph; what reaches no output stays, its neurons run all the same."""
        for name, node in self.net.nodes.items():
            try:
                self.values[name] = self._add(name, node)
            except (GraphError, *FAULTS) as error:
                raise InputError(f"{self.where}, node {name!r} ({type_name(node)}): {error}; {REPAIR}") from error
        return self.b.finish([self.values[n] for n in self.net.outputs])

    def _add(self, name: str, node: Any) -> str:
        if name in self.net.inputs:
            shape = self.sizes[name] if type_name(node) == "Input" else self._entry(name)
            fed = self.b.input(name if type_name(node) == "Input" else f"{name}.input", (self.batch, *shape))
        else:
            fed = self._sum(name)
        rule = RULES.get(type_name(node))
        if rule is None:
            return self.b.add("unsupported", [fed], path=name, operator=type_name(node), shapes=(self.b.shape(fed),))
        return rule(self, name, node, fed)

    def _entry(self, name: str) -> Shape:
        from hwsim.frontends.nir.shapes import wanted

        return wanted(self.net.nodes[name]) or self.sizes[name]

    def _sum(self, name: str) -> str:
        """What a node reads: the sum of its sources, those of the timestep before among them."""
        parts = [self.values[s] for s in self.net.feeds.get(name, ())]
        for source in self.net.recurrent.get(name, ()):
            shape = (self.batch, *self.sizes[source])
            parts.append(self.b.add("previous", [], path=f"{source}.previous", shape=shape, of=source))
        while len(parts) > 1:
            several, parts = parts[:8], parts[8:]
            if len({self.b.shape(p) for p in several}) > 1:
                found = ", ".join(f"{s!r} {self.sizes[s]}" for s in self.net.sources(name))
                raise InputError(f"{self.where}, node {name!r}: it adds up {found}; expected one shape")
            parts.insert(0, self.b.add("elementwise", several, path=f"{name}.sum", fn="add"))
        return parts[0]

    def reshaped(self, x: str, shape: Shape, path: str) -> str:
        """`x` as (batch, *shape); itself if it has that shape."""
        full = (self.batch, *shape)
        return x if self.b.shape(x) == full else self.b.add("reshape", [x], path=path, shape=full)

    def weight(self, name: str, values: Any, shape: Shape | None = None) -> str:
        """A stored tensor of a node."""
        array = np.asarray(values)
        array = array if shape is None else array.reshape(shape)
        return self.b.weight(array.shape, name=name, values=array)


def _through(w: _Writer, name: str, node: Any, x: str) -> str:
    return x


def _product(w: _Writer, name: str, node: Any, x: str) -> str:
    weight = np.asarray(node.weight)
    bias = [] if getattr(node, "bias", None) is None else [np.asarray(node.bias)]
    if weight.ndim > 2:
        return _grouped(w, name, weight, bias, x)
    if w.b.shape(x)[-1] != weight.shape[1]:
        x = w.reshaped(x, (weight.shape[1],), f"{name}.flatten")
    operands = [w.weight(f"{name}.weight", weight), *(w.weight(f"{name}.bias", v, (weight.shape[0],)) for v in bias)]
    return w.b.add("linear", [x, *operands], path=name)


def _grouped(w: _Writer, name: str, weight: np.ndarray, bias: list[np.ndarray], x: str) -> str:
    """A stack of matrices, each for its part of the input: a convolution of one position with as many groups."""
    *lead, rows, columns = weight.shape
    groups = math.prod(lead)
    x = w.reshaped(x, (groups * columns, 1), f"{name}.groups")
    operands = [w.weight(f"{name}.weight", weight, (groups * rows, columns, 1))]
    operands += [w.weight(f"{name}.bias", np.broadcast_to(v, (*lead, rows)), (groups * rows,)) for v in bias]
    return w.reshaped(w.b.add("conv", [x, *operands], path=name, groups=groups), (*lead, rows), f"{name}.parts")


def _conv(w: _Writer, name: str, node: Any, x: str) -> str:
    weight = np.asarray(node.weight)
    operands = [w.weight(f"{name}.weight", weight)]
    if getattr(node, "bias", None) is not None and np.size(node.bias):
        operands.append(w.weight(f"{name}.bias", np.broadcast_to(np.ravel(node.bias), (weight.shape[0],))))
    return w.b.add("conv", [x, *operands], path=name, groups=int(node.groups), **window(node, weight.ndim - 2))


def _pool(w: _Writer, name: str, node: Any, x: str) -> str:
    options = window(node, 2)
    fn = "sum" if type_name(node) == "SumPool2d" else "avg"
    return w.b.add("pool", [x], path=name, fn=fn, kernel=spread(node.kernel_size, 2), stride=options["stride"], padding=options["padding"])


def _neuron(w: _Writer, name: str, node: Any, x: str) -> str:
    return w.b.add("neuron", [x], path=name, name=name, model=NEURONS[type_name(node)])


def _scale(w: _Writer, name: str, node: Any, x: str) -> str:
    values = np.asarray(node.scale)
    fitting = values.reshape(w.b.shape(x)[1:]) if values.size == math.prod(w.b.shape(x)[1:]) else values
    return w.b.add("elementwise", [x, w.weight(f"{name}.scale", fitting)], path=name, fn="mul")


def _flatten(w: _Writer, name: str, node: Any, x: str) -> str:
    return w.reshaped(x, w.sizes[name], name)


def _delay(w: _Writer, name: str, node: Any, x: str) -> str:
    """Delays are times, and a file has no length of a timestep: one timestep each."""
    return w.b.add("delay", [x], path=name, name=name)


RULES: Mapping[str, Callable[[_Writer, str, Any, str], str]] = {
    **dict.fromkeys(("Input", "Output"), _through),
    **dict.fromkeys(("Affine", "Linear"), _product),
    **dict.fromkeys(("Conv1d", "Conv2d"), _conv),
    **dict.fromkeys(("AvgPool2d", "SumPool2d"), _pool),
    **dict.fromkeys(NEURONS, _neuron),
    "Scale": _scale,
    "Flatten": _flatten,
    "Delay": _delay,
}
"""Type of a node to what it adds."""
