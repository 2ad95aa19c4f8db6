"""Numbers of the parameters of a live module, turned into arrays when they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np
import torch

from hwsim.frontends.lazy import Lazy

MOST = 10_000_000
"""Numbers in all up to which the graph holds on to the tensors of a module."""


def values(tensors: Mapping[str, torch.Tensor], *, swapped: Collection[str]) -> Lazy:
    """Arrays by the names of our tensors; none of modules that are large, or that have shapes only (meta device).

    Args:
        swapped: matrices that our graph declares with their axes the other way round.
    """
    held = {name: t for name, t in tensors.items() if not t.is_meta and not isinstance(t, torch._subclasses.FakeTensor)}
    if sum(t.numel() for t in held.values()) > MOST:
        held = {}
    return Lazy({name: partial(_array, t, name in swapped) for name, t in held.items()})


def _array(tensor: torch.Tensor, turned: bool) -> np.ndarray:
    plain = tensor.detach().cpu()
    array = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return np.ascontiguousarray(array.T) if turned else array
