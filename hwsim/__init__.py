"""hwsim: what will this network cost on that hardware?

>>> import hwsim
>>> hwsim.estimate("resnet50", "a100-sxm-80gb", batch=8).fits
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwsim.api import compare, estimate, find, load, train, workload
from hwsim.errors import HwsimError, UnsupportedOp
from hwsim.estimate import Estimate
from hwsim.graph import Graph, GraphBuilder, Node, Tensor

if TYPE_CHECKING:
    from hwsim.api import search, sweep

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
    "train",
    "workload",
]


def __getattr__(name: str) -> Any:
    """`search` and `sweep`, packages that may be called, are imported when they are asked for."""
    if name in ("search", "sweep"):
        return import_module(f"hwsim.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
