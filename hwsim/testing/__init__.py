"""Conformance cases for targets, front ends and surrogates, to be subclassed by whoever writes one.

>>> from hwsim.testing import TargetCase
>>> class TestMyChip(TargetCase):
...     from hwsim.targets.null import TARGET as target
"""

from __future__ import annotations

from hwsim.testing.frontend import FrontendCase
from hwsim.testing.surrogate import SurrogateCase
from hwsim.testing.target import TargetCase

__all__ = ["FrontendCase", "SurrogateCase", "TargetCase"]
