"""Array-API plumbing: one namespace for numpy, torch, JAX and the strict reference."""

from __future__ import annotations

from typing import Any

Array = Any
"""A scalar or an array of any Array-API library; they broadcast."""


def namespace(*values: Array) -> Any:
    """The array namespace shared by `values`; numpy where all are Python scalars or numpy's own."""
    import numpy as np

    foreign = [v for v in values if not isinstance(v, int | float | bool | np.ndarray | np.generic)]
    if not foreign:
        return np
    from array_api_compat import array_namespace

    return array_namespace(*foreign)
