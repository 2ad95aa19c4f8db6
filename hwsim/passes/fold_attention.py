"""Attention that a model wrote out by hand (matmul, scale, mask, softmax, matmul) -> one `attention` node."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hwsim import ops
from hwsim.errors import GraphError
from hwsim.graph import Graph, Node, infer
from hwsim.ops import Shape
from hwsim.ops.core import broadcast
from hwsim.passes.rewrite import Rewriter, lonely, makers

_SILENT_KINDS = frozenset({"cast", "copy"})
_SILENT_FUNCTIONS = frozenset({"identity", "cast", "clip", "maximum", "minimum", "tanh"})
"""Tanh caps the scores of some language models (Gemma 2); fused kernels do so on the way."""
_MASKS = frozenset({"add", "sub", "where"})
_SCALES = frozenset({"mul", "div"})
_DEEPEST = 24
"""Nodes between the softmax and the product before it; real models have up to six."""


@dataclass(frozen=True)
class FoldAttention:
    """Folds `softmax(scale * q k^T + masks) v` into one `attention` node with the same multiply-accumulates.

    Followed are scalar scales (dropped, as fused kernels apply them for free), scales a head (moved onto q), additive and
    `where` masks (added up into the bias operand), casts, reshapes that keep the last two axes, transposes of k, v and the
    result, any number of leading axes, and keys repeated for grouped queries (the repetition is dropped). Scores that
    something else reads too (returned attention maps) are left as they are.
    """

    def __call__(self, graph: Graph) -> Graph:
        """The graph with its hand-written attention folded; the same object when there is none."""
        rewriter = Rewriter(graph)
        for node in graph.nodes:
            if node.kind == "matmul" and (match := _Matcher(graph).match(node)):
                _Writer(rewriter, node, match).write()
            elif node.kind == "attention":
                _regroup(rewriter, node)
        return rewriter.finish()


@dataclass(frozen=True)
class _Part:
    """An operand of a product: `lead` of the product's operand, but the tensor from before scales and transposes."""

    name: str
    lead: Shape
    swapped: bool
    """Whether the last two axes of the tensor are (size, tokens) and not (tokens, size)."""


@dataclass(frozen=True)
class _Scores:
    product: Node
    masks: tuple[str, ...] = ()
    head_scales: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Match:
    query: _Part
    key: _Part
    value: _Part
    scores: _Scores
    result_swapped: bool


class _Matcher:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def match(self, node: Node) -> _Match | None:
        """What the product `node` closes, or None."""
        left, right = node.inputs
        swap_left, swap_right = node.attrs["transpose_a"], node.attrs["transpose_b"]
        if scores := self._probabilities(left, swapped=swap_left):
            return self._complete(scores, self._part(right, swap_right), result_swapped=False)
        if scores := self._probabilities(right, swapped=not swap_right):
            return self._complete(scores, self._part(left, not swap_left), result_swapped=True)
        return None

    def _complete(self, scores: _Scores, value: _Part, *, result_swapped: bool) -> _Match | None:
        left, right = scores.product.inputs
        query = self._part(left, scores.product.attrs["transpose_a"])
        key = self._part(right, not scores.product.attrs["transpose_b"])
        match = _Match(query, key, value, scores, result_swapped)
        return match if self._fits(match) else None

    def _fits(self, match: _Match) -> bool:
        """Whether an attention node takes these shapes, and the masks can be added up."""
        parts = (match.query, match.key, match.value)
        if len({p.lead for p in parts}) > 1 and any(len(p.lead) != 2 for p in parts):
            return False
        op = ops.get("attention")
        try:
            broadcast([self._shape(name) for name in match.scores.masks])
            scaled = broadcast([self._shape(name) for name in (match.query.name, *match.scores.head_scales)])
            infer(op, [four_axes(p.lead, _rows(self._shape(p.name), p.swapped)) for p in parts], op.complete({}), where="")
        except GraphError:
            return False
        return scaled == self._shape(match.query.name)

    def _probabilities(self, name: str, *, swapped: bool) -> _Scores | None:
        """The scores whose softmax `name` is (transposed, if `swapped`)."""
        for _ in range(_DEEPEST):
            node = self._maker(name)
            if node is None:
                return None
            if softmax := self._softmax(node):
                return None if swapped else self._scores(softmax.inputs[0], depth=0)
            if not lonely(self.graph, node) or not (self._swaps_last(node) or self._passes(node)):
                return None
            swapped ^= self._swaps_last(node)
            name = node.inputs[0]
        return None

    def _softmax(self, node: Node) -> Node | None:
        """`node`, or the node inside the guard `where(isnan(s), 0, s)`, if it is a softmax over the keys that nobody else reads."""
        if node.kind == "elementwise" and node.attrs["fn"] == "where":
            return self._guarded(node)
        if node.kind != "softmax" or node.attrs["log"] or not lonely(self.graph, node):
            return None
        return node if node.attrs["axis"] in (-1, len(self._shape(node.outputs[0])) - 1) else None

    def _guarded(self, node: Node) -> Node | None:
        found = makers(self.graph, node.inputs)
        softmaxes = [n for n in found if n.kind == "softmax" and not n.attrs["log"]]
        tests = [n for n in found if n.attrs.get("fn") == "isnan"]
        if len(softmaxes) != 1 or len(tests) != 1 or tests[0].inputs != softmaxes[0].outputs or not lonely(self.graph, node):
            return None
        return softmaxes[0] if len(self.graph.consumers[softmaxes[0].outputs[0]]) == 2 else None

    def _scores(self, name: str, *, depth: int) -> _Scores | None:
        """The product behind `name`, over masks, scales and reshapes that nobody else reads."""
        node = self._maker(name)
        if node is None or depth > _DEEPEST or not lonely(self.graph, node):
            return None
        if node.kind == "matmul":
            return _Scores(node)
        for source, others in self._sources(node):
            if deeper := self._scores(source, depth=depth + 1):
                return self._noted(deeper, node, others)
        return None

    def _sources(self, node: Node) -> Iterator[tuple[str, list[str]]]:
        """Operands of `node` that may carry the scores, each with the other operands that are no scalars."""
        if self._passes(node):
            yield node.inputs[0], []
        elif node.kind in ("elementwise", "activation") and node.attrs["fn"] in _MASKS | _SCALES:
            for name in node.inputs:
                if self._size(name) == self._size(node.outputs[0]):
                    yield name, [n for n in node.inputs if n != name and self._size(n) > 1]

    def _noted(self, scores: _Scores, node: Node, others: Sequence[str]) -> _Scores | None:
        if not others:
            return scores
        if node.attrs["fn"] in _MASKS:
            return replace(scores, masks=(*scores.masks, *others))
        if all(self._shape(name)[-2:] == (1, 1) for name in others):
            return replace(scores, head_scales=(*scores.head_scales, *others))
        return None

    def _part(self, name: str, swapped: bool) -> _Part:
        """A product's operand, without scalar scales, swaps of the last axes, and reshapes around them."""
        part = _Part(name, self._shape(name)[:-2], swapped)
        for _ in range(_DEEPEST):
            node = self._maker(name)
            if node is None or not lonely(self.graph, node):
                return part
            source = self._scaled(node)
            if self._swaps_last(node):
                part = replace(part, name=node.inputs[0], swapped=not part.swapped)
            elif source:
                part = replace(part, name=source)
            elif not self._reshapes_lead(node):
                return part
            name = source or node.inputs[0]
        return part

    def _scaled(self, node: Node) -> str | None:
        """The tensor that `node` multiplies or divides by a scalar."""
        if node.kind not in ("elementwise", "activation") or node.attrs["fn"] not in _SCALES:
            return None
        big = [name for name in node.inputs if self._size(name) > 1]
        return big[0] if len(big) == 1 and self._shape(big[0]) == self._shape(node.outputs[0]) else None

    def _passes(self, node: Node) -> bool:
        """Whether `node` leaves its first operand as it is, as far as attention is concerned."""
        if node.kind in _SILENT_KINDS or self._reshapes_lead(node):
            return True
        if node.kind not in ("elementwise", "activation") or node.attrs["fn"] not in _SILENT_FUNCTIONS:
            return False
        return all(self._size(name) == 1 for name in node.inputs[1:])

    def _reshapes_lead(self, node: Node) -> bool:
        return node.kind == "reshape" and self._shape(node.inputs[0])[-2:] == self._shape(node.outputs[0])[-2:]

    def _swaps_last(self, node: Node) -> bool:
        if node.kind != "transpose":
            return False
        perm = [axis % len(node.attrs["perm"]) for axis in node.attrs["perm"]]
        return perm == [*range(len(perm) - 2), len(perm) - 1, len(perm) - 2]

    def _maker(self, name: str) -> Node | None:
        return self.graph.producer.get(name)

    def _shape(self, name: str) -> Shape:
        return self.graph.tensors[name].shape

    def _size(self, name: str) -> int:
        return self.graph.tensors[name].size


def _rows(shape: Shape, swapped: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if swapped else shape


def four_axes(lead: Shape, shape: Shape) -> Shape:
    """(batch, heads, tokens, size) of an operand with the leading axes `lead` and the last two of `shape`."""
    batch, heads = (math.prod(lead[:-1]), lead[-1]) if lead else (1, 1)
    return (batch, heads, *shape[-2:])


class _Writer:
    """Puts the attention node in the place of the last product."""

    def __init__(self, rewriter: Rewriter, node: Node, match: _Match) -> None:
        self.rewriter, self.node, self.found = rewriter, node, match

    def write(self) -> None:
        """Emit the node, with what it needs around it."""
        with self.rewriter.replacing(self.node):
            operands = [self._query(), self._operand(self.found.key), self._operand(self.found.value)]
            if sources := _ungrouped_pair(self.rewriter, operands[1:]):
                operands[1:] = [self.rewriter.reshaped(name, shape) for shape, name in sources]
            self._close([*operands, *self._bias()])

    def _close(self, operands: list[str]) -> None:
        result = self.node.outputs[0]
        shape = self.rewriter.graph.tensors[result].shape
        straight = not self.found.result_swapped
        if straight and len(shape) == 4:
            self.rewriter.emit("attention", operands, output=result)
            return
        inner = self.rewriter.emit("attention", operands, dtype=self.rewriter.graph.tensors[result].dtype)
        inner = inner if straight else self._swap(inner)
        self.rewriter.emit("reshape", [inner], shape=shape, output=result)

    def _query(self) -> str:
        part = self.found.query
        for scale in self.found.scores.head_scales:
            part = replace(part, name=self.rewriter.emit("elementwise", [part.name, scale], fn="mul"))
        return self._operand(part)

    def _operand(self, part: _Part) -> str:
        name = self._swap(part.name) if part.swapped else part.name
        return self.rewriter.reshaped(name, four_axes(part.lead, self.rewriter.tensors[name].shape))

    def _swap(self, name: str) -> str:
        """`name` with its last two axes swapped, merged into a transpose that makes it for this use alone."""
        graph = self.rewriter.graph
        maker, rank = graph.producer.get(name), len(self.rewriter.tensors[name].shape)
        if maker and maker.kind == "transpose" and lonely(graph, maker):
            name, perm = maker.inputs[0], [axis % rank for axis in maker.attrs["perm"]]
        else:
            perm = list(range(rank))
        perm[-2:] = perm[:-3:-1]
        return name if perm == list(range(rank)) else self.rewriter.emit("transpose", [name], perm=tuple(perm))

    def _bias(self) -> list[str]:
        masks = list(dict.fromkeys(self.found.scores.masks))
        return masks if len(masks) < 2 else [self.rewriter.emit("elementwise", masks[:8], fn="add")]


def ungrouped(rewriter: Rewriter, name: str) -> tuple[Shape, str] | None:
    """Shape and source of keys (B, Hkv, S, D) that `name` (B, Hq, S, D) repeats for every query of a group; None if it does not."""
    batch, heads, length, size = rewriter.tensors[name].shape
    for _ in range(_DEEPEST):
        maker = rewriter.maker(name)
        if maker is None or maker.kind not in ("reshape", "expand", "tile", "copy"):
            return None
        shape, source = (rewriter.tensors[n].shape for n in (maker.outputs[0], maker.inputs[0]))
        if shape != source and maker.kind in ("expand", "tile"):
            groups = shape[:3] == (batch, shape[1], heads // shape[1]) and shape[3:] == (length, size)
            single = source == (batch, shape[1], 1, length, size)
            return ((batch, shape[1], length, size), maker.inputs[0]) if groups and single else None
        name = maker.inputs[0]
    return None


def _ungrouped_pair(rewriter: Rewriter, names: Sequence[str]) -> list[tuple[Shape, str]]:
    """`ungrouped` of keys and values, if both repeat alike."""
    found = [pair for name in names if (pair := ungrouped(rewriter, name))]
    return found if len(found) == 2 and found[0][0][1] == found[1][0][1] else []


def _regroup(rewriter: Rewriter, node: Node) -> None:
    """Drop the repetition of keys and values before a fused attention node."""
    if sources := _ungrouped_pair(rewriter, node.inputs[1:3]):
        with rewriter.replacing(node):
            keys = [rewriter.reshaped(name, shape) for shape, name in sources]
            rewriter.emit("attention", [node.inputs[0], *keys, *node.inputs[3:]], output=node.outputs[0], **node.attrs)
