"""What a training run needs to go on: one safetensors file with JSON in its header, complete or absent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from hwsim.errors import InputError
from hwsim.surrogates.graphs import ARRAYS, Graphs
from hwsim.surrogates.networks.recipes import NetworkRecipe

FILE, LOG = "checkpoint.safetensors", "log.jsonl"
SCHEMA = 1


@dataclass
class State:
    """How far a run is."""

    key: str
    """Tells runs apart: recipe, seed, data and first weights."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry an epoch."""
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """Weights of the best epoch; empty where patience watches nothing."""
    best_epoch: int = 0
    best_error: float = float("inf")


def key(model: Any, graphs: Graphs, recipe: NetworkRecipe, seed: int, devices: int) -> str:
    """Digest of all that a run depends on."""
    found = hashlib.sha256(msgspec.json.encode(recipe) + f"/{seed}/{devices}/{graphs.metrics}/{graphs.feature_names}".encode())
    for name in ARRAYS:
        found.update(np.ascontiguousarray(getattr(graphs, name)).data)
    for value in model.state_dict().values():
        found.update(value.detach().cpu().contiguous().numpy().data)
    return found.hexdigest()[:24]


def write(folder: Path, state: State, model: Any, optimizer: Any, order: np.random.Generator) -> None:
    """Keep a run after an epoch."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    held = {f"model.{name}": value for name, value in model.state_dict().items()}
    held |= {f"best.{name}": value for name, value in state.best.items()}
    for number, values in optimizer.state_dict()["state"].items():
        held |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    held["generator"] = torch.get_rng_state()
    plain = {"schema": SCHEMA, "order": order.bit_generator.state, **{n: v for n, v in vars(state).items() if n != "best"}}
    part = folder / f"{FILE}.part"
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in held.items()}, part, {"state": json.dumps(plain)})
    part.replace(folder / FILE)


def read(folder: Path, state: State, model: Any, optimizer: Any, order: np.random.Generator) -> State:
    """The state of the run in a folder, put into model, optimizer and generators; `state` as it is where there is no checkpoint.

    Raises:
        InputError: it is of another run, or broken.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return state
    try:
        with safe_open(path, framework="pt") as file:
            plain = json.loads((file.metadata() or {}).get("state", "{}"))
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: no checkpoint ({error}); remove it to start anew") from None
    if plain.get("schema") != SCHEMA or plain["key"] != state.key:
        raise InputError(f"{path} is of another run (recipe, seed, data or start differ); name another folder, or remove it to start anew")
    model.load_state_dict(_under("model.", held))
    groups = optimizer.state_dict()
    numbers = range(len(groups["param_groups"][0]["params"]))
    states = {n: found for n in numbers if (found := _under(f"optimizer.{n}.", held))}
    optimizer.load_state_dict({**groups, "state": states})
    order.bit_generator.state = plain["order"]
    torch.set_rng_state(held["generator"])
    best = {name: value.to(next(model.parameters()).device) for name, value in _under("best.", held).items()}
    return State(best=best, **{name: plain[name] for name in ("key", "history", "best_epoch", "best_error")})


def _under(prefix: str, held: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}


def write_log(folder: Path, history: list[dict[str, float]]) -> None:
    """The run's log, a line of JSON an epoch; complete or as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{LOG}.part"
    part.write_text("".join(f"{json.dumps(entry)}\n" for entry in history), encoding="utf-8")
    part.replace(folder / LOG)
