"""The table of rules: ATen operator -> nodes, and what a rule sees of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from hwsim.dtypes import DType, dtype
from hwsim.errors import HwsimError
from hwsim.ops import Shape

if TYPE_CHECKING:
    from torch.fx import Node

    from hwsim.frontends.torch.convert import Converter

Rule = Callable[["Call"], Any]
"""Adds the nodes of one call; gives the name of the result, or a tuple of names."""
RULES: dict[str, Rule] = {}
"""Operator without overload and trailing underscore (`add`, `hwsim.selective_scan`) to its rule."""
DTYPES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float8_e4m3fn: "fp8_e4m3",
    torch.float8_e5m2: "fp8_e5m2",
    torch.complex64: "complex64",
    torch.complex128: "complex128",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators.

    Raises:
        HwsimError: an operator has a rule already.
    """

    def register(function: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise HwsimError(f"the ATen operator {name!r} has two rules; keep one")
            RULES[name] = function
        return function

    return register


def format_of(value: torch.Tensor) -> DType:
    """Number format of a tensor."""
    return dtype(DTYPES.get(value.dtype, "fp32"))


def operator_name(target: Any) -> str:
    """`aten::add_.Tensor` -> `add`; operators of other libraries keep their name space."""
    space, _, name = target._schema.name.partition("::")
    name = name if name.startswith("__") else name.removesuffix("_")
    return name if space == "aten" else f"{space}.{name}"


class Call:
    """One call of an operator: its arguments by name, and the graph under construction."""

    def __init__(self, converter: Converter, node: Node) -> None:
        self.converter, self.node = converter, node
        target: Any = node.target
        self.operator, self.schema = operator_name(target), target._schema
        names = [a.name for a in self.schema.arguments]
        self.arguments = {a.name: a.default_value for a in self.schema.arguments}
        self.arguments |= dict(zip(names, node.args, strict=False)) | dict(node.kwargs)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or `default` where the overload does not have it or it is None."""
        value = self.arguments.get(name)
        return default if value is None else value

    @property
    def fake(self) -> Any:
        """What the call gives: a tensor without data, or a tuple of them."""
        return self.node.meta["val"]

    @property
    def shape(self) -> Shape:
        """Shape of the (only) result."""
        return tuple(int(s) for s in self.fake.shape)

    @property
    def in_place(self) -> bool:
        """Whether the first argument is overwritten."""
        alias = self.schema.arguments[0].alias_info if self.schema.arguments else None
        return bool(alias and alias.is_write)

    def first(self) -> str:
        """The first tensor among the arguments."""
        return self.tensors()[0]

    def tensor(self, name: str) -> str | None:
        """The tensor given as `name`; None for a number or nothing."""
        value = self.arguments.get(name)
        return self.converter.resolve(value) if self._is_tensor(value) else None

    def need(self, name: str) -> str:
        """The tensor given as `name`, where it is not optional."""
        found = self.tensor(name)
        assert found is not None, f"{self.operator}: argument {name} is no tensor"
        return found

    def many(self, name: str) -> list[str]:
        """The tensors in the list given as `name`."""
        return [self.converter.resolve(v) for v in self.arguments[name] if self._is_tensor(v)]

    def tensors(self, *names: str) -> list[str]:
        """Those of the named arguments (by default of all) that are tensors."""
        found = (self.tensor(n) for n in names or self.arguments)
        return [name for name in found if name is not None]

    def input_fake(self, name: str) -> torch.Tensor:
        """The tensor given as `name`, without data but with strides."""
        return self.arguments[name].meta["val"]

    def shape_of(self, tensor: str) -> Shape:
        """Shape of a tensor of the graph."""
        return self.converter.builder.shape(tensor)

    def add(self, kind: str, inputs: Sequence[str], *, like: Any = None, **attrs: Any) -> str:
        """A node with one result; `like` gives its format, by default the call's own result."""
        fake = self.fake if like is None else like
        fake = fake[0] if isinstance(fake, list | tuple) else fake
        return self.converter.add(kind, inputs, dtype=format_of(fake), **attrs)

    def add_many(self, kind: str, inputs: Sequence[str], **attrs: Any) -> tuple[str, ...]:
        """A node with the results of the call."""
        return self.converter.add_many(kind, inputs, dtype=[format_of(f) for f in self.fake], **attrs)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """`tensor` in another shape; itself if it has that already."""
        if self.shape_of(tensor) == tuple(shape):
            return tensor
        return self.converter.add("reshape", [tensor], dtype=self.converter.builder.tensors[tensor].dtype, shape=tuple(shape))

    def transpose(self, tensor: str, perm: Sequence[int]) -> str:
        """`tensor` with its axes in another order; itself if that is the order they have."""
        if tuple(perm) == tuple(range(len(perm))):
            return tensor
        return self.converter.add("transpose", [tensor], dtype=self.converter.builder.tensors[tensor].dtype, perm=tuple(perm))

    @staticmethod
    def _is_tensor(value: Any) -> bool:
        return isinstance(value, torch.fx.Node) and isinstance(value.meta.get("val"), torch.Tensor)
