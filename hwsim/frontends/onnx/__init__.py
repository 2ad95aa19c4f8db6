"""ONNX files -> Graph. The package `onnx` is imported only when a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import UnknownName
from hwsim.graph import Graph


class OnnxFrontend:
    """Reads operator sets 13 to 22; weights may be missing, only their shapes are needed."""

    name = "onnx"

    def accepts(self, source: Any) -> bool:
        """A path that ends in .onnx, or a ModelProto."""
        if isinstance(source, str | Path):
            return str(source).lower().endswith(".onnx")
        return type(source).__name__ == "ModelProto"

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
        """The graph of an ONNX model.

        Args:
            source: path of a file, or an `onnx.ModelProto`.
            batch: value of the symbolic dimension called batch (batch_size, N ...), else of the first one.
            seq_len: value of the symbolic dimension called sequence (seq_len, sequence_length ...).
            dims: values of symbolic dimensions by name.
            allow_unsupported: leave operators without a rule out.

        Raises:
            InputError: no ONNX model, a damaged one, symbolic dimensions without a value.
            UnsupportedOp: operators without a rule.
        """
        for option in options:
            raise UnknownName("option of the ONNX front end", option, ("batch", "seq_len", "dims", "allow_unsupported"))
        from hwsim.frontends.onnx.load import load

        return load(source, batch=batch, seq_len=seq_len, dims=dict(dims or {}), allow_unsupported=allow_unsupported)


FRONTEND = OnnxFrontend()
