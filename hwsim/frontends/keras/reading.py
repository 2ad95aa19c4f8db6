"""A file, a mapping or a live model -> configuration and weights, with one clear error for everything else."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from hwsim.errors import HwsimError, InputError, MissingExtra
from hwsim.frontends.keras import is_live
from hwsim.frontends.keras.network import Network, network_of
from hwsim.frontends.keras.weights import Weights, archive_names, of_archive, of_h5, of_model

MOST_BYTES = 1 << 26
"""Of an architecture."""
_EXPECTED = "expected a Keras model: a .keras or .h5 file from model.save(...), or the JSON of model.to_json()"


@dataclass(frozen=True)
class Source:
    """What was read."""

    network: Network
    weights: Weights
    where: str


def read(source: Any, *, weights: Any = None) -> Source:
    """The network and the weights of `source`.

    Args:
        weights: a `.h5` file that holds them, where `source` does not.

    Raises:
        InputError: `source` is no Keras model.
        MissingExtra: h5py is needed and not installed.
    """
    extra = None if weights is None else _h5_weights(_file(weights, "weights"))
    if isinstance(source, Mapping):
        where = "Keras model"
        return Source(network_of(source, where=where), extra or Weights(), where)
    if is_live(source):
        return _live(source, extra)
    path = _file(source, "a Keras model")
    found = {".json": _json, ".keras": _archive}.get(path.suffix.lower(), _h5)(path)
    return Source(found.network, extra, found.where) if extra else found


def _file(source: str | PurePath, what: str) -> Path:
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            raise InputError(f"{str(path)!r} is a directory; {_EXPECTED}. A SavedModel folder holds code: export it to ONNX instead")
        if not path.is_file():
            raise InputError(f"no file {str(path)!r}; expected {what}")
        if not path.stat().st_size:
            raise InputError(f"{path}: the file is empty; {_EXPECTED}")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(source)!r}: {error}") from None
    return path


def _live(model: Any, extra: Weights | None) -> Source:
    where = f"{type(model).__name__} {model.name!r}"
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, ValueError, TypeError) as error:
        raise InputError(
            f"{where}: it cannot say what it computes ({str(error)[:120]}); expected a Sequential or functional model"
        ) from None
    return Source(network_of(config, where=where), extra or of_model(model), where)


def _json(path: Path) -> Source:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: {path.stat().st_size:,} bytes; an architecture has at most {MOST_BYTES:,}")
    return Source(network_of(_parsed(path.read_bytes(), str(path)), where=str(path)), Weights(), str(path))


def _parsed(data: str | bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({str(error)[:100]}); {_EXPECTED}") from None


def _archive(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise InputError(f"{path}: a zip file without config.json; {_EXPECTED}")
            if archive.getinfo("config.json").file_size > MOST_BYTES:
                raise InputError(f"{path}: its config.json has more than {MOST_BYTES:,} bytes. Is the file damaged?")
            config = archive.read("config.json")
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        if _is_h5(path):
            return _h5(path)
        raise InputError(f"{path}: not a .keras file, or a truncated one ({error}); {_EXPECTED}") from None
    network = network_of(_parsed(config, f"{path}: config.json"), where=str(path))
    return Source(network, _archive_weights(path, network), str(path))


def _archive_weights(path: Path, network: Network) -> Weights:
    """The weights of a `.keras` file; none where h5py is not installed, because the architecture is enough for most."""
    try:
        return of_archive(path, archive_names(network))
    except ImportError:
        return Weights()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: its weights cannot be read ({str(error)[:100]}). Is the file truncated? Copy or save it again") from None


def _is_h5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _h5(path: Path) -> Source:
    if zipfile.is_zipfile(path) and not _is_h5(path):
        return _archive(path)
    config = _h5_config(path)
    if config is None:
        raise InputError(
            f"{path}: weights without an architecture (no attribute model_config); expected a file from model.save(...). "
            "Or load the JSON of model.to_json() with weights= this file"
        )
    return Source(network_of(_parsed(config, f"{path}: model_config"), where=str(path)), _h5_weights(path), str(path))


def _h5_config(path: Path) -> str | bytes | None:
    if not _is_h5(path):
        raise InputError(f"{path}: not an HDF5 file; {_EXPECTED}")
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "keras") from None
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path}: a damaged or truncated HDF5 file ({str(error)[:100]}); {_EXPECTED}") from None
    return config if config is None or isinstance(config, str | bytes) else str(config)


def _h5_weights(path: Path) -> Weights:
    try:
        return of_h5(path)
    except HwsimError:
        raise
    except ImportError:
        raise MissingExtra("h5py", "keras") from None
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path}: its weights cannot be read ({str(error)[:100]}). Is the file truncated?") from None
