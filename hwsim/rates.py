"""Firing rates of layers, from a CSV or JSON file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.rate_logs import json_rows, log_rows

DEFAULT = 0.15
"""Rate where nothing is known: the middle of what published spiking transformers show; estimates that rest on it say *assumed*."""
_RATE, _PERCENT = ("rate", "firing_rate", "input_rate"), ("input_spike_rate_pct", "rate_pct", "rate_percent")


@dataclass(frozen=True)
class Rates:
    """Firing rates of the inputs of layers by path, `q`, `k` and `v` apart where a product has two."""

    by_path: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: str = ""
    default: float = DEFAULT

    @classmethod
    def read(cls, path: str | Path) -> Rates:
        """Rates from a file: CSV with the columns `layer` and `rate` (or `input_spike_rate_pct`), JSON, or the log of an operation counter.

        JSON is `{layer: rate}`, nested by module or by timestep (`t0`, `t1` ...: their mean); `hwsim.rate_logs` says which logs are read.

        A rate may be one number or `q=0.1;k=0.2;v=0.3` (JSON: a mapping) for the product of attention. `block[0].attn` and `block.0.attn`
        are one path.

        Raises:
            InputError: the file cannot be read, or a rate is outside 0..1.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the rates {str(path)!r}: {error}") from None
        readers = {".json": _json_rows, ".txt": log_rows, ".log": log_rows}
        rows = readers.get(file.suffix, _csv_rows)(text, str(path))
        return cls({dotted(name): _values(name, value, scale, str(path)) for name, value, scale in rows}, str(path))

    def of(self, path: str, tensors: Sequence[str], graph: Graph) -> tuple[float, bool]:
        """Rate of the input of a layer, and whether it is assumed.

        A product of two spiking tensors is charged where the sparser one fires (k and v), one of spikes with sums where the spikes do (q).
        """
        given = self.by_path.get(path) or self.by_path.get(_sibling(path))
        if given is None:
            densities = [graph.tensors[t].density for t in tensors]
            known = [d for d in densities if d < 1.0]
            return (min(known), False) if known else (self.default, True)
        if "rate" in given:
            return given["rate"], False
        return (min(given["k"], given["v"]), False) if path.endswith("_kv") else (given["q"], False)

    def check(self, paths: set[str], *, needed: set[str]) -> None:
        """Complain about layers that a file leaves out.

        Raises:
            InputError: there are some.
        """
        if not self.by_path:
            return
        lost = sorted(p for p in needed if p not in self.by_path and _sibling(p) not in self.by_path)
        if lost:
            shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
            raise InputError(
                f"{self.source}: no rate for {shown}; add a line a layer, or leave the file out for the default of {self.default}"
            )


def dotted(name: str) -> str:
    """`block[0].attn` as `block.0.attn`."""
    return name.replace("[", ".").replace("]", "")


def _sibling(path: str) -> str:
    """The two products of an attention stand under one name in a file (`ssa_qkv`)."""
    return path.removesuffix("_kv") + "_qkv" if path.endswith("_kv") else path


def _json_rows(text: str, where: str) -> list[tuple[str, object, float]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: no JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{where}: found a {type(content).__name__}; expected an object of layer and rate")
    return json_rows(content)


def _csv_rows(text: str, where: str) -> list[tuple[str, object, float]]:
    reader = csv.DictReader(text.splitlines())
    names = reader.fieldnames or []
    column = next((c for c in (*_RATE, *_PERCENT) if c in names), None)
    if "layer" not in names or column is None:
        raise InputError(f"{where}: columns {', '.join(names) or 'none'}; expected `layer` and one of {', '.join((*_RATE, *_PERCENT))}")
    return [(row["layer"], row[column], 0.01 if column in _PERCENT else 1.0) for row in reader]


def _values(name: str, value: object, scale: float, where: str) -> dict[str, float]:
    """One rate, or q, k and v, which are shares whatever the column says."""
    if isinstance(value, Mapping):
        return {str(k): _share(v, f"{where}, layer {name!r}, {k}") for k, v in value.items()}
    text = str(value)
    if "=" in text:
        parts = (part.partition("=") for part in text.split(";"))
        return {key.strip(): _share(number, f"{where}, layer {name!r}, {key.strip()}") for key, _, number in parts}
    return {"rate": _share(value, f"{where}, layer {name!r}", scale)}


def _share(value: object, where: str, scale: float = 1.0) -> float:
    try:
        number = float(str(value)) * scale
    except ValueError:
        raise InputError(f"{where}: found {value!r}; expected a number") from None
    if not 0 <= number <= 1:
        raise InputError(f"{where}: the rate is {number:g}; expected 0 to 1 (spikes a neuron and timestep)")
    return number
