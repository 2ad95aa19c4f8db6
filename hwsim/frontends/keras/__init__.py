"""The Keras front end: `.keras`, `.h5`, architecture JSON and live models -> Graph, without importing Keras.

Files are read as data only: nothing in them is deserialised into code, so Lambda layers and classes of one's own are refused.
QKeras layers keep their number formats. h5py is needed for `.h5` files and for the weights of `.keras` files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from hwsim.errors import UnknownName
from hwsim.graph import Graph

SUFFIXES = (".keras", ".h5", ".hdf5")
_HOMES = ("keras.", "tf_keras.", "tensorflow.python.keras.", "tensorflow.keras.")
_HEAD = 1 << 16


class KerasFrontend:
    """Reads Sequential and functional models of Keras 2 and 3, and of QKeras."""

    name = "keras"

    def accepts(self, source: Any) -> bool:
        """By the ending, by `"class_name"` at the top of a JSON file or mapping, or by the class of a live model."""
        if isinstance(source, Mapping):
            return "class_name" in source and "config" in source
        if isinstance(source, str | PurePath):
            suffix = PurePath(source).suffix.lower()
            return suffix in SUFFIXES or (suffix == ".json" and _looks_like_keras(Path(source)))
        return is_live(source)

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
        """The graph of a model; images are (batch, channels, ...) in it, nodes have the names of the layers.

        Args:
            source: path of a `.keras`, `.h5` or `.json` file, a live model, or the mapping that stands in a JSON file.
            batch: samples; default 1.
            seq_len: the first free size of an input after the batch.
            dims: free sizes by `input.axis` (`{"tokens.1": 32}`).
            allow_unsupported: leave layers without a rule out, where their output shape is known.
            options: `weights`, a `.h5` file with the weights of an architecture in JSON.

        Raises:
            InputError: no Keras model, a damaged one, or sizes that are free.
            UnsupportedOp: layers without a rule; Lambda layers and custom classes among them.
            MissingExtra: a `.h5` file, and h5py is not installed.
        """
        for option in options:
            if option != "weights":
                raise UnknownName("option of the Keras front end", option, ("batch", "seq_len", "dims", "allow_unsupported", "weights"))
        from hwsim.frontends.keras.load import load

        return load(
            source,
            batch=batch or 1,
            seq_len=seq_len,
            dims=dict(dims or {}),
            allow_unsupported=allow_unsupported,
            weights=options.get("weights"),
        )


def is_live(source: Any) -> bool:
    """Whether `source` is a model object of Keras, of any version and backend."""
    return any(c.__name__ == "Model" and f"{c.__module__}.".startswith(_HOMES) for c in type(source).__mro__)


def _looks_like_keras(path: Path) -> bool:
    """Whether a JSON file is an architecture; one that is not there is (the message is ours)."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return True
    return b'"class_name"' in head and b'"hls_config"' not in head and b'"config"' in head


FRONTEND = KerasFrontend()
"""What the entry point names."""
