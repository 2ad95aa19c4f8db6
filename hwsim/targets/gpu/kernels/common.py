"""What every kernel cost function returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim.arrays import Array, namespace


@dataclass(frozen=True)
class KernelTime:
    """Time of kernels in parts, each of shape `(kernels,)` or `(points, kernels)`."""

    compute_s: Array
    """Waves of tiles over the SMs on the unit that the dtype uses."""
    memory_s: Array
    """L2 and DRAM traffic at the achieved bandwidth."""
    overhead_s: Array
    """Launch and fixed cost, not overlapped with the rest."""
    flop: Array
    """Operations executed, padding of tiles included."""
    dram_b: Array
    """Bytes moved to and from DRAM."""

    @property
    def latency_s(self) -> Array:
        """overhead + max(compute, memory)."""
        xp = namespace(self.compute_s, self.memory_s)
        return self.overhead_s + xp.maximum(self.compute_s, self.memory_s)


def l2_miss_b(xp: Any, traffic_b: Array, *, capacity_b: Array) -> Array:
    """Bytes that go to DRAM when `traffic_b` runs again and again through a cache: none up to its size, all from twice its size."""
    return xp.minimum(xp.maximum(2.0 * (traffic_b - capacity_b), 0.0 * traffic_b), traffic_b)
