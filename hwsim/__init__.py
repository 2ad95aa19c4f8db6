"""hwsim: what will this network cost on that hardware?

>>> import hwsim
>>> hwsim.estimate("resnet50", "a100-sxm-80gb", batch=8).fits
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.api import compare, estimate, find, load, workload
from hwsim.errors import HwsimError, UnsupportedOp
from hwsim.estimate import Estimate
from hwsim.graph import Graph, GraphBuilder, Node, Tensor

if TYPE_CHECKING:
    from hwsim.api import search, sweep
else:
    from hwsim import search, sweep  # the packages, which may be called

__version__ = "0.1.0"
__all__ = [
    "Estimate",
    "Graph",
    "GraphBuilder",
    "HwsimError",
    "Node",
    "Tensor",
    "UnsupportedOp",
    "compare",
    "estimate",
    "find",
    "load",
    "search",
    "sweep",
    "workload",
]
