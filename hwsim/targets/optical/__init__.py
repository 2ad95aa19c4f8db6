"""Free-space optical 4f family: convolutions as passes through a Fourier bench, everything else in electronics."""

from __future__ import annotations

from hwsim.targets.optical.target import OpticalTarget

TARGET = OpticalTarget()
