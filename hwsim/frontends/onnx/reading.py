"""A file -> ModelProto, with one clear error for everything that is not an ONNX model."""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path
from typing import Any

from hwsim.errors import InputError, MissingExtra
from hwsim.frontends.onnx.stripping import stripped

OPSETS = (13, 22)
"""First and last supported version of the default operator set."""
QUANTIZED_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
"""Domains of QONNX, by its tools of all ages."""
_QUANTIZED_FIRST = 9
"""First operator set of models with QONNX operators: its exporters are slow to follow."""
_MOST_BROKEN = 1 << 26
"""Bytes of a damaged file that are shown to the parser."""
_DOMAINS = ("", "ai.onnx")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_KNOWN = {b"\x89HDF": "an HDF5 file (Keras?)", b"TFL3": "a TensorFlow Lite model", b"GGUF": "a GGUF file", b"\x7fELF": "a program"}
_EXPORT = "export the model in the program it comes from: torch.onnx.export(model, args, 'model.onnx', dynamo=True)"


def read(path: Path) -> Any:
    """The model in `path`, weights outside of the file left where they are.

    Raises:
        InputError: missing, empty, a pickle, truncated, no model, or an operator set that is not supported.
        MissingExtra: the package `onnx` is not installed.
    """
    _refuse_non_files(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            _refuse_others(path, view[:8])
            model = parse(_without_weights(view), where=str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
    check_opset(model, where=str(path))
    return model


def _refuse_non_files(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}; expected an ONNX model") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a directory; expected an ONNX file, such as {str(path / 'model.onnx')!r}")
    if not path.is_file():
        raise InputError(f"{str(path)!r} is no regular file; expected an ONNX model")
    if not size:
        raise InputError(f"{path}: the file is empty; expected an ONNX model")


def _without_weights(view: Any) -> bytes:
    """The file's bytes without large weights; as they are where it does not look like a model, so that the parser says what is wrong."""
    try:
        return stripped(view)
    except ValueError:
        return bytes(view[:_MOST_BROKEN])


def _refuse_others(path: Path, data: bytes) -> None:
    if data[:2] in _PICKLES or data[:2] == b"PK":
        raise InputError(f"{path}: {_pickled(path, data)}; hwsim never unpickles, because that runs code from the file. Instead, {_EXPORT}")
    for magic, what in _KNOWN.items():
        if data[:4] == magic or data[4:8] == magic:
            raise InputError(f"{path}: this is {what}, not an ONNX model")


def _pickled(path: Path, data: bytes) -> str:
    if data[:2] != b"PK":
        return "this is a Python pickle (an old PyTorch checkpoint?), not an ONNX model"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = []
    if any(name.endswith("data.pkl") for name in names):
        return "this is a PyTorch checkpoint (a zip file with a pickle inside), not an ONNX model"
    return "this is a zip file, not an ONNX model"


def parse(data: bytes, *, where: str) -> Any:
    """The ModelProto in `data`.

    Raises:
        InputError: it is none.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto
    except ImportError:
        raise MissingExtra("onnx", "onnx") from None
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{where}: not an ONNX model, or a truncated one ({len(data):,} bytes, {str(error)[:80] or type(error).__name__}). "
            "Copy or export it again"
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise InputError(f"{where}: {len(data):,} bytes without a graph in them; not an ONNX model")
    return model


def check_opset(model: Any, *, where: str) -> int:
    """Version of the default operator set.

    Raises:
        InputError: missing or not supported.
    """
    found = [o.version for o in model.opset_import if o.domain in _DOMAINS]
    if len(found) != 1:
        raise InputError(
            f"{where}: {len(found)} versions of the default operator set are given; expected exactly one. Is this an ONNX model?"
        )
    first = _QUANTIZED_FIRST if any(o.domain in QUANTIZED_DOMAINS for o in model.opset_import) else OPSETS[0]
    if not first <= found[0] <= OPSETS[1]:
        raise InputError(
            f"{where}: operator set {found[0]}; supported are {first} to {OPSETS[1]}. Export with opset_version=18, "
            f"or convert: onnx.version_converter.convert_version(model, 18)"
        )
    return found[0]
