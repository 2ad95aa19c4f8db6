"""The operator vocabulary: shapes, arithmetic, bytes and state of every kind."""

from hwsim.ops import dense, layout, lmu, pointwise, sequence, spiking
from hwsim.ops.core import REQUIRED, Op, Operand, Shape, Work, get, kinds, register

__all__ = [
    "REQUIRED",
    "Op",
    "Operand",
    "Shape",
    "Work",
    "dense",
    "get",
    "kinds",
    "layout",
    "lmu",
    "pointwise",
    "register",
    "sequence",
    "spiking",
]
