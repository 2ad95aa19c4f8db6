"""Gradient descent on continuous device and mapping quantities, through the cost function itself and torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra
from hwsim.sweep.axes import Interval
from hwsim.sweep.blocks import Block, Preparing
from hwsim.sweep.space import Space


@dataclass(frozen=True)
class Descent:
    """Where a descent went."""

    axes: Mapping[str, float]
    """Values of the best step, SI."""
    value: float
    """Of the objective there."""
    metrics: Mapping[str, float]
    """There, SI."""
    history: np.ndarray
    """Value of the objective at every step, `(steps,)`."""


class Differentiable:
    """Metrics of one program as torch functions of its axes.

    The gradients hold between the steps of `ceil` (waves, tiles, cores): describe devices by rates a unit, and take a grid for counts.

    Args:
        space: with ranges as axes (`1TB/s..8TB/s`), and no axis that changes the program.

    Raises:
        InputError: an axis that is no range, or a cost function that cannot be differentiated.
        MissingExtra: torch is not installed.
    """

    def __init__(self, space: Space) -> None:
        if wrong := [a.name for a in space.axes if a.outer or not isinstance(a.values, Interval)]:
            raise InputError(f"axis {wrong[0]!r}: a descent needs ranges of numbers within one program, such as 1TB/s..8TB/s")
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", "torch") from None
        self.torch, self.space = torch, space
        self.block = _block(space)
        self._outputs: dict[str, Any] | None = None

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Metrics, 0-d tensors each, from the axes, 0-d tensors of float64 in SI."""
        from hwsim.sweep.nodes import reachable

        torch, found = self.torch, {}
        for node in reachable(self.outputs.values()):
            if node.value is not None:
                found[node.number] = torch.as_tensor(node.value.reshape(-1, 1))
            elif node.op == "column":
                found[node.number] = values[node.param].reshape(1, 1)
            else:
                found[node.number] = _smooth(torch, node, [found[a.number] for a in node.args])
        return {name: found[node.number].reshape(()) for name, node in self.outputs.items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """Expressions of the metrics that are numbers."""
        if self._outputs is None:
            from hwsim.sweep.engine import traced
            from hwsim.sweep.trace import NotTraceable

            try:
                found = traced(self.block).outputs
            except NotTraceable as error:
                raise InputError(
                    f"the cost function of the {self.block.target.family} family cannot be differentiated: it needs {error}"
                ) from None
            self._outputs = {name: node for name, node in found.items() if not node.is_test}
        return self._outputs

    def gradient(self, metric: str, at: Mapping[str, float]) -> dict[str, float]:
        """Derivatives of a metric by every axis, at values in SI."""
        values = {n: self.torch.tensor(float(v), dtype=self.torch.float64, requires_grad=True) for n, v in at.items()}
        found = self(values)[metric]
        if found.grad_fn is None:
            return dict.fromkeys(at, 0.0)
        grads = self.torch.autograd.grad(found, list(values.values()), allow_unused=True)
        return {n: 0.0 if g is None else float(g) for n, g in zip(values, grads, strict=True)}


def _smooth(torch: Any, node: Any, values: list[Any]) -> Any:
    """One operation; where its slope is infinite (`0 ** 0.2`, `1 / 0`, `sqrt(0)`, `log(0)`) the value counts as constant, so that a branch
    which `where` leaves out afterwards does not turn the whole gradient into 0 times infinity."""
    from hwsim.sweep.operations import apply

    place = {"divide": 1, "power": 0, "sqrt": 0, "log": 0, "log2": 0, "log10": 0}.get(node.op)
    if place is None:
        return apply(node.op, values, node.param, node.width, xp=torch)
    flat = values[place] == 0 if node.op == "divide" else values[place] <= 0
    inner = [torch.where(flat, torch.ones_like(v), v) if i == place else v for i, v in enumerate(values)]
    steady = apply(node.op, [v.detach() for v in values], node.param, node.width, xp=torch)
    return torch.where(flat, steady, apply(node.op, inner, node.param, node.width, xp=torch))


def _block(space: Space) -> Block:
    from hwsim.sweep.space import Outer

    return Preparing()(Outer(space.base, {}, space, 0))


def descend(
    space: Space,
    objective: Callable[[Mapping[str, Any]], Any] | str,
    *,
    steps: int = 200,
    rate: float = 0.05,
    start: Mapping[str, float] | None = None,
) -> Descent:
    """The least value of an objective over continuous axes, by Adam on their logarithms (or shares of a range from 0), kept inside.

    Args:
        space: as for `Differentiable`; `build.space(..., free=True)` makes it.
        objective: a metric, or a function of axes and metrics (0-d torch tensors by name) to a 0-d tensor: a product, a penalty, a price.
        rate: step as a share of the range.
        start: SI; by default the middle of every range.

    Raises:
        InputError: as `Differentiable`; or an objective that is not a number at the start.
    """
    model = Differentiable(space)
    torch = model.torch
    ranges = {a.name: a.values for a in space.axes if isinstance(a.values, Interval)}
    units = {n: torch.tensor(_unit(r, (start or {}).get(n)), dtype=torch.float64, requires_grad=True) for n, r in ranges.items()}
    optimiser = torch.optim.Adam(list(units.values()), lr=rate)
    goal = (lambda found: found[objective]) if isinstance(objective, str) else objective
    best: tuple[float, dict[str, float], dict[str, float]] | None = None
    history = []
    for _ in range(steps):
        values = {n: _value(torch, ranges[n], u) for n, u in units.items()}
        metrics = model(values)
        found = goal({**metrics, **values})
        history.append(found.item())
        if not np.isfinite(history[-1]):
            raise InputError(
                f"the objective is {history[-1]} at {', '.join(f'{n}={float(v):g}' for n, v in values.items())}; expected a number"
            )
        if best is None or history[-1] < best[0]:
            best = history[-1], {n: v.item() for n, v in values.items()}, {n: v.item() for n, v in metrics.items()}
        optimiser.zero_grad()
        if found.grad_fn is None:
            break
        found.backward()
        optimiser.step()
        with torch.no_grad():
            for unit in units.values():
                unit.clamp_(0.0, 1.0)
    assert best is not None
    return Descent(best[1], best[0], best[2], np.array(history))


def _unit(values: Interval, start: float | None) -> float:
    if start is None:
        return 0.5
    if not values.low <= start <= values.high:
        raise InputError(f"the start {start:g} is outside of {values.low:g} to {values.high:g}")
    if values.low > 0:
        return float(np.log(start / values.low) / np.log(values.high / values.low))
    return (start - values.low) / (values.high - values.low)


def _value(torch: Any, values: Interval, unit: Any) -> Any:
    if values.low > 0:
        return values.low * torch.exp(unit * float(np.log(values.high / values.low)))
    return values.low + unit * (values.high - values.low)
