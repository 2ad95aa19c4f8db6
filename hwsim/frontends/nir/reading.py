"""`.nir` files (HDF5) and live objects -> nodes and edges, one node at a time so that an error can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from hwsim.errors import InputError, MissingExtra

_PACKED = 1100
"""Most that compression shrinks data by (DEFLATE: 1,032)."""
FAULTS = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError, MemoryError)
"""What libraries raise on files that somebody damaged; our own errors are none of them."""
REPAIR = "write the network again with nir.write, and check it with nir.read(file, type_check=False)"


@dataclass(frozen=True)
class Unknown:
    """A node of a type that this version of nir does not have."""

    type_name: str


@dataclass(frozen=True)
class Source:
    """A graph of NIR as it stands: nested graphs are Sources among the nodes."""

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]


def read(path: str | PurePath) -> Source:
    """The network in a file, as `nir.read(path, type_check=False)` sees it.

    Raises:
        InputError: no such file, no HDF5, a truncated file, or a node that lacks a field or has a wrong one.
        MissingExtra: nir is not installed.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file:
                held = ", ".join(str(name) for name in file) or "nothing"
                raise InputError(f"{path}: an HDF5 file with {held} in it, but no `node`; expected a NIR graph: {REPAIR}")
            found = _plain(file["node"], most_b=_PACKED * Path(path).stat().st_size)
    except FileNotFoundError:
        raise InputError(f"cannot read {str(path)!r}: there is no such file") from None
    except FAULTS as error:
        raise InputError(f"{path}: no readable HDF5 file, or a truncated one ({_first(error)}); {REPAIR}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: `node` is no group; expected a NIR graph: {REPAIR}")
    return _graph(found, str(path), "")


def _h5py() -> Any:
    try:
        import h5py
        import nir  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "nir", "nir") from error
    return h5py


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _plain(item: Any, *, most_b: int) -> Any:
    """Groups as mappings, data sets as arrays, numbers and text.

    Raises:
        OSError: a data set that says it is larger than the file can hold; HDF5 would fill it for hours.
    """
    if hasattr(item, "keys"):
        return {str(key): _plain(value, most_b=most_b) for key, value in item.items()}
    if item.nbytes > most_b:
        raise OSError(f"the data set {item.name} claims {item.nbytes} bytes")
    value = item[()]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _graph(found: Mapping[str, Any], where: str, prefix: str) -> Source:
    kind = found.get("type")
    if not isinstance(kind, str) or kind != "NIRGraph":
        raise InputError(
            f"{where}: {prefix or 'the top'} is {kind if isinstance(kind, str) else type(kind).__name__!r}; expected a NIRGraph: {REPAIR}"
        )
    for part in ("nodes", "edges"):
        if part not in found:
            raise InputError(f"{where}: the graph {prefix or 'at the top'} has no `{part}`; {REPAIR}")
    if not isinstance(found["nodes"], Mapping):
        raise InputError(f"{where}: the nodes of the graph {prefix or 'at the top'} are no group; {REPAIR}")
    nodes = {name: _node(data, where, f"{prefix}{name}") for name, data in found["nodes"].items()}
    return Source(nodes, _edges(found["edges"], where))


def _edges(found: Any, where: str) -> tuple[tuple[str, str], ...]:
    def text(end: Any) -> str:
        return end.decode("utf-8") if isinstance(end, bytes) else str(end)

    try:
        return tuple((text(a), text(b)) for a, b in found)
    except (TypeError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: the edges are no pairs of names ({_first(error)}); {REPAIR}") from None


def _node(data: Any, where: str, path: str) -> Any:
    import nir

    kind = data.get("type") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(kind, str):
        raise InputError(f"{where}, node {path!r}: it has no `type`; {REPAIR}")
    if kind == "NIRGraph":
        return _graph(data, where, f"{path}.")
    try:
        made = nir.ir.str2NIRNode(kind)
    except FAULTS:
        return Unknown(kind)
    fields = {"input_shape": None, **data} if kind.startswith("Conv") else dict(data)
    try:
        return made.from_dict(fields)
    except FAULTS as error:
        raise InputError(f"{where}, node {path!r} ({kind}): {_complaint(error)}; {REPAIR}") from error


def _complaint(error: Exception) -> str:
    """What nir says, in our words where it is about fields."""
    text = _first(error)
    if isinstance(error, KeyError):
        return f"the field {text} is missing"
    _, found, names = text.partition("required positional argument")
    if found:
        return f"the field{names.removeprefix('s')} is missing".replace("field:", "field")
    _, found, name = text.partition("unexpected keyword argument ")
    return f"the field {name} is unknown" if found else text


def of_object(graph: Any) -> Source:
    """The nodes of a live `nir.NIRGraph`; a single node counts as a graph of one.

    Raises:
        InputError: edges that are no pairs.
    """
    if not hasattr(graph, "nodes"):
        return Source({type(graph).__name__.lower(): graph}, ())
    nodes = {str(name): of_object(node) if hasattr(node, "nodes") else node for name, node in graph.nodes.items()}
    return Source(nodes, _edges(graph.edges, type(graph).__name__))
