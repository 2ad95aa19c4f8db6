"""Initializers: shapes without their bytes, and the numbers of small ones."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.frontends.onnx import stripping
from hwsim.frontends.onnx.stripping import LARGE, SAMPLE
from hwsim.frontends.onnx.values import MOST_KNOWN, Value, checked_shape, element_type, looks_trained

_EXTERNAL = 1


class Stored:
    """The initializers of one model, read from memory or from beside the model file when numbers are needed."""

    def __init__(self, *, directory: Path | None, where: str, file: Path | None = None) -> None:
        self.directory, self.where, self.file = directory, where, file
        self._protos: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray | None] = {}
        self.density: dict[str, float] = {}
        """Share of non-zeros of sparse initializers."""

    def add(self, tensor: Any, *, name: str | None = None) -> Value:
        """Register a TensorProto.

        Raises:
            InputError: an impossible shape or type, or a place outside of the model's directory.
        """
        name = str(name or tensor.name)
        where = f"{self.where}: initializer {name!r}"
        if tensor.data_location == _EXTERNAL:
            self._location(tensor, where=where)
        self._protos[name] = tensor
        return Value(checked_shape(tensor.dims, where=where), element_type(tensor.data_type, where=where), stored=name)

    def add_sparse(self, sparse: Any) -> Value:
        """Register a SparseTensorProto by its dense shape."""
        name = sparse.values.name
        where = f"{self.where}: sparse initializer {name!r}"
        value = Value(checked_shape(sparse.dims, where=where), element_type(sparse.values.data_type, where=where), stored=name)
        entries = sum(checked_shape(sparse.values.dims, where=where))
        self.density[name] = min(1.0, entries / max(1, value.size))
        return value

    def array(self, value: Value) -> np.ndarray | None:
        """The numbers of an initializer in its own layout; None if they are many or not present."""
        name = value.stored
        if name is None or name not in self._protos or value.size > MOST_KNOWN:
            return None
        if name not in self._arrays:
            self._arrays[name] = self._decode(self._protos[name])
        found = self._arrays[name]
        return found if found is not None and found.shape == value.shape else None

    def index_like(self, value: Value) -> bool:
        """Whether the numbers of an initializer may be followed: integers, and floats that are no parameters."""
        return not value.real or not looks_trained(value.stored or "")

    def present(self, name: str) -> bool:
        """Whether the numbers of an initializer can be read."""
        tensor = self._protos.get(name)
        if tensor is None or tensor.data_type == 8:
            return False
        return tensor.data_location != _EXTERNAL or self._location(tensor, where=self.where)[0].is_file()

    def full(self, name: str) -> np.ndarray:
        """All numbers of an initializer, however many; from the file where they were left there.

        Raises:
            InputError: they do not fit the shape, or the file is gone.
        """
        tensor = self._protos[name]
        if tensor.data_location == _EXTERNAL:
            found = self._external(tensor, where=f"{self.where}: tensor {name!r}", most=1 << 40)
        elif self.file is not None and stripping.is_sample(tensor):
            found = self._decode(stripping.tensor_in(self.file, tensor.name))
        else:
            found = self._decode(tensor)
        if found is None:
            raise InputError(f"{self.where}: the numbers of {name!r} are gone; expected the files that the model was loaded from")
        return found

    def alias(self, name: str, other: str) -> str:
        """Another name of an initializer; returns it."""
        self._protos.setdefault(other, self._protos[name])
        return other

    def uniform(self, name: str, *, most: int = 1 << 40) -> bool:
        """Whether all numbers of an initializer in the file are equal, as in a network that is not trained yet; False above `most`."""
        tensor = self._protos.get(name)
        if tensor is None or not tensor.dims or 0 in tensor.dims:
            return False
        name_of = {1: "<f4", 10: "<f2", 11: "<f8"}.get(tensor.data_type)
        if name_of is None or math.prod(tensor.dims) > most:
            return False
        raw, expected = tensor.raw_data, math.prod(tensor.dims) * int(name_of[-1])
        if len(raw) != expected and not (len(raw) == 3 * 16 * SAMPLE and expected > LARGE):
            return False
        numbers = np.frombuffer(raw, dtype=name_of)
        return bool((numbers[:16] == numbers[0]).all() and (numbers == numbers[0]).all())

    def _decode(self, tensor: Any) -> np.ndarray | None:
        from onnx import numpy_helper

        where = f"{self.where}: tensor {tensor.name!r}"
        if tensor.data_location == _EXTERNAL:
            return self._external(tensor, where=where)
        if tensor.data_type == 8:
            return None
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except Exception as error:
            raise InputError(
                f"{where}: its data does not fit its shape {list(tensor.dims)} ({str(error)[:80]}). Is the file damaged?"
            ) from None

    def _external(self, tensor: Any, *, where: str, most: int = 16 * MOST_KNOWN) -> np.ndarray | None:
        from onnx import TensorProto

        path, entries = self._location(tensor, where=where)
        copy = TensorProto()
        copy.CopyFrom(tensor)
        copy.ClearField("external_data")
        copy.data_location = TensorProto.DEFAULT
        try:
            with path.open("rb") as file:
                file.seek(int(entries.get("offset", 0)))
                length = int(entries.get("length", most))
                copy.raw_data = file.read(min(length, most))
        except OSError:
            return None
        except (ValueError, OverflowError):
            raise InputError(f"{where}: offset or length of its external data is no number") from None
        return self._decode(copy)

    def _location(self, tensor: Any, *, where: str) -> tuple[Path, dict[str, str]]:
        """Path of external data, inside of the model's directory."""
        entries = {e.key: e.value for e in tensor.external_data}
        place = entries.get("location", "")
        parts = {*PurePosixPath(place).parts, *PureWindowsPath(place).parts}
        absolute = PurePosixPath(place).is_absolute() or PureWindowsPath(place).drive or place.startswith("\\")
        inside = self.directory is not None and not absolute and ".." not in parts and "\0" not in place
        if not place or (self.directory is not None and not (inside and self._resolves_inside(place))):
            raise InputError(
                f"{where}: its data is said to lie at {place!r}; expected a file in the directory of the model. "
                "hwsim reads nothing outside of it"
            )
        return (self.directory or Path()) / place, entries

    def _resolves_inside(self, place: str) -> bool:
        assert self.directory is not None
        try:
            return (self.directory / place).resolve().is_relative_to(self.directory.resolve())
        except (OSError, ValueError, RuntimeError):
            return False
