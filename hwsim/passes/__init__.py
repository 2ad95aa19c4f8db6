"""Graph -> Graph passes: frozen dataclasses whose fields are their options."""

from __future__ import annotations

from typing import Protocol

from hwsim.graph import Graph


class Pass(Protocol):
    """A pass is called with a graph and returns another one."""

    def __call__(self, graph: Graph, /) -> Graph: ...
