"""From a source to a graph: builds the module, captures it, converts and tidies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from hwsim.errors import InputError
from hwsim.frontends.torch import huggingface, spiking, timm_models, torchvision_models
from hwsim.frontends.torch.convert import to_graph
from hwsim.frontends.torch.export import Example, capture, given
from hwsim.frontends.torch.patterns import tidy
from hwsim.frontends.torch.timesteps import fold
from hwsim.graph import Graph


@dataclass(frozen=True)
class Model:
    """A module, what to call it with, and facts for the graph."""

    name: str
    source: str
    module: torch.nn.Module
    example: Example
    facts: Mapping[str, Any] = field(default_factory=dict)


def load(source: Any, *, batch: int | None, seq_len: int | None, allow_unsupported: bool, options: dict[str, Any]) -> Graph:
    """The graph of a source that the front end accepts; arguments and errors as for `TorchFrontend.load`."""
    if isinstance(source, torch.export.ExportedProgram):
        return _from_program(source, batch=batch, allow_unsupported=allow_unsupported, options=options)
    scans, steps = options.pop("scans", "fused"), timesteps_option(options)
    if isinstance(source, torch.nn.Module) and spiking.has_neurons(source):
        return _spiking(source, batch=batch, timesteps=steps, allow_unsupported=allow_unsupported, options=options)
    model = build(source, batch=batch, seq_len=seq_len, options=options)
    with huggingface.traceable(model.module, scans=scans):
        program = capture(model.module, model.example, source=model.source)
    facts = {"batch": model.example.batch, **({} if steps is None else {"timesteps": steps}), **model.facts}
    graph = to_graph(program, name=model.name, source=model.source, module=model.module, allow_unsupported=allow_unsupported, **facts)
    return tidy(graph, model.module)


def timesteps_option(options: dict[str, Any]) -> int | None:
    """The option `timesteps`, taken out of the options.

    Raises:
        InputError: no whole number of at least 1.
    """
    steps = options.pop("timesteps", None)
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        raise InputError(f"timesteps is {steps!r}; expected a whole number of at least 1")
    return steps


def _spiking(
    module: torch.nn.Module, *, batch: int | None, timesteps: int | None, allow_unsupported: bool, options: dict[str, Any]
) -> Graph:
    """One timestep of a module with spiking neurons."""
    model = build(module, batch=None, seq_len=None, options=options)
    found = spiking.captured(module, model.example, source=model.source, batch=batch, timesteps=timesteps)
    facts = {**model.facts, "batch": found.batch}
    graph = to_graph(found.program, name=model.name, source=model.source, module=module, allow_unsupported=allow_unsupported, **facts)
    return tidy(fold(graph, found.seen, timesteps=found.timesteps, source=model.source), module)


def build(source: Any, *, batch: int | None, seq_len: int | None, options: dict[str, Any]) -> Model:
    """The module that a name or an object stands for, with its inputs."""
    if isinstance(source, torch.nn.Module):
        return _from_module(source, batch=batch, seq_len=seq_len, options=options)
    prefix, _, rest = str(source).partition(":")
    name, _, query = rest.partition("?")
    options = {**parse_options(query, where=str(source)), **options}
    family = {"timm": timm_models, "torchvision": torchvision_models}.get(prefix, huggingface)
    inputs, seq_len = options.pop("inputs", None), options.pop("seq_len", seq_len)
    module, example, facts = family.create(name, batch=batch or 1, seq_len=seq_len, options=options)
    if inputs is not None:
        example = given(inputs, device=torch.device("meta")).with_batch(batch)
    return Model(name, str(source), module, example, facts)


def parse_options(query: str, *, where: str) -> dict[str, Any]:
    """`a=1&b=x` as a mapping; values are read as YAML (numbers, true, lists), else they are text.

    Raises:
        InputError: an item without `=`.

    >>> parse_options("img_size=384&layers=[1, 2]&name=x", where="test")
    {'img_size': 384, 'layers': [1, 2], 'name': 'x'}
    """
    from hwsim import yaml12

    items = [item.partition("=") for item in query.split("&") if item]
    if wrong := [key for key, sign, _ in items if not sign]:
        raise InputError(f"{where}: option {wrong[0]!r} has no value; expected name=value joined by &")
    return {key: yaml12.loads(value) for key, _, value in items}


def _from_module(module: torch.nn.Module, *, batch: int | None, seq_len: int | None, options: dict[str, Any]) -> Model:
    name = type(module).__name__
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    inputs = options.pop("inputs", None)
    if inputs is not None:
        facts = {} if seq_len is None else {"seq_len": seq_len}
        return Model(name, name, module, given(inputs, device=device).with_batch(batch), facts)
    if hasattr(module, "main_input_name") and hasattr(module, "config"):
        example, facts = huggingface.example(module, batch=batch or 1, seq_len=seq_len, options=options)
    elif hasattr(module, "default_cfg") or hasattr(module, "pretrained_cfg"):
        example, facts = timm_models.example(module, batch=batch or 1, size=options.get("img_size"))
    else:
        raise InputError(
            f"{name}: nothing says what it is called with. Pass inputs=(1, 3, 224, 224), a list of shapes or tensors, "
            "or a mapping from argument to shape or tensor"
        )
    return Model(name, name, module, example, facts)


def _from_program(program: Any, *, batch: int | None, allow_unsupported: bool, options: dict[str, Any]) -> Graph:
    name = str(options.get("name", "exported"))
    args, kwargs = program.example_inputs or ((), {})
    found = Example(tuple(args), kwargs).batch
    if batch not in (None, found):
        raise InputError(f"{name}: the program was exported for batch {found}, found batch={batch}; export it anew")
    return tidy(to_graph(program, name=name, source=name, allow_unsupported=allow_unsupported, batch=found), None)
