"""Robust fits of constants in log space, and how they are written to the shelf."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf

Bounds = Mapping[str, tuple[float, float, float]]
"""Constant to (start, low, high), all above 0."""


def fit(
    bounds: Bounds, residual: Callable[[dict[str, float]], np.ndarray], *, scale: float = 0.1, evaluations: int = 40
) -> dict[str, float]:
    """Constants that minimise the soft-L1 loss of `residual` (log of predicted over measured, shape `(rows,)`)."""
    from scipy.optimize import least_squares

    start, low, high = np.log(np.array([bounds[name] for name in bounds])).T
    inside = np.clip(start, low + 1e-3, high - 1e-3)

    def values(x: np.ndarray) -> dict[str, float]:
        return dict(zip(bounds, map(float, np.exp(x)), strict=True))

    found = least_squares(
        lambda x: residual(values(x)), inside, bounds=(low, high), loss="soft_l1", f_scale=scale, max_nfev=evaluations, diff_step=1e-3
    )
    return values(found.x)


def write(
    name: str,
    constants: Mapping[str, float],
    *,
    dataset: str,
    points: int,
    devices: Sequence[str],
    measured: np.ndarray,
    predicted: np.ndarray,
    assumed: Mapping[str, tuple[float, str]] | None = None,
) -> Path:
    """Write fitted constants with the data set, the number of points and the error they leave; returns the file."""
    error = np.abs(predicted / measured - 1)
    lines = [
        "# Written by `hwsim calibrate gpu`; do not edit.",
        f"name: {name}",
        f'dataset: "{dataset}"',
        f"points: {points}",
        f"devices: [{', '.join(devices)}]",
        f"error: {{median_ape: {np.median(error):.4f}, mean_ape: {np.mean(error):.4f}}}",
        f'sources:\n  fit: "fitted on {points} rows of {dataset}; median error {100 * np.median(error):.1f} %"',
        "constants:",
        *(f"  {key}: {{value: {value:.5g}, source: fit, status: fitted}}" for key, value in constants.items()),
        *(f'  {key}: {{value: {v:.5g}, source: "{why}", status: assumed}}' for key, (v, why) in (assumed or {}).items()),
    ]
    path = shelf.checkout("targets") / "gpu" / "fitted" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shelf.fitted.cache_clear()
    return path


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Columns of several sets, one after the other."""
    return {key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]}
