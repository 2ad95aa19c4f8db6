"""LSTM, GRU and plain recurrent layers, in one direction or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.frontends.keras.context import Call, Unsupported, Value
from hwsim.frontends.keras.network import Layer
from hwsim.frontends.keras.rules.common import weight_format
from hwsim.frontends.keras.weights import Role

_CELLS = {"LSTM": ("lstm", 4), "GRU": ("gru", 3), "SimpleRNN": ("rnn", 1)}
_MERGES = {"sum": "add", "mul": "mul", "ave": "average"}


def _cell(class_name: str) -> tuple[str, int]:
    name = class_name.removeprefix("CuDNN").removeprefix("Q")
    if name not in _CELLS:
        raise Unsupported(f"cell {class_name!r}")
    return _CELLS[name]


def _layer(c: Call) -> Value:
    return _scanned(c, c.layer.class_name, c.config, directions=("",))


def _scanned(c: Call, class_name: str, config: Mapping[str, Any], *, directions: tuple[str, ...]) -> Value:
    """The scan, then the last step alone unless the sequence is wanted."""
    x = c.layout(c.x, first=False)
    batch, _, size = x.shape
    kind, gates = _cell(class_name)
    units, count = int(config["units"]), len(directions)
    inner = replace(c, layer=replace(c.layer, config=config))
    weights = [
        _stacked(inner, "kernel", (gates * units, size), directions, position=0),
        _stacked(inner, "recurrent_kernel", (gates * units, units), directions, position=1),
    ]
    if config.get("use_bias", True):
        double = 2 if kind == "gru" and config.get("reset_after", "reset_after" in config) else 1
        weights.append(_biases(inner, gates * units, double, directions))
    value = c.emit("recurrent", [x, *weights], cell=kind, directions=count)
    if config.get("return_sequences", False):
        return value
    return c.moved("slice", value, suffix=":last", shape=(batch, units * count))


def _stacked(c: Call, name: str, shape: tuple[int, int], directions: tuple[str, ...], *, position: int) -> str:
    """One matrix for all directions, in our order (rows of gates, inputs)."""
    parts = [_part(c, name, shape[::-1], d, position) for d in directions]
    made = c.weight(name, (shape[0] * len(directions), shape[1]), dtype=weight_format(c, name.removesuffix("_kernel")))
    if all(p is not None for p in parts):
        c.importer.makers[made] = lambda: np.concatenate([p.read().T for p in parts if p is not None])
    return made


def _biases(c: Call, rows: int, double: int, directions: tuple[str, ...]) -> str:
    stored = (double, rows) if double > 1 else (rows,)
    parts = [_part(c, "bias", stored, d, 2) for d in directions]
    made = c.weight("bias", (rows * double * len(directions),), dtype=weight_format(c, "bias"))
    if all(p is not None for p in parts):
        c.importer.makers[made] = lambda: np.concatenate([p.read().ravel() for p in parts if p is not None])
    return made


def _part(c: Call, name: str, stored: tuple[int, ...], direction: str, position: int) -> Any:
    entry = c.importer.weights.find(c.path, Role((name,), position, direction))
    return entry if entry is not None and entry.shape == stored else None


def _both(c: Call) -> Value:
    """A layer run forwards and backwards."""
    inner = c.need("layer")
    mode = c.get("merge_mode", "concat")
    value = _scanned(c, str(inner["class_name"]), inner["config"], directions=("forward", "backward"))
    if mode == "concat":
        return value
    if mode not in _MERGES:
        raise Unsupported(f"merge_mode {mode!r}")
    half = value.shape[-1] // 2
    parts = c.importer.builder.add_many("split", [value.tensor], name=c.importer.unique(f"{c.name}:split"), sizes=(half, half))
    shape = (*value.shape[:-1], half)
    return c.emit("elementwise", [Value(p, shape) for p in parts], suffix=f"_{mode}", fn=_MERGES[mode])


def _of_cell(c: Call) -> Value:
    """`RNN` around one cell."""
    cell = c.need("cell")
    name = str(cell["class_name"]).rpartition(">")[2].removesuffix("Cell")
    config = {**cell["config"], "return_sequences": c.get("return_sequences", False)}
    return _scanned(c, name, config, directions=("",))


def wrapped(layer: Mapping[str, Any]) -> Layer:
    """The layer inside of a wrapper."""
    return Layer(str(layer["class_name"]), str(layer["config"].get("name", "layer")), layer["config"], str(layer.get("module") or ""))


RULES = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "QLSTM", "QGRU", "QSimpleRNN", "CuDNNLSTM", "CuDNNGRU"), _layer),
    **dict.fromkeys(("Bidirectional", "QBidirectional"), _both),
    "RNN": _of_cell,
}
