"""A model's bytes without those of its large weights, so that a gigabyte of weights is neither read nor copied.

Works on the wire format (protobuf.dev, 'Encoding') of ModelProto.graph (7) . initializer (5) . raw_data (9) and the other data fields.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hwsim.errors import InputError

LARGE = 1 << 20
"""Bytes of a tensor from which on its data is left out."""
SAMPLE = 16
"""Groups of bytes kept from the start, the middle and the end of left-out data: enough to see whether all numbers are equal."""
_GRAPH, _INITIALIZER, _RAW, _NAME = 7, 5, 9, 8
_WIDTHS = {2: 1, 3: 1, 4: 2, 5: 2, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
"""Bytes an element by element type, where they are not 4."""
_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
_BYTES = 2


def stripped(view: Any) -> bytes:
    """The model in `view` (anything that slices to bytes) without the data of large initializers.

    Raises:
        ValueError: not the wire format.
    """
    parts: list[bytes] = []
    for number, kind, start, body, end in _fields(view, 0, len(view)):
        if number == _GRAPH and kind == _BYTES:
            parts += _message(number, _graph(view, body, end))
        else:
            parts.append(bytes(view[start:end]))
    return b"".join(parts)


def _graph(view: Any, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    kept = start
    for number, kind, first, body, last in _fields(view, start, end):
        if number == _INITIALIZER and kind == _BYTES and last - body > LARGE:
            parts += [bytes(view[kept:first]), *_message(number, _tensor(view, body, last))]
            kept = last
    return b"".join([*parts, bytes(view[kept:end])])


def _tensor(view: Any, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    for number, kind, first, body, last in _fields(view, start, end):
        if number == _RAW and kind == _BYTES and last - body > LARGE:
            parts += _message(number, _samples(view, body, last))
        elif number not in _DATA or last - body <= LARGE:
            parts.append(bytes(view[first:last]))
    return b"".join(parts)


def _samples(view: Any, start: int, end: int) -> bytes:
    middle = start + (end - start) // 2 // 16 * 16
    return b"".join(bytes(view[p : p + SAMPLE * 16]) for p in (start, middle, end - SAMPLE * 16))


def is_sample(tensor: Any) -> bool:
    """Whether a TensorProto of a stripped model has lost its data."""
    size = math.prod(tensor.dims) * _WIDTHS.get(tensor.data_type, 4)
    return size > LARGE and len(tensor.raw_data) in (0, 3 * 16 * SAMPLE)


def tensor_in(file: Path, name: str) -> Any:
    """The initializer of that name as it stands in a model file.

    Raises:
        InputError: the file has none.
    """
    from onnx import TensorProto

    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            for start, end in _tensors(view):
                for number, _, _, body, last in _fields(view, start, end):
                    if number == _NAME and view[body:last] == name.encode():
                        return TensorProto.FromString(view[start:end])
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(file)!r} again: {error}") from None
    raise InputError(f"{file}: no tensor {name!r}; did the file change after it was loaded?")


def _tensors(view: Any) -> Iterator[tuple[int, int]]:
    for number, kind, _, body, end in _fields(view, 0, len(view)):
        if number == _GRAPH and kind == _BYTES:
            for inner, sort, _, first, last in _fields(view, body, end):
                if inner == _INITIALIZER and sort == _BYTES:
                    yield first, last


def _message(number: int, data: bytes) -> list[bytes]:
    return [_varint(number << 3 | _BYTES), _varint(len(data)), data]


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _fields(view: Any, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Number, wire type, and places of tag, body and end of every field."""
    place = start
    while place < end:
        tag, body = _read_varint(view, place, end)
        kind = tag & 7
        if kind == 0:
            last = _read_varint(view, body, end)[1]
        elif kind == _BYTES:
            length, body = _read_varint(view, body, end)
            last = body + length
        else:
            last = body + {1: 8, 5: 4}.get(kind, end)
        if last > end:
            raise ValueError("a field reaches beyond its message")
        yield tag >> 3, kind, place, body, last
        place = last


def _read_varint(view: Any, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("a number without an end")
