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


def floats(value: Array) -> Array:
    """`value` as an array of floats; arrays of other libraries and traced columns stay what they are."""
    import numpy as np

    return (
        np.asarray(value, dtype=float) if isinstance(value, np.ndarray | np.generic | int | float | list | tuple) else value.astype(float)
    )


def as_array(xp: Any, value: Array) -> Array:
    """A plain number as an array of the namespace; arrays and traced columns stay what they are."""
    return xp.asarray(value) if isinstance(value, int | float) else value


def somewhere(mask: Array) -> bool:
    """Whether a mask may hold at any point: true where its values are not known yet, as in a trace."""
    import numpy as np

    return bool(np.any(mask)) if isinstance(mask, np.ndarray | np.generic | bool) else True


def last_flat(value: Array) -> Array:
    """`(points, 1)` as `(points,)`, `(1,)` as a scalar."""
    import numpy as np

    value = np.asarray(value) if isinstance(value, int | float) else value
    return value[..., 0] if value.ndim and value.shape[-1] == 1 else value


def whole(value: Array) -> Array:
    """`value` as whole numbers."""
    import numpy as np

    return (
        np.asarray(value, dtype=np.int64)
        if isinstance(value, np.ndarray | np.generic | int | float | list | tuple)
        else value.astype(np.int64)
    )


def taken(table: Array, index: Array) -> Array:
    """Elements of a list of numbers at whole-number places."""
    import numpy as np

    return table[index] if isinstance(index, np.ndarray | np.generic | int) else index.taken_from(table)
