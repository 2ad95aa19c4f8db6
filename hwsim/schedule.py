"""Order and liveness: how long tensors must be kept, and what the peak is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def peak_live_b(steps: Sequence[tuple[Iterable[str], Iterable[str]]], sizes_b: dict[str, float], kept: Iterable[str]) -> float:
    """Peak bytes of live tensors when `steps` run in order.

    Args:
        steps: (tensors read, tensors made) of each kernel.
        sizes_b: bytes of every tensor that occupies memory of its own; others are ignored.
        kept: tensors that must live to the end (outputs), and inputs that exist from the start are those read before made.
    """
    last = {name: i for i, (reads, _) in enumerate(steps) for name in reads}
    last.update(dict.fromkeys(kept, len(steps)))
    made = {name for _, makes in steps for name in makes}
    live = sum(sizes_b.get(name, 0.0) for name in last if name not in made)
    peak, freed_after = live, _by_step(last)
    for i, (_, makes) in enumerate(steps):
        live += sum(sizes_b.get(name, 0.0) for name in makes)
        peak = max(peak, live)
        live -= sum(sizes_b.get(name, 0.0) for name in freed_after.get(i, ()))
        live -= sum(sizes_b.get(name, 0.0) for name in makes if name not in last)
    return peak


def _by_step(last: dict[str, int]) -> dict[int, list[str]]:
    result: dict[int, list[str]] = {}
    for name, step in last.items():
        result.setdefault(step, []).append(name)
    return result
