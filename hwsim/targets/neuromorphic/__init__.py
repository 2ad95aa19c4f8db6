"""Neuromorphic family: populations of neurons on cores, events, barriers, power that flows anyway."""

from __future__ import annotations

from hwsim.targets.neuromorphic.target import NeuroTarget

TARGET = NeuroTarget()
