"""NPUs of phones, cars and edge boards: networks compiled ahead into fused operators on a matrix and a vector unit."""

from __future__ import annotations

from hwsim.targets.npu.target import NpuTarget

TARGET = NpuTarget()
