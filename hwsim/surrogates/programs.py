"""A program as learned methods see it: rows of features and closed-form costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.cost import Program
from hwsim.errors import InputError
from hwsim.surrogates.edges import row_edges
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import value_of


def metrics_of(target: Any) -> tuple[str, ...]:
    """What surrogates of a family predict.

    Raises:
        InputError: the family offers no features to surrogates.
    """
    if not hasattr(target, "row_features"):
        raise InputError(f"the family {target.family!r} offers no features to surrogates")
    return tuple(getattr(target, "surrogate_metrics", ("latency_s",)))


def of_program(target: Any, program: Program, *, device: Any, mapping: Any, metrics: Sequence[str] = ()) -> Graphs:
    """One program as graphs with one network, not measured.

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
    at = [offered.index(name) for name in metrics or offered]
    readout = getattr(target, "surrogate_readout", ("sum",))
    return Graphs(
        features=features,
        cost=cost[:, at],
        floor=floor[:, at],
        start=np.array([0, len(features)]),
        edges=row_edges(program),
        rest=rest[:, at],
        least=least[:, at],
        measured=np.full((1, len(at)), np.nan),
        feature_names=tuple(target.feature_names),
        metrics=tuple(offered[i] for i in at),
        readout=tuple(readout[i] for i in at),
    )


def _costs(target: Any, program: Program, device: Any, mapping: Any) -> tuple[np.ndarray, ...]:
    """(closed forms of the rows, their floors, least of the network, what it takes beside its rows)."""
    if not hasattr(target, "row_costs"):
        return _kernels(program, device, mapping)
    cost = np.asarray(target.row_costs(program, device=device, mapping=mapping), dtype=float)
    whole = target.cost(program, device=device, mapping=mapping)
    reads = [np.max if how == "max" else np.sum for how in target.surrogate_readout]
    columns = zip(target.surrogate_metrics, reads, cost.T, strict=True)
    rest = np.array([[value_of(whole, name) - float(read(column)) for name, read, column in columns]])
    return cost, np.zeros_like(cost), np.zeros_like(rest), np.where(np.abs(rest) > 1e-9 * np.abs(cost).max(initial=1.0), rest, 0.0)


def _kernels(program: Program, device: Any, mapping: Any) -> tuple[np.ndarray, ...]:
    """The same of GPU kernels: each alone, and the host that launches them."""
    from hwsim.targets.gpu.constants import gpu_constants
    from hwsim.targets.gpu.cost import arithmetic, host_s, kernel_time

    constants, tables = gpu_constants(), program.tables
    times = [kernel_time(t, device=device, constants=constants) for t in tables]
    cost = np.concatenate([time.latency_s * t.count for t, time in zip(tables, times, strict=True)])
    peak = [arithmetic(t, time, device=device, constants=constants)[1] * t.count for t, time in zip(tables, times, strict=True)]
    host = host_s(float(sum(t.count.sum() for t in tables)), mapping, constants.networks)
    return cost[:, None], np.concatenate(peak)[:, None], np.array([[host]]), np.zeros((1, 1))
