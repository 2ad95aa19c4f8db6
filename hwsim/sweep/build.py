"""A space of design points from what people say: models, devices, and what varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.sweep.axes import Axis, Choices, Interval
from hwsim.sweep.names import Names, unique
from hwsim.sweep.reading import Kind, read
from hwsim.sweep.space import LOAD, SAMPLINGS, Base, Space, is_builder

MOST_BLOCKS = 1_000_000
"""Programs that a sweep may lower; more is taken for a mistake."""


def space(
    models: Any,
    devices: Any,
    *,
    vary: Mapping[str, Any],
    model_axes: Mapping[str, Any] | None = None,
    load: Mapping[str, Any] | None = None,
    mapping: Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name everywhere
    sample: str = "grid",
    points: int = 0,
    seed: int = 0,
    free: bool = False,
    method: str = "closed-form",
) -> Space:
    """Design points of models on devices.

    Args:
        models: what `hwsim.load` takes, or a list of it; several make an axis `model`.
        devices: a device, or a list; several make an axis `device`.
        vary: values by axis name (`device.sm_count`, `mapping.dtype`, `mapping.reuse_factor[fc*]`, `batch` ...): what `reading.read` takes.
        model_axes: the same for options of the model's builder, without `model.`.
        load: arguments of `hwsim.workload`.
        mapping: options that all points share.
        set: device quantities that all points share.
        sample: grid, random, lhs or sobol.
        points: points in all of a sample, spread evenly over what makes programs of its own.
        free: for a search: ranges need no steps, not even where every value makes a program; no points are numbered.
        method: who answers at every point: `closed-form` or `surrogate:NAME`.

    >>> space("resnet50", "a100-sxm-80gb", vary={"sm_count": "64:128:32", "dtype": "fp16,int8"}).count
    6

    Raises:
        UnknownName: an axis, model or device that does not exist.
        InputError: values that cannot be; a range without a number of steps in a grid; nothing that varies.
    """
    models_, devices_ = _several(models), _several(devices)
    names = Names.of(models_, devices_)
    base = Base(models_[0], devices_[0], dict(load or {}), dict(mapping or {}), dict(set or {}), method)
    lists = [Axis(n, Choices(tuple(v)), outer=True) for n, v in (("model", models_), ("device", devices_)) if len(v) > 1]
    said = [*({f"model.{k}": v for k, v in (model_axes or {}).items()}).items(), *vary.items()]
    axes = (*lists, *(_axis(raw, names.kind(name, raw), free=free) for name, raw in said))
    unique([a.name for a in axes], "axis")
    _consistent(base, axes)
    if sample not in SAMPLINGS:
        raise UnknownName("sampling", sample, SAMPLINGS)
    return Space(base, axes, seed=seed) if free else _sampled(Space(base, axes), sample, points, seed)


def _several(value: Any) -> list[Any]:
    found = list(value) if isinstance(value, list | tuple) else [value]
    if not found:
        raise InputError("found an empty list; expected a model and a device at least")
    unique([v for v in found if isinstance(v, str)], "model or device")
    return found


def _axis(raw: Any, kind: Kind, *, free: bool) -> Axis:
    values = read(raw, replace(kind, outer=False) if free else kind)
    return Axis(kind.name, values, kind.unit, kind.outer or not _numbers(values))


def _numbers(values: Any) -> bool:
    return not isinstance(values, Choices) or values.numeric


def _consistent(base: Base, axes: Sequence[Axis]) -> None:
    for axis in axes:
        group, _, rest = axis.name.partition(".")
        fixed = {"device": base.set, "mapping": base.mapping}.get(group, base.load)
        if (rest or group) in fixed and fixed[rest or group] is not None:
            raise InputError(f"{axis.name} is given a value, and varies too; drop one of them")
    sizes = [a.name for a in axes if a.name.partition(".")[0] in (*LOAD, "dim")]
    if sizes and isinstance(base.model, Graph):
        raise InputError(
            f"{sizes[0]} varies, but the model is a graph, which has its sizes; expected what it is loaded from, or a function"
        )
    if any(a.name.startswith("model.") for a in axes) and not isinstance(base.model, str) and not is_builder(base.model):
        raise InputError(
            f"options of a builder vary, but the model is a {type(base.model).__name__}; expected a name, or a function that makes it"
        )


def _sampled(grid: Space, sample: str, points: int, seed: int) -> Space:
    if grid.outer_count > MOST_BLOCKS:
        raise InputError(
            f"{grid.outer_count:,} programs to lower ({' x '.join(f'{len(a.values)} {a.name}' for a in grid.outer_axes)}); "
            f"expected at most {MOST_BLOCKS:,}; use hwsim search for a space of that size"
        )
    if sample != "grid":
        if points < 1:
            raise InputError(f"a {sample} sample needs a number of points, such as --points 10000")
        each = -(-points // grid.outer_count)
        return Space(grid.base, grid.axes, sample, each if grid.inner_axes else 1, seed)
    for axis in grid.axes:
        if isinstance(axis.values, Interval):
            low, high = axis.values.low, axis.values.high
            raise InputError(
                f"axis {axis.name!r}: {low:g}..{high:g} has no steps; a grid needs their number ({low:g}..{high:g} x32), "
                "or take a sample (--sample sobol --points 10000)"
            )
    if points:
        raise InputError(
            f"{points:,} points of a grid, which has {grid.count:,}; a number of points goes with --sample random, lhs or sobol"
        )
    if grid.count >= 2**62:
        raise InputError(f"the grid has {float(grid.count):.3g} points; take a sample, or use hwsim search")
    return grid
