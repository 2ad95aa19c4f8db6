"""The GPU family."""

from __future__ import annotations

from hwsim.targets.gpu.target import GpuTarget

TARGET = GpuTarget()
