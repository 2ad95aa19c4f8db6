"""Capture of modules with spiking neurons: each neuron is one operator, and the result is one timestep.

Three ways of running T timesteps are recognised: a module of one timestep (T is the option `timesteps`), a module that takes all of them at
once (time first in its input, or merged with the batch inside: it is captured anew with one), and a loop over T in its forward.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hwsim.errors import InputError, UnsupportedOp
from hwsim.frontends.torch import neurons
from hwsim.frontends.torch.export import Example, capture

TIME_NAMES = ("T", "t", "time_step", "time_steps", "timestep", "timesteps", "num_steps", "n_steps", "steps", "time_window")
"""Attributes of modules that hold the number of timesteps in the public code of spiking networks."""


@torch.library.custom_op("hwsim::neuron", mutates_args=())
def neuron(x: Tensor, model: str, states: int, levels: int, call: int) -> list[Tensor]:
    """Stands for spiking neurons; its results are spikes and states. Has no values."""
    raise NotImplementedError("hwsim::neuron exists for capture only")


@torch.library.custom_op("hwsim::previous", mutates_args=())
def previous(like: Tensor, of: str) -> Tensor:
    """Stands for the spikes of the timestep before; has no values."""
    raise NotImplementedError("hwsim::previous exists for capture only")


@neuron.register_fake
def _(x: Tensor, model: str, states: int, levels: int, call: int) -> list[Tensor]:
    return [torch.empty_like(x) for _ in range(states + 1)]


@previous.register_fake
def _(like: Tensor, of: str) -> Tensor:
    return torch.empty_like(like)


@dataclass
class Seen:
    """What the neurons of a module were called with."""

    shapes: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    multi_step: set[str] = field(default_factory=set)

    @property
    def calls(self) -> int:
        """Most calls of one module."""
        return max((len(found) for found in self.shapes.values()), default=0)

    @property
    def merged(self) -> int:
        """Timesteps along the first axis of what the multi-step neurons see; 1 without such neurons.

        Raises:
            InputError: they do not agree.
        """
        found = {shape[0]: path for path in self.multi_step for shape in self.shapes.get(path, ())}
        if len(found) > 1:
            listed = ", ".join(f"{path!r}: {steps}" for steps, path in found.items())
            raise InputError(f"multi-step neurons see different numbers of timesteps ({listed}); expected time as the first axis of all")
        return next(iter(found), 1)


def has_neurons(module: torch.nn.Module) -> bool:
    """Whether there are spiking neurons in a module.

    Raises:
        UnsupportedOp: some that cannot be read, all of them listed.
    """
    named = list(module.named_modules())
    lost = [(path, f"{type(m).__module__.partition('.')[0]}.{type(m).__name__}: {why}") for path, m in named if (why := neurons.refusal(m))]
    if lost:
        raise UnsupportedOp(
            [(path, f"{text}; hwsim.frontends.torch.neurons.register describes it") for path, text in lost], where=type(module).__name__
        )
    return any(neurons.find(m) for _, m in named)


@contextmanager
def as_operators(module: torch.nn.Module) -> Iterator[Seen]:
    """Inside, each neuron of `module` answers with one operator; what they are called with is noted."""
    seen, patched = Seen(), []
    try:
        for path, part in module.named_modules():
            entry = neurons.find(part)
            if entry is not None:
                patched.append((part, dict(part.__dict__)))
                part.__dict__["forward"] = _stand_in(part, entry, path, seen)
                if entry.reset:
                    part.__dict__[entry.reset] = lambda: None
                    part.__dict__[entry.reset] = _forgetting(entry)
        yield seen
    finally:
        for part, attributes in patched:
            for name in [n for n in part.__dict__ if n not in attributes]:
                del part.__dict__[name]
            part.__dict__.update(attributes)


def _stand_in(part: Any, entry: neurons.NeuronModule, path: str, seen: Seen) -> Any:
    if entry.multi_step(part):
        seen.multi_step.add(path)

    def forward(x: Tensor, *_: Any, **__: Any) -> Any:
        calls = seen.shapes.setdefault(path, [])
        calls.append(tuple(int(s) for s in x.shape))
        if entry.recurrent is not None:
            x = x + entry.recurrent(part, previous(x, path))
        return entry.answer(part, neuron(x, entry.model, entry.states, entry.levels(part), len(calls) - 1))

    return forward


def _forgetting(entry: neurons.NeuronModule) -> Any:
    """States at the start, which the operator does not look at; spikes of a recurrent layer are among them."""
    count = entry.states + (entry.recurrent is not None)

    def reset() -> Any:
        states = tuple(torch.zeros(0) for _ in range(count))
        return states if count > 1 else states[0]

    return reset


@dataclass(frozen=True)
class Captured:
    """One capture of a module with neurons."""

    program: Any
    seen: Seen
    example: Example
    timesteps: int | None
    batch: int


def captured(module: torch.nn.Module, example: Example, *, source: str, batch: int | None, timesteps: int | None) -> Captured:
    """The program of one timestep, or of a loop over all of them, which `timesteps.fold` makes one.

    Args:
        batch: samples, where they are not those of `example`.
        timesteps: of an inference, where the module does not say.

    Raises:
        InputError: the module cannot be captured, or its time axis cannot be told from others.
    """
    program, seen = _once(module, example, source)
    steps = seen.merged
    if steps > 1:
        return _merged(module, example, seen, source=source, batch=batch, timesteps=timesteps)
    first = next(iter(seen.shapes.values()), [(1,)])[0]
    time_first = seen.calls > 1 and _leads(example, seen.calls) and first[:1] == _tensor(example).shape[1:2]
    time_first = time_first or (bool(seen.multi_step) and first[:2] == tuple(_tensor(example).shape[:2]))
    axis = 1 if time_first else 0
    found = int(_tensor(example).shape[axis]) if _tensor(example).ndim > axis else 1
    if batch is not None and batch != found:
        example = resized(example, axis, batch)
        program, seen = _once(module, example, source)
    return Captured(program, seen, example, timesteps, batch or found)


def _once(module: torch.nn.Module, example: Example, source: str) -> tuple[Any, Seen]:
    with as_operators(module) as seen:
        return capture(module, example, source=source), seen


def _tensor(example: Example) -> Tensor:
    found = [v for v in (*example.args, *example.kwargs.values()) if isinstance(v, Tensor)]
    return found[0] if found else torch.empty(1, device="meta")


def _leads(example: Example, size: int) -> bool:
    return _tensor(example).ndim > 1 and _tensor(example).shape[0] == size


def resized(example: Example, axis: int, size: int) -> Example:
    """Every tensor whose `axis` is as long as that of the first, with `size` there."""
    old = _tensor(example).shape[axis]

    def changed(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim <= axis or value.shape[axis] != old:
            return value
        return value.new_empty((*value.shape[:axis], size, *value.shape[axis + 1 :]))

    return Example(tuple(map(changed, example.args)), {k: changed(v) for k, v in example.kwargs.items()})


def _merged(module: torch.nn.Module, example: Example, seen: Seen, *, source: str, batch: int | None, timesteps: int | None) -> Captured:
    """A module whose neurons see T > 1 timesteps at once, captured with one: T is an axis of the input, or an attribute of modules."""
    steps = seen.merged
    if timesteps not in (None, steps):
        raise InputError(
            f"{source}: its neurons see {steps} timesteps, found timesteps={timesteps}; leave the option out, or change the inputs"
        )
    tries = [(resized(example, 0, 1), 1, False)] if _leads(example, steps) else []
    for shorter, axis, named in [*tries, (example, 0, True)]:
        found = int(_tensor(shorter).shape[axis]) if _tensor(shorter).ndim > axis else 1
        shorter = shorter if batch is None else resized(shorter, axis, batch)
        with _attributes(module, steps if named else 0), _quiet():
            try:
                program, now = _once(module, shorter, source)
            except InputError:
                continue
        if now.merged == 1:
            return Captured(program, now, shorter, steps, batch or found)
    raise InputError(
        f"{source}: its neurons see {steps} timesteps along their first axis, and nothing says where they come from. "
        f"Expected inputs with time first, or modules that hold the number in an attribute ({', '.join(TIME_NAMES)}). "
        "Set it to one timestep, and pass timesteps=N"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, torch does not log the traceback of a capture that is only tried."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.ERROR)
        yield
    finally:
        logging.disable(before)


@contextmanager
def _attributes(module: torch.nn.Module, steps: int) -> Iterator[None]:
    """Inside, attributes that hold the number of timesteps say 1."""
    held = [(m, n) for m in module.modules() for n in TIME_NAMES if steps and m.__dict__.get(n) == steps]
    try:
        for part, name in held:
            part.__dict__[name] = 1
        yield
    finally:
        for part, name in held:
            part.__dict__[name] = steps
