"""Capture: a module and example inputs -> an exported program."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from hwsim.errors import InputError


@dataclass(frozen=True)
class Example:
    """What a module is called with; values are never read, only shapes and formats."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """First axis of the first tensor."""
        tensors = [v for v in (*self.args, *self.kwargs.values()) if isinstance(v, torch.Tensor) and v.ndim]
        return int(tensors[0].shape[0]) if tensors else 1

    def with_batch(self, batch: int | None) -> Example:
        """Every tensor that starts with the batch axis, resized."""
        old = self.batch
        if batch is None or batch == old:
            return self

        def resized(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or not value.ndim or value.shape[0] != old:
                return value
            return value.new_empty((batch, *value.shape[1:]))

        return Example(tuple(map(resized, self.args)), {k: resized(v) for k, v in self.kwargs.items()})


def given(inputs: Any, *, device: torch.device) -> Example:
    """Example inputs from tensors or shapes: one, a sequence of them, or a mapping by argument name.

    A shape whose name ends in `ids` is one of int64 tokens, in `mask` of booleans, else of fp32 numbers.

    Raises:
        InputError: neither.
    """
    if isinstance(inputs, Mapping):
        return Example(kwargs={name: _tensor(v, device, name) for name, v in inputs.items()})
    single = isinstance(inputs, torch.Tensor) or (isinstance(inputs, Sequence) and all(isinstance(i, int) for i in inputs))
    return Example(tuple(_tensor(v, device) for v in ([inputs] if single else inputs)))


def _tensor(value: Any, device: torch.device, name: str = "") -> Any:
    if isinstance(value, torch.Tensor) or value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value
    if not isinstance(value, Sequence) or not all(isinstance(i, int) for i in value):
        raise InputError(f"input {name or value!r} is {value!r}; expected a tensor or a shape of integers")
    kind = torch.int64 if name.endswith("ids") else torch.bool if name.endswith("mask") else torch.float32
    return torch.empty(tuple(value), dtype=kind, device=device)


def capture(module: torch.nn.Module, example: Example, *, source: str) -> torch.export.ExportedProgram:
    """`torch.export` without decomposition, at inference; the module is left as it was.

    Raises:
        InputError: torch cannot capture it (data-dependent control flow, mostly).
    """
    first = next((v for v in (*example.args, *example.kwargs.values()) if isinstance(v, torch.Tensor)), None)
    with _at_inference(module), torch.device(first.device if first is not None else "cpu"):
        try:
            return torch.export.export(module, example.args, dict(example.kwargs), strict=False)
        except Exception as error:
            text = str(error).strip().splitlines()
            raise InputError(
                f"{source}: torch.export cannot capture it ({type(error).__name__}: {text[0] if text else ''}); "
                "expected a module whose control flow does not depend on data. Check the inputs, or export it yourself "
                "and pass the exported program"
            ) from error


@contextmanager
def _at_inference(module: torch.nn.Module) -> Iterator[None]:
    training = [m for m in module.modules() if m.training]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        stack.callback(lambda: [setattr(m, "training", True) for m in training])
        torch.backends.mha.set_fastpath_enabled(False)
        module.eval()
        yield
