"""A surrogate in the place of a family's cost function, for sweeps: many points at once where it can, else one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from hwsim.cost import Cost, Program, Target
from hwsim.errors import InputError
from hwsim.surrogates import methods
from hwsim.surrogates.trained import check_family_name


def answered_by(method: str, target: Target) -> Target:
    """The family, its costs answered by a method.

    Raises:
        UnknownName: no such surrogate.
        InputError: another method than `closed-form` and `surrogate:NAME`, or a surrogate of another family.
    """
    if method == methods.CLOSED_FORM:
        return target
    if not method.startswith(methods.PREFIX):
        raise InputError(f"a sweep takes the methods closed-form and surrogate:NAME; found {method!r}")
    surrogate = methods.trained(method.removeprefix(methods.PREFIX))
    check_family_name(surrogate.stored, target.family)
    answering: Any = Answering(target, surrogate)
    return answering


class Answering:
    """A family whose costs a surrogate answers; everything else is the family's.

    A surrogate with `columns = True` takes columns of points as cost functions do; others are asked point by point.
    """

    def __init__(self, target: Target, surrogate: Any) -> None:
        self._target, self._surrogate = target, surrogate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Answering, (self._target, self._surrogate)

    def cost(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost at all points, shape `(points,)` where device or mapping have columns."""
        points = _points(device) | _points(mapping)
        if not points or getattr(self._surrogate, "columns", False):
            return self._surrogate.predict(program, device=device, mapping=mapping)
        count = max(points.values())
        asked = ((_at(device, points, i), _at(mapping, points, i)) for i in range(count))
        return stacked([self._surrogate.predict(program, device=d, mapping=m) for d, m in asked])


def _points(value: Any) -> dict[str, int]:
    """Fields that hold a column, and its points.

    Raises:
        NotTraceable: a column is being traced, which a surrogate cannot be.
    """
    from hwsim.sweep.trace import NotTraceable, Traced

    found = {f.name: getattr(value, f.name) for f in fields(value)}
    if any(isinstance(v, Traced) for v in found.values()):
        raise NotTraceable("the answers of a surrogate")
    return {name: len(v) for name, v in found.items() if isinstance(v, np.ndarray) and v.ndim > 0}


def _at(value: Any, points: Mapping[str, int], place: int) -> Any:
    """Device or mapping of one point, its columns of one row: choices that overrule others only as columns still do."""
    own = {name: getattr(value, name)[place : place + 1] for name in points if hasattr(value, name)}
    return replace(value, **own) if own else value


def stacked(costs: Sequence[Cost]) -> Cost:
    """One cost of all points from costs of one point each, `(1,)` or `(1, rows)`; what does not vary stays as it is."""
    return _stacked(costs)


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if is_dataclass(first) and not isinstance(first, type):
        return type(first)(**{f.name: _stacked([getattr(v, f.name) for v in values]) for f in fields(first)})
    if isinstance(first, Mapping):
        return {name: _stacked([v[name] for v in values]) for name in first}
    return np.concatenate([np.asarray(v) for v in values]) if np.ndim(values[0]) else first
