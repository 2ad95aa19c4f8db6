"""Front ends: anything that describes a network -> Graph.

A front end is an object (or module) with the attributes of `Frontend`, registered in the entry-point group
`hwsim.frontends`. The first one whose `accepts` says yes loads the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hwsim.graph import Graph


class Frontend(Protocol):
    """What hwsim asks of a front end."""

    name: str

    def accepts(self, source: Any) -> bool:
        """Whether this front end reads `source`: a path, a name such as `timm:resnet50`, or a live object. Must be cheap."""
        ...

    def load(
        self,
        source: Any,
        *,
        batch: int | None,
        seq_len: int | None,
        dims: Mapping[str, int],
        allow_unsupported: bool,
        **options: Any,
    ) -> Graph:
        """Build the graph.

        Raises:
            InputError: the source cannot be read.
            UnsupportedOp: operators without a rule, unless `allow_unsupported`.
        """
        ...
