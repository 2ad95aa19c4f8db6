"""Einstein sums as matrix products and element-wise products, with the multiply-accumulates that PyTorch does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import TYPE_CHECKING

from hwsim.errors import GraphError

if TYPE_CHECKING:
    from hwsim.frontends.torch.rules import Call


def contract(call: Call, equation: str, tensors: Sequence[str]) -> str:
    """Nodes of `torch.einsum(equation, *tensors)`; returns the result.

    >>> explicit("bi,ij", [2, 2])
    (['bi', 'ij'], 'bj')
    """
    terms, result = explicit(equation, [len(call.shape_of(t)) for t in tensors])
    left, letters = tensors[0], terms[0]
    for i, right in enumerate(tensors[1:], start=1):
        kept = set(result).union(*terms[i + 1 :])
        left, letters = _Pair(call, left, letters, right, terms[i], kept).result()
    return _arranged(call, left, letters, result)


def explicit(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Terms and result of an equation without ellipses, the result written out.

    Raises:
        GraphError: a term repeats a letter (a diagonal), or has not as many letters as its tensor axes.
    """
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [c for c in ascii_letters if c not in equation]
    widest = max(r - len(t.replace("...", "")) for t, r in zip(terms, ranks, strict=True))
    dots = free[:widest]
    terms = [
        t.replace("...", "".join(dots[len(dots) - (r - len(t) + 3) :])) if "..." in t else t for t, r in zip(terms, ranks, strict=True)
    ]
    if any(len(set(t)) != len(t) or len(t) != r for t, r in zip(terms, ranks, strict=True)):
        raise GraphError(f"einsum {equation!r} of tensors with {list(ranks)} axes; expected terms without repeated letters")
    if not arrow:
        every = "".join(terms)
        result = "..." + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))
    return terms, result.replace("...", "".join(dots))


class _Pair:
    """The product of two operands, letters outside of `kept` summed."""

    def __init__(self, call: Call, left: str, left_letters: str, right: str, right_letters: str, kept: set[str]) -> None:
        self.call = call
        self.left, self.a = _summed(call, left, left_letters, kept | set(right_letters))
        self.right, self.b = _summed(call, right, right_letters, kept | set(left_letters))
        self.sizes = dict(zip(self.a, call.shape_of(self.left), strict=True))
        for letter, size in zip(self.b, call.shape_of(self.right), strict=True):
            self.sizes[letter] = max(size, self.sizes.get(letter, 1))
        both = [c for c in self.a if c in self.b]
        self.batch = [c for c in both if c in kept]
        self.inner = [c for c in both if c not in kept]
        self.rows = [c for c in self.a if c not in self.b]
        self.columns = [c for c in self.b if c not in self.a]

    def result(self) -> tuple[str, str]:
        return self._matmul() if self.inner else self._multiply()

    def _multiply(self) -> tuple[str, str]:
        letters = "".join([*self.batch, *self.rows, *self.columns])
        parts = [_aligned(self.call, t, own, letters) for t, own in ((self.left, self.a), (self.right, self.b))]
        return self.call.add("elementwise", parts, fn="mul"), letters

    def _matmul(self) -> tuple[str, str]:
        left = self._matrix(self.left, self.a, self.rows, self.inner)
        right = self._matrix(self.right, self.b, self.inner, self.columns)
        y = self.call.add("matmul", [left, right])
        letters = "".join([*self.batch, *self.rows, *self.columns])
        return self.call.reshape(y, [self.sizes[c] for c in letters]), letters

    def _matrix(self, tensor: str, letters: str, rows: list[str], columns: list[str]) -> str:
        order = [*self.batch, *rows, *columns]
        tensor = self.call.transpose(tensor, [letters.index(c) for c in order])
        full = tuple(self.sizes[c] for c in order)
        if self.call.shape_of(tensor) != full:
            tensor = self.call.add("expand", [tensor], shape=full)
        batch, m, n = (math.prod(self.sizes[c] for c in part) for part in (self.batch, rows, columns))
        return self.call.reshape(tensor, (batch, m, n) if self.batch else (m, n))


def _summed(call: Call, tensor: str, letters: str, needed: set[str]) -> tuple[str, str]:
    """`tensor` summed over the letters that nobody else has."""
    axes = tuple(i for i, c in enumerate(letters) if c not in needed)
    if not axes:
        return tensor, letters
    return call.add("reduce", [tensor], fn="sum", axes=axes), "".join(c for c in letters if c in needed)


def _aligned(call: Call, tensor: str, letters: str, target: str) -> str:
    """`tensor` with axes of one where it lacks letters of `target`."""
    own = [c for c in target if c in letters]
    tensor = call.transpose(tensor, [letters.index(c) for c in own])
    shape = dict(zip(own, call.shape_of(tensor), strict=True))
    return call.reshape(tensor, [shape.get(c, 1) for c in target])


def _arranged(call: Call, tensor: str, letters: str, result: str) -> str:
    tensor, letters = _summed(call, tensor, letters, set(result))
    return call.transpose(tensor, [letters.index(c) for c in result])
