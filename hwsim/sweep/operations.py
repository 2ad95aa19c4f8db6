"""What the operations of expression graphs do to arrays `(width, points)`, in numpy or in any namespace of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.sweep.nodes import UFUNCS


def apply(op: str, values: list[Any], param: Any, width: int, *, xp: Any = np) -> Any:
    """The result of one operation; arguments of width 1 broadcast.

    Not elementwise are `sum`, `max`, `min` over rows, `dot` (sum weighted by `param`), `concat` (`param`: widths), `matrix` (`param`: rows
    times others), `rows` (`param`: slice or places), `lookup` (`param`: table, one row or one a row of the index), `search` (`param`:
    sorted keys, side) and `interpolate` (`param`: places, values).
    """
    if op in UFUNCS:
        return _elementwise(xp, op)(*values)
    return OTHERS[op](xp, values, param, width)


def _elementwise(xp: Any, op: str) -> Any:
    return getattr(xp, op, None) or getattr(xp, {"power": "pow", "absolute": "abs", "rint": "round"}.get(op, op))


def _where(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return xp.where(*values)


def _float(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return values[0] * 1.0


def _sum(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return xp.sum(values[0], 0)[None]


def _max(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return (xp.max if xp is not _torch() else xp.amax)(values[0], 0)[None]


def _min(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return (xp.min if xp is not _torch() else xp.amin)(values[0], 0)[None]


def _torch() -> Any:
    import sys

    return sys.modules.get("torch")


def _dot(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    weights = _like(xp, param.reshape(-1, *[1] * (values[0].ndim - 1)), values[0])
    return xp.sum(values[0] * weights, 0)[None]


def _matrix(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    flat = values[0].reshape(len(param), -1)
    return (_like(xp, np.ascontiguousarray(param.T), flat) @ flat).reshape(width, *values[0].shape[1:])


def _concat(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    points = np.broadcast_shapes(*(v.shape[1:] for v in values))
    parts = [xp.broadcast_to(v, (w, *points)) for v, w in zip(values, param, strict=True)]
    return (xp.concatenate if hasattr(xp, "concatenate") else xp.concat)(parts, 0)


def _rows(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    return values[0][param]


def _like(xp: Any, array: np.ndarray, value: Any) -> Any:
    """A numpy constant as an array of the namespace, where `value` lives."""
    if xp is _torch():
        return xp.as_tensor(array, device=value.device)
    return xp.asarray(array)


def _lookup(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    table = _like(xp, param, values[0])
    index = _whole(xp, values[0], param.shape[1])
    if len(param) == 1:
        return table[0][index]
    return table[xp.arange(len(param)).reshape(-1, *[1] * (index.ndim - 1)), index]


def _whole(xp: Any, value: Any, count: int) -> Any:
    """Indices from 0 to `count - 1`."""
    if xp is _torch():
        return value.long().clamp(0, count - 1)
    return xp.clip(value, 0, count - 1).astype(np.int64)


def _search(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    keys, side = param
    return xp.searchsorted(_like(xp, keys, values[0]), values[0], side=side) * 1.0


def _interpolate(xp: Any, values: list[Any], param: Any, width: int) -> Any:
    if hasattr(xp, "interp"):
        return xp.interp(values[0], *param)
    x, (places, found) = values[0], (_like(xp, p, values[0]) for p in param)
    at = xp.searchsorted(places, x).clamp(1, len(places) - 1)
    share = ((x - places[at - 1]) / (places[at] - places[at - 1])).clamp(0.0, 1.0)
    return found[at - 1] + share * (found[at] - found[at - 1])


OTHERS: dict[str, Any] = {
    **{"where": _where, "float": _float, "sum": _sum, "max": _max, "min": _min, "dot": _dot, "concat": _concat, "rows": _rows},
    **{"lookup": _lookup, "search": _search, "matrix": _matrix, "interpolate": _interpolate},
}
REDUCES = frozenset(("sum", "max", "min", "dot"))
