"""One Keras model -> one Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.errors import InputError, UnsupportedOp
from hwsim.frontends.keras.context import Importer, Value, ours
from hwsim.frontends.keras.layout import channels_before_space
from hwsim.frontends.keras.network import Layer, Network
from hwsim.frontends.keras.reading import Source, read
from hwsim.frontends.keras.rules import RULES
from hwsim.frontends.lazy import Lazy
from hwsim.frontends.onnx.load import verified
from hwsim.frontends.onnx.values import checked_shape
from hwsim.graph import Graph

_INTEGERS = {"int64": "int64", "int32": "int32", "int16": "int16", "int8": "int8", "uint8": "uint8", "bool": "bool", "string": "int64"}


def load(source: Any, *, batch: int, seq_len: int | None, dims: Mapping[str, int], allow_unsupported: bool, weights: Any = None) -> Graph:
    """The graph of a model; see `KerasFrontend.load`."""
    found = read(source, weights=weights)
    return build(found, batch=batch, seq_len=seq_len, dims=dims, allow_unsupported=allow_unsupported)


def build(found: Source, *, batch: int, seq_len: int | None, dims: Mapping[str, int], allow_unsupported: bool, **facts: Any) -> Graph:
    """The graph of what was read; `facts` become attributes of the graph."""
    network, where = found.network, found.where
    importer = Importer(network, found.weights, rules=RULES, where=where, allow_unsupported=allow_unsupported)
    free = _Free(batch, seq_len, dims, where)
    inputs = [_input(importer, network, network.layers[ref.layer], free) for ref in network.inputs]
    outputs = importer.run(network, inputs)
    if importer.unsupported and not allow_unsupported:
        raise UnsupportedOp(importer.unsupported, where=where)
    if seq_len is not None:
        facts["seq_len"] = seq_len
    facts |= {"parameters": importer.parameters} if importer.parameters else {}
    facts |= {"dropped": importer.dropped} if importer.dropped else {}
    facts |= {"scaled": tuple(dict.fromkeys(importer.scaled))} if importer.scaled else {}
    if importer.layout_nodes:
        facts["layout_nodes"] = tuple(importer.layout_nodes)
    importer.builder.attrs = {"source": where, "frontend": "keras", "batch": batch, "layer_classes": importer.classes, **facts}
    importer.builder.values = Lazy(importer.makers)  # pyright: ignore[reportAttributeAccessIssue]
    return verified(importer.builder.finish([v.tensor for v in outputs]), where=where)


class _Free:
    """Sizes that a file leaves open."""

    def __init__(self, batch: int, seq_len: int | None, dims: Mapping[str, int], where: str) -> None:
        self.batch, self.seq_len, self.dims, self.where = batch, seq_len, dims, where

    def bound(self, name: str, shape: list[Any]) -> tuple[int, ...]:
        """`shape` with the batch and all free sizes put in."""
        result = [self.batch]
        for axis, size in enumerate(shape[1:], 1):
            if size is None:
                given = self.dims.get(f"{name}.{axis}")
                size = given if given is not None else (self.seq_len if axis == 1 else None)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise InputError(
                    f"{self.where}: input {name!r} has the shape {tuple(shape)}, whose axis {axis} is {size!r}; "
                    f"expected a whole number. Pass dims={{'{name}.{axis}': ...}}" + (", or seq_len" if axis == 1 else "")
                )
            result.append(size)
        return checked_shape(result, where=f"{self.where}: input {name!r}")


def _input(importer: Importer, network: Network, layer: Layer, free: _Free) -> Value:
    config = layer.config
    stated = next((s for s in (config.get(k) for k in ("batch_shape", "batch_input_shape", "_build_shape")) if isinstance(s, list)), None)
    if stated is None:
        raise InputError(f"{free.where}: input {layer.name!r} states no shape; expected `batch_shape` in its configuration")
    shape = free.bound(layer.name, stated)
    first = channels_before_space(network, layer.name, rank=len(shape))
    fmt = _INTEGERS.get(str(config.get("dtype")), "fp32")
    return Value(importer.builder.input(layer.name, ours(shape, first=first), fmt), shape, first and len(shape) > 2)
