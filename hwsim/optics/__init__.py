"""Physical simulation of a free-space optical 4f bench, and a model of its error."""

from __future__ import annotations

from hwsim.optics.bench import Bench
from hwsim.optics.measures import effective_bits, relative_rms, snr_db
from hwsim.optics.simulation import convolve, ideal, program

__all__ = ["Bench", "convolve", "effective_bits", "ideal", "program", "relative_rms", "snr_db"]
