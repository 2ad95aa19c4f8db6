"""Methods that answer with a cost: the closed form, and learned ones beside it.

A method is registered in the entry-point group `hwsim.surrogates` and named by `--method`.
"""

from __future__ import annotations

from typing import Any, Protocol

from hwsim.cost import Cost, Program


class Surrogate(Protocol):
    """What hwsim asks of a method: the signature of a target's cost function."""

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        """Cost of the program on the device under the mapping."""
        ...
