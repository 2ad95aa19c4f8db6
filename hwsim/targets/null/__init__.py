"""The null target: one unit of time a MAC and a byte. It lets the whole pipeline run without a hardware model."""

from __future__ import annotations

from hwsim.targets.null.target import NullTarget

TARGET = NullTarget()
