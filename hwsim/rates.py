"""Firing rates of layers: from a CSV or JSON file, recorded from a running torch module, or a default."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import InputError, MissingExtra
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
    integers: frozenset[str] = frozenset()
    """Paths whose spikes are whole numbers, not 0 and 1: their rates may exceed 1."""

    @classmethod
    def read(cls, path: str | Path) -> Rates:
        """Rates from a file: CSV with the columns `layer` and `rate` (or `input_spike_rate_pct`), JSON, or the log of an operation counter.

        JSON is `{layer: rate}`, nested by module or by timestep (`t0`, `t1` ...: their mean); `hwsim.rate_logs` says which logs are read.

        A rate may be one number or `q=0.1;k=0.2;v=0.3` (JSON: a mapping) for the product of attention. `block[0].attn` and `block.0.attn`
        are one path. A rate above 1 needs whole-number spikes that are declared: the CSV column `integer` (true, false), in JSON
        `{"rate": 1.5, "integer": true}`.

        Raises:
            InputError: the file cannot be read or holds no rates, a layer stands there twice, or a rate is no number, negative, or above 1
                without a declaration.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the rates {str(path)!r}: {error}") from None
        readers = {".json": _json_rows, ".txt": log_rows, ".log": log_rows}
        rows = readers.get(file.suffix, _csv_rows)(text, str(path))
        if not rows:
            raise InputError(f"{path}: no rates in it; expected a line a layer, or leave the file out for the default of {DEFAULT}")
        found = {dotted(name): _values(name, value, scale, str(path)) for name, value, scale in rows}
        return cls(found, str(path), integers=frozenset(dotted(name) for name, value, _ in rows if _integer(name, value, str(path))))

    def save(self, path: str | Path) -> None:
        """Write the rates as `read` takes them: JSON where the name ends so, else CSV.

        Raises:
            InputError: the file cannot be written.
        """
        file = Path(path)
        text = self._json() if file.suffix == ".json" else self._csv()
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write the rates {str(path)!r}: {error}") from None

    def _json(self) -> str:
        found: dict[str, Any] = {p: v["rate"] if set(v) == {"rate"} else dict(v) for p, v in self.by_path.items()}
        found |= {p: {**self.by_path[p], "integer": True} for p in self.integers}
        return json.dumps(found, indent=1) + "\n"

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("layer", "rate", "integer"))
        for path, values in self.by_path.items():
            rate = repr(values["rate"]) if set(values) == {"rate"} else ";".join(f"{k}={v!r}" for k, v in values.items())
            writer.writerow((path, rate, str(path in self.integers).lower()))
        return text.getvalue()

    def of(self, path: str, tensors: Sequence[str], graph: Graph) -> tuple[float, bool]:
        """Rate of the input of a layer, and whether it is assumed.

        A product of two spiking tensors is charged where the sparser one fires (k and v), one of spikes with sums where the spikes do (q).
        """
        given = self.by_path.get(path) or self.by_path.get(_sibling(path))
        if given is None:
            densities = [graph.tensors[t].density for t in tensors]
            known = [d for d in densities if d != 1.0]
            return (min(known), False) if known else (self.default, True)
        if "rate" in given:
            return given["rate"], False
        return (min(given["k"], given["v"]), False) if path.endswith("_kv") else (given["q"], False)


def record(module: Any, inputs: Any, *, timesteps: int = 1, train: bool = False) -> Rates:
    """Firing rates of a running torch module: spikes a neuron and timestep, over all samples and timesteps.

    Args:
        module: with neurons of snnTorch, spikingjelly or any registered class (`hwsim.frontends.torch.neurons`).
        inputs: of one call (a tensor, a tuple of arguments, a mapping by argument), or a list or other iterable of calls.
        timesteps: calls an input, for a module that runs one timestep.
        train: leave the module in the mode it is in; by default it is put into evaluation.

    Returns:
        Rates by module path, those of neurons (what they fire) and of the linear and convolution layers that read spikes. Spikes that are
        whole numbers other than 0 and 1 are found and declared.

    Raises:
        InputError: no neurons, none was called, or values that are no whole numbers.
        MissingExtra: torch is not installed.
    """
    try:
        from hwsim.frontends.torch.recording import recorded
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    return recorded(module, inputs, timesteps=timesteps, train=train)


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
    scale = 0.01 if column in _PERCENT else 1.0
    rows: list[tuple[str, object, float]] = []
    for number, row in enumerate(reader, start=2):
        if not row["layer"] or row[column] in (None, ""):
            raise InputError(
                f"{where}, line {number}: found {row['layer'] or ''!r} and {row[column] or ''!r}; expected a layer and its rate"
            )
        if any(name == row["layer"] for name, _, _ in rows):
            raise InputError(f"{where}, line {number}: layer {row['layer']!r} stands there twice; remove one")
        rows.append((row["layer"], row[column] if not row.get("integer") else {"rate": row[column], "integer": row["integer"]}, scale))
    return rows


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


def _integer(name: str, value: object, where: str) -> bool:
    """Whether whole-number spikes are declared."""
    given = value.get("integer", False) if isinstance(value, Mapping) else False
    found = _TRUTH.get(str(given).strip().lower())
    if found is None:
        raise InputError(f"{where}, layer {name!r}: integer is {given!r}; expected true or false")
    return found


def _values(name: str, value: object, scale: float, where: str) -> dict[str, float]:
    """One rate, or q, k and v, which are shares whatever the column says."""
    integer = _integer(name, value, where)
    if isinstance(value, Mapping):
        rates = {k: v for k, v in value.items() if k != "integer"}
        if set(rates) == {"rate"}:
            return _values(name, rates["rate"], scale, where) if not integer else {"rate": _number(rates["rate"], name, where, scale, True)}
        return {str(k): _number(v, f"{name}, {k}", where, 1.0, integer) for k, v in rates.items()}
    text = str(value)
    if "=" in text:
        parts = (part.partition("=") for part in text.split(";"))
        return {key.strip(): _number(number, f"{name}, {key.strip()}", where) for key, _, number in parts}
    return {"rate": _number(value, name, where, scale)}


def _number(value: object, name: str, where: str, scale: float = 1.0, integer: bool = False) -> float:
    layer, _, part = name.partition(", ")
    place = f"{where}, layer {layer!r}{f', {part}' if part else ''}"
    try:
        number = float(str(value)) * scale
    except ValueError:
        raise InputError(f"{place}: found {value!r}; expected a number") from None
    if integer and number >= 0 and math.isfinite(number):
        return number
    if not 0 <= number <= 1:
        more = "; spikes that are whole numbers are declared by a column `integer` with true" if 1 < number < math.inf else ""
        raise InputError(f"{place}: the rate is {number:g}; expected 0 to 1 (spikes a neuron and timestep){more}")
    return number
