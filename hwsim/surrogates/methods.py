"""Which method answers: the closed form, a surrogate by name, or whichever is known to be better there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from hwsim import plugins
from hwsim.cost import Cost, Program
from hwsim.errors import UnknownName
from hwsim.estimate import Interval

CLOSED_FORM, AUTO, PREFIX = "closed-form", "auto", "surrogate:"


@dataclass(frozen=True)
class Answer:
    """A cost, and who gave it."""

    cost: Cost
    method: str
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Ranges by metric; those of the closed form come from its validation tables instead."""
    warnings: tuple[str, ...] = ()


def answer(method: str, program: Program, *, device: Any, mapping: Any) -> Answer:
    """The cost of a program by a method: `closed-form`, `auto`, `surrogate:NAME`, or the name of a plugin.

    `auto` takes the first surrogate of the family that knows such programs, devices and mappings, else the closed form.

    Raises:
        UnknownName: no such method or surrogate.
        InputError: a surrogate of another family.
    """
    given: dict[str, Any] = {"device": device, "mapping": mapping}
    if method == AUTO:
        found = (_asked(name, program, **given) for name in _automatic(program.family))
        return next((a for a in found if a.intervals), None) or Answer(_plugin(CLOSED_FORM).predict(program, **given), CLOSED_FORM)
    if method.startswith(PREFIX):
        return _asked(method.removeprefix(PREFIX), program, **given)
    return Answer(_plugin(method).predict(program, **given), method)


def _plugin(method: str) -> Any:
    known = plugins.available("hwsim.surrogates")
    if method not in known:
        from hwsim.surrogates import store
        from hwsim.surrogates.samples import FAMILY

        answering = (name for name in store.names() if store.read(name).config.get("family") != FAMILY)
        raise UnknownName("method", method, (*known, AUTO, *(PREFIX + name for name in answering)))
    return plugins.load("hwsim.surrogates", method)


def _asked(name: str, program: Program, *, device: Any, mapping: Any) -> Answer:
    surrogate = trained(name)
    cost = surrogate.predict(program, device=device, mapping=mapping)
    if ranges := _ranges(surrogate, program, cost, device=device, mapping=mapping):
        return Answer(cost, PREFIX + name, ranges)
    words = (
        getattr(surrogate, "unranged", "") or "was not trained on anything like this (device, mapping, kernels, or its members disagree)"
    )
    return Answer(cost, PREFIX + name, warnings=(f"{PREFIX}{name} {words}",))


def _ranges(surrogate: Any, program: Program, cost: Cost, **given: Any) -> Mapping[str, Interval]:
    """Ranges by the names of an estimate; empty outside of what the surrogate knows."""
    if hasattr(surrogate, "intervals"):
        return surrogate.intervals(program, cost, **given)
    interval = surrogate.interval(program, cost, **given)
    return {} if interval is None else {"latency": interval}


KINDS = {
    "additive": "hwsim.surrogates.additive:AdditiveSurrogate",
    "corrected": "hwsim.surrogates.corrected:CorrectedSurrogate",
    "graph": "hwsim.surrogates.graph_model:GraphSurrogate",
    "operators": "hwsim.surrogates.operators:OperatorSurrogate",
    "residual": "hwsim.surrogates.residual:ResidualSurrogate",
}
"""`kind` of a stored surrogate to the class that answers for it."""


def trained(name: str) -> Any:
    """What answers for a surrogate on the shelf, or in a folder.

    Raises:
        UnknownName: no such surrogate, or of a kind that this version does not have.
    """
    from hwsim.surrogates import store

    return _trained(name, store.stamp(store.folder(name)))


@lru_cache(maxsize=8)
def _trained(name: str, _stamp: tuple[str, int]) -> Any:
    from hwsim.surrogates import store

    stored = store.read(name)
    kind = stored.config.get("kind", "additive")
    if kind not in KINDS:
        raise UnknownName(f"kind of the surrogate {name!r}:", str(kind), KINDS)
    module, _, cls = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), cls)(stored)


@cache
def _automatic(family: str) -> tuple[str, ...]:
    """Surrogates of a family that `auto` may take, best first."""
    from hwsim import shelf, yaml12

    if not any(folder.is_dir() for folder in shelf.folders("surrogates")):
        return ()
    from hwsim.surrogates import store

    configs = {name: yaml12.load(store.folder(name) / "config.yaml") for name in store.names()}
    chosen = {name: c["auto"] for name, c in configs.items() if c.get("family") == family and c.get("auto")}
    return tuple(sorted(chosen, key=chosen.__getitem__))
