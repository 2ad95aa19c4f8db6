"""Many design points: axes, spaces of points, and their costs."""

from hwsim.sweep.evaluate import CHUNK_POINTS, Points, evaluate

__all__ = ["CHUNK_POINTS", "Points", "evaluate"]
