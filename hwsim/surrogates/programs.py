"""A program as learned methods see it: rows of features and closed-form costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.cost import Program
from hwsim.errors import InputError
from hwsim.surrogates.edges import row_edges
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import values_of


def metrics_of(target: Any) -> tuple[str, ...]:
    """What surrogates of a family predict.

    Raises:
        InputError: the family offers no features to surrogates.
    """
    if not hasattr(target, "row_features"):
        raise InputError(f"the family {target.family!r} offers no features to surrogates")
    return tuple(getattr(target, "surrogate_metrics", ("latency_s",)))


def of_program(target: Any, program: Program, *, device: Any, mapping: Any, metrics: Sequence[str] = ()) -> Graphs:
    """One program as graphs with one network, not measured; columns of points in device or mapping make a network each.

    Args:
        target: the family; offers `row_features`, and `row_costs` with `surrogate_metrics` and `surrogate_readout` or times of GPU kernels.
        metrics: those that are kept, by default all of the family.

    Raises:
        InputError: the family offers no features to surrogates.
    """
    offered = metrics_of(target)
    given: dict[str, Any] = {"device": device, "mapping": mapping}
    features = np.asarray(target.row_features(program, **given), dtype=np.float32)
    cost, floor, least, rest = _costs(target, program, device, mapping)
    shape = np.broadcast_shapes(features.shape[:-1], cost.shape[:-1])
    points, rows = int(np.prod(shape[:-1], dtype=int)), shape[-1]
    at = [offered.index(name) for name in metrics or offered]
    readout = getattr(target, "surrogate_readout", ("sum",))
    features, cost, floor = (np.broadcast_to(a, (*shape, a.shape[-1])).reshape(points * rows, -1) for a in (features, cost, floor))
    least, rest = (np.broadcast_to(a, (*shape[:-1], a.shape[-1])).reshape(points, -1)[:, at] for a in (least, rest))
    edges = row_edges(program)
    return Graphs(
        features=features,
        cost=cost[:, at],
        floor=floor[:, at],
        start=np.arange(points + 1) * rows,
        edges=(edges[:, None, :] + (np.arange(points) * rows)[:, None]).reshape(2, -1),
        rest=rest,
        least=least,
        measured=np.full((points, len(at)), np.nan),
        feature_names=tuple(target.feature_names),
        metrics=tuple(offered[i] for i in at),
        readout=tuple(readout[i] for i in at),
    )


def _costs(target: Any, program: Program, device: Any, mapping: Any) -> tuple[np.ndarray, ...]:
    """(closed forms of the rows, their floors, least of the network, what it takes beside its rows), metrics along the last axis."""
    if not hasattr(target, "row_costs"):
        return _kernels(program, device, mapping)
    cost = np.asarray(target.row_costs(program, device=device, mapping=mapping), dtype=float)
    if hasattr(target, "beside_rows"):
        beside = np.asarray(target.beside_rows(program, device=device, mapping=mapping))
        return cost, np.zeros_like(cost), np.zeros_like(beside), beside
    whole = target.cost(program, device=device, mapping=mapping)
    totals = np.stack(np.broadcast_arrays(*(values_of(whole, name) for name in target.surrogate_metrics)), axis=-1)
    reads = [np.max if how == "max" else np.sum for how in target.surrogate_readout]
    made = np.stack([read(cost[..., i], axis=-1) for i, read in enumerate(reads)], axis=-1)
    rest = totals - made
    rest = np.where(np.abs(rest) > 1e-9 * np.abs(cost).max(initial=1.0), rest, 0.0)
    return cost, np.zeros_like(cost), np.zeros_like(rest), rest


def _kernels(program: Program, device: Any, mapping: Any) -> tuple[np.ndarray, ...]:
    """The same of GPU kernels: each alone, and the host that launches them."""
    from hwsim.targets.gpu.constants import gpu_constants
    from hwsim.targets.gpu.cost import arithmetic, host_s, kernel_time

    constants, tables = gpu_constants(), program.tables
    times = [kernel_time(t, device=device, constants=constants) for t in tables]
    cost = _joined([np.asarray(time.latency_s) * t.count for t, time in zip(tables, times, strict=True)])
    peak = [arithmetic(t, time, device=device, constants=constants)[1] * t.count for t, time in zip(tables, times, strict=True)]
    host = host_s(float(sum(t.count.sum() for t in tables)), mapping, constants.networks)
    return cost[..., None], _joined(peak)[..., None], np.array([host]), np.zeros(1)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of all tables along the last axis."""
    lead = np.broadcast_shapes(*(np.shape(p)[:-1] for p in parts))
    return np.concatenate([np.broadcast_to(p, (*lead, np.shape(p)[-1])) for p in parts], axis=-1)
