"""The NIR front end: `.nir` files and `nir.NIRGraph` objects -> Graph, one timestep of the network.

A NIR graph may have cycles; ours has none: a connection that closes one reads the spikes of the timestep before (operator `previous`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph

SUFFIXES = (".nir",)
OPTIONS = ("timesteps", "input_shape")


class NirFrontend:
    """Reads the Neuromorphic Intermediate Representation (`nir` 1.0; older files, too)."""

    name = "nir"

    def accepts(self, source: Any) -> bool:
        """By the ending `.nir`, or by the class of a live object."""
        if isinstance(source, str | PurePath):
            return PurePath(source).suffix.lower() in SUFFIXES
        return any(c.__name__ == "NIRNode" and c.__module__.startswith("nir.") for c in type(source).__mro__)

    def load(
        self,
        source: Any,
        *,
        batch: int | None = None,
        seq_len: int | None = None,
        dims: Mapping[str, int] | None = None,
        allow_unsupported: bool = False,
        **options: Any,
    ) -> Graph:
        """The graph of a network; nodes have the names of the file.

        Args:
            source: path of a `.nir` file, or a `nir.NIRGraph`.
            batch: samples; default 1.
            seq_len: refused; the number of timesteps is the option `timesteps`.
            dims: sizes by `input.axis` (`{"input.1": 34}`), where the file leaves the shape of an input open.
            allow_unsupported: leave nodes without a rule out, where their shape is known.
            options: `timesteps` of an inference, which a file does not say; `input_shape`, of the only input, without the batch.

        Raises:
            InputError: no NIR file, a damaged one, or one that leaves shapes open.
            UnsupportedOp: nodes without a rule.
            MissingExtra: a file, and nir is not installed.
        """
        for option in options:
            if option not in OPTIONS:
                raise UnknownName("option of the NIR front end", option, ("batch", "dims", "allow_unsupported", *OPTIONS))
        if seq_len is not None:
            raise InputError(f"seq_len={seq_len}: a NIR file has no sequence; give the number of timesteps as timesteps={seq_len}")
        from hwsim.frontends.nir.load import load

        return load(source, batch=batch or 1, dims=dict(dims or {}), allow_unsupported=allow_unsupported, **options)


FRONTEND = NirFrontend()
"""What the entry point names."""
