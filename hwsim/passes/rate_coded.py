"""A network of ReLUs -> its rate-coded spiking twin.

A ReLU's value is the rate of an integrate-and-fire neuron over the timesteps (Rueckauer et al. 2017, doi:10.3389/fnins.2017.00682). Batch
norms fold into weights or thresholds, average pools become connections with equal weights, the input is a constant current.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from hwsim import ops
from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.graph import Graph, Node, Tensor
from hwsim.ops import Shape
from hwsim.ops.core import axis_of, tuple_of
from hwsim.ops.dense import conv_padding
from hwsim.passes.dead import DropDead
from hwsim.passes.fold_batch_norm import FoldBatchNorm

RECTIFIERS = frozenset({"relu", "relu6"})
"""Functions that the rate of a neuron is; a rate saturates at one spike a timestep, as relu6 does at 6."""
LAYERS = frozenset({"conv", "linear"})
KEPT = frozenset({"reshape", "transpose", "slice", "split", "expand", "copy", "concat", "pad", "cast", "neuron", "delay", "previous"})
MAX_POOLS = ("keep", "refuse", "average")
_SUMS = frozenset({"add", "sub"})
_RELU = "replace it with ReLU and train again, or run the network on a chip with that function"
REMEDIES = {
    "activation": _RELU,
    "norm": "use batch normalisation, which folds into weights",
    "softmax": "only a softmax at the end can be left out; use attention without softmax (hwsim models list: spikformer)",
    "attention": "use attention without softmax (hwsim models list: spikformer)",
    "matmul": "products of activations have no rate code; use a spiking transformer (hwsim models list: spikformer)",
    "elementwise": "spikes can be added, not multiplied or divided; leave gates (squeeze-and-excitation) out",
    "pool": "use average pooling, or max_pool=keep or average",
    "resize": "use nearest-neighbour resizing, which copies spikes",
    "recurrent": "build the recurrence of spiking neurons",
}
"""Kind of an operator to what can be done about it."""


@dataclass(frozen=True)
class RateCoded:
    """Integrate-and-fire neurons for ReLUs."""

    timesteps: int = 32
    """Timesteps of an inference; more of them resolve the rates finer."""
    max_pool: str = "keep"
    """`keep` max pools (of spikes: one where any input fires), `refuse` them, or take the `average` instead."""
    rate: float | None = None
    """Spikes a neuron and timestep, of all neurons that are made; None leaves it to the target, whose report says that it is assumed."""

    def __post_init__(self) -> None:
        if not isinstance(self.timesteps, int) or self.timesteps < 1:
            raise InputError(f"rate-coded: timesteps is {self.timesteps!r}; expected a whole number of at least 1")
        if self.max_pool not in MAX_POOLS:
            raise UnknownName("treatment of max pools", str(self.max_pool), MAX_POOLS)
        if self.rate is not None and not (isinstance(self.rate, int | float) and 0 <= self.rate <= 1):
            raise InputError(f"rate-coded: rate is {self.rate!r}; expected 0 to 1 (spikes a neuron and timestep)")

    def __call__(self, graph: Graph) -> Graph:
        """The spiking twin; parameters are those of the network, batch norms folded.

        Raises:
            InputError: the network spikes already.
            UnsupportedOp: operators without a rate code, all of them, with a remedy each.
        """
        functions = {str(n.attrs.get("fn")) for n in graph.nodes if n.kind == "activation"}
        if not functions & RECTIFIERS and any(n.kind == "neuron" for n in graph.nodes):
            raise InputError(f"{graph.name}: it has no ReLU, its neurons spike already; leave the pass rate-coded out")
        graph = FoldBatchNorm()(graph)
        refused = [(n.path or n.name, why) for n in graph.nodes if (why := self._refusal(graph, n))]
        if refused:
            raise UnsupportedOp(refused, where=f"{graph.name}, rate-coded")
        return _Coder(graph, self).run()

    def _refusal(self, graph: Graph, node: Node) -> str | None:
        """What is wrong with a node, and the remedy; None where nothing is."""
        fn = str(node.attrs.get("fn", ""))
        fine = {
            "activation": fn in RECTIFIERS | {"identity"},
            "elementwise": fn in _SUMS | {"identity"},
            "norm": fn == "batch",
            "pool": fn in ("avg", "sum") or (fn == "max" and self.max_pool != "refuse"),
            "softmax": _at_the_end(graph, node),
            "reduce": fn in ("mean", "sum"),
            "resize": node.attrs.get("mode") == "nearest",
        }
        if node.kind in KEPT | LAYERS or fine.get(node.kind):
            return None
        word = f"{node.kind} {fn}".strip()
        return f"{word} ({REMEDIES.get(node.kind, 'leave it out, or run this layer elsewhere')})"


def _at_the_end(graph: Graph, node: Node) -> bool:
    """Whether nothing but views lies between a node and the outputs."""
    for name in node.outputs:
        readers = graph.consumers.get(name, ())
        if not readers and name not in graph.outputs:
            return False
        if any(r.op.category != "view" or not _at_the_end(graph, r) for r in readers):
            return False
    return True


class _Coder:
    """Rewrites the nodes of one graph in order."""

    def __init__(self, graph: Graph, options: RateCoded) -> None:
        self.graph, self.options = graph, options
        self.tensors = dict(graph.tensors)
        self.nodes: list[Node] = []
        self.renamed: dict[str, str] = {}
        self.currents: dict[str, bool] = {}
        """Tensors made of layers' sums: True until a neuron makes spikes of them."""
        self.pooled: set[str] = set()
        """Those of them that are sums of spikes alone, and so of one sign."""
        self.fired: dict[str, str] = {}
        self.words: Counter[str] = Counter()

    def run(self) -> Graph:
        """The rewritten graph; what was done stands in `attrs["notes"]`."""
        for node in self.graph.nodes:
            self._visit(replace(node, inputs=tuple(self.renamed.get(i, i) for i in node.inputs)))
        outputs = tuple(self.renamed.get(o, o) for o in self.graph.outputs)
        made = {o for n in self.nodes for o in n.outputs}
        tensors = {n: t for n, t in self.tensors.items() if t.role != "activation" or n in made}
        notes = tuple(word.format(count=count) for word, count in self.words.items())
        attrs = {**self.graph.attrs, "timesteps": self.options.timesteps, "notes": (*self.graph.attrs.get("notes", ()), *notes)}
        return DropDead()(self.graph.replace(nodes=tuple(self.nodes), tensors=tensors, outputs=outputs, attrs=attrs))

    def _visit(self, node: Node) -> None:
        fn = node.attrs.get("fn")
        if node.kind == "activation" and fn in RECTIFIERS:
            self._neuron(node)
        elif node.kind == "softmax":
            self._drop(node, "the softmax at the end is left out: the largest rate wins without it")
        elif node.kind == "norm":
            self._drop(node, "{count} batch norm(s) fold into thresholds and weights of what follows")
        elif fn == "identity":
            self._drop(node)
        elif node.kind == "pool" and (fn != "max" or self.options.max_pool == "average"):
            self._average(node, self._window(node))
        elif node.kind == "reduce" and (window := self._whole_image(node)):
            self._average(node, window)
        else:
            self._keep(node)

    def _drop(self, node: Node, word: str | None = None) -> None:
        self.renamed[node.outputs[0]] = node.inputs[0]
        if word:
            self.words[word] += 1

    def _neuron(self, node: Node) -> None:
        self._put(replace(node, kind="neuron", attrs=ops.get("neuron").complete({"model": "if"})), current=False)

    def _keep(self, node: Node) -> None:
        if node.kind in LAYERS:
            node = replace(node, inputs=(self._spikes(node.inputs[0], node), *node.inputs[1:]))
        current = node.kind in LAYERS or (node.kind != "neuron" and any(self.currents.get(i, False) for i in node.inputs))
        self._put(node, current=current)

    def _put(self, node: Node, *, current: bool) -> None:
        self.nodes.append(node)
        self.currents |= dict.fromkeys(node.outputs, current)
        if node.kind in KEPT and node.inputs and self.pooled.issuperset(node.inputs):
            self.pooled.update(node.outputs)
        rate = self.options.rate
        if node.kind == "neuron" and rate is not None:
            self.tensors[node.outputs[0]] = replace(self.tensors[node.outputs[0]], density=rate)

    def _spikes(self, tensor: str, reader: Node) -> str:
        """`tensor` for a layer that reads it: sums of the layer before pass neurons first, those of no ReLU fire with a sign."""
        if not self.currents.get(tensor, False):
            return tensor
        if tensor not in self.fired:
            name = f"{reader.name}.if"
            self.tensors[f"{name}:0"] = Tensor(f"{name}:0", self.tensors[tensor].shape, self.tensors[tensor].dtype)
            attrs = ops.get("neuron").complete({"model": "if"})
            self._put(Node(name, "neuron", (tensor,), (f"{name}:0",), attrs, f"{reader.path}.if"), current=False)
            self.fired[tensor] = f"{name}:0"
            if tensor not in self.pooled:
                self.words["{count} layer(s) read sums without a ReLU before them: neurons stand there, with spikes of both signs"] += 1
        return self.fired[tensor]

    def _window(self, node: Node) -> tuple[Shape, Shape, tuple[tuple[int, int], ...]]:
        """Kernel, stride and padding of a pool that give its output shape, adaptive and rounded-up ones too."""
        image, out = self.tensors[node.inputs[0]].shape[2:], self.tensors[node.outputs[0]].shape[2:]
        dims, attrs = len(image), node.attrs
        if attrs["output_size"] is not None:
            stride = tuple(max(1, i // o) for i, o in zip(image, out, strict=True))
            kernel = tuple(i - (o - 1) * s for i, o, s in zip(image, out, stride, strict=True))
            pads = ((0, 0),) * dims
        else:
            kernel, pads = tuple_of(attrs["kernel"], dims), conv_padding(attrs["padding"], dims)
            stride = kernel if attrs["stride"] is None else tuple_of(attrs["stride"], dims)
        needed = [(o - 1) * s + k - i for i, o, s, k in zip(image, out, stride, kernel, strict=True)]
        return kernel, stride, tuple((a, max(b, n - a)) for (a, b), n in zip(pads, needed, strict=True))

    def _whole_image(self, node: Node) -> tuple[Shape, Shape, tuple[tuple[int, int], ...]] | None:
        """The window of a mean or sum over all axes behind the channels; None for another reduction."""
        shape = self.tensors[node.inputs[0]].shape
        axes = sorted(axis_of(a, len(shape)) for a in node.attrs["axes"] or ())
        if len(shape) < 3 or axes != list(range(2, len(shape))):
            return None
        return shape[2:], shape[2:], ((0, 0),) * (len(shape) - 2)

    def _average(self, node: Node, window: tuple[Shape, Shape, tuple[tuple[int, int], ...]]) -> None:
        """A pool as a connection: every channel with itself, equal weights."""
        kernel, stride, padding = window
        x = self._spikes(node.inputs[0], node)
        shape, channels = self.tensors[x].shape, self.tensors[x].shape[1]
        weight = f"{node.name}.window"
        self.tensors[weight] = Tensor(weight, (channels, 1, *kernel), self.tensors[x].dtype, "constant")
        attrs = ops.get("conv").complete({"stride": stride, "padding": padding, "groups": channels})
        result = node.outputs[0]
        made = ops.get("conv").shapes([shape, (channels, 1, *kernel)], attrs)[0]
        same = made == self.tensors[result].shape
        inner = result if same else f"{node.name}.image:0"
        self.tensors[inner] = self.tensors[result] if same else Tensor(inner, made, self.tensors[result].dtype)
        name = node.name if same else f"{node.name}.image"
        self.pooled.add(inner)
        self._put(Node(name, "conv", (x, weight), (inner,), attrs, node.path), current=True)
        if not same:
            assert math.prod(made) == self.tensors[result].size, f"{node.name}: {made} for {self.tensors[result].shape}"
            flat = {"shape": self.tensors[result].shape}
            self._put(Node(node.name, "reshape", (inner,), (result,), flat, node.path), current=True)
        self.words["{count} average pool(s) became connections with equal weights"] += 1
