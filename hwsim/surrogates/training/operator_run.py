"""From a recipe of trees to a surrogate of operators on the shelf: judge on what is left out, then train on everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.errors import UnknownName
from hwsim.surrogates.operators import ELSEWHERE
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training.left_out import error_table
from hwsim.surrogates.training.operators import Base, Measured, load, shelf_base
from hwsim.surrogates.training.tabular import ABROAD, TreesRecipe, abroad, at_home, boosted, judged
from hwsim.surrogates.trees import Trees
from hwsim.targets.gpu.operator_features import DEVICE, NAMES

OPERATORS = ("gemm", "attention")
"""What a surrogate answers for."""
SIZES: Mapping[str, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "attention": ("batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim"),
}
"""Features whose range in training bounds what is trusted."""
LIMIT = 3.0
"""Most that the logarithm of a factor may be, either way."""
PARTS = ("layer", "shape", "device")
"""What may be left out: all kernels of a layer, single shapes, or a device."""
Data = Mapping[str, Sequence[Measured]]


def train(recipe: Any, *, data: Data | None = None, tell: Callable[[str], None] | None = None) -> Stored:
    """Judge on parts left out (one a seed), then train on everything, over the closed form of the shelf.

    Raises:
        DataMissing: the measurements are not there.
        UnknownName: a part that cannot be left out.
    """
    if recipe.left_out.by not in PARTS:
        raise UnknownName("part to leave out", recipe.left_out.by, PARTS)
    model: TreesRecipe = recipe.model
    given = data or {name: load(name, rows=model.rows) for name in OPERATORS}
    found = [_judged(kernels, recipe, tell) for kernels in given.values()]
    measured, closed, predicted, groups = (np.concatenate([part[i] for part in found]) for i in range(4))
    weights: dict[str, np.ndarray] = {}
    for kind, kernels in given.items():
        weights |= _weights(kind, kernels, shelf_base(kind, kernels), model)
    metrics = {
        "suite": f"{recipe.data}, {'each device' if recipe.left_out.by == 'device' else f'a fifth of the {recipe.left_out.by}s'} left out",
        "kernels": sum(len(m) for kernels in given.values() for m in kernels),
        "intervals": error_table(measured, predicted, groups),
        "untrained": {name: row for name, row in error_table(measured, closed, groups).items() if name != "level"},
    }
    return Stored(recipe.name, _config(recipe, given), weights, metrics, _card(recipe, metrics))


def _judged(kernels: Sequence[Measured], recipe: Any, tell: Callable[[str], None] | None) -> tuple[np.ndarray, ...]:
    parts = []
    for seed in recipe.seeds:
        for held, closed, predicted in judged(kernels, by=recipe.left_out.by, seed=seed, fit=boosted(recipe.model, seed=seed)):
            group = f"{held.operator}/{held.device.name}"
            parts.append((held.measured, closed, predicted, np.full(len(held), group)))
            if tell:
                tell(f"{group}, seed {seed}: mean error {100 * np.mean(np.abs(predicted / held.measured - 1)):.1f} %")
    return tuple(np.concatenate([part[i] for part in parts]) for i in range(4))


def _weights(kind: str, kernels: Sequence[Measured], base: Base, model: TreesRecipe) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for m in kernels:
        found |= _trees(at_home(m, base, boosted(model))).arrays(f"{kind}/{m.device.name}")
    few = [m.take(np.arange(0, len(m), max(1, len(m) // ABROAD.rows))) for m in kernels]
    return found | _trees(abroad(few, base, boosted(ABROAD))).arrays(f"{kind}/{ELSEWHERE}")


def _trees(model: Any) -> Trees:
    return model


def _config(recipe: Any, data: Data) -> dict[str, Any]:
    import msgspec

    devices = {kind: [m.device.name for m in kernels] for kind, kernels in data.items()}
    return {
        "family": recipe.family,
        "kind": "operators",
        "auto": recipe.auto,
        "limit": LIMIT,
        "models": devices,
        "features": {kind: list(NAMES[kind]) for kind in data},
        "hidden": len(DEVICE),
        "range": {kind: _range(kind, kernels) for kind, kernels in data.items()},
        "trusted": {
            "mapping": dict(recipe.trusted.mapping),
            "devices": list(recipe.trusted.devices) or sorted(set.intersection(*(set(names) for names in devices.values()))),
            "share": 0.95,
        },
        "recipe": msgspec.to_builtins(recipe),
    }


def _range(kind: str, kernels: Sequence[Measured]) -> dict[str, list[float]]:
    """Least and greatest of each size, as the features have them."""
    values = {name: np.log2(np.concatenate([m.sizes[name] for m in kernels])) for name in SIZES[kind]}
    return {name: [round(float(v.min()), 5), round(float(v.max()), 5)] for name, v in values.items()}


def _card(recipe: Any, metrics: dict[str, Any]) -> str:
    lines = [
        f"# {recipe.name}",
        "",
        recipe.summary,
        "",
        f"Trained on {metrics['kernels']:,} kernels ({recipe.data}); judged with {metrics['suite'].partition(', ')[2]}, "
        f"{len(recipe.seeds)} draw{'s' if len(recipe.seeds) > 1 else ''}; the closed form beside it was fitted without them, too.",
        "Absolute percentage errors.",
        "",
        "| | n | mean | median | p90 | closed form mean |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in metrics["intervals"].items():
        if name not in ("level", "all"):
            errors = (row["mean_ape"], row["median_ape"], row["p90_ape"], metrics["untrained"][name]["mean_ape"])
            lines.append(f"| {name} | {row['n']:,} | " + " | ".join(f"{100 * e:.1f}" for e in errors) + " |")
    return "\n".join(lines) + "\n"
