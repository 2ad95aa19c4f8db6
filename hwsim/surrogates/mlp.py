"""Small multilayer perceptrons as plain arrays: trained with torch, answered with numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mlp:
    """A stack of linear layers with SiLU between them, one output."""

    mean: np.ndarray
    """Shape `(features,)`."""
    scale: np.ndarray
    """Standard deviation of each feature, shape `(features,)`."""
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    """(weight `(out, in)`, bias `(out,)`) of each layer."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Outputs of shape `(...)` for features of shape `(..., features)`; each row's own, whatever its neighbours."""
        x = (features - self.mean) / self.scale
        for i, (weight, bias) in enumerate(self.layers):
            x = x @ weight.T + bias
            if i < len(self.layers) - 1:
                x = x / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))
        return x[..., 0]

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Weights by name, for a store."""
        found = {f"{prefix}.mean": self.mean, f"{prefix}.scale": self.scale}
        for i, (weight, bias) in enumerate(self.layers):
            found |= {f"{prefix}.{i}.weight": weight, f"{prefix}.{i}.bias": bias}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Mlp:
        """From what `arrays` gave."""
        count = sum(name.startswith(f"{prefix}.") and name.endswith(".weight") for name in arrays)
        wide = {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items() if name.startswith(f"{prefix}.")}
        layers = tuple((wide[f"{prefix}.{i}.weight"], wide[f"{prefix}.{i}.bias"]) for i in range(count))
        return cls(wide[f"{prefix}.mean"], wide[f"{prefix}.scale"], layers)


def spread(members: Sequence[Mlp], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation) of the members' answers, shape `(...)` each."""
    answers = np.stack([member(features) for member in members])
    return answers.mean(axis=0), answers.std(axis=0)
