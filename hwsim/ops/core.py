"""The operator registry: what an operator is, and how one is added."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwsim.dtypes import DType
from hwsim.errors import GraphError, HwsimError, UnknownName

Shape = tuple[int, ...]
Attrs = Mapping[str, Any]
REQUIRED = object()
"""Default of an attribute that every node of the kind must give."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one execution of a node does, by the algorithm's definition and before any mapping."""

    macs: int = 0
    """Multiply-accumulates in matrix products, convolutions and attention (masks not subtracted)."""
    ops: int = 0
    """Other scalar arithmetic: additions, comparisons, multiplications outside of `macs`."""
    special: int = 0
    """Transcendental evaluations (exp, tanh, rsqrt, division)."""
    read_b: float = 0.0
    """Bytes read, each operand once."""
    written_b: float = 0.0
    """Bytes written, each result once."""
    state_b: float = 0.0
    """Bytes that must outlive the call (KV cache, recurrent state)."""


@dataclass(frozen=True, slots=True)
class Operand:
    """Shape and format of one tensor, as shape and work rules see it."""

    shape: Shape
    dtype: DType
    role: str = "activation"

    @property
    def size(self) -> int:
        """Element count."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        """Storage in bytes."""
        return self.size * self.dtype.bits / 8


ShapeRule = Callable[[Sequence[Shape], Attrs], tuple[Shape, ...]]
WorkRule = Callable[[Sequence[Operand], Sequence[Operand], Attrs], Work]


@dataclass(frozen=True)
class Op:
    """One operator kind."""

    kind: str
    shapes: ShapeRule
    work: WorkRule
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Attribute name to default; `REQUIRED` where there is none."""
    category: str = "compute"
    """compute, pointwise, reduction, layout or view: what fusion and lowering may do with it."""
    inputs: tuple[int, int] = (1, 1)
    """Fewest and most operands."""
    summary: str = ""
    stateful: bool = False
    """Whether `work` may report state that outlives the call."""

    def complete(self, attrs: Attrs) -> dict[str, Any]:
        """`attrs` with the defaults filled in.

        Raises:
            GraphError: an attribute that the kind does not have, or a required one is missing.
        """
        for name in attrs:
            if name not in self.attributes:
                raise UnknownName(f"attribute of operator {self.kind!r}", name, self.attributes)
        full = {**self.attributes, **attrs}
        if missing := [name for name, value in full.items() if value is REQUIRED]:
            raise GraphError(f"operator {self.kind!r} needs attribute(s) {', '.join(map(repr, missing))}, found none")
        return full


_REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add a kind to the vocabulary.

    Raises:
        HwsimError: the kind is already there.
    """
    if op.kind in _REGISTRY:
        raise HwsimError(f"operator kind {op.kind!r} is registered twice; pick another name")
    _REGISTRY[op.kind] = op
    return op


def get(kind: str) -> Op:
    """The operator called `kind`.

    Raises:
        UnknownName: no such kind.
    """
    try:
        return _REGISTRY[kind]
    except KeyError:
        raise UnknownName("operator kind", kind, _REGISTRY) from None


def kinds() -> tuple[str, ...]:
    """All registered kinds, sorted."""
    return tuple(sorted(_REGISTRY))


def total_b(operands: Sequence[Operand]) -> float:
    """Bytes of all operands together."""
    return sum(o.bytes for o in operands)


def streamed(
    inputs: Sequence[Operand], outputs: Sequence[Operand], *, macs: int = 0, ops: int = 0, special: int = 0, state_b: float = 0.0
) -> Work:
    """Work of a node that reads every operand and writes every result once."""
    return Work(macs, ops, special, total_b(inputs), total_b(outputs), state_b)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """NumPy broadcasting of `shapes`.

    Raises:
        GraphError: they do not broadcast.
    """
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for axis in range(rank):
        sizes = {s[axis - rank + len(s)] for s in shapes if axis - rank + len(s) >= 0} - {1}
        if len(sizes) > 1:
            raise GraphError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def axis_of(axis: int, rank: int) -> int:
    """`axis` counted from the front.

    Raises:
        GraphError: out of range.
    """
    if not -rank <= axis < rank:
        raise GraphError(f"axis {axis} for a tensor of rank {rank}; expected {-rank} to {rank - 1}")
    return axis % rank


def tuple_of(value: Any, length: int) -> tuple[int, ...]:
    """`value` as a tuple of `length` integers; a single number is repeated."""
    items = (value,) * length if isinstance(value, int) else tuple(value)
    if len(items) != length:
        raise GraphError(f"expected {length} value(s), found {items}")
    return items
