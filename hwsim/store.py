"""Graphs as files: MessagePack, data only, so that reading one runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hwsim.dtypes import dtype
from hwsim.errors import InputError
from hwsim.graph import Graph, Node, Tensor

VERSION = 1
SUFFIX = ".hwsim"


class _Stored(msgspec.Struct, array_like=True):
    version: int
    name: str
    nodes: list[tuple[str, str, list[str], list[str], dict[str, Any], str]]
    tensors: list[tuple[str, list[int], str, str, float]]
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, Any]


def dumps(graph: Graph) -> bytes:
    """The graph as bytes."""
    nodes = [(n.name, n.kind, list(n.inputs), list(n.outputs), dict(n.attrs), n.path) for n in graph.nodes]
    tensors = [(t.name, list(t.shape), t.dtype.name, t.role, t.density) for t in graph.tensors.values()]
    return msgspec.msgpack.encode(_Stored(VERSION, graph.name, nodes, tensors, list(graph.inputs), list(graph.outputs), dict(graph.attrs)))


def loads(data: bytes) -> Graph:
    """The graph that `dumps` wrote, verified.

    Raises:
        InputError: not such a file, or of another version.
    """
    try:
        stored = msgspec.msgpack.decode(data, type=_Stored)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"not a stored graph ({error}); expected what hwsim.store.save wrote") from None
    if stored.version != VERSION:
        raise InputError(f"stored graph of version {stored.version}; expected {VERSION}: build it again from its source")
    nodes = tuple(Node(n, k, tuple(i), tuple(o), _tuples(a), p) for n, k, i, o, a, p in stored.nodes)
    tensors = {n: Tensor(n, tuple(s), dtype(d), r, density) for n, s, d, r, density in stored.tensors}  # pyright: ignore[reportArgumentType]
    return Graph(stored.name, nodes, tensors, tuple(stored.inputs), tuple(stored.outputs), _tuples(stored.attrs))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def save(graph: Graph, path: Path) -> None:
    """Write the graph to `path`, all of it or nothing."""
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_bytes(dumps(graph))
    part.replace(path)


def read(path: Path) -> Graph:
    """The graph in the file `path`.

    Raises:
        InputError: the file is missing or no stored graph.
    """
    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from None
