"""Symbolic dimensions of a model's inputs, and the numbers that take their place."""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.frontends.onnx.values import checked_shape
from hwsim.ops import Shape

BATCH = frozenset({"batch", "batch_size", "batchsize", "n", "bs", "b", "batch_dim"})
SEQUENCE = frozenset({"sequence", "seq_len", "sequence_length", "seq", "seq_length", "seqlen", "max_seq_len", "encoder_sequence_length"})
_OPERATORS: dict[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv}
_LONGEST = 200
"""Characters of an expression."""
Dim = int | str
"""A number, or an expression of symbols."""


@dataclass(frozen=True)
class Signature:
    """Inputs of a model by name, with fixed and symbolic dimensions."""

    inputs: Mapping[str, tuple[Dim, ...]]
    where: str

    def bind(self, *, batch: int | None, seq_len: int | None, dims: Mapping[str, int]) -> tuple[dict[str, Shape], dict[str, int]]:
        """Shapes of the inputs, and the values of the symbols.

        Raises:
            UnknownName: a symbol in `dims` that no input has.
            InputError: a symbol without a value, a value that is no size, a batch or length that the model fixes otherwise.
        """
        values = self._given(dims)
        for name, size in (("batch", batch), ("seq_len", seq_len)):
            if size is not None:
                self._bind_axis(name, size, values)
        self._refuse_unbound(values)
        shapes = {name: self._shape(name, row, values) for name, row in self.inputs.items()}
        return shapes, values

    def symbols(self) -> tuple[str, ...]:
        """Names that need a value, in order."""
        return tuple(dict.fromkeys(s for row in self.inputs.values() for dim in row for s in symbols_of(dim)))

    def _given(self, dims: Mapping[str, int]) -> dict[str, int]:
        for name, value in dims.items():
            if name not in self.symbols():
                raise UnknownName(f"dimension of {self.where}", name, self.symbols())
            _check_size(name, value, where=self.where)
        return dict(dims)

    def _bind_axis(self, name: str, size: int, values: dict[str, int]) -> None:
        _check_size(name, size, where=self.where)
        known, axis = (BATCH, 0) if name == "batch" else (SEQUENCE, 1)
        symbols = [s for s in self.symbols() if s.lower() in known]
        symbols = symbols or self._at(axis, rank=None if name == "batch" else 2)
        if not symbols:
            self._refuse_fixed(name, size, axis)
        for symbol in symbols:
            if values.setdefault(symbol, size) != size:
                raise InputError(f"{self.where}: {name}={size}, but dimension {symbol!r} is given as {values[symbol]}; give one of the two")

    def _at(self, axis: int, *, rank: int | None) -> list[str]:
        rows = [row for row in self.inputs.values() if len(row) > axis and (rank is None or len(row) == rank)]
        names = [dim for row in rows if isinstance(dim := row[axis], str) and symbols_of(dim) == [dim]]
        return list(dict.fromkeys(names))

    def _refuse_fixed(self, name: str, size: int, axis: int) -> None:
        fixed = {input_name: row[axis] for input_name, row in self.inputs.items() if len(row) > max(axis, 1 - axis)}
        if fixed and all(value == size for value in fixed.values()):
            return
        listing = ", ".join(f"{n!r} has {list(row)}" for n, row in self.inputs.items())
        raise InputError(
            f"{self.where}: {name}={size} cannot be set: no input has a symbolic dimension for it ({listing}). Leave {name} out, "
            f"or export the model with a dynamic axis: torch.onnx.export(..., dynamo=True, dynamic_shapes=({{{axis}: {name!r}}},))"
        )

    def _refuse_unbound(self, values: Mapping[str, int]) -> None:
        if unbound := [s for s in self.symbols() if s not in values]:
            rows = ", ".join(f"{name!r} {list(row)}" for name, row in self.inputs.items())
            flags = " ".join(f"--dim {s}={_guess(s)}" for s in unbound)
            raise InputError(
                f"{self.where}: no value for the symbolic dimension(s) {', '.join(map(repr, unbound))} of the input(s) {rows}. "
                f"Give them: {flags} (dims={{{', '.join(f'{s!r}: {_guess(s)}' for s in unbound)}}})"
            )

    def _shape(self, name: str, row: tuple[Dim, ...], values: Mapping[str, int]) -> Shape:
        where = f"{self.where}: input {name!r}"
        return checked_shape((evaluate(dim, values) for dim in row), where=where)


def _guess(symbol: str) -> int:
    return 1 if symbol.lower() in BATCH or "batch" in symbol.lower() else 128


def _check_size(name: str, value: Any, *, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1 << 32:
        raise InputError(f"{where}: dimension {name!r} is given as {value!r}; expected a whole number from 0 to {1 << 32}")


def signature(inputs: Iterable[Any], *, where: str) -> Signature:
    """The declared inputs (ValueInfoProto) of a graph.

    Raises:
        InputError: an input that is no tensor, or one without a shape.
    """
    return Signature({value.name: _row(value, where=where) for value in inputs}, where)


def _row(value: Any, *, where: str) -> tuple[Dim, ...]:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type" or not value.type.tensor_type.HasField("shape"):
        raise InputError(f"{where}: input {value.name!r} is {kind or 'untyped'}; expected a tensor with a shape")
    dims = value.type.tensor_type.shape.dim
    return tuple(_dim(d, f"{value.name}_dim_{i}") for i, d in enumerate(dims))


def _dim(dim: Any, fallback: str) -> Dim:
    """A declared dimension; negative numbers and nameless ones become symbols, as old exporters mean them."""
    if dim.WhichOneof("value") == "dim_value" and dim.dim_value >= 0:
        return int(dim.dim_value)
    return dim.dim_param.strip()[:_LONGEST] or fallback


def symbols_of(dim: Dim) -> list[str]:
    """Names in a dimension; an expression that is not plain arithmetic counts as one name."""
    if isinstance(dim, int):
        return []
    tree = _tree(dim)
    return [dim] if tree is None else list(dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)))


def evaluate(dim: Dim, values: Mapping[str, int]) -> int:
    """The number that `dim` is."""
    if isinstance(dim, int):
        return dim
    tree = _tree(dim)
    return values[dim] if tree is None else _number(tree.body, values)


def _tree(text: str) -> ast.Expression | None:
    """`text` as an arithmetic expression of names and numbers, if it is one."""
    if len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    fine = (ast.Expression, ast.BinOp, ast.Name, ast.Load, *_OPERATORS)
    plain = all(isinstance(n, fine) or (isinstance(n, ast.Constant) and type(n.value) is int) for n in ast.walk(tree))
    return tree if plain else None


def _number(node: Any, values: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant):
        return int(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return values[node.id]
    right = _number(node.right, values)
    if isinstance(node.op, ast.FloorDiv) and right == 0:
        raise InputError(f"dimension {ast.unparse(node)!r} divides by zero")
    return _OPERATORS[type(node.op)](_number(node.left, values), right)
