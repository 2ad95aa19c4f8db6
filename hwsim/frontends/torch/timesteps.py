"""A loop over timesteps in a captured graph -> one timestep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hwsim.errors import InputError
from hwsim.frontends.torch.rules_spiking import CALL
from hwsim.frontends.torch.spiking import Seen
from hwsim.graph import Graph, Node, Tensor

Key = tuple[str, str, int]
LAYERS = frozenset({"linear", "conv", "matmul", "attention", "recurrent", "neuron"})
"""Kinds that make what joins timesteps part of the network."""


def fold(graph: Graph, seen: Seen, *, timesteps: int | None, source: str) -> Graph:
    """`graph` with one timestep, and their number in `attrs["timesteps"]` where it is known.

    A neuron that is called once a timestep marks its copies; what feeds and reads the last ones is kept. What joins timesteps (a sum, a
    stack) goes, and what it joins comes out; where there are layers behind it stays, and reads the last timestep in the place of each.
    What a timestep reads of the one before becomes `previous`.

    Raises:
        InputError: modules that are called different numbers of times, timesteps that differ, or `timesteps` that is not the loop's.
    """
    alive = {n.name: n.path for n in graph.nodes}
    calls: Mapping[str, int] = {name: count for name, count in graph.attrs.get(CALL, {}).items() if name in alive}
    attrs = {k: v for k, v in graph.attrs.items() if k != CALL}
    steps, each = _counted(graph, calls, seen, source)
    if steps > 1 and timesteps not in (None, steps):
        raise InputError(
            f"{source}: its forward runs {steps} timesteps, found timesteps={timesteps}; leave the option out, or change the loop"
        )
    total = steps if steps > 1 else timesteps
    attrs |= {} if total is None else {"timesteps": total}
    if steps == 1:
        return _linked(graph.replace(attrs=attrs))
    return _linked(_Folder(graph, {n: c // each[alive[n]] for n, c in calls.items() if alive[n] in each}, source).run(attrs))


def _linked(graph: Graph) -> Graph:
    """Each `previous` names the node that made it, where it named a module so far."""
    names = {n.path: n.name for n in graph.nodes if n.kind == "neuron"}
    nodes = [
        replace(n, attrs={**n.attrs, "of": names.get(n.attrs["of"], n.attrs["of"])}) if n.kind == "previous" else n for n in graph.nodes
    ]
    return graph.replace(nodes=tuple(nodes))


def _counted(graph: Graph, calls: Mapping[str, int], seen: Seen, source: str) -> tuple[int, dict[str, int]]:
    """Timesteps, and for each neuron module that is in the loop its calls a timestep (several where layers share it)."""
    feeding: dict[str, set[str]] = {}
    for node in graph.nodes:
        if node.name in calls:
            feeding.setdefault(node.path, set()).add(_feeder(graph, node.inputs[0]))
    each = {path: len(feeders) for path, feeders in feeding.items()}
    found = {path: len(shapes) / each.get(path, 1) for path, shapes in seen.shapes.items() if path in each}
    several = {count for count in found.values() if count > 1}
    if len(several) > 1 or any(count != int(count) for count in several):
        listed = ", ".join(f"{path!r} {len(seen.shapes[path])} times" for path in found)
        raise InputError(
            f"{source}: forward calls {listed}; expected each neuron once a timestep. Give each layer neurons of its own, or pass a module "
            "that runs one timestep, with timesteps=N"
        )
    steps = int(next(iter(several), 1))
    return steps, {path: count for path, count in each.items() if found[path] == steps}


def _feeder(graph: Graph, tensor: str) -> str:
    """Path of the nearest module before a tensor."""
    node = graph.producer.get(tensor)
    while node is not None and not node.path and node.inputs:
        node = graph.producer.get(node.inputs[0])
    return node.path if node is not None else ""


class _Folder:
    """Keeps the last timestep and what belongs to none."""

    def __init__(self, graph: Graph, steps: Mapping[str, int], source: str) -> None:
        self.graph, self.steps, self.source = graph, steps, source
        self.last = max(steps.values())
        self.before = self._before()
        self.step = self._labels()
        self.twins = self._counterparts()

    def run(self, attrs: Mapping[str, object]) -> Graph:
        """The folded graph."""
        self._share_joining()
        kept = [n for n in self.graph.nodes if self.step[n.name] in (None, self.last)]
        nodes: list[Node] = []
        tensors = dict(self.graph.tensors)
        for node in kept:
            nodes.append(replace(node, inputs=tuple(self._read(name, node, nodes, tensors) for name in node.inputs)))
        outputs = tuple(dict.fromkeys(t for name in self.graph.outputs for t in self._out(name)))
        return _tidied(self.graph, nodes, tensors, outputs, attrs)

    def _out(self, output: str) -> list[str]:
        """What comes out in one timestep: the tensors that an output joins, or the output itself where layers stand between."""
        front, joined = [output], []
        while front:
            name = front.pop(0)
            maker = self.graph.producer.get(name)
            if maker is None or self.step[maker.name] is not None or not self._joins(maker):
                joined.append(self._unstacked(self._twin(name, "the output")))
                continue
            if maker.kind in LAYERS:
                return [output]
            front.extend(i for i in maker.inputs if self._joins(self.graph.producer.get(i)))
        return joined

    def _unstacked(self, tensor: str) -> str:
        """Without the axis that a stack gives to a timestep."""
        maker = self.graph.producer.get(tensor)
        if maker is None or maker.kind != "reshape" or self.graph.tensors[tensor].shape[:1] != (1,):
            return tensor
        source = maker.inputs[0]
        return source if self.graph.tensors[source].shape == self.graph.tensors[tensor].shape[1:] else tensor

    def _joins(self, node: Node | None) -> bool:
        return node is not None and (node.name in self.steps or bool(self.before[node.name]))

    def _labels(self) -> dict[str, int | None]:
        """Timestep of each node by the nearest neurons behind it, else before it; None where there are none or those of several."""
        before, behind = self.before, self._behind()
        found: dict[str, int | None] = {}
        for node in self.graph.nodes:
            near = behind[node.name] or (before[node.name] if node.name not in self.steps else set())
            found[node.name] = self.steps.get(node.name, next(iter(near)) if len(near) == 1 else None)
        return found

    def _before(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for node in self.graph.nodes:
            makers = [self.graph.producer[i].name for i in node.inputs if i in self.graph.producer]
            found[node.name] = set().union(*({self.steps[m]} if m in self.steps else found[m] for m in makers))
        return found

    def _behind(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for node in reversed(self.graph.nodes):
            readers = [r.name for o in node.outputs for r in self.graph.consumers.get(o, ())]
            found[node.name] = set().union(*({self.steps[r]} if r in self.steps else found[r] for r in readers))
        return found

    def _counterparts(self) -> dict[str, str]:
        """Tensors of every timestep to those of the last."""
        keys = {node.name: key for node, key in self._keyed()}
        last = {keys[n.name]: n for n in self.graph.nodes if self.step[n.name] == self.last}
        pairs = [(n, last.get(keys[n.name])) for n in self.graph.nodes if self.step[n.name] is not None]
        return {a: b for node, twin in pairs if twin is not None for a, b in zip(node.outputs, twin.outputs, strict=False)}

    def _keyed(self) -> Iterable[tuple[Node, Key]]:
        count: dict[tuple[int | None, str, str], int] = {}
        for node in self.graph.nodes:
            place = (self.step[node.name], node.path, node.kind)
            count[place] = count.get(place, -1) + 1
            yield node, (node.path, node.kind, count[place])

    def _share_joining(self) -> None:
        """Nodes behind all neurons that the last timestep lacks (a running sum's first addition) belong to no timestep."""
        behind = self._behind()
        for node in self.graph.nodes:
            if self.step[node.name] is not None and not behind[node.name] and node.name not in self.steps:
                shared = node.outputs[0] not in self.twins or any(
                    self._step_of(i) is None and i in self.graph.producer for i in node.inputs
                )
                if shared and any(self.step[r.name] is None for o in node.outputs for r in self.graph.consumers.get(o, ())):
                    self.step[node.name] = None

    def _step_of(self, tensor: str) -> int | None:
        maker = self.graph.producer.get(tensor)
        return self.step[maker.name] if maker is not None else None

    def _read(self, tensor: str, node: Node, nodes: list[Node], tensors: dict[str, Tensor]) -> str:
        if self._step_of(tensor) in (None, self.last):
            return tensor
        twin = self._twin(tensor, f"{node.path or node.name!r}")
        if self.step[node.name] is None:
            return twin
        maker = self.graph.producer[twin]
        path = f"{maker.path or maker.kind}.previous"
        name = f"{path}:{twin.rpartition(':')[2]}"
        if name not in tensors:
            shape = self.graph.tensors[twin].shape
            tensors[name] = replace(self.graph.tensors[twin], name=name)
            nodes.append(Node(path, "previous", (), (name,), {"shape": shape, "of": maker.name}, path))
        return name

    def _twin(self, tensor: str, reader: str) -> str:
        if self._step_of(tensor) in (None, self.last):
            return tensor
        twin = self.twins.get(tensor)
        if twin is None or self.graph.tensors[twin].shape != self.graph.tensors[tensor].shape:
            raise InputError(
                f"{self.source}: {reader} reads {tensor!r} of timestep {self._step_of(tensor)}, which the last timestep does not make; "
                "expected timesteps that are alike. Pass a module that runs one timestep, with timesteps=N"
            )
        return twin


def _tidied(graph: Graph, nodes: list[Node], tensors: dict[str, Tensor], outputs: tuple[str, ...], attrs: Mapping[str, object]) -> Graph:
    """Without what leads to no output; nodes lose the numbers that set them apart from the other timesteps."""
    read, alive = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            alive.append(node)
    plain = _plain(alive[::-1])
    renamed = {o: o.replace(n.name, plain[n.name], 1) for n in alive for o in n.outputs}
    made = {name for node in alive for name in node.outputs}
    kept = {n: t for n, t in tensors.items() if n in made or n in read or t.role in ("input", "weight")}
    return graph.replace(
        nodes=tuple(_named(n, plain, renamed) for n in reversed(alive)),
        tensors={renamed.get(n, n): replace(t, name=renamed.get(n, n)) for n, t in kept.items()},
        outputs=tuple(renamed.get(o, o) for o in outputs),
        attrs=attrs,
    )


def _plain(nodes: list[Node]) -> dict[str, str]:
    """Names of nodes without `#3`, counted anew where several stay."""
    count: dict[str, int] = {}
    found: dict[str, str] = {}
    for node in nodes:
        base = node.name.partition("#")[0]
        count[base] = count.get(base, -1) + 1
        found[node.name] = f"{base}#{count[base]}" if count[base] else base
    return found


def _named(node: Node, plain: Mapping[str, str], renamed: Mapping[str, str]) -> Node:
    attrs = {**node.attrs, "of": plain.get(node.attrs["of"], node.attrs["of"])} if node.kind == "previous" else node.attrs
    inputs, outputs = (tuple(renamed.get(t, t) for t in part) for part in (node.inputs, node.outputs))
    return replace(node, name=plain[node.name], inputs=inputs, outputs=outputs, attrs=attrs)
