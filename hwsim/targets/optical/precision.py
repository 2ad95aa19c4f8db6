"""Effective bits of the layers of a program, over columns of design points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.cost import Program
from hwsim.targets.optical.cost import layer_bits


def bits_of(program: Program, *, device: Any, mapping: Any, vary: Mapping[str, np.ndarray]) -> np.ndarray:
    """Effective bits of the worst layer at every point, shape `(points,)`.

    Args:
        vary: device fields as columns of one length, as for `hwsim.sweep.evaluate`.
    """
    columns = {name: np.asarray(values, dtype=float)[:, None] for name, values in vary.items()}
    found = layer_bits(program.tables[0].columns, replace(device, **columns), replace(mapping, error_model=True))
    count = len(next(iter(columns.values())))
    return np.full(count, np.inf) if found is None else np.broadcast_to(np.min(found, axis=-1), (count,))
