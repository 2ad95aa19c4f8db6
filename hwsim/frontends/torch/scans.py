"""State-space scans as single operators during capture, where transformers would unroll a loop over tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("hwsim::selective_scan", mutates_args=())
def selective_scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor | None, z: Tensor | None) -> Tensor:
    """Stands for Mamba's scan; has no values."""
    raise NotImplementedError("hwsim::selective_scan exists for capture only")


@torch.library.custom_op("hwsim::ssd", mutates_args=())
def ssd(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor | None, chunk: int) -> Tensor:
    """Stands for Mamba-2's scan; has no values."""
    raise NotImplementedError("hwsim::ssd exists for capture only")


@selective_scan.register_fake
def _(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor | None, z: Tensor | None) -> Tensor:
    return torch.empty_like(x)


@ssd.register_fake
def _(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor | None, chunk: int) -> Tensor:
    return torch.empty_like(x)


def _mamba(hidden_states: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, z: Any = None, **kwargs: Any) -> Any:
    y = selective_scan(hidden_states, dt, A, B, C, D, z)
    return (y, hidden_states.new_empty(*hidden_states.shape[:2], A.shape[-1])) if kwargs.get("return_last_state") else y


def _mamba2(hidden_states: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_size: int, D: Any = None, **kwargs: Any) -> Any:
    y = ssd(hidden_states, dt, A, B, C, D, chunk_size)
    state = (hidden_states.shape[0], *hidden_states.shape[2:], B.shape[-1])
    return (y, hidden_states.new_empty(state)) if kwargs.get("return_final_states") else y


_STAND_INS = {"mamba_selective_scan": _mamba, "mamba2_chunk_scan": _mamba2}


@contextmanager
def as_operators() -> Iterator[None]:
    """Inside, the scans of the loaded transformers models are single operators."""
    modules = [m for n, m in list(sys.modules.items()) if n.startswith("transformers.models.") and ".modeling_" in n]
    found = [(m, name, vars(m)[name]) for m in modules for name in _STAND_INS if name in vars(m)]
    try:
        for module, name, _ in found:
            setattr(module, name, _STAND_INS[name])
        yield
    finally:
        for module, name, original in found:
            setattr(module, name, original)
