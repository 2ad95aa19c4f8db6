"""Firing rates of a running module, by forward hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hwsim.errors import InputError
from hwsim.frontends.torch import neurons
from hwsim.ops.spiking import SPIKING
from hwsim.rates import Rates

_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@dataclass
class Count:
    """Spikes of one place so far."""

    total: float = 0.0
    size: int = 0
    largest: float = 0.0
    whole: bool = True

    def add(self, values: torch.Tensor) -> None:
        """One call more."""
        found = values.detach()
        self.total += float(found.sum(dtype=torch.float64))
        self.size += found.numel()
        self.largest = max(self.largest, float(found.max()) if found.numel() else 0.0)
        self.whole = self.whole and bool(((found == found.round()) & (found >= 0)).all())


def recorded(module: torch.nn.Module, inputs: Any, *, timesteps: int, train: bool) -> Rates:
    """Rates of a module; arguments and errors as for `hwsim.rates.record`."""
    if timesteps < 1:
        raise InputError(f"timesteps is {timesteps!r}; expected a whole number of at least 1")
    firing, reading = _places(module)
    counts: dict[str, Count] = {}
    handles = [part.register_forward_hook(_outputs(counts, path)) for path, part in firing.items()]
    first: set[str] = set()
    handles += [part.register_forward_pre_hook(_inputs(counts, path, firing, first)) for path, part in reading.items()]
    was = {m: m.training for m in module.modules()}
    try:
        if not train:
            module.eval()
        with torch.no_grad():
            for call in _calls(inputs):
                _run(module, call, timesteps, firing)
    finally:
        for handle in handles:
            handle.remove()
        for part, training in was.items():
            part.training = training
    return _rates(module, counts, firing)


def _places(module: torch.nn.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    named = dict(module.named_modules())
    firing = {path: m for path, m in named.items() if (entry := neurons.find(m)) is not None and entry.model in SPIKING}
    if not firing:
        raise InputError(
            f"{type(module).__name__}: none of its modules is a spiking neuron that is known; expected those of snnTorch or spikingjelly. "
            "hwsim.frontends.torch.neurons.register makes others known"
        )
    return firing, {path: m for path, m in named.items() if isinstance(m, _LAYERS)}


def _outputs(counts: dict[str, Count], path: str) -> Any:
    def hook(_module: Any, _args: Any, output: Any) -> None:
        counts.setdefault(path, Count()).add(output[0] if isinstance(output, tuple | list) else output)

    return hook


def _inputs(counts: dict[str, Count], path: str, firing: Mapping[str, Any], first: set[str]) -> Any:
    """What a layer reads; not of one that runs before any neuron, it reads the data."""
    inner = path.startswith(tuple(f"{neuron}." for neuron in firing))

    def hook(_module: Any, args: Any) -> None:
        if path not in counts and not inner and not any(neuron in counts for neuron in firing):
            first.add(path)
        if args and path not in first:
            counts.setdefault(path, Count()).add(args[0])

    return hook


def _calls(inputs: Any) -> Iterable[Any]:
    """One call, or several."""
    return [inputs] if isinstance(inputs, torch.Tensor | tuple | Mapping) else inputs


def _run(module: torch.nn.Module, call: Any, timesteps: int, firing: Mapping[str, Any]) -> None:
    """All timesteps of one input, from rest."""
    _reset(firing)
    args, kwargs = ((), call) if isinstance(call, Mapping) else (call if isinstance(call, tuple) else (call,), {})
    for _ in range(timesteps):
        module(*args, **kwargs)
    _reset(firing)


def _reset(firing: Mapping[str, Any]) -> None:
    for part in firing.values():
        entry = neurons.find(part)
        method = getattr(part, (entry.reset if entry else "") or "reset", None)
        if callable(method):
            method()


def _rates(module: torch.nn.Module, counts: Mapping[str, Count], firing: Mapping[str, Any]) -> Rates:
    name = type(module).__name__
    if not any(path in counts for path in firing):
        raise InputError(f"{name}: no neuron was called; expected inputs that run through the network, found none")
    if wrong := [path for path in firing if path in counts and not counts[path].whole]:
        raise InputError(
            f"{name}, layer {wrong[0]!r}: its outputs are no whole numbers of spikes (the largest is {counts[wrong[0]].largest:g}); "
            "expected 0, 1 or integers. Turn graded spikes off, or leave its rate to a file"
        )
    spikes = {path: count for path, count in counts.items() if count.size and count.whole}
    rates = {path: {"rate": count.total / count.size} for path, count in spikes.items()}
    return Rates(rates, f"recorded from {name}", integers=frozenset(p for p, count in spikes.items() if count.largest > 1))
